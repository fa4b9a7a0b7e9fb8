"""A rulebook made ready for the pump: codes become ids, and for each place and basket the few rules that can matter are kept by key."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid5

import msgspec

from .basket import Basket, Goods, Where
from .document import (
    ROOT,
    Bonus,
    Bundle,
    Cap,
    Channel,
    Document,
    Funder,
    Give,
    Group,
    Mode,
    Of,
    Per,
    PerUnit,
    Points,
    PointsTimes,
    Rule,
    Tiered,
    When,
)

_CAPS: Final = UUID("3f3d0d5c-6f0b-5b1e-9a53-0c0f5d6a2b11")
_BUDGETS: Final = UUID("a4c7c1f2-7b55-5f0c-8f3e-6b9e3b7f9d42")
_PLANS_MAX: Final = 4096


def cap_id(code: str, of: Of, per: Per, *, nth: bool = False) -> UUID:
    """Return the id of a counter: whose rule or group, of whom, per what; `nth` counts transactions, not benefits."""
    return uuid5(_CAPS, f"{'nth' if nth else 'cap'}:{code}:{of.value}:{per.value}")


def budget_id(code: str) -> UUID:
    """Return the id of a budget: computed, so that hot code never looks it up."""
    return uuid5(_BUDGETS, code)


class Names(NamedTuple):
    """What codes stand for."""

    stations: Mapping[str, UUID]
    districts: Mapping[str, UUID]
    regions: Mapping[str, UUID]


class CompiledCap(NamedTuple):
    """A cap with the id of its counter; None within a transaction."""

    per: Per
    of: Of
    amount: int | None
    times: int | None
    counter: UUID | None


class CompiledRule:
    """A rule with everything about it that does not depend on the transaction."""

    __slots__ = (
        "asks_customer",
        "budget",
        "caps",
        "code",
        "depends_on_size",
        "effect",
        "funders",
        "gives",
        "is_grant",
        "kind",
        "nth_counter",
        "own_parts",
        "parts",
        "revision",
        "rule",
        "when",
    )

    def __init__(self, rule: Rule, own_funders: Sequence[str]) -> None:
        self.rule = rule
        self.code = rule.code
        self.revision = rule.revision
        self.when: When = rule.when
        self.effect = rule.effect
        self.kind = kind_of(rule)
        self.is_grant = self.kind != "discount"
        self.caps = tuple(_compiled(cap, rule.code) for cap in rule.caps)
        self.budget = None if rule.budget is None else budget_id(rule.budget)
        self.funders: tuple[Funder, ...] = rule.funders
        self.parts = sum(funder.parts for funder in rule.funders)
        self.own_parts = sum(funder.parts for funder in rule.funders if funder.funder in own_funders)
        nth = rule.when.nth
        self.nth_counter = None if nth is None else cap_id(rule.code, nth.of, nth.per, nth=True)
        self.depends_on_size = _depends_on_size(rule)
        """Whether less fuel could cost more: thresholds, ladders, bundles."""
        self.gives = rule.effect.item if isinstance(rule.effect, Give) else None
        self.asks_customer = asks_customer(rule)


class CompiledGroup:
    """A group and its members of this plan, in order."""

    __slots__ = ("caps", "code", "exclusive", "group", "members", "mode")

    def __init__(self, group: Group, members: "list[CompiledGroup | PlannedRule]") -> None:
        self.group = group
        self.code = group.code
        self.mode = group.mode
        self.exclusive = group.exclusive
        self.caps = tuple(_compiled(cap, f"group:{group.code}") for cap in group.caps)
        self.members = members


class PlannedRule:
    """A rule that can matter to these goods at this place, and which of the goods are its own."""

    __slots__ = ("bundle_parts", "exclusive", "goods", "rule")

    def __init__(self, rule: CompiledRule, goods: tuple[int, ...], bundle_parts: tuple[tuple[int, ...], ...]) -> None:
        self.rule = rule
        self.exclusive = rule.rule.exclusive
        self.goods = goods
        self.bundle_parts = bundle_parts


class Plan(NamedTuple):
    """The candidates of one place, card product, channel and list of goods, as they stand until `until`."""

    root: CompiledGroup
    rules: tuple[PlannedRule, ...]
    until: datetime | None


_PlanKey = tuple[UUID, str, str, tuple[str, ...]]


class Book:
    """A compiled rulebook. `plan` is asked for every transaction and answers from memory."""

    def __init__(self, number: int, document: Document, names: Names, *, activates_at: datetime | None = None) -> None:
        self.number = number
        self.document = document
        self.activates_at = activates_at
        self._names = names
        self._rules = [CompiledRule(rule, document.own_funders) for rule in document.rules if rule.enabled]
        self.rules = {rule.code: rule for rule in self._rules}
        self._groups = {group.code: group for group in document.groups}
        self._plans: dict[_PlanKey, Plan] = {}
        self._order = self._tree()
        self.is_empty = not self._rules
        self.campaigns = {campaign.code: campaign for campaign in document.campaigns}
        self.asks_customer = any(rule.asks_customer for rule in self._rules)
        """Whether the pump's read must fetch the customer's facts."""
        self.counters = tuple(
            sorted(
                {cap.counter for rule in self._rules for cap in rule.caps if cap.counter is not None}
                | {rule.nth_counter for rule in self._rules if rule.nth_counter is not None}
                | {
                    cap_id(f"group:{group.code}", cap.of, cap.per)
                    for group in document.groups
                    for cap in group.caps
                    if cap.per is not Per.TRANSACTION
                }
            )
        )
        """The counters that the pump's read must fetch."""
        self.budgets = tuple(sorted({rule.budget for rule in self._rules if rule.budget is not None}))

    def plan(self, where: Where, card_product: str, basket: Basket, now: datetime) -> Plan:
        """Return the candidates for a basket at a place."""
        key = (where.station_id, card_product, basket.channel.value, tuple([goods.product for goods in basket.goods]))
        known = self._plans.get(key)
        if known is not None and (known.until is None or now < known.until):
            return known
        if len(self._plans) >= _PLANS_MAX:
            self._plans.clear()
        made = self._plans[key] = self._made(where, card_product, basket, now)
        return made

    def _made(self, where: Where, card_product: str, basket: Basket, now: datetime) -> Plan:
        planned: dict[str, PlannedRule] = {}
        until: list[datetime] = []
        for rule in self._rules:
            starts, ends = self._validity(rule.rule)
            until += [instant for instant in (starts, ends) if instant is not None and instant > now]
            if (starts is not None and now < starts) or (ends is not None and ends <= now):
                continue
            if not self._is_placed(rule, where, card_product, basket):
                continue
            goods = tuple(place for place, line in enumerate(basket.goods) if _in_scope(rule.when, line))
            if goods:
                planned[rule.code] = PlannedRule(rule, goods, _bundle_parts(rule, basket.goods))
        root = self._grown(ROOT, planned)
        assert root is not None, "the root is always there"
        return Plan(root, tuple(planned[rule.code] for rule in self._rules if rule.code in planned), min(until, default=None))

    def _validity(self, rule: Rule) -> tuple[datetime | None, datetime | None]:
        """Return a rule's time, its campaign's taken into account."""
        campaign = None if rule.campaign is None else self.campaigns.get(rule.campaign)
        if campaign is None:
            return rule.starts_at, rule.ends_at
        starts = [instant for instant in (rule.starts_at, campaign.starts_at) if instant is not None]
        ends = [instant for instant in (rule.ends_at, campaign.ends_at) if instant is not None]
        return max(starts, default=None), min(ends, default=None)

    def _is_placed(self, rule: CompiledRule, where: Where, card_product: str, basket: Basket) -> bool:
        when = rule.when
        return (
            (rule.rule.currency or self.document.currency) == where.currency
            and (not when.stations or where.station_id in self._ids(when.stations, self._names.stations))
            and (not when.districts or where.district_id in self._ids(when.districts, self._names.districts))
            and (not when.regions or where.region_id in self._ids(when.regions, self._names.regions))
            and (not when.card_products or card_product in when.card_products)
            and (basket.channel in when.channels if when.channels else basket.channel is not Channel.TOPUP)
        )

    @staticmethod
    def _ids(codes: Sequence[str], names: Mapping[str, UUID]) -> set[UUID]:
        return {names[code] for code in codes if code in names}

    def _tree(self) -> dict[str, list[tuple[int, str, bool]]]:
        """Return each group's members in order: (priority, code, whether it is a group). What names an unknown group stands in the root."""
        order: dict[str, list[tuple[int, str, bool]]] = {}
        for rule in self._rules:
            group = rule.rule.group if rule.rule.group in self._groups else ROOT
            order.setdefault(group, []).append((rule.rule.priority, rule.code, False))
        for group_ in self._groups.values():
            if group_.code != ROOT:
                within = group_.group if group_.group in self._groups else ROOT
                order.setdefault(within, []).append((group_.priority, group_.code, True))
        for members in order.values():
            members.sort()
        return order

    def _grown(self, code: str, planned: Mapping[str, PlannedRule]) -> CompiledGroup | None:
        members: list[CompiledGroup | PlannedRule] = []
        for _, member, is_group in self._order.get(code, ()):
            grown = self._grown(member, planned) if is_group else planned.get(member)
            if grown is not None:
                members.append(grown)
        if not members and code != ROOT:
            return None
        group = self._groups.get(code) or Group(code=ROOT, name_zh="全部", name_en="All", mode=Mode.STACK)
        return CompiledGroup(group, members)


def kind_of(rule: Rule) -> str:
    """Return what a rule gives: discount, bonus, points, gift, voucher or wash."""
    effect = rule.effect
    if isinstance(effect, Points | PointsTimes):
        return "points"
    if isinstance(effect, Bonus):
        return "bonus"
    return effect.what if isinstance(effect, Give) else "discount"


def asks_customer(rule: Rule) -> bool:
    """Say whether a rule depends on who the customer is."""
    when = rule.when
    return bool(
        when.customers
        or when.tiers
        or when.segments
        or when.flyers
        or when.birthday is not None
        or when.joined_within_days
        or when.converted_within_days
        or (when.nth is not None and when.nth.of is Of.CUSTOMER)
        or any(cap.of is Of.CUSTOMER for cap in rule.caps)
        or rule.campaign is not None
    )


def _depends_on_size(rule: Rule) -> bool:
    when = rule.when
    thresholds = (when.least_quantity_milli, when.most_quantity_milli, when.least_minor, when.most_minor)
    return isinstance(rule.effect, Tiered | Bundle) or any(bound is not None for bound in thresholds)


def _compiled(cap: Cap, code: str) -> CompiledCap:
    return CompiledCap(cap.per, cap.of, cap.amount, cap.count, None if cap.per is Per.TRANSACTION else cap_id(code, cap.of, cap.per))


def _in_scope(when: When, goods: Goods) -> bool:
    if goods.product in when.excluded_products or not goods.tags.isdisjoint(when.excluded_categories):
        return False
    if not when.products and not when.categories:
        return True
    return goods.product in when.products or not goods.tags.isdisjoint(when.categories)


def _bundle_parts(rule: CompiledRule, goods: Sequence[Goods]) -> tuple[tuple[int, ...], ...]:
    if not isinstance(rule.effect, Bundle):
        return ()
    return tuple(
        tuple(
            place
            for place, line in enumerate(goods)
            if line.product in part.products or not line.tags.isdisjoint(part.categories) or not (part.products or part.categories)
        )
        for part in rule.effect.parts
    )


def linear_rate(plan: Plan) -> int | None:
    """Return the one rate per unit that a plan comes to where nothing else can matter; None where more than that must be asked.

    Nothing but one per-unit rule without conditions: then a quantity for an amount is found by division.
    """
    if not plan.rules:
        return 0
    if len(plan.rules) > 1:
        return None
    only = plan.rules[0].rule
    if isinstance(only.effect, PerUnit) and not only.caps and only.budget is None and not only.asks_customer and _is_plain(only.when):
        return only.effect.rate_e4
    return None


_PLACED: Final = frozenset(
    ("stations", "districts", "regions", "card_products", "products", "categories", "excluded_products", "excluded_categories")
)


def _is_plain(when: When) -> bool:
    return all(
        name in _PLACED or name in {"channels", "basis"} or value == default
        for name, value, default in zip(when.__struct_fields__, msgspec.structs.astuple(when), When.__struct_defaults__, strict=True)
    )
