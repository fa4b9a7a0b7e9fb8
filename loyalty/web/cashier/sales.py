"""A sale that was made: its receipt, its reprints, and giving it back, with a second person where the amount asks for one."""

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.answers import RefundAnswer
from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.model import Operation, SaleStatus
from loyalty.authorizations.operations.refunds import RefundLine, SaleNotFound, refund_sale
from loyalty.authorizations.wire import parse_reference
from loyalty.db import transaction
from loyalty.errors import Refusal
from loyalty.identity import operations as identity
from loyalty.identity.queries import grants_of
from loyalty.identity.rules import Permission, Principal, at_station
from loyalty.rewards.operations import voucher_tenders
from loyalty.rewards.queries.redeeming import bought_with
from loyalty.statements.model import ReceiptKind
from loyalty.statements.operations import count_print
from loyalty.statements.queries import prints_of
from loyalty.topups import operations as topups
from loyalty.topups.model import WALLETS, Topup, TopupStatus
from loyalty.topups.queries import TopupNotFound, get_topup
from loyalty.web.cashier import queries
from loyalty.web.cashier.counter import rows_of
from loyalty.web.cashier.frame import draw, reading
from loyalty.web.cashier.labels import SALE_TAGS, TENDERS, TOPUP_TAGS
from loyalty.web.cashier.paying import VOUCHER
from loyalty.web.cashier.receipts import Slip, product_names, sale_slip, topup_slip
from loyalty.web.cashier.till import HOME, Page, Till, new_key
from loyalty.web.i18n import N_
from loyalty.web.rendering import document

REASONS: Final = (
    ("wrong_fill", N_("Wrong fill or amount")),
    ("wrong_card", N_("Wrong card")),
    ("goods_returned", N_("Goods came back")),
    ("customer_wish", N_("The customer's wish")),
    ("other", N_("Other")),
)
_SETTLED: Final = {SaleStatus.REFUNDED, SaleStatus.VOIDED}


class ApproverRefused(Refusal):
    """Card or PIN of the second person did not do; one answer for all of it."""

    status = 403
    zh = "站长刷卡或密码不正确，或此人不能批准。"
    en = "The approver's card or PIN is not right, or this person may not approve."
    next_zh = "请由另一位有权限的员工刷卡并输入密码。"
    next_en = "Another person with the right to approve swipes the card and types the PIN."


class _TakenBack(msgspec.Struct):
    topup_id: UUID


@get("/sales/{ref:str}")
async def sale_page(ref: FromPath[str], till: NamedDependency[Till]) -> Page:
    """Show a sale: what was taken, its receipt, and the way back."""
    async with reading(till) as session:
        sale = await _sale_of(till, session, ref)
        slip = await sale_slip(till.scribe, session, sale)
        printed = await prints_of(session, kind=ReceiptKind.SALE, subject_id=sale.sale_id)
        label, tone = SALE_TAGS[str(sale.status)]
        left = sale.gross_minor - sale.refunded_minor
        detail = sale.detail or {}
        return await draw(
            till,
            session,
            "sale.html",
            here="counter" if "new" in till.request.query_params else "returns",
            ref=ref,
            sale=sale,
            new="new" in till.request.query_params,
            tag=(till.gettext(label), tone),
            paid_minor=sale.gross_minor - sale.discount_minor,
            slip=slip.preview(printed),
            after=[*slip.earned, *slip.after],
            tenders=slip.tenders,
            printed=printed,
            left_minor=left,
            # What the customer gets: the discount goes back with the price. Of a sale given back in part the rest stands at posted prices.
            back_minor=left if sale.refunded_minor else sale.gross_minor - sale.discount_minor,
            returnable=SaleStatus(sale.status) not in _SETTLED and left > 0 and till.may(Permission.REFUND_SALE),
            lines=[
                (place, name, line["amount_minor"])
                for place, line in enumerate(detail.get("lines") or [])
                for name in [(await product_names(till.scribe, session)).get(line["product"], line["product"])]
            ],
            second_from=till.policy.for_currency(sale.currency).control.reversal_second_person_from_minor,
            reasons=[(code, till.gettext(text)) for code, text in REASONS],
            once=new_key(),
        )


@post("/sales/{ref:str}/receipt", status_code=200)
async def sale_receipt(ref: FromPath[str], till: NamedDependency[Till]) -> Response[bytes]:
    """Give the 80 mm receipt; every print after the first says that it is a copy."""
    till.require(Permission.PRINT_RECEIPTS)
    async with transaction(till.sessions) as session:
        sale = await _sale_of(till, session, ref)
        slip = await sale_slip(till.scribe, session, sale)
        return await _printed(till, session, slip, ReceiptKind.SALE, sale.sale_id)


@post("/sales/{ref:str}/refund", status_code=303)
async def refund(ref: FromPath[str], till: NamedDependency[Till]) -> Page:
    """Give a sale back: all that is left of it, an amount, or shop lines."""
    till.require(Permission.REFUND_SALE)
    till.require_shift()
    both = parse_reference(ref)
    if both is None:
        raise SaleNotFound
    form, _ = till.form, till.gettext
    whole = form.raw("how") != "part"
    amount = None if whole else form.money("amount", _("Amount"), till.currency)
    lines = [] if whole else [_line(text) for text in form.many("line")]
    reason = form.text("reason", _("Reason"), longest=40)
    note = form.text("note", _("Note"), required=False, longest=120)
    form.check()
    asked = amount if amount is not None or not lines else sum(line.amount_minor for line in lines if line is not None)
    facts = {"sale": ref, "amount_minor": asked, "lines": form.many("line") if not whole else []}
    approval = await approve(till, "refund_sale", facts)

    async def perform(session: AsyncSession) -> Outcome:
        approved_by = await spend(till, session, approval, "refund_sale", facts)
        done = await refund_sale(
            session,
            account_id=both[0],
            sale_id=both[1],
            place=till.place,
            policy=till.policy,
            reason=f"{reason}: {note}" if note else reason,
            staff_id=till.principal.staff_id,
            approved_by=approved_by,
            gross_minor=asked,
            lines=[line for line in lines if line is not None],
            now=till.now,
        )
        return Outcome.of(done.account_id, done.refund_id, done.answer)

    answer = await till.once(Operation.REFUND, RefundAnswer, perform)
    async with transaction(till.sessions) as session:
        good_again = await voucher_tenders.give_back(session, account_id=both[0], sale_id=both[1], actor=till.actor, now=till.now)
    back = [each for each in answer.tenders or [] if each.tender != VOUCHER]
    handed = [f"{_(TENDERS.get(each.tender, each.tender))} {till.money(each.amount_minor)}" for each in back]
    told = _("Given back: %(amount)s to the card.", amount=till.money(answer.card_minor))
    if handed:
        told += " " + _("Hand back: %(what)s.", what=", ".join(handed))
    if good_again:
        told += " " + _("The voucher is the customer's again.")
    elif len(back) < len(answer.tenders or []):
        told += " " + _("The voucher's share comes back with the last part.")
    if answer.expired_minor:
        told += " " + _("%(amount)s of it is bonus that has expired meanwhile.", amount=till.money(answer.expired_minor))
    return till.done(f"{HOME}/sales/{ref}", told)


@get("/top-ups/{topup_id:uuid}")
async def topup_page(topup_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Show a top-up: its receipt, and taking it back while it is the account's last movement."""
    async with reading(till) as session:
        topup = await _topup_of(till, session, topup_id)
        slip = await topup_slip(till.scribe, session, topup)
        printed = await prints_of(session, kind=ReceiptKind.TOPUP, subject_id=topup_id)
        label, tone = TOPUP_TAGS[topup.status.value]
        control = till.policy.for_currency(topup.currency).control
        return await draw(
            till,
            session,
            "topup_done.html",
            here="top-up" if "new" in till.request.query_params else "returns",
            card_id=topup.card_id,
            topup=topup,
            tender=till.gettext(TENDERS[topup.tender.value]),
            new="new" in till.request.query_params,
            tag=(till.gettext(label), tone),
            slip=slip.preview(printed),
            after=[*((name, amount) for name, amount, _strong in slip.totals if topup.discount_minor), *slip.earned, *slip.after],
            printed=printed,
            voidable=topup.status is TopupStatus.BOOKED and not topup.returned_minor and till.may(Permission.REVERSE_LOAD),
            asks_reference=topup.tender in WALLETS,
            second=control.reversal_second_person_from_minor is not None
            and topup.amount_minor >= control.reversal_second_person_from_minor,
            reasons=[(code, till.gettext(text)) for code, text in REASONS if code != "goods_returned"],
            once=new_key(),
        )


@post("/top-ups/{topup_id:uuid}/receipt", status_code=200)
async def topup_receipt(topup_id: FromPath[UUID], till: NamedDependency[Till]) -> Response[bytes]:
    """Give the 80 mm receipt of a top-up."""
    till.require(Permission.PRINT_RECEIPTS)
    async with transaction(till.sessions) as session:
        topup = await _topup_of(till, session, topup_id)
        slip = await topup_slip(till.scribe, session, topup)
        return await _printed(till, session, slip, ReceiptKind.TOPUP, topup_id)


@post("/top-ups/{topup_id:uuid}/void", status_code=303)
async def void(topup_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Take a top-up of this station back; the payer gets the money by the tender it came with."""
    till.require(Permission.REVERSE_LOAD)
    till.require_shift()
    form, _ = till.form, till.gettext
    reason = form.text("reason", _("Reason"), longest=40)
    number = form.text("reference", _("Number of the wallet's reversal"), required=False, longest=64)
    form.check()
    async with reading(till) as session:
        topup = await _topup_of(till, session, topup_id)
    facts = {"topup": str(topup_id), "amount_minor": topup.amount_minor}
    approval = await approve(till, "void_topup", facts)

    async def perform(session: AsyncSession) -> Outcome:
        approved_by = await spend(till, session, approval, "void_topup", facts)
        undone = await topups.void_topup(
            session,
            policy=till.policy,
            topup_id=topup_id,
            reason=reason,
            reversal_reference=number or None,
            approved_by=approved_by,
            actor=till.actor,
            now=till.now,
        )
        return Outcome.of(undone.account_id, topup_id, _TakenBack(topup_id))

    await till.once(Operation.TOPUP_REVERSAL, _TakenBack, perform)
    told = _(
        "Taken back. Give %(amount)s back by %(tender)s.", amount=till.money(topup.amount_minor), tender=_(TENDERS[topup.tender.value])
    )
    return till.done(f"{HOME}/top-ups/{topup_id}", told)


@get("/returns")
async def returns(till: NamedDependency[Till]) -> Page:
    """List what this shift sold and loaded, to be looked at, reprinted or given back."""
    shift = till.require_shift()
    async with reading(till) as session:
        moved = await queries.movements(
            session, terminal_id=till.place.terminal_id, station_id=till.place.station_id, since=shift.opened_at, limit=200
        )
        return await draw(
            till, session, "returns.html", here="returns", moves=rows_of(till, moved), missing="missing" in till.request.query_params
        )


@post("/returns", status_code=303)
async def look_up(till: NamedDependency[Till]) -> Page:
    """Find a sale, a top-up or what points bought by the number on its receipt, or by scanning the receipt's code."""
    typed = till.form.raw("number").rpartition("/")[2]
    async with reading(till) as session:
        both = parse_reference(typed)
        if both is not None and await queries.find_sale(session, account_id=both[0], sale_id=both[1], station_id=till.place.station_id):
            return till.done(f"{HOME}/sales/{typed}")
        if both is not None and (bought := await bought_with(session, account_id=both[0], redemption_id=both[1])) is not None:
            here = bought.redemption.station_id == till.place.station_id
            return till.done(f"{HOME}/points/{typed}" if here else f"{HOME}/returns?missing=1")
        try:
            await _topup_of(till, session, UUID(typed))
        except (ValueError, TopupNotFound):
            return till.done(f"{HOME}/returns?missing=1")
        return till.done(f"{HOME}/top-ups/{typed}")


async def approve(till: Till, action: str, facts: dict[str, Any]) -> str | None:
    """Judge the second person's card and PIN where they were given, in a transaction of its own: the count survives a refusal.

    :raises ApproverRefused: if they do not do
    """
    card, pin = till.form.raw("approver_card"), till.form.secret("approver_pin").strip()
    if not card:
        return None
    async with transaction(till.sessions) as session:
        approval = await identity.approve_on_screen(
            session, asked_by=till.principal, card_number=card, pin=pin, action=action, facts=facts, now=till.real_now
        )
    if approval.token is None:
        raise ApproverRefused(locked=approval.locked)
    return approval.token


async def spend(till: Till, session: AsyncSession, approval: str | None, action: str, facts: dict[str, Any]) -> UUID | None:
    """Use an approval up in the act's own transaction; None where nobody approved.

    :raises ApprovalNotValid: if it was used or was for something else
    """
    if approval is None:
        return None
    return await identity.spend_approval(session, token=approval, action=action, facts=facts, by=till.principal, now=till.real_now)


async def standing_in(till: Till, session: AsyncSession, approver: UUID | None) -> Principal:
    """Return who answers for the act: the approver with their own roles here, else the person at the till."""
    if approver is None:
        return till.principal
    grants = at_station(await grants_of(session, staff_id=approver, now=till.real_now), till.place.station_id)
    return replace(till.principal, staff_id=approver, grants=grants)  # type: ignore[arg-type]


def _line(text: str) -> RefundLine | None:
    place, _, rest = text.partition(":")
    amount, _, quantity = rest.partition(":")
    if not (place.isdigit() and amount.isdigit() and quantity.isdigit()):
        return None
    return RefundLine(int(place), int(amount), int(quantity))


async def _printed(till: Till, session: AsyncSession, slip: Slip, kind: ReceiptKind, subject_id: UUID) -> Response[bytes]:
    copies = await count_print(
        session, kind=kind, subject_id=subject_id, terminal_id=till.place.terminal_id, staff_id=till.principal.staff_id, now=till.now
    )
    return document(slip.pdf(copies), media_type="application/pdf", filename=f"receipt-{subject_id}.pdf", inline=True)


async def _sale_of(till: Till, session: AsyncSession, ref: str) -> queries.SaleView:
    both = parse_reference(ref)
    found = None
    if both is not None:
        found = await queries.find_sale(session, account_id=both[0], sale_id=both[1], station_id=till.place.station_id)
    if found is None:
        raise SaleNotFound
    return found


async def _topup_of(till: Till, session: AsyncSession, topup_id: UUID) -> Topup:
    topup = await get_topup(session, topup_id=topup_id)
    if topup.station_id != till.place.station_id:
        raise TopupNotFound(topup=topup_id)
    return topup


handlers = [sale_page, sale_receipt, refund, topup_page, topup_receipt, void, returns, look_up]
