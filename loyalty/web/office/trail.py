"""The audit trail: who did what, when, where; and whether its chain is whole."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from markupsafe import Markup

from loyalty.audit.model import ActorKind, AuditEntry
from loyalty.audit.queries import EntryFilter, list_entries, trail_state
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk
from loyalty.web.office.labels import ACTOR
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, hidden, select
from loyalty.web.office.parts import Cell, Tile, Tiles

PATH = "/office/audit"


@get(three("/audit"))
async def audit(desk: NamedDependency[Desk]) -> Any:
    """List the trail's entries."""
    desk.require(Permission.READ_AUDIT)
    _ = desk.gettext
    listing = desk.listing(PATH, "", ["since", "until", "actor", "action", "subject", "station", "subject_id"])
    filters = listing.filters
    places = await lookups.places(desk)
    since, until = desk.query.days("since", "until")

    async def fetch(cursor: str | None, limit: int) -> Found[AuditEntry]:
        wanted = EntryFilter(
            station_id=desk.query.maybe_uuid("station"),
            actor_kind=desk.query.maybe("actor", ActorKind),
            action=filters["action"] or None,
            subject_kind=filters["subject"] or None,
            subject_id=filters["subject_id"] or None,
            since=since,
            until=until,
        )
        return await list_entries(desk.session, wanted=wanted, cursor=cursor, limit=limit)

    async def rows(found: Sequence[AuditEntry]) -> list[list[Cell]]:
        names = await lookups.people(desk, [_uuid(one.actor_id) for one in found if one.actor_kind is ActorKind.STAFF])
        return [
            [
                cells.count(desk, one.entry_id),
                Cell(desk.f.instant(one.at), one.at),
                cells.text(lookups.actor_name(desk, (one.actor_kind, one.actor_id), names)),
                _action(desk, listing.href(action=one.action, cursor=None), one.action),
                cells.link(
                    desk,
                    listing.href(subject=one.subject_kind, subject_id=one.subject_id, cursor=None),
                    f"{one.subject_kind} {one.subject_id[-8:]}",
                ),
                cells.text(places.names.get(one.station_id) if one.station_id else None),
                cells.text(", ".join(f"{name}: {value}" for name, value in one.facts.items() if value not in (None, "", []))[:160]),
                cells.text(one.address),
            ]
            for one in found
        ]

    state = await trail_state(desk.session)
    sealed = _("last %(when)s", when=desk.f.when(state.sealed_at)) if state.sealed_at else ""
    waiting = max(state.entries - state.sealed_up_to, 0)
    tiles = Tiles(
        [
            Tile(_("Entries"), desk.f.count(state.entries)),
            Tile(_("Seals"), desk.f.count(state.seals), note=sealed),
            Tile(_("Not sealed yet"), desk.f.count(waiting), tone="warn" if waiting > 10_000 else "", note=_("sealed every few minutes")),
        ]
    )
    kinds = [(kind.value, _(label)) for kind, label in ACTOR.items()]
    return await show(
        desk,
        List(
            title=_("Audit trail"),
            sub=_("Every entry is chained to the ones before; `loyalty check` proves the chain"),
            listing=listing,
            columns=[
                Column(_("Number"), "num"),
                Column(_("When")),
                Column(_("Who")),
                Column(_("Action")),
                Column(_("Subject")),
                Column(_("Station")),
                Column(_("Facts")),
                Column(_("Address")),
            ],
            fetch=fetch,
            rows=rows,
            top=[tiles],
            filters=[
                field("since", _("From"), type="date", value=filters["since"], required=False),
                field("until", _("To"), type="date", value=filters["until"], required=False),
                select("actor", _("Who"), kinds, value=filters["actor"], blank=_("All"), required=False),
                field("action", _("Action"), value=filters["action"], required=False),
                field("subject", _("Subject"), value=filters["subject"], required=False),
                select("station", _("Station"), places.options(), value=filters["station"], blank=_("All"), required=False),
                *([hidden("subject_id", filters["subject_id"])] if filters["subject_id"] else []),
            ],
            empty=_("No entry fits this filter"),
            name="audit",
        ),
    )


def _action(desk: Desk, href: str, action: str) -> Cell:
    shown = Markup('<a href="{}" title="{}">{}</a>').format(href, action, lookups.action_words(desk, action))
    return Cell(shown, action)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


handlers = [audit]
