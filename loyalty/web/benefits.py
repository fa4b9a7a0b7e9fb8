"""Benefits as every portal says them: what a rule is worth, and what it gave."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.ledger.rules import PurseView
from loyalty.ledger.spending import spending_of
from loyalty.pricing.document import (
    Band,
    Bonus,
    Bundle,
    By,
    Effect,
    Fixed,
    Give,
    Ladder,
    Percent,
    PerUnit,
    Points,
    PointsTimes,
    Rule,
    Several,
    Tiered,
    UnitPrice,
)
from loyalty.pricing.queries.known import names_of_codes
from loyalty.pricing.wording import percent, quantity, spending_words
from loyalty.rewards.queries.gifts import gifts_by_code
from loyalty.rewards.queries.tiers import list_tiers
from loyalty.rewards.queries.vouchers import kinds_by_code
from loyalty.web.formats import MINUS, Formats
from loyalty.web.i18n import Language

Items = Mapping[str, tuple[str, str]]
"""Gifts, kinds of vouchers or tiers by code: Chinese and English."""
PRICED: Final = frozenset({"discount", "surcharge"})
"""Kinds that change the price; the others are granted besides."""
_BANDS_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Given:
    """What one rule gave, in the reader's words."""

    rule: str
    kind: str
    name: str
    amount: str
    """`−¥5.00`, `+22 points`, `1 × Thermos flask`."""
    note: str
    """That less was given than wanted; empty otherwise."""
    amount_minor: int
    """Off the price (negative: on top of it); 0 for what is granted."""


async def item_names(session: AsyncSession, *, codes: Collection[str]) -> Items:
    """Return what gifts and vouchers are called; unknown codes are left out."""
    if not codes:
        return {}
    kinds = {code: (one.name_zh, one.name_en) for code, one in (await kinds_by_code(session, codes=codes)).items()}
    return kinds | {code: (one.name_zh, one.name_en) for code, one in (await gifts_by_code(session, codes=codes)).items()}


async def tier_names(session: AsyncSession) -> Items:
    """Return what the tiers are called, by code."""
    return {one.code: (one.name_zh, one.name_en) for one in await list_tiers(session)}


async def conditions_of(session: AsyncSession, *, purses: Iterable[PurseView], f: Formats, words: Language) -> dict[UUID, str]:
    """Return what bonus lots may be spent on, in the reader's words, by purse; those that pay for anything are left out."""
    bound = [(purse, purse.spending) for purse in purses if purse.spending is not None]
    if not bound:
        return {}
    names = await names_of_codes(session, zone=f.zone)
    return {purse.purse_id: words.either(*spending_words(spending_of(terms), purse.unit, names)) for purse, terms in bound}


def items_of(benefits: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the codes of the things among a sale's benefits."""
    return {str(benefit["item"]) for benefit in benefits if benefit.get("item")}


def items_in(rules: Iterable[Rule]) -> set[str]:
    """Return the codes of the things that rules give."""
    return {rule.effect.item for rule in rules if isinstance(rule.effect, Give)}


class Teller:
    """Says benefits in one reader's language and one currency."""

    def __init__(self, words: Language, f: Formats, currency: str, items: Items, tier_names: Items | None = None) -> None:
        self.words = words
        self.tier_names = tier_names or {}
        self.f = f
        self.currency = currency
        self.items = items

    def tiers(self, sentence: str, *codes: int | str | None) -> str:
        """Put the tiers' names in place of their codes: `need` and `have` of a reason that is about tiers."""
        for said in codes:
            names = [self.words.either(*self.tier_names.get(code, (code, code))) for code in str(said or "").split()]
            if names:
                sentence = sentence.replace(str(said), self.words.either("、", " / ").join(names))
        return sentence

    def money(self, amount_minor: int, *, sign: bool = False) -> str:
        """Write an amount of this currency."""
        return self.f.money(amount_minor, self.currency, sign=sign)

    def item(self, code: str | None) -> str:
        """Name a gift or a voucher."""
        zh, en = self.items.get(code or "", (code or "", code or ""))
        return self.words.either(zh, en)

    def given(self, kind: str, amount: int, item: str | None = None) -> str:
        """Say how much a rule of this kind gave."""
        if kind == "discount":
            return self.money(-amount)
        if kind == "surcharge":
            return self.money(amount, sign=True)
        if kind == "bonus":
            return self.words.gettext("%(amount)s bonus", amount=self.money(amount, sign=True))
        if kind == "points":
            return self.words.ngettext("+%(points)s point", "+%(points)s points", amount, points=self.f.count(amount))
        return f"{self.f.count(amount)} × {self.item(item)}"

    def kept(self, benefit: Mapping[str, Any], *, whole_minor: int = 0) -> Given:
        """Say one of a sale's benefits. The release before kept its discount without an amount: that is `whole_minor`, all of it."""
        kind, amount = str(benefit["kind"]), whole_minor if benefit["given"] is None else int(benefit["given"])
        wanted = int(benefit.get("wanted") or 0)
        return Given(
            str(benefit["rule"]),
            kind,
            self.words.either(str(benefit["name_zh"]), str(benefit["name_en"])),
            self.given(kind, amount, benefit.get("item")),
            self.cut(kind, wanted) if wanted > amount else "",
            amount if kind == "discount" else -amount if kind == "surcharge" else 0,
        )

    def back(self, benefits: Sequence[Mapping[str, Any]], returned: Iterable[Sequence[Any]]) -> list[Given]:
        """Say what a refund takes back of a sale's benefits: `returned` is `[[rule, kind, so much], …]`, as refunds keep it."""
        by_rule = {(str(benefit["rule"]), str(benefit["kind"])): benefit for benefit in benefits}
        found = [(by_rule[rule, kind], amount) for rule, kind, amount in returned if amount and (rule, kind) in by_rule]
        return [self._back(benefit, int(amount)) for benefit, amount in found]

    def _back(self, benefit: Mapping[str, Any], amount: int) -> Given:
        kind = str(benefit["kind"])
        name = self.words.either(str(benefit["name_zh"]), str(benefit["name_en"]))
        said = self.money(amount) if kind in {"discount", "bonus"} else self.given(kind, amount, benefit.get("item")).removeprefix("+")
        return Given(str(benefit["rule"]), kind, name, said, "", 0)

    def cut(self, kind: str, wanted: int) -> str:
        """Say that a cap or a budget left less than the rule would give."""
        full = self.money(wanted) if kind in {*PRICED, "bonus"} else self.f.count(wanted)
        return self.words.gettext("instead of %(amount)s: that was all that is left", amount=full)

    def worth(self, effect: Effect, unit: str) -> str:
        """Say in a few signs what an effect is worth: `−¥0.30/L`, `20% off`, `1 point/L`."""
        _, money = self.words.gettext, self.money
        match effect:
            case PerUnit():
                return MINUS + self.f.unit_price(effect.rate_e4, self.currency, unit)
            case UnitPrice():
                return self.f.unit_price(effect.unit_price_e4, self.currency, unit)
            case Percent():
                return _("%(percent)s off", percent=percent(effect.basis_points))
            case Fixed():
                return money(-effect.amount_minor)
            case Tiered():
                steps = [f"≥{self._start(band, effect.by, unit)} {self._band(band, unit)}" for band in effect.bands[:_BANDS_MAX]]
                return ", ".join(steps) + ("…" if len(effect.bands) > _BANDS_MAX or effect.ladder is Ladder.MARGINAL else "")
            case Bundle():
                return (
                    _("%(percent)s off", percent=percent(effect.basis_points or 0))
                    if effect.amount_minor is None
                    else money(-effect.amount_minor)
                )
            case _:
                return self._granted(effect, unit)

    def _granted(self, effect: Effect, unit: str) -> str:
        match effect:
            case Bonus():
                return self._bonus(effect)
            case Points():
                return self._points(effect, unit)
            case PointsTimes():
                return self.words.gettext("points ×%(times)s", times=quantity(effect.basis_points // 10))
            case Give():
                return f"{effect.count} × {self.item(effect.item)}"
            case _:
                raise AssertionError("every effect is said")

    def _start(self, band: Band, by: By, unit: str) -> str:
        return self.money(band.starts) if by is By.AMOUNT else f"{quantity(band.starts)} {self.f.unit(unit)}"

    def _band(self, band: Band, unit: str) -> str:
        if band.rate_e4 is not None:
            return MINUS + self.f.unit_price(band.rate_e4, self.currency, unit)
        if band.basis_points is not None:
            return MINUS + percent(band.basis_points)
        return self.money(-(band.amount_minor or 0))

    def _bonus(self, effect: Bonus) -> str:
        _ = self.words.gettext
        if not effect.bands:
            amount = percent(effect.basis_points or 0) if effect.amount_minor is None else self.money(effect.amount_minor)
            return _("%(amount)s bonus", amount=f"+{amount}")
        steps = [f"≥{self.money(band.starts)} +{self._bonus_band(band)}" for band in effect.bands[:_BANDS_MAX]]
        more = "…" if len(effect.bands) > _BANDS_MAX or effect.several is not Several.HIGHEST else ""
        return _("%(amount)s bonus", amount=", ".join(steps) + more)

    def _bonus_band(self, band: Band) -> str:
        return percent(band.basis_points or 0) if band.amount_minor is None else self.money(band.amount_minor)

    def _points(self, effect: Points, unit: str) -> str:
        said = self.words.ngettext("%(points)s point", "%(points)s points", effect.points, points=self.f.count(effect.points))
        if effect.per_quantity_milli is not None:
            per = self.f.unit(unit) if effect.per_quantity_milli == 1_000 else f"{quantity(effect.per_quantity_milli)} {self.f.unit(unit)}"
            return f"{said}/{per}"
        return said if effect.per_minor is None else f"{said}/{self.money(effect.per_minor).removesuffix('.00')}"


def surcharge_minor(given: Iterable[Given]) -> int:
    """Return what a company's agreement added to the price."""
    return -sum(one.amount_minor for one in given if one.kind == "surcharge")
