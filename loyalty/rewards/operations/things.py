"""Things that were granted: vouchers and free washes are issued, gifts become rights, each once; a refund takes back what is unused."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.cards.model import Card
from loyalty.ledger.model import Account
from loyalty.rewards.model_grants import VALUES, Grant, GrantKind, GrantStatus
from loyalty.rewards.queries.gifts import gifts_by_code
from loyalty.rewards.queries.vouchers import kinds_by_code

from . import gifts, vouchers

COLLECTOR: Final = Actor(ActorKind.SYSTEM, "jobs.rewards")
SOURCE: Final = "grant"
_POSTPONED: Final = timedelta(days=1)


def source_of(source_id: UUID, rule: str, kind: GrantKind) -> str:
    """Return the number under which a grant's things are issued: they are issued once for it."""
    return f"{source_id}:{rule}:{kind.value}"


async def hand_out_due(session: AsyncSession, *, now: datetime, most: int = 500) -> int:
    """Issue vouchers and washes, and grant rights to gifts, of grants whose time has come; return how many grants.

    A voucher kind's limit may give fewer: the grant then says how many. A code that nothing has yet is tried again a day later.
    """
    due = (
        select(Grant, Account.customer_id, Card.plate)
        .join(Account, Account.account_id == Grant.account_id)
        .join(Card, Card.card_id == Grant.card_id, isouter=True)
        .where(Grant.status == GrantStatus.PENDING, Grant.kind.not_in(VALUES), Grant.active_at <= now)
        .order_by(Grant.active_at)
        .limit(most)
        .with_for_update(of=Grant, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    found = [Due(*row) for row in await session.execute(due)]
    gifts_due = [one for one in found if one.grant.kind is GrantKind.GIFT]
    done = await _grant_gifts(session, gifts_due, now)
    done += await _issue_vouchers(session, [one for one in found if one.grant.kind is not GrantKind.GIFT], now)
    await session.flush()
    return done


class Due(NamedTuple):
    """A grant whose time has come, and for whom."""

    grant: Grant
    customer_id: UUID | None
    plate: str | None


def _known(due: Sequence[Due], codes: Collection[str], now: datetime) -> list[Due]:
    """Return those whose code there is; the others are put off."""
    for one in due:
        if one.grant.item not in codes:
            one.grant.active_at = now + _POSTPONED
    return [one for one in due if one.grant.item in codes]


async def _issue_vouchers(session: AsyncSession, due: Sequence[Due], now: datetime) -> int:
    known = await kinds_by_code(session, codes={str(one.grant.item) for one in due})
    ready = _known(due, known, now)
    wishes = [
        vouchers.VoucherWish(
            kind=str(grant.item),
            source_kind=SOURCE,
            source_id=source_of(grant.source_id, grant.rule, grant.kind),
            customer_id=customer_id,
            account_id=grant.account_id,
            plate=plate,
            wanted=grant.amount - grant.returned,
        )
        for grant, customer_id, plate in ready
    ]
    if wishes:
        issued = await vouchers.issue_many(session, wishes=wishes, actor=COLLECTOR, now=now)
        for one, answer in zip(ready, issued, strict=True):
            one.grant.status, one.grant.posted = GrantStatus.ACTIVE, answer.given
    return len(ready)


async def _grant_gifts(session: AsyncSession, due: Sequence[Due], now: datetime) -> int:
    known = await gifts_by_code(session, codes={str(one.grant.item) for one in due})
    ready = _known(due, known, now)
    wishes = [
        gifts.GiftWish(
            gift=str(grant.item),
            source_kind=SOURCE,
            source_id=source_of(grant.source_id, grant.rule, grant.kind),
            customer_id=customer_id,
            account_id=grant.account_id,
            pieces=grant.amount - grant.returned,
        )
        for grant, customer_id, _ in ready
    ]
    if wishes:
        await gifts.grant_gifts(session, wishes=wishes, actor=COLLECTOR, now=now)
        for one in ready:
            one.grant.status, one.grant.posted = GrantStatus.ACTIVE, one.grant.amount - one.grant.returned
    return len(ready)


async def take_back(session: AsyncSession, grant: Grant, *, pieces: int, now: datetime) -> int:
    """Cancel so many unused pieces of a grant's things; return how many were. A right to a gift goes back with the last of its pieces."""
    number = source_of(grant.source_id, grant.rule, grant.kind)
    if grant.kind is GrantKind.GIFT:
        if grant.returned + pieces < grant.amount:
            return 0
        gone = await gifts.take_back_gifts(session, source_kind=SOURCE, source_id=number, reason="refund", actor=COLLECTOR, now=now)
        return min(gone.cancelled, pieces)
    back = await vouchers.take_back(session, source_kind=SOURCE, source_id=number, reason="refund", actor=COLLECTOR, pieces=pieces, now=now)
    return back.cancelled
