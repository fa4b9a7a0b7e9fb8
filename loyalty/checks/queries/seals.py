"""Closed periods never change: each looks as it did when it was sealed."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.checks.model import Check, Found, Level, Row, Scope
from loyalty.statements.model import PeriodSeal
from loyalty.statements.queries import picture_of_period

from .asking import found, proved_by


async def _sealed_periods(session: AsyncSession, scope: Scope) -> Found:
    rows: list[Row] = []
    for seal in (await session.scalars(select(PeriodSeal).order_by(PeriodSeal.period))).all():
        now = await picture_of_period(session, period=seal.period)
        if now.digest != seal.digest or now.transfers != seal.transfers:
            rows.append({"period": seal.period, "sealed_transfers": seal.transfers, "transfers": now.transfers})
        session.expunge(seal)
    return found(rows, scope)


SEALED = Check(code="period-seals", invariant=1, says="a closed period's transfers are those that were sealed", look=_sealed_periods)

UNSEALED = proved_by(
    """
    SELECT p.period, p.closed_at FROM periods p LEFT JOIN period_seals s ON s.period = p.period
    WHERE p.closed_at < CAST(:now AS timestamptz) - interval '2 days' AND s.period IS NULL
    """,
    code="periods-unsealed",
    invariant=1,
    says="a closed period is sealed within two days",
    level=Level.WARNING,
    timed=True,
)

CHECKS = (SEALED, UNSEALED)
