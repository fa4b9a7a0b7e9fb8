"""Keys of companies' own systems: made, shown once, counted, revoked. Times are real ones, as for sessions."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.db import locked
from loyalty.errors import NotAllowed
from loyalty.fleet.model_api import ApiScope, CompanyApiKey
from loyalty.identity.operations.bearer_keys import (
    A_MINUTE,
    ApiBudgetSpent,
    ApiKeyNotFound,
    ApiKeyNotValid,
    TooManyApiKeys,
    count_request,
    new_bearer_key,
)
from loyalty.ids import uuid7

__all__ = [
    "A_MINUTE",
    "KEYS_MAX",
    "ApiBudgetSpent",
    "ApiCaller",
    "ApiKeyNotFound",
    "ApiKeyNotValid",
    "ApiScopeMissing",
    "TooManyApiKeys",
    "enter_with_key",
    "make_api_key",
    "revoke_api_key",
]

KEYS_MAX: Final = 20
"""Living keys of one company."""
_BEGINS: Final = "lfk_"


class ApiScopeMissing(NotAllowed):
    """The key is good, but not for that."""

    zh = "该密钥没有“{scope}”权限。"
    en = 'This key may not do that: it lacks the scope "{scope}".'
    next_zh = "请管理员新建带此权限的密钥。"
    next_en = "Ask an owner for a key with that scope."


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
    made = new_bearer_key(_BEGINS)
    row = CompanyApiKey(
        key_id=uuid7(now),
        company_id=company_id,
        name=name,
        prefix=made.prefix,
        key_hash=made.key_hash,
        may_order=may_order,
        made_by=str(actor.actor_id),
        made_at=now,
        used=0,
    )
    session.add(row)
    await session.flush()
    facts = {"name": name, "prefix": row.prefix, "may_order": may_order}
    await audit.record(session, actor=actor, action="fleet.api_key_made", subject=("api_key", row.key_id), facts=facts, now=now)
    return made.key


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
    row: CompanyApiKey = await count_request(session, CompanyApiKey, key=key, now=now)
    scopes = frozenset(ApiScope) if row.may_order else frozenset({ApiScope.READ})
    return ApiCaller(row.key_id, row.company_id, row.prefix, scopes)
