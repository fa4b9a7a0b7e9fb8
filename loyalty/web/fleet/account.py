"""What the company owes on account: limit, drawn, due, late, and its bills."""

from litestar import get
from litestar.di import NamedDependency

from loyalty.clock import local_date
from loyalty.fleet.queries.credit import ageing_of, drawn_of, get_credit, list_bills
from loyalty.identity.portal_rules import FleetPermission
from loyalty.web.credit_parts import bills_part, credit_tiles, own_use_tiles, terms_part
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.office.parts import Part, Said


@get("/account")
async def account(fleet: NamedDependency[FleetDesk]) -> Page:
    """Show how the company stands on account."""
    fleet.require(FleetPermission.INVOICES)
    _, company = fleet.gettext, fleet.company
    credit = await get_credit(fleet.session, company_id=fleet.company_id)
    if credit is None:
        nothing = Said(
            title=_("Your company pays in advance"),
            then=_("The issuer may agree a limit on account with you: you then fuel first and pay by the period."),
        )
        return await fleet.page(_("On account"), top=[nothing])
    drawn = await drawn_of(fleet.session, account_id=company.account_id)
    if credit.own_use:
        tiles = await own_use_tiles(fleet, credit, company=company, drawn_minor=drawn)
        return await fleet.page(_("On account"), top=[tiles], aside=[terms_part(fleet, credit, company.currency)])
    found = await list_bills(fleet.session, company_id=fleet.company_id)
    open_now = next(iter(await ageing_of(fleet.session, company_id=fleet.company_id, now=fleet.now)), None)
    top: list[Part] = [credit_tiles(fleet, credit, drawn_minor=drawn, open_now=open_now, currency=company.currency)]
    if credit.blocked_at is not None:
        late = Said(
            title=_("Nothing more can be drawn on account"),
            then=_("A bill is late. A top-up of the pool pays the oldest bill first and lifts the block within minutes."),
            tone="bad",
        )
        top.insert(0, late)
    today = local_date(fleet.now, company.time_zone)
    main = [bills_part(fleet, found.rows, company.currency, today)]
    return await fleet.page(_("On account"), top=top, main=main, aside=[terms_part(fleet, credit, company.currency)])


handlers = [account]
