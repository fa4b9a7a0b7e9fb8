"""COPY inside a session's transaction: how imports write thousands of rows at the database's own speed."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def copy_rows(session: AsyncSession, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows by COPY, in the session's transaction. Documents are passed as JSON text, enums as their values.

    A row that breaks a constraint breaks the transaction: there is no ON CONFLICT here.
    """
    await session.flush()
    # SQLAlchemy opens its transaction with the first statement that it sees, and it does not see a COPY.
    await session.execute(text("SELECT 1"))
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.copy_records_to_table(table, records=rows, columns=list(columns))
