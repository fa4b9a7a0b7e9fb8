"""Campaigns: whom they reached, what they cost whom, what is left, whether they changed anything."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.rewards.queries import campaigns as queries
from loyalty.rewards.queries.campaign_people import groups_of, list_flyers
from loyalty.rewards.queries.campaigns import CampaignView, Cost
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.campaign_parts import (
    KIND,
    burn_parts,
    cost_chart,
    flyer_columns,
    flyer_row,
    flyers_empty,
    result_parts,
    uplift_parts,
)
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, single, three
from loyalty.web.office.lookups import select
from loyalty.web.office.parts import Act, Cell, Facts, Later, Part, Rows
from loyalty.web.office.sale_amounts import funder_of

PATH: Final = "/office/campaigns"
FLYERS: Final = "/office/flyers"
_MONTHS_MAX: Final = 36


def admit(desk: Desk) -> None:
    """Let marketing and whoever reads the issuer's liability see it: figures of all stations.

    :raises NotAllowed: otherwise
    """
    if not desk.may(Permission.EDIT_RULES):
        desk.require(Permission.READ_LIABILITY)


def tabs(desk: Desk, here: str) -> list[tuple[str, str, bool, int]]:
    """Return the views of what campaigns did."""
    _ = desk.gettext
    return [(_("Campaigns"), PATH, here == PATH, 0), (_("Flyers"), FLYERS, here == FLYERS, 0)]


@get(three("/campaigns"))
async def campaigns(desk: NamedDependency[Desk]) -> Any:
    """List every campaign that was ever live."""
    admit(desk)
    _ = desk.gettext

    async def fetch(_cursor: str | None, _limit: int) -> Found[CampaignView]:
        return await single(await queries.list_campaigns(desk.session, now=desk.now))

    async def rows(found: Sequence[CampaignView]) -> list[list[Cell]]:
        return [
            [
                cells.link(desk, f"{PATH}/{one.code}", _name(desk, one)),
                cells.when(desk, one.since),
                cells.when(desk, one.until) if one.is_over else cells.when(desk, one.campaign.ends_at),
                _state(desk, one),
                _held_out(desk, one),
                cells.count(desk, len(one.rules)),
                cells.text(", ".join(desk.either(*one.budget_names.get(code, (code, code))) for code in one.budgets) or None),
            ]
            for one in found
        ]

    return await show(
        desk,
        List(
            title=_("Campaigns"),
            sub=_("Rules that are judged together: whom they reached, what they cost, what they changed"),
            listing=desk.listing(PATH, "", []),
            columns=[
                Column(_("Campaign")),
                Column(_("From")),
                Column(_("To")),
                Column(_("State")),
                Column(_("Held out"), "num"),
                Column(_("Rules"), "num"),
                Column(_("Budgets")),
            ],
            fetch=fetch,
            rows=rows,
            tabs=tabs(desk, PATH),
            empty=_("No campaign has been live yet"),
            empty_then=_("Add one to a draft of the rules and name it in its rules; its results stand here from its first day on."),
            name="campaigns",
        ),
    )


def _name(desk: Desk, one: CampaignView) -> str:
    return desk.either(one.campaign.name_zh, one.campaign.name_en)


def _held_out(desk: Desk, one: CampaignView) -> Cell:
    share = one.campaign.hold_out_basis_points
    return Cell(desk.f.percent(share) if share else "—", share)


def _state(desk: Desk, one: CampaignView) -> Cell:
    label = desk.gettext("Over") if one.is_over else desk.gettext("Running")
    return Cell(desk.tag(label, "" if one.is_over else "good"), label)


@get("/campaigns/{code:str}")
async def campaign(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Show one campaign: its figures come when they are reckoned, each by itself."""
    admit(desk)
    _ = desk.gettext
    one = await queries.get_campaign(desk.session, code=code, now=desk.now)
    base = f"{PATH}/{code}"
    held_out = desk.f.percent(one.campaign.hold_out_basis_points)
    facts = Facts(
        title=_("The campaign"),
        pairs=[
            (_("From"), desk.f.instant(one.since)),
            (_("To"), desk.f.instant(one.until if one.is_over else one.campaign.ends_at)),
            (_("Held out"), _("%(share)s of the customers", share=held_out) if one.campaign.hold_out_basis_points else _("nobody")),
            (_("Rulebooks"), ", ".join(str(number) for number in one.books)),
            (_("Code"), code),
        ],
    )
    rules = Rows(
        title=_("Its rules"),
        columns=[Column(_("Rule"))],
        rows=[[cells.text(f"{desk.either(rule.name_zh, rule.name_en)} ({rule.code})")] for rule in one.rules],
        empty=_("No rule names it"),
    )
    main: list[Part] = [
        Later(title=_("What it gave"), href=f"{base}/results"),
        Later(title=_("What it changed"), href=f"{base}/uplift"),
    ]
    if one.budgets:
        main.append(Later(title=_("What is left of its budgets"), href=f"{base}/budgets"))
    if one.flyers:
        main.append(Later(title=_("Flyers in their first days"), href=f"{base}/flyers"))
    about = desk.either(one.campaign.about_zh or "", one.campaign.about_en or "")
    return await desk.page(
        _name(desk, one),
        sub=about,
        crumbs=[(_("Campaigns"), PATH), (code, "")],
        tags=[_state(desk, one).show],
        acts=[Act(_("Cost by day"), f"{base}/days")],
        main=main,
        aside=[facts, rules],
    )


@get("/campaigns/{code:str}/results")
async def results(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Reckon whom it reached and what it cost."""
    one = await _asked(desk, code)
    places = await lookups.places(desk)
    found = await queries.results_of(desk.session, campaign=one, zone=desk.zone, until=desk.now)
    first, last = _days(desk, one)
    costs = await queries.costs_of(desk.session, campaign=one, first_day=first, last_day=last, zone=desk.zone)
    return await _reckoned(desk, one, result_parts(desk, one, found, costs, places, f"{PATH}/{code}/days"))


@get("/campaigns/{code:str}/uplift")
async def uplift(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Compare those it was offered to with those held out."""
    one = await _asked(desk, code)
    found = await groups_of(desk.session, campaign=one, zone=desk.zone) if one.campaign.hold_out_basis_points else None
    return await _reckoned(desk, one, uplift_parts(desk, one, found))


@get("/campaigns/{code:str}/budgets")
async def budgets(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Draw what is left of each budget, day by day."""
    one = await _asked(desk, code)
    today = _local(desk, desk.now)
    found = await queries.burn_down(desk.session, codes=one.budgets, since=one.since, today=today, zone=desk.zone)
    return await _reckoned(desk, one, burn_parts(desk, one, found))


@get("/campaigns/{code:str}/flyers")
async def campaign_flyers(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Tell what the flyer codes of its rules brought in its time."""
    one = await _asked(desk, code)
    found = await list_flyers(desk.session, since=one.since, until=one.until, currency=one.currency, codes=tuple(one.flyers), limit=200)
    part = Rows(
        title="",
        columns=flyer_columns(desk),
        rows=[flyer_row(desk, each, one.currency) for each in found.rows],
        empty=flyers_empty(desk),
    )
    return await _reckoned(desk, one, [part])


async def _asked(desk: Desk, code: str) -> CampaignView:
    admit(desk)
    return await queries.get_campaign(desk.session, code=code, now=desk.now)


async def _reckoned(desk: Desk, one: CampaignView, parts: Sequence[Part]) -> Page:
    name = _name(desk, one)
    crumbs = [(desk.gettext("Campaigns"), PATH), (name, f"{PATH}/{one.code}")]
    return await desk.shown(name, parts, crumbs=crumbs)


def _local(desk: Desk, instant: datetime) -> date:
    return instant.astimezone(ZoneInfo(desk.zone)).date()


def _days(desk: Desk, one: CampaignView) -> tuple[date, date]:
    """Return the business days that it can have sales of, half-open; a fill belongs to a day around its booking."""
    return _local(desk, one.since) - timedelta(days=1), _local(desk, desk.now) + timedelta(days=2)


@get(three("/campaigns/{code:str}/days"))
async def days(desk: NamedDependency[Desk], code: FromPath[str]) -> Any:
    """List what each funder bore by day, a month at a time."""
    one = await _asked(desk, code)
    _ = desk.gettext
    months = _months(desk, one)
    listing = desk.listing(f"{PATH}/{code}/days", "", ["month"])
    month = next((each for each in months if f"{each:%Y-%m}" == listing.filters["month"]), months[0])
    end = (month + timedelta(days=31)).replace(day=1)
    costs = await queries.costs_of(desk.session, campaign=one, first_day=month, last_day=end, zone=desk.zone)
    places = await lookups.places(desk)

    async def fetch(_cursor: str | None, _limit: int) -> Found[Cost]:
        return await single(costs)

    async def rows(found: Sequence[Cost]) -> list[list[Cell]]:
        return [
            [
                cells.day(desk, each.day),
                cells.text(funder_of(desk, each.funder, places)),
                cells.text(_(KIND.get(each.kind, each.kind))),
                cells.count(desk, each.times),
                cells.money(desk, each.amount, one.currency) if each.kind in {"discount", "bonus"} else cells.count(desk, each.amount),
            ]
            for each in found
        ]

    name = _name(desk, one)
    top: list[Part] = [cost_chart(desk, one, costs, places)] if costs else []
    return await show(
        desk,
        List(
            title=_("Cost by day"),
            sub=name,
            crumbs=[(_("Campaigns"), PATH), (name, f"{PATH}/{code}"), (_("Cost by day"), "")],
            listing=listing,
            columns=[Column(_("Day")), Column(_("Borne by")), Column(_("Kind")), Column(_("Times"), "num"), Column(_("Amount"), "num")],
            fetch=fetch,
            rows=rows,
            filters=[
                select(
                    "month", _("Month"), [(f"{each:%Y-%m}", desk.f.month(each)) for each in months], value=f"{month:%Y-%m}", required=False
                )
            ],
            top=top,
            empty=_("It gave nothing in this month"),
            empty_then=_("What is given stands here from the next minute on."),
            name=f"campaign-{code}-{month:%Y-%m}",
        ),
    )


def _months(desk: Desk, one: CampaignView) -> list[date]:
    """Return the months of a campaign's time, the latest first; refunds and late advices count on the day of their sale."""
    first, last = _local(desk, one.since).replace(day=1), _local(desk, one.until).replace(day=1)
    found = [last]
    while found[-1] > first and len(found) < _MONTHS_MAX:
        found.append((found[-1] - timedelta(days=1)).replace(day=1))
    return found


handlers = [campaigns, campaign, results, uplift, budgets, campaign_flyers, days]
