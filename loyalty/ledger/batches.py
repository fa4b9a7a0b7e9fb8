"""Many moves between the purses of one account at once: only those purses are locked, in id order, and each step is one statement.

A company's account has a purse for every card: locking all of them for one move, as `operations.post` does, would stop every pump of the
company.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.ids import TransferId, uuid7

from .model import Period, Purse, PurseKind, TransferKind
from .queries import _PURSE
from .rules import PurseView


class Between(NamedTuple):
    """So much from one purse of the account to another; each is an operation of its own."""

    debit_id: UUID
    credit_id: UUID
    amount_minor: int
    kind: TransferKind
    operation_id: UUID
    card_id: UUID | None = None


async def lock_pool_and_cards(
    session: AsyncSession, *, account_id: UUID, unit: str, card_ids: Sequence[UUID], now: datetime, make: bool = True
) -> tuple[PurseView, dict[UUID, PurseView]]:
    """Lock the account's own principal purse and those of these cards, in id order; return it and theirs by card.

    `make`: cards without a purse get one. The caller has locked the account, so that nobody else makes one meanwhile.
    """
    if make:
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(account_id), 7))))
        await session.execute(
            text(
                """
                INSERT INTO purses (account_id, purse_id, card_id, kind, unit, expires_at, balance_minor, held_minor, credit_limit_minor)
                SELECT :account, made.purse_id, made.card_id, :kind, :unit, NULL, 0, 0, 0
                FROM unnest(CAST(:cards AS uuid[]), CAST(:purses AS uuid[])) AS made (card_id, purse_id)
                WHERE NOT EXISTS (SELECT FROM purses AS p WHERE p.account_id = :account AND p.card_id = made.card_id AND p.kind = :kind
                    AND p.unit = :unit AND p.expires_at IS NULL)
                """
            ),
            {
                "account": account_id,
                "cards": list(card_ids),
                "purses": [uuid7(now) for _ in card_ids],
                "kind": int(PurseKind.PRINCIPAL),
                "unit": unit,
            },
        )
    rows = await session.execute(
        select(*_PURSE)
        .where(
            Purse.account_id == account_id,
            Purse.kind == PurseKind.PRINCIPAL,
            Purse.unit == unit,
            Purse.expires_at.is_(None),
            Purse.card_id.is_(None) | Purse.card_id.in_(card_ids),
        )
        .order_by(Purse.purse_id)
        .with_for_update(key_share=True)
    )
    views = [PurseView._make(row) for row in rows.all()]
    pool = next(view for view in views if view.card_id is None)
    return pool, {view.card_id: view for view in views if view.card_id is not None}


async def post_between(session: AsyncSession, *, account_id: UUID, unit: str, moves: Sequence[Between], now: datetime) -> list[TransferId]:
    """Book moves between locked purses of one account, in the caller's transaction; return the transfers' ids, in the moves' order.

    The caller has judged what each purse may give; the CHECK constraint on the row refuses an overdraft.
    """
    if not moves:
        return []
    changes: dict[UUID, int] = {}
    for move in moves:
        changes[move.debit_id] = changes.get(move.debit_id, 0) - move.amount_minor
        changes[move.credit_id] = changes.get(move.credit_id, 0) + move.amount_minor
    await session.execute(
        text(
            """
            UPDATE purses AS p SET balance_minor = p.balance_minor + change.amount
            FROM unnest(CAST(:purses AS uuid[]), CAST(:amounts AS bigint[])) AS change (purse_id, amount)
            WHERE p.account_id = :account AND p.purse_id = change.purse_id AND change.amount <> 0
            """
        ),
        {"account": account_id, "purses": list(changes), "amounts": list(changes.values())},
    )
    # The share lock lets bookings pass each other and makes the close of the period wait for them.
    period = (await session.execute(select(Period.period).where(Period.closed_at.is_(None)).with_for_update(read=True))).scalar_one()
    made = [TransferId(uuid7(now)) for _ in moves]
    await session.execute(
        text(
            """
            INSERT INTO transfers (account_id, transfer_id, debit_id, credit_id, amount_minor, unit, kind, operation_id, card_id, event_at,
                booked_at, period)
            SELECT :account, one.transfer_id, one.debit_id, one.credit_id, one.amount, :unit, one.kind, one.operation_id, one.card_id,
                CAST(:now AS timestamptz), CAST(:now AS timestamptz), :period
            FROM unnest(CAST(:transfers AS uuid[]), CAST(:debits AS uuid[]), CAST(:credits AS uuid[]), CAST(:amounts AS bigint[]),
                CAST(:kinds AS smallint[]), CAST(:operations AS uuid[]), CAST(:cards AS uuid[]))
                AS one (transfer_id, debit_id, credit_id, amount, kind, operation_id, card_id)
            """
        ),
        {
            "account": account_id,
            "unit": unit,
            "now": now,
            "period": period,
            "transfers": made,
            "debits": [move.debit_id for move in moves],
            "credits": [move.credit_id for move in moves],
            "amounts": [move.amount_minor for move in moves],
            "kinds": [int(move.kind) for move in moves],
            "operations": [move.operation_id for move in moves],
            "cards": [move.card_id for move in moves],
        },
    )
    return made
