"""The load tool: its own process, raw sockets, requests signed before the clock starts, one request in flight a connection."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any
from uuid import uuid4

import msgspec
import uvloop

from loyalty.crypto import SessionKeys, seal_pin
from loyalty.signing import sign_request

from .population import PIN, PRICE_E4, Population, Till


class Load(msgspec.Struct):
    """One measurement: what, on how many connections, for how long after how much warm-up."""

    operation: str
    connections: int
    seconds: float
    warm_up: float
    requests: int


class Result(msgspec.Struct):
    """What was measured. Latencies in milliseconds."""

    operation: str
    connections: int
    done: int
    errors: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: float
    answered: int = 0
    """All answers, those of the warm-up too."""
    ran_dry: bool = False
    first_error: str = ""
    references: list[str] = []


class _Link(asyncio.Protocol):
    """One keep-alive connection that always has one request in flight."""

    def __init__(self, requests: Iterator[bytes], meter: "_Meter") -> None:
        self._requests = requests
        self._meter = meter
        self._buffer = b""
        self._sent = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        request = None if self._meter.over else next(self._requests, None)
        if request is None:
            if not self._meter.over:
                self._meter.dry = True
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            self._buffer = buffer
            return
        head = buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : (head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else len(head))])
        if len(buffer) < end + 4 + length:
            self._buffer = buffer
            return
        self._buffer = b""
        self._meter.answered(time.perf_counter() - self._sent, buffer[end + 4 : end + 4 + length], is_ok=head[9:12] == b"200")
        self._next()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the library's signature
        self._meter.ended()


class _Meter:
    """Counts answers; keeps the latencies of the measured part."""

    def __init__(self, connections: int, *, keep: bool) -> None:
        self.latencies: list[float] = []
        self.errors = 0
        self.answers = 0
        self.first_error = ""
        self.over = False
        self.dry = False
        self.measuring = False
        self.references: list[str] = []
        self._keep = keep
        self._open = connections
        self.closed = asyncio.Event()

    def answered(self, seconds: float, body: bytes, *, is_ok: bool) -> None:
        self.answers += 1
        good = is_ok and (b'"outcome":"approved"' in body or b'"outcome":"booked"' in body)
        if not good:
            self.errors += 1
            self.first_error = self.first_error or body[:300].decode(errors="replace")
        if self.measuring:
            self.latencies.append(seconds)
        if self._keep and good:
            at = body.find(b'"authorization":"')
            self.references.append(body[at + 17 : at + 60].decode("ascii"))

    def ended(self) -> None:
        self._open -= 1
        if self._open == 0:
            self.closed.set()


def serve(pipe: Connection, population: bytes, port: int) -> None:
    """Answer `Load` by `Result` until told to stop: the body of the load process."""
    made = msgspec.msgpack.decode(population, type=Population)
    references: list[str] = []
    while True:
        message = pipe.recv_bytes()
        if not message:
            return
        load = msgspec.msgpack.decode(message, type=Load)
        requests = prepare(load, made, references)
        result = uvloop.run(_measure(load, requests, port))
        if load.operation == "authorise":
            references = result.references
        result.references = []
        pipe.send_bytes(msgspec.msgpack.encode(result))


def prepare(load: Load, population: Population, references: list[str]) -> list[bytes]:
    """Sign the requests: random cards in a shuffled round, so that no card comes twice at once."""
    sessions = [(till, till.session()) for till in population.tills]
    now = datetime.now(UTC)
    make = {"authorise": _authorise, "sale": _sale}.get(load.operation)
    tills = itertools.cycle(sessions)
    if make is None:
        random.shuffle(references)
        return [_completion(reference, *next(tills), now) for reference in references[: load.requests]]
    numbers = itertools.islice(itertools.cycle(population.numbers), random.randrange(len(population.numbers)), None)  # noqa: S311 - a benchmark
    return [make(next(numbers), *next(tills), now) for _ in range(load.requests)]


def _authorise(number: str, till: Till, keys: SessionKeys, now: datetime) -> bytes:
    key = str(uuid4())
    pin = seal_pin(keys, card=number, request_key=key, pin=PIN)
    body = b'{"card":{"number":"%b","pin":"%b"},"product":"92","flow":"preset","nozzle":3,"amount_minor":2000}' % (
        number.encode(),
        pin.encode(),
    )
    return _http("/v1/authorizations", body, key, till, keys, now)


def _sale(number: str, till: Till, keys: SessionKeys, now: datetime) -> bytes:
    key = str(uuid4())
    pin = seal_pin(keys, card=number, request_key=key, pin=PIN)
    body = (
        b'{"card":{"number":"%b","pin":"%b"},"fuel":{"product":"92","quantity_milli":2000,"unit_price_e4":%d,"amount_minor":1578,"nozzle":3}}'
        % (number.encode(), pin.encode(), PRICE_E4)
    )
    return _http("/v1/sales", body, key, till, keys, now)


def _completion(reference: str, till: Till, keys: SessionKeys, now: datetime) -> bytes:
    body = b'{"quantity_milli":2000,"unit_price_e4":%d,"amount_minor":1578}' % PRICE_E4
    return _http(f"/v1/authorizations/{reference}/completions", body, str(uuid4()), till, keys, now)


def _http(path: str, body: bytes, key: str, till: Till, keys: SessionKeys, now: datetime) -> bytes:
    signed = sign_request(method="POST", path=path, body=body, idempotency_key=key, key_id=till.session_id, mac_key=keys.mac_key, now=now)
    head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in signed.items()]
    return "\r\n".join(head).encode("ascii") + b"\r\n\r\n" + body


async def _measure(load: Load, requests: list[bytes], port: int) -> Result:
    loop = asyncio.get_running_loop()
    meter = _Meter(load.connections, keep=load.operation == "authorise")
    waiting = iter(requests)
    factory: Callable[[], _Link] = lambda: _Link(waiting, meter)  # noqa: E731 - one line says it
    await asyncio.gather(*(loop.create_connection(factory, "127.0.0.1", port) for _ in range(load.connections)))
    await asyncio.sleep(load.warm_up)
    meter.measuring = True
    began, cpu = time.perf_counter(), time.process_time()
    with_end = asyncio.create_task(meter.closed.wait())
    await asyncio.wait({with_end}, timeout=load.seconds)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    meter.measuring = False
    meter.over = True
    await asyncio.wait_for(meter.closed.wait(), 30)
    taken = sorted(meter.latencies)
    return Result(
        operation=load.operation,
        connections=load.connections,
        done=len(taken),
        errors=meter.errors,
        seconds=seconds,
        p50_ms=1000 * taken[len(taken) // 2] if taken else 0.0,
        p99_ms=1000 * taken[min(len(taken) - 1, len(taken) * 99 // 100)] if taken else 0.0,
        cpu_seconds=cpu_seconds,
        answered=meter.answers,
        ran_dry=meter.dry,
        first_error=meter.first_error,
        references=meter.references,
    )
