"""A company's points: what lies with the account, what its main card may spend, and moving the one to the other."""

from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.cards.queries import cards_of_account
from loyalty.customers.queries import get_customer
from loyalty.identity.rules import Permission
from loyalty.ledger.model import Account, AccountKind
from loyalty.ledger.queries import get_account
from loyalty.rewards.operations.redeeming import NoMainCard, gather_points
from loyalty.rewards.queries.points import accounts_of, points_of
from loyalty.rewards.queries.redeeming import points_of_card
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import field, select
from loyalty.web.office.parts import Act, Cell, Rows


class _Held:
    """Points of one account of a company."""

    def __init__(self, account: Account, *, pool: int, card: int, pending: int, tail: str) -> None:
        self.account = account
        self.pool = pool
        self.card = card
        self.pending = pending
        self.tail = tail
        """Of the main card; empty where none lives."""

    @property
    def label(self) -> str:
        """How the account is told from the company's others."""
        return f"{self.account.currency} · {str(self.account.account_id)[-6:]}"


async def company_points_part(desk: Desk, customer_id: UUID) -> Rows:
    """Show a company's points, with the way to its main card."""
    _ = desk.gettext
    held = await _held(desk, customer_id)
    moves = desk.may(Permission.EDIT_DISCOUNTS) and any(one.pool and one.tail for one in held)
    return Rows(
        title=_("Points"),
        columns=[
            Column(_("Account")),
            Column(_("With the account"), "num"),
            Column(_("Not active yet"), "num"),
            Column(_("On the main card"), "num"),
            Column(_("Main card")),
        ],
        rows=[
            [
                cells.link(desk, f"/office/accounts/{one.account.account_id}", one.label),
                cells.count(desk, one.pool),
                cells.count(desk, one.pending),
                cells.count(desk, one.card),
                Cell(f"•••• {one.tail}" if one.tail else "—", one.tail),
            ]
            for one in held
        ],
        empty=_("No account yet"),
        acts=[Act(_("Move to the main card"), f"/office/customers/{customer_id}/points-to-main-card")] if moves else [],
    )


async def _held(desk: Desk, customer_id: UUID) -> list[_Held]:
    held = []
    for account_id in await accounts_of(desk.session, customer_id=customer_id):
        account = await get_account(desk.session, account_id=account_id)
        if account.kind is not AccountKind.COMPANY:
            continue
        pending = (await points_of(desk.session, account_ids=[account_id], now=desk.now)).pending
        pool = (await points_of_card(desk.session, account=account, card_id=None, now=desk.now)).available
        main = next((card for card in await cards_of_account(desk.session, account_id=account_id, living=True) if card.is_main), None)
        on_card = 0
        if main is not None:
            on_card = (await points_of_card(desk.session, account=account, card_id=main.card_id, now=desk.now)).available
        tail = "" if main is None else main.number_tail
        held.append(_Held(account, pool=pool, card=on_card, pending=pending, tail=tail))
    return held


@get("/customers/{customer_id:uuid}/points-to-main-card")
async def ask_gathering(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Ask how many of a company's points go to its main card."""
    desk.offer(Permission.EDIT_DISCOUNTS)
    _ = desk.gettext
    one = await get_customer(desk.session, customer_id=customer_id)
    base = f"/office/customers/{customer_id}"
    held = [each for each in await _held(desk, customer_id) if each.pool and each.tail]
    if not held:
        raise NoMainCard
    options = [
        (str(each.account.account_id), _("%(account)s: %(points)s points", account=each.label, points=desk.f.count(each.pool)))
        for each in held
    ]
    fields = [
        select("account", _("Account"), options, value=options[0][0]),
        field("points", _("Points"), num=True, required=False, autofocus=True, help=_("Empty: all of them. Each lot keeps its expiry.")),
        field("reason", _("Reason")),
    ]
    crumbs = [(_("Customers"), "/office/customers"), (one.name, base), (_("Move to the main card"), "")]
    note = _("The main card's holder then spends them at any station.")
    return await desk.ask(
        _("Move to the main card"), fields, submit=_("Move the points"), back=base, crumbs=crumbs, note=note, sub=one.name
    )


@post("/customers/{customer_id:uuid}/points-to-main-card", status_code=303)
async def gather(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Move a company's points to its main card; the trail keeps who did, and why."""
    desk.require(Permission.EDIT_DISCOUNTS)
    form, _ = desk.form, desk.gettext
    known = {str(account_id): account_id for account_id in await accounts_of(desk.session, customer_id=customer_id)}
    account_id = known.get(form.raw("account"))
    wanted = form.whole("points", _("Points"), low=1, required=False)
    reason = form.text("reason", _("Reason"), longest=200)
    if account_id is None:
        form.fault("account", _("Account"), _("is needed"))
    form.check()
    assert account_id is not None, "checked above"
    done = await gather_points(desk.session, account_id=account_id, points_wanted=wanted, reason=reason, actor=desk.actor, now=desk.now)
    told = desk.words.ngettext("%(num)s point moved", "%(num)s points moved", done.points)
    return await desk.done(f"/office/customers/{customer_id}", told)


handlers = [ask_gathering, gather]
