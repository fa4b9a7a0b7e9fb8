"""A till on a real server, with people, cards and stock."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from loyalty import clock
from loyalty.db import transaction
from loyalty.identity.model import Role, ScopeKind
from loyalty.identity.operations import grant_role, hire, issue_staff_card, set_staff_pin
from loyalty.pos_client import Staff, Till
from tests.factories.site import Site, a_site
from tests.factories.world import TestCard


@pytest.fixture
async def site(database_url, tmp_path, now) -> AsyncIterator[Site]:
    async with a_site(database_url, tmp_path, now) as made:
        yield made


@pytest.fixture
async def till(site) -> AsyncIterator[Till]:
    async with await site.till() as till:
        yield till


@pytest.fixture
async def card(site) -> TestCard:
    return await site.card(balance_minor=100_000)


STAFF_PIN = "260917"


@dataclass
class People:
    """Who works at the station."""

    cashier: Staff
    manager: Staff


@pytest.fixture
async def people(site) -> People:
    """A cashier and a station manager with their cards."""
    made = []
    async with transaction(site.sessions) as session:
        for number, role in (("1001", Role.CASHIER), ("1002", Role.STATION_MANAGER)):
            now = clock.real_now() - timedelta(days=1)
            staff_id = await hire(session, employee_number=number, name=f"员工{number}", home_station_id=site.world.station_id, now=now)
            await grant_role(session, staff_id=staff_id, role=role, scope=ScopeKind.STATION, scope_id=site.world.station_id, now=now)
            card = f"99000000{number}"
            await issue_staff_card(session, staff_id=staff_id, card_number=card, now=now)
            await set_staff_pin(session, staff_id=staff_id, pin=STAFF_PIN, now=now)
            made.append(Staff(card=card, pin=STAFF_PIN))
    return People(*made)


@pytest.fixture
async def manned(till, people) -> Till:
    """A till with a running shift."""
    await till.open_shift(people.cashier, opening_float_minor=50_000)
    return till


@pytest.fixture
async def blanks(site) -> list[str]:
    """Numbers of blank anonymous cards in the station's stock."""
    return await site.blanks("anonymous")


@pytest.fixture
async def personal_blanks(site) -> list[str]:
    return await site.blanks("personal")
