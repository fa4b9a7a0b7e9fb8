"""Locks and counters that every cold operation of the pump takes alike, in the hot path's order: cards, authorisation, sale, purses."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.model import OPEN, Authorization, Sale, Status
from loyalty.cards.queries import chain_of, lock_cards
from loyalty.limits.levels import LevelCount, settled_counts


def actor_for(*, staff_id: UUID | None, terminal_id: UUID | None) -> Actor:
    """Return whom the trail names: the member of staff if one is known, else the till, else the system."""
    if staff_id is not None:
        return Actor(ActorKind.STAFF, staff_id)
    return Actor(ActorKind.SYSTEM, "pump") if terminal_id is None else Actor(ActorKind.TERMINAL, terminal_id)


async def lock_chain(session: AsyncSession, *, chain_id: UUID | None) -> None:
    """Lock the cards of a chain in id order: whoever holds them may write the chain's counters."""
    if chain_id is not None:
        await lock_cards(session, card_ids=[card.card_id for card in await chain_of(session, chain_id=chain_id)])


async def find_authorization(
    session: AsyncSession, *, account_id: UUID, authorization_id: UUID, lock: bool = False
) -> Authorization | None:
    """Return an authorisation; with `lock`, its chain's cards and then its row are locked and it is as it now is."""
    statement = select(Authorization).where(Authorization.account_id == account_id, Authorization.authorization_id == authorization_id)
    found = await session.scalar(statement)
    if found is None or not lock:
        return found
    await lock_chain(session, chain_id=found.chain_id)
    locked: Authorization | None = await session.scalar(statement.with_for_update(key_share=True).execution_options(populate_existing=True))
    return locked


async def find_sale(session: AsyncSession, *, account_id: UUID, sale_id: UUID, lock: bool = False) -> Sale | None:
    """Return a sale; with `lock`, its chain's cards, its authorisation and then its row are locked and it is as it now is."""
    statement = select(Sale).where(Sale.account_id == account_id, Sale.sale_id == sale_id)
    found = await session.scalar(statement)
    if found is None or not lock:
        return found
    await lock_chain(session, chain_id=found.chain_id)
    if found.authorization_id is not None:
        await find_authorization(session, account_id=account_id, authorization_id=found.authorization_id, lock=True)
    locked: Sale | None = await session.scalar(statement.with_for_update(key_share=True).execution_options(populate_existing=True))
    return locked


async def count(
    session: AsyncSession,
    *,
    account_id: UUID,
    chain_id: UUID | None,
    day: date,
    amount_minor: int,
    quantity_milli: int,
    fills: int,
    at: datetime,
    subjects: Sequence[UUID] = (),
) -> None:
    """Add to a chain's counters of a day (subtract where negative), under its cards' locks; `at` never moves the last fill back.

    `subjects`: the levels over it that it was counted for too.
    """
    if chain_id is None or not (amount_minor or quantity_milli or fills):
        return
    await count_levels(session, account_id=account_id, counts=settled_counts(subjects, day, (amount_minor, quantity_milli, fills)), at=at)
    await session.execute(
        text(
            """
            INSERT INTO limit_counters AS c (account_id, subject_id, "window", start, amount_minor, quantity_milli, count, last_at)
            VALUES (:account_id, :chain_id, 1, :day, :amount_minor, :quantity_milli, :fills, :at)
            ON CONFLICT (account_id, subject_id, "window", start) DO UPDATE SET amount_minor = c.amount_minor + excluded.amount_minor,
                quantity_milli = c.quantity_milli + excluded.quantity_milli, count = c.count + excluded.count,
                last_at = CASE WHEN excluded.count > 0 THEN greatest(c.last_at, excluded.last_at) ELSE c.last_at END
            """
        ),
        {
            "account_id": account_id,
            "chain_id": chain_id,
            "day": day,
            "amount_minor": amount_minor,
            "quantity_milli": quantity_milli,
            "fills": fills,
            "at": at,
        },
    )


async def count_levels(session: AsyncSession, *, account_id: UUID, counts: Sequence[LevelCount], at: datetime) -> None:
    """Change the counters of levels, locked in the order of their rows; no bound holds: what comes here has happened."""
    if not counts:
        return
    subjects, windows, starts, minors, millis, fills, *_ = zip(*counts, strict=True)
    await session.execute(
        text(
            """
            INSERT INTO level_counters AS c (account_id, subject_id, "window", start, amount_minor, quantity_milli, count, last_at)
            SELECT :account_id, i.subject, i."window", i.start, i.minor, i.milli, i.fills, :at
            FROM unnest(CAST(:subjects AS uuid[]), CAST(:windows AS smallint[]), CAST(:starts AS date[]), CAST(:minors AS bigint[]),
                CAST(:millis AS bigint[]), CAST(:fills AS integer[])) i(subject, "window", start, minor, milli, fills)
            ORDER BY i.subject, i."window", i.start
            ON CONFLICT (account_id, subject_id, "window", start) DO UPDATE SET amount_minor = c.amount_minor + excluded.amount_minor,
                quantity_milli = c.quantity_milli + excluded.quantity_milli, count = c.count + excluded.count,
                last_at = CASE WHEN excluded.count > 0 THEN greatest(c.last_at, excluded.last_at) ELSE c.last_at END
            """
        ),
        {
            "account_id": account_id,
            "subjects": list(subjects),
            "windows": list(windows),
            "starts": list(starts),
            "minors": list(minors),
            "millis": list(millis),
            "fills": list(fills),
            "at": at,
        },
    )


def held_by(authorization: Authorization) -> dict[UUID, int]:
    """Return what an authorisation still holds on each purse, minor units."""
    held: dict[UUID, int] = {}
    for purse_id, amount in zip(authorization.hold_purses, authorization.hold_minors, strict=True):
        if amount:
            held[purse_id] = held.get(purse_id, 0) + amount
    return held


def is_open(authorization: Authorization) -> bool:
    """Say whether an authorisation may still hold something."""
    return Status(authorization.status) in OPEN


def instant_text(instant: datetime) -> str:
    """Write an instant as answers do."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
