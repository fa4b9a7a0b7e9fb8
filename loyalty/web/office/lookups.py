"""Names by id, and the choices that forms offer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty.audit.model import Actor, ActorKind
from loyalty.cards import queries as cards
from loyalty.identity.queries import staff_names
from loyalty.stations.queries import StationSnapshot, list_districts, list_entities, list_regions, snapshot_products, snapshot_stations
from loyalty.web.desk import PageDesk
from loyalty.web.i18n import N_
from loyalty.web.listing import Listing
from loyalty.web.office.actions import ACTION
from loyalty.web.office.labels import ACTOR, CARD_EVENT
from loyalty.web.office.parts import Field
from loyalty.web.voice import Voice

Options = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Places:
    """Every station by id, with its name in the reader's language."""

    stations: dict[UUID, StationSnapshot]
    names: dict[UUID, str]

    def options(self, reachable: frozenset[UUID] | None = None) -> Options:
        """Return the stations to choose from."""
        return [
            (str(station.station_id), f"{station.code} {self.names[station.station_id]}")
            for station in sorted(self.stations.values(), key=lambda one: one.code)
            if reachable is None or station.station_id in reachable
        ]

    def zone(self, station_id: UUID, default: str) -> str:
        """Return a station's zone."""
        found = self.stations.get(station_id)
        return found.zone if found else default


async def places(desk: PageDesk) -> Places:
    """Read every station's name."""
    found = await snapshot_stations(desk.session)
    return Places(
        {one.station_id: one for one in found},
        {one.station_id: desk.either(one.name_zh, one.name_en) for one in found},
    )


async def card_products(desk: PageDesk) -> dict[UUID, str]:
    """Return the card products' names."""
    return {one.product_id: desk.either(one.name_zh, one.name_en) for one in await cards.list_products(desk.session)}


def product_name(desk: Voice, code: str, zh: str | None, en: str | None) -> str:
    """Name a product with its code, said once."""
    name = desk.either(zh or code, en or code)
    return name if code.lower() in name.lower() else f"{code} {name}"


# What operations note by themselves, in the trail's language; people's own words stay as they are.
_NOTED: Final = {
    "issued": "",
    "activated": "",
    "added": "",
    "labelled": "",
    "activation": N_("at its activation"),
    "first PIN": N_("the first one"),
    "document seen at the counter": N_("document seen at the counter"),
    "identity seen": N_("document seen at the counter"),
    "by old PIN": N_("by the old PIN"),
    "three wrong ones in a row": N_("three wrong ones in a row"),
    "registered": N_("registered to its holder"),
    "replacement": N_("in place of another card"),
    "limits": N_("limits changed"),
    "account closed": N_("account closed"),
    "from a former system": N_("from a former system"),
    "frozen by its holder": N_("by the holder, on the phone"),
    "thawed by its holder": N_("by the holder, on the phone"),
    "reported by its holder": N_("by the holder, on the phone"),
}


def noted(desk: PageDesk, reason: str | None) -> str:
    """Say a reason that an operation noted by itself in the reader's words; empty where the event's name says it already."""
    said = _NOTED.get(reason or "", reason or "")
    return desk.gettext(said) if said and reason in _NOTED else said


def happening(desk: PageDesk, at: datetime, title: str, notes: Iterable[str], *, tone: str = "") -> dict[str, str]:
    """Return one line of a life (`Events`): when, what, and what is noted of it; a note that says nothing is left out."""
    note = " · ".join(note for note in notes if note not in {"", "—"})
    return {"at": desk.f.when(at), "full": desk.f.instant(at), "title": title, "tone": tone, "note": note}


async def products(desk: PageDesk) -> dict[UUID, str]:
    """Return the fuels' and goods' codes and names."""
    return {one.product_id: product_name(desk, one.code, one.name_zh, one.name_en) for one in await snapshot_products(desk.session)}


async def products_by_code(desk: PageDesk) -> dict[str, str]:
    """Return the fuels' and goods' names by their codes."""
    return {code: name for code, (name, _unit) in (await measured_by_code(desk)).items()}


async def measured_by_code(desk: PageDesk) -> dict[str, tuple[str, str]]:
    """Return the fuels' and goods' names, and in what they are measured, by their codes."""
    found = await snapshot_products(desk.session)
    return {one.code: (product_name(desk, one.code, one.name_zh, one.name_en), one.unit.value) for one in found}


async def people(desk: PageDesk, ids: Iterable[UUID | None]) -> dict[UUID, str]:
    """Return names of members of staff."""
    wanted = {one for one in ids if one is not None}
    return await staff_names(desk.session, staff_ids=wanted) if wanted else {}


async def regions(desk: PageDesk) -> Options:
    """Return the regions to choose from."""
    return [(str(one.region_id), desk.either(one.name_zh, one.name_en)) for one in await list_regions(desk.session)]


async def districts(desk: PageDesk) -> Options:
    """Return the districts to choose from."""
    return [(str(one.district_id), desk.either(one.name_zh, one.name_en)) for one in await list_districts(desk.session)]


async def entities(desk: PageDesk) -> Options:
    """Return the legal entities to choose from."""
    return [(str(one.entity_id), desk.either(one.name_zh, one.name_en)) for one in await list_entities(desk.session)]


def actor_name(desk: PageDesk, actor: Actor | tuple[ActorKind, str], names: dict[UUID, str]) -> str:
    """Say who acted."""
    kind, actor_id = actor[0], str(actor[1])
    if kind is ActorKind.STAFF:
        try:
            return names.get(UUID(actor_id), actor_id[:8])
        except ValueError:
            return actor_id
    return f"{desk.gettext(ACTOR[kind])} {actor_id if kind is ActorKind.SYSTEM else actor_id[:8]}"


def action_words(desk: PageDesk, action: str) -> str:
    """Say an action of the trail."""
    if action in ACTION:
        return desk.gettext(ACTION[action])
    room, _dot, kind = action.partition(".")
    return next((desk.gettext(words) for member, words in CARD_EVENT.items() if room == "cards" and member.value == kind), action)


def field(name: str, label: str, **more: object) -> Field:
    """Return a line of a form."""
    return Field(kind="field", name=name, label=label, more=more)


def hidden(name: str, value: object) -> Field:
    """Return a field that is carried along."""
    return Field(kind="hidden", name=name, more={"value": str(value)})


def select(name: str, label: str, options: Options, **more: object) -> Field:
    """Return a choice of many."""
    return Field(kind="select", name=name, label=label, more={"options": options, **more})


def station_filter(desk: PageDesk, found: Places, reachable: frozenset[UUID] | None, listing: Listing) -> Field:
    """Return the filter by station."""
    _ = desk.gettext
    return select("station", _("Station"), found.options(reachable), value=listing.filters["station"], blank=_("All"), required=False)


def word_filter(desk: PageDesk, name: str, label: str, words: Mapping[Any, tuple[str, str]], listing: Listing, *, blank: str = "") -> Field:
    """Return the filter by an enum's members, in the words that tags show them by; `blank`: what none of them is called."""
    options = [(member.value, desk.gettext(said)) for member, (said, _tone) in words.items()]
    return select(name, label, options, value=listing.filters[name], blank=blank or desk.gettext("All"), required=False)


def chips(name: str, label: str, options: Options, **more: object) -> Field:
    """Return a choice of few."""
    return Field(kind="chips", name=name, label=label, more={"options": options, **more})


def check(name: str, label: str, **more: object) -> Field:
    """Return a tick."""
    return Field(kind="check", name=name, label=label, more=more)


def area(name: str, label: str, **more: object) -> Field:
    """Return a field of several lines."""
    return Field(kind="textarea", name=name, label=label, more=more)


def file(name: str, label: str, **more: object) -> Field:
    """Return a file to choose."""
    return Field(kind="file", name=name, label=label, more=more)


def said(label: str) -> Field:
    """Return a sentence among fields."""
    return Field(kind="note", label=label)


def heading(label: str) -> Field:
    """Return a heading among fields."""
    return Field(kind="heading", label=label)


def local_input(desk: PageDesk, instant: datetime | None) -> str:
    """Write an instant as a date-and-time field has it, in the office's zone."""
    return "" if instant is None else f"{instant.astimezone(ZoneInfo(desk.zone)):%Y-%m-%dT%H:%M}"
