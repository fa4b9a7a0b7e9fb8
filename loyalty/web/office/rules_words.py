"""What rules are made of, in words, and the codes that forms offer to choose from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loyalty.pricing.document import BudgetUnit, Document, Mode
from loyalty.pricing.model import BookStatus
from loyalty.pricing.queries.known import names_of_codes
from loyalty.pricing.wording import ACCOUNT_KINDS, CATEGORIES, CHANNELS, FUNDERS, TENDERS, Names, Words, sentence
from loyalty.web.i18n import N_
from loyalty.web.office.desk import Desk

PATH: Final = "/office/rules"
"""Where the rules' pages stand."""
Toned = tuple[str, str]
Options = list[tuple[str, str]]

BOOK_STATUS: Final[Mapping[BookStatus, Toned]] = {
    BookStatus.DRAFT: (N_("Draft"), ""),
    BookStatus.SUBMITTED: (N_("Waits for approval"), "warn"),
    BookStatus.APPROVED: (N_("Approved"), "good"),
    BookStatus.CANCELLED: (N_("Cancelled"), ""),
    BookStatus.DISCARDED: (N_("Given up"), ""),
}
EFFECT: Final[Mapping[str, str]] = {
    "per_unit": N_("Off each litre or unit"),
    "percent": N_("Percent off"),
    "fixed": N_("Amount off"),
    "unit_price": N_("A price of its own"),
    "tiered": N_("More off for more (bands)"),
    "bundle": N_("Bought together"),
    "bonus": N_("Bonus money"),
    "points": N_("Points"),
    "points_times": N_("More points (times)"),
    "give": N_("A gift, voucher or free wash"),
}
EFFECT_HELP: Final[Mapping[str, str]] = {
    "per_unit": N_("So much off every litre, kilogram or piece, rounded once for the whole fill."),
    "percent": N_("A share of what the goods cost, or of what earlier rules left."),
    "fixed": N_("One amount off the transaction, spread over its goods."),
    "unit_price": N_("The customer pays this price where it is below the pump's."),
    "tiered": N_("The more is bought, the more is off: one row a band, from low to high."),
    "bundle": N_("All parts in one transaction: the last part becomes cheaper."),
    "bonus": N_("Money into a purse of its own, given after the payment."),
    "points": N_("For each litre or each yuan that is paid."),
    "points_times": N_("Multiplies the points of the rules before it in its group: 2 doubles them."),
    "give": N_("A thing of the catalogue, a voucher, or a wash."),
}
MODE: Final[Mapping[Mode, str]] = {
    Mode.STACK: N_("All that apply, one after another"),
    Mode.BEST: N_("Only the best for the customer"),
    Mode.CHEAPEST: N_("Only the cheapest for the issuer"),
    Mode.FIRST: N_("Only the first that applies"),
}
UNIT: Final[Mapping[BudgetUnit, str]] = {
    BudgetUnit.MINOR: N_("Amounts of money"),
    BudgetUnit.POINTS: N_("Points"),
    BudgetUnit.PIECE: N_("Pieces"),
}
SECTION: Final[Mapping[str, str]] = {
    "rules": N_("Rule"),
    "groups": N_("Group"),
    "budgets": N_("Budget"),
    "campaigns": N_("Campaign"),
    "document": N_("Rulebook"),
}
PART: Final[Mapping[str, str]] = {
    "rule": N_("Rule"),
    "group": N_("Group"),
    "budget": N_("Budget"),
    "campaign": N_("Campaign"),
    "document": N_("Rulebook"),
}
PER: Final[Sequence[tuple[str, str]]] = (
    ("transaction", N_("a transaction")),
    ("day", N_("a day")),
    ("week", N_("a week")),
    ("month", N_("a month")),
    ("ever", N_("in all")),
)
OF: Final[Sequence[tuple[str, str]]] = (
    ("card", N_("a card")),
    ("account", N_("an account")),
    ("customer", N_("a customer")),
)
WEEKDAYS: Final = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))


@dataclass(frozen=True, slots=True)
class Choices:
    """The codes that a rulebook's forms offer, in the reader's words."""

    desk: Desk
    names: Names
    document: Document

    def either(self, words: Words) -> str:
        """Choose the reader's word."""
        return self.desk.either(*words)

    def coded(self, kind: str) -> Options:
        """Return every code of a kind with its name."""
        return [(code, f"{code} · {self.either(words)}") for code, words in self.names.words.get(kind, {}).items()]

    def known(self, words: Mapping[str, Words]) -> Options:
        """Return a fixed list of the trade."""
        return [(code, self.either(said)) for code, said in words.items()]

    def goods(self) -> Options:
        """Return categories and products as one list: `c:` and `p:` before their codes."""
        tags = sorted({tag for found in self.names.tags.values() for tag in found})
        ordered = [tag for tag in CATEGORIES if tag in tags] + [tag for tag in tags if tag not in CATEGORIES]
        _ = self.desk.gettext
        return [
            *((f"c:{tag}", f"{_('All')} · {self.either(CATEGORIES.get(tag, (tag, tag)))}") for tag in ordered),
            *((f"p:{code}", label) for code, label in self.coded("products")),
        ]

    def things(self) -> Options:
        """Return what can be given: gifts, vouchers, and vouchers for a wash."""
        _ = self.desk.gettext
        return [
            *((f"gift:{code}", f"{_('Gift')} · {label}") for code, label in self.coded("gifts")),
            *((f"voucher:{code}", f"{_('Voucher')} · {label}") for code, label in self.coded("vouchers")),
            *((f"wash:{code}", f"{_('Free wash')} · {label}") for code, label in self.coded("vouchers")),
        ]

    def groups(self, *, but: str = "") -> Options:
        """Return the groups of the rulebook."""
        return [(one.code, f"{one.code} · {self.either((one.name_zh, one.name_en))}") for one in self.document.groups if one.code != but]

    def budgets(self) -> Options:
        """Return the budgets of the rulebook."""
        return [(one.code, f"{one.code} · {self.either((one.name_zh, one.name_en))}") for one in self.document.budgets]

    def campaigns(self) -> Options:
        """Return the campaigns of the rulebook."""
        return [(one.code, f"{one.code} · {self.either((one.name_zh, one.name_en))}") for one in self.document.campaigns]

    def funders(self) -> Options:
        """Return the funders that the rulebook knows, the issuer's own first."""
        used = [one.funder for rule in self.document.rules for one in rule.funders]
        codes = dict.fromkeys([*self.document.own_funders, "head-office", "station", *used])
        return [(code, self.either(FUNDERS.get(code, (code, code)))) for code in codes]

    def said(self, code: str) -> str:
        """Say one of the rulebook's rules in a sentence."""
        rule = next(one for one in self.document.rules if one.code == code)
        return self.either(sentence(rule, self.document, self.names))


ACCOUNTS, WAYS, PAYMENTS = ACCOUNT_KINDS, CHANNELS, TENDERS
"""The trade's fixed lists."""


async def choices(desk: Desk, document: Document) -> Choices:
    """Return what the forms of a rulebook offer."""
    return Choices(desk, await names_of_codes(desk.session, zone=desk.zone), document)
