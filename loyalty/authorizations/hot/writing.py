"""From decisions to the parameters of the write: one array of records for each kind of row.

Of a record the driver does not ask each value whether it is a list, and each statement of the write reads only what it needs.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from loyalty.authorizations.decision import Decision, Write
from loyalty.authorizations.model import Status
from loyalty.authorizations.snapshot import Snapshot
from loyalty.ids import uuid7

from .requests import HotRequest

CARD, ORIGINAL, PURSE, COUNTER, REFERENCE, ANSWERED, BENEFIT, BUDGET, LEVEL, DRIVER = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
"""What the write says is not as it was read; `ANSWERED`: a key that was used before."""

_AUTHORIZATION: Final = int(Write.AUTHORIZATION)
_RELEASE: Final = int(Write.RELEASE)
_COMPLETION: Final = int(Write.COMPLETION)
_OVERDUE: Final = frozenset({int(Status.PART_COMPLETED), int(Status.UNRESOLVED)})
_UNSEEN: Final = (None, None)
_UNUSED: Final = (0, 0)
_json: Final = msgspec.json.Encoder().encode


def _document(value: dict[str, Any] | None) -> str | None:
    return None if value is None else _json(value).decode()


def _unless(instant: datetime | None, common: datetime | None) -> datetime | None:
    """Return an instant, None where it is the whole batch's: the function knows that one."""
    return None if instant is common else instant


def _joined(bound: int | None, change: int, most: int | None) -> int | None:
    """Return how far a level's row may go with one more change: a bounded one saw what came before it, an unbounded one may pass it."""
    if bound is None or most is None:
        return most if bound is None else bound + change
    return min(bound, most)


class Batch:
    """The parameters of one write, and whose each row is."""

    __slots__ = (
        "_benefits",
        "_benefits_of",
        "_budgets",
        "_budgets_of",
        "_cards_of",
        "_counters",
        "_counters_of",
        "_drivers",
        "_drivers_of",
        "_expires",
        "_levels",
        "_levels_of",
        "_now",
        "_originals_of",
        "_purses",
        "_purses_of",
        "_rows",
        "_touched",
    )

    def __init__(self, now: datetime, decided: list[tuple[HotRequest, Decision]]) -> None:
        cards: list[tuple[Any, ...]] = []
        originals: list[tuple[Any, ...]] = []
        authorizations: list[tuple[Any, ...]] = []
        sales: list[tuple[Any, ...]] = []
        movements: list[tuple[Any, ...]] = []
        fills: list[tuple[Any, ...]] = []
        requests: list[tuple[Any, ...]] = []
        debts = [(made.account_id, made.new_receivable, made.currency) for _, made in decided if made.new_receivable is not None]
        self._rows = (cards, originals, debts, authorizations, sales, movements, fills, requests)
        self._purses: dict[UUID, list[Any]] = {}
        self._counters: dict[tuple[UUID, date], list[Any]] = {}
        self._levels: dict[tuple[UUID, int, date], list[Any]] = {}
        self._levels_of: dict[tuple[UUID, int, date], list[int]] = {}
        touched = 0
        self._now = now
        self._expires: datetime | None = None
        self._cards_of: list[int] = []
        self._originals_of: list[int] = []
        self._purses_of: dict[UUID, list[int]] = {}
        self._counters_of: dict[tuple[UUID, date], list[int]] = {}
        self._benefits: dict[tuple[UUID, UUID, int], list[Any]] = {}
        self._benefits_of: dict[tuple[UUID, UUID, int], list[int]] = {}
        self._drivers: dict[UUID, tuple[UUID, int, int, int | None]] = {}
        self._drivers_of: dict[UUID, list[int]] = {}
        self._budgets: dict[tuple[UUID, int], list[int]] = {}
        self._budgets_of: dict[tuple[UUID, int], list[int]] = {}
        for place, (request, made) in enumerate(decided):
            account, card, subject = made.account_id, made.card_id, made.subject_id
            if card is not None:
                self._cards_of.append(place)
                used = made.by_code and made.counted is not None
                touched += used or made.tries_new is not None
                cards.append((card, made.card_version, made.card_tries, made.tries_new, used))
            if made.authorization is not None:
                self._originals_of.append(place)
                originals.append(_original(made))
            self._sums(place, made)
            if made.fill_id is not None:
                fills.append((made.fill_id, account, subject))
            if made.write == _AUTHORIZATION:
                authorizations.append(self._authorization(request, made))
            elif made.write != _RELEASE:
                sales.append(_sale(request, made, now))
            if made.transfers:
                movements += _movements(made, now)
            requests.append(
                (
                    *(request.place.terminal_id, request.key, request.epoch, request.sequence, request.operation, account, subject),
                    *(request.fingerprint, request.record_hash, request.previous_hash, made.answer),
                )
            )
        self._touched = touched

    def _sums(self, place: int, made: Decision) -> None:
        """Add what this decision changes to what others of the batch change of the same rows."""
        if made.changes:
            self._change(place, made)
        if made.counted is not None and made.chain_id is not None:
            self._count(place, made, made.chain_id)
        if made.counts or made.budgets:
            self._benefit(place, made)
        if made.levels:
            self._level(place, made)
        if made.driver is not None:
            self._driver(place, made.driver)

    def _change(self, place: int, made: Decision) -> None:
        for change in made.changes:
            purse_id = change.purse_id
            known = self._purses.get(purse_id)
            if known is None:
                self._purses[purse_id] = [made.account_id, purse_id, change.held, change.balance, change.seen]
                self._purses_of[purse_id] = [place]
            else:
                known[2] += change.held
                known[3] += change.balance
                self._purses_of[purse_id].append(place)

    def _count(self, place: int, made: Decision, chain: UUID) -> None:
        assert made.counted is not None, "only what counts is counted"
        at = (chain, made.counter_day)
        known = self._counters.get(at)
        if known is None:
            event_at = _unless(made.event_at, self._now)
            self._counters[at] = [made.account_id, *at, *made.counted, event_at, *(made.counter_seen or _UNSEEN)]
            self._counters_of[at] = [place]
        else:
            for column, change in enumerate(made.counted, 3):
                known[column] += change
            known[6] = max(known[6] or self._now, made.event_at)
            self._counters_of[at].append(place)

    def _benefit(self, place: int, made: Decision) -> None:
        for subject, counter, start, amount, times, amount_max, times_max in made.counts:
            at = (subject, counter, start)
            known = self._benefits.get(at)
            if known is None:
                self._benefits[at] = [subject, counter, date.fromordinal(start), amount, times, amount_max, times_max]
                self._benefits_of[at] = [place]
            else:
                known[3] += amount
                known[4] += times
                self._benefits_of[at].append(place)
        for budget, share, reserved, used in made.budgets:
            own = (budget, share)
            changed = self._budgets.setdefault(own, [0, 0])
            changed[0] += reserved
            changed[1] += used
            self._budgets_of.setdefault(own, []).append(place)

    def _level(self, place: int, made: Decision) -> None:
        """Add up what the batch counts for a level; of how far its row may go the strictest word holds, for all of them together."""
        for one in made.levels:
            at = (one.subject_id, one.window, one.start)
            known = self._levels.get(at)
            if known is None:
                event_at = _unless(made.event_at, self._now)
                self._levels[at] = [made.account_id, *at, one.minor, one.milli, one.fills, event_at, *one[6:]]
                self._levels_of[at] = [place]
            else:
                for column, (change, most) in enumerate(zip(one[3:6], one[6:], strict=True), 4):
                    known[column] += change
                    known[column + 4] = _joined(known[column + 4], change, most)
                known[7] = max(known[7] or self._now, made.event_at)
                self._levels_of[at].append(place)

    def _driver(self, place: int, judged: tuple[UUID, int, int, int | None]) -> None:
        """Note a driver's PIN: of several in the batch the first saw the row, each later one what the one before made of it."""
        driver, generation, tries, tries_new = judged
        known = self._drivers.get(driver)
        if known is not None:
            generation, tries = known[1:3]
            tries_new = known[3] if tries_new is None else tries_new
        self._drivers[driver] = driver, generation, tries, tries_new
        self._drivers_of.setdefault(driver, []).append(place)

    def _authorization(self, request: HotRequest, made: Decision) -> tuple[Any, ...]:
        if self._expires is None:
            self._expires = made.expires_at
        changes = made.changes
        event_at = _unless(made.event_at, self._now)
        expires_at = _unless(made.expires_at, self._expires)
        return (
            *(made.account_id, made.subject_id, made.card_id, made.chain_id, request.place.terminal_id, made.station_id, made.status),
            *(made.reason, made.flow, made.nozzle, made.product_id, made.requested_minor, made.gross_minor, made.quantity_milli),
            *(made.unit_price_e4, [change.purse_id for change in changes], [change.held for change in changes]),
            *(made.frozen, _document(made.prompts), made.flags, event_at, expires_at, made.business_day),
        )

    def arguments(self, snapshot: Snapshot) -> list[Any]:
        """Return the parameters of `hot_book_v5` in their order; an empty array is none."""
        cards, originals, debts, authorizations, sales, movements, fills, requests = self._rows
        counters = list(map(tuple, self._counters.values()))
        seen = [counter[7:] for counter in counters if counter[8] is not None]
        unused = seen.count(_UNUSED)
        return [
            *(self._now, self._expires, snapshot.revisions, snapshot.period, cards or None, self._touched, originals or None),
            *(sum(original[2] in _OVERDUE for original in originals), debts or None, list(map(tuple, self._purses.values())) or None),
            *(counters or None, len(seen) - unused, unused, authorizations or None, sales or None),
            *(movements or None, fills or None, requests, list(map(tuple, self._benefits.values())) or None),
            [(*own, *changed) for own, changed in self._budgets.items()] or None,
            list(map(tuple, self._levels.values())) or None,
            list(self._drivers.values()) or None,
        ]

    def users(self, moved: Iterable[tuple[int, int]]) -> set[int]:
        """Say whose decisions do not hold, by the rows that are not as they were read."""
        found: set[int] = set()
        for kind, place in moved:
            if kind == CARD:
                found.add(self._cards_of[place - 1])
            elif kind == ORIGINAL:
                found.add(self._originals_of[place - 1])
            elif kind == PURSE:
                found.update(list(self._purses_of.values())[place - 1])
            elif kind == COUNTER:
                found.update(list(self._counters_of.values())[place - 1])
            elif kind == BENEFIT:
                found.update(list(self._benefits_of.values())[place - 1])
            elif kind == BUDGET:
                found.update(list(self._budgets_of.values())[place - 1])
            elif kind == LEVEL:
                found.update(list(self._levels_of.values())[place - 1])
            elif kind == DRIVER:
                found.update(list(self._drivers_of.values())[place - 1])
        return found


def _movements(made: Decision, now: datetime) -> list[tuple[Any, ...]]:
    account, unit = made.account_id, made.currency
    by = (made.subject_id, made.card_id, made.station_id, _unless(made.event_at, now))
    return [(account, uuid7(now), debit, credit, amount, unit, kind, *by) for debit, credit, amount, kind in made.transfers]


def _sale(request: HotRequest, made: Decision, now: datetime) -> tuple[Any, ...]:
    original = None if made.authorization is None else made.authorization[0]
    event_at = _unless(made.event_at, now)
    return (
        *(made.account_id, made.subject_id, original, made.card_id, made.chain_id, request.place.terminal_id, made.station_id),
        *(made.staff_id, made.flow, made.nozzle, made.product_id, made.quantity_milli, made.unit_price_e4, made.gross_minor),
        *(made.discount_minor, made.card_minor, made.currency, _document(made.detail), made.flags, made.fill_id, event_at),
        made.business_day,
    )


def _original(made: Decision) -> tuple[Any, ...]:
    assert made.authorization is not None, "only a completion has one"
    identifier, status, completions = made.authorization
    held = made.still_held
    return (
        *(made.account_id, identifier, status, completions, made.status, int(made.write == _COMPLETION), made.gross_minor),
        *(made.quantity_milli, made.flags, [take.purse_id for take in held], [take.amount_minor for take in held], made.frozen),
    )
