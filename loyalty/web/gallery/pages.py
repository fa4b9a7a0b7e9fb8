"""/design: served in demonstrations only. Its figures are made up; its words are real and translated."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Request, get, post
from litestar.params import URLEncodedBody
from litestar.response import Response
from msgspec import Struct

from loyalty.web import charts
from loyalty.web.formats import Formats
from loyalty.web.i18n import Language
from loyalty.web.listing import Column, Listing
from loyalty.web.rendering import DEFAULT_ZONE, Frame, Link, reader_of, render

NOW = datetime(2026, 9, 24, 6, 5, tzinfo=UTC)
_FUEL = (590, 838, 712, 871, 982, 552, 248, 581, 950, 891, 730, 975, 608, 281, 640, 858, 926, 785, 1024, 610, 271, 806, 919, 642)
_BEFORE = (628, 805, 846, 809, 842, 573, 284, 741, 918, 810, 792, 956, 549, 320, 636, 795, 926, 740, 904, 643, 305, 744, 872, 701)


class Once(Struct):
    """What the form that is sent once carries."""

    idempotency_key: str = ""
    amount: str = ""
    csrf_token: str = ""


@get("/design", opt={"public": True}, include_in_schema=False)
async def design(request: Request[Any, Any, Any]) -> Response[str]:
    """Show every piece."""
    words = reader_of(request).language
    figures = Formats(words, DEFAULT_ZONE, NOW)
    listing = Listing("/design", "-litres", {"status": request.query_params.get("status", "")})
    return render(
        request,
        "gallery/design.html",
        now=NOW,
        frame=_frame(words),
        figures=_charts(words, figures),
        listing=listing,
        key=secrets.token_urlsafe(12),
        columns=_columns(words),
        earlier=[NOW - age for age in (timedelta(minutes=7), timedelta(hours=3), timedelta(days=1, hours=2), timedelta(days=63))],
        spark=charts.sparkline(_FUEL[:14]),
    )


@post("/design/once", opt={"public": True}, include_in_schema=False, status_code=200)
async def design_once(request: Request[Any, Any, Any], data: URLEncodedBody[Once]) -> Response[str]:
    """Answer the form that is sent once: it shows what the browser does when the network drops."""
    return render(request, "gallery/once.html", now=NOW, key=data.idempotency_key, amount=data.amount)


def _frame(words: Language) -> Frame:
    _ = words.gettext
    return Frame(
        portal=_("Station No. 3"),
        home="/design",
        links=(
            Link("/design", _("Every piece"), key="F1", current=True),
            Link("#fields", _("Fields"), key="F2"),
            Link("#tables", _("Tables"), key="F3"),
            Link("#charts", _("Charts"), key="F4"),
            Link("#states", _("States"), key="F6"),
            Link("#problem-pieces", _("Unresolved fills"), count=1),
            Link("#counter", _("Counter"), key="F9"),
        ),
        who="刘敏",
        about=(_("Early shift since 06:00"), _("Online")),
        sign_out="/design",
    )


def _columns(words: Language) -> list[Column]:
    _ = words.gettext
    return [
        Column(_("Plate"), sort="plate"),
        Column(_("Department")),
        Column(_("Driver")),
        Column(_("Litres this month"), "num", "litres"),
        Column(_("Trend")),
        Column(_("Quota")),
        Column(_("Balance"), "num", "balance"),
        Column(_("Status")),
    ]


def _charts(words: Language, figures: Formats) -> dict[str, charts.Chart]:
    _ = words.gettext
    days = [words.either(f"{day} 日", str(day)) for day in range(1, len(_FUEL) + 1)]
    stations = [
        words.either(name, latin) for name, latin in (("一号站", "No. 1"), ("二号站", "No. 2"), ("三号站", "No. 3"), ("东门站", "East"))
    ]

    def litres(value: int) -> str:
        return figures.quantity(value * 1000, digits=0)

    def money(value: int) -> str:
        return figures.money(value * 100)

    return {
        "bars": charts.bar_chart(
            _("Fuel a day"),
            days,
            [charts.Series(_("Month before"), _BEFORE, "before"), charts.Series(_("This month"), _FUEL)],
            text=litres,
            tick_text=figures.count,
            label_head=_("Day"),
        ),
        "line": charts.line_chart(
            _("Balance of the pool"),
            days,
            [charts.Series(_("Balance"), [98_000 - 1_650 * day for day in range(len(days))])],
            text=money,
            tick_text=figures.count,
            label_head=_("Day"),
            limit=(20_000, _("Low-balance alarm")),
            area=True,
        ),
        "stacked": charts.stacked_chart(
            _("Tenders by station"),
            stations,
            [
                charts.Series(_("Card"), (4210, 3650, 5120, 2890)),
                charts.Series(_("WeChat"), (2100, 1840, 2600, 900), "2"),
                charts.Series(_("Cash"), (640, 820, 410, 700), "3"),
            ],
            text=money,
            tick_text=figures.count,
            label_head=_("Station"),
        ),
    }
