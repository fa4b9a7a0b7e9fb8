"""What the codes of rules and rewards are called to the reader; a code that has no name is shown as it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from loyalty.pricing.queries.known import names_of_codes
from loyalty.pricing.queries.live import latest_document
from loyalty.pricing.wording import CATEGORIES, Names, Words
from loyalty.web.i18n import N_
from loyalty.web.office.desk import Desk
from loyalty.web.office.lookups import Options, Places, places
from loyalty.web.office.sale_amounts import funder_of

_SOURCE: Final[Mapping[str, str]] = {
    "grant": N_("A rule"),
    "monthly": N_("Vouchers every month"),
    "referral": N_("Referral"),
    "points": N_("Bought for points"),
    "office": N_("Office"),
}


@dataclass(frozen=True, slots=True)
class Coded:
    """The names of codes, read once for a page."""

    desk: Desk
    names: Names
    rules: Mapping[str, Words]
    stations: Places

    def of(self, kind: str, code: str) -> str:
        """Name one of `tiers`, `vouchers`, `gifts` or `products`."""
        return self.desk.either(*self.names.of(kind, code))

    def all(self, kind: str, codes: Iterable[str]) -> str:
        """Name several."""
        return self.desk.gettext(", ").join(self.of(kind, code) for code in codes)

    def options(self, kind: str) -> Options:
        """Return all of a kind to choose from."""
        return [(code, self.desk.either(*words)) for code, words in self.names.words.get(kind, {}).items()]

    def thing(self, code: str | None) -> str:
        """Name what a reward is of: a voucher, a gift, or a service as categories name it."""
        if not code:
            return ""
        kind = next((kind for kind in ("vouchers", "gifts", "products") if code in self.names.words.get(kind, {})), None)
        return self.of(kind, code) if kind else self.desk.either(*CATEGORIES.get(code, (code, code)))

    def rule(self, code: str) -> str:
        """Name a rule of the live rulebook; one that is in it no more keeps its code."""
        return self.desk.either(*self.rules.get(code, (code, code)))

    def funder(self, code: str) -> str:
        """Name who bears something."""
        return funder_of(self.desk, code, self.stations)

    def funders(self, shares: Iterable[Iterable[str | int]]) -> str:
        """Name who bears something, with their parts where there are several."""
        found = [(str(funder), parts) for funder, parts in shares]
        if len(found) == 1:
            return self.funder(found[0][0])
        return self.desk.gettext(", ").join(f"{self.funder(funder)} {parts}" for funder, parts in found)

    def source(self, kind: str, reference: str) -> str:
        """Say what gave a voucher or a gift: the rule that did, or how it came about."""
        said = self.desk.gettext(_SOURCE[kind]) if kind in _SOURCE else kind
        if kind != "grant":
            return said
        code = reference.partition(":")[2].rpartition(":")[0]
        return self.rule(code) if code in self.rules else f"{said} ({code})"


async def coded(desk: Desk) -> Coded:
    """Read what codes are called."""
    _number, document = await latest_document(desk.session)
    rules = {rule.code: (rule.name_zh, rule.name_en) for rule in document.rules}
    return Coded(desk, await names_of_codes(desk.session, zone=desk.zone), rules, await places(desk))
