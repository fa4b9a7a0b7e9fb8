"""The engine: requests wait in a lane while a batch commits; what waits goes as the next batch.

A batch is two calls: one read, pure decisions, one write that commits. A reply leaves only after its batch's commit. There is one request a
card in a batch, in arrival order; several cards of one company share a batch, each deciding on what the one before left. What the write
calls *stale* is decided again, first in the next batch.
"""

import abc
import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, ClassVar, Final, Protocol
from uuid import UUID

import asyncpg

from loyalty.authorizations import hot_queries
from loyalty.authorizations.decision import Decision, applied
from loyalty.authorizations.model import Operation
from loyalty.authorizations.snapshot import Snapshot
from loyalty.authorizations.wire import SaleRequest
from loyalty.cores import OwnCore
from loyalty.db import crash_point, driver_dsn, outcome_is_unknown, server_settings
from loyalty.errors import OutcomeUnknown, Refusal
from loyalty.ledger.model import HouseCode
from loyalty.ledger.rules import PurseView, house_id
from loyalty.limits.levels import LevelCount
from loyalty.pricing.compiling import Book
from loyalty.pricing.operations.budgets import SHARES

from .requests import HotRequest, KeyReused, SequenceReused, TooBusy
from .writing import ANSWERED, REFERENCE, Batch

log = logging.getLogger(__name__)

MAX_BATCH: Final = 128
"""More is planned as nested loops that no longer pay (measured)."""
MAX_ATTEMPTS: Final = 20
"""How often what the database rolled back is tried again."""
BUSY_SECONDS: Final = 10.0
"""How long a request may be decided again because another worker was first: who lost once begins a moment behind and may lose often."""
ANSWER_SECONDS: Final = 20.0
"""After this the outcome is said to be unknown; the batch goes on."""
_PLANNING: Final = {
    # Batches look up at most 128 rows by key: index nested loops are always right, planned once, also while a new partition is still small.
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_memoize": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    # A table that is empty when the plan is made would else be read whole and kept, and the plan with it, when it has grown (seen).
    "enable_material": "off",
}
_SCAN: Final = 1024
_TURNS: Final = 3
"""How often all else that is ready goes first before a batch sets out: answers leave, what came is read and joins. No time is waited; a
batch twice as large costs the database a third less a request (measured)."""
_EXHAUSTED_SECONDS: Final = 0.2
"""How long a budget of which nothing was left is not gathered again: every batch would ask."""
_PAID_MAX: Final = 16_384
_RETRY_STATES: Final = ("23505", "40001", "40P01", "55P03")


class World(Protocol):
    """What the engine is given: time, the snapshot, and how to load a new one."""

    snapshot: Snapshot

    def now(self) -> datetime:
        """Return business time."""
        ...

    async def reload(self) -> None:
        """Load a new snapshot."""
        ...

    async def fetch_book(self, number: int) -> None:
        """Put an older rulebook into the snapshot."""
        ...

    async def quarantine(self, request: HotRequest) -> None:
        """Stop a till whose sequence number came with two different records."""
        ...


class BookMissing(Exception):  # noqa: N818 - not an error: the lane fetches it and goes on
    """An authorisation was frozen by a rulebook that the snapshot does not hold."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Link:
    """One connection of a lane, its two statements prepared."""

    def __init__(self, dsn: str, read_sql: str, read_full_sql: str | None, application_name: str, core: OwnCore | None) -> None:
        self._dsn = dsn
        self._read_sql = read_sql
        self._read_full_sql = read_full_sql or read_sql
        self._application_name = application_name
        self._core = core
        self._connection: asyncpg.Connection[Any] | None = None

    async def open(self) -> None:
        """Connect and prepare."""
        settings = server_settings(role="loyalty_hot", application_name=self._application_name) | _PLANNING
        self._connection = await asyncpg.connect(driver_dsn(self._dsn), server_settings=settings, statement_cache_size=8)
        if self._core is not None:
            self._core.share(self._connection.get_server_pid())
        read = await self._connection.prepare(self._read_sql)
        full = await self._connection.prepare(self._read_full_sql)
        write = await self._connection.prepare(hot_queries.WRITE)
        self.read, self.read_full, self.write = read.fetch, full.fetch, write.fetch
        self.fetch, self.execute = self._connection.fetch, self._connection.execute

    @property
    def is_lost(self) -> bool:
        """Whether there is no connection any more."""
        return self._connection is None or self._connection.is_closed()

    async def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            await self._connection.close()


class Lane(abc.ABC):
    """One queue, one connection, one batch in flight."""

    read_sql: ClassVar[str]
    read_full_sql: ClassVar[str | None] = None
    """The read with what rules ask about the customer."""

    def __init__(self, dsn: str, world: World, *, application_name: str = "loyalty-hot", core: OwnCore | None = None) -> None:
        self._world = world
        self._link = Link(dsn, self.read_sql, self.read_full_sql, application_name, core)
        self._queue: list[HotRequest] = []
        self._pending: dict[tuple[UUID, UUID], HotRequest] = {}
        self._wake = asyncio.Event()
        self._clock = time.monotonic
        self._tasks: list[asyncio.Task[None]] = []
        self._houses: set[UUID] = set()
        self._paid: set[tuple[object, ...]] = set()
        """Station, currency and funders of sales whose house accounts are known to be there."""
        self.share = os.getpid() % SHARES
        """This worker's share of every budget."""
        self.free: dict[UUID, int] = {}
        """What it leaves, as far as is known: the write compares."""
        self.counted: dict[UUID, dict[tuple[UUID, date], list[int]]] = {}
        """What the batch in hand has counted so far for benefits' caps: of whom, (counter, window's start), amount and times."""
        self.leveled: dict[UUID, list[LevelCount]] = {}
        """What the batch in hand has counted so far for levels, by account."""
        self.tried: dict[UUID, int] = {}
        """How many tries drivers' PINs have had, where the batch in hand changed it."""
        self._exhausted: dict[UUID, float] = {}
        """Budgets of which nothing was left anywhere, and until when that is believed."""
        self.batches = 0
        self.requests = 0

    async def start(self) -> None:
        """Connect and serve."""
        name = type(self).__name__
        await self._link.open()
        self._tasks.append(asyncio.create_task(self._run(), name=name))
        self._tasks.append(asyncio.create_task(self._give_up(), name=f"{name} deadline"))

    async def _give_up(self) -> None:
        """Say *unknown* to whoever waits too long: one look a second costs less than a timer a request. The batch itself goes on."""
        while True:
            await asyncio.sleep(1)
            late = self._clock() - ANSWER_SECONDS
            for request in [request for request in self._pending.values() if request.began < late]:
                self._settle(request, OutcomeUnknown())

    async def stop(self) -> None:
        """Finish what waits, then close."""
        await asyncio.gather(*(request.future for request in self._pending.values()), return_exceptions=True)
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._link.close()

    def submit(self, request: HotRequest) -> asyncio.Future[bytes]:
        """Queue a request; the future gives its answer's bytes after the commit. The same key in flight is joined, not sent twice."""
        known = self._pending.get((request.place.terminal_id, request.key))
        if known is not None:
            if known.fingerprint != request.fingerprint:
                request.future.set_exception(KeyReused())
            else:
                known.joined.append(request.future)
            return request.future
        request.began = self._clock()
        self._pending[request.place.terminal_id, request.key] = request
        self._queue.append(request)
        self._wake.set()
        return request.future

    def _settle(self, request: HotRequest, answer: bytes | BaseException) -> None:
        self._pending.pop((request.place.terminal_id, request.key), None)
        # One that is done already was cancelled by a client that went away; whoever joined still gets the answer.
        for future in (request.future, *request.joined):
            if future.done():
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    async def _run(self) -> None:
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wake.wait()
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            batch = self._take()
            try:
                await self._process(batch)
            except Exception as error:  # noqa: BLE001 - whatever happens, every request gets its answer
                await self._recover(batch, error)

    def _take(self) -> list[HotRequest]:
        """Take the next batch: in arrival order, one request a card; the others stay where they are."""
        queue = self._queue
        batch: list[HotRequest] = []
        seen: set[object] = set()
        left: list[HotRequest] = []
        scanned = 0
        for request in queue:
            scanned += 1
            if request.lock_key in seen:
                left.append(request)
            else:
                seen.add(request.lock_key)
                batch.append(request)
            if len(batch) == MAX_BATCH or scanned == _SCAN:
                break
        self._queue = left + queue[scanned:]
        return batch

    async def _process(self, batch: Sequence[HotRequest]) -> None:
        self.batches += 1
        self.requests += len(batch)
        world = self._world
        now = world.now()
        snapshot = world.snapshot
        book = snapshot.book(now)
        rows = await self._fetch_read(batch, now, snapshot, book)
        if book.budgets and any(budget not in self.free for budget in book.budgets):
            await self._learn_free(book)
        decided, refused = await self._decided(batch, rows, snapshot, now, book)
        if refused:
            await self._refuse(refused)
        if not decided:
            return
        await self._ensure_houses(decided, now)
        await self._book(decided, snapshot, now)

    async def _decided(
        self, batch: Sequence[HotRequest], rows: list[list[Any]], snapshot: Snapshot, now: datetime, book: Book
    ) -> tuple[list[tuple[HotRequest, Decision]], list[tuple[HotRequest, Refusal]]]:
        """Decide on every request; once more where a rulebook had to be fetched, or a budget gathered from other workers' shares."""
        gathered: set[UUID] = set()
        while True:
            free = self.free
            try:
                decided, refused, short = self._decide_all(batch, rows, snapshot, now, book)
            except BookMissing as missing:
                self.free = free
                await self._world.fetch_book(missing.number)
                continue
            wanted = [budget for budget in sorted(short - gathered) if not self._is_exhausted(budget)]
            if not wanted:
                return decided, refused
            self.free = free
            gathered.update(wanted)
            await self._gather(wanted)

    def _decide_all(
        self, batch: Sequence[HotRequest], rows: list[list[Any]], snapshot: Snapshot, now: datetime, book: Book
    ) -> tuple[list[tuple[HotRequest, Decision]], list[tuple[HotRequest, Refusal]], set[UUID]]:
        """Decide on every request, each on what the ones before it left; return decisions, refusals and the budgets that were short.

        :raises BookMissing: if one was frozen by a rulebook that is not at hand
        """
        decided: list[tuple[HotRequest, Decision]] = []
        refused: list[tuple[HotRequest, Refusal]] = []
        accounts: dict[UUID, list[PurseView]] = {}
        short: set[UUID] = set()
        if book.budgets:
            self.free = dict(self.free)
        self.counted.clear()
        self.leveled.clear()
        self.tried.clear()
        for request, group in zip(batch, rows, strict=True):
            try:
                decision = self._decide(request, group, snapshot, accounts, now, book)
            except Refusal as refusal:
                refused.append((request, refusal))
                continue
            if decision.changes:
                accounts[decision.account_id] = applied(accounts[decision.account_id], decision.changes)
            if decision.counts or decision.budgets or decision.short:
                self._note(decision, short)
            if decision.driver is not None and decision.driver[3] is not None:
                self.tried[decision.driver[0]] = decision.driver[3]
            if decision.levels:
                self.leveled.setdefault(decision.account_id, []).extend(decision.levels)
            decided.append((request, decision))
        return decided, refused, short

    def _note(self, decision: Decision, short: set[UUID]) -> None:
        """Let the next decisions of the batch see what this one takes of budgets and counters."""
        for subject, counter, start, amount, times, _, _ in decision.counts:
            counted = self.counted.setdefault(subject, {}).setdefault((counter, date.fromordinal(start)), [0, 0])
            counted[0] += amount
            counted[1] += times
        for budget, share, reserved, used in decision.budgets:
            if share == self.share and budget in self.free:
                self.free[budget] -= reserved + used
        short.update(decision.short)

    def _is_exhausted(self, budget: UUID) -> bool:
        return self._exhausted.get(budget, 0.0) > self._clock()

    async def _learn_free(self, book: Book) -> None:
        """Read what this worker's shares of the budgets leave."""
        rows = await self._link.fetch(hot_queries.FREE, list(book.budgets), self.share)
        self.free = dict.fromkeys(book.budgets, 0) | {row["budget_id"]: row["free"] for row in rows}

    async def _gather(self, budgets: list[UUID]) -> None:
        """Bring what other workers' shares leave of these budgets into this one's, and note where nothing is left at all."""
        for row in await self._link.fetch(hot_queries.GATHER, budgets, self.share):
            self.free[row["budget_id"]] = row["free"]
            if not row["free"]:
                self._exhausted[row["budget_id"]] = self._clock() + _EXHAUSTED_SECONDS

    async def _book(self, decided: list[tuple[HotRequest, Decision]], snapshot: Snapshot, now: datetime) -> None:
        """Write what was decided, all or nothing. Who decided on what has moved on since decides again; the others are sent once more."""
        while decided:
            batch = Batch(now, decided)
            crash_point("hot-before-write")
            moved = await self._link.write(*batch.arguments(snapshot))
            crash_point("hot-after-write")
            if not moved:
                for request, decision in decided:
                    self._settle(request, decision.answer)
                return
            if moved[0]["kind"] == ANSWERED:
                decided = await self._answer_again(decided, {row["place"] - 1 for row in moved})
                continue
            self.free = {}
            reload = moved[0]["kind"] == REFERENCE
            stale = set(range(len(decided))) if reload else batch.users(moved)
            again: list[HotRequest] = []
            too_late = self._clock() - BUSY_SECONDS
            for place in sorted(stale):
                request = decided[place][0]
                if request.began < too_late:
                    self._settle(request, TooBusy())
                else:
                    again.append(request)
            self._queue[:0] = again
            if reload:
                await self._world.reload()
            decided = [pair for place, pair in enumerate(decided) if place not in stale]

    async def _fetch_read(self, batch: Sequence[HotRequest], now: datetime, snapshot: Snapshot, book: Book) -> list[list[Any]]:
        grouped: list[list[Any]] = [[] for _ in batch]
        full = self.read_full_sql is not None and (book.asks_customer or bool(book.counters) or snapshot.has_agreements)
        read = self._link.read_full if full else self._link.read
        for row in await read(*self._read_arguments(batch, now, snapshot, book, full=full)):
            grouped[row["ord"] - 1].append(row)
        return grouped

    @abc.abstractmethod
    def _read_arguments(self, batch: Sequence[HotRequest], now: datetime, snapshot: Snapshot, book: Book, *, full: bool) -> list[Any]:
        """Return the parameters of the lane's read."""

    @abc.abstractmethod
    def _decide(
        self, request: HotRequest, rows: list[Any], snapshot: Snapshot, accounts: dict[UUID, list[PurseView]], now: datetime, book: Book
    ) -> Decision:
        """Decide on one request by its rows of the read.

        :raises Refusal: if there is nothing to decide on
        :raises BookMissing: if it was frozen by a rulebook that is not at hand
        """

    async def _stored(self, requests: Sequence[HotRequest]) -> dict[tuple[UUID, UUID], Any]:
        """Find what was answered to keys that were used before."""
        keys = [request.key for request in requests]
        rows = await self._link.fetch(hot_queries.STORED, [request.place.terminal_id for request in requests], keys)
        return {(row["terminal_id"], row["key"]): row for row in rows}

    async def _refuse(self, refused: list[tuple[HotRequest, Refusal]]) -> None:
        """Refuse, unless the key was used before: then what was answered stands."""
        stored = await self._stored([request for request, _ in refused])
        for request, refusal in refused:
            known = stored.get((request.place.terminal_id, request.key))
            if known is None:
                self._settle(request, refusal)
            else:
                self._replay(request, known)

    async def _answer_again(self, decided: list[tuple[HotRequest, Decision]], places: set[int]) -> list[tuple[HotRequest, Decision]]:
        """Answer the keys that were used before; return the others, but for those that decided on what a repeated one seemed to leave."""
        repeated = [decided[place] for place in places]
        stored = await self._stored([request for request, _ in repeated])
        for request, _ in repeated:
            self._replay(request, stored[request.place.terminal_id, request.key])
        touched = {decision.account_id for _, decision in repeated}
        others = [pair for place, pair in enumerate(decided) if place not in places]
        self._queue[:0] = [request for request, decision in others if decision.account_id in touched]
        return [pair for pair in others if pair[1].account_id not in touched]

    def _replay(self, request: HotRequest, row: Any) -> None:
        """Answer a key that was used: the stored bytes, or a refusal where it was another request. A tombstone answers whatever comes."""
        same = row["operation"] == Operation.TOMBSTONE or (
            row["operation"] == request.operation and row["fingerprint"] == request.fingerprint
        )
        self._settle(request, bytes(row["answer"]) if same else KeyReused())

    async def _ensure_houses(self, decided: list[tuple[HotRequest, Decision]], now: datetime) -> None:
        """Make the rows of house accounts that this worker uses for the first time."""
        missing: dict[UUID, tuple[str, str, str]] = {}
        paid: set[tuple[object, ...]] = set()
        for request, decision in decided:
            if not decision.transfers:
                continue
            tenders = request.body.tenders if isinstance(request.body, SaleRequest) else ()
            by = (decision.station_id, decision.currency, decision.surcharged, *decision.funders)
            if not tenders and by in self._paid:
                continue
            station = str(decision.station_id)
            wanted: list[tuple[HouseCode, str]] = [(HouseCode.SALES, station)]
            wanted += [(HouseCode.DISCOUNT, funder) for funder in decision.funders]
            if decision.surcharged is not None:
                wanted.append((HouseCode.SURCHARGE, decision.surcharged))
            wanted += [(HouseCode.TENDER, f"{station}:{tender.tender}") for tender in tenders]
            paid.add(by)
            for code, reference in wanted:
                found = house_id(code, decision.currency, reference)
                if found not in self._houses:
                    missing[found] = (code.value, decision.currency, reference)
        if missing:
            codes, currencies, references = zip(*missing.values(), strict=True)
            await self._link.execute(hot_queries.ENSURE_HOUSES, list(missing), list(codes), list(currencies), list(references), now)
            self._houses.update(missing)
        if len(self._paid) >= _PAID_MAX:
            self._paid.clear()
        self._paid |= paid

    async def _recover(self, batch: Sequence[HotRequest], error: Exception) -> None:
        """Sort out a batch that failed: retry by halves what the database rolled back; what is not known is said so."""
        self.free = {}
        open_ = [request for request in batch if not request.future.done()]
        if outcome_is_unknown(error):
            for request in open_:
                self._settle_failed(request, error)
            if self._link.is_lost:
                await self._reconnect()
        elif len(open_) == 1:
            await self._one_failed(open_[0], error)
        else:
            # By halves: one that cannot be booked costs the others a few calls, not one each.
            middle = len(open_) // 2
            for half in (open_[:middle], open_[middle:]):
                try:
                    await self._process(half)
                except Exception as again:  # noqa: BLE001 - sorted out per half
                    await self._recover(half, again)

    async def _one_failed(self, request: HotRequest, error: Exception) -> None:
        """Sort out a lone request that the database rolled back: a conflict is tried again, a fault ends it."""
        request.attempts += 1
        constraint = getattr(error, "constraint_name", None) or ""
        if "sequence" in constraint:
            await self._world.quarantine(request)
            self._settle(request, SequenceReused(sequence=request.sequence))
        elif getattr(error, "sqlstate", None) not in _RETRY_STATES:
            self._settle_failed(request, error)
        elif request.attempts > MAX_ATTEMPTS:
            self._settle(request, TooBusy())
        else:
            self._queue.append(request)

    def _settle_failed(self, request: HotRequest, error: Exception) -> None:
        if request.future.done():
            return
        # Names only: the database's detail quotes values.
        log.error(
            "hot batch failed: %s %s %s",
            type(error).__name__,
            getattr(error, "table_name", None) or "",
            getattr(error, "column_name", None) or getattr(error, "constraint_name", None) or "",
        )
        self._settle(request, OutcomeUnknown())

    async def _reconnect(self) -> None:
        wait_s = 0.05
        while True:
            try:
                await self._link.open()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                for request in self._queue:
                    self._settle(request, OutcomeUnknown())
                self._queue.clear()
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 1.0)
            else:
                return
