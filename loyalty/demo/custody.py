"""Cards that the demo company's custodian keeps: one back from a trip, one that should be, one that is asked for."""

from datetime import datetime, time, timedelta
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.clock import local_date
from loyalty.fleet.operations.custody import keep_cards
from loyalty.fleet.operations.fills import collect_between, last_holding
from loyalty.fleet.operations.loans import Trip, approve_loan, ask_loan, hand_out, take_back
from loyalty.fleet.queries.bindings import BindingView, standing_bindings
from loyalty.fleet.queries.custody import keepers_of
from loyalty.fleet.queries.vehicles import get_vehicle
from loyalty.identity.model_portal import PortalRole

from .chain import ZONE, Chain
from .fleet_people import DEMO, PEOPLE


class _Lent(NamedTuple):
    """A trip: day from today and hour of its beginning, of when the card is due, and of the return."""

    destination: str
    purpose: str
    begins: tuple[int, int]
    due: tuple[int, int]
    back: tuple[int, int] | None = None


_LENT: Final = (
    _Lent("嘉兴", "节前补货，往返四日", (-5, 8), (-1, 18), (-1, 17)),
    _Lent("金华", "客户仓库盘点", (-2, 9), (-1, 18)),
    _Lent("宁波", "港口提货", (1, 7), (2, 19)),
)
_ROLES: Final = (PortalRole.FLEET_MANAGER, PortalRole.CUSTODIAN)
_TO_THE_PUMP_KM: Final = 18
"""How far the cupboard is from the last pump."""


async def keep_and_lend(session: AsyncSession, chain: Chain, *, company_id: UUID, now: datetime) -> None:
    """Let the company's custodian keep the vehicles' cards and lend three of them, with odometers that go on from the pump's."""
    await collect_between(session, company_id=company_id, begin=chain.began, end=now, now=now)
    known = {one.name: one.user_id for one in await keepers_of(session, company_id=company_id)}
    manager, keeper = (known[next(name for _, name, has, _ in PEOPLE if has is role)] for role in _ROLES)
    bound = [one for one in await standing_bindings(session, company_id=company_id) if one.vehicle_id is not None]
    chains = [one.chain_id for one in bound]
    await keep_cards(session, company_id=company_id, chain_ids=chains, keeper_id=keeper, actor=DEMO, now=chain.began)
    people = tuple(Actor(ActorKind.COMPANY_USER, one) for one in (manager, keeper))
    for card, trip in zip(bound, _LENT, strict=False):
        await _lend(session, card, trip, people[0], people[1], now)


async def _lend(session: AsyncSession, card: BindingView, trip: _Lent, manager: Actor, keeper: Actor, now: datetime) -> None:
    assert card.vehicle_id is not None, "chosen so"
    assert card.driver_id is not None, "the demo's vehicles have drivers"
    company_id, today = card.company_id, local_date(now, ZONE)

    def at(when: tuple[int, int]) -> datetime:
        return datetime.combine(today + timedelta(days=when[0]), time(when[1]), ZoneInfo(ZONE))

    begins = at(trip.begins)
    asked = min(begins, now) - timedelta(hours=3)
    wanted = Trip(card.driver_id, trip.destination, trip.purpose, begins, at(trip.due))
    loan_id = await ask_loan(session, company_id=company_id, chain_id=card.chain_id, trip=wanted, actor=manager, now=asked)
    if begins > now:
        return
    await approve_loan(session, company_id=company_id, loan_id=loan_id, actor=keeper, now=asked + timedelta(hours=1))
    km = await _shown(session, company_id, card.vehicle_id, begins)
    await hand_out(session, company_id=company_id, loan_id=loan_id, km=km, actor=keeper, now=begins)
    if trip.back is not None:
        back = at(trip.back)
        km = await _shown(session, company_id, card.vehicle_id, back)
        await take_back(session, company_id=company_id, loan_id=loan_id, km=km, note="无异常", actor=keeper, now=back)


async def _shown(session: AsyncSession, company_id: UUID, vehicle_id: UUID, instant: datetime) -> int:
    last = (await last_holding(session, before={vehicle_id: instant})).get(vehicle_id)
    entered = (await get_vehicle(session, company_id=company_id, vehicle_id=vehicle_id)).odometer_km
    return (last.km if last else entered or 0) + _TO_THE_PUMP_KM
