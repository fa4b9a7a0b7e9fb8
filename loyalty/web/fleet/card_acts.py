"""What a company does with its cards: stopped and let live again, reported lost, a locked PIN given its tries again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.cards.model import CardStatus
from loyalty.cards.queries import CardNotFound
from loyalty.fleet.operations.stops import report_company_card_lost, resume_company_card, suspend_company_card, unlock_company_pin
from loyalty.identity.portal_rules import FleetPermission
from loyalty.web.desk import Page
from loyalty.web.fleet import queries
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.queries import CardLine
from loyalty.web.i18n import N_
from loyalty.web.office.lookups import field
from loyalty.web.office.parts import Act

PATH: Final = "/fleet/cards"


@dataclass(frozen=True, slots=True)
class _Move:
    """A change of status: what it is called, from where, what it does, and the act that takes it back."""

    title: str
    note: str
    done: str
    work: Callable[..., Awaitable[Any]]
    since: frozenset[CardStatus]
    undo: str = ""
    danger: bool = False


_MOVES: Final = {
    "suspend": _Move(
        N_("Suspend"),
        N_("The card buys nothing until it is let live again."),
        N_("Suspended"),
        suspend_company_card,
        frozenset({CardStatus.ACTIVE}),
        undo="resume",
    ),
    "resume": _Move(
        N_("Let it live again"), "", N_("It lives again"), resume_company_card, frozenset({CardStatus.SUSPENDED}), undo="suspend"
    ),
    "lost": _Move(
        N_("Report lost"),
        N_("From this moment on losses are no longer the company's; the exact moment is kept. Any station replaces the card."),
        N_("Reported lost"),
        report_company_card_lost,
        frozenset({CardStatus.ACTIVE, CardStatus.SUSPENDED}),
        danger=True,
    ),
}
_MAY: Final = FleetPermission.STOP_CARDS
_ACTS: Final = [f"/cards/{{card_id:uuid}}/{name}" for name in _MOVES]


async def card_of(fleet: FleetDesk, card_id: UUID) -> CardLine:
    """Return a card that the reader may see.

    :raises NotFound: if it is another company's, or another department's
    """
    one = await queries.get_company_card(fleet.session, account_id=fleet.company.account_id, card_id=card_id)
    if one is None:
        raise CardNotFound
    fleet.within(one.department_id)
    return one


def acts_of(fleet: FleetDesk, one: CardLine) -> list[Act | None]:
    """Return what the reader may do with a card as it stands."""
    _ = fleet.gettext
    base = f"{PATH}/{one.card_id}"
    found: list[Act | None] = []
    if fleet.may(_MAY):
        found += [Act(_(move.title), f"{base}/{name}", danger=move.danger) for name, move in _MOVES.items() if one.status in move.since]
    if one.pin_locked and fleet.may(FleetPermission.UNLOCK_DRIVERS):
        found.append(Act(_("Unlock the PIN"), f"{base}/pin-unlock"))
    return found


def _crumbs(fleet: FleetDesk, one: CardLine, title: str) -> list[tuple[str, str]]:
    return [(fleet.gettext("Cards"), PATH), (f"•••• {one.number_tail}", f"{PATH}/{one.card_id}"), (title, "")]


@get(_ACTS)
async def ask_move(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """Ask why a card's status changes."""
    fleet.offer(_MAY)
    _, move = fleet.gettext, _MOVES[fleet.act]
    one = await card_of(fleet, card_id)
    title = _(move.title)
    return await fleet.ask(
        title,
        [field("reason", _("Reason"), autofocus=True)],
        submit=title,
        danger=move.danger,
        note=_(move.note) if move.note else "",
        back=f"{PATH}/{card_id}",
        crumbs=_crumbs(fleet, one, title),
    )


@post(_ACTS, status_code=303)
async def do_move(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """Change a card's status."""
    fleet.require(_MAY)
    move = _MOVES[fleet.act]
    await card_of(fleet, card_id)
    reason = fleet.form.text("reason", fleet.gettext("Reason"), longest=200)
    fleet.form.check()
    account_id = fleet.company.account_id
    await move.work(fleet.session, account_id=account_id, card_id=card_id, reason=reason, actor=fleet.actor, now=fleet.now)
    undo = f"{PATH}/{card_id}/{move.undo}" if move.undo else ""
    return await fleet.done(f"{PATH}/{card_id}", fleet.gettext(move.done), undo=undo, fields={"reason": "undo"} if undo else None)


@get("/cards/{card_id:uuid}/pin-unlock")
async def ask_unlock(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """Ask once."""
    fleet.offer(FleetPermission.UNLOCK_DRIVERS)
    _ = fleet.gettext
    one = await card_of(fleet, card_id)
    title = _("Unlock the PIN")
    note = _("The PIN stays as it is; it may be tried three times again.")
    return await fleet.ask(title, [], submit=title, note=note, back=f"{PATH}/{card_id}", crumbs=_crumbs(fleet, one, title))


@post("/cards/{card_id:uuid}/pin-unlock", status_code=303)
async def unlock(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """Give a card its three tries again."""
    fleet.require(FleetPermission.UNLOCK_DRIVERS)
    await card_of(fleet, card_id)
    await unlock_company_pin(fleet.session, account_id=fleet.company.account_id, card_id=card_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{card_id}", fleet.gettext("Unlocked"))


handlers = [ask_move, do_move, ask_unlock, unlock]
