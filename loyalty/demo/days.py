"""Six days of business through the real operations: fills, sales, holds, a loss, a refund; each day is counted and closed."""

from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty.authorizations.model import FillStatus, Operation
from loyalty.authorizations.operations.fills import move_fill
from loyalty.authorizations.operations.holds import expire_holds
from loyalty.authorizations.operations.refunds import refund_sale
from loyalty.authorizations.queries import shift_totals
from loyalty.authorizations.rules import HOLD_FOR
from loyalty.authorizations.wire import (
    AuthorizationRequest,
    CompletionRequest,
    Credential,
    FuelLine,
    SaleRequest,
    ShopLine,
    Tender,
    parse_reference,
)
from loyalty.cards.operations import register_card, report_lost
from loyalty.clock import day_bounds, local_date
from loyalty.db import transaction
from loyalty.ids import ShiftId, TerminalId
from loyalty.money import line_amount
from loyalty.pos_api.queries import day_totals
from loyalty.stations.operations import close_day, close_shift, open_shift
from loyalty.stations.rules import expected_cash
from loyalty.topups.model import Tender as TopupTender
from loyalty.topups.operations import load
from loyalty.topups.queries import balance_of

from .business import Business
from .chain import COUNTER_STATION, MANAGERS, SHOP, STATIONS, ZONE
from .desk import lay_out
from .holders import Holder, enter_person
from .oddities import drive_oddly
from .rules import THANKS_FROM

DAYS = 6
FILLS_A_DAY = 8
"""At each station."""
FLOAT_MINOR = 50_000
LOW_MINOR = 60_000
"""Below this a printed card is loaded again."""


async def trade(business: Business, *, now: datetime) -> None:
    """Play the days up to `now`, then leave the present as a counter finds it."""
    forecourt = business.forecourt
    today = local_date(now, ZONE)
    for back in range(DAYS, -1, -1):
        day = today - timedelta(days=back)
        await _day(business, day, now=now)
        if back == 3:
            await _conversion(business, day)
        if back == 2:
            await _refund(business, day)
            await _loss(business, day)
        if back == 1:
            await drive_oddly(business, day)
        await _close_day(business, day, now=now)
    forecourt.at = now
    await _present(business, now)


async def _day(business: Business, day: date, *, now: datetime) -> None:
    """Play one day: shifts open at six, people fuel until ten at night, shifts are counted."""
    opens, ends = _at(day, time(6)), min(_at(day, time(22)), now - timedelta(minutes=12))
    over = day_bounds(day, ZONE)[1] <= now
    if ends <= opens:
        return
    shifts = await _open_shifts(business, opens) if over else {}
    seconds = int((ends - opens).total_seconds())
    count = FILLS_A_DAY * len(STATIONS) * seconds // (16 * 3600)
    moments = sorted(business.rng.randrange(seconds) for _ in range(count))
    for moment in moments:
        business.forecourt.at = opens + timedelta(seconds=moment)
        await _visit(business)
    if over:
        business.forecourt.at = _at(day, time(23))
        async with transaction(business.forecourt.sessions) as session:
            await expire_holds(session, now=business.forecourt.at)
        await _close_shifts(business, shifts, opens)


def _at(day: date, clock_time: time) -> datetime:
    return datetime.combine(day, clock_time, tzinfo=ZoneInfo(ZONE)).astimezone(ZoneInfo("UTC"))


async def _visit(business: Business) -> None:
    """Let one customer come by: mostly at home, mostly paying after filling."""
    rng = business.rng
    holder = rng.choice(business.crowd.holders)
    station = holder.home if rng.random() < 0.8 else rng.choice(list(STATIONS))
    fuel = business.fuel(station, holder)
    if rng.random() < 0.2:
        await _preset(business, holder, station, fuel)
    else:
        await _pay_after(business, holder, station, fuel)


async def _preset(business: Business, holder: Holder, station: str, fuel: FuelLine) -> None:
    forecourt, place = business.forecourt, business.place(station)
    asked = AuthorizationRequest(
        card=_credential(holder),
        product=fuel.product,
        nozzle=fuel.nozzle,
        amount_minor=-(-fuel.amount_minor // 5_000) * 5_000,
        plate=holder.plate,
        odometer_km=business.odometer(holder, fuel.quantity_milli),
    )
    answer = await forecourt.ask(Operation.AUTHORISE, asked, place=place, **business.presented(holder))
    if answer["outcome"] not in {"approved", "partial"}:
        return
    forecourt.at += timedelta(minutes=4)
    # A pump counts hundredths of a litre.
    milli = min(fuel.quantity_milli, answer["approved_milli"]) // 10 * 10
    done = CompletionRequest(
        quantity_milli=milli, unit_price_e4=fuel.unit_price_e4, amount_minor=line_amount(milli, fuel.unit_price_e4), nozzle=fuel.nozzle
    )
    account_id, authorization_id = _ids(answer["authorization"])
    await forecourt.ask(Operation.COMPLETE, done, place=place, account_id=account_id, authorization_id=authorization_id)


async def _pay_after(business: Business, holder: Holder, station: str, fuel: FuelLine) -> None:
    rng, forecourt = business.rng, business.forecourt
    fill_id = await business.dispense(station, fuel, forecourt.at - timedelta(minutes=3))
    shop: list[ShopLine] = []
    tenders: list[Tender] = []
    if holder.product not in {"company", "fleet"} and rng.random() < 0.25:
        code = rng.choice(list(SHOP)[:3])
        shop.append(ShopLine(product=code, amount_minor=SHOP[code][3] // 100))
    if rng.random() < 0.12:
        tenders.append(Tender(tender=rng.choice(("cash", "wechat")), amount_minor=fuel.amount_minor // 3))
    sale = SaleRequest(
        card=_credential(holder),
        fuel=fuel,
        fill_id=fill_id,
        shop=shop,
        tenders=tenders,
        plate=holder.plate,
        odometer_km=business.odometer(holder, fuel.quantity_milli),
        staff_id=business.chain.staff[f"cashier:{station}"],
    )
    pin = "000000" if rng.random() < 0.02 else None
    answer = await forecourt.ask(Operation.SALE, sale, place=business.place(station), **business.presented(holder, pin))
    if answer["outcome"] == "declined":
        # Whoever has not enough on the card pays the cash that the pump asks for.
        await _paid_otherwise(business, station, fill_id)
    elif shop and answer["outcome"] == "approved":
        business.refundable = {"sale": answer["sale"], "station": station, "amount_minor": shop[0].amount_minor}


async def _paid_otherwise(business: Business, station: str, fill_id: UUID) -> None:
    async with transaction(business.forecourt.sessions) as session:
        await move_fill(
            session,
            fill_id=fill_id,
            station_id=business.chain.stations[station],
            to=FillStatus.OTHER,
            actor=business.chain.person(f"cashier:{station}"),
            reason="cash",
            now=business.forecourt.at,
        )


async def _open_shifts(business: Business, at: datetime) -> dict[str, UUID]:
    shifts: dict[str, UUID] = {}
    async with transaction(business.forecourt.sessions) as session:
        for station, station_id in business.chain.stations.items():
            shift = await open_shift(
                session,
                station_id=station_id,
                terminal_id=TerminalId(business.chain.tills[station]),
                cashier_id=business.chain.staff[f"cashier:{station}"],
                opening_float_minor=FLOAT_MINOR,
                actor=business.chain.person(f"cashier:{station}"),
                now=at,
            )
            shifts[station] = shift.shift_id
    return shifts


async def _close_shifts(business: Business, shifts: dict[str, UUID], opened_at: datetime) -> None:
    """Count every till; one of them is a little short, with an explanation."""
    now = business.forecourt.at
    short = business.rng.choice(list(shifts))
    async with transaction(business.forecourt.sessions) as session:
        for station, shift_id in shifts.items():
            totals = await shift_totals(
                session,
                station_id=business.chain.stations[station],
                terminal_id=business.chain.tills[station],
                booked_from=opened_at,
                booked_to=now,
            )
            expected = expected_cash(opening_float_minor=FLOAT_MINOR, totals=totals, dropped_minor=0)
            await close_shift(
                session,
                shift_id=ShiftId(shift_id),
                counted_cash_minor=expected - (150 if station == short else 0),
                expected=totals,
                staff_id=business.chain.staff[f"cashier:{station}"],
                explanation="找零差错" if station == short else None,
                actor=business.chain.person(f"cashier:{station}"),
                now=now,
            )


async def _close_day(business: Business, day: date, *, now: datetime) -> None:
    """Close a day that is over at every station, some minutes after midnight, as its district's manager does."""
    ended = day_bounds(day, ZONE)[1]
    if ended > now:
        return
    business.forecourt.at = min(ended + timedelta(minutes=20), now)
    async with transaction(business.forecourt.sessions) as session:
        for station, station_id in business.chain.stations.items():
            await close_day(
                session,
                station_id=station_id,
                day=day,
                totals=await day_totals(session, station_id=station_id, day=day),
                actor=business.chain.person(MANAGERS[station[:2]]),
                now=business.forecourt.at,
            )


async def _refund(business: Business, day: date) -> None:
    """Give somebody back what was bought in the shop."""
    if business.refundable is None:
        return
    station = business.refundable["station"]
    account_id, sale_id = _ids(business.refundable["sale"])
    business.forecourt.at = _at(day, time(23, 10))
    async with transaction(business.forecourt.sessions) as session:
        await refund_sale(
            session,
            account_id=account_id,
            sale_id=sale_id,
            place=business.place(station),
            policy=business.policy,
            reason="商品质量问题",
            staff_id=business.chain.staff[f"cashier:{station}"],
            gross_minor=business.refundable["amount_minor"],
            void=False,
            now=business.forecourt.at,
        )


async def _loss(business: Business, day: date) -> None:
    """Let somebody report a card lost; nobody fuels with it any more."""
    lost = business.crowd.loser
    business.crowd.holders.remove(lost)
    async with transaction(business.forecourt.sessions) as session:
        await report_lost(
            session,
            card_id=lost.card_id,
            station_id=business.chain.stations[lost.home],
            reason="持卡人到柜台挂失",
            actor=business.chain.person(f"cashier:{lost.home}"),
            now=_at(day, time(23, 20)),
        )


async def _conversion(business: Business, day: date) -> None:
    """Let somebody register an anonymous card and top it up: the balance stays, and the thank-you month counts."""
    bearer = next(holder for holder in reversed(business.crowd.holders) if holder.product == "anonymous")
    cashier, station_id = business.chain.person(f"cashier:{bearer.home}"), business.chain.stations[bearer.home]
    at = _at(day, time(23, 15))
    business.forecourt.at = at
    async with transaction(business.forecourt.sessions) as session:
        customer_id = await enter_person(
            session, name="蒋文博", number=188, phone="13957100188", actor=cashier, station_id=station_id, now=at
        )
        await register_card(
            session,
            card_id=bearer.card_id,
            customer_id=customer_id,
            product_id=business.chain.card_products["personal"],
            station_id=station_id,
            policy=business.policy,
            actor=cashier,
            now=at,
        )
        await load(
            session,
            policy=business.policy,
            account_id=bearer.account_id,
            card_id=bearer.card_id,
            amount_minor=THANKS_FROM + 10_000,
            tender=TopupTender.ALIPAY,
            reference="42020000000188",
            station_id=station_id,
            terminal_id=business.chain.tills[bearer.home],
            actor=cashier,
            event_at=at,
            now=at,
        )
    bearer.product = "personal"


async def _present(business: Business, now: datetime) -> None:
    """Leave what a counter and an office find in the morning: unpaid fills, a running hold, two unresolved dispenses, work for the desk."""
    forecourt, chain = business.forecourt, business.chain
    for number, station in enumerate(STATIONS):
        for back in range(3 - number % 3):
            await business.dispense(station, business.fuel(station, None), now - timedelta(minutes=2 + 3 * back))
    await _topped_up(business, now)
    person = next(holder for holder in business.crowd.holders if holder.product == "gold")
    truck = next(holder for holder in business.crowd.holders if holder.product == "fleet")
    driver = next(holder for holder in business.crowd.holders if holder.product == "company" and holder.home == COUNTER_STATION)
    forecourt.at = now - HOLD_FOR - timedelta(minutes=25)
    await _hold(business, truck, 60_000, "0")
    forecourt.at = now - HOLD_FOR - timedelta(minutes=8)
    await _hold(business, driver, 40_000, "92")
    forecourt.at = now - timedelta(minutes=3)
    await _hold(business, person, 20_000, "95")
    forecourt.at = now
    async with transaction(forecourt.sessions) as session:
        await expire_holds(session, now=now)
        await lay_out(session, chain, business.crowd, policy=business.policy, now=now)


async def _topped_up(business: Business, now: datetime) -> None:
    """Load the printed cards that the week has emptied: whoever tries the demo can fuel with each of them."""
    for number, holder in enumerate(business.crowd.shown):
        async with transaction(business.forecourt.sessions) as session:
            held = await balance_of(session, account_id=holder.account_id, now=now)
            if held.available_minor >= LOW_MINOR:
                continue
            await load(
                session,
                policy=business.policy,
                account_id=holder.account_id,
                card_id=holder.card_id,
                amount_minor=LOW_MINOR + 8_800,
                tender=TopupTender.WECHAT,
                reference=f"4201{number:010}",
                station_id=business.chain.stations[holder.home],
                terminal_id=business.chain.tills[holder.home],
                actor=business.chain.person(f"cashier:{holder.home}"),
                event_at=now - timedelta(minutes=40),
                now=now - timedelta(minutes=40),
            )


async def _hold(business: Business, holder: Holder, amount_minor: int, product: str) -> None:
    asked = AuthorizationRequest(card=_credential(holder), product=product, nozzle=5, amount_minor=amount_minor, plate=holder.plate)
    await business.forecourt.ask(Operation.AUTHORISE, asked, place=business.place(holder.home), **business.presented(holder))


def _credential(holder: Holder) -> Credential:
    return Credential(number=holder.number, pin="sealed")


def _ids(said: str) -> tuple[UUID, UUID]:
    found = parse_reference(said)
    assert found is not None, "our own reference"
    return found
