"""Prices: the board of stations and grades, what is published for later, publishing by form and by file."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from markupsafe import Markup
from python_calamine import CalamineError, load_workbook

from loyalty.errors import Refusal
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.stations import operations, queries
from loyalty.stations.model import ProductCategory
from loyalty.stations.operations import PriceImport
from loyalty.stations.queries import PriceView, snapshot_prices, snapshot_products
from loyalty.stations.rules import PriceRow
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import PRICE_NOTE
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import Places, chips, field, file, hidden, select
from loyalty.web.office.parts import Act, Cell, Part, Rows, Said
from loyalty.web.office.reading import scaled_number

PATH = "/office/prices"
ROWS_MAX = 5000


class PriceFileNotRead(Refusal):
    """Neither CSV nor XLSX, or without the columns that are needed."""

    status = 422
    zh = "无法读取该文件，或缺少必要的列。"
    en = "The file cannot be read, or lacks the columns that are needed."
    next_zh = "需要的列：station, product, price, effective_from（CSV 或 XLSX，首行为列名，最多 5000 行）。"
    next_en = "Columns needed: station, product, price, effective_from (CSV or XLSX, names in the first row, at most 5,000 rows)."


def _tabs(desk: Desk, here: str) -> list[tuple[str, str, bool, int]]:
    _ = desk.gettext
    return [(_("Board"), PATH, here == "board", 0), (_("Published prices"), "/office/price-list", here == "list", 0)]


def _acts(desk: Desk) -> list[Act]:
    _ = desk.gettext
    if not desk.may(Permission.PUBLISH_PRICES):
        return []
    return [Act(_("From a file"), f"{PATH}/file"), Act(_("Publish a price"), f"{PATH}/new", primary=True)]


@get("/prices")
async def board(desk: NamedDependency[Desk]) -> Page:
    """Show every station's price of every grade, and what comes next."""
    reachable = desk.reachable(Permission.READ_STATION)
    _ = desk.gettext
    places = await lookups.places(desk)
    only = desk.query.maybe_uuid("station")
    stations = [
        one
        for one in sorted(places.stations.values(), key=lambda one: one.code)
        if (reachable is None or one.station_id in reachable) and (only is None or one.station_id == only)
    ]
    prices = await snapshot_prices(desk.session, now=desk.now)
    products = [one for one in await snapshot_products(desk.session) if one.category is ProductCategory.FUEL]
    priced = {one.product_id for one in prices}
    fuels = sorted((one for one in products if one.product_id in priced), key=lambda one: one.code)
    standing: dict[tuple[UUID, UUID], list[Any]] = {}
    for one in prices:
        standing.setdefault((one.station_id, one.product_id), []).append(one)
    rows = []
    for station in stations:
        line = [cells.link(desk, f"/office/stations/{station.station_id}", places.names[station.station_id])]
        line += [
            _price_cell(desk, standing.get((station.station_id, fuel.product_id), []), station.currency, fuel.unit.value) for fuel in fuels
        ]
        rows.append(line)
    part = Rows(
        title=_("In force"),
        note=_("Below it what is published for later."),
        columns=[
            Column(_("Station")),
            *(Column(lookups.product_name(desk, fuel.code, fuel.name_zh, fuel.name_en), "num") for fuel in fuels),
        ],
        rows=rows,
        empty=_("No price yet"),
        empty_then=_("Publish one, or send a file."),
    )
    return await desk.page(_("Prices"), tabs=_tabs(desk, "board"), acts=_acts(desk), main=[part, await _coming(desk, places, reachable)])


def _price_cell(desk: Desk, found: Sequence[Any], currency: str, unit: str) -> Cell:
    past = [one for one in found if one.effective_from <= desk.now]
    later = [one for one in found if one.effective_from > desk.now]
    now = max(past, key=lambda one: one.effective_from, default=None)
    shown: Any = desk.f.unit_price(now.unit_price_e4 if now else None, currency, unit)
    if later:
        nxt = min(later, key=lambda one: one.effective_from)
        up = now is not None and nxt.unit_price_e4 > now.unit_price_e4
        shown = Markup('{}<br><small class="dim">{} {}</small>').format(
            shown, "▲" if up else "▼", desk.f.unit_price(nxt.unit_price_e4, currency, unit)
        )
    return Cell(shown, now.unit_price_e4 if now else None)


async def _coming(desk: Desk, places: Places, reachable: frozenset[UUID] | None) -> Rows:
    _ = desk.gettext
    found = await queries.list_prices(desk.session, effective_since=desk.now, reachable=reachable, sort="effective_from", limit=100)
    withdraws = desk.may(Permission.PUBLISH_PRICES)
    del places
    rows = []
    for one in found.rows:
        if one.withdrawn_at is not None:
            continue
        left = int((one.effective_from - desk.now).total_seconds())
        act = desk.link(f"{PATH}/{one.price_id}/withdraw", _("Withdraw")) if withdraws else ""
        rows.append([*_price_row(desk, one), cells.text(desk.f.duration(left)), Cell(act, "")])
    columns = [*_price_columns(desk, sorts=False), Column(_("In")), Column("")]
    return Rows(title=_("Published for later"), columns=columns, rows=rows, empty=_("Nothing is published for later"))


def _price_columns(desk: Desk, *, sorts: bool) -> list[Column]:
    _ = desk.gettext
    return [
        Column(_("Station"), sort="station" if sorts else ""),
        Column(_("Product"), sort="product" if sorts else ""),
        Column(_("Price"), "num", "unit_price" if sorts else ""),
        Column(_("Takes effect"), sort="effective_from" if sorts else ""),
    ]


def _price_row(desk: Desk, one: PriceView) -> list[Cell]:
    return [
        cells.text(desk.either(one.station_name_zh, one.station_name_en)),
        cells.text(lookups.product_name(desk, one.product_code, one.product_name_zh, one.product_name_en)),
        Cell(desk.f.unit_price(one.unit_price_e4, one.currency, one.unit.value), one.unit_price_e4),
        cells.when(desk, one.effective_from),
    ]


@get(three("/price-list"))
async def price_list(desk: NamedDependency[Desk]) -> Any:
    """List every published price, the past ones too."""
    reachable = desk.reachable(Permission.READ_STATION)
    _ = desk.gettext
    listing = desk.listing("/office/price-list", "-effective_from", ["station", "product"])
    places, products = await lookups.places(desk), await lookups.products(desk)

    async def fetch(cursor: str | None, limit: int) -> Found[PriceView]:
        return await queries.list_prices(
            desk.session,
            station_id=desk.query.maybe_uuid("station"),
            product_id=desk.query.maybe_uuid("product"),
            reachable=reachable,
            sort=listing.sort,
            cursor=cursor,
            limit=limit,
        )

    async def rows(found: Sequence[PriceView]) -> list[list[Cell]]:
        names = await lookups.people(desk, [one.published_by for one in found])
        return [
            [
                *_price_row(desk, one),
                cells.when(desk, one.published_at),
                cells.text(cells.named(names, one.published_by)),
                Cell(desk.tag(_("Withdrawn"), "warn") if one.withdrawn_at else "", _("Withdrawn") if one.withdrawn_at else ""),
            ]
            for one in found
        ]

    options = [(str(key), name) for key, name in products.items()]
    return await show(
        desk,
        List(
            title=_("Published prices"),
            listing=listing,
            columns=[*_price_columns(desk, sorts=True), Column(_("Published"), sort="published_at"), Column(_("By")), Column(_("State"))],
            fetch=fetch,
            rows=rows,
            filters=[
                select(
                    "station", _("Station"), places.options(reachable), value=listing.filters["station"], blank=_("All"), required=False
                ),
                select("product", _("Product"), options, value=listing.filters["product"], blank=_("All"), required=False),
            ],
            acts=_acts(desk),
            tabs=_tabs(desk, "list"),
            empty=_("Nothing published yet"),
            name="prices",
        ),
    )


@get("/prices/new")
async def new_price(desk: NamedDependency[Desk]) -> Page:
    """Ask for a price, the stations it is for, and when it takes effect."""
    desk.offer(Permission.PUBLISH_PRICES)
    reachable = desk.reachable(Permission.READ_STATION)
    _ = desk.gettext
    places = await lookups.places(desk)
    fuels = [one for one in await snapshot_products(desk.session) if one.active]
    products = [(one.code, f"{one.code} {desk.either(one.name_zh, one.name_en)}") for one in fuels]
    offered = [(places.stations[UUID(key)], name) for key, name in places.options(reachable)]
    stations = [(station.code, name) for station, name in offered]
    currencies = {station.currency for station, _name in offered}
    sign = desk.f.sign_of(*currencies) if len(currencies) == 1 else ""
    tomorrow = datetime.combine(desk.now.astimezone(ZoneInfo(desk.zone)).date() + timedelta(days=1), time())
    fields = [
        chips("stations", _("Stations"), stations, many=True, value=[code for code, _name in stations]),
        select("product", _("Product"), products),
        field("price", _("Price of one unit"), num=True, before=sign, help=_("Up to four decimals.")),
        field(
            "from",
            _("Takes effect"),
            type="datetime-local",
            value=f"{tomorrow:%Y-%m-%dT%H:%M}",
            help=_("Each station's own time; a minute from now at the earliest. Usually 24:00."),
        ),
    ]
    crumbs = [(_("Prices"), PATH), (_("Publish a price"), "")]
    return await desk.ask(
        _("Publish a price"), fields, submit=_("See what changes"), back=PATH, crumbs=crumbs, action=f"{PATH}/preview", once=False
    )


@post("/prices/preview", status_code=200)
async def preview(desk: NamedDependency[Desk]) -> Page:
    """Show what publishing would do, row by row, before anything is done."""
    desk.offer(Permission.PUBLISH_PRICES)
    _ = desk.gettext
    form = desk.form
    stations, product = form.many("stations"), form.text("product", _("Product"))
    price, at = form.price("price", _("Price of one unit")), form.raw("from")
    places = await lookups.places(desk)
    zones = {one.code: one.zone for one in places.stations.values()}
    if not stations:
        form.fault("stations", _("Stations"), _("is needed"))
    moment = form.instant("from", _("Takes effect"))
    form.check()
    assert price is not None
    assert moment is not None
    rows = [
        PriceRow(
            line=line,
            station_code=code,
            product_code=product,
            unit_price_e4=price,
            effective_from=_local(at, zones.get(code, desk.zone)) or moment,
        )
        for line, code in enumerate(stations, 1)
    ]
    return await _preview(desk, rows, [])


@get("/prices/file")
async def ask_file(desk: NamedDependency[Desk]) -> Page:
    """Ask for a price file."""
    desk.offer(Permission.PUBLISH_PRICES)
    _ = desk.gettext
    fields = [
        file(
            "file",
            _("Price file"),
            accept=".csv,.xlsx",
            help=_("Columns: station, product, price, effective_from (2026-09-25 00:00 in the station's time). Every row is shown first."),
        )
    ]
    crumbs = [(_("Prices"), PATH), (_("From a file"), "")]
    return await desk.ask(
        _("Prices from a file"),
        fields,
        submit=_("Read it"),
        back=PATH,
        crumbs=crumbs,
        upload=True,
        once=False,
        action=f"{PATH}/file/preview",
    )


@post("/prices/file/preview", status_code=200)
async def preview_file(desk: NamedDependency[Desk]) -> Page:
    """Show what a file would publish, and each row that is wrong."""
    desk.offer(Permission.PUBLISH_PRICES)
    _ = desk.gettext
    _name, content = await desk.form.file("file", _("Price file"))
    desk.form.check()
    places = await lookups.places(desk)
    zones = {one.code: one.zone for one in places.stations.values()}
    rows, faults = read_prices(content, zones=zones, zone=desk.zone)
    return await _preview(desk, rows, faults)


async def _preview(desk: Desk, rows: list[PriceRow], faults: list[int]) -> Page:
    """Judge the rows without keeping anything, and offer to publish the good ones."""
    _ = desk.gettext
    reachable = desk.reachable(Permission.READ_STATION)
    codes = {one.code: one.station_id for one in (await lookups.places(desk)).stations.values()}
    mine = [row for row in rows if reachable is None or row.station_code not in codes or codes[row.station_code] in reachable]
    outside = {row.line for row in rows} - {row.line for row in mine}
    async with desk.session.begin_nested() as trial:
        found = await operations.publish_prices(desk.session, rows=mine, actor=desk.actor, now=desk.now, skip_problems=True)
        await trial.rollback()
    notes: dict[int, list[tuple[str, str]]] = {}
    for note in found.problems:
        notes.setdefault(note.line, []).append(("bad", _(PRICE_NOTE[note.code])))
    for note in found.warnings:
        notes.setdefault(note.line, []).append(("warn", _(PRICE_NOTE[note.code])))
    for line in outside:
        notes.setdefault(line, []).append(("bad", _("No such station")))
    parts: list[Part] = [_verdict(desk, found, faults), _trial(desk, rows, notes)]
    good = [row for row in mine if not any(tone == "bad" for tone, _text in notes.get(row.line, []))]
    if found.published:
        publish = desk.form_part(
            "",
            f"{PATH}/publish",
            [hidden("rows", msgspec.json.encode(good).decode())],
            submit=desk.words.ngettext("Publish %(num)s price", "Publish %(num)s prices", found.published),
            cancel=PATH,
        )
        parts.append(publish)
    return await desk.shown(_("What changes"), parts, crumbs=[(_("Prices"), PATH), (_("What changes"), "")])


def _verdict(desk: Desk, found: PriceImport, faults: list[int]) -> Said:
    _ = desk.gettext
    said = _(
        "%(published)s to publish, %(unchanged)s stand already, %(wrong)s wrong",
        published=found.published,
        unchanged=found.unchanged,
        wrong=len(found.problems) + len(faults),
    )
    then = _("Lines that cannot be read: %(lines)s.", lines=", ".join(map(str, faults[:20]))) if faults else _("Nothing is published yet.")
    tone = "warn" if found.problems or faults else "info"
    return Said(title=said, then=then, tone=tone)


def _trial(desk: Desk, rows: Sequence[PriceRow], notes: dict[int, list[tuple[str, str]]]) -> Rows:
    _ = desk.gettext
    ordered = sorted(rows, key=lambda row: (row.line not in notes, row.line))[:300]
    marks = {index: notes[row.line][0][0] for index, row in enumerate(ordered) if row.line in notes}
    return Rows(
        title=_("Rows"),
        note=_("Those with something to say come first.") if notes else "",
        columns=[
            Column(_("Line"), "num"),
            Column(_("Station")),
            Column(_("Product")),
            Column(_("Price"), "num"),
            Column(_("Takes effect")),
            Column(_("Remark")),
        ],
        rows=[
            [
                cells.count(desk, row.line),
                cells.text(row.station_code),
                cells.text(row.product_code),
                Cell(desk.f.unit_price(row.unit_price_e4, row.currency or "CNY", None), row.unit_price_e4),
                cells.when(desk, row.effective_from),
                cells.text("; ".join(text for _tone, text in notes.get(row.line, [])) or None),
            ]
            for row in ordered
        ],
        marks=marks,
        empty=_("No row could be read"),
    )


@post("/prices/publish", status_code=303)
async def publish(desk: NamedDependency[Desk]) -> Page:
    """Publish what the preview showed."""
    desk.require(Permission.PUBLISH_PRICES)
    _ = desk.gettext
    try:
        rows = msgspec.json.decode(desk.form.long("rows"), type=list[PriceRow])
    except msgspec.MsgspecError:
        raise PriceFileNotRead from None
    codes = {one.code: one.station_id for one in (await lookups.places(desk)).stations.values()}
    for code in {row.station_code for row in rows}:
        if code in codes:
            desk.require(Permission.PUBLISH_PRICES, codes[code])
    done = await operations.publish_prices(desk.session, rows=rows, actor=desk.actor, now=desk.now, skip_problems=True)
    return await desk.done(PATH, desk.words.ngettext("Published: %(num)s price", "Published: %(num)s prices", done.published))


def read_prices(content: bytes, *, zones: dict[str, str], zone: str) -> tuple[list[PriceRow], list[int]]:
    """Read a price file, CSV or XLSX: the rows that can be read, and the lines that cannot.

    :raises PriceFileNotRead: if it is neither, or lacks a column
    """
    table = _table(content)
    if not table or len(table) > ROWS_MAX + 1:
        raise PriceFileNotRead
    head = [str(name).strip().lower() for name in table[0]]
    names: dict[str, tuple[str, ...]] = {"station": ("station", "站点", "站点编码"), "product": ("product", "油品", "产品")}
    names |= {"price": ("price", "单价", "价格"), "effective_from": ("effective_from", "生效时间")}
    places = {key: next((head.index(name) for name in known if name in head), None) for key, known in names.items()}
    if None in places.values():
        raise PriceFileNotRead
    rows, faults = [], []
    for line, row in enumerate(table[1:], 2):
        if not any(str(cell).strip() for cell in row):
            continue
        values = {key: row[place] if place is not None and place < len(row) else "" for key, place in places.items()}
        station, product = _code(values["station"]), _code(values["product"])
        price = scaled_number(_number(values["price"]), 4)
        at = _local(values["effective_from"], zones.get(station, zone))
        if not station or not product or price is None or at is None:
            faults.append(line)
        else:
            rows.append(PriceRow(line=line, station_code=station, product_code=product, unit_price_e4=price, effective_from=at))
    return rows, faults


def _table(content: bytes) -> list[list[Any]]:
    if content.startswith(b"PK"):
        try:
            return load_workbook(io.BytesIO(content)).get_sheet_by_index(0).to_python()
        except (CalamineError, OSError, ValueError) as error:
            raise PriceFileNotRead from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("gb18030", "replace")
    if "\0" in text:
        raise PriceFileNotRead
    return [list(row) for row in csv.reader(io.StringIO(text))]


def _code(value: Any) -> str:
    """Return a code: spreadsheets make the number 92 of the grade 92."""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value).strip()


def _number(value: Any) -> str:
    """Return a number as text, without the noise of binary fractions: a price has four decimals."""
    return f"{value:.4f}" if isinstance(value, float) else str(value).strip()


def _local(value: Any, zone: str) -> datetime | None:
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime.combine(value, time())
    else:
        try:
            moment = datetime.fromisoformat(str(value).strip().replace("/", "-"))
        except ValueError:
            return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


handlers = [board, price_list, new_price, preview, ask_file, preview_file, publish]
