"""An agreement's terms as their form has them: every field's text, rows in their order; and read back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from loyalty.web.office.desk import Desk
from loyalty.web.office.rules_typed import Typed, Writer, number
from partners.rules import Band, Benefit, BenefitKind, Code, Fault, Funder, LossBy, Mode, Offline, Settlement, Terms
from partners.web.office.wording import FIELD

BENEFITS_MAX: Final = 40
BANDS_MAX: Final = 12
BRANDS_MAX: Final = 4
COUNT: Final = "benefits"
"""The hidden field that says how many benefits the form has, empty ones too."""
_BRAND: Final = "brand:"
_TEXTS: Final = ("code", "name_zh", "name_en", "voucher_kind", "purpose", "terms_zh", "terms_en")
_WHOLES: Final = ("limit_total", "limit_each_month")
_OFFLINE: Final[Mapping[str, int]] = {"uses": 500, "list_hours": 24, "token_hours": 72}
"""Whole numbers of what is agreed for offline, each with its largest."""
_PERCENTS: Final = ("commission", "share")
_MONEY: Final = {"amount_minor": "amount", "cover_minor": "cover"}
AT: Final[Mapping[str, str]] = {"funders": "issuer", "bands": "band0-premium", "amount_minor": "amount", "cover_minor": "cover"}
"""Where a fault of the terms is shown, where its field has another name in the form."""


class Drafted(NamedTuple):
    """What a form says: its days and its terms."""

    first_day: date
    end_day: date | None
    terms: Terms


def count_of(typed: Typed) -> int:
    """Return how many benefits a form has."""
    said = (typed.get(COUNT) or ["0"])[-1]
    return min(int(said), BENEFITS_MAX) if said.isascii() and said.isdigit() else 0


def typed_of(drafted: Drafted, *, currency: str, zone: str) -> Typed:
    """Return terms as their form shows them."""
    write, terms, settlement = Writer(currency, zone), drafted.terms, drafted.terms.settlement
    typed: Typed = {
        "first_day": [drafted.first_day.isoformat()],
        "last_day": [(drafted.end_day - timedelta(days=1)).isoformat() if drafted.end_day else ""],
        "commission": [number(terms.commission, 2)],
        "cap": [write.money(terms.cap_month_minor)],
        "mode": [settlement.mode.value],
        "statement_day": [str(settlement.statement_day)],
        "pay_within_days": [str(settlement.pay_within_days)],
        "low": [write.money(settlement.low_minor)],
        "note": [terms.note],
        **_offline(terms.offline, write),
        COUNT: [str(len(terms.benefits))],
    }
    for index, one in enumerate(terms.benefits):
        typed |= {f"b{index}-{name}": [value] for name, value in _benefit(one, write).items()}
    return typed


def _offline(agreed: Offline | None, write: Writer) -> Typed:
    """Return what is agreed for offline; nothing where nothing is."""
    if agreed is None:
        return {}
    return {
        "offline_worth": [write.money(agreed.worth_minor)],
        "offline_amount": [write.money(agreed.amount_minor)],
        **{f"offline_{name}": [str(getattr(agreed, name))] for name in _OFFLINE},
        "offline_loss_by": [agreed.loss_by.value],
    }


def _benefit(one: Benefit, write: Writer) -> dict[str, str]:
    shown = {name: getattr(one, name) or "" for name in _TEXTS} | {"kind": one.kind.value, "plate_bound": "1" if one.plate_bound else ""}
    shown |= {name: str(getattr(one, name) or "") for name in _WHOLES}
    shown |= {name: number(getattr(one, name), 2) for name in _PERCENTS}
    shown |= {name: write.money(getattr(one, field)) for field, name in _MONEY.items()}
    brands = 0
    for funder in one.funders:
        if funder.code in {"issuer", "partner"}:
            shown[funder.code] = number(funder.share, 2)
        else:
            shown |= {f"brand{brands}-name": funder.code.removeprefix(_BRAND), f"brand{brands}-share": number(funder.share, 2)}
            brands += 1
    for index, band in enumerate(one.bands):
        shown |= {f"band{index}-premium": write.money(band.premium_minor), f"band{index}-months": str(band.months)}
    return shown


def rearranged(typed: Typed, act: str) -> Typed:
    """Return a form with a benefit more (`add`), one less (`remove-2`), or one that changed places (`up-2`, `down-2`).

    What the act does not understand leaves the form as it is.
    """
    count = count_of(typed)
    order: list[int | None] = list(range(count))
    verb, _dash, place = act.partition("-")
    index = int(place) if place.isascii() and place.isdigit() else -1
    if verb == "add" and count < BENEFITS_MAX:
        order.append(None)
    elif verb == "remove" and 0 <= index < count:
        del order[index]
    elif verb == "up" and 0 < index < count:
        order[index - 1], order[index] = order[index], order[index - 1]
    elif verb == "down" and 0 <= index < count - 1:
        order[index + 1], order[index] = order[index], order[index + 1]
    own = {name: values for name, values in typed.items() if not _is_benefits(name)}
    own[COUNT] = [str(len(order))]
    for to, was in enumerate(order):
        if was is not None:
            prefix = f"b{was}-"
            own |= {f"b{to}-{name.removeprefix(prefix)}": values for name, values in typed.items() if name.startswith(prefix)}
    return own


def moved_to(act: str, count: int) -> int | None:
    """Return which benefit of the rearranged form an act was about; None: none that is still there."""
    verb, _dash, place = act.partition("-")
    if verb == "add":
        return count - 1
    if not (place.isascii() and place.isdigit()):
        return None
    found = int(place) + {"up": -1, "down": 1}.get(verb, 0)
    return max(0, min(found, count - 1)) if count else None


def _is_benefits(name: str) -> bool:
    head = name.partition("-")[0]
    return head.startswith("b") and head[1:].isdigit()


def places_of(faults: Iterable[Fault], terms: Terms) -> list[tuple[str, Fault]]:
    """Return what keeps terms from being agreed, each with the field of the form where it is shown."""
    found = []
    for fault in faults:
        name = AT.get(fault.field, fault.field)
        if fault.benefit is None:
            found.append(({"low_minor": "low", "benefits": "commission"}.get(fault.field, name), fault))
        # A code that stands twice is shown at each.
        found += [(f"b{index}-{name}", fault) for index, one in enumerate(terms.benefits) if one.code == fault.benefit]
    return found


class Reading:
    """Reads a form; what cannot be read is noted beside its field, what is merely not agreeable yet is read as it is."""

    def __init__(self, desk: Desk, currency: str) -> None:
        self.form = desk.form
        self._ = desk.gettext
        self.currency = currency

    def drafted(self) -> Drafted | None:
        """Read the days and the terms; None where something cannot be read."""
        _, form = self._, self.form
        first, last = form.day("first_day", _("First day")), form.day("last_day", _("Last day"), required=False)
        if first is not None and last is not None and last < first:
            form.fault("last_day", _("Last day"), _("is before the beginning"))
        mode = form.choice("mode", self.label("mode"), Mode, Mode.POST_PAID)
        settlement = {
            "statement_day": form.whole("statement_day", self.label("statement_day"), low=1, high=28),
            "pay_within_days": form.whole("pay_within_days", self.label("pay_within_days"), low=0, high=180),
            "low_minor": self.money("low", "low_minor"),
        }
        own: dict[str, Any] = {
            "commission": form.percent("commission", self.label("commission"), low=0, required=False) or 0,
            "cap_month_minor": self.money("cap", "cap_month_minor"),
            "offline": self._offline(),
            "note": form.text("note", self.label("note"), required=False, longest=2_000),
        }
        codes: set[str] = set()
        benefits = [self._benefit(index, codes) for index in range(count_of(form.typed()))]
        if form.faults or first is None:
            return None
        terms = Terms(benefits=[Benefit(**one) for one in benefits], settlement=Settlement(mode=mode, **settlement), **own)  # type: ignore[arg-type]
        # The struct's own bounds once more: what is stored can be read again.
        msgspec.convert(msgspec.to_builtins(terms), Terms)
        return Drafted(first, last + timedelta(days=1) if last else None, terms)

    def label(self, field: str) -> str:
        """Name a field."""
        return self._(FIELD[field])

    def money(self, name: str, field: str) -> int | None:
        """Read an amount that need not be there."""
        found = self.form.money(name, self.label(field), self.currency, required=False)
        if found is not None and found > 10**12:
            self.form.fault(name, self.label(field), self._("is too large"))
        return found

    def _offline(self) -> Offline | None:
        """Read what is agreed for offline: nothing without what a voucher may be worth; an empty field has its usual value."""
        worth = self.money("offline_worth", "offline_worth_minor")
        amount = self.money("offline_amount", "offline_amount_minor")
        whole = {
            name: self.form.whole(f"offline_{name}", self.label(f"offline_{name}"), low=1, high=most, required=False)
            for name, most in _OFFLINE.items()
        }
        if worth is None:
            return None
        who = LossBy.ISSUER
        if self.form.raw("offline_loss_by"):
            who = self.form.choice("offline_loss_by", self.label("offline_loss_by"), LossBy, LossBy.ISSUER)
        said: dict[str, Any] = {name: count for name, count in whole.items() if count is not None}
        return Offline(worth_minor=worth, amount_minor=amount or worth * 10, loss_by=who, **said)

    def _benefit(self, index: int, codes: set[str]) -> dict[str, Any]:
        _, form, at = self._, self.form, f"b{index}-"
        kind = form.choice(f"{at}kind", self.label("kind"), BenefitKind, BenefitKind.DISCOUNT)
        values: dict[str, Any] = {
            "kind": kind,
            "name_zh": form.text(f"{at}name_zh", self.label("name_zh"), longest=80),
            "name_en": form.text(f"{at}name_en", self.label("name_en"), longest=80),
            "plate_bound": form.flag(f"{at}plate_bound"),
            "terms_zh": form.text(f"{at}terms_zh", self.label("terms_zh"), required=False, longest=2_000),
            "terms_en": form.text(f"{at}terms_en", self.label("terms_en"), required=False, longest=2_000),
            "commission": form.percent(f"{at}commission", self.label("commission"), low=0, required=False),
            "share": form.percent(f"{at}share", self.label("share"), required=False),
        }
        values |= {name: form.whole(f"{at}{name}", self.label(name), low=1, high=10**6, required=False) for name in _WHOLES}
        values |= {field: self.money(f"{at}{name}", field) for field, name in _MONEY.items()}
        for name in ("voucher_kind", "purpose"):
            values[name] = form.text(f"{at}{name}", self.label(name), required=False, longest=64) or None
        values |= {"code": self._code(at, kind, codes), "funders": self._funders(at), "bands": self._bands(at)}
        return values

    def _code(self, at: str, kind: BenefitKind, codes: set[str]) -> str:
        """Read a code, or make one from the kind."""
        _, form = self._, self.form
        code = form.text(f"{at}code", _("Code"), required=False, longest=48).lower()
        if not code:
            code = next(made for made in (f"{kind.value}-{count}" for count in range(1, BENEFITS_MAX + 2)) if made not in codes)
        try:
            msgspec.convert(code, Code)
        except msgspec.ValidationError:
            form.fault(f"{at}code", _("Code"), _("takes lower-case letters, digits, point, dash and underscore"))
        codes.add(code)
        return code

    def _funders(self, at: str) -> list[Funder]:
        _, form = self._, self.form
        shares = {who: form.percent(f"{at}{who}", _("Who bears it"), low=0, required=False) for who in ("issuer", "partner")}
        found = [Funder(who, share) for who, share in shares.items() if share]
        for index in range(BRANDS_MAX):
            name = form.text(f"{at}brand{index}-name", _("Brand"), required=False, longest=40).lower()
            share = form.percent(f"{at}brand{index}-share", _("The brand bears"), required=bool(name))
            if share and not name:
                form.fault(f"{at}brand{index}-name", _("Brand"), _("is needed"))
            elif share and name:
                found.append(self._brand(f"{at}brand{index}-name", name, share))
        return found

    def _brand(self, field: str, name: str, share: int) -> Funder:
        try:
            return msgspec.convert({"code": f"{_BRAND}{name}", "share": share}, Funder)
        except msgspec.ValidationError:
            said = self._("takes lower-case letters, digits, point, dash and underscore")
            self.form.fault(field, self._("Brand"), said)
            return Funder("issuer", share)

    def _bands(self, at: str) -> list[Band]:
        _, form = self._, self.form
        found = []
        for index in range(BANDS_MAX):
            premium, months = f"{at}band{index}-premium", f"{at}band{index}-months"
            if form.raw(premium) or form.raw(months):
                price = form.money(premium, _("What it costs"), self.currency)
                length = form.whole(months, _("Months"), low=1, high=600)
                if price is not None and length is not None:
                    found.append(Band(price, length))
        return found


def rows_filled(typed: Typed, at: str, parts: Sequence[str], most: int) -> int:
    """Return how many rows of a benefit's small table are to be shown: as many as are filled, and one more."""
    filled = [index for index in range(most) if any((typed.get(f"{at}{index}-{part}") or [""])[-1] for part in parts)]
    return min((filled[-1] + 1 if filled else 0) + 1, most)
