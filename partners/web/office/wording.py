"""An agreement in words: its own terms, each benefit, and what one version changes of another."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from loyalty.web.i18n import N_
from loyalty.web.office.desk import Desk
from partners.comparing import NEW, Difference, differences
from partners.rules import Band, Benefit, Funder, Mode, Settlement, Terms
from partners.web.office.labels import BENEFIT, MODE

FIELD: Final[Mapping[str, str]] = {
    "commission": N_("Commission for us"),
    "cap_month_minor": N_("At most a month, for us"),
    "note": N_("Note"),
    "mode": N_("How it is settled"),
    "statement_day": N_("Statement on the month's day"),
    "pay_within_days": N_("Paid within working days"),
    "low_minor": N_("Told when the block is below"),
    "offline_worth_minor": N_("Offline: a voucher worth at most"),
    "offline_amount_minor": N_("Offline: at most an outlet, between two syncs"),
    "offline_uses": N_("Offline: vouchers an outlet, between two syncs"),
    "offline_list_hours": N_("Offline: hours without a fresh list"),
    "offline_token_hours": N_("Offline: hours a code is good"),
    "offline_loss_by": N_("Offline: who bears what was used twice"),
    "kind": N_("Kind"),
    "name_zh": N_("Chinese name"),
    "name_en": N_("English name"),
    "funders": N_("Who bears it"),
    "share": N_("In percent"),
    "amount_minor": N_("Amount"),
    "voucher_kind": N_("Kind of voucher"),
    "limit_total": N_("Pieces in all"),
    "limit_each_month": N_("Pieces each month"),
    "plate_bound": N_("Bound to a plate"),
    "cover_minor": N_("Cover up to"),
    "bands": N_("Prices and validity"),
    "purpose": N_("Consent needed for"),
    "terms_zh": N_("Terms in Chinese"),
    "terms_en": N_("Terms in English"),
}
NOTHING: Final = "—"
_OWN: Final = ("commission", "cap_month_minor")
_SETTLED: Final = ("mode", "statement_day", "pay_within_days", "low_minor")


class TermsVoice:
    """Says the terms of an agreement to one reader, in the partner's currency."""

    def __init__(self, desk: Desk, currency: str) -> None:
        self.desk = desk
        self.currency = currency
        self._said: Mapping[str, Callable[[Any], str]] = {
            "commission": self.percent,
            "share": self.percent,
            "cap_month_minor": self.money,
            "low_minor": self.money,
            "offline_worth_minor": self.money,
            "offline_amount_minor": self.money,
            "offline_loss_by": lambda who: self.funder(who.value),
            "amount_minor": self.money,
            "cover_minor": self.money,
            "mode": lambda mode: desk.gettext(MODE[mode][0]),
            "kind": lambda kind: desk.gettext(BENEFIT[kind][0]),
            "funders": self.funders,
            "bands": self.bands,
            "plate_bound": lambda bound: desk.gettext("Yes") if bound else desk.gettext("No"),
        }

    def money(self, amount_minor: int) -> str:
        """Say an amount."""
        return self.desk.f.money(amount_minor, self.currency)

    def percent(self, share: int) -> str:
        """Say parts of ten thousand as a percentage, with the decimals it has."""
        return self.desk.f.percent(share, digits=2 if share % 10 else 1 if share % 100 else 0)

    def funder(self, code: str) -> str:
        """Say who bears something."""
        _ = self.desk.gettext
        return {"issuer": _("we"), "partner": _("the partner")}.get(code, code.removeprefix("brand:"))

    def funders(self, shares: Sequence[Funder]) -> str:
        """Say who bears which share."""
        return " · ".join(f"{self.funder(one.code)} {self.percent(one.share)}" for one in shares)

    def bands(self, bands: Sequence[Band]) -> str:
        """Say each price with how long it is good."""
        return " · ".join(f"{self.money(one.premium_minor)} / {self.months(one.months)}" for one in bands)

    def months(self, months: int) -> str:
        """Say how long something is good, in years where it is whole ones."""
        years, rest = divmod(months, 12)
        words = self.desk.words
        return words.ngettext("%(num)s month", "%(num)s months", months) if rest else words.ngettext("%(num)s year", "%(num)s years", years)

    def label(self, field: str) -> str:
        """Name a field."""
        return self.desk.gettext(FIELD[field])

    def value(self, field: str, value: Any) -> str:
        """Say a field's value; a dash where there is none."""
        if value is None or value in ("", []):
            return NOTHING
        say = self._said.get(field)
        return say(value) if say else self.desk.f.count(value) if isinstance(value, int) else str(value)

    def own(self, terms: Terms) -> list[tuple[str, Any]]:
        """Return what is agreed besides the benefits, field by field."""
        settlement = terms.settlement
        pairs = [(self.label(name), self.value(name, getattr(terms, name))) for name in _OWN]
        settled = [name for name in _SETTLED if name != "low_minor" or settlement.mode is Mode.PRE_PAID]
        pairs += [(self.label(name), self.value(name, getattr(settlement, name))) for name in settled]
        if terms.offline is not None:
            told = [(f"offline_{name}", getattr(terms.offline, name)) for name in terms.offline.__struct_fields__]
            pairs += [(self.label(name), self.value(name, value)) for name, value in told]
        return pairs if not terms.note else [*pairs, (self.label("note"), terms.note)]

    def name(self, one: Benefit) -> str:
        """Name a benefit in the reader's language."""
        return self.desk.either(one.name_zh, one.name_en)

    def benefit(self, one: Benefit) -> list[tuple[str, Any]]:
        """Return what a benefit says: what it always has, and of the rest what is said."""
        told = [name for name in FIELD if name in one.__struct_fields__ and name not in {"name_zh", "name_en", "terms_zh", "terms_en"}]
        pairs = [
            (self.label(name), self.value(name, getattr(one, name))) for name in told if getattr(one, name) not in (None, False, "", [])
        ]
        terms = self.desk.either(one.terms_zh, one.terms_en)
        return pairs if not terms else [*pairs, (self.desk.gettext("Terms"), terms)]

    def size(self, one: Benefit) -> str:
        """Say a benefit in one short line: its kind and its size."""
        _ = self.desk.gettext
        parts = [self.desk.gettext(BENEFIT[one.kind][0])]
        parts += [self.value(name, getattr(one, name)) for name in ("share", "amount_minor", "bands") if getattr(one, name)]
        if one.limit_total:
            parts.append(_("%(count)s in all", count=self.desk.f.count(one.limit_total)))
        if one.limit_each_month:
            parts.append(_("%(count)s a month", count=self.desk.f.count(one.limit_each_month)))
        return " · ".join(parts)

    def changes(self, before: Terms, after: Terms) -> list[tuple[str, str, str]]:
        """Say what a version changes: of what, what it was, what it becomes."""
        names = {one.code: self.name(one) for terms in (before, after) for one in terms.benefits}
        return [self._change(one, names) for one in differences(before, after)]

    def _change(self, one: Difference, names: Mapping[str, str]) -> tuple[str, str, str]:
        _ = self.desk.gettext
        if one.field == NEW and one.benefit is not None:
            came = one.before is None
            told = self.size(one.after if came else one.before)
            return (names[one.benefit], NOTHING if came else told, told if came else _("no longer given"))
        what = self.label(one.field)
        if one.benefit is not None:
            what = f"{names[one.benefit]}: {what}"
        elif one.field in Settlement.__struct_fields__:
            what = f"{_('Settlement')}: {what}"
        before, after = (self._compared(one, value) for value in (one.before, one.after))
        return (what, before, after)

    def _compared(self, one: Difference, value: Any) -> str:
        if one.field == "commission" and value is None:
            return self.desk.gettext("as the agreement says")
        return self.value(one.field, value)
