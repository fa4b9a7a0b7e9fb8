"""Fills that a fleet manager should ask about, each of another kind; one of them is explained already, one confirmed."""

from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.model import Operation
from loyalty.authorizations.wire import Credential, FuelLine, SaleRequest
from loyalty.fleet.detecting import Kind
from loyalty.fleet.model_findings import Disposition
from loyalty.fleet.operations.findings import dispose, due_vehicles, look_at, looked
from loyalty.fleet.queries.custody import keepers_of
from loyalty.fleet.queries.watching import list_findings
from loyalty.identity.model_portal import PortalRole
from loyalty.money import line_amount

from .business import Business
from .chain import COUNTER_STATION, ZONE
from .fleet_people import PEOPLE


class _Odd(NamedTuple):
    """One fill: which of the company's vans, when, what, how much, and the plate that was typed (None: its own)."""

    van: int
    at: time
    litres_milli: int
    product: str = "92"
    plate: str | None = None


_ODD: Final = (
    _Odd(0, time(23, 22), 61_400),
    _Odd(1, time(23, 27), 31_200, product="95"),
    _Odd(2, time(23, 31), 28_000),
    _Odd(2, time(23, 52), 36_500),
    _Odd(3, time(23, 40), 30_100, plate="浙A8X520"),
)
"""A van's tank holds 55 litres and its papers say 92."""
_SAID: Final = {
    Kind.WRONG_GRADE: (Disposition.EXPLAINED, "当晚 92 号停供，站上改加 95 号，驾驶员已报备。"),
    Kind.TOO_SOON: (Disposition.CONFIRMED, "第二次加油不是本车，驾驶员已谈话并补缴油款。"),
}


async def drive_oddly(business: Business, day: date) -> None:
    """Let the company's vans take what is odd, late in the evening of a day that is over."""
    vans = sorted(
        (one for one in business.crowd.holders if one.product == "company" and one.home == COUNTER_STATION), key=lambda one: one.card_id
    )
    forecourt = business.forecourt
    for odd in sorted(_ODD, key=lambda one: one.at):
        van, price = vans[odd.van], business.chain.prices[COUNTER_STATION, odd.product]
        forecourt.at = datetime.combine(day, odd.at, tzinfo=ZoneInfo(ZONE)).astimezone(ZoneInfo("UTC"))
        amount = line_amount(odd.litres_milli, price)
        fuel = FuelLine(product=odd.product, quantity_milli=odd.litres_milli, unit_price_e4=price, amount_minor=amount, nozzle=2)
        sale = SaleRequest(
            card=Credential(number=van.number, pin="sealed"),
            fuel=fuel,
            fill_id=await business.dispense(COUNTER_STATION, fuel, forecourt.at - timedelta(minutes=3)),
            plate=odd.plate or van.plate,
            odometer_km=business.odometer(van, odd.litres_milli),
            staff_id=business.chain.staff[f"cashier:{COUNTER_STATION}"],
        )
        answer = await forecourt.ask(Operation.SALE, sale, place=business.place(COUNTER_STATION), **business.presented(van))
        assert answer["outcome"] == "approved", "the company detects this; it does not forbid it"


async def look_and_say(session: AsyncSession, *, company_id: UUID, now: datetime) -> None:
    """Find what is odd as the hourly job does, and let the fleet manager say what two of them were."""
    await look_at(session, vehicle_ids=await due_vehicles(session, until=now), until=now, now=now)
    await looked(session, until=now)
    name = next(name for _, name, has, _ in PEOPLE if has is PortalRole.FLEET_MANAGER)
    manager = next(one.user_id for one in await keepers_of(session, company_id=company_id) if one.name == name)
    for kind, (to, note) in _SAID.items():
        found = await list_findings(session, company_id=company_id, kind=kind)
        for one in found.rows:
            await dispose(
                session,
                company_id=company_id,
                finding_id=one.finding_id,
                to=to,
                note=note,
                actor=Actor(ActorKind.COMPANY_USER, manager),
                now=now - timedelta(minutes=20),
            )
