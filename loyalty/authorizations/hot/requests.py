"""A request on its way through the hot path, and the refusals it may meet."""

import asyncio
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty.authorizations.facts import Place
from loyalty.authorizations.model import Operation
from loyalty.authorizations.rules import Presented
from loyalty.authorizations.wire import AuthorizationRequest, CompletionRequest, SaleRequest
from loyalty.errors import Refusal
from loyalty.ids import NOBODY


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


_local: dict[str, tuple[datetime, datetime]] = {}


def local_time(instant: datetime, zone: str) -> datetime:
    """Return the station's local time; a batch asks for its one instant a hundred times."""
    known = _local.get(zone)
    if known is not None and known[0] is instant:
        return known[1]
    local = instant.astimezone(ZoneInfo(zone))
    _local[zone] = instant, local
    return local


def business_day(instant: datetime, place: Place) -> date:
    """Return the station's day of an instant."""
    return local_time(instant, place.zone).date()
