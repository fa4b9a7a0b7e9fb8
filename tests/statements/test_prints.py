"""The first print of a receipt is the original, every later one says which copy it is."""

import pytest

from loyalty.db import transaction
from loyalty.identity.operations import hire
from loyalty.ids import uuid7
from loyalty.statements.model import ReceiptKind
from loyalty.statements.operations import count_print
from loyalty.statements.queries import prints_of
from tests.factories.world import make_world


@pytest.fixture
async def till(sessions, now):
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
        staff_id = await hire(session, employee_number="S1", name="吴", phone="+8613800138000", now=now)
        return {"terminal_id": world.terminal_ids[0], "staff_id": staff_id, "now": now}


async def test_a_receipt_is_printed_once_and_then_as_a_copy(sessions, till, now):
    receipt = {"kind": ReceiptKind.SALE, "subject_id": uuid7(now)}
    other = {"kind": ReceiptKind.TOPUP, "subject_id": receipt["subject_id"]}
    async with transaction(sessions) as session:
        assert await prints_of(session, **receipt) == 0
        assert [await count_print(session, **receipt, **till) for _ in range(3)] == [0, 1, 2]
        assert await count_print(session, **other, **till) == 0
    async with transaction(sessions) as session:
        assert (await prints_of(session, **receipt), await prints_of(session, **other)) == (3, 1)
