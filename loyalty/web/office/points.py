"""Points: what the house owes and when it runs out; one customer's points account."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.customers.queries import get_customer
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.rewards.model_grants import GrantKind, GrantStatus
from loyalty.rewards.model_points import PointsLiability
from loyalty.rewards.points_rules import months_later
from loyalty.rewards.queries.grants import GrantView, list_grants
from loyalty.rewards.queries.points import PointsView, accounts_of, latest_liability, points_flow, points_of, redemptions_of
from loyalty.web.charts import Series, bar_chart
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.coded import Coded, coded
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import GRANT_STATUS
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.parts import Cell, Drawn, Facts, Part, Rows, Said, Tile, Tiles

PATH = "/office/points"
_WEEK = timedelta(days=7)
_MONTHS = 24
"""So many months the chart shows; what runs out later is said beside it."""


@get("/points")
async def points(desk: NamedDependency[Desk]) -> Page:
    """Say what the house owes in points, when it runs out, and what the last week did to it."""
    desk.require(Permission.READ_LIABILITY)
    _ = desk.gettext
    owes = await latest_liability(desk.session)
    week = await points_flow(desk.session, since=desk.now - _WEEK, until=desk.now)
    flow = Facts(
        title=_("The last seven days"),
        figures=True,
        pairs=[
            (_("Earned"), desk.f.count(week.issued)),
            (_("Redeemed"), desk.f.count(week.redeemed)),
            (_("Run out"), desk.f.count(week.expired)),
            (_("Taken back with refunds"), desk.f.count(week.returned)),
        ],
    )
    if owes is None:
        then = _("What is owed is reckoned every night, since that reads every lot.")
        return await desk.page(_("Points"), top=[Said(title=_("Not reckoned yet"), then=then)], main=[flow])
    top = Tiles(
        [
            Tile(_("Outstanding"), desk.f.count(owes.outstanding), _("points that can be spent")),
            Tile(_("Not active yet"), desk.f.count(owes.pending), _("earned, and waiting")),
            Tile(_("Holders"), desk.f.count(owes.holders), _("accounts that have any")),
            Tile(_("Owed by holders"), desk.f.count(owes.owed), _("after refunds"), "warn" if owes.owed else ""),
        ]
    )
    main: list[Part] = [_expiring(desk, owes)] if owes.outstanding else []
    return await desk.page(
        _("Points"),
        sub=_("As reckoned %(when)s", when=desk.f.when(owes.taken_at)),
        top=[top],
        main=main or [flow],
        aside=[flow] if main else [],
    )


def _expiring(desk: Desk, owes: PointsLiability) -> Drawn:
    _ = desk.gettext
    dated = {date.fromisoformat(month): count for month, count in owes.expiring if month is not None}
    never = sum(count for month, count in owes.expiring if month is None)
    first, last = min(dated, default=desk.now.date()), max(dated, default=desk.now.date())
    months = [month for step in range(_MONTHS) if (month := months_later(first.replace(day=1), step)) <= last]
    later = sum(count for month, count in dated.items() if month > months[-1])
    said = []
    if later:
        said.append(_("%(points)s later", points=desk.f.count(later)))
    if never:
        said.append(_("%(points)s never run out", points=desk.f.count(never)))
    chart = bar_chart(
        _("Run out by month"),
        [desk.f.month(month) for month in months],
        [Series(_("Points"), [dated.get(month, 0) for month in months])],
        text=desk.f.count,
        label_head=_("Month"),
    )
    return Drawn(chart, note=" · ".join(said))


@get(three("/customers/{customer_id:uuid}/points"))
async def account(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Any:
    """Show a customer's points: what there is, what runs out, what was earned and spent."""
    desk.require(Permission.READ_CUSTOMERS)
    _ = desk.gettext
    one = await get_customer(desk.session, customer_id=customer_id)
    accounts = await accounts_of(desk.session, customer_id=customer_id)
    held = await points_of(desk.session, account_ids=accounts, now=desk.now)
    base = f"/office/customers/{customer_id}"
    soonest = held.soonest
    tiles = [
        Tile(_("Points"), desk.f.count(held.available), _("points that can be spent")),
        Tile(_("Not active yet"), desk.f.count(held.pending), _pending_from(desk, held)),
    ]
    if soonest is not None and soonest.expires_at is not None:
        tiles.append(Tile(_("Run out first"), desk.f.count(soonest.points), desk.f.full_day(soonest.expires_at - timedelta(seconds=1))))
    if held.owed:
        tiles.append(Tile(_("Owed"), desk.f.count(held.owed), _("the next points pay it"), "warn"))

    async def fetch(cursor: str | None, limit: int) -> Found[GrantView]:
        return await list_grants(desk.session, account_ids=accounts, kinds=[GrantKind.POINTS], cursor=cursor, limit=limit)

    async def rows(found: Sequence[GrantView]) -> list[list[Cell]]:
        words = await coded(desk)
        return [_grant(desk, grant, words) for grant in found]

    return await show(
        desk,
        List(
            title=_("Points account"),
            sub=one.name,
            crumbs=[(_("Customers"), "/office/customers"), (one.name, base), (_("Points account"), "")],
            listing=desk.listing(f"{base}/points", "", []),
            columns=[
                Column(_("When")),
                Column(_("Rule")),
                Column(_("Points"), "num"),
                Column(_("Taken back"), "num"),
                Column(_("Active from")),
                Column(_("Run out")),
                Column(_("State")),
            ],
            fetch=fetch,
            rows=rows,
            top=[Tiles(tiles)],
            below=[await _spent(desk, accounts)],
            empty=_("No points earned yet"),
            empty_then=_("Points stand here within minutes of a sale."),
            name="points",
        ),
    )


def _pending_from(desk: Desk, held: PointsView) -> str:
    if held.pending_from is not None:
        return desk.f.day(held.pending_from)
    return desk.gettext("after the day close") if held.pending else ""


def _grant(desk: Desk, grant: GrantView, words: Coded) -> list[Cell]:
    end = None if grant.expires_at is None else grant.expires_at - timedelta(seconds=1)
    gone = grant.status is GrantStatus.ACTIVE and grant.expires_at is not None and grant.expires_at <= desk.now
    state = Cell(desk.tag(desk.gettext("Run out")), desk.gettext("Run out")) if gone else cells.tag(desk, grant.status, GRANT_STATUS)
    return [
        cells.when(desk, grant.event_at),
        cells.text(words.rule(grant.rule)),
        cells.count(desk, grant.amount),
        cells.count(desk, grant.returned) if grant.returned else Cell("—", 0),
        cells.when(desk, grant.active_at) if grant.settles_on is None else cells.text(desk.gettext("after the day close")),
        Cell(desk.f.full_day(end), end),
        state,
    ]


async def _spent(desk: Desk, accounts: Sequence[UUID]) -> Rows:
    _ = desk.gettext
    found = await redemptions_of(desk.session, account_ids=accounts)
    return Rows(
        title=_("Redeemed"),
        columns=[Column(_("When")), Column(_("What for")), Column(_("Points"), "num"), Column(_("State"))],
        rows=[
            [
                cells.when(desk, one.spent_at),
                cells.text(one.purpose),
                cells.count(desk, one.points),
                Cell(desk.tag(_("undone"), "warn") if one.returned_at else "", one.returned_at is not None),
            ]
            for one in found
        ],
        empty=_("Nothing redeemed yet"),
    )


handlers = [points, account]
