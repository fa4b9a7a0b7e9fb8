"""Whether a rule's conditions are met, and if not, which one and by how much. Pure; the first that fails is the reason."""

import zlib
from datetime import date, datetime, timedelta
from typing import NamedTuple

from .basket import Basket, Moment, Person
from .compiling import CompiledRule
from .document import Birthday, Campaign, Nth, Of, Per, When

EVER = date(1, 1, 1)


class Miss(NamedTuple):
    """Why a candidate does not apply: a stable code, and what is needed and there (money, thousandths, days, or text)."""

    why: str
    need: int | str | None = None
    have: int | str | None = None


def window_start(per: Per, day: date) -> date:
    """Return the first day of the window that holds a station-local day; 0001-01-01 for ever."""
    if per is Per.DAY:
        return day
    if per is Per.WEEK:
        return day - timedelta(days=day.weekday())
    if per is Per.MONTH:
        return day.replace(day=1)
    return EVER


def unmet(rule: CompiledRule, basket: Basket, person: Person, moment: Moment, campaign: Campaign | None) -> Miss | None:
    """Return the first condition on time, customer, tender or count that is not met; thresholds are asked in the rule's turn."""
    when = rule.when
    missed = _time(when, moment.local) if rule.asks_time else None
    if missed is None and rule.asks_customer:
        missed = _customer(when, person, basket, moment) or _held_out(person, campaign)
    if missed is None and rule.kind == "points" and not person.earns_points:
        missed = Miss("bearer")
    if missed is not None or not rule.asks_else:
        return missed
    if when.account_kinds and person.account_kind not in when.account_kinds:
        missed = Miss("account_kind", " ".join(when.account_kinds), person.account_kind)
    if missed is None and when.tenders:
        other = next((tender for tender in basket.tenders if tender not in when.tenders), None)
        missed = None if other is None else Miss("tender", " ".join(when.tenders), other)
    if missed is None and when.nth is not None:
        missed = _nth(rule, when.nth, person, moment)
    return missed


def _time(when: When, local: datetime) -> Miss | None:
    if when.weekdays and local.isoweekday() not in when.weekdays:
        return Miss("weekday", " ".join(map(str, when.weekdays)), local.isoweekday())
    if when.month_days and local.day not in when.month_days:
        return Miss("month_day", " ".join(map(str, when.month_days)), local.day)
    if when.hours:
        clock = f"{local.hour:02}:{local.minute:02}"
        if not any(
            part.starts <= clock < part.ends if part.starts < part.ends else clock >= part.starts or clock < part.ends
            for part in when.hours
        ):
            return Miss("hours", " ".join(f"{part.starts}-{part.ends}" for part in when.hours), clock)
    return None


def _customer(when: When, person: Person, basket: Basket, moment: Moment) -> Miss | None:
    if when.customers and person.customer_id not in when.customers:
        return Miss("customer")
    if when.tiers and person.tier not in when.tiers:
        return Miss("tier", " ".join(when.tiers), person.tier)
    if when.segments and person.segment not in when.segments:
        return Miss("segment", " ".join(when.segments), person.segment)
    if when.flyers and person.flyer not in when.flyers and not any(code in when.flyers for code in basket.flyers):
        return Miss("flyer", " ".join(when.flyers))
    if when.birthday is not None and not near_birthday(when.birthday, person.birthday, moment.local.date()):
        return Miss("birthday")
    if when.joined_within_days and not _within(person.opened_at, when.joined_within_days, moment):
        return Miss("joined", when.joined_within_days)
    if when.converted_within_days and not _within(person.registered_at, when.converted_within_days, moment):
        return Miss("converted", when.converted_within_days)
    return None


def near_birthday(rule: Birthday, birthday: date | None, today: date) -> bool:
    """Say whether today is within the rule's days around the birthday; 29 February is the 28th in a common year."""
    if birthday is None:
        return False
    if rule.month:
        return birthday.month == today.month
    # A birthday at the turn of the year may lie in the year before or after.
    return any(-rule.days_before <= (today - birthday_in(birthday, today.year + shift)).days <= rule.days_after for shift in (-1, 0, 1))


def birthday_in(birthday: date, year: int) -> date:
    """Return the birthday's day of a year."""
    try:
        return birthday.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def _within(since: datetime | None, days: int, moment: Moment) -> bool:
    return since is not None and moment.local.date() - since.astimezone(moment.local.tzinfo).date() < timedelta(days=days)


def _held_out(person: Person, campaign: Campaign | None) -> Miss | None:
    if campaign is None or not campaign.hold_out_basis_points:
        return None
    return Miss("hold_out") if is_held_out(person, campaign) else None


def is_held_out(person: Person, campaign: Campaign) -> bool:
    """Say whether a customer is of the campaign's hold-out group: by a fixed hash, so that the draw can be repeated anywhere."""
    subject = person.customer_id or person.account_id
    return zlib.crc32(subject.bytes + campaign.code.encode()) % 10_000 < campaign.hold_out_basis_points


def _nth(rule: CompiledRule, nth: Nth, person: Person, moment: Moment) -> Miss | None:
    assert rule.nth_counter is not None, "made with the rule"
    if nth.of is Of.CUSTOMER and person.customer_id is None:
        return Miss("unregistered")
    had = person.had.get((rule.nth_counter, window_start(nth.per, moment.local.date())), (0, 0))[1]
    this = had + 1
    if this % nth.count == 0 if nth.every else this == nth.count:
        return None
    return Miss("nth", nth.count, this)
