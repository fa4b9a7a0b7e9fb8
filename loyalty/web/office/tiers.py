"""Tiers: what each asks, how many are in it, who moved and why; a customer's tier and points on the customer's page."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from markupsafe import Markup

from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.rewards.model_tiers import Meets, MoveWhy, Tier, TierProgramme, TierWindow
from loyalty.rewards.queries.points import accounts_of, points_of
from loyalty.rewards.queries.tiers import (
    MoveView,
    count_by_tier,
    criteria_of,
    get_programme,
    list_moves,
    list_tiers,
    progress_of,
)
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import DOWNGRADE, TIER_WHY, TIER_WINDOW
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import select
from loyalty.web.office.parts import Act, Cell, Facts, Part, Rows, Said, Text, Tile, Tiles
from loyalty.web.standing import points_shown, tier_shown

PATH = "/office/tiers"
MOVES = "/office/tier-moves"


def tier_tabs(desk: Desk, here: str) -> list[tuple[str, str, bool, int]]:
    """Return the views of tiers."""
    _ = desk.gettext
    return [(_("Tiers"), PATH, here == "tiers", 0), (_("Movements"), MOVES, here == "moves", 0)]


@get("/tiers")
async def tiers(desk: NamedDependency[Desk]) -> Page:
    """Show what the tiers are and how many customers are in each."""
    desk.require(Permission.READ_CARDS)
    _ = desk.gettext
    programme, found = await get_programme(desk.session), await list_tiers(desk.session)
    held = await count_by_tier(desk.session)
    edits = desk.may(Permission.EDIT_DISCOUNTS)
    top: list[Part] = []
    if programme is None:
        acts = [Act(_("Settings"), f"{PATH}/settings", primary=True)] if edits else []
        then = _("Say over which days they count and how one is lost; then make the first tier.")
        top.append(Said(title=_("There are no tiers yet"), then=then, acts=acts))
    elif found:
        top.append(Tiles([_tile(desk, tier, held.get(tier.code, 0)) for tier in reversed(found)]))
    aside: list[Part] = [] if programme is None else [_settings(desk, programme, edits=edits)]
    return await desk.page(
        _("Tiers"),
        acts=[Act(_("New tier"), f"{PATH}/new", primary=True) if edits and programme is not None else None],
        tabs=tier_tabs(desk, "tiers"),
        top=top,
        main=[_definitions(desk, found, held, programme, edits=edits)] if programme is not None else [],
        aside=aside,
    )


def _tile(desk: Desk, tier: Tier, members: int) -> Tile:
    note = desk.gettext("customers") if tier.active else desk.gettext("no longer given")
    return Tile(
        desk.either(tier.name_zh, tier.name_en), desk.f.count(members), note, "" if tier.active else "warn", f"{MOVES}?tier={tier.code}"
    )


def _definitions(desk: Desk, found: Sequence[Tier], held: dict[str | None, int], programme: TierProgramme, *, edits: bool) -> Rows:
    _ = desk.gettext
    rows = []
    for tier in reversed(found):
        name = desk.either(tier.name_zh, tier.name_en)
        rows.append(
            [
                cells.link(desk, f"{PATH}/{tier.code}/edit", name, whole=True) if edits else cells.text(name),
                cells.count(desk, tier.rank),
                cells.text(asked_words(desk, tier, programme.currency)),
                cells.text(desk.either(tier.benefits_zh, tier.benefits_en)),
                cells.count(desk, held.get(tier.code, 0)),
                Cell(desk.tag(_("Is given"), "good") if tier.active else desk.tag(_("No longer given")), tier.active),
            ]
        )
    return Rows(
        title=_("What each asks"),
        columns=[
            Column(_("Tier")),
            Column(_("Rank"), "num"),
            Column(_("Asks")),
            Column(_("Brings")),
            Column(_("Customers"), "num"),
            Column(_("State")),
        ],
        rows=rows,
        empty=_("No tier yet"),
        empty_then=_("Make the lowest one first; rules then name it by its code."),
        note=_("Rules give the benefits: they name a tier by its code."),
    )


def asked_words(desk: Desk, tier: Tier, currency: str) -> str:
    """Say what a tier asks."""
    _ = desk.gettext
    said = {
        "spend_minor": lambda wanted: _("%(amount)s spent", amount=desk.f.money(wanted, currency)),
        "quantity_milli": lambda wanted: _("%(quantity)s fuel", quantity=desk.f.quantity(wanted)),
        "topup_minor": lambda wanted: _("%(amount)s topped up", amount=desk.f.money(wanted, currency)),
        "visits": lambda wanted: desk.words.ngettext("%(num)s visit", "%(num)s visits", wanted),
    }
    each = [said[name](wanted) for name, wanted in criteria_of(tier).asked]
    joined = _(" or ") if tier.meets is Meets.ANY else _(" and ")
    return joined.join(each) or _("nothing: everybody has it")


def _settings(desk: Desk, programme: TierProgramme, *, edits: bool) -> Facts:
    _ = desk.gettext
    window = _(TIER_WINDOW[programme.window])
    if programme.window is TierWindow.ROLLING:
        window = desk.words.ngettext("the last %(num)s day", "the last %(num)s days", programme.window_days or 0)
    return Facts(
        title=_("How they count"),
        pairs=[
            (_("Counted over"), window),
            (_("Currency"), programme.currency),
            (_("Grace"), desk.words.ngettext("%(num)s day", "%(num)s days", programme.grace_days)),
            (_("Afterwards"), _(DOWNGRADE[programme.downgrade])),
            (_("Organisations"), _("have tiers too") if programme.companies else _("have none")),
        ],
        acts=[Act(_("Change"), f"{PATH}/settings")] if edits else [],
    )


@get(three("/tier-moves"))
async def moves(desk: NamedDependency[Desk]) -> Any:
    """List who moved between tiers, and why."""
    desk.require(Permission.READ_CUSTOMERS)
    _ = desk.gettext
    listing = desk.listing(MOVES, "", ["why", "tier"])
    names = {tier.code: desk.either(tier.name_zh, tier.name_en) for tier in await list_tiers(desk.session)}
    programme = await get_programme(desk.session)
    why = desk.query.maybe("why", MoveWhy)

    async def fetch(cursor: str | None, limit: int) -> Found[MoveView]:
        wanted = [] if why is None else [why]
        return await list_moves(desk.session, why=wanted, tier=listing.filters["tier"] or None, cursor=cursor, limit=limit)

    async def rows(found: Sequence[MoveView]) -> list[list[Cell]]:
        people = await lookups.people(desk, [move.staff_id for move in found])
        currency = "CNY" if programme is None else programme.currency
        return [
            [
                cells.when(desk, move.happened_at),
                cells.link(desk, f"/office/customers/{move.customer_id}", move.name),
                cells.text(names.get(move.from_tier or "", "") or "—"),
                cells.text(names.get(move.to_tier or "", "") or "—"),
                cells.tag(desk, move.why, TIER_WHY),
                cells.text(_figures(desk, move, currency)),
                cells.text(" · ".join(part for part in (people.get(move.staff_id) if move.staff_id else "", move.reason) if part)),
            ]
            for move in found
        ]

    return await show(
        desk,
        List(
            title=_("Movements"),
            listing=listing,
            columns=[
                Column(_("When")),
                Column(_("Customer")),
                Column(_("From")),
                Column(_("To")),
                Column(_("Why")),
                Column(_("On which figures")),
                Column(_("By whom, reason")),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                select("tier", _("Into the tier"), list(names.items()), value=listing.filters["tier"], blank=_("All"), required=False),
                select(
                    "why",
                    _("Why"),
                    [(member.value, _(label[0])) for member, label in TIER_WHY.items()],
                    value=listing.filters["why"],
                    blank=_("All"),
                    required=False,
                ),
            ],
            empty=_("Nobody has moved yet"),
            empty_then=_("Customers rise within minutes; every night everybody is judged."),
            tabs=tier_tabs(desk, "moves"),
            name="tier-moves",
        ),
    )


def _figures(desk: Desk, move: MoveView, currency: str) -> str:
    facts, _ = move.facts, desk.gettext
    said = []
    if facts.get("spend_minor"):
        said.append(_("%(amount)s spent", amount=desk.f.money(facts["spend_minor"], currency)))
    if facts.get("quantity_milli"):
        said.append(_("%(quantity)s fuel", quantity=desk.f.quantity(facts["quantity_milli"])))
    if facts.get("topup_minor"):
        said.append(_("%(amount)s topped up", amount=desk.f.money(facts["topup_minor"], currency)))
    if facts.get("visits"):
        said.append(desk.words.ngettext("%(num)s visit", "%(num)s visits", facts["visits"]))
    return " · ".join(said)


async def standing_part(desk: Desk, customer_id: UUID) -> Part:
    """Return a customer's tier and points, for the customer's page."""
    _ = desk.gettext
    lines: list[Any] = []
    progress = await progress_of(desk.session, customer_id=customer_id, zone=desk.zone, now=desk.now)
    shown = tier_shown(desk.words, desk.f, progress)
    if shown is not None:
        lock = desk.tag(_("not downgraded"), "info") if progress is not None and progress.locked else ""
        lines.append(Markup("<b>{}</b> {}").format(shown.name or _("No tier yet"), lock))
        if shown.line:
            lines += [shown.line, bar(desk, shown.percent, shown.line)]
        lines += [one for one in (shown.other, shown.note) if one]
    held = points_shown(
        desk.words,
        desk.f,
        await points_of(desk.session, account_ids=await accounts_of(desk.session, customer_id=customer_id), now=desk.now),
    )
    lines.append(Markup("<b>{}</b>").format(_("%(points)s points", points=held.available)))
    lines += [one for one in (held.pending, held.expiring, held.owed) if one]
    base = f"/office/customers/{customer_id}"
    acts = [Act(_("Points account"), f"{base}/points")]
    if shown is not None and desk.may(Permission.EDIT_DISCOUNTS):
        acts.append(Act(_("Grant or keep a tier"), f"{base}/tier"))
    return Text(title=_("Tier and points"), lines=lines, acts=acts)


def bar(desk: Desk, percent: int, label: str) -> Markup:
    """Draw how far something is."""
    return Markup(str(desk.macro("ui").meter(percent, 100, label, tone="")))  # noqa: S704 - a macro's own, escaped output


handlers = [tiers, moves]
