"""The hot routes below ASGI, spoken to in bytes: whatever a client does to HTTP, the answer is the one the ordinary way would give."""

import asyncio
import json
import uuid
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from loyalty.crypto import seal_pin
from loyalty.signing import sign_request
from tests.crash.service import presented
from tests.factories.world import PIN

FUEL = {"product": "92", "quantity_milli": 634, "unit_price_e4": 78_900, "amount_minor": 500, "nozzle": 3}


async def signed(till, body: bytes, *, key: uuid.UUID, path: str = "/v1/sales", query: str = "", version: str = "1.1", more=()) -> bytes:
    """Return a request's bytes, with `Content-Length` unless the body is to go in chunks."""
    session = await till.session()
    headers = sign_request(
        method="POST",
        path=path,
        query=query,
        body=body,
        idempotency_key=str(key),
        key_id=till._session_id,
        mac_key=session.mac_key,
        now=datetime.now(UTC),
    )
    head = [f"POST {path}{'?' + query if query else ''} HTTP/{version}", "Host: till", "Content-Type: application/json"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    chunked = any(line.startswith("Transfer-Encoding") for line in more)
    head += more if chunked else [*more, f"Content-Length: {len(body)}"]
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    return "\r\n".join(head).encode() + b"\r\n\r\n" + sent


async def sale(till, card, key: uuid.UUID) -> bytes:
    sealed = seal_pin(await till.session(), card=card.number, request_key=str(key), pin=PIN)
    return json.dumps({"card": {"number": card.number, "pin": sealed}, "fuel": FUEL}).encode()


class Wire:
    """One connection in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 30)).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        return int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))


@pytest.fixture
async def wire(service):
    parts = urlsplit(service.base_url)
    made = Wire(*await asyncio.open_connection(parts.hostname, parts.port))
    yield made
    made.writer.close()


async def test_pipelined_requests_are_answered_in_their_order(service, wire):
    till, _ = await service.till()
    card = await service.card(kind="anonymous", balance_minor=10_000)
    keys = [uuid.uuid4() for _ in range(6)]
    stream = b"".join([await signed(till, await sale(till, card, key), key=key) for key in keys])
    health = b"GET /health HTTP/1.1\r\nHost: till\r\n\r\n"
    await wire.send(stream[: len(stream) // 2], stream[len(stream) // 2 :] + health)
    answers = [await wire.answer() for _ in range(7)]
    assert [status for status, _, _ in answers] == [200] * 7
    assert [json.loads(body)["balance_after_minor"] for _, _, body in answers[:6]] == [9_500 - 500 * place for place in range(6)]
    assert json.loads(answers[6][2]) == {"status": "ok"}


@pytest.mark.parametrize(
    ("query", "version", "more"),
    [
        ("", "1.1", ("Transfer-Encoding: chunked",)),
        ("a=1", "1.1", ()),
        ("", "1.0", ()),
        ("", "1.1", ("Connection: close",)),
        ("", "1.1", ("Expect: 100-continue",)),
    ],
    ids=["in chunks", "with a query", "HTTP/1.0", "closing", "expecting"],
)
async def test_a_retry_in_another_dress_repeats_the_answer(service, wire, query, version, more):
    till, line = await service.till()
    card = await service.card(kind="anonymous", balance_minor=10_000)
    await till.sell(presented(card), fuel=FUEL)
    _, body, key = line.sent
    await wire.send(await signed(till, body, key=uuid.UUID(key), query=query, version=version, more=more))
    status, _, answered = await wire.answer() if "Expect: 100-continue" not in more else await _after_continue(wire)
    assert (status, answered) == (200, line.answers[-1])


async def _after_continue(wire: Wire) -> tuple[int, dict[str, str], bytes]:
    said = await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), 30)
    assert b" 100 " in said
    return await wire.answer()


async def test_a_request_byte_by_byte_is_one_request(service, wire):
    till, _ = await service.till()
    card = await service.card(kind="anonymous", balance_minor=10_000)
    key = uuid.uuid4()
    await wire.send(*(bytes([byte]) for byte in await signed(till, await sale(till, card, key), key=key)))
    status, headers, body = await wire.answer()
    assert (status, headers["content-type"], json.loads(body)["balance_after_minor"]) == (200, "application/json", 9_500)


async def test_what_is_wrong_is_a_problem_and_the_connection_lives_on(service, wire):
    till, _ = await service.till()
    card = await service.card(kind="anonymous", balance_minor=10_000)
    key = uuid.uuid4()
    good = await sale(till, card, key)
    wrong = {
        "body_too_large": await signed(till, b" " * 70_000, key=uuid.uuid4()),
        "body_not_understood": await signed(till, b'{"card":{},"surprise":1}', key=uuid.uuid4()),
        "request_not_signed": (await signed(till, good, key=key)).replace(b'"nozzle": 3', b'"nozzle": 4'),
        "authorization_not_found": await signed(till, good, key=key, path="/v1/authorizations/none/completions"),
    }
    for code, request in wrong.items():
        await wire.send(request)
        status, headers, body = await wire.answer()
        if code == "authorization_not_found":
            assert status in {400, 404}
            continue
        assert (json.loads(body)["code"], headers["content-type"]) == (code, "application/problem+json"), body
        assert status == json.loads(body)["status"]
    await wire.send(await signed(till, good, key=key))
    status, _, body = await wire.answer()
    assert (status, json.loads(body)["balance_after_minor"]) == (200, 9_500)


async def test_a_client_that_hangs_up_is_booked_once_and_told_on_its_retry(service, wire):
    till, _ = await service.till()
    card = await service.card(kind="anonymous", balance_minor=10_000)
    key = uuid.uuid4()
    body = await sale(till, card, key)
    await wire.send(await signed(till, body, key=key))
    wire.writer.transport.abort()
    again = Wire(*await asyncio.open_connection(urlsplit(service.base_url).hostname, urlsplit(service.base_url).port))
    await again.send(await signed(till, body, key=key))
    status, _, answered = await again.answer()
    again.writer.close()
    assert (status, json.loads(answered)["balance_after_minor"]) == (200, 9_500)
    assert len(await service.rows("SELECT FROM sales WHERE account_id = $1", card.account_id)) == 1
