"""What a refund takes back of what its sale or top-up had granted: exactly what the refund says, each once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.model import Refund
from loyalty.db import locked
from loyalty.ids import uuid7, uuid7_floor
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import PurseKind, TransferKind
from loyalty.ledger.operations import Leg
from loyalty.ledger.queries import get_account, lock_purses, transfers_of
from loyalty.ledger.rules import house_id
from loyalty.money import POINTS, share_out, split
from loyalty.policy import Policy
from loyalty.rewards.model_grants import SALE, TOPUP, VALUES, Grant, GrantKind, GrantReturn, GrantStatus
from loyalty.rewards.points_rules import Mirror, mirror_value
from loyalty.topups.model_returns import TopupReturn

from . import things
from .grants import HOUSE_OF, OVERLAP, PURSE_OF, SALES, TOPUPS, collect_one, lock_mark, move_mark

REFUNDS = "refund"
"""The mark of the refunds, beside those of the sources."""
_KINDS = frozenset(GrantKind)

# By station, since that is how refunds are found by time.
_UNMIRRORED = """
SELECT r.account_id, r.refund_id FROM stations s CROSS JOIN LATERAL (
    SELECT account_id, refund_id, benefits FROM refunds
    WHERE station_id = s.station_id AND refund_id >= :first AND refund_id < :last AND benefits IS NOT NULL
) AS r
WHERE EXISTS (
    SELECT FROM jsonb_array_elements(r.benefits) AS b
    WHERE b ->> 1 IN ('points', 'bonus', 'gift', 'voucher', 'wash') AND (b ->> 2)::bigint > 0 AND NOT EXISTS (
        SELECT FROM grant_returns g
        WHERE g.account_id = r.account_id AND g.refund_id = r.refund_id AND g.rule = b ->> 0 AND g.kind = b ->> 1)
) ORDER BY r.account_id, r.refund_id
"""


_UNMIRRORED_LOADS = """
SELECT r.account_id, r.return_id FROM topup_returns r
WHERE r.booked_at >= :since AND r.booked_at < :until AND r.benefits IS NOT NULL AND EXISTS (
    SELECT FROM jsonb_array_elements(r.benefits) AS b
    WHERE b ->> 1 IN ('points', 'gift', 'voucher', 'wash') AND (b ->> 2)::bigint > 0 AND NOT EXISTS (
        SELECT FROM grant_returns g
        WHERE g.account_id = r.account_id AND g.refund_id = r.return_id AND g.rule = b ->> 0 AND g.kind = b ->> 1)
) ORDER BY r.account_id, r.return_id
"""


class Unmirrored(NamedTuple):
    """A refund whose benefits have not gone back."""

    account_id: UUID
    refund_id: UUID
    source: str = SALE
    """Of what: a sale, or a top-up."""


class _Taken(NamedTuple):
    """A refund, whatever of: what it says of its source's benefits."""

    account_id: UUID
    refund_id: UUID
    source_id: UUID
    event_at: datetime
    benefits: Sequence[Sequence[Any]]


async def find_refunds(session: AsyncSession, *, since: datetime, until: datetime) -> list[Unmirrored]:
    """Return refunds of sales and of top-ups booked in `[since, until)` of whose benefits some have not gone back."""
    rows = await session.execute(text(_UNMIRRORED), {"first": uuid7_floor(since), "last": uuid7_floor(until)})
    loads = await session.execute(text(_UNMIRRORED_LOADS), {"since": since, "until": until})
    return [Unmirrored(account_id, refund_id, SALE) for account_id, refund_id in rows] + [
        Unmirrored(one, back, TOPUP) for one, back in loads
    ]


async def next_refunds(session: AsyncSession, *, until: datetime) -> list[Unmirrored]:
    """Return the refunds since the mark that wait; `refunds_done` moves the mark."""
    return await find_refunds(session, since=await lock_mark(session, source=REFUNDS, until=until) - OVERLAP, until=until)


async def refunds_done(session: AsyncSession, *, until: datetime) -> None:
    """Say that all refunds booked before `until` have been mirrored."""
    mark = await lock_mark(session, source=REFUNDS, until=until)
    await move_mark(session, source=REFUNDS, to=max(mark, until))


async def mirror_refund(
    session: AsyncSession, *, account_id: UUID, refund_id: UUID, policy: Policy, zone: str, now: datetime, source: str = SALE
) -> int:
    """Take back what a refund says of its source's benefits, the source collected first; return how many grants it touched.

    What still waits is struck. Of what is in the ledger the profile says how far it goes (`points.returns`); the grant's own lot gives
    first. Things are taken back where they have not been handed out or redeemed. A top-up's bonus money went back with it.
    """
    taken = await _taken(session, source, account_id, refund_id)
    rows = TOPUPS if source == TOPUP else SALES
    await collect_one(session, source=rows, account_id=account_id, source_id=taken.source_id, zone=zone, now=now)
    touched = 0
    for rule, kind, amount in taken.benefits:
        if kind in _KINDS and amount > 0 and (source, kind) != (TOPUP, GrantKind.BONUS):
            touched += await _mirror(session, taken, rule, GrantKind(kind), amount, policy, now)
    return touched


async def _taken(session: AsyncSession, source: str, account_id: UUID, refund_id: UUID) -> _Taken:
    if source == TOPUP:
        back = (
            await session.scalars(select(TopupReturn).where(TopupReturn.account_id == account_id, TopupReturn.return_id == refund_id))
        ).one()
        return _Taken(account_id, refund_id, back.topup_id, back.booked_at, back.benefits or ())
    refund = (await session.scalars(select(Refund).where(Refund.account_id == account_id, Refund.refund_id == refund_id))).one()
    return _Taken(account_id, refund_id, refund.sale_id, refund.event_at, refund.benefits or ())


async def _mirror(session: AsyncSession, refund: _Taken, rule: str, kind: GrantKind, amount: int, policy: Policy, now: datetime) -> bool:
    """Take so much of one grant back; False where this refund already did, or there is no such grant (the checks name it)."""
    account_id = refund.account_id
    mine = (Grant.account_id == account_id, Grant.source_id == refund.source_id, Grant.rule == rule, Grant.kind == kind)
    grant = await session.scalar(locked(select(Grant).where(*mine)))
    if grant is None or await session.get(GrantReturn, (account_id, refund.refund_id, rule, kind)) is not None:
        return False
    amount = min(amount, grant.amount - grant.returned)
    if not amount:
        return False
    made = GrantReturn(
        account_id=account_id,
        refund_id=refund.refund_id,
        rule=rule,
        kind=kind,
        source_id=grant.source_id,
        return_id=uuid7(now),
        amount=amount,
        pending=0,
        recovered=0,
        owed=0,
        lost=0,
        booked_at=now,
    )
    if grant.status is GrantStatus.PENDING:
        made.pending = amount
        grant.returned += amount
        if grant.returned == grant.amount:
            grant.status = GrantStatus.RETURNED
    elif kind in VALUES:
        await _take_back(session, grant, made, refund, policy, now)
        grant.returned += amount
    else:
        made.recovered = await things.take_back(session, grant, pieces=amount, now=now)
        made.lost = amount - made.recovered
        grant.returned += amount
    session.add(made)
    await session.flush()
    return True


async def _take_back(session: AsyncSession, grant: Grant, made: GrantReturn, refund: _Taken, policy: Policy, now: datetime) -> None:
    account = await get_account(session, account_id=grant.account_id)
    purses = await lock_purses(session, account_id=grant.account_id)
    mirror = mirror_value(
        purses,
        amount=made.amount,
        lot=grant.purse_id,
        kind=PURSE_OF[grant.kind],
        unit=grant.unit,
        returns=policy.for_currency(account.currency).points.returns,
        now=now,
    )
    made.recovered, made.owed, made.lost = made.amount - mirror.owed - mirror.lost, mirror.owed, mirror.lost
    legs = await _legs(session, grant, mirror, now)
    if legs:
        await ledger.post(session, account_id=grant.account_id, legs=legs, operation_id=made.return_id, event_at=refund.event_at, now=now)


async def _legs(session: AsyncSession, grant: Grant, mirror: Mirror, now: datetime) -> list[Leg]:
    """Turn what comes back into transfers to the funders: each gets its share of what is left of its part, the last return the rest."""
    took = [(take.purse_id, take.amount_minor) for take in mirror.takes]
    if mirror.owed:
        debt = await ledger.ensure_purse(session, account_id=grant.account_id, kind=PurseKind.RECEIVABLE, unit=POINTS, now=now)
        took.append((debt, mirror.owed))
    shares = await _shares(session, grant, sum(amount for _, amount in took))
    kind = TransferKind.POINTS_RETURN if grant.kind is GrantKind.POINTS else TransferKind.BONUS_RETURN
    legs: list[Leg] = []
    for purse_id, amount in took:
        left = amount
        for place, (house, share) in enumerate(shares):
            given = min(left, share)
            if given:
                legs.append(Leg(purse_id, house, given, kind, grant.unit, grant.card_id, grant.station_id))
                shares[place] = (house, share - given)
                left -= given
    return legs


async def _shares(session: AsyncSession, grant: Grant, total: int) -> list[tuple[UUID, int]]:
    """Share `total` over the grant's funders by what each still has of what it gave: what the returns before booked to each is gone."""
    earlier = await session.execute(
        select(GrantReturn.return_id, GrantReturn.booked_at).where(
            GrantReturn.account_id == grant.account_id,
            GrantReturn.source_id == grant.source_id,
            GrantReturn.rule == grant.rule,
            GrantReturn.kind == grant.kind,
            GrantReturn.pending == 0,
        )
    )
    gone: dict[UUID, int] = {}
    for return_id, booked_at in earlier.all():
        for row in await transfers_of(session, account_id=grant.account_id, operation_id=return_id, booked_at=booked_at):
            gone[row.credit_id] = gone.get(row.credit_id, 0) + row.amount_minor
    houses = [house_id(HOUSE_OF[grant.kind], grant.unit, reference) for reference, _ in grant.funders]
    given = split(grant.posted, [parts for _, parts in grant.funders])
    lefts = [amount - gone.get(house, 0) for house, amount in zip(houses, given, strict=True)]
    return list(zip(houses, share_out(total, lefts), strict=True))


__all__ = ["REFUNDS", "SALE", "TOPUP", "Unmirrored", "find_refunds", "mirror_refund", "next_refunds", "refunds_done"]
