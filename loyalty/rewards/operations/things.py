"""Things that were granted: vouchers and free washes are issued, gifts become rights, each once; a refund takes back what is unused."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.cards.model import Card
from loyalty.ledger.model import Account
from loyalty.rewards.model_grants import Grant, GrantKind, GrantStatus
from loyalty.rewards.queries.vouchers import kinds_by_code

from . import vouchers

COLLECTOR: Final = Actor(ActorKind.SYSTEM, "jobs.rewards")
SOURCE: Final = "grant"
_VOUCHERS: Final = (GrantKind.VOUCHER, GrantKind.WASH)
_POSTPONED: Final = timedelta(days=1)


def source_of(source_id: UUID, rule: str, kind: GrantKind) -> str:
    """Return the number under which a grant's things are issued: they are issued once for it."""
    return f"{source_id}:{rule}:{kind.value}"


async def hand_out_due(session: AsyncSession, *, now: datetime, most: int = 500) -> int:
    """Issue the vouchers and washes of grants whose time has come; return how many grants.

    A limit of the kind may give fewer: the grant then says how many. A code that no kind has yet is tried again a day later.
    """
    due = (
        select(Grant, Account.customer_id, Card.plate)
        .join(Account, Account.account_id == Grant.account_id)
        .join(Card, Card.card_id == Grant.card_id, isouter=True)
        .where(Grant.status == GrantStatus.PENDING, Grant.kind.in_(_VOUCHERS), Grant.active_at <= now)
        .order_by(Grant.active_at)
        .limit(most)
        .with_for_update(of=Grant, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    found = (await session.execute(due)).all()
    known = await kinds_by_code(session, codes={grant.item for grant, _, _ in found if grant.item is not None})
    ready = [row for row in found if row[0].item in known]
    for grant, _, _ in found:
        if grant.item not in known:
            grant.active_at = now + _POSTPONED
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
    issued: Sequence[vouchers.Issued] = await vouchers.issue_many(session, wishes=wishes, actor=COLLECTOR, now=now) if wishes else ()
    for (grant, _, _), answer in zip(ready, issued, strict=True):
        grant.status, grant.posted = GrantStatus.ACTIVE, answer.given
    await session.flush()
    return len(ready)


async def take_back(session: AsyncSession, grant: Grant, *, pieces: int, now: datetime) -> int:
    """Cancel so many unused pieces of a grant's things; return how many were."""
    number = source_of(grant.source_id, grant.rule, grant.kind)
    back = await vouchers.take_back(session, source_kind=SOURCE, source_id=number, reason="refund", actor=COLLECTOR, pieces=pieces, now=now)
    return back.cancelled
