"""How a check asks: one statement gives the rows that break it, cut to what is shown, with the count of all."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.checks.model import Check, Found, Level, Row, Scope


def proved_by(statement: str, *, code: str, invariant: int, says: str, level: Level = Level.BREACH, timed: bool = False) -> Check:
    """Make a check of a statement that selects the rows which break it; with `timed` it may use `:now`."""
    shown = text(f"SELECT count(*) OVER () AS found, broken.* FROM ({statement}) AS broken LIMIT :rows")  # noqa: S608 - constants of this folder

    async def look(session: AsyncSession, scope: Scope) -> Found:
        parameters: dict[str, object] = {"rows": max(1, scope.rows)}
        if timed:
            parameters["now"] = scope.now
        rows = (await session.execute(shown, parameters)).mappings().all()
        if not rows:
            return Found()
        named = [{name: plain(value) for name, value in row.items() if name != "found"} for row in rows[: scope.rows]]
        return Found(int(rows[0]["found"]), named)

    return Check(code=code, invariant=invariant, says=says, level=level, look=look)


def found(rows: list[Row], scope: Scope) -> Found:
    """Cut what Python found to what is shown."""
    return Found(len(rows), rows[: scope.rows])


def plain(value: object) -> str | int | bool | None:
    """Return a value as JSON and a terminal show it."""
    match value:
        case None | bool() | int() | str():
            return value
        case UUID():
            return str(value)
        case datetime() | date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case _:
            return str(value)
