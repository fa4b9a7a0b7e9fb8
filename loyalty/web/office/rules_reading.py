"""What a rule's form brought, read into the rule; what cannot be read stands beside its field."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec

from loyalty.pricing.document import ROOT, Cap, Channel, Document, Rule
from loyalty.pricing.faults import Known
from loyalty.pricing.rule_faults import rule_faults
from loyalty.web.office.reading import Form, scaled_number
from loyalty.web.office.rules_typed import counts_pieces

T = TypeVar("T")
ROWS_MAX: Final = 20
_CODE: Final = re.compile(r"^[a-z0-9][a-z0-9._-]{0,47}$")
_PARTED: Final = re.compile(r"[\s,;，；、]+")
# Where a fault of the document stands in the form, by the beginning of its path.
_FIELDS: Final = (
    ("when.products", "goods"),
    ("when.categories", "goods"),
    ("when.excluded_products", "excluded"),
    ("when.excluded_categories", "excluded"),
    ("when.hours.", "hours-{}-starts"),
    ("when.nth", "nth_per"),
    ("when.birthday", "birthday"),
    ("when.least_quantity_milli", "least_quantity"),
    ("when.most_quantity_milli", "most_quantity"),
    ("when.least_minor", "least_amount"),
    ("when.most_minor", "most_amount"),
    ("when.", "{name}"),
    ("effect.bands.", "band-{}-starts"),
    ("effect.parts.", "part-{}-goods"),
    ("effect.item", "thing"),
    ("effect.spend.products", "spend-goods"),
    ("effect.spend.categories", "spend-goods"),
    ("effect.spend.least_minor", "spend-least"),
    ("effect.spend.", "spend-{}"),
    ("effect.basis", "percent_basis"),
    ("effect.several", "several"),
    ("effect.amount_minor", "worth"),
    ("effect", "effect"),
    ("caps.", "cap-{}-per"),
    ("funders", "funder-0-name"),
)


def field_of(path: str) -> str:
    """Return the form's field for a path in a rule."""
    for begins, name in _FIELDS:
        if path.startswith(begins):
            index = path.removeprefix(begins).partition(".")[0]
            return name.format(index, name=path.removeprefix("when.").partition(".")[0])
    return path


class RuleForm:
    """Reads one rule's form. `faults` are then those of the form."""

    def __init__(self, form: Form, gettext: Callable[..., str], currency: str) -> None:
        self.form = form
        self._ = gettext
        self.currency = currency

    def read(self, code: str) -> Rule | None:
        """Return the rule; None where something cannot be read, which is then noted."""
        form, _ = self.form, self._
        self.currency = form.raw("currency").upper() or self.currency
        kind = form.raw("effect")
        plain: dict[str, Any] = {
            "code": code or self._code(),
            "name_zh": form.text("name_zh", _("Chinese name"), longest=80),
            "name_en": form.text("name_en", _("English name"), longest=80),
            "say_zh": form.text("say_zh", _("What the cashier may say, Chinese"), required=False, longest=200) or None,
            "say_en": form.text("say_en", _("What the cashier may say, English"), required=False, longest=200) or None,
            "group": form.raw("group") or ROOT,
            "priority": form.whole("priority", _("Place in its group"), high=1_000_000),
            "exclusive": form.flag("exclusive"),
            "enabled": form.flag("enabled"),
            "currency": form.raw("currency").upper() or None,
            "starts_at": form.instant("starts_at", _("From"), required=False),
            "ends_at": form.instant("ends_at", _("To"), required=False),
            "budget": form.raw("budget") or None,
            "campaign": form.raw("campaign") or None,
            "when": self._when(),
            "effect": self._effect(kind),
            "caps": self.caps(pieces=counts_pieces(kind)),
            "funders": self._funders(),
        }
        return None if form.faults else self._made(plain, Rule)

    def judge(self, rule: Rule, document: Document, known: Known, *, chinese: bool) -> None:
        """Note beside its field what is wrong with the rule in its rulebook."""
        for fault in rule_faults(rule, document, known):
            self.form.fault(field_of(fault.field), "", fault.zh if chinese else fault.en)

    def _made(self, plain: dict[str, Any], into: type[T]) -> T | None:
        try:
            return msgspec.convert({name: value for name, value in plain.items() if value is not None}, into)
        except msgspec.ValidationError as error:
            said, _, path = str(error).partition(" - at ")
            self.form.fault(field_of(path.strip("`").removeprefix("$.").replace("[", ".").replace("]", "")), "", said)
            return None

    def _code(self) -> str:
        _ = self._
        code = self.form.text("code", _("Code"), longest=48)
        if code and not _CODE.match(code):
            self.form.fault("code", _("Code"), _("is made of a-z, 0-9, dot, hyphen and underscore"))
        return code

    def _words(self, name: str) -> list[str]:
        return [word for word in _PARTED.split(self.form.raw(name)) if word]

    def _goods(self, name: str) -> tuple[list[str], list[str]]:
        chosen = self.form.many(name)
        return [code[2:] for code in chosen if code.startswith("p:")], [code[2:] for code in chosen if code.startswith("c:")]

    def _when(self) -> dict[str, Any]:
        form, _ = self.form, self._
        products, categories = self._goods("goods")
        excluded_products, excluded_categories = self._goods("excluded")
        listed = {
            name: form.many(name) for name in ("stations", "districts", "regions", "card_products", "account_kinds", "tiers", "tenders")
        }
        plain: dict[str, Any] = listed | {
            "products": products,
            "categories": categories,
            "excluded_products": excluded_products,
            "excluded_categories": excluded_categories,
            "channels": [one for one in form.many("channels") if one in {channel.value for channel in Channel}],
            "weekdays": sorted(int(day) for day in form.many("weekdays") if day in set("1234567")),
            "month_days": self._month_days(),
            "segments": self._words("segments"),
            "flyers": self._words("flyers"),
            "customers": self._customers(),
            "hours": self._hours(),
            "birthday": self._birthday(),
            "nth": self._nth(),
            "joined_within_days": form.whole("joined_within_days", _("Days since the card was opened"), low=1, required=False),
            "converted_within_days": form.whole("converted_within_days", _("Days since it was registered"), low=1, required=False),
            "least_quantity_milli": form.quantity("least_quantity", _("From this quantity"), required=False),
            "most_quantity_milli": form.quantity("most_quantity", _("Up to this quantity"), required=False),
            "least_minor": form.money("least_amount", _("From this amount"), self.currency, required=False),
            "most_minor": form.money("most_amount", _("Up to this amount"), self.currency, required=False),
            "basis": form.raw("basis") or "initial",
        }
        return {name: value for name, value in plain.items() if value not in (None, [], ())}

    def _month_days(self) -> list[int]:
        _ = self._
        words = self._words("month_days")
        if any(not (word.isascii() and word.isdigit() and 1 <= int(word) <= 31) for word in words):
            self.form.fault("month_days", _("Days of the month"), _("are numbers from 1 to 31"))
            return []
        return sorted({int(word) for word in words})

    def _customers(self) -> list[str]:
        _ = self._
        words = self._words("customers")
        for word in words:
            try:
                UUID(word)
            except ValueError:
                self.form.fault("customers", _("Named customers"), _("are the long ids that stand in their pages' addresses"))
                return []
        return words

    def _birthday(self) -> dict[str, Any] | None:
        form, _ = self.form, self._
        chosen = form.raw("birthday")
        if chosen == "month":
            return {"month": True}
        if chosen != "around":
            return None
        before = form.whole("days_before", _("Days before"), high=60, required=False)
        after = form.whole("days_after", _("Days after"), high=60, required=False)
        return {"days_before": before or 0, "days_after": after or 0}

    def _nth(self) -> dict[str, Any] | None:
        form, _ = self.form, self._
        count = form.whole("nth_count", _("Which time"), low=1, high=1000, required=False)
        if count is None:
            return None
        return {"count": count, "every": form.flag("nth_every"), "per": form.raw("nth_per"), "of": form.raw("nth_of")}

    def rows(self, name: str, *parts: str) -> Iterator[int]:
        """Yield the places of a list's rows in which something was typed or chosen."""
        for index in range(ROWS_MAX):
            if any(self.form.raw(f"{name}-{index}-{part}") for part in parts):
                yield index

    def _hours(self) -> list[dict[str, str]]:
        _ = self._
        made = []
        for index in self.rows("hours", "starts", "ends"):
            starts = self.form.text(f"hours-{index}-starts", _("From"))
            ends = self.form.text(f"hours-{index}-ends", _("To"))
            made.append({"starts": starts, "ends": ends})
        return made

    def _effect(self, kind: str) -> dict[str, Any]:
        form, _ = self.form, self._
        readers: dict[str, Callable[[], dict[str, Any]]] = {
            "per_unit": lambda: {"rate_e4": form.price("rate", _("Off a unit"))},
            "unit_price": lambda: {"unit_price_e4": form.price("unit_price", _("Price of one unit"))},
            "percent": lambda: {"basis_points": self.percent("percent", _("Percent off")), "basis": form.raw("percent_basis") or "before"},
            "fixed": lambda: {"amount_minor": form.money("amount", _("Amount off"), self.currency)},
            "tiered": self._tiered,
            "bundle": self._bundle,
            "bonus": self._bonus,
            "points": self._points,
            "points_times": lambda: {"basis_points": self._scaled("points_times", _("Multiplied by"), 4)},
            "give": self._give,
        }
        if kind not in readers:
            form.fault("effect", _("Effect"), _("is not one of the choices"))
            return {}
        return {"kind": kind} | {name: value for name, value in readers[kind]().items() if value is not None}

    def _tiered(self) -> dict[str, Any]:
        by = self.form.raw("by") or "quantity"
        return {"by": by, "ladder": self.form.raw("ladder") or "whole", "bands": self._bands(by_amount=by == "amount")}

    def _give(self) -> dict[str, Any]:
        form, _ = self.form, self._
        what, _colon, item = form.raw("thing").partition(":")
        if not item:
            form.fault("thing", _("What is given"), _("is needed"))
        return {"what": what, "item": item, "count": form.whole("count", _("How many"), low=1, high=100)}

    def percent(self, name: str, label: str, *, required: bool = True) -> int | None:
        """Read a percentage as basis points, 0.01 % to 100 %."""
        found = self._scaled(name, label, 2, required=required)
        if found is not None and found > 10_000:
            self.form.fault(name, label, self._("is above 100 %%"))
        return found

    def _scaled(self, name: str, label: str, places: int, *, required: bool = True) -> int | None:
        typed = self.form.text(name, label, required=required).rstrip("%％×x ").lstrip("×x ")
        if not typed:
            return None
        found = scaled_number(typed, places)
        if found is None:
            self.form.fault(name, label, self._("is not a number with at most %(places)s decimals", places=places))
        elif found <= 0:
            self.form.fault(name, label, self._("is too small"))
            return None
        return found

    def _bands(self, *, by_amount: bool) -> list[dict[str, Any]]:
        form, _ = self.form, self._
        made = []
        for index in self.rows("band", "starts", "worth"):
            name, label = f"band-{index}-starts", _("From")
            starts = form.money(name, label, self.currency, low=0) if by_amount else form.quantity(name, label, low=0)
            made.append({"starts": starts} | self._worth(f"band-{index}-worth", form.raw(f"band-{index}-kind")))
        if not made:
            form.fault("band-0-starts", _("Bands"), _("is needed"))
        return [{name: value for name, value in band.items() if value is not None} for band in made]

    def _worth(self, name: str, kind: str) -> dict[str, int | None]:
        form, _ = self.form, self._
        if kind == "rate":
            return {"rate_e4": form.price(name, _("Worth"))}
        if kind == "percent":
            return {"basis_points": self.percent(name, _("Worth"))}
        return {"amount_minor": form.money(name, _("Worth"), self.currency)}

    def _bundle(self) -> dict[str, Any]:
        form, _ = self.form, self._
        parts = []
        for index in self.rows("part", "quantity", "goods"):
            products, categories = self._goods(f"part-{index}-goods")
            needed = form.quantity(f"part-{index}-quantity", _("How much"))
            parts.append({"products": products, "categories": categories, "quantity_milli": needed or 1})
        if len(parts) < 2:
            form.fault("part-1-quantity", _("Parts"), _("A bundle has two parts at least"))
        return {"parts": parts, "times": form.whole("times", _("Sets at most"), low=1, high=100)} | self._worth(
            "worth", form.raw("worth_kind")
        )

    def _bonus(self) -> dict[str, Any]:
        form, _ = self.form, self._
        kind = form.raw("bonus_kind")
        plain: dict[str, Any] = {
            "expires_days": form.whole("expires_days", _("Good for days"), low=1, required=False),
            "spend": self._spend(),
        }
        if kind == "bands":
            return plain | {"several": form.raw("several") or "highest", "bands": self._bands(by_amount=True)}
        return plain | self._worth("worth", kind)

    def _spend(self) -> dict[str, Any] | None:
        """Read what bonus money may be spent on; None where on anything."""
        products, categories = self._goods("spend-goods")
        read: dict[str, Any] = {"products": products, "categories": categories}
        read |= {name: self.form.many(f"spend-{name}") for name in ("stations", "districts", "regions")}
        read["least_minor"] = self.form.money("spend-least", self._("In purchases from"), self.currency, required=False)
        return {name: value for name, value in read.items() if value} or None

    def _points(self) -> dict[str, Any]:
        form, _ = self.form, self._
        by = form.raw("points_by")
        plain: dict[str, Any] = {
            "points": form.whole("points", _("Points"), low=1),
            "whole": form.flag("whole") or by == "once",
            "pending_days": form.whole("pending_days", _("Wait days"), required=False) or 0,
            "when_settled": form.flag("when_settled"),
            "expires_months": form.whole("expires_months", _("Lapse after months"), low=1, required=False),
            "rounding": form.raw("rounding") or "month",
        }
        if by == "quantity":
            plain["per_quantity_milli"] = form.quantity("points_step", _("For each"))
        elif by == "amount":
            plain["per_minor"] = form.money("points_step", _("For each"), self.currency)
        return plain

    def caps(self, *, pieces: bool) -> list[dict[str, Any]]:
        """Read the rows of caps; `pieces`: they count points or pieces, not money."""
        form, _ = self.form, self._
        made = []
        for index in self.rows("cap", "amount", "count"):
            name = f"cap-{index}-amount"
            most = (
                form.whole(name, _("At most"), low=1, high=10**13, required=False)
                if pieces
                else form.money(name, _("At most"), self.currency, required=False)
            )
            cap = {
                "per": form.raw(f"cap-{index}-per"),
                "of": form.raw(f"cap-{index}-of") or "card",
                "amount": most,
                "count": form.whole(f"cap-{index}-count", _("Times at most"), low=1, required=False),
            }
            made.append({key: value for key, value in cap.items() if value is not None})
        return made

    def group_caps(self) -> tuple[Cap, ...] | None:
        """Read a group's caps; None where they cannot be read, which is then noted."""
        plain = self.caps(pieces=False)
        if self.form.faults:
            return None
        try:
            return msgspec.convert(plain, tuple[Cap, ...])
        except msgspec.ValidationError as error:
            self.form.fault("cap-0-per", "", str(error))
            return None

    def _funders(self) -> list[dict[str, Any]]:
        form, _ = self.form, self._
        made = []
        for index in self.rows("funder", "name"):
            parts = form.whole(f"funder-{index}-parts", _("Parts"), low=1, high=10_000, required=False)
            made.append({"funder": form.raw(f"funder-{index}-name"), "parts": parts or 1})
        if not made:
            form.fault("funder-0-name", _("Funder"), _("is needed"))
        return made
