"""Why a sale came to what it did: each rule that gave something, who bears it, and why the other candidates did not apply."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from loyalty.authorizations.queries import SaleView, answer_to
from loyalty.authorizations.wire import Other
from loyalty.pricing.queries.agreements import agreements_named
from loyalty.pricing.wording import FUNDERS
from loyalty.web.benefits import PRICED, Teller
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.agreements import PATH as AGREEMENTS
from loyalty.web.office.coded import coded
from loyalty.web.office.desk import Desk
from loyalty.web.office.lookups import Places
from loyalty.web.office.parts import Act, Cell, Part, Rows
from loyalty.web.office.rules_words import PATH as RULES

SHOWN = "others"
"""The address's word for showing what did not apply."""


async def benefit_parts(desk: Desk, one: SaleView, teller: Teller, places: Places) -> list[Part]:
    """Show what gave something: worked out of what, wanted, given, who bears it; the rulebook last changing a rule, or the agreement."""
    if not one.benefits:
        return []
    _ = desk.gettext
    named = {
        (str(benefit["rule"]), int(benefit["revision"])) for benefit in one.benefits if benefit["kind"] in PRICED and "revision" in benefit
    }
    agreed = await agreements_named(desk.session, revisions=named) if named else {}
    return [
        Rows(
            title=_("Why: rules that applied"),
            columns=[
                Column(_("Rule")),
                Column(_("Worked out on"), "num"),
                Column(_("Wanted"), "num"),
                Column(_("Came to"), "num"),
                Column(_("Borne by")),
            ],
            rows=[_benefit(desk, benefit, one, teller, places, agreed) for benefit in one.benefits],
            empty=_("None"),
        )
    ]


def _benefit(
    desk: Desk, benefit: Mapping[str, Any], one: SaleView, teller: Teller, places: Places, agreed: Mapping[tuple[str, int], UUID]
) -> list[Cell]:
    told = teller.kept(benefit, whole_minor=one.sale.discount_minor)
    wanted = benefit.get("wanted")
    revision = benefit.get("revision")
    agreement = agreed.get((told.rule, revision or 0))
    is_book = "base_minor" in benefit and agreement is None
    href = f"{RULES}/{revision}" if is_book else f"{AGREEMENTS}/{agreement}" if agreement else ""
    said = desk.gettext("%(name)s, rulebook %(revision)s", name=told.name, revision=revision) if is_book else told.name
    borne = ", ".join(_funder(desk, str(funder), share, told.kind, teller, places) for funder, share in benefit["funders"])
    return [
        Cell(desk.link(href, said) if href else said, said),
        cells.money(desk, benefit.get("base_minor"), one.sale.currency),
        cells.text(None if wanted is None else teller.given(told.kind, int(wanted), benefit.get("item"))),
        Cell(told.amount, told.amount),
        cells.text(borne),
    ]


def _funder(desk: Desk, funder: str, share: int | None, kind: str, teller: Teller, places: Places) -> str:
    kindred, _, reference = funder.partition(":")
    if kindred == "station" and reference:
        name = places.names.get(UUID(reference), reference)
    else:
        name = desk.either(*FUNDERS.get(funder, (funder, funder)))
    if share is None:
        return name
    return f"{name} {teller.money(share) if kind in {*PRICED, 'bonus'} else desk.f.count(share)}"


async def other_parts(desk: Desk, one: SaleView, teller: Teller) -> list[Part]:
    """Show, once it is asked for, which candidates did not apply and why, as the till was told then."""
    _ = desk.gettext
    line = one.sale
    columns = [Column(_("Rule")), Column(_("Why it did not apply"))]
    title = _("Candidates that did not apply")
    if not desk.query.raw(SHOWN):
        asks = Act(_("Show"), f"/office/sales/{line.account_id}/{line.sale_id}?{SHOWN}=1")
        return [Rows(title=title, columns=columns, rows=[], empty=_("What the till was told is kept with its answer."), acts=[asks])]
    answer = await answer_to(desk.session, terminal_id=line.terminal_id, sale_id=line.sale_id)
    others = [] if answer is None else answer.others or []
    told = [(each.rule, each.revision, _said(desk, each, teller, one.benefits)) for each in others]
    rows = []
    words = await coded(desk)
    for code, revision, said in told:
        # What the till was told begins with the rule's name.
        name = words.rule(code)
        rows.append([Cell(desk.link(f"{RULES}/{revision}", name), code), cells.text(said.removeprefix(name).lstrip(":： "))])
    return [Rows(title=title, columns=columns, rows=rows, empty=_("None: every candidate applied, or nothing was asked."))]


def _said(desk: Desk, other: Other, teller: Teller, agreements: Sequence[Mapping[str, Any]]) -> str:
    said = desk.either(other.zh, other.en)
    for benefit in agreements:
        said = said.replace(f"“{benefit['rule']}”", f"“{desk.either(benefit['name_zh'], benefit['name_en'])}”")
    return teller.tiers(said, other.need, other.have) if other.why == "tier" else said
