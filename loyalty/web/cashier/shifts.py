"""The shift: the float at its beginning, cash into the safe, a blind count, and the close with what is over or short."""

from datetime import timedelta
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.model import Operation
from loyalty.authorizations.queries import shift_totals
from loyalty.identity.queries import staff_names
from loyalty.identity.rules import Permission
from loyalty.ids import NOBODY, ShiftId, StationId, TerminalId
from loyalty.stations.model import ShiftStatus
from loyalty.stations.operations import close_shift, open_shift, record_cash_drop
from loyalty.stations.queries import cash_drops_of, get_shift, list_products
from loyalty.web.cashier.frame import draw, reading
from loyalty.web.cashier.labels import TENDERS
from loyalty.web.cashier.till import HOME, Page, ShiftNeeded, Till, new_key


class _Done(msgspec.Struct):
    shift_id: UUID
    status: str = ""


@get("/shift")
async def shift_page(till: NamedDependency[Till]) -> Page:
    """Show the running shift, or ask for the float of a new one. Nothing about expected cash stands here before the count."""
    till.require(Permission.RUN_SHIFT)
    async with reading(till) as session:
        if till.shift is None:
            return await draw(till, session, "shift_open.html", here="shift", once=new_key())
        drops = await cash_drops_of(session, shift_id=till.shift.shift_id)
        names = await staff_names(session, staff_ids={till.shift.cashier_id, *(drop.dropped_by for drop in drops)})
        return await draw(
            till,
            session,
            "shift.html",
            here="shift",
            shift=till.shift,
            counted=till.shift.status is ShiftStatus.COUNTED,
            drops=drops,
            names=names,
            keys=[new_key(), new_key()],
        )


@post("/shift/open", status_code=303)
async def open_one(till: NamedDependency[Till]) -> Page:
    """Start a shift on this till with the cash that lies in it."""
    till.require(Permission.RUN_SHIFT)
    opening = till.form.money("float", till.gettext("Cash in the till"), till.currency, low=0) or 0
    till.form.check()

    async def perform(session: AsyncSession) -> Outcome:
        shift = await open_shift(
            session,
            station_id=StationId(till.place.station_id),
            terminal_id=TerminalId(till.place.terminal_id),
            cashier_id=till.principal.staff_id,
            opening_float_minor=opening,
            actor=till.actor,
            now=till.now,
        )
        return Outcome.of(NOBODY, shift.shift_id, _Done(shift.shift_id, shift.status.value))

    await till.once(Operation.SHIFT, _Done, perform)
    return till.done(HOME, till.gettext("The shift runs."))


@post("/shift/drop", status_code=303)
async def drop(till: NamedDependency[Till]) -> Page:
    """Note cash that went into the safe, in a numbered bag."""
    till.require(Permission.RUN_SHIFT)
    shift = till.require_shift()
    amount = till.form.money("amount", till.gettext("Amount"), till.currency) or 0
    envelope = till.form.text("envelope", till.gettext("Number of the bag"), longest=40)
    till.form.check()

    async def perform(session: AsyncSession) -> Outcome:
        made = await record_cash_drop(
            session,
            shift_id=ShiftId(shift.shift_id),
            amount_minor=amount,
            envelope=envelope,
            staff_id=till.principal.staff_id,
            actor=till.actor,
            now=till.now,
        )
        return Outcome.of(NOBODY, made.drop_id, _Done(shift.shift_id))

    await till.once(Operation.SHIFT, _Done, perform)
    return till.done(f"{HOME}/shift", till.gettext("%(amount)s went into the safe.", amount=till.money(amount)))


@post("/shift/close", status_code=303)
async def close(till: NamedDependency[Till]) -> Page:
    """Take the blind count and close; where the cash differs, an explanation is asked for and the count stands."""
    till.require(Permission.RUN_SHIFT)
    shift = till.shift
    if shift is None:
        raise ShiftNeeded
    counted = None
    if shift.status is ShiftStatus.OPEN:
        counted = till.form.money("counted", till.gettext("Cash counted"), till.currency, low=0)
    explanation = till.form.text("explanation", till.gettext("Explanation"), required=shift.status is ShiftStatus.COUNTED, longest=500)
    till.form.check()

    async def perform(session: AsyncSession) -> Outcome:
        closed = await close_shift(
            session,
            shift_id=ShiftId(shift.shift_id),
            counted_cash_minor=counted,
            # A sale of this very millisecond is the shift's, too.
            expected=await shift_totals(
                session,
                station_id=shift.station_id,
                terminal_id=shift.terminal_id,
                booked_from=shift.opened_at,
                booked_to=till.now + timedelta(milliseconds=1),
            ),
            staff_id=till.principal.staff_id,
            explanation=explanation or None,
            actor=till.actor,
            now=till.now,
        )
        return Outcome.of(NOBODY, closed.shift_id, _Done(closed.shift_id, closed.status.value))

    done = await till.once(Operation.SHIFT, _Done, perform)
    return till.done(f"{HOME}/shift" if done.status != ShiftStatus.CLOSED.value else f"{HOME}/shifts/{done.shift_id}")


@get("/shifts/{shift_id:uuid}")
async def closed_shift(shift_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Show a closed shift with its totals."""
    till.require(Permission.RUN_SHIFT)
    async with reading(till) as session:
        shift = await get_shift(session, shift_id=shift_id, reachable={till.place.station_id})
        if shift.status is not ShiftStatus.CLOSED:
            return till.done(f"{HOME}/shift")
        names = await staff_names(session, staff_ids={shift.cashier_id})
        drops = await cash_drops_of(session, shift_id=shift_id)
        goods = (await list_products(session, limit=200)).rows
        return await draw(
            till,
            session,
            "shift_closed.html",
            here="shift",
            shift=shift,
            cashier=names.get(shift.cashier_id, ""),
            dropped_minor=sum(each.amount_minor for each in drops),
            tenders={code: till.gettext(label) for code, label in TENDERS.items()},
            products={each.code: till.either(each.name_zh, each.name_en) for each in goods},
        )


handlers = [shift_page, open_one, drop, close, closed_shift]
