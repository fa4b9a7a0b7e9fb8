"""Keys of companies' own systems: made, shown once, counted, revoked. Times are real ones, as for sessions."""

import hashlib
import secrets
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import case, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.db import locked
from loyalty.errors import NotAllowed, NotFound, Refusal
from loyalty.fleet.model_api import ApiScope, CompanyApiKey
from loyalty.ids import uuid7

A_MINUTE: Final = 120
"""Requests of one key in a minute of the clock."""
KEYS_MAX: Final = 20
"""Living keys of one company."""
_BEGINS: Final = "lfk_"
_SHOWN: Final = len(_BEGINS) + 6


class ApiKeyNotFound(NotFound):
    """Unknown, or another company's: the answer is the same."""

    zh = "没有找到该接口密钥。"
    en = "There is no such API key."


class ApiKeyNotValid(Refusal):
    """Missing, unknown or revoked: the answer is the same."""

    status = 401
    zh = "接口密钥缺失、无效或已吊销。"
    en = "The API key is missing, unknown or revoked."
    next_zh = "请在请求头中发送 Authorization: Bearer 加密钥，或请管理员新建密钥。"
    next_en = "Send it as Authorization: Bearer and the key, or ask an owner for a new one."


class ApiScopeMissing(NotAllowed):
    """The key is good, but not for that."""

    zh = "该密钥没有“{scope}”权限。"
    en = 'This key may not do that: it lacks the scope "{scope}".'
    next_zh = "请管理员新建带此权限的密钥。"
    next_en = "Ask an owner for a key with that scope."


class ApiBudgetSpent(Refusal):
    """More requests in a minute than one key has."""

    status = 429
    zh = "该密钥每分钟最多 {budget} 次请求。"
    en = "This key has {budget} requests a minute."
    next_zh = "请在 {seconds} 秒后重试。"
    next_en = "Try again in {seconds} seconds."


class TooManyApiKeys(Refusal):
    """A company keeps some, not hundreds."""

    zh = "最多保留 {most} 个有效密钥。"
    en = "A company keeps at most {most} keys."
    next_zh = "请先吊销不用的密钥。"
    next_en = "Revoke one that is not used first."


class ApiCaller(NamedTuple):
    """A company's system, as one request sees it."""

    key_id: UUID
    company_id: UUID
    prefix: str
    scopes: frozenset[ApiScope]

    def require(self, scope: ApiScope) -> None:
        """Let the key do it.

        :raises ApiScopeMissing: if it lacks the scope
        """
        if scope not in self.scopes:
            raise ApiScopeMissing(scope=scope.value)


async def make_api_key(session: AsyncSession, *, company_id: UUID, name: str, may_order: bool, actor: Actor, now: datetime) -> str:
    """Make a key and return it: it is shown once and kept as a hash. 256 random bits need no slow one.

    :raises TooManyApiKeys: if the company has its twenty
    """
    living = select(func.count()).where(CompanyApiKey.company_id == company_id, CompanyApiKey.revoked_at.is_(None))
    if int(await session.scalar(living) or 0) >= KEYS_MAX:
        raise TooManyApiKeys(most=KEYS_MAX)
    key = _BEGINS + secrets.token_urlsafe(32)
    row = CompanyApiKey(
        key_id=uuid7(now),
        company_id=company_id,
        name=name,
        prefix=key[:_SHOWN],
        key_hash=_hash(key),
        may_order=may_order,
        made_by=str(actor.actor_id),
        made_at=now,
        used=0,
    )
    session.add(row)
    await session.flush()
    facts = {"name": name, "prefix": row.prefix, "may_order": may_order}
    await audit.record(session, actor=actor, action="fleet.api_key_made", subject=("api_key", row.key_id), facts=facts, now=now)
    return key


async def revoke_api_key(session: AsyncSession, *, company_id: UUID, key_id: UUID, actor: Actor, now: datetime) -> None:
    """End a key at once; ended again it stays as it is.

    :raises ApiKeyNotFound: if the company has no such key
    """
    row: CompanyApiKey | None = await session.scalar(locked(select(CompanyApiKey).where(CompanyApiKey.key_id == key_id)))
    if row is None or row.company_id != company_id:
        raise ApiKeyNotFound(key=key_id)
    if row.revoked_at is not None:
        return
    row.revoked_at = now
    await session.flush()
    facts = {"name": row.name, "prefix": row.prefix}
    await audit.record(session, actor=actor, action="fleet.api_key_revoked", subject=("api_key", key_id), facts=facts, now=now)


async def enter_with_key(session: AsyncSession, *, key: str, now: datetime) -> ApiCaller:
    """Return whose key it is, and count the request: one statement, whose row lock makes the budget exact.

    :raises ApiKeyNotValid: if it is missing, unknown or revoked
    :raises ApiBudgetSpent: if its minute is used up
    """
    minute = now.replace(second=0, microsecond=0)
    counted = (
        update(CompanyApiKey)
        .where(CompanyApiKey.key_hash == _hash(key), CompanyApiKey.revoked_at.is_(None))
        .values(used=case((CompanyApiKey.minute_at == minute, CompanyApiKey.used + 1), else_=1), minute_at=minute, last_used_at=now)
        .returning(CompanyApiKey.key_id, CompanyApiKey.company_id, CompanyApiKey.prefix, CompanyApiKey.may_order, CompanyApiKey.used)
    )
    row = (await session.execute(counted)).one_or_none()
    if row is None:
        raise ApiKeyNotValid
    if row.used > A_MINUTE:
        raise ApiBudgetSpent(budget=A_MINUTE, seconds=60 - now.second)
    scopes = frozenset(ApiScope) if row.may_order else frozenset({ApiScope.READ})
    return ApiCaller(row.key_id, row.company_id, row.prefix, scopes)


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
