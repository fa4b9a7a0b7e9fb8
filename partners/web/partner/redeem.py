"""Redeeming on a phone: a code is scanned, photographed or typed; the answer fills the screen; one tap uses it, another takes it back."""

import asyncio
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty import clock
from loyalty.errors import Refusal
from loyalty.identity.partner_rules import PartnerPermission
from loyalty.ids import uuid7
from loyalty.limits.rules import plate_key
from loyalty.rewards.operations.redemptions import CodeNotHonoured, RedemptionUnknown
from loyalty.web import csrf
from loyalty.web.desk import Page
from loyalty.web.problems import notice_of
from loyalty.web.rendering import redirect
from partners.model import OutletStatus
from partners.operations import counter
from partners.operations.counter import Shown
from partners.operations.redeeming import Served, roll_back, sell
from partners.queries.counter import Use, day_at, use_of_key
from partners.web.partner.desk import OUTLET_COOKIE, PartnerDesk
from partners.web.partner.frame import HOME
from partners.web.partner.photos import code_of_photo

_REDEEM: Final = PartnerPermission.REDEEM
_RECENT: Final = 5
_PHOTO_BYTES: Final = 9_000_000


@get("/")
async def home(partner: NamedDependency[PartnerDesk]) -> Page:
    """Ask for a code; whoever redeems nothing goes to the book."""
    if not partner.may(_REDEEM):
        return redirect(partner.request, f"{HOME}/book")
    return await _home(partner)


@post("/outlet", status_code=303)
async def choose_outlet(partner: NamedDependency[PartnerDesk]) -> Page:
    """Stand at another outlet of one's own."""
    partner.require(_REDEEM)
    wanted = partner.form.raw("outlet")
    known = next((one for one in partner.outlets if str(one.outlet_id) == wanted), partner.here)
    return redirect(partner.request, HOME, cookies=[csrf.cookie(OUTLET_COOKIE, str(known.outlet_id), tls=False, max_age=400 * 86_400)])


@post("/codes", status_code=200)
async def look(partner: NamedDependency[PartnerDesk]) -> Page:
    """Say whether a code is good here and now; a wrong one counts."""
    partner.require(_REDEEM)
    typed = partner.form.raw("code")[:1000]
    if not typed:
        return redirect(partner.request, HOME)
    return await _looked(partner, typed)


@post("/photos", status_code=200)
async def look_at_photo(partner: NamedDependency[PartnerDesk]) -> Page:
    """Read the code off a photo, and say whether it is good here and now."""
    partner.require(_REDEEM)
    _name, photo = await partner.form.file("photo", partner.gettext("Photo"), largest=_PHOTO_BYTES)
    partner.form.check()
    typed = await asyncio.to_thread(code_of_photo, photo)
    if typed is None:
        return await _home(partner, unread=True, status_code=422)
    return await _looked(partner, typed[:1000])


async def _looked(partner: PartnerDesk, typed: str) -> Page:
    try:
        shown = await counter.look(partner.session, outlet_id=partner.here.outlet_id, typed=typed, now=partner.now)
    except Refusal as refusal:
        return await _refused(partner, refusal)
    return await _refused(partner, CodeNotHonoured()) if shown is None else await _verdict(partner, shown, typed)


@post("/redemptions", status_code=303)
async def redeem(partner: NamedDependency[PartnerDesk]) -> Page:
    """Use what was looked at, once for its key, and lead to its receipt."""
    partner.require(_REDEEM)
    form, _ = partner.form, partner.gettext
    key = form.uuid("key", _("Key"))
    code = form.raw("code")[:1000]
    amount = form.money("amount", _("Taken off the bill"), partner.partner.currency, required=False)
    gross = form.money("gross", _("The bill"), partner.partner.currency, required=False)
    form.check()
    assert key is not None, "checked"
    try:
        async with partner.session.begin_nested():
            done = await counter.redeem_code(
                partner.session,
                outlet_id=partner.here.outlet_id,
                typed=code,
                key=key,
                served_by=partner.principal.name,
                amount_minor=amount,
                gross_minor=gross,
                plate=plate_key(form.raw("plate")) or None,
                actor=partner.actor,
                now=partner.now,
            )
    except Refusal as refusal:
        return await _refused(partner, refusal)
    if done is None:
        return await _refused(partner, CodeNotHonoured())
    return redirect(partner.request, f"{HOME}/redemptions/{key}")


@get("/redemptions/{key:uuid}")
async def receipt(partner: NamedDependency[PartnerDesk], key: FromPath[UUID]) -> Page:
    """Show what was redeemed, for both sides, and the way back while there is one."""
    partner.require(_REDEEM)
    use = await use_of_key(partner.session, partner_id=partner.partner_id, outlet_id=partner.here.outlet_id, key=key)
    if use is None:
        raise RedemptionUnknown
    return await _draw(partner, "done.html", use=use, undo=_undo_left(partner, use), name=_named(partner, use))


@post("/redemptions/{key:uuid}/undone", status_code=303)
async def undo(partner: NamedDependency[PartnerDesk], key: FromPath[UUID]) -> Page:
    """Take a redemption of this outlet back; the voucher is good again, or has run out."""
    partner.require(_REDEEM)
    await roll_back(
        partner.session, outlet_id=partner.here.outlet_id, key=key, reason="at the counter", actor=partner.actor, now=partner.now
    )
    return await partner.done(f"{HOME}/today", partner.gettext("Taken back. The voucher is good again, unless its time is over."))


@get("/members")
async def member_page(partner: NamedDependency[PartnerDesk]) -> Page:
    """Ask for a member's card and the bill."""
    return await _member(partner)


@post("/members", status_code=303)
async def member(partner: NamedDependency[PartnerDesk]) -> Page:
    """Book a sale with a member's price, once for its key."""
    partner.require(_REDEEM)
    form, _ = partner.form, partner.gettext
    key = form.uuid("key", _("Key"))
    typed = form.text("card", _("Card"), longest=1000)
    gross = form.money("gross", _("The bill"), partner.partner.currency)
    benefit = form.raw("benefit") or None
    form.check()
    outlet_id = partner.here.outlet_id
    assert key is not None, "checked"
    shown = await counter.member_shown(partner.session, outlet_id=outlet_id, typed=typed, now=partner.now)
    if shown is None:
        refused = {"title": _("This card is not good."), "then": _("Check its number, or scan the code on the customer's phone.")}
        return await _member(partner, problem=refused | {"tone": "bad"}, typed_gross=form.raw("gross"), status_code=404)
    try:
        async with partner.session.begin_nested():
            done = await sell(
                partner.session,
                outlet_id=outlet_id,
                key=key,
                gross_minor=gross or 0,
                benefit=benefit,
                reference=f"•••• {shown.tail}",
                served_by=partner.principal.name,
                actor=partner.actor,
                now=partner.now,
            )
    except Refusal as refusal:
        return await _refused(partner, refusal)
    return await _sold(partner, done)


async def _home(partner: PartnerDesk, *, unread: bool = False, status_code: int = 200) -> Page:
    partner.require(_REDEEM)
    day = None if partner.outlet is None else await _day(partner)
    recent = [] if day is None else day.rows[:_RECENT]
    return await _draw(
        partner,
        "home.html",
        status_code=status_code,
        unread=unread,
        day=day,
        recent=[(use, _named(partner, use)) for use in recent],
        members=partner.outlet is not None
        and bool(await counter.prices_for_members(partner.session, outlet_id=partner.here.outlet_id, now=partner.now)),
    )


async def _day(partner: PartnerDesk) -> Any:
    since, until = clock.day_bounds(clock.local_date(partner.now, partner.zone), partner.zone)
    return await day_at(partner.session, partner_id=partner.partner_id, outlet_id=partner.here.outlet_id, since=since, until=until)


async def _verdict(partner: PartnerDesk, shown: Shown, typed: str) -> Page:
    """Fill the screen with what the code is good for, and the one button that uses it."""
    voucher = shown.voucher
    worth = voucher.left_minor if voucher.left_minor is not None else shown.price_minor
    return await _draw(
        partner,
        "verdict.html",
        voucher=voucher,
        name=partner.either(voucher.name_zh, voucher.name_en),
        worth=None if worth is None else partner.money(worth),
        is_money=voucher.left_minor is not None,
        last_day=None if voucher.expires_at is None else partner.f.day(voucher.expires_at - timedelta(microseconds=1)),
        terms=partner.either(voucher.terms_zh, voucher.terms_en),
        code=typed,
        key=uuid7(partner.real_now),
    )


async def _refused(partner: PartnerDesk, refusal: Refusal) -> Page:
    """Fill the screen with a refusal: what, why, what to do."""
    told = notice_of(refusal, partner.words)
    return await _draw(partner, "refused.html", status_code=refusal.status, told=told)


async def _member(partner: PartnerDesk, *, status_code: int = 200, typed_gross: str = "", **values: Any) -> Page:
    partner.require(_REDEEM)
    prices = await counter.prices_for_members(partner.session, outlet_id=partner.here.outlet_id, now=partner.now)
    offered = [(one.code, partner.either(one.name_zh, one.name_en), _price(partner, one)) for one in prices]
    key = uuid7(partner.real_now)
    return await _draw(partner, "member.html", status_code=status_code, prices=offered, key=key, gross=typed_gross, **values)


def _price(partner: PartnerDesk, one: Any) -> str:
    """Say what a member saves."""
    if one.share is not None:
        return f"−{one.share / 100:g} %"
    return f"−{partner.money(one.amount_minor)}" if one.amount_minor is not None else ""


async def _sold(partner: PartnerDesk, done: Served) -> Page:
    _ = partner.gettext
    pay = partner.money(done.gross_minor - done.saved_minor)
    said = _("Booked: the customer pays %(amount)s and saves %(saved)s.", amount=pay, saved=partner.money(done.saved_minor))
    return await partner.done(f"{HOME}/today", said)


def _named(partner: PartnerDesk, use: Use) -> str:
    return partner.either(use.name_zh, use.name_en) or partner.gettext("Sale")


def _undo_left(partner: PartnerDesk, use: Use) -> int:
    """Return for how many seconds it may be taken back yet."""
    return 0 if use.undo_until is None else max(0, int((use.undo_until - partner.now).total_seconds()))


async def _draw(partner: PartnerDesk, template: str, *, status_code: int = 200, **values: Any) -> Page:
    paused = partner.outlet is not None and partner.outlet.status is OutletStatus.PAUSED
    return await partner.page(
        partner.gettext("Redeeming"),
        template=f"partner/{template}",
        status_code=status_code,
        outlet=partner.outlet,
        outlets=partner.outlets,
        outlet_choices=[(str(one.outlet_id), partner.either(one.name_zh, one.name_en)) for one in partner.outlets],
        frame_currency=partner.partner.currency,
        outlet_name="" if partner.outlet is None else partner.outlet_name,
        paused=paused,
        **values,
    )


handlers = [home, choose_outlet, look, look_at_photo, redeem, receipt, undo, member_page, member]
