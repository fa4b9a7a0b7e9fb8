"""Fuel on account: terms made by one person and approved by another, a company's bills, and who owes how long."""

from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.clock import local_date
from loyalty.errors import NotFound
from loyalty.fleet.model_credit import ProposalStatus
from loyalty.fleet.operations.credit import CreditProposalNotFound, decide_credit, propose_credit
from loyalty.fleet.queries.companies import CompanyNotFound, CompanyView, get_company
from loyalty.fleet.queries.credit import ageing_of, drawn_of, get_credit, list_bills, proposal_of
from loyalty.identity.rules import Permission
from loyalty.web.credit_parts import bills_part, credit_tiles, own_use_tiles, terms_pairs, terms_part
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import area, chips, field
from loyalty.web.office.parts import Act, Cell, Facts, Part, Rows, Said

RECEIVABLES = "/office/receivables"
_MAKE, _CHECK = Permission.MAKE_ADJUSTMENTS, Permission.CHECK_ADJUSTMENTS


@get("/receivables")
async def receivables(desk: NamedDependency[Desk]) -> Page:
    """Show who owes, and for how long."""
    desk.require(Permission.READ_LEDGER)
    _ = desk.gettext
    found = await ageing_of(desk.session, now=desk.now)
    heads = [_("Not due yet"), _("1–30 days"), _("31–60 days"), _("61–90 days"), _("Over 90 days"), _("Unpaid")]
    table = Rows(
        title=_("Open bills by age"),
        columns=[Column(_("Company")), Column(_("Limit on account"), "num"), *(Column(head, "num") for head in heads), Column(_("Status"))],
        rows=[
            [
                cells.link(desk, f"/office/customers/{one.company_id}/credit", one.name),
                cells.money(desk, one.limit_minor, one.currency),
                *(
                    cells.money(desk, amount, one.currency)
                    for amount in (one.not_due, one.to_30, one.to_60, one.to_90, one.over_90, one.total)
                ),
                _standing(desk, blocked=one.blocked),
            ]
            for one in found
        ],
        empty=_("No company fuels on account"),
        empty_then=_("Terms are proposed on a company's page."),
    )
    return await desk.page(_("Receivables"), sub=_("Companies on account"), main=[table])


def _standing(desk: Desk, *, blocked: bool) -> Cell:
    """Say whether a company may draw."""
    _ = desk.gettext
    return Cell(desk.tag(_("Blocked"), "bad") if blocked else desk.tag(_("Open"), "good"), blocked)


async def _company(desk: Desk, customer_id: UUID) -> CompanyView:
    try:
        return await get_company(desk.session, company_id=customer_id)
    except CompanyNotFound:
        raise NotFound from None


@get("/customers/{customer_id:uuid}/credit")
async def credit(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Show a company's terms, what waits for a checker, and its bills."""
    desk.require(Permission.READ_LEDGER)
    _ = desk.gettext
    company = await _company(desk, customer_id)
    base = f"/office/customers/{customer_id}"
    agreed = await get_credit(desk.session, company_id=customer_id)
    asked = await proposal_of(desk.session, company_id=customer_id)
    top: list[Part] = []
    aside: list[Part] = []
    if agreed is not None:
        drawn = await drawn_of(desk.session, account_id=company.account_id)
        aside.append(terms_part(desk, agreed, company.currency))
    if agreed is not None and agreed.own_use:
        top.append(await own_use_tiles(desk, agreed, company=company, drawn_minor=drawn))
    elif agreed is not None:
        open_now = next(iter(await ageing_of(desk.session, company_id=customer_id, now=desk.now)), None)
        top.append(credit_tiles(desk, agreed, drawn_minor=drawn, open_now=open_now, currency=company.currency))
    else:
        top.append(Said(title=_("The company pays in advance"), then=_("Terms that one person proposes and another approves change that.")))
    if asked is not None:
        makers = await lookups.people(desk, [asked.made_by])
        own = asked.made_by == desk.principal.staff_id
        acts: list[Act] = []
        if own and desk.may(_MAKE):
            acts.append(Act(_("Withdraw"), f"{base}/credit/withdrawn"))
        elif desk.may(_CHECK):
            acts += [Act(_("Approve"), f"{base}/credit/approved", primary=True), Act(_("Reject"), f"{base}/credit/rejected", danger=True)]
        pairs = [
            *terms_pairs(desk, asked, company.currency),
            (_("Maker"), cells.named(makers, asked.made_by)),
            (_("Why"), asked.note or "—"),
        ]
        aside.insert(0, Facts(title=_("Proposed terms"), pairs=pairs, acts=acts, note=_("Nothing moves until somebody else approves it.")))
    found = await list_bills(desk.session, company_id=customer_id)
    page_acts = [Act(_("Propose terms"), f"{base}/credit/new", primary=agreed is None)] if desk.may(_MAKE) and asked is None else []
    return await desk.page(
        _("On account"),
        sub=company.name,
        crumbs=[(_("Receivables"), RECEIVABLES), (company.name, base), (_("On account"), "")],
        acts=page_acts,
        top=top,
        main=[bills_part(desk, found.rows, company.currency, local_date(desk.now, company.time_zone))],
        aside=aside,
    )


@get("/customers/{customer_id:uuid}/credit/new")
async def ask_terms(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Ask for the terms."""
    desk.offer(_MAKE)
    _ = desk.gettext
    company = await _company(desk, customer_id)
    base = f"/office/customers/{customer_id}/credit"
    agreed = await get_credit(desk.session, company_id=customer_id)
    limit = "" if agreed is None else desk.f.amount(agreed.limit_minor, company.currency)
    own_use = agreed is not None and agreed.own_use
    fields = [
        chips(
            "use",
            _("Who fuels"),
            [("company", _("A company, billed by the period")), ("own", _("The chain itself: its expense, no stored value"))],
            value="own" if own_use else "company",
        ),
        field(
            "limit",
            _("Limit on account"),
            num=True,
            value=limit,
            after=company.currency,
            autofocus=True,
            help=_("0: prepaid again. The chain itself: what a day may take."),
        ),
        field("terms", _("Days from the period's end until a bill is due"), num=True, value=15 if agreed is None else agreed.terms_days),
        field("block", _("Days late until nothing more is drawn"), num=True, value=15 if agreed is None else agreed.block_after_days),
        area("note", _("Why")),
    ]
    crumbs = [(_("Receivables"), RECEIVABLES), (company.name, base), (_("Propose terms"), "")]
    note = _("Nothing moves until somebody else approves it.")
    return await desk.ask(_("Propose terms"), fields, submit=_("Propose"), note=note, back=base, crumbs=crumbs)


@post("/customers/{customer_id:uuid}/credit/new", status_code=303)
async def propose(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Propose a company's terms."""
    desk.require(_MAKE)
    _ = desk.gettext
    company = await _company(desk, customer_id)
    limit = 0 if desk.form.raw("limit").strip() in {"", "0"} else desk.form.money("limit", _("Limit on account"), company.currency)
    terms = desk.form.whole("terms", _("Due after"), low=0, high=365)
    block = desk.form.whole("block", _("Blocked when late by"), low=0, high=365)
    note = desk.form.text("note", _("Why"), longest=400)
    desk.form.check()
    assert limit is not None
    assert terms is not None
    assert block is not None, "the form is sound"
    await propose_credit(
        desk.session,
        company_id=customer_id,
        limit_minor=limit,
        terms_days=terms,
        block_after_days=block,
        own_use=desk.form.raw("use") == "own",
        note=note,
        actor=desk.actor,
        now=desk.now,
    )
    return await desk.done(f"/office/customers/{customer_id}/credit", _("Proposed: somebody else approves it"))


_ACTS = [f"/customers/{{customer_id:uuid}}/credit/{to}" for to in ("approved", "rejected", "withdrawn")]


@get(_ACTS)
async def ask_decision(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Ask once, with the limit in the button."""
    desk.offer(_MAKE if desk.act == "withdrawn" else _CHECK)
    _ = desk.gettext
    company = await _company(desk, customer_id)
    asked = await proposal_of(desk.session, company_id=customer_id)
    if asked is None:
        raise CreditProposalNotFound
    title = {"approved": _("Approve the terms"), "rejected": _("Reject the terms"), "withdrawn": _("Withdraw the terms")}[desk.act]
    base = f"/office/customers/{customer_id}/credit"
    limit = desk.f.money(asked.limit_minor, company.currency)
    crumbs = [(_("Receivables"), RECEIVABLES), (company.name, base), (title, "")]
    danger = desk.act != "approved"
    return await desk.ask(title, [], submit=title, amount=limit, danger=danger, note=asked.note, back=base, crumbs=crumbs)


@post(_ACTS, status_code=303)
async def decide(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Approve another's terms, turn them down, or withdraw one's own."""
    desk.require(_MAKE if desk.act == "withdrawn" else _CHECK)
    await _company(desk, customer_id)
    asked = await proposal_of(desk.session, company_id=customer_id)
    if asked is None:
        raise CreditProposalNotFound
    await decide_credit(desk.session, proposal_id=asked.proposal_id, to=ProposalStatus(desk.act), actor=desk.actor, now=desk.now)
    return await desk.done(f"/office/customers/{customer_id}/credit", desk.gettext("Done"))


handlers = [receivables, credit, ask_terms, propose, ask_decision, decide]
