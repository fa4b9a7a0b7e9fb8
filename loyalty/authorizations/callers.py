"""Who is calling: a till whose request is signed under its day session. One function for hot and ordinary routes."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from loyalty import clock
from loyalty.errors import Refusal
from loyalty.identity.queries import DaySession
from loyalty.ids import fast_uuid
from loyalty.signing import SignatureFault, SignatureHeaders, signature_headers, signing_key_id, verify_request

from .facts import Place
from .worker import Pump


class RequestNotSigned(Refusal):
    """The request's signature is missing, stale or wrong."""

    status = 401
    zh = "请求签名无效（{fault}）。"
    en = "The request's signature is not valid ({fault})."
    next_zh = "请校准终端时钟，重新开启日会话后用同一幂等键重试。"
    next_en = "Set the terminal's clock, open a new day session, retry with the same idempotency key."


class IdempotencyKeyNeeded(Refusal):
    """Every write carries an idempotency key, a UUID."""

    status = 400
    zh = "缺少幂等键，或不是 UUID。"
    en = "The Idempotency-Key header is missing or is not a UUID."
    next_zh = "每笔业务请生成一个新的 UUID，重试时沿用。"
    next_en = "Make a new UUID for each operation and keep it for retries."


class Caller(NamedTuple):
    """A till that signed, where it stands, and whether it is trusted with new business."""

    session: DaySession
    place: Place
    key: UUID | None
    trusted: bool


def known_caller(pump: Pump, *, method: str, path: bytes, query: bytes, body: bytes, signed: SignatureHeaders) -> Caller | None:
    """Verify a request's signature and say who sent it, without waiting; None where session or place must be asked for first.

    :raises RequestNotSigned: if the signature does not hold
    :raises IdempotencyKeyNeeded: if a write has no key
    """
    session = pump.known_session(_claimed(signed))
    if session is None:
        return None
    snapshot, terminal_id = pump.snapshot, session.terminal_id
    place = snapshot.places.get(terminal_id)
    if place is None or snapshot.epochs.get(terminal_id, 0) < session.epoch:
        return None
    return _believed(pump, session, place, signed, method, path, query, body, clock.real_now())


async def caller_of(pump: Pump, *, method: str, path: bytes, query: bytes, body: bytes, signed: SignatureHeaders) -> Caller:
    """Verify a request's signature and say who sent it.

    `trusted` is False for a till that is quarantined, revoked, or signs with an older epoch's session: what it reports is still booked.

    :raises RequestNotSigned: if the signature does not hold
    :raises IdempotencyKeyNeeded: if a write has no key
    """
    session_id = _claimed(signed)
    now = clock.real_now()
    session = pump.known_session(session_id) or await pump.meet_session(session_id, now)
    if session is None:
        raise RequestNotSigned(fault=SignatureFault.UNKNOWN_KEY.value)
    if pump.snapshot.epochs.get(session.terminal_id, 0) < session.epoch:
        # Enrolled since the snapshot was read: without this its first request would meet a till of an older epoch.
        await pump.reload()
    place = pump.snapshot.places.get(session.terminal_id) or await pump.place_of(session.terminal_id)
    return _believed(pump, session, place, signed, method, path, query, body, now)


def signed_headers(headers: list[tuple[bytes, bytes]]) -> SignatureHeaders:
    """Pick what a signature lives in from a request's headers (names in lower case).

    :raises RequestNotSigned: if one of them comes twice
    """
    picked = signature_headers(headers)
    if isinstance(picked, SignatureFault):
        raise RequestNotSigned(fault=picked.value)
    return picked


def _claimed(signed: SignatureHeaders) -> str:
    """Return the day session that a request names."""
    session_id = signing_key_id(signed)
    if session_id is None:
        raise RequestNotSigned(fault=(SignatureFault.MISSING if signed.signature_input is None else SignatureFault.MALFORMED).value)
    return session_id


def _believed(
    pump: Pump,
    session: DaySession,
    place: Place | None,
    signed: SignatureHeaders,
    method: str,
    path: bytes,
    query: bytes,
    body: bytes,
    now: datetime,
) -> Caller:
    mac = session.keys.mac if session.is_open(now) else None
    verified = verify_request(method=method, path=path, query=query, body=body, headers=signed, mac=mac, now=now)
    if isinstance(verified, SignatureFault):
        raise RequestNotSigned(fault=verified.value)
    if place is None:
        raise RequestNotSigned(fault=SignatureFault.UNKNOWN_KEY.value)
    key: UUID | None = None
    if signed.idempotency_key is not None:
        try:
            key = fast_uuid(signed.idempotency_key.decode("ascii"))
        except ValueError:
            raise IdempotencyKeyNeeded from None
    if place.terminal_status != "active":
        return Caller(session, place, key, trusted=False)
    if session.revoked or pump.snapshot.epochs.get(session.terminal_id) != session.epoch:
        return Caller(session, place._replace(terminal_status="revoked"), key, trusted=False)
    return Caller(session, place, key, trusted=True)
