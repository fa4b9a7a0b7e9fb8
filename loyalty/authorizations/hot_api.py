"""The hot routes, mounted below Litestar's handler machinery: msgspec in, msgspec out.

    POST /v1/authorizations                      ask before fuel flows
    POST /v1/authorizations/{ref}/completions    book what was dispensed
    POST /v1/sales                               sell in one step: pay after filling, shop

Their OpenAPI operations are made from the same structs (`openapi.py`).
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from loyalty import clock
from loyalty.cards.numbers import check_value_index, number_index
from loyalty.crypto import Purpose, SealedPinError, TokenError, open_pin, read_token, request_fingerprint
from loyalty.errors import OutcomeUnknown, Refusal, problem
from loyalty.signing import SignatureHeaders

from .callers import Caller, IdempotencyKeyNeeded, caller_of, known_caller, signed_headers
from .hot import AuthorizationNotFound, HotRequest
from .model import Operation
from .rules import Presented, ShownDriverCard
from .wire import AuthorizationRequest, CompletionRequest, Credential, DriverCard, Record, SaleRequest, parse_reference
from .worker import Pump

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_MAX: Final = 64 * 1024
_authorization: Final = msgspec.json.Decoder(AuthorizationRequest)
_completion: Final = msgspec.json.Decoder(CompletionRequest)
_sale: Final = msgspec.json.Decoder(SaleRequest)

_AUTHORIZATIONS: Final = "/v1/authorizations"
_SALES: Final = "/v1/sales"
_COMPLETIONS: Final = "/completions"
_EXACT: Final = frozenset({_AUTHORIZATIONS, _SALES})
_PREFIX: Final = len(_AUTHORIZATIONS) + 1

JSON_HEADERS: Final = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
PROBLEM_HEADERS: Final = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]


class BodyNotUnderstood(Refusal):
    """The body is not the JSON this operation takes."""

    status = 400
    zh = "请求内容无法识别：{fault}。"
    en = "The body is not understood: {fault}."
    next_zh = "请对照 /schema/openapi.json 检查字段。"
    next_en = "Compare the fields with /schema/openapi.json."


class BodyTooLarge(Refusal):
    """No request of this API is that large."""

    status = 413
    zh = "请求内容过大。"
    en = "The body is too large."


class HolderToken(msgspec.Struct, forbid_unknown_fields=True):
    """What a holder's dynamic code carries: the card's blind index, and its version, which a fill paid by the code raises: it pays once."""

    index: bytes
    version: int
    nonce: str = ""


def read_code(token: str) -> HolderToken:
    """Read a holder's dynamic code.

    :raises TokenError: if it is none of ours, or too old
    """
    return read_token(Purpose.QR_TOKEN, token, now=clock.real_now(), payload=HolderToken)


def is_hot(path: str) -> bool:
    """Say whether a path belongs to the hot routes."""
    return path in _EXACT or (path.startswith(_AUTHORIZATIONS + "/") and path.endswith(_COMPLETIONS))


def problem_of(error: BaseException) -> tuple[int, bytes]:
    """Return status and problem document for what came instead of an answer; what is not a refusal is logged and said to be unknown."""
    if not isinstance(error, Refusal):
        log.error("hot route failed", exc_info=error)
        error = OutcomeUnknown()
    return error.status, msgspec.json.encode(problem(error))


def raw_path(scope: Scope) -> bytes:
    """Return the path as it stands on the request line."""
    raw: bytes | None = scope["raw_path"]
    return raw or scope["path"].encode()


class HotRoutes:
    """The ASGI application of the hot routes, and the short way to them that needs no ASGI."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of a hot path; POST only."""
        try:
            body = await _body(receive)
            signed = signed_headers(scope["headers"])
            answer = await self.answer(scope["path"], body, raw_path(scope), scope["query_string"], signed)
        except Exception as error:  # noqa: BLE001 - said to the till as a problem
            status, said = problem_of(error)
            await _respond(send, status, PROBLEM_HEADERS, said)
        else:
            await _respond(send, 200, JSON_HEADERS, answer)

    def begin(self, path: str, body: bytes, raw_path: bytes, signed: SignatureHeaders) -> asyncio.Future[bytes]:
        """Verify, decode and queue at once, without a task where nothing has to be waited for; the future gives the answer's bytes.

        :raises Refusal: signature, body, key
        """
        caller = known_caller(self._pump, method="POST", path=raw_path, query=b"", body=body, signed=signed)
        if caller is None:
            return asyncio.ensure_future(self.answer(path, body, raw_path, b"", signed))
        return self._queued(path, caller, body)

    async def answer(self, path: str, body: bytes, raw_path: bytes, query: bytes, signed: SignatureHeaders) -> bytes:
        """Verify, decode, queue, and wait for the commit.

        :raises Refusal: signature, body, key, unknown authorisation, or an unknown outcome
        """
        caller = await caller_of(self._pump, method="POST", path=raw_path, query=query, body=body, signed=signed)
        return await self._queued(path, caller, body)

    def _queued(self, path: str, caller: Caller, body: bytes) -> asyncio.Future[bytes]:
        if caller.key is None:
            raise IdempotencyKeyNeeded
        return self._pump.submit(self._request(path, caller, caller.key, body))

    def _request(self, path: str, caller: Caller, key: UUID, body: bytes) -> HotRequest:
        try:
            if path == _SALES:
                sale = _sale.decode(body)
                return request_with_card(Operation.SALE, sale, sale.card, caller, key, body)
            if path == _AUTHORIZATIONS:
                wanted = _authorization.decode(body)
                return request_with_card(Operation.AUTHORISE, wanted, wanted.card, caller, key, body)
            completion = _completion.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BodyNotUnderstood(fault=str(error)) from None
        both = parse_reference(path[_PREFIX : -len(_COMPLETIONS)])
        if both is None:
            raise AuthorizationNotFound
        return HotRequest(
            Operation.COMPLETE,
            completion,
            place=caller.place,
            key=key,
            fingerprint=fingerprint_of(Operation.COMPLETE, body, None, path),
            account_id=both[0],
            authorization_id=both[1],
            trusted=caller.trusted,
            **record_of(completion.record, caller, body, completion.event_at),
        )


def request_with_card(
    operation: Operation, body: AuthorizationRequest | SaleRequest, card: Credential, caller: Caller, key: UUID, raw: bytes
) -> HotRequest:
    """Make the request of an authorisation or a sale: the card found by its index, the PIN opened, the code read."""
    presented, index = present(card, caller, key)
    driver = body.driver_number or ""
    if body.driver_card is not None:
        if body.driver_number is not None:
            raise BodyNotUnderstood(fault="driver_number and driver_card say the same: give one of them")
        presented.driver_card, driver = shown_driver_card(body.driver_card), body.driver_card.reference
    if body.driver_pin:
        try:
            presented.driver_pin = open_pin(body.driver_pin, session=caller.session.keys, card=driver, request_key=str(key))
        except SealedPinError:
            presented.driver_pin_unreadable = True
    return HotRequest(
        operation,
        body,
        place=caller.place,
        key=key,
        fingerprint=fingerprint_of(operation, raw, card.pin, "", body.driver_pin),
        number_index=index,
        presented=presented,
        trusted=caller.trusted,
        **record_of(body.record, caller, raw, body.event_at),
    )


def present(card: Credential, caller: Caller, key: UUID) -> tuple[Presented, bytes]:
    """Read what the holder showed. Return it and the card's blind index (empty where there is none)."""
    presented = Presented()
    index = b""
    if card.number is not None:
        index = number_index(card.number)
    if card.token is not None:
        try:
            code = read_code(card.token)
            index, presented.token_version = code.index, code.version
            presented.token_ok = True
        except TokenError:
            presented.token_wrong = True
    if card.check_value is not None:
        presented.check_value_index = check_value_index(card.number or "", card.check_value)
    if card.pin:
        try:
            presented.pin = open_pin(card.pin, session=caller.session.keys, card=card.number or card.token or "", request_key=str(key))
        except SealedPinError:
            presented.pin_unreadable = True
    return presented, index


def shown_driver_card(card: DriverCard) -> ShownDriverCard:
    """Read the driver's own card; a code that is none of ours is nobody's."""
    if card.number is not None:
        checked = None if card.check_value is None else check_value_index(card.number, card.check_value)
        return ShownDriverCard(number_index(card.number), checked)
    try:
        code = read_code(card.reference)
    except TokenError:
        return ShownDriverCard(b"")
    return ShownDriverCard(code.index, token_version=code.version)


def fingerprint_of(operation: Operation, body: bytes, pin: str | None, path: str, driver_pin: str | None = None) -> bytes:
    """Return the keyed fingerprint of a request, its sealed PINs left out: a retry may seal them again."""
    without = body if pin is None else body.replace(pin.encode(), b"", 1)
    if driver_pin:
        without = without.replace(driver_pin.encode(), b"", 1)
    return request_fingerprint(b"%d\n%b\n%b" % (operation, path.encode(), without))[:16]


def record_of(record: Record | None, caller: Caller, body: bytes, event_at: datetime | None) -> dict[str, Any]:
    """Return a request's place in its till's chain."""
    if record is None:
        return {"epoch": caller.session.epoch, "event_at": event_at}
    return {
        "epoch": caller.session.epoch,
        "sequence": record.sequence,
        "record_hash": hashlib.sha256(body).digest(),
        "previous_hash": record.previous,
        "event_at": event_at,
    }


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > BODY_MAX:
            raise BodyTooLarge
        return body
    parts = [body]
    size = len(body)
    while message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_MAX:
            raise BodyTooLarge
    return b"".join(parts)


async def _respond(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
