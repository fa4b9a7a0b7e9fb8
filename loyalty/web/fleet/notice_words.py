"""What a company is told, in words: a sentence, where it leads, and who may know it."""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from loyalty.fleet.detecting import Kind
from loyalty.fleet.model_notices import NoticeKind
from loyalty.fleet.queries.notices import NoticeView
from loyalty.identity.portal_rules import FleetPermission
from loyalty.web.fleet.labels import Toned
from loyalty.web.fleet.watch_words import KIND
from loyalty.web.i18n import N_

if TYPE_CHECKING:
    from loyalty.web.fleet.desk import FleetDesk


class Wording(NamedTuple):
    """How one kind is said: its sentences by the value of the fact `which`."""

    sentences: Mapping[str, str]
    leads: str
    """Where to; `{id}` is the subject, `{period}` the period's first day."""
    may: FleetPermission = FleetPermission.READ
    which: str = ""
    """The fact that tells the sentences apart; empty where there is one."""


KINDS: Final[Mapping[NoticeKind, Toned]] = {
    NoticeKind.PUMP_ASKS: (N_("Asked at the pump"), "warn"),
    NoticeKind.PUMP_UNANSWERED: (N_("Nobody answered"), "warn"),
    NoticeKind.FINDING: (N_("Oddity"), "warn"),
    NoticeKind.ALLOCATION_PREPARED: (N_("Allocation ready"), ""),
    NoticeKind.ALLOCATION_STOPPED: (N_("Allocation stopped"), "bad"),
    NoticeKind.ALLOCATION_LOADED: (N_("Month loaded"), "good"),
    NoticeKind.PERIOD_CLOSED: (N_("Statement ready"), ""),
    NoticeKind.BILL_MADE: (N_("Bill"), ""),
    NoticeKind.BILL_LATE: (N_("Bill overdue"), "bad"),
    NoticeKind.CREDIT_BLOCKED: (N_("On account: blocked"), "bad"),
    NoticeKind.CREDIT_LIFTED: (N_("On account: open again"), "good"),
    NoticeKind.DISPUTE_ANSWERED: (N_("Dispute answered"), ""),
    NoticeKind.DISPUTE_DECIDED: (N_("Dispute decided"), ""),
    NoticeKind.INVOICE_DECIDED: (N_("Invoice"), ""),
    NoticeKind.CARD_TO_RECALL: (N_("Card to recall"), "warn"),
    NoticeKind.CARD_OVERDUE: (N_("Card overdue"), "bad"),
}
_ALLOCATION: Final = "/fleet/allocations?period={period}"
_ON_ACCOUNT: Final = ("/fleet/account", FleetPermission.INVOICES)
WORDINGS: Final[Mapping[NoticeKind, Wording]] = {
    NoticeKind.PUMP_ASKS: Wording({"": N_("%(who)s waits at %(place)s for your answer")}, "/fleet/approvals/{id}"),
    NoticeKind.PUMP_UNANSWERED: Wording(
        {
            "True": N_("%(who)s at %(place)s: nobody answered in time, your company's setting let it pass"),
            "False": N_("%(who)s at %(place)s: nobody answered in time, your company's setting refused"),
        },
        "/fleet/approvals/{id}",
        which="passed",
    ),
    NoticeKind.FINDING: Wording({"": N_("%(who)s: %(odd)s")}, "/fleet/findings/{id}"),
    NoticeKind.ALLOCATION_PREPARED: Wording(
        {"": N_("The allocation from %(day)s is ready to be decided: %(cards)s cards, %(held)s held back")}, _ALLOCATION
    ),
    NoticeKind.ALLOCATION_STOPPED: Wording(
        {"": N_("The allocation from %(day)s has no workday yet: the issuer's calendar of %(year)s is missing")}, _ALLOCATION
    ),
    NoticeKind.ALLOCATION_LOADED: Wording(
        {"": N_("The allocation from %(day)s is loaded: %(amount)s on %(loaded)s cards, %(refused)s refused")},
        _ALLOCATION,
    ),
    NoticeKind.PERIOD_CLOSED: Wording(
        {"": N_("The period from %(day)s is closed: %(fills)s fills, %(amount)s")},
        "/fleet/statements?period={period}",
        FleetPermission.READ_STATEMENTS,
    ),
    NoticeKind.BILL_MADE: Wording({"": N_("A bill of %(amount)s is due on %(due)s")}, *_ON_ACCOUNT),
    NoticeKind.BILL_LATE: Wording({"": N_("%(amount)s is overdue: it was due %(days)s days ago")}, *_ON_ACCOUNT),
    NoticeKind.CREDIT_BLOCKED: Wording({"": N_("Nothing more can be drawn on account until the overdue bill is paid")}, *_ON_ACCOUNT),
    NoticeKind.CREDIT_LIFTED: Wording({"": N_("Your cards can draw on account again")}, *_ON_ACCOUNT),
    NoticeKind.DISPUTE_ANSWERED: Wording(
        {
            "True": N_("The station agrees with your dispute of %(wanted)s; the issuer decides next"),
            "False": N_("The station does not agree with your dispute of %(wanted)s; the issuer decides next"),
        },
        "/fleet/disputes/{id}",
        which="agrees",
    ),
    NoticeKind.DISPUTE_DECIDED: Wording(
        {
            "True": N_("Your dispute of %(wanted)s is approved: %(amount)s came back"),
            "False": N_("Your dispute of %(wanted)s is rejected"),
        },
        "/fleet/disputes/{id}",
        which="approved",
    ),
    NoticeKind.INVOICE_DECIDED: Wording(
        {
            "issued": N_("Invoice %(number)s of %(amount)s is issued"),
            "refused": N_("Your request for an invoice of %(amount)s is refused"),
            "red_lettered": N_("Your invoice of %(amount)s is taken back by the red letter %(number)s"),
        },
        "/fleet/invoices/{id}",
        FleetPermission.INVOICES,
        which="to",
    ),
    NoticeKind.CARD_TO_RECALL: Wording(
        {
            "car": N_("Recall the card of %(who)s: a company car is assigned"),
            "away": N_("Recall the card of %(who)s: sent away for long"),
            "left": N_("Recall the card of %(who)s: no longer with the company"),
            "closed": N_("Recall the card of %(who)s: the vehicle is closed"),
        },
        "/fleet/cards/{card}",
        FleetPermission.EDIT_STRUCTURE,
        which="why",
    ),
    NoticeKind.CARD_OVERDUE: Wording({"": N_("%(who)s has not brought back the card •••• %(number)s")}, "/fleet/custody/{id}"),
}


def leads_to(one: NoticeView) -> str:
    """Return the address that a notice is about."""
    return WORDINGS[one.kind].leads.format(id=one.subject_id, period=one.facts.get("period", ""), card=one.facts.get("card", ""))


def sentence(fleet: "FleetDesk", one: NoticeView) -> str:
    """Say a notice to its reader."""
    wording, facts, f = WORDINGS[one.kind], one.facts, fleet.f
    said = wording.sentences[str(facts[wording.which]) if wording.which else ""]
    values: dict[str, Any] = {"days": one.step, "number": facts.get("number") or "—", "who": facts.get("who") or "—"}
    for name, fact in (("amount", "minor"), ("amount", "loaded_minor"), ("wanted", "wanted")):
        if facts.get(fact) is not None:
            values[name] = f.money(facts[fact], fleet.company.currency)
    for name, fact in (("day", "period"), ("due", "due")):
        if fact in facts:
            values[name] = f.full_day(date.fromisoformat(facts[fact]))
    for name in ("cards", "held", "loaded", "refused", "fills"):
        if name in facts:
            values[name] = f.count(facts[name])
    if "zh" in facts:
        values["place"] = fleet.words.either(facts["zh"], facts["en"])
    if "year" in facts:
        values["year"] = facts["year"]
    if one.kind is NoticeKind.FINDING:
        values["odd"] = fleet.gettext(KIND[Kind(facts["kind"])][0])
    return fleet.gettext(said, **values)
