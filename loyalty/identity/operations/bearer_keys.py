"""Keys with which a tenant's own systems come in: made once and shown once, kept as a hash, counted, revoked. Times are real ones.

256 random bits need no slow hash. The tables of keys look alike in what is written here: `key_hash`, `revoked_at`, `minute_at`, `used`,
`last_used_at`.
"""

import hashlib
import secrets
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import case, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.errors import NotFound, Refusal

A_MINUTE: Final = 120
"""Requests of one key in a minute of the clock."""
_SHOWN: Final = 6


class ApiKeyNotFound(NotFound):
    """Unknown, or another tenant's: the answer is the same."""

    zh = "没有找到该接口密钥。"
    en = "There is no such API key."


class ApiKeyNotValid(Refusal):
    """Missing, unknown or revoked: the answer is the same."""

    status = 401
    zh = "接口密钥缺失、无效或已吊销。"
    en = "The API key is missing, unknown or revoked."
    next_zh = "请在请求头中发送 Authorization: Bearer 加密钥，或请管理员新建密钥。"
    next_en = "Send it as Authorization: Bearer and the key, or ask an owner for a new one."


class ApiBudgetSpent(Refusal):
    """More requests in a minute than one key has."""

    status = 429
    zh = "该密钥每分钟最多 {budget} 次请求。"
    en = "This key has {budget} requests a minute."
    next_zh = "请在 {seconds} 秒后重试。"
    next_en = "Try again in {seconds} seconds."


class TooManyApiKeys(Refusal):
    """A tenant keeps some, not hundreds."""

    zh = "最多保留 {most} 个有效密钥。"
    en = "At most {most} keys are kept."
    next_zh = "请先吊销不用的密钥。"
    next_en = "Revoke one that is not used first."


class NewKey(NamedTuple):
    """A key that was just made: in clear, as lists show it, as its row keeps it."""

    key: str
    prefix: str
    key_hash: bytes


def new_bearer_key(begins: str) -> NewKey:
    """Make a key that begins so."""
    key = begins + secrets.token_urlsafe(32)
    return NewKey(key, key[: len(begins) + _SHOWN], key_hash(key))


def key_hash(key: str) -> bytes:
    """Return what a row keeps of a key."""
    return hashlib.sha256(key.encode()).digest()


def bearer_of(header: str) -> str:
    """Return the key of an `Authorization` header.

    :raises ApiKeyNotValid: if it has none
    """
    scheme, _, key = header.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise ApiKeyNotValid
    return key.strip()


async def count_request(session: AsyncSession, table: Any, *, key: str, now: datetime) -> Any:
    """Return the row of a living key and count the request: one statement, whose row lock makes the budget exact.

    :raises ApiKeyNotValid: if it is unknown or revoked
    :raises ApiBudgetSpent: if its minute is used up
    """
    minute = now.replace(second=0, microsecond=0)
    counted = (
        update(table)
        .where(table.key_hash == key_hash(key), table.revoked_at.is_(None))
        .values(used=case((table.minute_at == minute, table.used + 1), else_=1), minute_at=minute, last_used_at=now)
        .returning(table)
        .execution_options(populate_existing=True)
    )
    row = (await session.scalars(counted)).one_or_none()
    if row is None:
        raise ApiKeyNotValid
    if row.used > A_MINUTE:
        raise ApiBudgetSpent(budget=A_MINUTE, seconds=60 - now.second)
    return row
