"""What campaigns did, over JSON for the office: the figures of the pages, the same session and permission."""

from datetime import date, datetime, timedelta
from typing import Any, Final

from litestar import Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery
from msgspec import Struct

from loyalty import problems
from loyalty.errors import Refusal
from loyalty.pricing.document import Campaign
from loyalty.rewards.campaign_rules import Comparison, compare
from loyalty.rewards.queries import campaigns as queries
from loyalty.rewards.queries.campaign_people import FlyerFigures, Group, groups_of, list_flyers
from loyalty.rewards.queries.campaigns import CampaignView, Cost, Results

from .campaigns import admit
from .desk import Desk
from .rules_api import on_fault, on_refusal, provide_clerk

_DAYS_MOST: Final = timedelta(days=366)
_FLYERS_MOST: Final = 200


class DaysNotInOrder(Refusal):
    """A span that ends before it begins, or a longer one than a year."""

    status = 422
    zh = "日期范围须从早到晚，且不超过一年：{first} 至 {last}。"
    en = "The days must go from earlier to later, within a year: {first} to {last}."
    next_zh = "请缩短或更正日期范围。"
    next_en = "Shorten the span or correct it."


class CampaignLine(Struct):
    """A campaign that was ever live, and the time in which it could be met, `[since, until)`."""

    campaign: Campaign
    currency: str
    since: datetime
    until: datetime
    is_over: bool
    books: list[int]
    rules: list[str]
    budgets: list[str]


class People(Struct):
    """So many customers; each spent `mean_minor` on average, and so many thousandths of a litre."""

    people: int
    buyers: int
    spend_minor: int
    mean_minor: int
    mean_milli: int

    @classmethod
    def of(cls, group: Group) -> "People":
        """Tell a group."""
        return cls(group.people, group.buyers, group.spend.total, group.spend.mean, group.litres.mean)


class Difference(Struct):
    """What those it was offered to spent more than those held out, on average: within `margin` of it nineteen times in twenty."""

    verdict: str
    difference: int
    margin: int

    @classmethod
    def of(cls, found: Comparison) -> "Difference":
        """Tell a comparison."""
        return cls(found.verdict.value, found.difference, found.margin)


class UpliftFigures(Struct):
    """Everybody it was offered to, those of them it reached, those held out; `leaked` of whom got something all the same."""

    offered: People
    reached: People
    held_out: People
    leaked: int
    spend: Difference
    litres: Difference


def _line(one: CampaignView) -> CampaignLine:
    return CampaignLine(
        one.campaign, one.currency, one.since, one.until, one.is_over, one.books, [rule.code for rule in one.rules], one.budgets
    )


async def _asked(desk: Desk, code: str) -> CampaignView:
    admit(desk)
    return await queries.get_campaign(desk.session, code=code, now=desk.now)


@get("/", summary="Campaigns / 活动列表")
async def listed(desk: NamedDependency[Desk]) -> list[CampaignLine]:
    """Every one that was ever live, the latest begun first."""
    admit(desk)
    return [_line(one) for one in await queries.list_campaigns(desk.session, now=desk.now)]


@get("/{code:str}", summary="A campaign / 查看活动")
async def shown(desk: NamedDependency[Desk], code: FromPath[str]) -> CampaignLine:
    """Its time, rules and budgets."""
    return _line(await _asked(desk, code))


@get("/{code:str}/results", summary="What a campaign gave / 活动结果")
async def results(desk: NamedDependency[Desk], code: FromPath[str]) -> Results:
    """Whom it reached and what it gave of each kind, so far."""
    return await queries.results_of(desk.session, campaign=await _asked(desk, code), zone=desk.zone, until=desk.now)


@get("/{code:str}/costs", summary="What a campaign cost by day / 活动每日成本")
async def costs(desk: NamedDependency[Desk], code: FromPath[str], first: FromQuery[date], last: FromQuery[date]) -> list[Cost]:
    """What each funder bore on each business day of `[first, last)`, a year at most."""
    one = await _asked(desk, code)
    if not first < last <= first + _DAYS_MOST:
        raise DaysNotInOrder(first=first, last=last)
    return await queries.costs_of(desk.session, campaign=one, first_day=first, last_day=last, zone=desk.zone)


@get("/{code:str}/uplift", summary="Whether a campaign changed anything / 活动增量")
async def uplift(desk: NamedDependency[Desk], code: FromPath[str]) -> UpliftFigures | None:
    """Those it was offered to against those held out; null where nobody is held out."""
    one = await _asked(desk, code)
    if not one.campaign.hold_out_basis_points:
        return None
    found = await groups_of(desk.session, campaign=one, zone=desk.zone)
    return UpliftFigures(
        People.of(found.offered),
        People.of(found.reached),
        People.of(found.held_out),
        found.leaked,
        Difference.of(compare(found.offered.spend, found.held_out.spend)),
        Difference.of(compare(found.offered.litres, found.held_out.litres)),
    )


@get("/{code:str}/flyers", summary="What a campaign's flyers brought / 活动传单成效")
async def flyers(desk: NamedDependency[Desk], code: FromPath[str]) -> list[FlyerFigures]:
    """Of the codes that its rules ask for, customers entered in its time."""
    one = await _asked(desk, code)
    if not one.flyers:
        return []
    found = await list_flyers(
        desk.session, since=one.since, until=one.until, currency=one.currency, codes=tuple(one.flyers), limit=_FLYERS_MOST
    )
    return list(found.rows)


_PROBLEMS: Final[Any] = problems.exception_handlers() | {Refusal: on_refusal, Exception: on_fault}  # type: ignore[operator]

campaigns_api = Router(
    path="/office/api/campaigns",
    route_handlers=[listed, shown, results, costs, uplift, flyers],
    dependencies={"desk": Provide(provide_clerk)},
    exception_handlers=_PROBLEMS,
    security=[{"officeSession": list[str]()}],
    tags=["rulebooks"],
)
