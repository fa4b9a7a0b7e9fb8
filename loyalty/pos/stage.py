"""Setting the stage: what an office does before a till can work, through the rooms' own operations on the database.

Two tills a station with enrolment codes, a cashier with card and PIN, blank anonymous cards in stock. Everything else is played over HTTP.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit.model import Actor, ActorKind
from loyalty.cards.model import ProductKind
from loyalty.cards.operations import produce_batch
from loyalty.cards.queries import batch_for_personaliser, list_products
from loyalty.crypto import pin_is_well_formed
from loyalty.db import Sessions, transaction
from loyalty.identity.model import Role, ScopeKind
from loyalty.identity.model_terminals import EnrolmentUse
from loyalty.identity.operations import grant_role, hire, issue_enrolment_code, issue_staff_card, set_staff_pin
from loyalty.identity.queries import staff_by_card
from loyalty.ids import StationId
from loyalty.pos_client import Card, Driver, Staff
from loyalty.stations.model import StationStatus, TerminalKind
from loyalty.stations.operations import add_terminal
from loyalty.stations.queries import StationFilter, StationView, find_terminal, list_stations

ACTOR: Final = Actor(ActorKind.SYSTEM, "simulator")
COUNTER, PUMP = "SIM1", "SIM2"


class StageError(Exception):
    """The database lacks what a simulation needs."""

    for_people = True


class Crew(NamedTuple):
    """Who comes with a company's card, and what they say when the pump asks."""

    driver: Driver
    plate: str
    order_number: str | None
    odometer_km: int
    """As it stands in the morning."""


class Scene(NamedTuple):
    """One station, ready to be played."""

    station: StationView
    codes: dict[str, str]
    """Enrolment codes by terminal code."""
    cashier: Staff
    cards: tuple[Card, ...]
    """Blank cards in this station's stock, with the PINs their holders will choose."""
    crews: Mapping[Card, Crew] = MappingProxyType({})
    """Companies' cards that come here, active and with money."""


async def set_stage(sessions: Sessions, *, stations: int, cards: int) -> list[Scene]:
    """Prepare the first `stations` open stations by code.

    :raises StageError: if there are not so many, or nobody issues anonymous cards
    """
    async with transaction(sessions) as session:
        found = await list_stations(session, by=StationFilter(statuses=[StationStatus.OPEN]), limit=stations)
    if len(found.rows) < stations:
        raise StageError(f"{stations} stations were asked for and {len(found.rows)} are open. Start `loyalty up` with its demo data first.")
    return [await _scene(sessions, station, number, cards) for number, station in enumerate(found.rows)]


async def _scene(sessions: Sessions, station: StationView, number: int, cards: int) -> Scene:
    async with transaction(sessions) as session:
        now = clock.business_now()
        codes = {code: await _till(session, station, code, now) for code in (COUNTER, PUMP)}
        cashier = await _cashier(session, station, number)
        blanks = await _blanks(session, station, cards, now)
    return Scene(station, codes, cashier, blanks)


async def _till(session: AsyncSession, station: StationView, code: str, now: datetime) -> str:
    """Return an enrolment code for a till, made where the station has none of that code."""
    terminal_id = await find_terminal(session, station_id=station.station_id, code=code)
    if terminal_id is None:
        kind = TerminalKind.POS if code == COUNTER else TerminalKind.OUTDOOR
        made = await add_terminal(session, station_id=StationId(station.station_id), code=code, kind=kind, actor=ACTOR, now=now)
        terminal_id = made.terminal_id
    issued, _ = await issue_enrolment_code(session, terminal_id=terminal_id, use=EnrolmentUse.KEY, now=clock.real_now())
    return issued


async def _cashier(session: AsyncSession, station: StationView, number: int) -> Staff:
    """Return the station's simulated cashier with a fresh PIN; hired where there is none yet."""
    card = f"99{number:010d}"
    now = clock.real_now()
    staff_id: UUID | None = await staff_by_card(session, card_number=card)
    if staff_id is None:
        staff_id = await hire(
            session, employee_number=f"SIM-{station.code}", name="模拟收银员 Simulated cashier", home_station_id=station.station_id, now=now
        )
        await grant_role(session, staff_id=staff_id, role=Role.CASHIER, scope=ScopeKind.STATION, scope_id=station.station_id, now=now)
        await issue_staff_card(session, staff_id=staff_id, card_number=card, now=now)
    pin = _pin(6)
    await set_staff_pin(session, staff_id=staff_id, pin=pin, now=now)
    return Staff(card=card, pin=pin)


async def _blanks(session: AsyncSession, station: StationView, count: int, now: datetime) -> tuple[Card, ...]:
    products = [
        product
        for product in await list_products(session, active_only=True)
        if product.kind is ProductKind.ANONYMOUS and product.currency == station.currency
    ]
    if not products or not station.may_issue:
        raise StageError(f"Station {station.code} issues no anonymous cards. Start `loyalty up` with its demo data first.")
    batch = await produce_batch(
        session, product_id=products[0].product_id, count=count, station_id=station.station_id, actor=ACTOR, now=now
    )
    return tuple(
        [
            Card(number=number, pin=_pin(4), check_value=value)
            async for number, value in batch_for_personaliser(session, batch_id=batch.batch_id)
        ]
    )


def _pin(digits: int) -> str:
    """Return a random PIN that no rule turns down: digits that neither repeat nor run."""
    while True:
        pin = "".join(secrets.choice("0123456789") for _ in range(digits))
        steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
        if pin_is_well_formed(pin) and len(steps) > 1:
            return pin
