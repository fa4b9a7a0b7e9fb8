"""What a campaign's page is made of, once it is reckoned."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from loyalty.money import round_half_up
from loyalty.pricing.queries.books import BudgetState
from loyalty.rewards.campaign_rules import Comparison, Verdict, compare
from loyalty.rewards.queries.campaign_people import BEFORE, FLYER_DAYS, FlyerFigures, Group, Uplift
from loyalty.rewards.queries.campaigns import CampaignView, Cost, Left, Results
from loyalty.web.charts import Series, line_chart, ranked_chart, stacked_chart
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk
from loyalty.web.office.lookups import Places
from loyalty.web.office.parts import Cell, Drawn, Part, Rows, Said, Text, Tile, Tiles
from loyalty.web.office.sale_amounts import funder_of

KIND: Final[Mapping[str, str]] = {
    "discount": N_("Discount"),
    "surcharge": N_("Surcharge"),
    "bonus": N_("Bonus money"),
    "points": N_("Points"),
    "gift": N_("Gift"),
    "voucher": N_("Voucher"),
    "wash": N_("Free wash"),
}
MONEY: Final = frozenset({"discount", "bonus"})
_DAYS_MOST: Final = 62
_FUNDERS_MOST: Final = 4


def result_parts(desk: Desk, one: CampaignView, found: Results, costs: Sequence[Cost], places: Places, more: str) -> list[Part]:
    """Return whom it reached, what it gave, and who bore it."""
    _ = desk.gettext
    if not found.times:
        then = _("Customers stand here from the first sale or top-up on that its rules gave something for.")
        return [Said(title=_("It has given nothing yet"), then=then)]
    money = sum(each.net for each in found.kinds if each.kind in MONEY)
    tiles = [
        Tile(_("Customers reached"), desk.f.count(found.customers), _("each counted once")),
        Tile(_("Times"), desk.f.count(found.times), _("sales and top-ups")),
    ]
    if not any(each.kind in MONEY for each in found.kinds):
        return [Tiles(tiles), _kinds(desk, one, found)]
    each = desk.f.money(round_half_up(money, max(found.customers, 1)), one.currency)
    tiles.append(Tile(_("Cost"), desk.f.money(money, one.currency), _("%(amount)s a customer, what went back taken off", amount=each)))
    return [Tiles(tiles), _kinds(desk, one, found), cost_chart(desk, one, costs, places, act=more), _funders(desk, one, costs, places)]


def _kinds(desk: Desk, one: CampaignView, found: Results) -> Rows:
    _ = desk.gettext

    def figure(kind: str, amount: int) -> Cell:
        return cells.money(desk, amount, one.currency) if kind in MONEY else cells.count(desk, amount)

    return Rows(
        title=_("By what was given"),
        columns=[
            Column(_("Kind")),
            Column(_("Times"), "num"),
            Column(_("Customers"), "num"),
            Column(_("Given out"), "num"),
            Column(_("Went back"), "num"),
            Column(_("Stayed"), "num"),
        ],
        rows=[
            [
                cells.text(_(KIND.get(each.kind, each.kind))),
                cells.count(desk, each.times),
                cells.count(desk, each.customers),
                figure(each.kind, each.given),
                figure(each.kind, each.returned),
                figure(each.kind, each.net),
            ]
            for each in found.kinds
        ],
        empty=_("Nothing"),
    )


def _money_by_funder(costs: Sequence[Cost]) -> list[tuple[str, int, int]]:
    """Return (funder, times, amount), who bore the most first."""
    funders = {each.funder for each in costs if each.kind in MONEY}
    sums = [
        (
            funder,
            sum(each.times for each in costs if each.funder == funder and each.kind in MONEY),
            sum(each.amount for each in costs if each.funder == funder and each.kind in MONEY),
        )
        for funder in funders
    ]
    return sorted(sums, key=lambda each: (-each[2], each[0]))


def cost_chart(desk: Desk, one: CampaignView, costs: Sequence[Cost], places: Places, *, act: str = "") -> Part:
    """Draw what each funder bore by day; the smallest of many together."""
    _ = desk.gettext
    funders = [funder for funder, _times, _amount in _money_by_funder(costs)]
    if not funders:
        return Said(title=_("It cost no money: what it gave are points or things."))
    last = max(each.day for each in costs)
    first = max(min(each.day for each in costs), last - timedelta(days=_DAYS_MOST - 1))
    days = [first + timedelta(days=step) for step in range((last - first).days + 1)]
    alone, together = (funders, []) if len(funders) <= _FUNDERS_MOST else (funders[: _FUNDERS_MOST - 1], funders[_FUNDERS_MOST - 1 :])
    sums: dict[tuple[str, date], int] = {}
    for each in costs:
        if each.kind in MONEY:
            name = each.funder if each.funder in alone else ""
            sums[name, each.day] = sums.get((name, each.day), 0) + each.amount
    series = [
        Series(funder_of(desk, funder, places), [sums.get((funder, day), 0) for day in days], str(place))
        for place, funder in enumerate(alone, 1)
    ]
    if together:
        series.append(Series(_("Others"), [sums.get(("", day), 0) for day in days], str(len(alone) + 1)))
    chart = stacked_chart(
        _("Cost by day and who bore it"),
        [desk.f.day(day) for day in days],
        series,
        text=lambda amount: desk.f.money(amount, one.currency),
        label_head=_("Day"),
    )
    note = _("the last %(days)s days", days=_DAYS_MOST) if len(days) == _DAYS_MOST else ""
    return Drawn(chart, note=desk.link(act, _("All days, a month at a time")) if act else note)


def _funders(desk: Desk, one: CampaignView, costs: Sequence[Cost], places: Places) -> Rows:
    _ = desk.gettext
    found = _money_by_funder(costs)
    return Rows(
        title=_("Who bore it"),
        columns=[Column(_("Borne by")), Column(_("Times"), "num"), Column(_("Amount"), "num")],
        rows=[
            [cells.text(funder_of(desk, funder, places)), cells.count(desk, times), cells.money(desk, amount, one.currency)]
            for funder, times, amount in found[:50]
        ],
        totals=[cells.text(_("Together")), Cell("", ""), cells.money(desk, sum(amount for _f, _t, amount in found), one.currency)],
        empty=_("Nobody: it cost no money"),
    )


def uplift_parts(desk: Desk, one: CampaignView, found: Uplift | None) -> list[Part]:
    """Return whether it changed anything, in one sentence, and the figures behind it."""
    _ = desk.gettext
    if found is None:
        then = _(
            "Set a share of customers to hold out in the campaign, a tenth for instance: they get none of it and show what comes anyway."
        )
        return [Said(title=_("Whether it changed anything cannot be told: nobody is held out"), then=then)]
    spend, litres = compare(found.offered.spend, found.held_out.spend), compare(found.offered.litres, found.held_out.litres)
    parts: list[Part] = [_verdict(desk, one, spend, found)]
    if found.leaked:
        parts.append(
            Said(
                title=_("%(count)s of those held out got something all the same", count=desk.f.count(found.leaked)),
                then=_("The share was changed while it ran; they still count as held out."),
                tone="warn",
            )
        )
    if spend.verdict not in {Verdict.NOT_HELD_OUT, Verdict.TOO_FEW}:
        parts.append(_means(desk, one, found))
    return [*parts, _groups(desk, one, found, spend, litres), _how(desk)]


def _verdict(desk: Desk, one: CampaignView, spend: Comparison, found: Uplift) -> Said:
    _ = desk.gettext
    difference, margin = desk.f.money(abs(spend.difference), one.currency), desk.f.money(spend.margin, one.currency)
    match spend.verdict:
        case Verdict.NOT_HELD_OUT:
            return Said(
                title=_("Nobody who could be met is held out yet"), then=_("The draw has fallen on none of these customers so far.")
            )
        case Verdict.TOO_FEW:
            offered, held = desk.f.count(found.offered.people), desk.f.count(found.held_out.people)
            then = _("Each group needs 30 customers; offered: %(offered)s, held out: %(held)s.", offered=offered, held=held)
            return Said(title=_("Too few customers to say anything"), then=then)
        case Verdict.CHANCE:
            title = _("No difference beyond chance")
            said = N_("Customers differ by %(difference)s each; up to %(margin)s comes about without any effect.")
            return Said(title=title, then=_(said, difference=difference, margin=margin))
        case Verdict.MORE:
            title = _("Each customer it was offered to spent %(difference)s more", difference=difference)
            return Said(title=title, then=_("Beyond the %(margin)s that come about by chance.", margin=margin), tone="good")
        case Verdict.LESS:
            title = _("Each customer it was offered to spent %(difference)s less", difference=difference)
            return Said(title=title, then=_("Beyond the %(margin)s that come about by chance.", margin=margin), tone="warn")


def _means(desk: Desk, one: CampaignView, found: Uplift) -> Drawn:
    _ = desk.gettext
    chart = ranked_chart(
        _("Spent by each customer"),
        [_("Offered"), _("Held out")],
        [Series(_("Spend"), [found.offered.spend.mean, found.held_out.spend.mean])],
        text=lambda amount: desk.f.money(amount, one.currency),
        label_head=_("Group"),
    )
    return Drawn(chart)


def _groups(desk: Desk, one: CampaignView, found: Uplift, spend: Comparison, litres: Comparison) -> Rows:
    _ = desk.gettext

    def row(name: str, group: Group) -> list[Cell]:
        return [
            cells.text(name),
            cells.count(desk, group.people),
            cells.count(desk, group.buyers),
            cells.money(desk, group.spend.mean, one.currency),
            _litres(desk, group.litres.mean),
        ]

    empty = Cell("", "")
    rows = [row(_("Offered"), found.offered), row(_("of them reached"), found.reached), row(_("Held out"), found.held_out)]
    judged = spend.verdict not in {Verdict.NOT_HELD_OUT, Verdict.TOO_FEW}
    if judged:
        rows.append(
            [
                cells.text(_("Chance is up to")),
                empty,
                empty,
                cells.money(desk, spend.margin, one.currency),
                _litres(desk, litres.margin),
            ]
        )
    totals = [
        cells.text(_("Difference")),
        empty,
        empty,
        cells.money(desk, spend.difference, one.currency, sign=True),
        _litres(desk, litres.difference),
    ]
    return Rows(
        title=_("Offered and held out"),
        columns=[
            Column(_("Group")),
            Column(_("Customers"), "num"),
            Column(_("Bought"), "num"),
            Column(_("Spent each"), "num"),
            Column(_("Litres each"), "num"),
        ],
        rows=rows,
        totals=totals if judged else None,
        empty=_("Nobody"),
    )


def _litres(desk: Desk, milli: int) -> Cell:
    """Return a mean quantity: its third decimal says nothing."""
    return cells.quantity(desk, round_half_up(milli, 10) * 10)


def _how(desk: Desk) -> Text:
    _ = desk.gettext
    return Text(
        title=_("How it is judged"),
        lines=[
            _(
                "Counted is who bought in the %(days)s days before or came in its time; figures are of its time, at the pump's prices.",
                days=BEFORE.days,
            ),
            _("Everybody it was offered to counts, reached or not: who takes an offer buys more anyway."),
            _("A difference counts from two standard errors on (Welch's test): 95 of 100 campaigns without effect stay below."),
        ],
    )


def burn_parts(desk: Desk, one: CampaignView, found: Sequence[tuple[BudgetState, Sequence[Left]]]) -> list[Part]:
    """Return what was left of each budget by day."""
    _ = desk.gettext
    parts: list[Part] = []
    for state, line in found:

        def figure(amount: int, state: BudgetState = state) -> str:
            return desk.f.money(amount, state.currency or one.currency) if state.unit == "minor" else desk.f.count(amount)

        chart = line_chart(
            _("Budget %(budget)s", budget=desk.either(*one.budget_names.get(state.code, (state.code, state.code)))),
            [desk.f.day(each.day) for each in line],
            [Series(_("Left"), [each.left for each in line])],
            text=figure,
            label_head=_("Day"),
            limit=(state.total, _("In all")),
            area=True,
        )
        said = _("%(used)s used of %(total)s", used=figure(state.used), total=figure(state.total))
        if state.reserved:
            said += " · " + _("%(reserved)s set aside by fills under way", reserved=figure(state.reserved))
        parts.append(Drawn(chart, note=f"{said} · {_('other rules may draw on it too')}"))
    return parts or [Said(title=_("Its budgets have not gone live yet"))]


def flyers_empty(desk: Desk) -> str:
    """Say that no flyer brought anybody."""
    return desk.gettext("No customer came with a flyer code in this time")


def flyer_columns(desk: Desk) -> list[Column]:
    """Return the columns of `flyer_row`."""
    _ = desk.gettext
    return [
        Column(_("Flyer code")),
        Column(_("Customers"), "num"),
        Column(_("Cards opened"), "num"),
        Column(_("Loaded"), "num"),
        Column(_("First loads"), "num"),
        Column(_("Bought within %(days)s days", days=FLYER_DAYS), "num"),
        Column(_("Came more than twice"), "num"),
        Column(_("Spent in them"), "num"),
        Column(_("Shown at top-ups"), "num"),
    ]


def flyer_row(desk: Desk, one: FlyerFigures, currency: str) -> list[Cell]:
    """Return what one flyer code brought, each step with its share of the customers."""
    return [
        cells.text(one.code),
        cells.count(desk, one.customers),
        cells.count(desk, one.cards),
        _share(desk, one.loaders, one.customers),
        cells.money(desk, one.loaded_minor, currency),
        _share(desk, one.buyers, one.customers),
        _share(desk, one.stayed, one.customers),
        cells.money(desk, one.spend_minor, currency),
        cells.count(desk, one.topups),
    ]


def _share(desk: Desk, part: int, whole: int) -> Cell:
    return Cell(f"{desk.f.count(part)} · {desk.f.percent(part * 10_000 // whole, digits=0)}" if part else "0", part)
