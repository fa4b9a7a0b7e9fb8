"""Keys, a member of staff, and a person and an organisation."""

from uuid import uuid4

import pytest
from sqlalchemy import insert

from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import FileKeyProvider, open_keyring, use_keyring
from loyalty.customers import operations
from loyalty.customers.model import CustomerKind
from loyalty.identity.model import Staff, StaffStatus

RESIDENT_ID = "34052419800101001X"
USCC = "9144030071526726XG"


@pytest.fixture(scope="session")
def key_set(tmp_path_factory):
    from datetime import UTC, datetime

    provider = FileKeyProvider(tmp_path_factory.mktemp("secret") / "keys")
    return open_keyring(provider, expected_fingerprint=None, now=datetime(2026, 9, 24, tzinfo=UTC))


@pytest.fixture(autouse=True)
def keys(key_set):
    use_keyring(key_set)
    yield key_set
    use_keyring(None)


@pytest.fixture
async def actor(session, now):
    staff_id = uuid4()
    row = {"employee_number": f"o-{staff_id}", "name": "office", "status": StaffStatus.ACTIVE, "locale": "zh_CN", "hired_at": now}
    await session.execute(insert(Staff).values(staff_id=staff_id, **row))
    return Actor(ActorKind.STAFF, staff_id)


@pytest.fixture
def add(session, actor, now):
    async def add(name="王小明", kind=CustomerKind.PERSON, developed=None, **facts):
        return await operations.add_customer(
            session, facts=operations.CustomerFacts(kind=kind, name=name, **facts), developed=developed, actor=actor, now=now
        )

    return add


@pytest.fixture
async def person(add):
    return await add(phone="139 1234 5678", birthday=None)


@pytest.fixture
async def company(add):
    return await add("上海货运（集团）有限公司", CustomerKind.ORGANISATION, phone="021-58886666")
