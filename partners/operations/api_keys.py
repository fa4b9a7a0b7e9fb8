"""Keys of partners' own tills: made, shown once, revoked; and what each of their requests is answered, once for ever."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import request_fingerprint
from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.identity.operations.bearer_keys import ApiKeyNotFound, TooManyApiKeys, count_request, new_bearer_key
from loyalty.ids import uuid7
from partners.model import PartnerOutlet
from partners.model_api import PartnerApiKey, PartnerRequest

from .redeeming import KeyReused

KEYS_MAX: Final = 20
"""Living keys of one partner."""
_BEGINS: Final = "lpk_"


class OutletNotReached(NotFound):
    """Unknown, another partner's, or out of the key's reach: the answer is the same."""

    zh = "没有此网点，或该密钥不适用于此网点。"
    en = "There is no such outlet for this key."


class TillCaller(NamedTuple):
    """A partner's till, as one request sees it."""

    key_id: UUID
    partner_id: UUID
    prefix: str
    outlets: frozenset[UUID] | None
    """None: every outlet of the partner."""

    def actor(self, address: str | None) -> Actor:
        """Return whom the trail names."""
        return Actor(ActorKind.PARTNER, f"key {self.prefix}", address)


class Answered(NamedTuple):
    """What a request is answered."""

    status: int
    body: bytes


async def make_key(
    session: AsyncSession, *, partner_id: UUID, name: str, outlets: Sequence[UUID] | None, actor: Actor, now: datetime
) -> str:
    """Make a key for all outlets (None) or some of them, and return it: shown once, kept as a hash. `now` is real.

    :raises OutletNotReached: if an outlet is none of the partner's
    :raises TooManyApiKeys: if the partner has its twenty
    """
    one = PartnerApiKey
    living = select(func.count()).where(one.partner_id == partner_id, one.revoked_at.is_(None))
    if int(await session.scalar(living) or 0) >= KEYS_MAX:
        raise TooManyApiKeys(most=KEYS_MAX)
    if outlets is not None:
        known = select(PartnerOutlet.outlet_id).where(PartnerOutlet.partner_id == partner_id, PartnerOutlet.outlet_id.in_(outlets))
        if not outlets or set(await session.scalars(known)) != set(outlets):
            raise OutletNotReached
    made = new_bearer_key(_BEGINS)
    row = PartnerApiKey(
        key_id=uuid7(now),
        partner_id=partner_id,
        name=name,
        outlets=None if outlets is None else list(outlets),
        prefix=made.prefix,
        key_hash=made.key_hash,
        made_by=f"{actor.kind.value}:{actor.actor_id}",
        made_at=now,
        used=0,
    )
    session.add(row)
    await session.flush()
    facts = {"partner": partner_id, "name": name, "prefix": row.prefix, "outlets": None if outlets is None else list(outlets)}
    await audit.record(session, actor=actor, action="partners.api_key_made", subject=("api_key", row.key_id), facts=facts, now=now)
    return made.key


async def revoke_key(session: AsyncSession, *, partner_id: UUID, key_id: UUID, actor: Actor, now: datetime) -> None:
    """End a key at once; ended again it stays as it is.

    :raises ApiKeyNotFound: if the partner has no such key
    """
    row: PartnerApiKey | None = await session.scalar(locked(select(PartnerApiKey).where(PartnerApiKey.key_id == key_id)))
    if row is None or row.partner_id != partner_id:
        raise ApiKeyNotFound(key=key_id)
    if row.revoked_at is not None:
        return
    row.revoked_at = now
    await session.flush()
    facts = {"partner": partner_id, "name": row.name, "prefix": row.prefix}
    await audit.record(session, actor=actor, action="partners.api_key_revoked", subject=("api_key", key_id), facts=facts, now=now)


async def enter(session: AsyncSession, *, key: str, now: datetime) -> TillCaller:
    """Return whose key it is, and count the request. `now` is real.

    :raises ApiKeyNotValid, ApiBudgetSpent: as `bearer_keys.count_request`
    """
    row: PartnerApiKey = await count_request(session, PartnerApiKey, key=key, now=now)
    return TillCaller(row.key_id, row.partner_id, row.prefix, None if row.outlets is None else frozenset(row.outlets))


async def outlet_for(session: AsyncSession, *, caller: TillCaller, code: str) -> UUID:
    """Return the outlet of a code, if the key reaches it.

    :raises OutletNotReached: if it does not
    """
    of = (PartnerOutlet.partner_id == caller.partner_id, PartnerOutlet.code == code)
    found: UUID | None = await session.scalar(select(PartnerOutlet.outlet_id).where(*of))
    if found is None or (caller.outlets is not None and found not in caller.outlets):
        raise OutletNotReached
    return found


async def answered_before(session: AsyncSession, *, outlet_id: UUID, key: UUID, said: bytes) -> Answered | None:
    """Return what a key was answered at an outlet; None where it is new.

    :raises KeyReused: if it carried another request
    """
    one = PartnerRequest
    found = (
        await session.execute(select(one.fingerprint, one.status, one.answer).where(one.outlet_id == outlet_id, one.key == key))
    ).one_or_none()
    if found is None:
        return None
    if found.fingerprint != request_fingerprint(said):
        raise KeyReused
    return Answered(found.status, found.answer)


async def answer_once(
    session: AsyncSession,
    *,
    partner_id: UUID,
    outlet_id: UUID,
    key: UUID,
    said: bytes,
    status: int,
    perform: Callable[[], Awaitable[Any]],
    now: datetime,
) -> Answered:
    """Do what a request asks and keep its answer with it, in one transaction; who comes second waits and gets the first's bytes.

    A refusal keeps nothing: the request may be made again under the same key.

    :param said: the address and body of the request, as they came
    :raises KeyReused: if the key carried another request
    """
    known = await answered_before(session, outlet_id=outlet_id, key=key, said=said)
    if known is not None:
        return known
    body = msgspec.json.encode(await perform())
    made = await session.scalar(
        upsert(PartnerRequest)
        .values(
            outlet_id=outlet_id,
            key=key,
            partner_id=partner_id,
            fingerprint=request_fingerprint(said),
            status=status,
            answer=body,
            answered_at=now,
        )
        .on_conflict_do_nothing(index_elements=["outlet_id", "key"])
        .returning(PartnerRequest.key)
    )
    if made is not None:
        return Answered(status, body)
    # Another request of this key was done in the same moment: what was done here had its effect there, once, and the first's words stand.
    first = await answered_before(session, outlet_id=outlet_id, key=key, said=said)
    assert first is not None, "it was there a moment ago"
    return first
