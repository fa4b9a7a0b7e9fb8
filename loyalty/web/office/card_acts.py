"""What is done to a card from the office: each act asks once, says why, and where it can be taken back, the toast does."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.cards import operations, queries
from loyalty.cards.model import Card, CardStatus
from loyalty.cards.rules import Replacing
from loyalty.errors import NotFound
from loyalty.identity.rules import Permission
from loyalty.limits.model import LimitKind, Reaction
from loyalty.limits.operations import add_limit, end_limit
from loyalty.limits.queries import standing_limits
from loyalty.web.i18n import N_
from loyalty.web.office.cards import PATH
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import LIMIT_KIND
from loyalty.web.office.limit_forms import kind_field, limit_fields, read_kind, read_limit
from loyalty.web.office.lookups import check, chips, field


@dataclass(frozen=True, slots=True)
class _Move:
    """A change of status: what it is called, what it does, and the act that takes it back."""

    title: str
    note: str
    done: str
    work: Callable[..., Awaitable[Card]]
    undo: str = ""
    danger: bool = False
    permission: Permission = Permission.SERVE_CARDS


_MOVES = {
    "suspend": _Move(
        N_("Suspend"), N_("The card buys nothing until it is let live again."), N_("Suspended"), operations.suspend_card, undo="resume"
    ),
    "resume": _Move(N_("Let it live again"), "", N_("It lives again"), operations.resume_card, undo="suspend"),
    "lost": _Move(
        N_("Report lost"),
        N_("From this moment on losses are no longer the holder's; the exact moment is kept."),
        N_("Reported lost"),
        operations.report_lost,
        undo="found",
        danger=True,
    ),
    "found": _Move(
        N_("Found again"), N_("It returns to the status it was lost from; you answer for it."), N_("Found again"), operations.report_found
    ),
    "close": _Move(
        N_("Close"),
        N_("Only the card is closed: its account's money is given back on the account's page. The number can be reopened for six months."),
        N_("Closed"),
        operations.close_card,
        undo="reopen",
        danger=True,
        permission=Permission.CLOSE_CARDS,
    ),
}
_ACTS = [f"/cards/{{card_id:uuid}}/{name}" for name in _MOVES]


async def _crumbs(desk: Desk, card_id: UUID, title: str) -> list[tuple[str, str]]:
    card = await queries.get_card(desk.session, card_id=card_id)
    return [(desk.gettext("Cards"), PATH), (f"•••• {card.number_tail}", f"{PATH}/{card_id}"), (title, "")]


@get(_ACTS)
async def ask_move(desk: NamedDependency[Desk], card_id: FromPath[UUID]) -> Page:
    """Ask why a card's status changes."""
    move = _MOVES[desk.act]
    desk.require(move.permission)
    _ = desk.gettext
    title = _(move.title)
    return await desk.ask(
        title,
        [field("reason", _("Reason"), autofocus=True)],
        submit=title,
        danger=move.danger,
        back=f"{PATH}/{card_id}",
        crumbs=await _crumbs(desk, card_id, title),
        note=_(move.note) if move.note else "",
    )


@post(_ACTS, status_code=303)
async def do_move(desk: NamedDependency[Desk], card_id: FromPath[UUID]) -> Page:
    """Change a card's status."""
    move = _MOVES[desk.act]
    desk.require(move.permission)
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await move.work(desk.session, card_id=card_id, reason=reason, actor=desk.actor, now=desk.now)
    undo = f"{PATH}/{card_id}/{move.undo}" if move.undo else ""
    return await desk.done(f"{PATH}/{card_id}", desk.gettext(move.done), undo=undo, fields={"reason": "undo"} if undo else None)


@post("/cards/{card_id:uuid}/reopen", status_code=303)
async def reopen(desk: NamedDependency[Desk], card_id: FromPath[UUID]) -> Page:
    """Reopen a closed card within the profile's months."""
    desk.require(Permission.CLOSE_CARDS)
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await operations.reopen_card(desk.session, card_id=card_id, policy=desk.policy, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{card_id}", desk.gettext("Reopened"))


@get("/cards/{card_id:uuid}/unlock")
async def ask_unlock(desk: NamedDependency[Desk], card_id: FromPath[UUID]) -> Page:
    """Ask whether the holder's document was seen."""
    desk.require(Permission.SERVE_CARDS)
    _ = desk.gettext
    fields = [check("seen", _("I have seen the holder's document"), required=True)]
    crumbs = await _crumbs(desk, card_id, _("Unlock the PIN"))
    return await desk.ask(
        _("Unlock the PIN"),
        fields,
        submit=_("Unlock"),
        back=f"{PATH}/{card_id}",
        crumbs=crumbs,
        note=_("Three tries are given back; the PIN stays."),
    )


@post("/cards/{card_id:uuid}/unlock", status_code=303)
async def unlock(desk: NamedDependency[Desk], card_id: FromPath[UUID]) -> Page:
    """Give back the three tries."""
    desk.require(Permission.SERVE_CARDS)
    seen = desk.form.flag("seen")
    await operations.unlock_pin(desk.session, card_id=card_id, identity_seen=seen, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{card_id}", desk.gettext("The PIN is unlocked"))


@get("/cards/{card_id:uuid}/label")
async def ask_label(desk: NamedDependency[Desk], card_id: FromPath[UUID]) -> Page:
    """Ask whose the card is within its account, and for its plate."""
    desk.require(Permission.SERVE_CARDS)
    _ = desk.gettext
    card = await queries.get_card(desk.session, card_id=card_id)
    fields = [
        field("holder", _("Holder"), value=card.holder_label or "", required=False, help=_("A driver or a department."), autofocus=True),
        field("plate", _("Plate"), value=card.plate or "", required=False),
    ]
    crumbs = await _crumbs(desk, card_id, _("Holder and plate"))
    return await desk.ask(_("Holder and plate"), fields, submit=_("Save"), back=f"{PATH}/{card_id}", crumbs=crumbs)


@post("/cards/{card_id:uuid}/label", status_code=303)
async def label(desk: NamedDependency[Desk], card_id: FromPath[UUID]) -> Page:
    """Store holder and plate."""
    desk.require(Permission.SERVE_CARDS)
    form = desk.form
    await operations.label_card(
        desk.session,
        card_id=card_id,
        holder_label=form.raw("holder") or None,
        plate=form.raw("plate") or None,
        actor=desk.actor,
        now=desk.now,
    )
    return await desk.done(f"{PATH}/{card_id}", desk.gettext("Saved"))


@get("/cards/{card_id:uuid}/replace")
async def ask_replace(desk: NamedDependency[Desk], card_id: FromPath[UUID]) -> Page:
    """Ask for the blank that takes the card's place."""
    desk.require(Permission.SERVE_CARDS)
    _ = desk.gettext
    card = await queries.get_card(desk.session, card_id=card_id)
    product = await queries.get_product(desk.session, product_id=card.product_id)
    fields = [
        field("number", _("Number of the blank card"), autofocus=True, inputmode="numeric"),
        chips(
            "reason",
            _("Why"),
            [(Replacing.LOST.value, _("Lost")), (Replacing.DAMAGED.value, _("Damaged")), (Replacing.EXPIRED.value, _("Expired"))],
            value=Replacing.LOST.value if card.status is CardStatus.LOST else Replacing.DAMAGED.value,
        ),
    ]
    return await desk.ask(
        _("Replace the card"),
        fields,
        submit=_("Replace"),
        amount=desk.f.money(product.replacement_fee_minor, product.currency) if product.replacement_fee_minor else "",
        back=f"{PATH}/{card_id}",
        crumbs=await _crumbs(desk, card_id, _("Replace")),
        note=_("Same account, money, limits and counters. The fee is charged at the counter; the holder chooses a PIN there."),
    )


@post("/cards/{card_id:uuid}/replace", status_code=303)
async def replace(desk: NamedDependency[Desk], card_id: FromPath[UUID]) -> Page:
    """Put a blank in the card's place."""
    desk.require(Permission.SERVE_CARDS)
    _ = desk.gettext
    form = desk.form
    number = form.text("number", _("Number of the blank card"), longest=40)
    reason = form.choice("reason", _("Why"), Replacing, Replacing.LOST)
    form.check()
    blank = await queries.find_by_number(desk.session, number=number)
    made = await operations.replace_card(
        desk.session, card_id=card_id, new_card_id=blank.card_id, reason=reason, station_id=blank.station_id, actor=desk.actor, now=desk.now
    )
    return await desk.done(f"{PATH}/{made.card.card_id}", _("Replaced: this is the new card"))


@get("/cards/{card_id:uuid}/limits/new")
async def new_limit(desk: NamedDependency[Desk], card_id: FromPath[UUID]) -> Page:
    """Ask for one limit; which fields count depends on its kind, and each says so."""
    desk.require(Permission.EDIT_LIMITS)
    _ = desk.gettext
    kind = desk.query.maybe("kind", LimitKind)
    if kind is None:
        return await desk.ask(
            _("Add a limit"),
            [kind_field(desk, LIMIT_KIND, LimitKind.AMOUNT)],
            submit=_("Continue"),
            action=f"{PATH}/{card_id}/limits/kind",
            back=f"{PATH}/{card_id}",
            crumbs=await _crumbs(desk, card_id, _("Add a limit")),
        )
    card = await queries.get_card(desk.session, card_id=card_id)
    product = await queries.get_product(desk.session, product_id=card.product_id)
    fields = await limit_fields(desk, kind, (Reaction.BLOCK, Reaction.FLAG), currency=product.currency)
    title = f"{_('Add a limit')}: {_(LIMIT_KIND[kind])}"
    return await desk.ask(title, fields, submit=_("Add"), back=f"{PATH}/{card_id}", crumbs=await _crumbs(desk, card_id, title))


@post("/cards/{card_id:uuid}/limits/kind", status_code=303)
async def choose_kind(desk: NamedDependency[Desk], card_id: FromPath[UUID]) -> Page:
    """Lead on to the fields of the chosen kind."""
    desk.require(Permission.EDIT_LIMITS)
    kind = read_kind(desk, LimitKind.AMOUNT)
    desk.form.check()
    return await desk.done(f"{PATH}/{card_id}/limits/new?kind={kind.value}")


@post("/cards/{card_id:uuid}/limits/new", status_code=303)
async def put_limit(desk: NamedDependency[Desk], card_id: FromPath[UUID]) -> Page:
    """Add a limit to the card's chain; it binds from now on."""
    desk.require(Permission.EDIT_LIMITS)
    _ = desk.gettext
    card = await queries.get_card(desk.session, card_id=card_id)
    limit = read_limit(desk, LimitKind.AMOUNT, currency="CNY")
    desk.form.check()
    limit_id = await add_limit(desk.session, subject_id=card.chain_id, limit=limit, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{card_id}", _("The limit is in force"), undo=f"{PATH}/{card_id}/limits/{limit_id}/end")


@get("/cards/{card_id:uuid}/limits/{limit_id:uuid}/end")
async def ask_end_limit(desk: NamedDependency[Desk], card_id: FromPath[UUID], limit_id: FromPath[UUID]) -> Page:
    """Ask once before a limit is taken away."""
    desk.require(Permission.EDIT_LIMITS)
    _ = desk.gettext
    del limit_id
    crumbs = await _crumbs(desk, card_id, _("Take away"))
    return await desk.ask(_("Take this limit away?"), [], submit=_("Take away"), danger=True, back=f"{PATH}/{card_id}", crumbs=crumbs)


@post("/cards/{card_id:uuid}/limits/{limit_id:uuid}/end", status_code=303)
async def take_limit_away(desk: NamedDependency[Desk], card_id: FromPath[UUID], limit_id: FromPath[UUID]) -> Page:
    """Take a limit away."""
    desk.require(Permission.EDIT_LIMITS)
    card = await queries.get_card(desk.session, card_id=card_id)
    if limit_id not in {limit.limit_id for limit in await standing_limits(desk.session, subject_id=card.chain_id)}:
        raise NotFound
    await end_limit(desk.session, limit_id=limit_id, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{card_id}", desk.gettext("The limit is taken away"))


handlers = [
    ask_move,
    do_move,
    reopen,
    ask_unlock,
    unlock,
    ask_label,
    label,
    ask_replace,
    replace,
    new_limit,
    choose_kind,
    put_limit,
    ask_end_limit,
    take_limit_away,
]
