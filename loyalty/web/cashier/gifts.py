"""Vouchers and gifts at the counter: a code is used and taken back; a gift is set aside, swapped, handed out against a signature."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.model import Operation
from loyalty.clock import day_bounds, local_date
from loyalty.db import transaction
from loyalty.identity.rules import Permission
from loyalty.ids import NOBODY
from loyalty.rewards.model_gifts import EntitlementStatus
from loyalty.rewards.model_vouchers import RedemptionStatus, VoucherStatus
from loyalty.rewards.operations.gifts import hand_out, release_gift, reserve_gift, swap_gift
from loyalty.rewards.operations.redemptions import redeem_code, roll_back
from loyalty.rewards.queries import gifts as gift_queries
from loyalty.rewards.queries import vouchers as voucher_queries
from loyalty.rewards.queries.gifts import EntitlementView, Offer
from loyalty.rewards.queries.vouchers import RedemptionView, VoucherView
from loyalty.rewards.voucher_rules import Outlet
from loyalty.web.cashier.frame import draw, reading
from loyalty.web.cashier.paying import outlet_of, vouchers_of
from loyalty.web.cashier.sheets import CardSheet, sheet_of
from loyalty.web.cashier.till import HOME, Page, Till, new_key
from loyalty.web.endings import good_through

GIFTS = f"{HOME}/gifts"
_TO_FETCH = (EntitlementStatus.GRANTED, EntitlementStatus.RESERVED)
_USABLE = (VoucherStatus.ISSUED, VoucherStatus.RESERVED)


class Right(msgspec.Struct, frozen=True, kw_only=True):
    """A gift to be fetched, with what this station can do about it."""

    one: EntitlementView
    offer: Offer
    here: bool
    """Set aside at this station."""
    elsewhere: bool
    ready: bool
    """Whether it can be handed out now."""
    keys: tuple[str, str, str]


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """A voucher's use at this station today."""

    one: RedemptionView
    voucher: VoucherView
    mine: bool
    """Made at this till: it may be taken back here."""
    key: str


class _Done(msgspec.Struct):
    entitlement_id: UUID


@get("/gifts")
async def gifts_page(till: NamedDependency[Till]) -> Page:
    """Offer to use a voucher; gifts are a customer's, whose card is asked for."""
    return await _page(till, None)


@get("/cards/{card_id:uuid}/gifts")
async def gifts_of_card(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Show what the holder may fetch and has, and offer to use a voucher."""
    return await _page(till, card_id)


async def _page(till: Till, card_id: UUID | None) -> Page:
    till.require(Permission.SELL)
    till.require_shift()
    async with reading(till) as session:
        sheet = await sheet_of(till, session, card_id=card_id) if card_id is not None else None
        outlet = await outlet_of(till, session)
        return await draw(
            till,
            session,
            "gifts.html",
            here="gifts",
            card_id=card_id,
            sheet=sheet,
            good_through=good_through,
            back=f"{HOME}/cards/{card_id}" if card_id is not None else HOME,
            once=new_key(),
            rights=await _rights(till, session, sheet) if sheet is not None else [],
            vouchers=await vouchers_of(session, sheet, _USABLE) if sheet is not None else [],
            uses=await _uses(till, session, outlet),
        )


async def _rights(till: Till, session: AsyncSession, sheet: CardSheet) -> list[Right]:
    found = (
        await gift_queries.gifts_of_customer(session, customer_id=sheet.customer_id, statuses=_TO_FETCH)
        if sheet.customer_id is not None
        else await gift_queries.gifts_of_account(session, account_id=sheet.account_id, statuses=_TO_FETCH)
    )
    station_id = till.place.station_id
    rights = []
    for one in found:
        offer = await gift_queries.offer_at(session, code=one.code, place_id=station_id, pieces=one.pieces)
        reserved = one.status is EntitlementStatus.RESERVED
        here = reserved and one.place_id == station_id
        elsewhere = reserved and not here
        ready = here or (not reserved and offer.free >= one.pieces)
        keys = (new_key(), new_key(), new_key())
        rights.append(Right(one=one, offer=offer, here=here, elsewhere=elsewhere, ready=ready, keys=keys))
    return rights


async def _uses(till: Till, session: AsyncSession, outlet: Outlet) -> list[Use]:
    since, until = day_bounds(local_date(till.now, till.view.zone), till.view.zone)
    uses = []
    for one in await voucher_queries.redemptions_at(session, outlet=outlet.name, since=since, until=until, limit=20):
        if one.voucher_id is None:
            continue
        voucher = await voucher_queries.get_voucher(session, voucher_id=one.voucher_id)
        mine = one.caller == outlet.caller and one.status is RedemptionStatus.REDEEMED
        uses.append(Use(one=one, voucher=voucher, mine=mine, key=new_key()))
    return uses


@post("/vouchers", status_code=303)
async def use_voucher(till: NamedDependency[Till]) -> Page:
    """Use a voucher by its code; one answer for every code that is not good here."""
    till.require(Permission.SELL)
    till.require_shift()
    form, _ = till.form, till.gettext
    typed = form.text("code", _("Voucher code"), longest=40)
    amount = form.money("amount", _("What it is taken for"), till.currency, required=False)
    plate = form.text("plate", _("Number plate"), required=False, longest=16).replace(" ", "").upper() or None
    form.check()
    async with reading(till) as session:
        outlet = await outlet_of(till, session)
    done = await redeem_code(
        till.sessions, typed=typed, at=outlet, key=till.key, amount_minor=amount, plate=plate, actor=till.actor, now=till.now
    )
    async with reading(till) as session:
        assert done.voucher_id is not None, "what was redeemed is a voucher"
        voucher = await voucher_queries.get_voucher(session, voucher_id=done.voucher_id)
    name = till.either(voucher.name_zh, voucher.name_en)
    if voucher.currency is None:
        said = _("Used: %(name)s", name=name)
    elif voucher.left_minor:
        left = till.f.money(voucher.left_minor, voucher.currency)
        said = _("Used: %(name)s, %(amount)s. %(left)s is left on it.", name=name, amount=_saved(till, done, voucher), left=left)
    else:
        said = _("Used: %(name)s, %(amount)s", name=name, amount=_saved(till, done, voucher))
    return till.done(_back(till), said)


def _saved(till: Till, done: RedemptionView, voucher: VoucherView) -> str:
    return till.f.money(done.honoured_minor, voucher.currency or till.currency)


@post("/vouchers/{key:uuid}/taken-back", status_code=303)
async def take_back(key: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Take a use of this till back; the voucher is good again, or has run out."""
    till.require(Permission.SELL)
    async with transaction(till.sessions) as session:
        outlet = await outlet_of(till, session)
        undone = await roll_back(session, at=outlet, key=key, reason="at the counter", actor=till.actor, now=till.now)
        voucher = await voucher_queries.get_voucher(session, voucher_id=undone.voucher_id) if undone.voucher_id else None
    ran_out = voucher is not None and voucher.status is VoucherStatus.EXPIRED
    said = till.gettext("Taken back; its time is over meanwhile.") if ran_out else till.gettext("Taken back: the voucher is good again.")
    return till.done(GIFTS, said, tone="warn" if ran_out else "good")


@post("/gifts/{entitlement_id:uuid}/handed-out", status_code=303)
async def give_out(entitlement_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Hand a gift over against the customer's signature."""
    till.require(Permission.SELL)
    till.require_shift()
    drawn = till.form.long("signature")

    async def perform(session: AsyncSession) -> Outcome:
        place = {"station_id": till.place.station_id, "terminal_id": till.place.terminal_id}
        await hand_out(session, entitlement_id=entitlement_id, signature=drawn, actor=till.actor, now=till.now, **place)
        return Outcome.of(NOBODY, entitlement_id, _Done(entitlement_id))

    await till.once(Operation.OTHER, _Done, perform)
    return till.done(_back(till), till.gettext("Handed out and signed for."))


@post("/gifts/{entitlement_id:uuid}/set-aside", status_code=303)
async def set_aside(entitlement_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Keep a gift at this station for its customer, or free it again."""
    till.require(Permission.SELL)
    facts: dict[str, Any] = {"entitlement_id": entitlement_id, "actor": till.actor, "now": till.now}
    async with transaction(till.sessions) as session:
        if till.form.flag("free"):
            await release_gift(session, reason="at the counter", **facts)
            return till.done(_back(till), till.gettext("Free again."))
        right = await reserve_gift(session, station_id=till.place.station_id, **facts)
    return till.done(_back(till), till.gettext("Set aside until %(time)s.", time=till.f.instant(right.reserved_until)))


@post("/gifts/{entitlement_id:uuid}/swapped", status_code=303)
async def swap(entitlement_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Take what the catalogue offers instead of a gift that has run out."""
    till.require(Permission.SELL)
    code = till.form.text("code", till.gettext("Instead"), longest=48)
    till.form.check()
    async with transaction(till.sessions) as session:
        right = await swap_gift(session, entitlement_id=entitlement_id, code=code, actor=till.actor, now=till.now)
    return till.done(_back(till), till.gettext("Now: %(name)s", name=till.either(right.name_zh, right.name_en)))


def _back(till: Till) -> str:
    """Return the page whose form it was: a card's, or the counter's own."""
    try:
        return f"{HOME}/cards/{UUID(till.form.raw('card'))}/gifts"
    except ValueError:
        return GIFTS


handlers = [gifts_page, gifts_of_card, use_voucher, take_back, give_out, set_aside, swap]
