"""A rule as a form has it: every field's text. The same names are read back by `rules_reading`."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from loyalty.ledger.spending import Spending
from loyalty.money import minor_digits
from loyalty.pricing.document import (
    ROOT,
    Band,
    Bonus,
    Bundle,
    By,
    Cap,
    Effect,
    Fixed,
    Funder,
    Give,
    Hours,
    Needed,
    Percent,
    PerUnit,
    Points,
    PointsTimes,
    Rule,
    Tiered,
    UnitPrice,
    When,
)

Typed = dict[str, list[str]]
"""Each field's values, as a form sends them."""


def kind_of(effect: Effect) -> str:
    """Return an effect's name in the document: `per_unit`, `percent` …"""
    return str(effect.__struct_config__.tag)


def number(value: int | None, places: int, *, least: int = 0) -> str:
    """Write an integer of 10⁻ᵖˡᵃᶜᵉˢ units as it is typed, with `least` decimals at least."""
    if value is None:
        return ""
    whole, rest = divmod(value, 10**places)
    decimals = f"{rest:0{places}d}" if places else ""
    while len(decimals) > least and decimals.endswith("0"):
        decimals = decimals[:-1]
    return f"{whole}.{decimals}" if decimals else str(whole)


class Writer:
    """Writes figures as they are typed in a rule's currency and the office's zone."""

    def __init__(self, currency: str, zone: str) -> None:
        self._digits = minor_digits(currency)
        self._zone = ZoneInfo(zone)

    def money(self, amount_minor: int | None) -> str:
        """Write an amount."""
        return number(amount_minor, self._digits, least=self._digits)

    def instant(self, instant: datetime | None) -> str:
        """Write an instant as a date-and-time field has it."""
        return "" if instant is None else f"{instant.astimezone(self._zone):%Y-%m-%dT%H:%M}"


def price(value: int | None) -> str:
    """Write a unit price or rate."""
    return number(value, 4, least=2)


def percent(basis_points: int | None) -> str:
    """Write basis points as a percentage."""
    return number(basis_points, 2)


def quantity(milli: int | None) -> str:
    """Write thousandths."""
    return number(milli, 3)


def whole(value: int | None) -> str:
    """Write a whole number."""
    return "" if value is None else str(value)


def goods_codes(products: Sequence[str], categories: Sequence[str]) -> list[str]:
    """Return products and categories as one picker's values."""
    return [*(f"c:{code}" for code in categories), *(f"p:{code}" for code in products)]


def typed_rule(rule: Rule, *, currency: str, zone: str) -> Typed:
    """Return a rule as its form shows it; `currency` is the rulebook's."""
    writer = Writer(rule.currency or currency, zone)
    lines: dict[str, str] = {
        "code": rule.code,
        "name_zh": rule.name_zh,
        "name_en": rule.name_en,
        "say_zh": rule.say_zh or "",
        "say_en": rule.say_en or "",
        "group": "" if rule.group == ROOT else rule.group,
        "priority": str(rule.priority),
        "currency": rule.currency or "",
        "starts_at": writer.instant(rule.starts_at),
        "ends_at": writer.instant(rule.ends_at),
        "budget": rule.budget or "",
        "campaign": rule.campaign or "",
    }
    lines |= {name: "1" for name, is_set in (("exclusive", rule.exclusive), ("enabled", rule.enabled)) if is_set}
    return (
        {name: [value] for name, value in lines.items()}
        | _typed_when(rule.when, writer)
        | _typed_effect(rule.effect, writer)
        | _typed_caps(rule.caps, rule.effect, writer)
        | _typed_funders(rule.funders)
    )


def _typed_when(when: When, writer: Writer) -> Typed:
    listed: Typed = {
        name: [str(value) for value in getattr(when, name)]
        for name in ("stations", "districts", "regions", "card_products", "channels", "weekdays", "account_kinds", "tiers", "tenders")
    }
    listed |= {
        "goods": goods_codes(when.products, when.categories),
        "excluded": goods_codes(when.excluded_products, when.excluded_categories),
    }
    birthday, nth = when.birthday, when.nth
    lines = {
        "month_days": ", ".join(str(day) for day in when.month_days),
        "segments": ", ".join(when.segments),
        "flyers": ", ".join(when.flyers),
        "customers": "\n".join(str(one) for one in when.customers),
        "birthday": "" if birthday is None else "month" if birthday.month else "around",
        "days_before": "" if birthday is None else str(birthday.days_before),
        "days_after": "" if birthday is None else str(birthday.days_after),
        "joined_within_days": whole(when.joined_within_days),
        "converted_within_days": whole(when.converted_within_days),
        "nth_count": "" if nth is None else str(nth.count),
        "nth_per": "ever" if nth is None else nth.per.value,
        "nth_of": "account" if nth is None else nth.of.value,
        "least_quantity": quantity(when.least_quantity_milli),
        "most_quantity": quantity(when.most_quantity_milli),
        "least_amount": writer.money(when.least_minor),
        "most_amount": writer.money(when.most_minor),
        "basis": when.basis.value,
    }
    if nth is not None and nth.every:
        lines["nth_every"] = "1"
    return listed | {name: [value] for name, value in lines.items()} | _typed_hours(when.hours)


def _typed_hours(hours: Sequence[Hours]) -> Typed:
    made: Typed = {}
    for index, part in enumerate(hours):
        made |= {f"hours-{index}-starts": [part.starts], f"hours-{index}-ends": [part.ends]}
    return made


def _typed_effect(effect: Effect, writer: Writer) -> Typed:
    lines, rows = _typed_discount(effect, writer) if isinstance(effect, Tiered | Bundle | Percent) else _typed_plain(effect, writer)
    return rows | {name: [value] for name, value in ({"effect": kind_of(effect)} | lines).items()}


def _typed_discount(effect: Tiered | Bundle | Percent, writer: Writer) -> tuple[dict[str, str], Typed]:
    if isinstance(effect, Percent):
        return {"percent": percent(effect.basis_points), "percent_basis": effect.basis.value}, {}
    if isinstance(effect, Tiered):
        rows = _typed_bands(effect.bands, writer, by_amount=effect.by is By.AMOUNT)
        return {"by": effect.by.value, "ladder": effect.ladder.value}, rows
    kind = "amount" if effect.amount_minor is not None else "percent"
    worth = writer.money(effect.amount_minor) if effect.amount_minor is not None else percent(effect.basis_points)
    return {"worth_kind": kind, "worth": worth, "times": str(effect.times)}, _typed_parts(effect.parts)


def _typed_plain(effect: Effect, writer: Writer) -> tuple[dict[str, str], Typed]:
    match effect:
        case PerUnit():
            return {"rate": price(effect.rate_e4)}, {}
        case UnitPrice():
            return {"unit_price": price(effect.unit_price_e4)}, {}
        case Fixed():
            return {"amount": writer.money(effect.amount_minor)}, {}
        case Bonus():
            return _typed_bonus(effect, writer), _typed_bands(effect.bands, writer, by_amount=True) | _typed_spend(effect.spend, writer)
        case Points():
            return _typed_points(effect, writer), {}
        case PointsTimes():
            return {"points_times": number(effect.basis_points, 4)}, {}
        case Give():
            return {"thing": f"{effect.what}:{effect.item}", "count": str(effect.count)}, {}
        case _:
            raise AssertionError("every effect has its fields")


def _typed_bands(bands: Sequence[Band], writer: Writer, *, by_amount: bool) -> Typed:
    made: Typed = {}
    for index, band in enumerate(bands):
        starts = writer.money(band.starts) if by_amount else quantity(band.starts)
        if band.rate_e4 is not None:
            kind, worth = "rate", price(band.rate_e4)
        elif band.basis_points is not None:
            kind, worth = "percent", percent(band.basis_points)
        else:
            kind, worth = "amount", writer.money(band.amount_minor)
        made |= {f"band-{index}-starts": [starts], f"band-{index}-kind": [kind], f"band-{index}-worth": [worth]}
    return made


def _typed_parts(parts: Sequence[Needed]) -> Typed:
    made: Typed = {}
    for index, part in enumerate(parts):
        made |= {
            f"part-{index}-goods": goods_codes(part.products, part.categories),
            f"part-{index}-quantity": [quantity(part.quantity_milli)],
        }
    return made


def _typed_bonus(effect: Bonus, writer: Writer) -> dict[str, str]:
    kind = "bands" if effect.bands else "amount" if effect.amount_minor is not None else "percent"
    worth = writer.money(effect.amount_minor) if effect.amount_minor is not None else percent(effect.basis_points)
    return {"bonus_kind": kind, "worth": worth, "several": effect.several.value, "expires_days": whole(effect.expires_days)}


def _typed_spend(spend: Spending | None, writer: Writer) -> Typed:
    if spend is None:
        return {}
    made: Typed = {f"spend-{name}": list(getattr(spend, name)) for name in ("stations", "districts", "regions")}
    return made | {"spend-goods": goods_codes(spend.products, spend.categories), "spend-least": [writer.money(spend.least_minor)]}


def _typed_points(effect: Points, writer: Writer) -> dict[str, str]:
    by = "quantity" if effect.per_quantity_milli is not None else "amount" if effect.per_minor is not None else "once"
    step = quantity(effect.per_quantity_milli) if by == "quantity" else writer.money(effect.per_minor)
    # Without steps there are none to be full.
    flags = {"whole": effect.whole or by == "once", "when_settled": effect.when_settled}
    return {name: "1" for name, is_set in flags.items() if is_set} | {
        "points": str(effect.points),
        "points_by": by,
        "points_step": step,
        "pending_days": str(effect.pending_days),
        "expires_months": whole(effect.expires_months),
        "rounding": effect.rounding.value,
    }


def _typed_caps(caps: Sequence[Cap], effect: Effect, writer: Writer) -> Typed:
    made: Typed = {}
    for index, cap in enumerate(caps):
        made |= {
            f"cap-{index}-per": [cap.per.value],
            f"cap-{index}-of": [cap.of.value],
            f"cap-{index}-amount": [whole(cap.amount) if counts_pieces(kind_of(effect)) else writer.money(cap.amount)],
            f"cap-{index}-count": [whole(cap.count)],
        }
    return made


def counts_pieces(kind: str) -> bool:
    """Say whether an effect's caps count points or pieces, not money."""
    return kind in {"points", "points_times", "give"}


def typed_caps_of_group(caps: Sequence[Cap], writer: Writer) -> Typed:
    """Return a group's caps as its form shows them: money."""
    return _typed_caps(caps, Fixed(amount_minor=1), writer)


def _typed_funders(funders: Sequence[Funder]) -> Typed:
    made: Typed = {}
    for index, one in enumerate(funders):
        made |= {f"funder-{index}-name": [one.funder], f"funder-{index}-parts": [str(one.parts)]}
    return made
