"""What a closed accounting period looks like."""

from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_TOTALS = text(
    """
    SELECT unit, kind, count(*), sum(amount_minor)::bigint FROM transfers WHERE period = :period GROUP BY unit, kind ORDER BY unit, kind
    """
)

# Every column, instants as microseconds: the same rows give the same bytes whatever the session's settings are.
_DIGEST = text(
    """
    SELECT sha256(coalesce(string_agg(account.digest, ''::bytea ORDER BY account.account_id), ''::bytea)),
        coalesce(sum(account.count), 0)::bigint
    FROM (
        SELECT account_id, count(*) AS count, sha256(string_agg(sha256(convert_to(concat_ws('|', account_id, transfer_id, debit_id,
            credit_id,
            amount_minor, unit, kind, operation_id, coalesce(card_id::text, ''), coalesce(station_id::text, ''),
            (extract(epoch FROM event_at) * 1000000)::bigint, (extract(epoch FROM booked_at) * 1000000)::bigint, period,
            coalesce(mirrors::text, '')), 'UTF8')), ''::bytea ORDER BY transfer_id)) AS digest
        FROM transfers WHERE period = :period GROUP BY account_id
    ) account
    """
)


class PeriodPicture(NamedTuple):
    """A period's transfers: how many, their sums by unit and kind, and a digest over all of them (32 bytes)."""

    transfers: int
    totals: list[dict[str, Any]]
    digest: bytes


async def picture_of_period(session: AsyncSession, *, period: int) -> PeriodPicture:
    """Return what a period's transfers look like now."""
    digest, count = (await session.execute(_DIGEST, {"period": period})).one()
    totals = [
        {"unit": unit, "kind": int(kind), "count": int(number), "amount_minor": int(amount)}
        for unit, kind, number, amount in await session.execute(_TOTALS, {"period": period})
    ]
    return PeriodPicture(int(count), totals, bytes(digest))
