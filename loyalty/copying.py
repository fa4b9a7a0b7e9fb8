"""COPY inside a session's transaction: how imports write thousands of rows at the database's own speed."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def copy_rows(session: AsyncSession, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows by COPY, in the session's transaction. Documents are passed as JSON text, enums as their values.

    A row that breaks a constraint breaks the transaction: there is no ON CONFLICT here. Tables with fences take no COPY from the roles that
    are held to them, so the connection's own user writes, and a company's portal, which has a fence for a reason, never comes here.
    """
    await session.flush()
    # SQLAlchemy opens its transaction with the first statement that it sees, and it does not see a COPY.
    role = await session.scalar(text("SELECT current_role"))
    assert role != "loyalty_portal", "a tenant's session copies nothing"
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.execute("SET LOCAL ROLE NONE")
    await driver.copy_records_to_table(table, records=rows, columns=list(columns))
    await driver.execute(f'SET LOCAL ROLE "{role}"')
