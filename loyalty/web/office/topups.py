"""One top-up: what it brought and what went back; its refund, worked out before it is done: bonus first, what is spent of it kept back."""

from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.cards.queries import get_card
from loyalty.db import transaction
from loyalty.errors import NotFound, Refusal
from loyalty.identity.operations.tills import identify_at_till, require_at_station
from loyalty.identity.rules import Permission
from loyalty.topups import operations, queries
from loyalty.topups.model import WALLETS, Topup, TopupStatus
from loyalty.topups.model_returns import ReturnKind, TopupReturn
from loyalty.topups.operations import RefundQuote
from loyalty.topups.queries import TopupNotFound
from loyalty.web.benefits import Teller, item_names, items_of
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import TENDER, TOPUP_STATUS
from loyalty.web.office.lookups import field, hidden, said
from loyalty.web.office.owners import owners
from loyalty.web.office.parts import Act, Cell, Events, Facts, Field, Part, Rows, Said
from loyalty.web.office.sale_amounts import funder_of

PATH: Final = "/office/top-ups"
_RETURN: Final = {
    ReturnKind.VOID: N_("Void"),
    ReturnKind.REFUND: N_("Refund"),
    ReturnKind.REVERSAL: N_("By its wallet"),
}


class ApproverRefused(Refusal):
    """Card or PIN of the second person did not do; one answer for all of it."""

    status = 403
    zh = "复核人的员工卡或密码不正确，或此人不能复核。"
    en = "The second person's card or PIN is not right, or this person may not approve."
    next_zh = "请由该油站的站长或其他有权人员本人输入。"
    next_en = "Let the station's manager, or another person entitled to it, type them."


async def _seen(desk: Desk, topup_id: UUID) -> Topup:
    """Return a top-up of the reader's stations: who reads the ledger, and who takes loads back.

    :raises NotAllowed: if it is nobody of these
    :raises TopupNotFound: if it is none, or of a station out of reach
    """
    reachable = desk.reachable(Permission.READ_LEDGER if desk.may(Permission.READ_LEDGER) else Permission.REVERSE_LOAD)
    one = await queries.get_topup(desk.session, topup_id=topup_id)
    if reachable is not None and one.station_id not in reachable:
        raise TopupNotFound(topup=topup_id)
    return one


def _needs(desk: Desk, one: Topup) -> tuple[Permission, UUID | None]:
    """Return what the refund takes: the station's own people take its loads back, else whoever pays out for the issuer, with a step-up."""
    if one.station_id is not None and desk.may(Permission.REVERSE_LOAD, one.station_id):
        return Permission.REVERSE_LOAD, one.station_id
    return Permission.PAY_OUT, None


@get("/top-ups/{topup_id:uuid}")
async def topup(desk: NamedDependency[Desk], topup_id: FromPath[UUID]) -> Page:
    """Show a top-up: who paid what, what the rules gave, what went back of it."""
    one = await _seen(desk, topup_id)
    _ = desk.gettext
    label, tone = TOPUP_STATUS[one.status]
    teller = await _teller(desk, one)
    left = one.status is TopupStatus.BOOKED and one.returned_minor < one.amount_minor
    refunds = left and desk.may(*_needs(desk, one))
    return await desk.page(
        f"{_('Top-up')} {desk.f.money(one.amount_minor, one.currency)}",
        sub=desk.f.instant(one.event_at),
        crumbs=await _crumbs(desk, one),
        tags=[desk.tag(_(label), tone)],
        acts=[Act(_("Refund"), f"{PATH}/{topup_id}/refund", danger=True) if refunds else None],
        main=[await _given(desk, one, teller), await _returned(desk, one, teller), await _life(desk, one)],
        aside=[await _facts(desk, one)],
    )


async def _crumbs(desk: Desk, one: Topup, *more: tuple[str, str]) -> list[tuple[str, str]]:
    names = await owners(desk, [one.account_id])
    account = f"/office/accounts/{one.account_id}" if desk.may(Permission.READ_LEDGER) else ""
    here = (desk.f.money(one.amount_minor, one.currency), f"{PATH}/{one.topup_id}" if more else "")
    return [(names[one.account_id], account), here, *more]


async def _teller(desk: Desk, one: Topup) -> Teller:
    names = await item_names(desk.session, codes=items_of(_benefits(one)))
    return Teller(desk.words, desk.f, one.currency, names)


def _benefits(one: Topup) -> list[dict[str, Any]]:
    return list((one.detail or {}).get("benefits", ()))


async def _facts(desk: Desk, one: Topup) -> Facts:
    _ = desk.gettext
    money = desk.f.money
    places, people = await lookups.places(desk), await lookups.people(desk, [one.staff_id])
    names = await owners(desk, [one.account_id])
    card = await get_card(desk.session, card_id=one.card_id) if one.card_id else None
    reads = desk.may(Permission.READ_LEDGER)
    pairs: list[tuple[str, Any]] = [
        (_("Account"), desk.link(f"/office/accounts/{one.account_id}", names[one.account_id]) if reads else names[one.account_id]),
        (_("Card"), desk.link(f"/office/cards/{card.card_id}", f"•••• {card.number_tail}") if card else "—"),
        (_("Station"), cells.named(places.names, one.station_id)),
        (_("Staff"), cells.named(people, one.staff_id)),
        (_("Paid by"), _(TENDER[one.tender][0])),
        (_("Payment number"), one.reference or "—"),
        (_("Happened"), desk.f.instant(one.event_at)),
        (_("Booked"), desk.f.instant(one.booked_at)),
    ]
    if one.discount_minor:
        pairs.append((_("Borne by funders"), money(one.discount_minor, one.currency)))
    if one.settled_minor:
        pairs.append((_("Paid off what was owed"), money(one.settled_minor, one.currency)))
    return Facts(title=_("The top-up"), pairs=pairs, total=(_("Paid"), money(one.paid_minor, one.currency)))


async def _given(desk: Desk, one: Topup, teller: Teller) -> Rows:
    _ = desk.gettext
    places = await lookups.places(desk)
    benefits = _benefits(one)
    rows = []
    for benefit in benefits:
        told = teller.kept(benefit)
        borne = ", ".join(funder_of(desk, str(funder), places) for funder, _share in benefit["funders"])
        rows.append([cells.text(told.name), Cell(told.amount, told.amount), cells.text(borne)])
    by_hand = one.bonus_minor - sum(benefit["given"] for benefit in benefits if benefit["kind"] == "bonus")
    if by_hand:
        amount = teller.given("bonus", by_hand)
        rows.append(
            [cells.text(_("Bonus given by hand")), Cell(amount, amount), cells.text(funder_of(desk, one.bonus_funder or "", places))]
        )
    return Rows(
        title=_("What it brought"),
        columns=[Column(_("Rule")), Column(_("Came to"), "num"), Column(_("Borne by"))],
        rows=rows,
        empty=_("No rule gave anything for it"),
    )


async def _returned(desk: Desk, one: Topup, teller: Teller) -> Rows:
    _ = desk.gettext
    found = await queries.returns_of(desk.session, topup_id=one.topup_id)
    people = await lookups.people(desk, [each.staff_id for each in found])
    return Rows(
        title=_("Given back"),
        columns=[
            Column(_("When")),
            Column(_("Kind")),
            Column(_("Off the card"), "num"),
            Column(_("Bonus taken back"), "num"),
            Column(_("Spent bonus kept back"), "num"),
            Column(_("Paid back"), "num"),
            Column(_("Taken back of what the rules gave")),
            Column(_("By")),
        ],
        rows=[
            [
                cells.when(desk, each.booked_at),
                cells.text(_(_RETURN[each.kind])),
                cells.money(desk, each.amount_minor, one.currency),
                cells.money(desk, each.bonus_minor, one.currency),
                cells.money(desk, each.shortfall_minor, one.currency),
                cells.money(desk, each.paid_minor, one.currency),
                cells.text(_back(one, each, teller)),
                cells.text(cells.named(people, each.staff_id)),
            ]
            for each in found
        ],
        empty=_("Nothing"),
    )


def _back(one: Topup, each: TopupReturn, teller: Teller) -> str:
    return ", ".join(f"{back.name} {back.amount}" for back in teller.back(_benefits(one), each.benefits or ()))


async def _life(desk: Desk, one: Topup) -> Events:
    _ = desk.gettext
    found = await queries.events_of(desk.session, subject_id=one.topup_id)
    people = await lookups.people(desk, [each.staff_id for each in found])
    lines = []
    for each in reversed(found):
        label, tone = TOPUP_STATUS[TopupStatus(each.moved_to)]
        approver = each.facts.get("approved_by")
        second = (await lookups.people(desk, [UUID(approver)])).get(UUID(approver), "") if approver else ""
        checked = _("checked by %(name)s", name=second) if second else ""
        notes = [cells.named(people, each.staff_id), checked, lookups.noted(desk, each.reason)]
        lines.append(lookups.happening(desk, each.happened_at, _(label), notes, tone=tone))
    return Events(title=_("History"), events=lines, empty=_("Nothing yet"))


@get("/top-ups/{topup_id:uuid}/refund")
async def ask_refund(desk: NamedDependency[Desk], topup_id: FromPath[UUID]) -> Page:
    """Say what a refund gives back to whom, and ask why; the amount stands in the address, without it all that the profile takes back."""
    one = await _seen(desk, topup_id)
    desk.offer(*_needs(desk, one))
    _ = desk.gettext
    base = f"{PATH}/{topup_id}"
    main: list[Part]
    again: list[Part] = []
    try:
        asked = desk.query.money("amount", _("Off the card"), one.currency, required=False)
        quote = await operations.quote_refund(desk.session, policy=desk.policy, topup_id=topup_id, amount_minor=asked, now=desk.now)
    except NotFound:
        raise
    except Refusal as refusal:
        title, then = refusal.parts(desk.words.locale)
        main = [Said(title=title, then=then, tone="warn", acts=[Act(_("Back"), base)])]
    else:
        again = [_another(desk, one, desk.f.amount(quote.refund.amount_minor, one.currency))]
        main = [_preview(desk, quote), *await _back_part(desk, quote), _refund_form(desk, quote)]
    crumbs = await _crumbs(desk, one, (_("Refund"), ""))
    return await desk.page(_("Refund of a top-up"), crumbs=crumbs, main=main, aside=[*again, await _facts(desk, one)])


def _another(desk: Desk, one: Topup, amount: str) -> Part:
    _ = desk.gettext
    other = field("amount", _("Off the card"), num=True, value=amount, before=desk.f.sign_of(one.currency))
    path = f"{PATH}/{one.topup_id}/refund/preview"
    return desk.form_part(_("Another amount"), path, [other], submit=_("Work it out"), primary=False)


def _preview(desk: Desk, quote: RefundQuote) -> Facts:
    _ = desk.gettext
    refund, one = quote.refund, quote.topup

    def money(amount: int) -> str:
        return desk.f.money(amount, one.currency)

    pairs: list[tuple[str, Any]] = [(_("Off the card's principal"), money(refund.amount_minor))]
    if refund.discount_minor:
        pairs.append((_("Back to who bore the discount"), money(-refund.discount_minor)))
    if refund.shortfall_minor:
        pairs.append((_("Bonus already spent, kept back"), money(-refund.shortfall_minor)))
    if refund.bonus_minor:
        pairs.append((_("Besides, bonus taken off the card"), money(refund.bonus_minor)))
    told = "" if quote.told is None else desk.either(*quote.told)
    total = (_("Paid back · %(tender)s", tender=_(TENDER[one.tender][0])), money(refund.paid_minor))
    return Facts(title=_("What goes back"), pairs=pairs, note=told, total=total, figures=True)


async def _back_part(desk: Desk, quote: RefundQuote) -> list[Part]:
    """Say what is taken back of what the rules gave, points and things among it."""
    _ = desk.gettext
    teller = await _teller(desk, quote.topup)
    back = teller.back(_benefits(quote.topup), quote.refund.back)
    if not back:
        return []
    return [
        Rows(
            title=_("Taken back of what the rules gave"),
            columns=[Column(_("Rule")), Column(_("Amount"), "num")],
            rows=[[cells.text(each.name), Cell(each.amount, each.amount)] for each in back],
            empty="",
            note=_("Points and things follow within minutes."),
        )
    ]


def _refund_form(desk: Desk, quote: RefundQuote) -> Part:
    _ = desk.gettext
    one = quote.topup
    fields: list[Field] = [
        hidden("amount", desk.f.amount(quote.refund.amount_minor, one.currency)),
        hidden("pays", quote.refund.paid_minor),
        field("reason", _("Reason"), autofocus=True),
    ]
    if one.tender in WALLETS:
        fields.append(field("reference", _("Number of the wallet's reversal")))
    if quote.two_people:
        second = {"inputmode": "numeric", "attrs": {"maxlength": "24"}}
        fields += [
            said(_("This amount needs a second person: the station's manager, or another entitled there, types card and PIN.")),
            field("approver_card", _("Staff card of who approves"), **second),
            field("approver_pin", _("PIN"), type="password", **second),
        ]
    paid = desk.f.money(quote.refund.paid_minor, one.currency)
    path = f"{PATH}/{one.topup_id}"
    return desk.form_part(_("Refund"), f"{path}/refund", fields, submit=_("Refund"), danger=True, amount=paid, cancel=path)


@post("/top-ups/{topup_id:uuid}/refund/preview", status_code=303)
async def preview(desk: NamedDependency[Desk], topup_id: FromPath[UUID]) -> Page:
    """Work the refund out for another amount."""
    one = await _seen(desk, topup_id)
    amount = desk.form.money("amount", desk.gettext("Off the card"), one.currency)
    desk.form.check()
    assert amount is not None
    return await desk.done(f"{PATH}/{topup_id}/refund?amount={desk.f.amount(amount, one.currency).replace(',', '')}")


class RefundChanged(Refusal):
    """Between the preview and the refund the account moved."""

    zh = "账户刚有变动，应退金额已变为 {pays}。"
    en = "The account has just moved: {pays} would be paid back now."
    next_zh = "请重新核对后再办理。"
    next_en = "Look at it again, then refund."


@post("/top-ups/{topup_id:uuid}/refund", status_code=303)
async def refund(desk: NamedDependency[Desk], topup_id: FromPath[UUID]) -> Page:
    """Give a load back, whole or in part, exactly as the preview said."""
    one = await _seen(desk, topup_id)
    desk.require(*_needs(desk, one))
    form, _ = desk.form, desk.gettext
    amount = form.money("amount", _("Off the card"), one.currency)
    reason = form.text("reason", _("Reason"))
    number = form.text("reference", _("Number of the wallet's reversal"), required=False, longest=64)
    form.check()
    done = await operations.refund_topup(
        desk.session,
        policy=desk.policy,
        topup_id=topup_id,
        amount_minor=amount,
        reason=reason,
        reversal_reference=number or None,
        approved_by=await _second_person(desk, one),
        actor=desk.actor,
        now=desk.now,
    )
    if form.raw("pays") != str(done.paid_minor):
        raise RefundChanged(pays=desk.f.money(done.paid_minor, one.currency))
    paid = desk.f.money(done.paid_minor, one.currency)
    told = _("Refunded. Pay %(amount)s back by %(tender)s.", amount=paid, tender=_(TENDER[one.tender][0]))
    return await desk.done(f"{PATH}/{topup_id}", told if done.told is None else f"{told} {desk.either(*done.told)}")


async def _second_person(desk: Desk, one: Topup) -> UUID | None:
    """Judge the second person's staff card and PIN, in a transaction of its own: the count survives a refusal; None where none is given.

    :raises ApproverRefused: if they do not do
    """
    card, pin = desk.form.raw("approver_card"), desk.form.secret("approver_pin").strip()
    if not card or one.station_id is None:
        return None
    async with transaction(desk.request.app.state.sessions) as session:
        # Tries are counted for this session as for a till: guessing here locks nobody's counter.
        found = await identify_at_till(session, terminal_id=desk.principal.session_id, card_number=card, pin=pin, now=desk.real_now)
    if found.staff_id is None:
        raise ApproverRefused
    await require_at_station(
        desk.session,
        staff_id=found.staff_id,
        permission=Permission.APPROVE_ON_SCREEN,
        station_id=one.station_id,
        now=desk.real_now,
    )
    return found.staff_id


handlers = [topup, ask_refund, preview, refund]
