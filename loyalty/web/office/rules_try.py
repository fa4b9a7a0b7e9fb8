"""A basket tried under a rulebook, beside the form: what applies, worth how much, and why the others do not."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from loyalty.errors import Refusal
from loyalty.pricing.basket import TOPUP_GOODS
from loyalty.pricing.document import Channel, Document
from loyalty.pricing.queries.simulating import simulate_basket
from loyalty.pricing.simulating import Asked, AskedLine, AskedPerson, Simulated, SimulatedRule
from loyalty.pricing.wording import ACCOUNT_KINDS, CHANNELS, FUNDERS
from loyalty.stations.queries import snapshot_stations
from loyalty.web.office.desk import Desk
from loyalty.web.office.parts import Field
from loyalty.web.office.reading import Form
from loyalty.web.office.rules_typed import Typed
from loyalty.web.office.rules_words import Choices

LINES: Final = 2


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it, as the page draws it; `problem` says why nothing did."""

    lines: list[tuple[str, str, str, str]]
    totals: tuple[str, str, str]
    extra: list[tuple[str, str]]
    why: list[tuple[str, str, bool]]
    problem: str = ""


async def basket_fields(desk: Desk, choices: Choices, typed: Typed) -> list[Field]:
    """Return the basket's fields; they belong to the rule's form, wherever they stand."""
    _ = desk.gettext
    stations = await snapshot_stations(desk.session)
    options = [(one.code, f"{one.code} · {desk.either(one.name_zh, one.name_en)}") for one in stations]
    products = [("", _("nothing")), *choices.coded("products")]
    local = f"{desk.now.astimezone(ZoneInfo(desk.zone)):%Y-%m-%dT%H:%M}"
    first = next((code for code, unit in choices.names.units.items() if unit == "L"), "")
    presets = {"try-0-product": first, "try-0-quantity": "30", "try-at": local, "try-channel": "pay_after"}

    def value(name: str) -> str:
        return (typed.get(name) or [presets.get(name, "") if "try-station" not in typed else ""])[-1]

    def chosen(name: str, label: str, offered: list[tuple[str, str]], blank: str = "") -> Field:
        more = {"options": offered, "value": value(name), "blank": blank, "required": False, "attrs": _OWNED}
        return Field(kind="select", name=name, label=label, more=more)

    def line(name: str, label: str, **more: Any) -> Field:
        return Field(kind="field", name=name, label=label, more={"value": value(name), "required": False, "attrs": _OWNED} | more)

    fields = [chosen("try-station", _("Station"), options), line("try-at", _("At"), type="datetime-local")]
    for index in range(LINES):
        fields += [
            chosen(f"try-{index}-product", _("More goods") if index else _("Goods"), products),
            line(f"try-{index}-quantity", _("How much"), num=True),
            line(f"try-{index}-amount", _("Or the amount"), num=True),
        ]
    return [
        *fields,
        chosen("try-channel", _("How the customer comes"), choices.known(CHANNELS)),
        chosen("try-card", _("Card product"), choices.coded("card_products"), _("any")),
        chosen("try-tier", _("Tier"), choices.coded("tiers"), _("none")),
        chosen("try-kind", _("Kind of account"), choices.known(ACCOUNT_KINDS)),
        line("try-visits", _("Visits before"), num=True, inputmode="numeric"),
    ]


_OWNED: Final = {"form": "rule-form"}


async def try_basket(desk: Desk, document: Document, typed: Typed) -> Tried:
    """Simulate the basket that was typed under a document."""
    asked, problem = await _asked(desk, typed)
    if asked is None:
        return Tried([], ("", "", ""), [], [], problem)
    try:
        found = await simulate_basket(desk.session, asked=asked, document=document)
    except Refusal as refusal:
        return Tried([], ("", "", ""), [], [], refusal.sentence(desk.words.locale))
    return _drawn(desk, found)


async def _asked(desk: Desk, typed: Typed) -> tuple[Asked | None, str]:
    """Read the basket; a sentence where it cannot be read."""
    _ = desk.gettext
    form = Form(typed, desk.words, desk.zone)
    stations = {one.code: one for one in await snapshot_stations(desk.session)}
    code = form.raw("try-station") or next(iter(stations), "")
    if code not in stations:
        return None, _("There is no station to try it at yet.")
    station = stations[code]
    channel = Channel(form.raw("try-channel")) if form.raw("try-channel") in {one.value for one in Channel} else Channel.PAY_AFTER
    lines = _lines(form, _("Basket"), station.currency, is_topup=channel is Channel.TOPUP)
    at = form.instant("try-at", _("At"), required=False, zone=station.zone) or desk.now
    visits = form.whole("try-visits", _("Visits before"), high=100_000, required=False) or 0
    if form.faults:
        return None, "; ".join(f"{label} {said}" for _name, label, said in form.faults)
    if not lines:
        return None, _("Put something into the basket: goods with a quantity or an amount.")
    kind, tier = form.raw("try-kind") or "personal", form.raw("try-tier") or None
    person = AskedPerson(account_kind=kind, tier=tier, visits_before=visits, opened_at=_opened(at))
    return Asked(station=code, at=at, lines=lines, card_product=form.raw("try-card"), channel=channel, person=person), ""


def _opened(at: datetime) -> datetime:
    """A customer of a year: rules for new ones are told as missed."""
    return at.replace(year=at.year - 1, day=min(at.day, 28))


def _lines(form: Form, label: str, currency: str, *, is_topup: bool) -> tuple[AskedLine, ...]:
    if is_topup:
        amount = form.money("try-0-amount", label, currency, required=False)
        return () if amount is None else (AskedLine(product=TOPUP_GOODS, amount_minor=amount),)
    found = []
    for index in range(LINES):
        product = form.raw(f"try-{index}-product")
        quantity = form.quantity(f"try-{index}-quantity", label, required=False)
        amount = form.money(f"try-{index}-amount", label, currency, required=False)
        if product and (quantity is not None or amount is not None):
            found.append(AskedLine(product=product, quantity_milli=quantity, amount_minor=amount))
    return tuple(found)


def _drawn(desk: Desk, found: Simulated) -> Tried:
    _, f = desk.gettext, desk.f
    lines = [
        (
            one.product,
            f.money(one.amount_minor, found.currency),
            f.money(-one.discount_minor, found.currency),
            f.money(one.pays_minor, found.currency),
        )
        for one in found.lines
    ]
    why = [(_applied_name(desk, one, found.currency), _worth(desk, one, found.currency), True) for one in found.applied]
    why += [(desk.either(one.name_zh, one.name_en), desk.either(one.zh, one.en), False) for one in found.missed]
    extra = []
    if found.points:
        extra.append((_("Points"), f.count(found.points)))
    if found.bonus_minor:
        extra.append((_("Bonus money"), f.money(found.bonus_minor, found.currency)))
    totals = (
        f.money(found.gross_minor, found.currency),
        f.money(-found.discount_minor, found.currency),
        f.money(found.pays_minor, found.currency),
    )
    return Tried(lines, totals, extra, why)


def _applied_name(desk: Desk, one: SimulatedRule, currency: str) -> str:
    name = desk.either(one.name_zh, one.name_en)
    if len(one.funders) < 2:
        return name
    is_money = one.kind in {"discount", "surcharge", "bonus"}
    shares = [
        f"{desk.either(*FUNDERS.get(share.funder, (share.funder, share.funder)))} "
        f"{desk.f.money(share.amount, currency) if is_money else desk.f.count(share.amount)}"
        for share in one.funders
    ]
    return f"{name} ({', '.join(shares)})"


def _worth(desk: Desk, one: SimulatedRule, currency: str) -> str:
    _, f = desk.gettext, desk.f
    if one.kind in {"discount", "surcharge"}:
        return f.money(-one.given, currency)
    if one.kind == "bonus":
        return _("%(amount)s bonus", amount=f.money(one.given, currency))
    if one.kind == "points":
        return desk.words.ngettext("%(num)s point", "%(num)s points", one.given)
    return f"{one.given} × {one.item}"
