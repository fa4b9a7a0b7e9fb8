"""The hot path's engine: requests wait in a lane while a batch commits; what waits goes as the next batch.

A batch is two calls: one read, pure decisions, one write that commits. A reply leaves only after its batch's commit. There is one request a
card in a batch, in arrival order; several cards of one company share a batch, each deciding on what the one before left. What the write
calls *stale* is decided again, first in the next batch.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Final, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from loyalty.db import crash_point, driver_dsn, server_settings
from loyalty.errors import OutcomeUnknown, Refusal
from loyalty.ids import NOBODY, uuid7
from loyalty.ledger.model import HouseCode
from loyalty.ledger.rules import PurseView, house_id
from loyalty.limits.rules import compiled

from . import hot_queries
from .decision import Decision, Write, applied
from .facts import AuthorizationFacts, CardFacts, FillFacts, Place, Product
from .model import Flag, Operation
from .rules import Presented, decide_authorization
from .settling import decide_completion, decide_sale
from .snapshot import Snapshot
from .wire import AuthorizationRequest, CompletionRequest, FuelLine, SaleRequest

log = logging.getLogger(__name__)

MAX_BATCH: Final = 128
"""More is planned as nested loops that no longer pay (measured)."""
MAX_ATTEMPTS: Final = 20
ANSWER_SECONDS: Final = 20.0
"""After this the outcome is said to be unknown; the batch goes on."""
_PLANNING: Final = {
    # Batches look up at most 128 rows by key: index nested loops are always right, planned once, also while a new partition is still small.
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
}
_SCAN: Final = 1024
_RETRY_STATES: Final = ("23505", "40001", "40P01", "55P03")


class KeyReused(Refusal):
    """The idempotency key was used for another request."""

    status = 422
    zh = "该幂等键已用于另一笔请求。"
    en = "This idempotency key was used for another request."
    next_zh = "新业务请用新的键；重试请原样重发。"
    next_en = "Use a new key for a new request; resend a retry unchanged."


class SequenceReused(Refusal):
    """The terminal's sequence number carries another record already."""

    status = 409
    zh = "终端流水号 {sequence} 已有另一条记录，终端需要核对。"
    en = "Sequence {sequence} already carries another record; the terminal must be checked."
    next_zh = "请停止使用本终端并联系站长。"
    next_en = "Stop using this terminal and call the station manager."


class AuthorizationNotFound(Refusal):
    """No such authorisation, or another station's: the answer is the same."""

    status = 404
    zh = "没有找到该笔授权。"
    en = "There is no such authorisation."
    next_zh = "请核对授权号；若油已加出，请按通知交易上报。"
    next_en = "Check the reference; if fuel was dispensed, report it as an advice."


class TooBusy(Refusal):
    """Decided again too often: many want the same money at once."""

    status = 503
    zh = "系统繁忙，请稍后用同一幂等键重试。"
    en = "Too busy. Retry with the same idempotency key."


class HotRequest:
    """One request on its way through a lane."""

    __slots__ = (
        "account_id",
        "attempts",
        "authorization_id",
        "began",
        "body",
        "epoch",
        "event_at",
        "fingerprint",
        "future",
        "joined",
        "key",
        "lock_key",
        "number_index",
        "operation",
        "place",
        "presented",
        "previous_hash",
        "record_hash",
        "sequence",
        "trusted",
    )

    def __init__(
        self,
        operation: Operation,
        body: AuthorizationRequest | SaleRequest | CompletionRequest,
        *,
        place: Place,
        key: UUID,
        fingerprint: bytes,
        number_index: bytes = b"",
        presented: Presented | None = None,
        account_id: UUID = NOBODY,
        authorization_id: UUID | None = None,
        epoch: int | None = None,
        sequence: int | None = None,
        record_hash: bytes | None = None,
        previous_hash: bytes | None = None,
        event_at: datetime | None = None,
        trusted: bool = True,
    ) -> None:
        self.operation = operation
        self.body = body
        self.place = place
        self.key = key
        self.fingerprint = fingerprint
        self.number_index = number_index
        self.presented = presented
        self.account_id = account_id
        self.authorization_id = authorization_id
        self.epoch = epoch
        self.sequence = sequence
        self.record_hash = record_hash
        self.previous_hash = previous_hash
        self.event_at = event_at
        self.trusted = trusted
        """False: from a quarantined or revoked terminal; a completion is booked and flagged."""
        self.lock_key: object = authorization_id if operation is Operation.COMPLETE else number_index
        self.attempts = 0
        self.joined: list[asyncio.Future[bytes]] = []
        self.began = 0.0
        self.future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()


class World(Protocol):
    """What the engine is given: time, the snapshot, and how to load a new one."""

    snapshot: Snapshot

    def now(self) -> datetime:
        """Return business time."""
        ...

    async def reload(self) -> None:
        """Load a new snapshot."""
        ...


_zones: dict[str, ZoneInfo] = {}


def local_time(instant: datetime, zone: str) -> datetime:
    """Return the station's local time."""
    found = _zones.get(zone)
    if found is None:
        found = _zones[zone] = ZoneInfo(zone)
    return instant.astimezone(found)


class Lane:
    """One queue, one connection, one batch in flight."""

    read_sql: ClassVar[str]

    def __init__(self, dsn: str, world: World, *, application_name: str = "loyalty-hot") -> None:
        self._dsn = dsn
        self._world = world
        self._application_name = application_name
        self._connection: "asyncpg.Connection[Any] | None" = None
        self._queue: list[HotRequest] = []
        self._pending: dict[tuple[UUID, UUID], HotRequest] = {}
        self._wake = asyncio.Event()
        self._clock = time.monotonic
        self._task: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._houses: set[UUID] = set()
        self.batches = 0
        self.requests = 0

    async def start(self) -> None:
        """Connect and serve."""
        await self._connect()
        self._task = asyncio.create_task(self._run(), name=type(self).__name__)
        self._watch = asyncio.create_task(self._give_up(), name=f"{type(self).__name__} deadline")

    async def _give_up(self) -> None:
        """Say *unknown* to whoever waits too long: one look a second costs less than a timer a request. The batch itself goes on."""
        while True:
            await asyncio.sleep(1)
            late = self._clock() - ANSWER_SECONDS
            for request in [request for request in self._pending.values() if request.began < late]:
                self._settle(request, OutcomeUnknown())

    async def stop(self) -> None:
        """Finish what waits, then close."""
        while self._queue or self._pending:
            await asyncio.sleep(0.005)
        for task in (self._task, self._watch):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._connection is not None:
            await self._connection.close()

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

    async def _connect(self) -> None:
        settings = server_settings(role="loyalty_hot", application_name=self._application_name) | _PLANNING
        self._connection = await asyncpg.connect(driver_dsn(self._dsn), server_settings=settings, statement_cache_size=8)
        self._read = await self._connection.prepare(self.read_sql)
        self._write = await self._connection.prepare(hot_queries.WRITE)

    async def _run(self) -> None:
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wake.wait()
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
        rows = await self._fetch_read(batch, now)
        decided: list[tuple[HotRequest, Decision]] = []
        accounts: dict[UUID, list[PurseView]] = {}
        snapshot = world.snapshot
        for request, group in zip(batch, rows, strict=True):
            first = group[0]
            if first["operation"] is not None:
                self._replay(request, first)
                continue
            try:
                decision = self._decide(request, group, snapshot, accounts, now)
            except Refusal as refusal:
                self._settle(request, refusal)
                continue
            if decision.changes:
                accounts[decision.account_id] = applied(accounts[decision.account_id], decision.changes)
            decided.append((request, decision))
        if not decided:
            return
        crash_point("hot-before-write")
        await self._ensure_houses(decided, now)
        results = await self._write.fetch(*write_arguments(now, snapshot, decided))
        crash_point("hot-after-write")
        stale: list[HotRequest] = []
        reload = False
        for ord_, result in results:
            request, decision = decided[ord_ - 1]
            if result == 0:
                self._settle(request, decision.answer)
            else:
                reload = reload or result == 2
                request.attempts += 1
                if request.attempts > MAX_ATTEMPTS:
                    self._settle(request, TooBusy())
                else:
                    stale.append(request)
        self._queue[:0] = stale
        if reload:
            await world.reload()

    async def _fetch_read(self, batch: Sequence[HotRequest], now: datetime) -> list[list[Any]]:
        grouped: list[list[Any]] = [[] for _ in batch]
        for row in await self._read.fetch(*self._read_arguments(batch, now)):
            grouped[row["ord"] - 1].append(row)
        return grouped

    def _read_arguments(self, batch: Sequence[HotRequest], now: datetime) -> list[Any]:
        raise NotImplementedError

    def _decide(
        self, request: HotRequest, rows: list[Any], snapshot: Snapshot, accounts: dict[UUID, list[PurseView]], now: datetime
    ) -> Decision:
        raise NotImplementedError

    def _replay(self, request: HotRequest, row: Any) -> None:
        """Answer a key that was used: the stored bytes, or a refusal where it was another request. A tombstone answers whatever comes."""
        same = row["operation"] == Operation.TOMBSTONE or (row["operation"] == request.operation and row["fingerprint"] == request.fingerprint)
        self._settle(request, bytes(row["answer"]) if same else KeyReused())

    async def _ensure_houses(self, decided: list[tuple[HotRequest, Decision]], now: datetime) -> None:
        """Make the rows of house accounts that this worker uses for the first time."""
        missing: dict[UUID, tuple[str, str, str]] = {}
        for request, decision in decided:
            if not decision.transfers:
                continue
            station = str(decision.station_id)
            wanted: list[tuple[HouseCode, str]] = [(HouseCode.SALES, station)]
            detail = decision.detail or {}
            if "discount" in detail:
                wanted.append((HouseCode.DISCOUNT, detail["discount"]["funder"]))
            if isinstance(request.body, SaleRequest):
                wanted += [(HouseCode.TENDER, f"{station}:{tender.tender}") for tender in request.body.tenders]
            for code, reference in wanted:
                found = house_id(code, decision.currency, reference)
                if found not in self._houses:
                    missing[found] = (code.value, decision.currency, reference)
        if missing:
            assert self._connection is not None
            codes, currencies, references = zip(*missing.values(), strict=True)
            await self._connection.execute(hot_queries.ENSURE_HOUSES, list(missing), list(codes), list(currencies), list(references), now)
            self._houses.update(missing)

    async def _recover(self, batch: Sequence[HotRequest], error: Exception) -> None:
        """Sort out a batch that failed: retry one by one what the database rolled back; what is not known is said so."""
        open_ = [request for request in batch if not request.future.done()]
        state = getattr(error, "sqlstate", None)
        if state in _RETRY_STATES:
            if len(open_) == 1 and self._one_failed(open_[0], error):
                return
            for request in open_:
                try:
                    await self._process([request])
                except Exception as again:  # noqa: BLE001 - sorted out per request
                    if not (getattr(again, "sqlstate", None) in _RETRY_STATES and not self._one_failed(request, again)):
                        self._settle_failed(request, again)
                    elif not request.future.done():
                        self._queue.append(request)
            return
        for request in open_:
            self._settle_failed(request, error)
        if self._connection is None or self._connection.is_closed():
            await self._reconnect()

    def _one_failed(self, request: HotRequest, error: Exception) -> bool:
        """Say whether a lone request's conflict is final: its sequence number carries another record."""
        request.attempts += 1
        constraint = getattr(error, "constraint_name", None) or ""
        if "sequence" in constraint:
            self._settle(request, SequenceReused(sequence=request.sequence))
            return True
        if request.attempts > MAX_ATTEMPTS:
            self._settle(request, TooBusy())
            return True
        return False

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
                await self._connect()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                for request in self._queue:
                    self._settle(request, OutcomeUnknown())
                self._queue.clear()
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 1.0)
            else:
                return


class CardLane(Lane):
    """Authorisations and sales: what begins with a card."""

    read_sql = hot_queries.READ_CARDS

    def _read_arguments(self, batch: Sequence[HotRequest], now: datetime) -> list[Any]:
        days = [local_time(now, request.place.zone).date() for request in batch]
        fills = [request.body.fill_id if isinstance(request.body, SaleRequest) else None for request in batch]
        return [
            [request.place.terminal_id for request in batch],
            [request.key for request in batch],
            [request.number_index for request in batch],
            days,
            fills,
        ]

    def _decide(
        self, request: HotRequest, rows: list[Any], snapshot: Snapshot, accounts: dict[UUID, list[PurseView]], now: datetime
    ) -> Decision:
        place = snapshot.places.get(request.place.terminal_id, request.place)
        local = local_time(now, place.zone)
        card = card_facts(rows, accounts)
        decision = Decision(
            Write.AUTHORIZATION,
            station_id=place.station_id,
            event_at=request.event_at or now,
            business_day=local.date(),
            subject_id=uuid7(now),
            currency=place.currency,
        )
        terms = None
        exact = False
        if card is not None:
            exact = card.account_id not in accounts
            accounts.setdefault(card.account_id, card.purses)
            decision.account_id, decision.card_id, decision.chain_id = card.account_id, card.card_id, card.chain_id
            decision.card_version, decision.card_tries = card.version, card.pin_tries
            terms = snapshot.card_terms.get(card.product_id)
        assert request.presented is not None
        if isinstance(request.body, AuthorizationRequest):
            product = snapshot.products.get(request.body.product)
            term = price = None
            if product is not None and terms is not None:
                price = snapshot.price(place.station_id, product.product_id, now)
                term = snapshot.term(card_product_id=terms.product_id, product_id=product.product_id, place=place, now=now)
            return decide_authorization(
                decision,
                request.body,
                place=place,
                card=card,
                terms=terms,
                product=product,
                price_e4=price,
                term=term,
                presented=request.presented,
                exact=exact,
                now=now,
                local=local,
            )
        assert isinstance(request.body, SaleRequest)
        decision.write = Write.SALE
        fill = fill_facts(request.body.fill_id, rows[0])
        fuel, product = _fuel_of(request.body, fill, snapshot)
        term = published = None
        if product is not None and terms is not None:
            published = snapshot.price(place.station_id, product.product_id, now)
            term = snapshot.term(card_product_id=terms.product_id, product_id=product.product_id, place=place, now=now)
        decided = decide_sale(
            decision,
            request.body,
            fuel=fuel,
            product=product,
            shop=[(snapshot.products.get(line.product), line.amount_minor) for line in request.body.shop],
            fill=fill,
            place=place,
            card=card,
            terms=terms,
            published_e4=published,
            term=term,
            presented=request.presented,
            exact=exact,
            now=now,
            local=local,
        )
        if decided.counted is None:
            decided.write = Write.AUTHORIZATION
        return decided


def _fuel_of(body: SaleRequest, fill: FillFacts | None, snapshot: Snapshot) -> tuple[FuelLine | None, Product | None]:
    if body.fuel is not None:
        return body.fuel, snapshot.products.get(body.fuel.product)
    if fill is None:
        return None, None
    product = snapshot.products_by_id.get(fill.product_id)
    if product is None:
        return None, None
    line = FuelLine(
        product=product.code,
        quantity_milli=fill.quantity_milli,
        unit_price_e4=fill.unit_price_e4,
        amount_minor=fill.amount_minor,
        nozzle=fill.nozzle,
    )
    return line, product


def card_facts(rows: list[Any], accounts: dict[UUID, list[PurseView]]) -> CardFacts | None:
    """Build a card's facts from its rows of the read; None where there is no such card.

    Its purses are those of `accounts` where an earlier request of the batch has changed them.
    """
    row = rows[0]
    if row["card_id"] is None:
        return None
    (
        _ord, _operation, _fingerprint, _answer, card_id, account_id, product_id, status, version, pin_verifier, pin_generation, pin_tries, chain_id, check_value_index,
        expires_on, number_tail, account_status, account_kind, currency, limits,
        day_amount, day_quantity, day_count, week_amount, week_quantity, week_count, month_amount, month_quantity, month_count, last_at,
        *_,
    ) = row  # fmt: skip
    counters: dict[str, tuple[int, int, int]] = {}
    if last_at is not None:
        counters = {
            "day": (day_amount or 0, day_quantity or 0, day_count or 0),
            "week": (week_amount or 0, week_quantity or 0, week_count or 0),
            "month": (month_amount or 0, month_quantity or 0, month_count or 0),
        }
    own = accounts.get(account_id)
    return CardFacts(
        card_id,
        account_id,
        product_id,
        status,
        version,
        pin_verifier,
        pin_generation,
        pin_tries,
        chain_id,
        check_value_index,
        expires_on,
        number_tail,
        account_status,
        account_kind,
        currency,
        None if limits is None else compiled(limits),
        counters,
        last_at,
        _merge(own, rows) if own is not None else _purses(rows),
    )


_CARD_PURSE: Final = 30
"""Where the purse's eight columns begin in a row of the cards' read."""
_ORIGINAL_PURSE: Final = 28
"""And in one of the authorisations' read."""


def _purses(rows: list[Any], at: int = _CARD_PURSE) -> list[PurseView]:
    return [PurseView(*row[at : at + 8]) for row in rows if row[at] is not None]


def _merge(own: list[PurseView], rows: list[Any]) -> list[PurseView]:
    """Join what the batch changed with purses that only this card sees."""
    known = {purse.purse_id: purse for purse in own}
    for purse in _purses(rows):
        if purse.purse_id not in known:
            known[purse.purse_id] = purse
            own.append(purse)
    return own


def fill_facts(fill_id: UUID | None, row: Any) -> FillFacts | None:
    """Build the facts of a fill from a row of the read; None where it was not found."""
    if fill_id is None or row["fill_station"] is None:
        return None
    return FillFacts(
        fill_id,
        row["fill_station"],
        row["fill_nozzle"],
        row["fill_product"],
        row["fill_quantity"],
        row["fill_price"],
        row["fill_amount"],
        row["fill_status"],
        row["fill_locked_until"],
    )


class CompletionLane(Lane):
    """Completions: what begins with an authorisation."""

    read_sql = hot_queries.READ_AUTHORIZATIONS

    def _read_arguments(self, batch: Sequence[HotRequest], now: datetime) -> list[Any]:  # noqa: ARG002 - every lane is asked alike
        return [
            [request.place.terminal_id for request in batch],
            [request.key for request in batch],
            [request.account_id for request in batch],
            [request.authorization_id for request in batch],
        ]

    def _decide(
        self, request: HotRequest, rows: list[Any], snapshot: Snapshot, accounts: dict[UUID, list[PurseView]], now: datetime
    ) -> Decision:
        row = rows[0]
        if row["station_id"] is None or row["card_id"] is None or row["station_id"] != request.place.station_id or not row["approved_minor"]:
            raise AuthorizationNotFound
        assert isinstance(request.body, CompletionRequest)
        exact = request.account_id not in accounts and row["account_kind"] in {"personal", "anonymous"}
        known = accounts.get(request.account_id)
        purses = _purses(rows, _ORIGINAL_PURSE) if known is None else known
        accounts.setdefault(request.account_id, purses)
        original = authorization_facts(request, row, purses)
        terms = snapshot.card_terms[original.card_product_id]
        product = None if request.body.product is None else snapshot.products.get(request.body.product)
        decision = Decision(
            Write.COMPLETION,
            station_id=original.station_id,
            event_at=request.event_at or now,
            business_day=local_time(now, request.place.zone).date(),
            subject_id=uuid7(now),
            currency=original.currency,
        )
        decision.account_id, decision.card_id, decision.chain_id = original.account_id, original.card_id, original.chain_id
        if not request.trusted:
            decision.flags |= Flag.TERMINAL
        decided = decide_completion(
            decision,
            request.body,
            original=original,
            product=product,
            spend_order=terms.spend_order,
            digits=request.place.digits,
            exact=exact,
            now=now,
        )
        if not (request.body.amount_minor or request.body.quantity_milli):
            decided.write = Write.RELEASE
        return decided


def authorization_facts(request: HotRequest, row: Any, purses: list[PurseView]) -> AuthorizationFacts:
    """Build an authorisation's facts from its row of the read."""
    return AuthorizationFacts(
        account_id=request.account_id,
        authorization_id=request.authorization_id or NOBODY,
        card_id=row["card_id"],
        chain_id=row["chain_id"],
        station_id=row["station_id"],
        product_id=row["product_id"],
        status=row["status"],
        reason=row["reason"],
        flow=row["flow"],
        nozzle=row["nozzle"],
        approved_minor=row["approved_minor"],
        approved_milli=row["approved_milli"],
        unit_price_e4=row["unit_price_e4"],
        holds=tuple(zip(row["hold_purses"], row["hold_minors"], strict=True)),
        captured_minor=row["captured_minor"],
        captured_milli=row["captured_milli"],
        completions=row["completions"],
        frozen=None if row["frozen"] is None else msgspec.json.decode(row["frozen"]),
        event_at=row["event_at"],
        expires_at=row["expires_at"],
        business_day=row["business_day"],
        card_product_id=row["card_product_id"],
        number_tail=row["number_tail"],
        currency=row["currency"],
        purses=purses,
    )


_NO_ORIGINAL: Final = (None, None, None)
_UNCOUNTED: Final = (None, None, None)
_AUTHORIZATION: Final = int(Write.AUTHORIZATION)
_SALE: Final = int(Write.SALE)
_COMPLETION: Final = int(Write.COMPLETION)
_json: Final = msgspec.json.Encoder().encode


def _document(value: dict[str, Any] | None) -> str | None:
    return None if value is None else _json(value).decode()


def write_arguments(now: datetime, snapshot: Snapshot, decided: list[tuple[HotRequest, Decision]]) -> list[Any]:
    """Lay decisions out as the write's parameters: arrays of records, which the driver encodes without asking each value whether it is a list."""
    items: list[tuple[Any, ...]] = []
    changes: list[tuple[Any, ...]] = []
    receivables: list[tuple[Any, ...]] = []
    transfers: list[tuple[Any, ...]] = []
    cards = originals = fills = tries = counting = authorizations = sales = 0
    for place, (request, made) in enumerate(decided, 1):
        account, write = made.account_id, made.write
        original, original_status, completions = made.authorization or _NO_ORIGINAL
        counter_day, (counted_minor, counted_milli, counted) = (None, _UNCOUNTED) if made.counted is None else (made.counter_day, made.counted)
        cards += made.card_id is not None
        originals += original is not None
        fills += made.fill_id is not None
        tries += made.tries_new is not None
        counting += counter_day is not None
        authorizations += write == _AUTHORIZATION
        sales += write == _SALE or write == _COMPLETION  # noqa: PLR1714 - two comparisons cost less than a set
        items.append(
            (
                place, request.place.terminal_id, request.key, request.epoch, request.sequence, request.operation, account, made.subject_id,
                request.fingerprint, request.record_hash, request.previous_hash, made.answer,
                made.card_id, made.card_version, made.card_tries, made.tries_new,
                write, made.chain_id, made.station_id, made.status, made.reason, made.flow, made.nozzle, made.product_id,
                made.requested_minor, made.gross_minor, made.quantity_milli, made.unit_price_e4, made.discount_minor, made.card_minor, made.currency,
                _document(made.detail), _document(made.prompts), made.flags, made.staff_id, made.fill_id, made.event_at, made.expires_at, made.business_day,
                counter_day, counted_minor, counted_milli, counted,
                original, original_status, completions,
            )
        )  # fmt: skip
        for change in made.changes:
            changes.append((place, account, change.purse_id, change.held, change.balance, change.seen))
        if made.new_receivable is not None:
            receivables.append((place, account, made.new_receivable, made.currency))
        for debit, credit, amount, kind in made.transfers:
            transfers.append(
                (place, account, uuid7(now), debit, credit, amount, made.currency, kind, made.subject_id, made.card_id, made.station_id, made.event_at)
            )
    return [
        now, snapshot.revisions, snapshot.period, items, changes or None, receivables or None, transfers or None,
        cards, originals, fills, tries, counting, authorizations, sales,
    ]  # fmt: skip


def business_day(instant: datetime, place: Place) -> date:
    """Return the station's day of an instant."""
    return local_time(instant, place.zone).date()
