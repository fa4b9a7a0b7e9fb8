"""Single moves between the pool and a card, and early requests."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.fleet.model import CompanyMode
from loyalty.fleet.model_allocations import AllocationKind, Direction, RequestStatus
from loyalty.fleet.operations.allocations import request_early
from loyalty.fleet.operations.moves import allocate, gather
from loyalty.fleet.queries.allocations import (
    CardMoney,
    RequestNotFound,
    card_money,
    get_request,
    list_moves,
    list_requests,
    on_cards_minor,
    pool_minor,
)
from loyalty.identity.portal_rules import FleetPermission
from loyalty.ids import uuid7
from loyalty.policy import load_policy
from loyalty.web.desk import Page
from loyalty.web.fleet.allocation_words import CODE, DIRECTION, REQUEST
from loyalty.web.fleet.allocations import PATH
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import chips, field, hidden, select
from loyalty.web.office.parts import Act, Cell, Facts, Field, Part, Rows, Said, Tile, Tiles

_P: Final = FleetPermission
MOVES: Final = f"{PATH}/moves"
EARLY: Final = f"{PATH}/early"
_CHOICES: Final = 200
"""So many cards are still chosen from a list."""
_LONGEST: Final = 20
"""No plate is as long; an id is longer."""


def _named(fleet: FleetDesk, one: CardMoney) -> str:
    return " · ".join(
        part for part in (f"•••• {one.card_tail}", one.plate, fleet.f.money(one.balance_minor, fleet.company.currency)) if part
    )


async def _card_field(fleet: FleetDesk, name: str, key: str, *, value: str = "", departments: Collection[UUID] | None = None) -> Field:
    """Offer the cards to choose from; where they are too many to be read through, let one be named."""
    _ = fleet.gettext
    listed = await card_money(fleet.session, company=fleet.company, departments=departments, limit=_CHOICES + 1)
    if len(listed) > _CHOICES:
        chosen = next((one for one in listed if str(getattr(one, key)) == value), None)
        named = (chosen.plate or chosen.card_tail) if chosen else value
        return field(name, _("Card"), value=named, help=_("The vehicle's plate, or the card's last four digits."))
    options = [(str(getattr(one, key)), _named(fleet, one)) for one in listed]
    return select(name, _("Card"), options, value=value, blank=_("Choose a card"))


async def _card_said(fleet: FleetDesk, name: str, key: str, departments: Collection[UUID] | None = None) -> UUID | None:
    """Read the card that was chosen or named; None with a fault where it is not exactly one."""
    _, form = fleet.gettext, fleet.form
    said = form.raw(name)
    if not said or len(said) > _LONGEST:
        return form.uuid(name, _("Card"))
    found = await card_money(fleet.session, company=fleet.company, said=said, departments=departments, limit=2)
    if len(found) == 1:
        chosen: UUID = getattr(found[0], key)
        return chosen
    form.fault(name, _("Card"), _("fits several cards") if found else _("is none of your cards"))
    return None


@get("/allocations/moves")
async def moves(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask how much goes between the pool and which card; below, what went."""
    fleet.offer(_P.MOVE_MONEY)
    _ = fleet.gettext
    currency = fleet.company.currency
    on_cards = await on_cards_minor(fleet.session, company=fleet.company)
    free = await pool_minor(fleet.session, company=fleet.company)
    done = await list_moves(fleet.session, company_id=fleet.company_id)
    fields: list[Field] = [
        hidden("operation", uuid7(fleet.now)),
        chips("direction", _("Direction"), [(one.value, _(words[0])) for one, words in DIRECTION.items()], value=Direction.ALLOCATED.value),
        await _card_field(fleet, "card", "card_id", value=fleet.query.raw("card")),
        field("amount", _("Amount"), num=True, required=False, help=_("From a card: empty takes all that is not held.")),
        field("reason", _("Reason"), required=False),
    ]
    rows = Rows(
        title=_("Latest moves"),
        columns=[Column(_("When")), Column(_("Card")), Column(_("Direction")), Column(_("Amount"), "num"), Column(_("Reason"))],
        rows=[
            [
                cells.when(fleet, one.moved_at),
                cells.text(f"•••• {one.card_tail}"),
                cells.tag(fleet, Direction(one.direction), DIRECTION),
                cells.money(fleet, one.amount_minor, currency),
                cells.text(one.reason),
            ]
            for one in done
        ],
        empty=_("Nothing was moved by hand yet"),
    )
    tiles = Tiles(
        [
            Tile(_("Free in the pool"), fleet.f.money(free, currency)),
            Tile(_("On the cards"), fleet.f.money(on_cards, currency)),
        ]
    )
    form = fleet.form_part(_("Move money"), MOVES, fields, submit=_("Move"))
    return await fleet.page(
        _("Pool and cards"), crumbs=[(_("Allocation"), PATH), (_("Pool and cards"), "")], top=[tiles], main=[form, rows]
    )


@post("/allocations/moves", status_code=303)
async def move(fleet: NamedDependency[FleetDesk]) -> Page:
    """Move money; the form's own number makes it happen once."""
    fleet.require(_P.MOVE_MONEY)
    _ = fleet.gettext
    form = fleet.form
    direction = form.choice("direction", _("Direction"), Direction, Direction.ALLOCATED)
    card_id, operation_id = await _card_said(fleet, "card", "card_id"), form.uuid("operation", _("Move"))
    amount = form.money("amount", _("Amount"), fleet.company.currency, required=direction is Direction.ALLOCATED)
    form.check()
    assert card_id is not None
    assert operation_id is not None
    of: dict[str, Any] = {
        "company_id": fleet.company_id,
        "card_id": card_id,
        "operation_id": operation_id,
        "reason": form.raw("reason"),
        "actor": fleet.actor,
        "now": fleet.now,
    }
    if direction is Direction.ALLOCATED:
        assert amount is not None
        policy = load_policy(fleet.request.app.state.settings.policy)
        done = await allocate(fleet.session, policy=policy, amount_minor=amount, **of)
    else:
        done = await gather(fleet.session, amount_minor=amount, **of)
    said = f"{_(DIRECTION[direction][0])}: {fleet.f.money(done.amount_minor, fleet.company.currency)}"
    return await fleet.done(MOVES, said)


@get("/allocations/early")
async def early(fleet: NamedDependency[FleetDesk]) -> Page:
    """List early requests and ask for one; who may approves and loads them here."""
    fleet.require(_P.READ)
    _ = fleet.gettext
    currency = fleet.company.currency
    if fleet.company.mode is CompanyMode.POOLED:
        return await fleet.page(_("Early requests"), top=[Said(title=_("Your cards draw on the pool"))])
    found = await list_requests(
        fleet.session, company_id=fleet.company_id, kind=AllocationKind.EARLY, departments=fleet.departments, cursor=fleet.cursor
    )
    rows = Rows(
        title=_("Early requests"),
        columns=[Column(_("Card")), Column(_("Plate")), Column(_("Amount"), "num"), Column(_("Reason")), Column(_("State")), Column("")],
        rows=[
            [
                cells.text(f"•••• {one.card_tail or '—'}"),
                cells.plate(fleet, one.plate),
                cells.money(fleet, one.wanted_minor, currency),
                cells.text(" · ".join(part for part in (one.reason, one.note, *(_(CODE.get(code, code)) for code in one.checks)) if part)),
                cells.tag(fleet, one.status, REQUEST),
                Cell(fleet.link(f"{EARLY}/{one.request_id}", _("Decide")) if one.status in _OPEN else "", ""),
            ]
            for one in found.rows
        ],
        empty=_("No early request"),
        empty_then=_("A card that is nearly empty before the period is over may be asked for here."),
        next=None if found.next is None else f"{EARLY}?cursor={found.next}",
        previous=None if found.previous is None else f"{EARLY}?cursor={found.previous}",
        pager=True,
    )
    main: list[Part] = []
    approved = [one for one in found.rows if one.status is RequestStatus.APPROVED and one.run_id is None]
    if approved and fleet.may(_P.MOVE_MONEY):
        amount = fleet.f.money(sum(one.wanted_minor for one in approved), currency)
        fields = [hidden("kind", AllocationKind.EARLY.value), hidden("period", approved[0].period_from.isoformat())]
        main.append(fleet.form_part(_("Load what is approved"), f"{PATH}/load", fields, submit=_("Load"), amount=amount))
    acts = [Act(_("Ask for a card"), f"{EARLY}/new", primary=not main)] if fleet.may(_P.REQUEST_ALLOCATION) else []
    return await fleet.page(_("Early requests"), crumbs=[(_("Allocation"), PATH), (_("Early requests"), "")], acts=acts, main=[*main, rows])


_OPEN: Final = frozenset({RequestStatus.REQUESTED, RequestStatus.DEPARTMENT_APPROVED})


@get("/allocations/early/new")
async def new_early(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask which card, how much and why."""
    fleet.require(_P.REQUEST_ALLOCATION)
    _ = fleet.gettext
    fields: list[Field] = [
        await _card_field(fleet, "chain", "chain_id", departments=fleet.departments),
        field("amount", _("Amount"), num=True),
        field("reason", _("Reason"), help=_("Seen by whoever approves.")),
    ]
    return await fleet.ask(
        _("Ask for a card"), fields, submit=_("Ask for it"), back=EARLY, crumbs=[(_("Early requests"), EARLY), (_("Ask for a card"), "")]
    )


@post("/allocations/early/new", status_code=303)
async def ask_early(fleet: NamedDependency[FleetDesk]) -> Page:
    """Make an early request."""
    fleet.require(_P.REQUEST_ALLOCATION)
    _ = fleet.gettext
    chain_id = await _card_said(fleet, "chain", "chain_id", fleet.departments)
    amount = fleet.form.money("amount", _("Amount"), fleet.company.currency)
    reason = fleet.form.text("reason", _("Reason"), longest=200)
    fleet.form.check()
    assert chain_id is not None
    assert amount is not None
    request_id = await request_early(
        fleet.session,
        company_id=fleet.company_id,
        chain_id=chain_id,
        departments=fleet.departments,
        amount_minor=amount,
        reason=reason,
        actor=fleet.actor,
        now=fleet.now,
    )
    return await fleet.done(f"{EARLY}/{request_id}", _("Asked for"))


@get("/allocations/early/{request_id:uuid}")
async def one_early(fleet: NamedDependency[FleetDesk], request_id: FromPath[UUID]) -> Page:
    """Show one early request with what may be decided about it."""
    fleet.require(_P.READ)
    _ = fleet.gettext
    one = await get_request(fleet.session, company_id=fleet.company_id, request_id=request_id)
    if one.kind is not AllocationKind.EARLY:
        raise RequestNotFound(request=request_id)
    fleet.within(one.department_id)
    facts = Facts(
        title=f"•••• {one.card_tail or '—'}",
        pairs=[
            (_("Plate"), one.plate or "—"),
            (_("Department"), one.department or "—"),
            (_("Reason"), one.reason or "—"),
            (_("State"), fleet.tag(_(REQUEST[one.status][0]), REQUEST[one.status][1])),
        ],
        total=(_("Amount"), fleet.f.money(one.wanted_minor, fleet.company.currency)),
        note=", ".join(_(CODE.get(code, code)) for code in one.checks),
    )
    period = hidden("period", one.period_from.isoformat())
    carried = [period, hidden("back", "early"), hidden("request", one.request_id)]
    forms: list[Part] = []
    if one.status is RequestStatus.REQUESTED and one.department_id is not None and fleet.may(_P.APPROVE_DEPARTMENT):
        forms.append(_decision(fleet, carried, "department", _("Approve for the department"), _("Approve")))
    elif one.status in _OPEN and fleet.may(_P.APPROVE_COMPANY):
        forms.append(_decision(fleet, carried, "approve", _("Approve for the company"), _("Approve")))
    if one.status in _OPEN and (fleet.may(_P.APPROVE_COMPANY) or fleet.may(_P.APPROVE_DEPARTMENT)):
        forms.append(_decision(fleet, [*carried, field("note", _("Reason"))], "refuse", _("Refuse"), _("Refuse"), danger=True))
    if one.status in _OPEN and fleet.may(_P.REQUEST_ALLOCATION):
        forms.append(_decision(fleet, carried, "withdraw", _("Take it back"), _("Withdraw"), primary=False))
    crumbs = [(_("Allocation"), PATH), (_("Early requests"), EARLY), (f"•••• {one.card_tail or '—'}", "")]
    return await fleet.page(_("Early request"), crumbs=crumbs, main=[facts], aside=forms)


def _decision(fleet: FleetDesk, fields: list[Field], verb: str, title: str, words: str, **more: Any) -> Part:
    return fleet.form_part(title, f"{PATH}/decide", [*fields, hidden("verb", verb)], submit=words, **more)


handlers: list[Any] = [moves, move, early, new_early, ask_early, one_early]
