"""What a partner was paid in advance, and the account it is paid to: one person enters, another confirms."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity.rules import Permission
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import field, said
from loyalty.web.office.parts import Act, Cell, Rows
from partners.model_payment import Decided
from partners.operations.blocks import (
    TEXT_MAX,
    decide_bank_account,
    decide_block,
    enter_bank_account,
    enter_block,
)
from partners.queries.alliances import PartnerView, get_partner
from partners.queries.payment import AccountView, BankAccountNotFound, BlockNotFound, BlockView, accounts_of, balance_of, blocks_of
from partners.web.office.common import allowed, base_of, crumbs_of, name_of, offered, today_of

DECIDED: Final[Mapping[Decided, tuple[str, str]]] = {
    Decided.ENTERED: (N_("Waits for a second person"), "warn"),
    Decided.CONFIRMED: (N_("Confirmed"), "good"),
    Decided.REFUSED: (N_("Refused"), "bad"),
}
_ACTS: Final = ("confirm", "refuse")


def _base(partner_id: UUID) -> str:
    return f"{base_of(partner_id)}/payments"


def _crumbs(desk: Desk, one: PartnerView, title: str) -> list[tuple[str, str]]:
    return crumbs_of(desk, one, (desk.gettext("Blocks and account"), _base(one.partner_id)), (title, ""))


@get("/partners/{partner_id:uuid}/payments")
async def payments(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Show what is left of the blocks, each block, and where the partner is paid."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)
    blocks, accounts = await blocks_of(desk.session, partner_id=partner_id), await accounts_of(desk.session, partner_id=partner_id)
    names = await lookups.people(desk, [*(each.made_by for each in blocks), *(each.made_by for each in accounts)])
    balance = await balance_of(desk.session, partner_id=partner_id)
    left = _("Left of what was paid in advance: %(amount)s", amount=desk.f.money(max(0, -balance), one.currency))
    edits = desk.may(Permission.EDIT_ALLIANCES)
    base = _base(partner_id)
    return await desk.page(
        _("Blocks and account"),
        sub=name_of(desk, one),
        crumbs=crumbs_of(desk, one, (_("Blocks and account"), "")),
        main=[
            Rows(
                title=_("Blocks paid in advance"),
                columns=[
                    Column(_("Paid on")),
                    Column(_("Amount"), "num"),
                    Column(_("The bank's reference")),
                    Column(_("State")),
                    Column(_("Line"), "num"),
                    Column(_("By")),
                    Column(""),
                ],
                rows=[_block(desk, one, each, names) for each in blocks],
                empty=_("None yet"),
                empty_then=_("A block that we pay in advance is drawn down by what is redeemed."),
                note=left,
                acts=[Act(_("Enter a block"), f"{base}/blocks/new")] if edits else [],
            ),
            Rows(
                title=_("Where the partner is paid"),
                columns=[Column(_("Holder")), Column(_("Bank")), Column(_("Account")), Column(_("State")), Column(_("By")), Column("")],
                rows=[_account(desk, one, each, names) for each in accounts],
                empty=_("No account yet"),
                empty_then=_("Nothing can be paid before an account is confirmed by a second person."),
                acts=[Act(_("Enter an account"), f"{base}/accounts/new")] if edits else [],
            ),
        ],
    )


def _block(desk: Desk, one: PartnerView, each: BlockView, names: dict[UUID, str]) -> list[Cell]:
    return [
        cells.day(desk, each.paid_on),
        cells.money(desk, each.amount_minor, one.currency),
        cells.text(each.reference),
        cells.tag(desk, each.status, DECIDED),
        cells.count(desk, each.line_number),
        cells.text(names.get(each.made_by)),
        _ways(desk, each, f"{_base(one.partner_id)}/blocks/{each.block_id}"),
    ]


def _account(desk: Desk, one: PartnerView, each: AccountView, names: dict[UUID, str]) -> list[Cell]:
    return [
        cells.text(each.holder),
        cells.text(each.bank),
        cells.text(f"•••• {each.number_tail}"),
        cells.tag(desk, each.status, DECIDED),
        cells.text(names.get(each.made_by)),
        _ways(desk, each, f"{_base(one.partner_id)}/accounts/{each.bank_account_id}"),
    ]


def _ways(desk: Desk, each: BlockView | AccountView, base: str) -> Cell:
    if each.status is not Decided.ENTERED or not desk.may(Permission.APPROVE_ALLIANCES) or each.made_by == desk.principal.staff_id:
        return Cell("", "")
    _ = desk.gettext
    return Cell(desk.link(f"{base}/confirm", _("Confirm")) + " · " + desk.link(f"{base}/refuse", _("Refuse")), "")


@get("/partners/{partner_id:uuid}/payments/blocks/new")
async def ask_block(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Ask what was paid."""
    one = await offered(desk, partner_id)
    _ = desk.gettext
    title = _("Enter a block")
    fields = [
        field("amount", _("Amount"), num=True, autofocus=True),
        field("day", _("Paid on"), type="date", value=today_of(desk, one).isoformat()),
        field("reference", _("The bank's reference")),
    ]
    note = _("It counts once another person compared it with the bank.")
    return await desk.ask(title, fields, submit=title, back=_base(partner_id), note=note, crumbs=_crumbs(desk, one, title))


@post("/partners/{partner_id:uuid}/payments/blocks/new", status_code=303)
async def keep_block(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Enter it."""
    one = await allowed(desk, partner_id)
    _, form = desk.gettext, desk.form
    amount, day = form.money("amount", _("Amount"), one.currency), form.day("day", _("Paid on"))
    reference = form.text("reference", _("The bank's reference"), longest=TEXT_MAX)
    form.check()
    assert amount is not None
    assert day is not None
    await enter_block(
        desk.session, partner_id=partner_id, amount_minor=amount, paid_on=day, reference=reference, actor=desk.actor, now=desk.now
    )
    return await desk.done(_base(partner_id), _("Entered; another person confirms it."))


@get("/partners/{partner_id:uuid}/payments/accounts/new")
async def ask_account(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Ask where the partner is paid."""
    one = await offered(desk, partner_id)
    _ = desk.gettext
    title = _("Enter an account")
    fields = [
        field("holder", _("Holder"), value=name_of(desk, one), autofocus=True),
        field("bank", _("Bank")),
        field("number", _("Account number"), num=True),
    ]
    note = _("The account before holds until another person confirms this one; ask the partner back on a number you know.")
    return await desk.ask(title, fields, submit=title, back=_base(partner_id), note=note, crumbs=_crumbs(desk, one, title))


@post("/partners/{partner_id:uuid}/payments/accounts/new", status_code=303)
async def keep_account(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Enter it."""
    await allowed(desk, partner_id)
    _, form = desk.gettext, desk.form
    told = {
        "holder": form.text("holder", _("Holder"), longest=TEXT_MAX),
        "bank": form.text("bank", _("Bank"), longest=TEXT_MAX),
        "number": form.text("number", _("Account number"), longest=TEXT_MAX),
    }
    form.check()
    await enter_bank_account(desk.session, partner_id=partner_id, **told, actor=desk.actor, now=desk.now)
    return await desk.done(_base(partner_id), _("Entered; another person confirms it."))


@get([f"/partners/{{partner_id:uuid}}/payments/blocks/{{block_id:uuid}}/{act}" for act in _ACTS])
async def ask_block_decision(desk: NamedDependency[Desk], partner_id: FromPath[UUID], block_id: FromPath[UUID]) -> Page:
    """Ask once, with the amount in the button."""
    desk.offer(Permission.APPROVE_ALLIANCES)
    _ = desk.gettext
    one, each = await get_partner(desk.session, partner_id=partner_id), await _the_block(desk, partner_id, block_id)
    agrees = desk.act == "confirm"
    title = _("Confirm the block") if agrees else _("Refuse the block")
    amount = desk.f.money(each.amount_minor, one.currency)
    fields = [said(f"{desk.f.full_day(each.paid_on)} · {each.reference}")]
    crumbs = _crumbs(desk, one, title)
    return await desk.ask(title, fields, submit=title, amount=amount, danger=not agrees, back=_base(partner_id), crumbs=crumbs)


@post([f"/partners/{{partner_id:uuid}}/payments/blocks/{{block_id:uuid}}/{act}" for act in _ACTS], status_code=303)
async def decide_on_block(desk: NamedDependency[Desk], partner_id: FromPath[UUID], block_id: FromPath[UUID]) -> Page:
    """Decide it."""
    desk.require(Permission.APPROVE_ALLIANCES)
    _ = desk.gettext
    await _the_block(desk, partner_id, block_id)
    number = await decide_block(desk.session, block_id=block_id, agree=desk.act == "confirm", actor=desk.actor, now=desk.now)
    return await desk.done(_base(partner_id), _("Refused") if number is None else _("Confirmed: line %(number)s.", number=number))


@get([f"/partners/{{partner_id:uuid}}/payments/accounts/{{account_id:uuid}}/{act}" for act in _ACTS])
async def ask_account_decision(desk: NamedDependency[Desk], partner_id: FromPath[UUID], account_id: FromPath[UUID]) -> Page:
    """Ask once."""
    desk.offer(Permission.APPROVE_ALLIANCES)
    _ = desk.gettext
    one, each = await get_partner(desk.session, partner_id=partner_id), await _the_account(desk, partner_id, account_id)
    agrees = desk.act == "confirm"
    title = _("Confirm the account") if agrees else _("Refuse the account")
    fields = [said(f"{each.holder} · {each.bank} · •••• {each.number_tail}")]
    return await desk.ask(title, fields, submit=title, danger=not agrees, back=_base(partner_id), crumbs=_crumbs(desk, one, title))


@post([f"/partners/{{partner_id:uuid}}/payments/accounts/{{account_id:uuid}}/{act}" for act in _ACTS], status_code=303)
async def decide_on_account(desk: NamedDependency[Desk], partner_id: FromPath[UUID], account_id: FromPath[UUID]) -> Page:
    """Decide it."""
    desk.require(Permission.APPROVE_ALLIANCES)
    _ = desk.gettext
    await _the_account(desk, partner_id, account_id)
    agrees = desk.act == "confirm"
    await decide_bank_account(desk.session, bank_account_id=account_id, agree=agrees, actor=desk.actor, now=desk.now)
    return await desk.done(_base(partner_id), _("Confirmed: the partner is paid there from now on.") if agrees else _("Refused"))


async def _the_block(desk: Desk, partner_id: UUID, block_id: UUID) -> BlockView:
    found = next((each for each in await blocks_of(desk.session, partner_id=partner_id) if each.block_id == block_id), None)
    if found is None:
        raise BlockNotFound(block=block_id)
    return found


async def _the_account(desk: Desk, partner_id: UUID, account_id: UUID) -> AccountView:
    found = next((each for each in await accounts_of(desk.session, partner_id=partner_id) if each.bank_account_id == account_id), None)
    if found is None:
        raise BankAccountNotFound(account=account_id)
    return found


handlers = [
    payments,
    ask_block,
    keep_block,
    ask_account,
    keep_account,
    ask_block_decision,
    decide_on_block,
    ask_account_decision,
    decide_on_account,
]
