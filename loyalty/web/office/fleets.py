"""An organisation's fleet portal: opened by the office on one of its company accounts, its owner invited."""

from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.customers.model import CustomerKind, CustomerStatus
from loyalty.customers.queries import CustomerView, get_customer
from loyalty.errors import NotFound
from loyalty.fleet.operations.companies import is_company, join_group, make_company
from loyalty.fleet.queries.companies import get_company, list_companies
from loyalty.identity import operations as identity
from loyalty.identity.model_portal import PortalRole
from loyalty.identity.rules import Permission
from loyalty.ledger.model import AccountKind, AccountStatus
from loyalty.ledger.queries import get_account
from loyalty.rewards.queries.points import accounts_of
from loyalty.web.fleet.people import invitation_text
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import Options, field, hidden, select
from loyalty.web.office.parts import Act, Facts

_PATH = "/office/customers"
_COMPANIES = 500
"""As many as one may choose a group from."""


async def fleet_part(desk: Desk, one: CustomerView) -> Facts:
    """Show whether an organisation manages its own fleet, with the way to open it."""
    _ = desk.gettext
    opened = await is_company(desk.session, customer_id=one.customer_id)
    may = desk.may(Permission.GRANT_ROLES) and one.status is CustomerStatus.ACTIVE
    label = _("Invite an owner") if opened else _("Open the fleet portal")
    return Facts(
        title=_("Fleet portal"),
        pairs=[(_("State"), desk.tag(_("Open"), "good") if opened else desk.tag(_("Not opened")))],
        acts=[
            *([Act(label, f"{_PATH}/{one.customer_id}/fleet")] if may else []),
            *([Act(_("On account"), f"{_PATH}/{one.customer_id}/credit")] if opened and desk.may(Permission.READ_LEDGER) else []),
            *([Act(_("Group of companies"), f"{_PATH}/{one.customer_id}/group")] if opened and may else []),
        ],
    )


@get("/customers/{customer_id:uuid}/fleet")
async def ask_fleet(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Ask for the account and for who shall be the owner."""
    desk.offer(Permission.GRANT_ROLES)
    _ = desk.gettext
    one = await _organisation(desk, customer_id)
    opened = await is_company(desk.session, customer_id=customer_id)
    options = [] if opened else await _accounts(desk, customer_id)
    email = field("email", _("The owner's e-mail"), value=one.email or "", type="email", autofocus=True, attrs={"autocapitalize": "none"})
    account = select("account", _("Account"), options, value=options[0][0] if options else "")
    title = _("Invite an owner") if opened else _("Open the fleet portal")
    note = _(
        "The link is shown once. It is good for seven days; the owner chooses a password, sets up an authenticator and invites the others."
    )
    if not opened and not options:
        note = _("The organisation has no company account yet: a counter issues its first company card.")
        account = hidden("account", "")
    return await desk.ask(
        title,
        [email] if opened else [account, email],
        submit=title,
        back=f"{_PATH}/{customer_id}",
        note=note,
        crumbs=[(_("Customers"), _PATH), (one.name, f"{_PATH}/{customer_id}"), (title, "")],
    )


@post("/customers/{customer_id:uuid}/fleet", status_code=200)
async def open_fleet(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Make the company where it is none yet, and show the owner's link once."""
    desk.require(Permission.GRANT_ROLES)
    _ = desk.gettext
    one = await _organisation(desk, customer_id)
    opened = await is_company(desk.session, customer_id=customer_id)
    email = desk.form.text("email", _("The owner's e-mail"), longest=200)
    account_id = None if opened else desk.form.uuid("account", _("Account"))
    desk.form.check()
    if account_id is not None:
        await make_company(desk.session, customer_id=customer_id, account_id=account_id, actor=desk.actor, now=desk.now)
    token = await identity.invite(
        desk.session, company_id=customer_id, email=email, role=PortalRole.OWNER, actor=desk.actor, now=desk.real_now
    )
    shown = invitation_text(desk, token=token, email=email, role=PortalRole.OWNER, onward=f"{_PATH}/{customer_id}")
    title = _("The invitation")
    return await desk.shown(
        title, [shown], crumbs=[(_("Customers"), _PATH), (one.name, f"{_PATH}/{customer_id}"), (title, "")], instead=True
    )


@get("/customers/{customer_id:uuid}/group")
async def ask_group(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Ask which company reads this one's figures."""
    desk.offer(Permission.GRANT_ROLES)
    _ = desk.gettext
    one = await _organisation(desk, customer_id)
    company = await get_company(desk.session, company_id=customer_id)
    known = await list_companies(desk.session, sort="name", limit=_COMPANIES)
    options = [(str(other.company_id), other.name) for other in known.rows if other.company_id != customer_id]
    parent = select("parent", _("Group it belongs to"), options, value=str(company.parent_id or ""), blank=_("No group"), required=False)
    note = _("The group's company sees this one's sums by period: litres, spend, cards, oddities, pool; no fill, and moves no money.")
    title = _("Group of companies")
    crumbs = [(_("Customers"), _PATH), (one.name, f"{_PATH}/{customer_id}"), (title, "")]
    return await desk.ask(title, [parent], submit=_("Save"), note=note, back=f"{_PATH}/{customer_id}", crumbs=crumbs)


@post("/customers/{customer_id:uuid}/group", status_code=303)
async def put_into_group(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Put a company under another, or take it out."""
    desk.require(Permission.GRANT_ROLES)
    _ = desk.gettext
    await _organisation(desk, customer_id)
    parent_id = desk.form.uuid("parent", _("Group it belongs to"), required=False)
    desk.form.check()
    await join_group(desk.session, company_id=customer_id, parent_id=parent_id, actor=desk.actor, now=desk.now)
    return await desk.done(f"{_PATH}/{customer_id}", _("Saved"))


async def _organisation(desk: Desk, customer_id: UUID) -> CustomerView:
    one = await get_customer(desk.session, customer_id=customer_id)
    if one.kind is not CustomerKind.ORGANISATION:
        raise NotFound
    return one


async def _accounts(desk: Desk, customer_id: UUID) -> Options:
    found = [await get_account(desk.session, account_id=one) for one in await accounts_of(desk.session, customer_id=customer_id)]
    open_ones = [one for one in found if one.kind is AccountKind.COMPANY and one.status is not AccountStatus.CLOSED]
    return [(str(one.account_id), f"{one.currency} · {str(one.account_id)[-6:]}") for one in open_ones]


handlers = [ask_fleet, open_fleet, ask_group, put_into_group]
