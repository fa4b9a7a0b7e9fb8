"""Reading what was said with a company's card at the pump."""

from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


class Said(msgspec.Struct, frozen=True):
    """What was said: a driver and an order who are known, else as they were said."""

    driver_number: str | None
    driver_name: str | None
    driver_said: str | None
    order_number: str | None
    order_said: str | None
    odometer_km: int | None
    plate: str | None


async def said_at_the_pump(session: AsyncSession, *, account_id: UUID, sale_id: UUID) -> Said | None:
    """Return what was said with a sale; a completion's is kept with its authorisation. None where there is no such sale."""
    row = (
        await session.execute(
            text(
                """
                SELECT d.number AS driver_number, d.name AS driver_name,
                    coalesce(s.detail ->> 'driver_number', '•••• ' || (s.detail ->> 'driver_card_tail')) AS driver_said,
                    o.number AS order_number, s.detail ->> 'order_number' AS order_said,
                    coalesce(s.detail ->> 'odometer_km', a.prompts ->> 'odometer_km')::bigint AS odometer_km,
                    coalesce(s.detail ->> 'plate', a.prompts ->> 'plate') AS plate
                FROM sales s
                LEFT JOIN authorizations a ON a.account_id = s.account_id AND a.authorization_id = s.authorization_id
                LEFT JOIN drivers d ON d.driver_id = coalesce(s.detail ->> 'driver', a.prompts ->> 'driver')::uuid
                LEFT JOIN fuel_orders o ON o.order_id = coalesce(s.detail ->> 'order', a.prompts ->> 'order')::uuid
                WHERE s.account_id = :account_id AND s.sale_id = :sale_id
                """.replace("::", "\\:\\:")
            ),
            {"account_id": account_id, "sale_id": sale_id},
        )
    ).first()
    return None if row is None else Said(*row)
