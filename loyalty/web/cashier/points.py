"""Points at the counter: what they buy here, buying it with the holder's PIN, its receipt, and undoing it within the shift."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.model import Operation
from loyalty.authorizations.operations.showing import judge_holder
from loyalty.authorizations.wire import Credential, Said, parse_reference, reference
from loyalty.clock import local_date, month_start
from loyalty.db import transaction
from loyalty.identity.rules import Permission
from loyalty.ids import NOBODY
from loyalty.ledger.queries import get_account
from loyalty.rewards.model_gifts import EntitlementStatus
from loyalty.rewards.operations import redeeming
from loyalty.rewards.operations.points import RedemptionNotFound, redeemed_in
from loyalty.rewards.queries.points import redemptions_of
from loyalty.rewards.queries.redeeming import Bought, PricedGift, bought_with, gifts_for_points, points_of_card
from loyalty.statements.model import ReceiptKind
from loyalty.statements.operations import count_print
from loyalty.statements.queries import prints_of
from loyalty.web.cashier.declining import declined
from loyalty.web.cashier.frame import draw, reading
from loyalty.web.cashier.points_slips import points_slip
from loyalty.web.cashier.sales import approve, spend
from loyalty.web.cashier.sheets import CardSheet, sheet_of
from loyalty.web.cashier.till import HOME, Page, Till, code_cookie, code_for, new_key, presented_by
from loyalty.web.i18n import N_
from loyalty.web.rendering import document, redirect
from loyalty.web.standing import points_shown

REASONS: Final = (
    ("wrong_gift", N_("Wrong gift")),
    ("goods_returned", N_("Goods came back")),
    ("customer_wish", N_("The customer's wish")),
    ("other", N_("Other")),
)
STATES: Final[dict[EntitlementStatus, tuple[str, str]]] = {
    EntitlementStatus.GRANTED: (N_("To be fetched"), "info"),
    EntitlementStatus.RESERVED: (N_("Set aside"), "info"),
    EntitlementStatus.HANDED_OUT: (N_("Handed over"), "good"),
    EntitlementStatus.RETURNED: (N_("Undone"), "warn"),
    EntitlementStatus.EXPIRED: (N_("Not fetched in time"), "bad"),
    EntitlementStatus.CANCELLED: (N_("Undone"), "warn"),
}
_TO_FETCH: Final = frozenset({EntitlementStatus.GRANTED, EntitlementStatus.RESERVED})
_LATEST: Final = 8


class _Redeemed(Said, omit_defaults=True, kw_only=True):
    redemption: str | None = None


class _Undone(msgspec.Struct):
    redemption_id: UUID


@dataclass(frozen=True, slots=True)
class Choice:
    """What points buy here, as the page offers it."""

    name: str
    about: str
    pieces: int
    free: int
    points: str
    missing: str
    """What keeps the customer from it; empty where nothing does."""
    href: str
    gift: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Spent:
    """One redemption of the account."""

    href: str
    what: str
    when: str
    points: str
    undone: bool


@get("/cards/{card_id:uuid}/points")
async def points_page(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Show a card's points, what they buy here, and what they bought."""
    till.require(Permission.SELL)
    till.require_shift()
    async with reading(till) as session:
        return await _drawn(till, session, await sheet_of(till, session, card_id=card_id))


@post("/cards/{card_id:uuid}/points", status_code=303)
async def redeem(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Spend points on a gift of this station: signed for it is handed over, else set aside here."""
    till.require(Permission.SELL)
    till.require_shift()
    form, _ = till.form, till.gettext
    gift = form.text("gift", _("Gift"), longest=48)
    pieces = form.whole("pieces", _("Pieces"), low=1, high=1000) or 1
    pin, drawn = form.secret("pin").strip(), form.long("signature")
    form.check()
    async with reading(till) as session:
        sheet = await sheet_of(till, session, card_id=card_id)
    token = code_for(till.request, sheet.number_index)

    async def perform(session: AsyncSession) -> Outcome:
        shown = await judge_holder(
            session,
            snapshot=till.pump.snapshot,
            place=till.place,
            number_index=sheet.number_index,
            # The PIN stays in this process; the rules only ask whether one was given.
            credential=Credential(pin="given" if pin else None, token=token or None),
            presented=presented_by(pin, token),
            actor=till.actor,
            now=till.now,
        )
        if shown.refused is not None or shown.card is None:
            assert shown.refused is not None, "an unknown card is refused in words"
            account_id = NOBODY if shown.card is None else shown.card.account_id
            refused = _Redeemed(**{name: getattr(shown.refused, name) for name in shown.refused.__struct_fields__})
            return Outcome.of(account_id, card_id, refused)
        made = await redeeming.redeem(
            session,
            account_id=shown.card.account_id,
            card_id=card_id,
            gift=gift,
            pieces=pieces,
            signature=drawn,
            station_id=till.place.station_id,
            terminal_id=till.place.terminal_id,
            policy=till.policy,
            zone=_zone(till),
            actor=till.actor,
            now=till.now,
        )
        ref = reference(made.redemption.account_id, made.redemption.redemption_id)
        return Outcome.of(shown.card.account_id, made.redemption.redemption_id, _Redeemed(outcome="redeemed", redemption=ref))

    answer = await till.once(Operation.OTHER, _Redeemed, perform)
    if answer.redemption is not None:
        cookies = [code_cookie(till.request, "")] if token else None
        return redirect(till.request, f"{HOME}/points/{answer.redemption}?new=1", cookies=cookies)
    async with reading(till) as session:
        # Read anew: a wrong PIN may have locked it.
        sheet = await sheet_of(till, session, card_id=card_id)
        return await _drawn(till, session, sheet, said=answer)


@get("/points/{ref:str}")
async def bought_page(ref: FromPath[str], till: NamedDependency[Till]) -> Page:
    """Show what points bought: its receipt, and the way back."""
    till.require(Permission.SELL)
    shift = till.require_shift()
    async with reading(till) as session:
        bought = await _bought_of(till, session, ref)
        made, right = bought
        slip = await points_slip(till.scribe, session, bought)
        printed = await prints_of(session, kind=ReceiptKind.POINTS, subject_id=made.redemption_id)
        label, tone = (N_("Undone"), "warn") if made.returned_at else STATES[right.status] if right else (N_("Redeemed"), "good")
        over = right is not None and right.status is EntitlementStatus.EXPIRED
        return await draw(
            till,
            session,
            "points_done.html",
            here="points",
            card_id=made.card_id,
            ref=ref,
            new="new" in till.request.query_params,
            card=made.card_id,
            points=_told(till, made.points),
            what=_what(till, bought),
            undone=made.returned_at is not None,
            tag=(till.gettext(label), tone),
            at=made.returned_at or made.spent_at,
            to_fetch=right is not None and right.status in _TO_FETCH and made.returned_at is None,
            reserved_until=right.reserved_until if right else None,
            handed=right is not None and right.status is EntitlementStatus.HANDED_OUT,
            slip=slip.preview(printed),
            after=slip.after,
            printed=printed,
            undoable=made.returned_at is None and not over and till.may(Permission.REFUND_SALE),
            second=made.spent_at < shift.opened_at,
            reasons=[(code, till.gettext(text)) for code, text in REASONS],
            once=new_key(),
        )


@post("/points/{ref:str}/receipt", status_code=200)
async def points_receipt(ref: FromPath[str], till: NamedDependency[Till]) -> Response[bytes]:
    """Give the 80 mm receipt; every print after the first says that it is a copy."""
    till.require(Permission.PRINT_RECEIPTS)
    async with transaction(till.sessions) as session:
        bought = await _bought_of(till, session, ref)
        slip = await points_slip(till.scribe, session, bought)
        copies = await count_print(
            session,
            kind=ReceiptKind.POINTS,
            subject_id=bought.redemption.redemption_id,
            terminal_id=till.place.terminal_id,
            staff_id=till.principal.staff_id,
            now=till.now,
        )
    name = f"receipt-{bought.redemption.redemption_id}.pdf"
    return document(slip.pdf(copies), media_type="application/pdf", filename=name, inline=True)


@post("/points/{ref:str}/undo", status_code=303)
async def undo(ref: FromPath[str], till: NamedDependency[Till]) -> Page:
    """Take a redemption back: in this shift alone, later with a second person."""
    till.require(Permission.REFUND_SALE)
    shift = till.require_shift()
    form, _ = till.form, till.gettext
    reason = form.text("reason", _("Reason"), longest=40)
    restock = form.flag("restock")
    form.check()
    both = parse_reference(ref)
    if both is None:
        raise RedemptionNotFound
    facts: dict[str, Any] = {"redemption": ref, "restock": restock}
    approval = await approve(till, "undo_points", facts)

    async def perform(session: AsyncSession) -> Outcome:
        approved_by = await spend(till, session, approval, "undo_points", facts)
        await redeeming.undo(
            session,
            account_id=both[0],
            redemption_id=both[1],
            station_id=till.place.station_id,
            shift_since=shift.opened_at,
            approved_by=approved_by,
            restock=restock,
            reason=reason,
            actor=till.actor,
            now=till.now,
        )
        return Outcome.of(both[0], both[1], _Undone(both[1]))

    await till.once(Operation.OTHER, _Undone, perform)
    return till.done(f"{HOME}/points/{ref}", _("Undone: the points are back where they came from."))


async def _drawn(till: Till, session: AsyncSession, sheet: CardSheet, *, said: Said | None = None) -> Page:
    account = await get_account(session, account_id=sheet.account_id)
    held = await points_of_card(session, account=account, card_id=sheet.card_id, now=till.now)
    most = till.policy.for_currency(account.currency).points.month_max
    left = None
    if most is not None:
        month = month_start(local_date(till.now, _zone(till)))
        left = max(0, most - await redeemed_in(session, account_id=sheet.account_id, month=month))
    priced = await gifts_for_points(session, station_id=till.place.station_id)
    choices = [_choice(till, sheet, each, held.available, left) for each in priced]
    chosen = _chosen(till, choices) if sheet.living and not sheet.stopped else None
    token = bool(code_for(till.request, sheet.number_index))
    return await draw(
        till,
        session,
        "points.html",
        here="points",
        card_id=sheet.card_id,
        sheet=sheet,
        points=points_shown(till.words, till.f, held),
        month_left=None if left is None or most is None else (till.f.count(left), till.f.count(most)),
        choices=choices,
        chosen=chosen,
        spent=await _spent(till, session, sheet),
        token=token,
        declined=None if said is None else declined(till, said),
        once=new_key(),
    )


def _choice(till: Till, sheet: CardSheet, each: PricedGift, available: int, left: int | None) -> Choice:
    _ = till.gettext
    missing = ""
    if each.points > available:
        missing = _("%(points)s points short", points=till.f.count(each.points - available))
    elif left is not None and each.points > left:
        missing = _("over the month's limit")
    return Choice(
        name=till.either(each.name_zh, each.name_en),
        about=till.either(each.about_zh, each.about_en),
        pieces=each.pieces,
        free=each.free,
        points=_told(till, each.points),
        missing=missing,
        href=f"{HOME}/cards/{sheet.card_id}/points?gift={each.gift}&pieces={each.pieces}",
        gift=each.gift,
        chosen=(each.gift, str(each.pieces)) == _asked(till),
    )


def _asked(till: Till) -> tuple[str, str]:
    """Return the gift that the address, or a form sent back, names."""
    asked = till.query if till.request.method == "GET" else till.form
    return asked.raw("gift"), asked.raw("pieces")


def _chosen(till: Till, choices: list[Choice]) -> Choice | None:
    """Return what was chosen; the only thing that can be had needs no choosing."""
    named = next((each for each in choices if each.chosen and not each.missing), None)
    possible = [each for each in choices if not each.missing]
    return named or (possible[0] if len(possible) == 1 and not _asked(till)[0] else None)


async def _spent(till: Till, session: AsyncSession, sheet: CardSheet) -> list[Spent]:
    made = await redemptions_of(session, account_ids=[sheet.account_id], limit=_LATEST)
    spent = []
    for each in made:
        bought = await bought_with(session, account_id=each.account_id, redemption_id=each.redemption_id)
        assert bought is not None, "read a moment ago"
        here = each.station_id == till.place.station_id
        href = f"{HOME}/points/{reference(each.account_id, each.redemption_id)}" if here else ""
        when = till.f.when(each.spent_at)
        spent.append(Spent(href, _what(till, bought), when, _told(till, each.points), each.returned_at is not None))
    return spent


def _what(till: Till, bought: Bought) -> str:
    right = bought.right
    if right is None:
        return bought.redemption.purpose
    return f"{till.either(right.name_zh, right.name_en)} × {right.pieces}"


def _told(till: Till, points: int) -> str:
    return till.gettext("%(points)s points", points=till.f.count(points))


def _zone(till: Till) -> str:
    """Return the office's zone: a month of points is the issuer's, whatever the station's."""
    zone: str = till.request.app.state.settings.zone
    return zone


async def _bought_of(till: Till, session: AsyncSession, ref: str) -> Bought:
    both = parse_reference(ref)
    if both is None:
        raise RedemptionNotFound
    return await redeeming.get_bought(session, account_id=both[0], redemption_id=both[1], station_id=till.place.station_id)


handlers = [points_page, redeem, bought_page, points_receipt, undo]
