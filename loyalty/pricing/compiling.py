"""A rulebook made ready for the pump: codes become ids, and for each place and basket the few rules that can matter are kept by key."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid5

import msgspec

from loyalty.ids import fast_uuid

from .basket import Basket, Goods, Where
from .calculators import Worth, band_worth, worth
from .document import (
    ROOT,
    Basis,
    Bonus,
    Bundle,
    By,
    Cap,
    Channel,
    Document,
    Effect,
    Funder,
    Give,
    Group,
    Ladder,
    Mode,
    Of,
    Per,
    Percent,
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
    return fast_uuid(uuid5(_CAPS, f"{'nth' if nth else 'cap'}:{code}:{of.value}:{per.value}").bytes)


def budget_id(code: str) -> UUID:
    """Return the id of a budget: computed, so that hot code never looks it up."""
    return fast_uuid(uuid5(_BUDGETS, code).bytes)


class Names(NamedTuple):
    """What codes stand for."""

    stations: Mapping[str, UUID]
    districts: Mapping[str, UUID]
    regions: Mapping[str, UUID]
    tiers: Mapping[str, tuple[str, str]] = {}
    """What tiers are called, Chinese and English."""


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
        "asks",
        "asks_after",
        "asks_customer",
        "asks_else",
        "asks_time",
        "bands",
        "budget",
        "by_quantity",
        "caps",
        "code",
        "depends_on_size",
        "effect",
        "funders",
        "gives",
        "has_thresholds",
        "is_bounded",
        "is_counted",
        "is_grant",
        "kind",
        "nth_counter",
        "of_left",
        "own_parts",
        "parts",
        "revision",
        "rule",
        "when",
        "worth",
    )

    def __init__(self, rule: Rule, own_funders: Sequence[str]) -> None:
        self.rule = rule
        self.code = rule.code
        self.revision = rule.revision
        self.when: When = rule.when
        self.effect = rule.effect
        self.kind = kind_of(rule)
        self.is_grant = self.kind != "discount"
        self.caps = _compiled(rule.caps, rule.code)
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
        self.asks_time = any(_asked_of_time(rule.when))
        self.asks_else = any((rule.when.account_kinds, rule.when.tenders, nth))
        self.asks = self.asks_time or self.asks_else or self.asks_customer or self.kind == "points"
        """Whether anything is asked but the place and the goods."""
        self.has_thresholds = any(bound is not None for bound in _thresholds(rule.when))
        self.asks_after = rule.when.basis is Basis.AFTER and (rule.when.least_minor is not None or rule.when.most_minor is not None)
        self.is_bounded = bool(self.caps) or self.budget is not None
        self.is_counted = self.budget is not None or any(cap.counter is not None for cap in self.caps)
        """Whether what it gives is limited beyond the transaction, so that room is set aside for it."""
        self.worth: Worth | None = worth(rule.effect)
        self.bands = _bands(rule.effect)
        """Of a whole ladder: from where on what."""
        self.by_quantity = isinstance(rule.effect, Tiered) and rule.effect.by is By.QUANTITY
        self.of_left = isinstance(rule.effect, Percent) and rule.effect.basis is Basis.BEFORE
        """Whether it is worked out of what the rules before left."""


class CompiledGroup:
    """A group and its members of this plan, in order."""

    __slots__ = ("caps", "code", "codes", "exclusive", "group", "has_exclusive", "members", "mode")

    def __init__(self, group: Group, members: "list[CompiledGroup | PlannedRule]") -> None:
        self.group = group
        self.code = group.code
        self.mode = group.mode
        self.exclusive = group.exclusive
        self.caps = _compiled(group.caps, f"group:{group.code}")
        self.members = members
        self.has_exclusive = any(member.exclusive for member in members)
        self.codes: frozenset[str] = frozenset().union(
            *(member.codes if isinstance(member, CompiledGroup) else (member.rule.code,) for member in members)
        )
        """Its rules, those of groups within it too."""


class PlannedRule:
    """A rule that can matter to these goods at this place, and which of the goods are its own."""

    __slots__ = ("bundle_parts", "discounted", "exclusive", "goods", "groups", "rule", "takes_line")

    def __init__(
        self, rule: CompiledRule, goods: tuple[int, ...], bundle_parts: tuple[tuple[int, ...], ...], groups: tuple[str, ...], lines: int
    ) -> None:
        self.rule = rule
        self.exclusive = rule.rule.exclusive
        self.goods = goods
        self.bundle_parts = bundle_parts
        self.discounted = bundle_parts[-1] if bundle_parts else goods
        """The goods that it takes something off."""
        self.groups = groups
        """The group it stands in, then the one around that, up to the root."""
        self.takes_line = lines == 1 and not rule.is_grant and (rule.worth is not None or rule.bands is not None)
        """Whether it takes something off the basket's only line by itself."""


class Plan(NamedTuple):
    """The candidates of one place, card product, channel and list of goods, as they stand from `since` until `until`."""

    root: CompiledGroup
    rules: tuple[PlannedRule, ...]
    until: datetime | None
    since: datetime | None = None
    capped: tuple[CompiledGroup, ...] = ()
    """The groups with caps, inner ones first."""
    chooses: bool = False
    """Whether one rule that applies can keep another from applying."""
    rate_e4: int | None = None
    """The one rate per unit that all comes to, where nothing else can matter; None where more must be asked."""


class _Placed(NamedTuple):
    """A rule, where it may be met and when, its campaign's time taken into account."""

    rule: CompiledRule
    stations: frozenset[UUID] | None
    districts: frozenset[UUID] | None
    regions: frozenset[UUID] | None
    currency: str
    starts: datetime | None
    ends: datetime | None
    groups: tuple[str, ...]


_PlanKey = tuple[UUID, str, str, tuple[str, ...]]


class Book:
    """A compiled rulebook. `plan` is asked for every transaction and answers from memory."""

    def __init__(self, number: int, document: Document, names: Names, *, activates_at: datetime | None = None) -> None:
        self.number = number
        self.document = document
        self.activates_at = activates_at
        self._rules = [CompiledRule(rule, document.own_funders) for rule in document.rules if rule.enabled]
        self.rules = {rule.code: rule for rule in self._rules}
        self._groups = {group.code: group for group in document.groups}
        parts: tuple[Group | Rule, ...] = (*document.groups, *document.rules)
        self.names = {part.code: (part.name_zh, part.name_en) for part in parts}
        """Of groups and rules, and of tiers by `tier:CODE`: Chinese and English."""
        self.names |= {f"tier:{code}": words for code, words in names.tiers.items()}
        self.campaigns = {campaign.code: campaign for campaign in document.campaigns}
        self._plans: dict[_PlanKey, Plan] = {}
        self._frozen_plans: dict[_PlanKey, Plan] = {}
        self._order = self._tree()
        self._placed = [self._place(rule, names) for rule in self._rules]
        self.is_empty = not self._rules
        self.asks_customer = any(rule.asks_customer for rule in self._rules)
        """Whether the pump's read must fetch the customer's facts."""
        self._group_counters = {
            cap_id(f"group:{group.code}", cap.of, cap.per)
            for group in document.groups
            for cap in group.caps
            if cap.per is not Per.TRANSACTION
        }
        self._counters_at: dict[UUID, frozenset[UUID]] = {}
        self.counters = tuple(sorted(self._group_counters.union(*(_counters_of(rule) for rule in self._rules))))
        """All counters that a customer may have."""
        self.budgets = tuple(sorted({rule.budget for rule in self._rules if rule.budget is not None}))

    def counters_at(self, stations: Iterable[UUID]) -> list[UUID]:
        """Return the counters that a fill at any of these stations can ask for: of 200 rules, most are another station's."""
        found: set[UUID] = set()
        for station in stations:
            known = self._counters_at.get(station)
            if known is None:
                if len(self._counters_at) >= _PLANS_MAX:
                    self._counters_at.clear()
                here = [_counters_of(placed.rule) for placed in self._placed if placed.stations is None or station in placed.stations]
                known = self._counters_at[station] = frozenset(self._group_counters.union(*here))
            found |= known
        return list(found)

    def plan(self, where: Where, card_product: str, basket: Basket, now: datetime) -> Plan:
        """Return the candidates for a basket at a place."""
        goods = basket.goods
        products = (goods[0].product,) if len(goods) == 1 else tuple([line.product for line in goods])
        key = (where.station_id, card_product, basket.channel.value, products)
        known = self._plans.get(key)
        if known is not None and (known.until is None or now < known.until) and (known.since is None or known.since <= now):
            return known
        return self._keep(self._plans, key, self._made(where, card_product, basket, now))

    def plan_frozen(self, where: Where, card_product: str, basket: Basket) -> Plan:
        """Return the candidates whatever their time: an authorisation keeps a rule that has ended since."""
        key = (where.station_id, card_product, basket.channel.value, tuple([line.product for line in basket.goods]))
        known = self._frozen_plans.get(key)
        return known or self._keep(self._frozen_plans, key, self._made(where, card_product, basket, None))

    @staticmethod
    def _keep(plans: dict[_PlanKey, Plan], key: _PlanKey, plan: Plan) -> Plan:
        if len(plans) >= _PLANS_MAX:
            plans.clear()
        plans[key] = plan
        return plan

    def forget_plans(self) -> None:
        """Make every plan anew when it is next asked for."""
        self._plans.clear()
        self._frozen_plans.clear()

    def _made(self, where: Where, card_product: str, basket: Basket, now: datetime | None) -> Plan:
        planned: dict[str, PlannedRule] = {}
        later: list[datetime] = []
        sooner: list[datetime] = []
        for placed in self._placed:
            if not _is_met(placed, where, card_product, basket.channel):
                continue
            rule = placed.rule
            if now is not None:
                instants = [instant for instant in (placed.starts, placed.ends) if instant is not None]
                later += [instant for instant in instants if instant > now]
                sooner += [instant for instant in instants if instant <= now]
                if (placed.starts is not None and now < placed.starts) or (placed.ends is not None and placed.ends <= now):
                    continue
            goods = tuple(place for place, line in enumerate(basket.goods) if _in_scope(rule.when, line))
            if goods:
                planned[rule.code] = PlannedRule(rule, goods, _bundle_parts(rule, basket.goods), placed.groups, len(basket.goods))
        root = self._grown(ROOT, planned)
        assert root is not None, "the root is always there"
        rules = tuple(planned[rule.code] for rule in self._rules if rule.code in planned)
        capped = tuple(_capped(root))
        rate = None if capped else _rate(rules)
        return Plan(root, rules, min(later, default=None), max(sooner, default=None), capped, _chooses(root), rate)

    def _place(self, rule: CompiledRule, names: Names) -> _Placed:
        when = rule.when
        starts, ends = self._validity(rule.rule)
        return _Placed(
            rule,
            _ids(when.stations, names.stations),
            _ids(when.districts, names.districts),
            _ids(when.regions, names.regions),
            rule.rule.currency or self.document.currency,
            starts,
            ends,
            self._around(rule.rule.group),
        )

    def _around(self, code: str) -> tuple[str, ...]:
        """Return a group and those around it, the root last; what names an unknown group stands in the root."""
        found: list[str] = []
        while code in self._groups and code != ROOT and code not in found:
            found.append(code)
            code = self._groups[code].group
        return (*found, ROOT)

    def _validity(self, rule: Rule) -> tuple[datetime | None, datetime | None]:
        """Return a rule's time, its campaign's taken into account."""
        campaign = None if rule.campaign is None else self.campaigns.get(rule.campaign)
        if campaign is None:
            return rule.starts_at, rule.ends_at
        starts = [instant for instant in (rule.starts_at, campaign.starts_at) if instant is not None]
        ends = [instant for instant in (rule.ends_at, campaign.ends_at) if instant is not None]
        return max(starts, default=None), min(ends, default=None)

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


EMPTY_BOOK: Final = Book(0, Document(), Names({}, {}, {}))
"""Before the first rulebook."""


def _counters_of(rule: CompiledRule) -> set[UUID]:
    own = {cap.counter for cap in rule.caps if cap.counter is not None}
    return own if rule.nth_counter is None else own | {rule.nth_counter}


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
    return isinstance(rule.effect, Tiered | Bundle) or any(bound is not None for bound in _thresholds(rule.when))


def _thresholds(when: When) -> tuple[int | None, ...]:
    return when.least_quantity_milli, when.most_quantity_milli, when.least_minor, when.most_minor


def _bands(effect: Effect) -> tuple[tuple[int, Worth], ...] | None:
    if isinstance(effect, Tiered) and effect.ladder is Ladder.WHOLE:
        return tuple((band.starts, band_worth(band)) for band in effect.bands)
    return None


def _asked_of_time(when: When) -> tuple[object, ...]:
    return when.weekdays, when.month_days, when.hours


def _compiled(caps: Sequence[Cap], code: str) -> tuple[CompiledCap, ...]:
    """Return caps with their counters' ids; those of one window and subject are one, the tighter bound of each."""
    merged: dict[tuple[Per, Of], CompiledCap] = {}
    for cap in caps:
        key = (cap.per, cap.of)
        known = merged.get(key)
        counter = None if cap.per is Per.TRANSACTION else cap_id(code, cap.of, cap.per)
        amount = _tighter(cap.amount, None if known is None else known.amount)
        times = _tighter(cap.count, None if known is None else known.times)
        merged[key] = CompiledCap(cap.per, cap.of, amount, times, counter)
    return tuple(merged.values())


def _tighter(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def _ids(codes: Sequence[str], names: Mapping[str, UUID]) -> frozenset[UUID] | None:
    """Return what codes stand for; None where none is named, so that it does not matter."""
    return frozenset(names[code] for code in codes if code in names) if codes else None


def _is_met(placed: _Placed, where: Where, card_product: str, channel: Channel) -> bool:
    when = placed.rule.when
    return (
        (placed.stations is None or where.station_id in placed.stations)
        and (placed.districts is None or where.district_id in placed.districts)
        and (placed.regions is None or where.region_id in placed.regions)
        and placed.currency == where.currency
        and (not when.card_products or card_product in when.card_products)
        and (channel in when.channels if when.channels else channel is not Channel.TOPUP)
    )


def _capped(group: CompiledGroup) -> list[CompiledGroup]:
    """Return the groups with caps, inner ones first."""
    found = [inner for member in group.members if isinstance(member, CompiledGroup) for inner in _capped(member)]
    return [*found, group] if group.caps else found


def _chooses(group: CompiledGroup) -> bool:
    if group.mode is not Mode.STACK and len(group.members) > 1:
        return True
    return any(member.exclusive or (isinstance(member, CompiledGroup) and _chooses(member)) for member in group.members)


def _in_scope(when: When, goods: Goods) -> bool:
    if _is_excluded(when, goods):
        return False
    if not when.products and not when.categories:
        return True
    return goods.product in when.products or not goods.tags.isdisjoint(when.categories)


def _is_excluded(when: When, goods: Goods) -> bool:
    return goods.product in when.excluded_products or not goods.tags.isdisjoint(when.excluded_categories)


def _bundle_parts(rule: CompiledRule, goods: Sequence[Goods]) -> tuple[tuple[int, ...], ...]:
    """Return the goods that fit each part of a bundle; what the rule excludes fits none."""
    if not isinstance(rule.effect, Bundle):
        return ()
    return tuple(
        tuple(
            place
            for place, line in enumerate(goods)
            if not _is_excluded(rule.when, line)
            and (line.product in part.products or not line.tags.isdisjoint(part.categories) or not (part.products or part.categories))
        )
        for part in rule.effect.parts
    )


def _rate(rules: Sequence[PlannedRule]) -> int | None:
    """Return the one rate per unit that rules come to: nothing but one per-unit rule without conditions, or nothing."""
    if not rules:
        return 0
    if len(rules) > 1:
        return None
    only = rules[0].rule
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
