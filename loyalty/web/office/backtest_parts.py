"""What a backtest's report is made of."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from loyalty.backtests.model import BacktestStatus
from loyalty.backtests.queries.shadows import ShadowDay
from loyalty.backtests.report import Bucket, DayLine, PartyLine, Report, RuleLine, Side
from loyalty.money import minor_digits, round_half_up
from loyalty.web.charts import Series, bar_chart
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.campaign_parts import KIND
from loyalty.web.office.desk import Desk
from loyalty.web.office.lookups import Places
from loyalty.web.office.parts import Cell, Drawn, Facts, Part, Rows, Said, Text, Tile, Tiles
from loyalty.web.office.sale_amounts import funder_of

STATUS: Final[Mapping[BacktestStatus, tuple[str, str]]] = {
    BacktestStatus.QUEUED: (N_("Waiting"), "info"),
    BacktestStatus.RUNNING: (N_("Running"), "info"),
    BacktestStatus.DONE: (N_("Done"), "good"),
    BacktestStatus.FAILED: (N_("Failed"), "bad"),
    BacktestStatus.CANCELLED: (N_("Cancelled"), ""),
}
NOTES: Final[Mapping[str, str]] = {
    "customers_as_now": N_("Tier, segment and birthday are as they are known now, not as they were at each sale."),
    "counters_from_zero": N_("Caps and counts begin with the period: what customers had before it is not counted."),
    "budgets_from_full": N_("Budgets begin full."),
}
_MONEY: Final = frozenset({"discount", "surcharge", "bonus"})
_DAYS_MOST: Final = 62
_SHADOW_DAYS: Final = 31


def report_parts(
    desk: Desk, report: Report, names: Mapping[UUID, str], places: Places, called: Mapping[str, str]
) -> tuple[list[Part], list[Part], list[Part]]:
    """Return a report's figures for the top, the main column and beside it; `called` names budgets and agreements by code."""
    main: list[Part] = [
        _cost_chart(desk, report),
        _funders(desk, report, places),
        _spread_chart(desk, report),
        _parties(desk, desk.gettext("Who saves most more"), report.top_winners, report.currency, names),
        _parties(desk, desk.gettext("Who saves most less"), report.top_losers, report.currency, names),
    ]
    aside: list[Part] = [_sides(desk, report)]
    if report.budgets:
        aside.append(_budgets(desk, report, called))
    aside += [_notes(desk, report), _speed(desk, report)]
    # Seven columns want the page's whole width.
    return [_tiles(desk, report), _rules(desk, report, called)], main, aside


def _tiles(desk: Desk, report: Report) -> Tiles:
    _ = desk.gettext
    money, count = desk.f.money, desk.f.count
    live, draft = report.live.cost_minor, report.draft.cost_minor
    share = round_half_up(draft * 10_000, report.gross_minor) if report.gross_minor else None
    return Tiles(
        [
            Tile(
                _("The draft costs"),
                money(draft, report.currency),
                _("%(share)s of sales", share=desk.f.percent(share, digits=2)),
            ),
            Tile(
                _("Against the live rules"),
                money(draft - live, report.currency, sign=True),
                _("these gave %(amount)s", amount=money(live, report.currency)),
            ),
            Tile(_("Save more"), count(report.winners), _("customers, %(amount)s more", amount=money(report.won_minor, report.currency))),
            Tile(_("Save less"), count(report.losers), _("customers, %(amount)s less", amount=money(report.lost_minor, report.currency))),
        ]
    )


def _cost_chart(desk: Desk, report: Report) -> Part:
    _ = desk.gettext
    days = _joined(report.days)
    chart = bar_chart(
        _("Cost over the period"),
        [desk.f.day(one.since) for one in days],
        [
            Series(_("Live rules"), [one.live_minor for one in days], "before"),
            Series(_("The draft"), [one.draft_minor for one in days], "1"),
        ],
        text=lambda amount: desk.f.money(amount, report.currency),
        tick_text=lambda amount: desk.f.count(amount // 10 ** minor_digits(report.currency)),
        label_head=_("From"),
    )
    return Drawn(
        chart, _("Discounts less surcharges, and bonus money. The draft is asked of the sales as they were: nobody buys otherwise.")
    )


def _joined(days: Sequence[DayLine]) -> list[DayLine]:
    """Return so few stretches of time that a chart can show them."""
    wide = max(1, -(-len(days) // _DAYS_MOST))
    return [
        DayLine(
            days[first].since,
            sum(one.rows for one in days[first : first + wide]),
            sum(one.live_minor for one in days[first : first + wide]),
            sum(one.draft_minor for one in days[first : first + wide]),
        )
        for first in range(0, len(days), wide)
    ]


def _figure(desk: Desk, kind: str, amount: int, currency: str) -> Cell:
    return cells.money(desk, amount, currency) if kind in _MONEY else cells.count(desk, amount)


def _rules(desk: Desk, report: Report, called: Mapping[str, str]) -> Rows:
    _ = desk.gettext
    before = {(line.rule, line.kind): line for line in report.live.rules}
    lines = [(line, before.pop((line.rule, line.kind), None)) for line in report.draft.rules]
    gone = [(RuleLine(line.rule, line.kind, line.name_zh, line.name_en, 0, 0, 0, 0), line) for line in before.values()]
    return Rows(
        title=_("By rule"),
        columns=[
            Column(_("Rule")),
            Column(_("Kind")),
            Column(_("Times"), "num"),
            Column(_("Customers"), "num"),
            Column(_("Without bounds"), "num"),
            Column(_("It gives"), "num"),
            Column(_("Live gave"), "num"),
        ],
        rows=[
            [
                # An agreement stands in the report by its code alone.
                cells.text(f"{called.get(line.name_zh, desk.either(line.name_zh, line.name_en))} ({line.rule})"),
                cells.text(_(KIND.get(line.kind, line.kind))),
                cells.count(desk, line.times),
                cells.count(desk, line.parties),
                _figure(desk, line.kind, line.wanted, report.currency),
                _figure(desk, line.kind, line.given, report.currency),
                _figure(desk, line.kind, 0 if live is None else live.given, report.currency),
            ]
            for line, live in [*lines, *gone]
        ],
        empty=_("No rule gave anything"),
        note=_("bounds: caps and budgets"),
    )


def _funders(desk: Desk, report: Report, places: Places) -> Rows:
    _ = desk.gettext
    live, draft = _borne(report.live), _borne(report.draft)
    keys = sorted(live | draft, key=lambda key: (key[1] not in _MONEY, -draft.get(key, 0), -live.get(key, 0), key))
    return Rows(
        title=_("Who bears it"),
        columns=[Column(_("Funder")), Column(_("Kind")), Column(_("Live rules"), "num"), Column(_("The draft"), "num")],
        rows=[
            [
                cells.text(_("The stations themselves") if funder == "station" else funder_of(desk, funder, places)),
                cells.text(_(KIND.get(kind, kind))),
                _figure(desk, kind, live.get((funder, kind), 0), report.currency),
                _figure(desk, kind, draft.get((funder, kind), 0), report.currency),
            ]
            for funder, kind in keys
        ],
        empty=_("Nobody"),
    )


def _borne(side: Side) -> dict[tuple[str, str], int]:
    return {(line.funder, line.kind): line.amount for line in side.funders}


def _spread_chart(desk: Desk, report: Report) -> Part:
    _ = desk.gettext
    chart = bar_chart(
        _("Customers by how much more or less they save"),
        [_between(desk, bucket, report.currency) for bucket in report.spread],
        [Series(_("Customers"), [bucket.parties for bucket in report.spread], "1")],
        text=desk.f.count,
        label_head=_("Saves more by"),
    )
    return Drawn(chart, _("Over the whole period, against the live rules. A customer is a person or company, or a card that is nobody's."))


def _between(desk: Desk, bucket: Bucket, currency: str) -> str:
    """Write a bucket's bounds in whole units: −5 to −1, 0, 1 to 10, from 1,000 on."""
    unit = 10 ** minor_digits(currency)
    if (bucket.least, bucket.most) == (0, 1):
        return "0"
    if bucket.least is None:
        return f"≤ −{desk.f.count(-((bucket.most or 0) - 1) // unit)}"
    if bucket.most is None:
        return f"≥ {desk.f.count(bucket.least // unit)}"
    if bucket.most <= 0:
        nearer = -(bucket.most - 1) // unit
        return f"−{desk.f.count(-(bucket.least - 1) // unit)}…{f'−{desk.f.count(nearer)}' if nearer else '0'}"
    return f"{desk.f.count(bucket.least // unit)}…{desk.f.count(bucket.most // unit)}"


def _parties(desk: Desk, title: str, lines: Sequence[PartyLine], currency: str, names: Mapping[UUID, str]) -> Rows:
    _ = desk.gettext

    def who(line: PartyLine) -> Cell:
        name = names.get(line.party)
        if name is not None:
            return cells.link(desk, f"/office/customers/{line.party}", name)
        return cells.text(_("Customer or card %(id)s", id=str(line.party)[-8:]))

    return Rows(
        title=title,
        columns=[Column(_("Customer")), Column(_("Live rules"), "num"), Column(_("The draft"), "num"), Column(_("Difference"), "num")],
        rows=[
            [
                who(line),
                cells.money(desk, line.live_minor, currency),
                cells.money(desk, line.draft_minor, currency),
                cells.money(desk, line.draft_minor - line.live_minor, currency, sign=True),
            ]
            for line in lines
        ],
        empty=_("Nobody"),
    )


def _sides(desk: Desk, report: Report) -> Rows:
    _ = desk.gettext
    currency, live, draft = report.currency, report.live, report.draft
    money = (
        (_("Discounts"), live.discount_minor, draft.discount_minor),
        (_("Surcharges"), live.surcharge_minor, draft.surcharge_minor),
        (_("Bonus money"), live.bonus_minor, draft.bonus_minor),
    )
    numbers = (
        (_("Points"), live.points, draft.points),
        (_("Gifts, vouchers, washes"), live.things, draft.things),
        (_("Customers who saved"), live.parties, draft.parties),
    )
    rows = [[cells.text(name), cells.money(desk, before, currency), cells.money(desk, after, currency)] for name, before, after in money]
    rows += [[cells.text(name), cells.count(desk, before), cells.count(desk, after)] for name, before, after in numbers]
    sales = _("%(rows)s sales, %(customers)s customers", rows=desk.f.count(report.rows), customers=desk.f.count(report.parties))
    return Rows(
        title=_("Side by side"),
        columns=[Column(""), Column(_("Live rules"), "num"), Column(_("The draft"), "num")],
        rows=rows,
        empty="",
        note=sales,
    )


def _budgets(desk: Desk, report: Report, called: Mapping[str, str]) -> Rows:
    _ = desk.gettext
    return Rows(
        title=_("Budgets"),
        columns=[Column(_("Budget")), Column(_("In all"), "num"), Column(_("Used"), "num"), Column(_("Used up"))],
        rows=[
            [
                cells.text(called.get(line.budget, line.budget)),
                _figure(desk, "discount" if line.unit == "minor" else line.unit, line.total, report.currency),
                _figure(desk, "discount" if line.unit == "minor" else line.unit, line.used, report.currency),
                cells.when(desk, line.out_at),
            ]
            for line in report.budgets
        ],
        empty="",
    )


def _notes(desk: Desk, report: Report) -> Text:
    _ = desk.gettext
    said = [_(NOTES[note]) for note in report.notes if note in NOTES]
    said += [
        _("Sales that were voided or refunded whole are left out on both sides; those refunded in part count whole."),
        _("It does not say what customers would have bought otherwise."),
    ]
    return Text(title=_("How it is reckoned"), lines=said)


def _speed(desk: Desk, report: Report) -> Facts:
    _ = desk.gettext
    speed = report.speed
    return Facts(
        title=_("Speed"),
        pairs=[
            (_("Sales a second"), desk.f.count(speed.rows_per_s)),
            (_("Time"), desk.f.duration(max(round_half_up(speed.replay_ms, 1000), 1))),
            (_("Passes"), desk.f.count(speed.passes)),
            (_("Of a plain sum over the same rows"), desk.f.percent(speed.ratio_e4, digits=2)),
        ],
    )


def shadow_parts(desk: Desk, days: Sequence[ShadowDay]) -> list[Part]:
    """Return a shadow's days: a chart of the last month, and its table."""
    _ = desk.gettext
    if not days:
        return [Said(title=_("The shadow run has met no sale yet"), then=_("Each sale is asked within the minute after it is booked."))]
    shown = days[-_SHADOW_DAYS:]
    currency = shown[0].currency
    chart = bar_chart(
        _("Shadow run, day by day"),
        [desk.f.day(one.day) for one in shown],
        [
            Series(_("Live rules"), [one.live_minor + one.live_bonus_minor for one in shown], "before"),
            Series(_("The draft"), [one.shadow_minor + one.shadow_bonus_minor for one in shown], "1"),
        ],
        text=lambda amount: desk.f.money(amount, currency),
        tick_text=lambda amount: desk.f.count(amount // 10 ** minor_digits(currency)),
        label_head=_("Day"),
    )
    table = Rows(
        title=_("What it would have given"),
        columns=[
            Column(_("Day")),
            Column(_("Sales"), "num"),
            Column(_("Live rules"), "num"),
            Column(_("The draft"), "num"),
            Column(_("Difference"), "num"),
            Column(_("Points, difference"), "num"),
            Column(_("Sales better · worse"), "num"),
        ],
        rows=[
            [
                cells.day(desk, one.day),
                cells.count(desk, one.sales),
                cells.money(desk, one.live_minor + one.live_bonus_minor, one.currency),
                cells.money(desk, one.shadow_minor + one.shadow_bonus_minor, one.currency),
                cells.money(desk, one.difference_minor, one.currency, sign=True),
                cells.count(desk, one.shadow_points - one.live_points),
                cells.text(f"{desk.f.count(one.better)} · {desk.f.count(one.worse)}"),
            ]
            for one in reversed(shown)
        ],
        empty="",
    )
    return [Drawn(chart, _("Discounts less surcharges, and bonus money.")), table]
