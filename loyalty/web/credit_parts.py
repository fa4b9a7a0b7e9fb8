"""Fuel on account in words and tables, for the company's portal and the issuer's office."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from loyalty.clock import local_date
from loyalty.fleet.allocation_rules import instants, span_of
from loyalty.fleet.queries.companies import CompanyView
from loyalty.fleet.queries.credit import Ageing, BillView, CreditView, ProposalView, own_use_of
from loyalty.web.desk import PageDesk
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.parts import Cell, Facts, Rows, Tile, Tiles


def credit_tiles(desk: PageDesk, credit: CreditView, *, drawn_minor: int, open_now: Ageing | None, currency: str) -> Tiles:
    """Return limit, what is drawn, what may still be, and what is late."""
    _, money = desk.gettext, desk.f.money
    late = 0 if open_now is None else open_now.total - open_now.not_due
    free = 0 if credit.blocked_at else max(credit.limit_minor - drawn_minor, 0)
    tiles = [
        Tile(_("Limit on account"), money(credit.limit_minor, currency)),
        Tile(_("Drawn"), money(drawn_minor, currency)),
        Tile(_("May still be drawn"), money(free, currency), tone="bad" if credit.blocked_at else ""),
        Tile(_("Overdue"), money(late, currency), tone="bad" if late else ""),
    ]
    return Tiles(tiles)


async def own_use_tiles(desk: PageDesk, credit: CreditView, *, company: CompanyView, drawn_minor: int) -> Tiles:
    """Read and return what the chain's own vehicles may take a day, what they took and what was booked of it in this period."""
    _, money, currency = desk.gettext, desk.f.money, company.currency
    period = span_of(local_date(desk.now, company.time_zone), period_day=company.period_day)
    booked_minor = await own_use_of(desk.session, company=company, since=instants(period, company.time_zone)[0])
    return Tiles(
        [
            Tile(_("A day's limit"), money(credit.limit_minor, currency)),
            Tile(_("Used, booked at midnight"), money(drawn_minor, currency)),
            Tile(_("May still be used today"), money(max(credit.limit_minor - drawn_minor, 0), currency)),
            Tile(_("The chain's expense in this period"), money(booked_minor, currency)),
        ]
    )


def terms_pairs(desk: PageDesk, terms: CreditView | ProposalView, currency: str) -> list[tuple[str, Any]]:
    """Return terms, name and value."""
    _ = desk.gettext
    if terms.own_use:
        return [(_("Who fuels"), _("The chain itself")), (_("A day's limit"), desk.f.money(terms.limit_minor, currency))]
    return [
        (_("Limit on account"), desk.f.money(terms.limit_minor, currency)),
        (_("Due after"), _("%(days)s days", days=terms.terms_days)),
        (_("Blocked when late by"), _("%(days)s days", days=terms.block_after_days)),
    ]


def terms_part(desk: PageDesk, credit: CreditView, currency: str) -> Facts:
    """Return what is agreed, in words."""
    _ = desk.gettext
    note = _("Nothing more is drawn until what is late is paid.") if credit.blocked_at else ""
    return Facts(title=_("Terms on account"), pairs=terms_pairs(desk, credit, currency), note=note)


def bills_part(desk: PageDesk, bills: Sequence[BillView], currency: str, today: date) -> Rows:
    """Return a company's bills."""
    _ = desk.gettext

    def state(one: BillView) -> Cell:
        if one.settled_at is not None:
            return Cell(desk.tag(_("Paid"), "good"), "paid")
        late = (today - one.due_day).days
        return Cell(desk.tag(_("%(days)s days late", days=late), "bad") if late > 0 else desk.tag(_("Not due yet")), late)

    return Rows(
        title=_("Bills"),
        columns=[
            Column(_("Billing period")),
            Column(_("Due")),
            Column(_("Billed"), "num"),
            Column(_("Repaid"), "num"),
            Column(_("Unpaid"), "num"),
            Column(_("Status")),
        ],
        rows=[
            [
                cells.text(f"{desk.f.day(one.first_day)} – {desk.f.day(one.end_day - timedelta(days=1))}"),
                cells.text(desk.f.day(one.due_day)),
                cells.money(desk, one.billed_minor, currency),
                cells.money(desk, one.repaid_minor, currency),
                cells.money(desk, one.billed_minor - one.repaid_minor, currency),
                state(one),
            ]
            for one in bills
        ],
        empty=_("No bill yet"),
        empty_then=_("What is drawn on account is billed when the period ends."),
    )
