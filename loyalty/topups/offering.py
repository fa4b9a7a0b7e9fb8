"""What the rules say of a top-up: a basket of one line, what it earns, and what is missing for more. Pure."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from loyalty.authorizations.offering import documents, others, told
from loyalty.authorizations.wire import Benefit, Other
from loyalty.clock import day_bounds
from loyalty.ids import NOBODY
from loyalty.money import shown
from loyalty.pricing.basket import TOPUP_GOODS, Basket, Goods, Moment, Person, Where
from loyalty.pricing.bounding import Question, subject_of
from loyalty.pricing.compiling import Book, CompiledCap, CompiledRule, Plan
from loyalty.pricing.conditions import Miss, window_start
from loyalty.pricing.document import Basis, Bonus, By, Channel, Several, Tiered
from loyalty.pricing.evaluating import Outcome, all_counts, budget_uses, evaluate
from loyalty.pricing.freezing import BudgetUse
from loyalty.pricing.running import Missed

from .model import PAYS_AS, Tender, Topup

OFFICE: Final = "office"
"""Stands for the station where no station took the money."""
SHARE: Final = 0
"""The share of budgets that cold operations draw on."""
DISCOUNT: Final = "discount"
BONUS: Final = "bonus"
_TAGS: Final = frozenset({TOPUP_GOODS})
_NEXT_MAX: Final = 3
_STEPS_MAX: Final = 12


class Asked(NamedTuple):
    """The rules as one top-up meets them: nothing of it depends on the amount."""

    book: Book
    plan: Plan
    where: Where
    person: Person
    moment: Moment
    tender: Tender
    flyers: tuple[str, ...] = ()


def goods_of(amount_minor: int) -> tuple[Goods, ...]:
    """Return a top-up's one line: money, which has neither quantity nor price."""
    return (Goods(TOPUP_GOODS, _TAGS, 0, 0, amount_minor),)


def basket_of(amount_minor: int, tender: Tender, flyers: tuple[str, ...] = ()) -> Basket:
    """Return a top-up as the rules look at it."""
    return Basket(goods_of(amount_minor), Channel.TOPUP, (PAYS_AS[tender],), flyers)


def counter_keys(asked: Asked) -> set[tuple[UUID, UUID, date]]:
    """Return the counters that bear on a top-up: whose, which, and the first day of its window."""
    day, person = asked.moment.local.date(), asked.person
    keys: set[tuple[UUID, UUID, date]] = set()
    caps: list[CompiledCap] = [cap for planned in asked.plan.rules for cap in planned.rule.caps]
    caps += [cap for group in asked.plan.capped for cap in group.caps]
    for cap in caps:
        subject = subject_of(person, cap.of)
        if cap.counter is not None and subject is not None:
            keys.add((subject, cap.counter, window_start(cap.per, day)))
    for planned in asked.plan.rules:
        nth = planned.rule.when.nth
        subject = None if nth is None else subject_of(person, nth.of)
        if nth is not None and subject is not None and planned.rule.nth_counter is not None:
            keys.add((subject, planned.rule.nth_counter, window_start(nth.per, day)))
    return keys


def budgets_of(plan: Plan) -> list[UUID]:
    """Return the budgets that a top-up may draw on."""
    return sorted({planned.rule.budget for planned in plan.rules if planned.rule.budget is not None})


def decide(asked: Asked, amount_minor: int, free: Mapping[UUID, int]) -> Outcome:
    """Say what a top-up of so much earns; `free` is what the budgets still have.

    A bank transfer brings what was sent, so nothing can be paid less: a discount is told as not for this tender.
    """
    off = frozenset(
        planned.rule.code for planned in asked.plan.rules if asked.tender is Tender.BANK_TRANSFER and planned.rule.kind == DISCOUNT
    )
    basket = basket_of(amount_minor, asked.tender, asked.flyers)
    question = Question(asked.book, asked.where, basket, asked.person, asked.moment, budgets=free, without=off)
    outcome = evaluate(question, asked.plan)
    if off:
        by_transfer = Miss("tender", "", PAYS_AS[Tender.BANK_TRANSFER])
        outcome.missed = [Missed(one.rule, by_transfer) if one.miss.why == "disabled" else one for one in outcome.missed]
    return outcome


def bonus_of(outcome: Outcome) -> int:
    """Return the bonus money of all rules together, minor units."""
    return sum(one.given for one in outcome.applied if one.rule.kind == BONUS)


def uses_of(outcome: Outcome) -> list[BudgetUse]:
    """Return what a top-up takes of budgets: at once, since nothing of it waits for a completion."""
    return [BudgetUse(budget, SHARE, 0, given) for budget, given in sorted(budget_uses(outcome).items())]


def detail_of(asked: Asked, outcome: Outcome, station_id: UUID | None, zone: str) -> dict[str, Any] | None:
    """Return what a top-up keeps, in the form of a sale's, and why the other candidates did not apply; None where there were none.

    Bonus money carries the end of its lot: the end of the station's day, so many days after this one.
    """
    missed = others(outcome, asked.where.currency, asked.book.names)
    detail: dict[str, Any] = documents(outcome, station_id or NOBODY, SHARE, all_counts(outcome))
    if not detail and missed is None:
        return None
    if not detail:
        detail = {"book": outcome.book, "benefits": []}
    for benefit, one in zip(detail["benefits"], outcome.applied, strict=True):
        benefit["funders"] = [[OFFICE if name == f"station:{NOBODY}" else name, amount] for name, amount in benefit["funders"]]
        effect = one.rule.effect
        if isinstance(effect, Bonus):
            ends = None
            if effect.expires_days is not None:
                ends = day_bounds(asked.moment.local.date() + timedelta(days=effect.expires_days), zone)[1].isoformat()
            benefit["expires_at"] = ends
            if effect.spend is not None:
                benefit["spend"] = msgspec.to_builtins(effect.spend)
    if missed is not None:
        detail["others"] = msgspec.to_builtins(missed)
    return detail


def benefits_of(topup: Topup) -> list[Benefit] | None:
    """Return what a booked top-up was given, as answers tell it."""
    return [
        Benefit(
            rule=one["rule"],
            revision=one["revision"],
            kind=one["kind"],
            amount=one["given"],
            base_minor=one["base_minor"],
            wanted=one["wanted"] if one["wanted"] != one["given"] else 0,
            name_zh=one["name_zh"],
            name_en=one["name_en"],
            item=one.get("item"),
        )
        for one in (topup.detail or {}).get("benefits", ())
    ] or None


def others_of(topup: Topup) -> list[Other] | None:
    """Return why the other candidates did not apply when it was booked."""
    return msgspec.convert((topup.detail or {}).get("others", ()), list[Other]) or None


def expiry_of(benefit: Mapping[str, Any]) -> datetime | None:
    """Return when a bonus' lot ends."""
    ends = benefit.get("expires_at")
    return None if ends is None else datetime.fromisoformat(ends)


class Gain(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a rule would give at a larger amount, in all; `now` is what it gives already."""

    rule: str
    kind: str
    amount: int
    now: int = 0
    name_zh: str
    name_en: str
    item: str | None = None


class NextStep(msgspec.Struct, frozen=True, kw_only=True):
    """So much more, and what that is worth: in words a cashier reads out."""

    more_minor: int
    amount_minor: int
    gains: list[Gain]
    zh: str
    en: str


class TopupQuote(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a top-up of so much would give here and now; nothing is held, so a budget's last remainder may be another's."""

    amount_minor: int
    pays_minor: int
    discount_minor: int = 0
    bonus_minor: int = 0
    currency: str
    benefits: list[Benefit] = []
    others: list[Other] = []
    next: list[NextStep] = []
    at_confirmation: bool = False
    """A bank transfer: what it earns is decided when finance confirms it, by the rules of that day."""


def quoted(asked: Asked, amount_minor: int, free: Mapping[UUID, int], *, currency: str, most_minor: int | None) -> TopupQuote:
    """Say what a top-up would give, why not more, and what is missing for the next bands up to `most_minor`."""
    outcome = decide(asked, amount_minor, free)
    return TopupQuote(
        amount_minor=amount_minor,
        pays_minor=amount_minor - outcome.discount_minor,
        discount_minor=outcome.discount_minor,
        bonus_minor=bonus_of(outcome),
        currency=currency,
        benefits=told(outcome) or [],
        others=others(outcome, currency, asked.book.names) or [],
        next=next_steps(asked, amount_minor, free, currency=currency, most_minor=most_minor),
        at_confirmation=asked.tender is Tender.BANK_TRANSFER,
    )


def next_steps(asked: Asked, amount_minor: int, free: Mapping[UUID, int], *, currency: str, most_minor: int | None) -> list[NextStep]:
    """Return the nearest larger amounts at which a band or threshold of a rule begins, and gives more than one minor unit less would."""
    now = _given(decide(asked, amount_minor, free))
    steps: list[NextStep] = []
    for amount, begun in sorted(_edges(asked, amount_minor, free).items()):
        if most_minor is not None and amount > most_minor:
            break
        at, below = decide(asked, amount, free), _given(decide(asked, amount - 1, free))
        gains = [
            Gain(
                rule=one.rule.code,
                kind=one.rule.kind,
                amount=one.given,
                now=now.get(one.rule.code, 0),
                name_zh=one.rule.rule.name_zh,
                name_en=one.rule.rule.name_en,
                item=one.rule.gives,
            )
            for one in at.applied
            if one.rule.code in begun and one.given > max(below.get(one.rule.code, 0), now.get(one.rule.code, 0))
        ]
        if gains:
            steps.append(_step(amount - amount_minor, amount, gains, currency))
        if len(steps) == _NEXT_MAX:
            break
    return steps


def _given(outcome: Outcome) -> dict[str, int]:
    return {one.rule.code: one.given for one in outcome.applied}


def _edges(asked: Asked, amount_minor: int, free: Mapping[UUID, int]) -> dict[int, set[str]]:
    """Return the amounts above this one at which rules begin to give, or give more at once, and which do."""
    edges: dict[int, set[str]] = {}
    paid = amount_minor - decide(asked, amount_minor, free).discount_minor
    for planned in asked.plan.rules:
        of_load, of_paid = _starts(planned.rule, paid)
        starts = of_load | {_loaded_for(asked, start, free) for start in of_paid if start > paid}
        for start in starts:
            if start > amount_minor:
                edges.setdefault(start, set()).add(planned.rule.code)
    return edges


def _starts(rule: CompiledRule, paid_minor: int) -> tuple[set[int], set[int]]:
    """Return from which loads, and from which payments, a rule gives more at once; with discounts less is paid than loaded."""
    of_load: set[int] = set()
    of_paid: set[int] = set()
    (of_load if rule.when.basis is Basis.INITIAL else of_paid).add(rule.when.least_minor or 0)
    effect = rule.effect
    if isinstance(effect, Tiered) and effect.by is By.AMOUNT:
        of_load.update(band.starts for band in effect.bands)
    if isinstance(effect, Bonus):
        of_paid.update(band.starts for band in effect.bands)
        if effect.several is Several.REPEAT:
            of_paid.update((paid_minor // band.starts + 1) * band.starts for band in effect.bands if band.starts)
    return of_load, of_paid


def _loaded_for(asked: Asked, paid_minor: int, free: Mapping[UUID, int]) -> int:
    """Return the load of which so much is paid: what is taken off comes on top, and more may be taken off that."""
    amount = paid_minor
    for _ in range(_STEPS_MAX):
        needed = paid_minor + decide(asked, amount, free).discount_minor
        if needed == amount:
            break
        amount = needed
    return amount


_KINDS: Final = {
    DISCOUNT: ("立减", "off"),
    BONUS: ("赠送", "bonus"),
    "points": ("积分", "points"),
    "gift": ("礼品", "gift"),
    "voucher": ("券", "voucher"),
    "wash": ("免费洗车", "free wash"),
}


def _step(more_minor: int, amount_minor: int, gains: list[Gain], currency: str) -> NextStep:
    zh = "、".join(f"{_worth(gain, currency)[0]}（{gain.name_zh}）" for gain in gains)
    en = ", ".join(f"{_worth(gain, currency)[1]} ({gain.name_en})" for gain in gains)
    more = shown(more_minor, currency)
    return NextStep(more_minor=more_minor, amount_minor=amount_minor, gains=gains, zh=f"再充 {more}：{zh}", en=f"{more} more: {en}")


def _worth(gain: Gain, currency: str) -> tuple[str, str]:
    zh, en = _KINDS.get(gain.kind, ("", gain.kind))
    if gain.kind in {DISCOUNT, BONUS}:
        return f"{zh} {shown(gain.amount, currency)}", f"{shown(gain.amount, currency)} {en}"
    if gain.kind == "points":
        return f"{gain.amount} {zh}", f"{gain.amount} {en}"
    return f"{zh} × {gain.amount}", f"{gain.amount} × {en}"
