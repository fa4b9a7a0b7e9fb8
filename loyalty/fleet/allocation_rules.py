"""Decisions about allocation: plain values in, plain values out. Amounts are minor units, litres thousandths."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from loyalty.fleet.model import Ownership, UnusedMode
from loyalty.fleet.model_allocations import REQUEST_MOVES, RUN_MOVES, RequestStatus, RunStatus
from loyalty.money import line_amount, minor_digits
from loyalty.workdays import Calendar, moved


class Span(NamedTuple):
    """A company's period, days of its calendar, `[first, end)`."""

    first: date
    end: date


def month_on(day: date, shift: int) -> date:
    """Return the same day of the month some months on or back (days up to 28 only)."""
    index = day.year * 12 + day.month - 1 + shift
    return date(index // 12, index % 12 + 1, day.day)


def span_of(day: date, *, period_day: int) -> Span:
    """Return the period that a day belongs to: with 26, the 26th to the 25th of the next month."""
    first = day.replace(day=period_day)
    if first > day:
        first = month_on(first, -1)
    return Span(first, month_on(first, 1))


def before(span: Span) -> Span:
    """Return the period before."""
    return Span(month_on(span.first, -1), span.first)


def after(span: Span) -> Span:
    """Return the next period."""
    return Span(span.end, month_on(span.end, 1))


def instants(span: Span, zone: str) -> tuple[datetime, datetime]:
    """Return a period's half-open instants in the company's zone."""
    tz = ZoneInfo(zone)
    return tuple(datetime.combine(day, time(), tzinfo=tz).astimezone(UTC) for day in span)  # type: ignore[return-value]


def due_day(span: Span, *, check_day: int) -> date:
    """Return the day on which requests for a period are due to be checked: the last such day of a month up to its beginning."""
    day = span.first.replace(day=check_day)
    return day if day <= span.first else month_on(day, -1)


def check_on(span: Span, *, check_day: int, mode: str, calendar: Calendar) -> date:
    """Return the workday on which they are checked (domain notes, company fuel rules).

    :raises YearNotCovered: if the calendar of that year is missing
    """
    return moved(due_day(span, check_day=check_day), mode, calendar)


def coming(today: date, *, period_day: int, check_day: int) -> Span:
    """Return the period that people work on: the present one until ten days before the next one's requests are due."""
    present = span_of(today, period_day=period_day)
    following = after(present)
    return following if today >= due_day(following, check_day=check_day) - timedelta(days=10) else present


def sources(to: RequestStatus) -> list[RequestStatus]:
    """Return the statuses from which a request may move to `to`."""
    return [status for status, leads in REQUEST_MOVES.items() if to in leads]


def run_sources(to: RunStatus) -> list[RunStatus]:
    """Return the statuses from which a run may move to `to`."""
    return [status for status, leads in RUN_MOVES.items() if to in leads]


class Rate(NamedTuple):
    """A line of a company's table: what a class of vehicles gets."""

    vehicle_type: str
    from_ml: int
    below_ml: int | None
    quantity_milli: int | None
    amount_minor: int | None
    factor_percent: int | None


class Consumer(NamedTuple):
    """What a proposal is made of: the card's vehicle and what it used in the last period."""

    vehicle_type: str | None
    displacement_ml: int | None
    ownership: Ownership | None
    fixed_amount_minor: int | None
    fills: int
    quantity_milli: int
    unit_price_e4: int | None
    """What a litre cost it, or what it costs the company; None: nobody knows."""


class Proposal(NamedTuple):
    """A card's amount, and what it was made of."""

    amount_minor: int
    basis: dict[str, Any]


def rate_for(rates: Iterable[Rate], *, vehicle_type: str | None, displacement_ml: int | None) -> Rate | None:
    """Return the line for a vehicle: of its own type before the line for any, of the narrower band first."""
    size = displacement_ml or 0
    fitting = [
        rate
        for rate in rates
        if rate.vehicle_type in {vehicle_type, ""} and rate.from_ml <= size and (rate.below_ml is None or size < rate.below_ml)
    ]
    return min(fitting, key=lambda rate: (rate.vehicle_type == "", -rate.from_ml), default=None)


def propose(consumer: Consumer, rates: Sequence[Rate], *, currency: str) -> Proposal:
    """Size a card's month by vehicle type, displacement and last period's litres.

    A private vehicle has its fixed amount. The class's figure is a ceiling where its line has a factor: last period's litres times the
    factor, never more than the class. Without a line, last period's litres. Whole units of the currency, rounded up.
    """
    if consumer.ownership is Ownership.PRIVATE and consumer.fixed_amount_minor is not None:
        return Proposal(consumer.fixed_amount_minor, {"by": "fixed"})
    basis: dict[str, Any] = {"fills": consumer.fills, "last_milli": consumer.quantity_milli, "price_e4": consumer.unit_price_e4}
    rate = rate_for(rates, vehicle_type=consumer.vehicle_type, displacement_ml=consumer.displacement_ml)
    digits = minor_digits(currency)

    def worth(quantity_milli: int) -> int:
        return line_amount(quantity_milli, consumer.unit_price_e4 or 0, digits)

    used = consumer.quantity_milli if consumer.fills else None
    if rate is None:
        return Proposal(_whole(worth(used or 0), digits), basis | {"by": "last"})
    basis |= {
        "class": rate.vehicle_type,
        "class_milli": rate.quantity_milli,
        "class_minor": rate.amount_minor,
        "factor": rate.factor_percent,
    }
    ceiling = rate.amount_minor if rate.amount_minor is not None else worth(rate.quantity_milli or 0)
    if rate.factor_percent is None or used is None:
        return Proposal(_whole(ceiling, digits), basis | {"by": "class"})
    need = worth(used * rate.factor_percent // 100)
    return Proposal(min(_whole(need, digits), ceiling), basis | {"by": "last" if need < ceiling else "class"})


def _whole(amount_minor: int, digits: int) -> int:
    unit: int = 10**digits
    return -(-amount_minor // unit) * unit


class Facts(NamedTuple):
    """What a check looks at."""

    has_card: bool
    """The chain has a card that may be loaded."""
    vehicle_closed: bool
    has_vehicle: bool
    is_new: bool
    """Bound within the last period or after it: it cannot have that period's records."""
    fills: int
    odometer_read: bool
    wanted_minor: int


def check(facts: Facts, *, needs_records: bool, needs_odometer: bool) -> list[str]:
    """Say why a request cannot be approved, as codes; nothing: it can (domain notes: no allocation without records and odometer)."""
    found = {
        "card_stopped": not facts.has_card,
        "vehicle_closed": facts.vehicle_closed,
        "nothing_wanted": facts.wanted_minor <= 0,
        "no_records": needs_records and not facts.is_new and not facts.fills,
        "no_odometer": needs_odometer and facts.has_vehicle and not facts.is_new and not facts.odometer_read,
    }
    return [code for code, holds in found.items() if holds]


class Loading(NamedTuple):
    """What one line moves: first back to the pool, then to the card; a code where it cannot."""

    gathered_minor: int
    loaded_minor: int
    refused: str | None
    note: str | None = None


def decide_line(
    *, amount_minor: int, unused: UnusedMode, free_minor: int, balance_minor: int, pool_minor: int, cap_minor: int | None
) -> Loading:
    """Decide one line on the purses as they are.

    :param free_minor: what of the card's money is not held
    :param balance_minor: the card's money, holds included: the cap looks at it
    :param pool_minor: what the pool may still give
    """
    gathered = max(free_minor, 0) if unused is UnusedMode.GATHERED else 0
    loaded = max(amount_minor - max(free_minor, 0), 0) if unused is UnusedMode.CAPPED else amount_minor
    if cap_minor is not None and balance_minor - gathered + loaded > cap_minor:
        return Loading(0, 0, "over_cap")
    if loaded > pool_minor + gathered:
        return Loading(0, 0, "insufficient_funds")
    return Loading(gathered, loaded, None, "full_already" if not loaded else None)
