"""The database as the rooms see it: the declarative base, the engine, and the one transaction of a request.

One request or job batch is one transaction, committed *before* the response starts; only the edge commits. A COMMIT is never cancelled, and
when its answer does not come the outcome is *unknown* (503, retry with the same key), never *failed*.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, CheckConstraint, DateTime, Dialect, LargeBinary, MetaData, Select, SmallInteger, Text, Uuid, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, TypeResolve
from sqlalchemy.types import TypeDecorator, TypeEngine

from loyalty.errors import OutcomeUnknown

COMMIT_SECONDS = 10.0
"""How long a request waits for the answer to its COMMIT before it says *unknown*."""

TRANSACTION_SECONDS = 60
"""No transaction lives longer: "as of" answers wait for the oldest one (decisions.md, database roles)."""

# SQLSTATE classes with which PostgreSQL says that it rolled back: cardinality, data, integrity, state, rollback, privilege, check, limits,
# locks, raise.
_ROLLED_BACK = ("21", "22", "23", "25", "40", "42", "44", "54", "55", "P0")

Sessions = async_sessionmaker[AsyncSession]


class TextEnum(TypeDecorator[StrEnum]):
    """A StrEnum kept as its value in a `text` column; the table's CHECK names the values."""

    impl = Text
    cache_ok = True

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the library's signature
        """Send the value; a plain string must be one of the values.

        :raises ValueError: if it is none
        """
        return None if value is None else self.members(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002 - as above
        """Give the member back."""
        return None if value is None else self.members(value)


class SmallEnum(TypeDecorator[IntEnum]):
    """An IntEnum kept as its number in a `smallint` column, for hot rows."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, members: type[IntEnum]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: IntEnum | int | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the library's signature
        """Send the number; a plain number must be one of the members.

        :raises ValueError: if it is none
        """
        return None if value is None else self.members(value).value

    def process_result_value(self, value: int | None, dialect: Dialect) -> IntEnum | None:  # noqa: ARG002 - as above
        """Give the member back."""
        return None if value is None else self.members(value)


def one_of(column: str, members: type[StrEnum]) -> CheckConstraint:
    """Return the CHECK that keeps a `text` column to an enum's values; named after its column."""
    values = ", ".join(f"'{member.value}'" for member in members)
    return CheckConstraint(f"{column} IN ({values})", name=column)


class Base(DeclarativeBase):
    """All tables. Times are instants, integers are 64 bits wide, documents are jsonb, enums are text or small numbers."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        int: BigInteger(),
        str: Text(),
        bytes: LargeBinary(),
        UUID: Uuid(),
        dict: JSONB(),
        list: JSONB(),
        dict[str, Any]: JSONB(),
        list[Any]: JSONB(),
        list[str]: JSONB(),
        list[dict[str, Any]]: JSONB(),
    }


@event.listens_for(Base.registry, "resolve_type_annotation")
def _enum_type(resolving: TypeResolve) -> TypeEngine[Any] | None:
    annotated = resolving.resolved_type
    if isinstance(annotated, type):
        if issubclass(annotated, StrEnum):
            return TextEnum(annotated)
        if issubclass(annotated, IntEnum):
            return SmallEnum(annotated)
    return None


S = TypeVar("S", bound=Select[Any])


def locked(statement: S) -> S:
    """Make a SELECT lock its rows and show them as they are under the lock, whatever the session read before."""
    return statement.with_for_update().execution_options(populate_existing=True)


def database_url(text: str) -> URL:
    """Read `postgres://`, `postgresql://` or `postgresql+asyncpg://` text as the URL that the engine wants."""
    return make_url(text).set(drivername="postgresql+asyncpg")


def driver_dsn(text: str | URL) -> str:
    """Return the URL for asyncpg itself (hot path, bench): no SQLAlchemy between."""
    url = make_url(text) if isinstance(text, str) else text
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def socket_url(*, user: str, password: str, database: str, folder: str, port: int) -> str:
    """Return the URL of a server's Unix socket: `postgresql://user:…@/database?host=folder&port=…`."""
    return f"postgresql://{user}:{quote(password, safe='')}@/{database}?host={quote(folder, safe='/')}&port={port}"


def server_settings(*, role: str | None, application_name: str, transaction_seconds: int = TRANSACTION_SECONDS) -> dict[str, str]:
    """Return the settings every connection starts with; a pool's reset falls back to these, so the role cannot be shaken off."""
    settings = {
        "application_name": application_name,
        "transaction_timeout": f"{transaction_seconds}s",
        "timezone": "UTC",
        "jit": "off",
    }
    return settings if role is None else settings | {"role": role}


def make_engine(
    url: str | URL,
    *,
    role: str | None = None,
    application_name: str = "loyalty",
    pool_size: int = 5,
    max_overflow: int = 5,
    transaction_seconds: int = TRANSACTION_SECONDS,
) -> AsyncEngine:
    """Make an engine on asyncpg.

    :param role: `loyalty_hot`, `loyalty_jobs` or `loyalty_portal`; None stays the owner, for migrations only
    :param transaction_seconds: 0 lifts the limit, again for migrations only
    """
    settings = server_settings(role=role, application_name=application_name, transaction_seconds=transaction_seconds)
    return create_async_engine(
        database_url(url) if isinstance(url, str) else url,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_pre_ping=True,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
        # No SQL parameter ever shows in an exception's text: it may be a card number.
        hide_parameters=True,
        connect_args={"server_settings": settings, "timeout": 10},
    )


def make_sessions(engine: AsyncEngine) -> Sessions:
    """Return the maker of sessions: nothing expires at commit, since what was read stays true for its transaction's answer."""
    return async_sessionmaker(engine, expire_on_commit=False, autoflush=True)


@contextlib.asynccontextmanager
async def transaction(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """Open one transaction: commit it at the end, roll it back on any exception.

    :raises OutcomeUnknown: if the answer to COMMIT did not come
    :raises sqlalchemy.exc.DBAPIError: if the database refused the COMMIT: it was rolled back, a deferred constraint for instance
    """
    session = sessions()
    try:
        yield session
        await session.flush()
    except BaseException:
        await _outlive_cancellation(asyncio.ensure_future(session.close()))
        raise
    await _outlive_cancellation(asyncio.ensure_future(_commit_and_close(session)), deadline_seconds=COMMIT_SECONDS)


async def _commit_and_close(session: AsyncSession) -> None:
    try:
        crash_point("before-commit")
        await session.commit()
        crash_point("after-commit")
    except (DBAPIError, OSError) as error:
        if outcome_is_unknown(error):
            raise OutcomeUnknown from error
        raise
    finally:
        await session.close()


def outcome_is_unknown(error: BaseException) -> bool:
    """Say whether an error in COMMIT, or in a statement that commits itself, leaves it open what happened.

    All but those with which the server says it rolled back do.
    """
    original = getattr(error, "orig", None) or error
    state: str | None = getattr(original, "sqlstate", None)
    return state is None or not state.startswith(_ROLLED_BACK)


# Commits whose deadline passed are still awaited here: dropping a task would cancel it.
_unanswered: set[asyncio.Future[None]] = set()


async def _outlive_cancellation(work: asyncio.Future[None], *, deadline_seconds: float | None = None) -> None:
    """Wait for `work` although this task may be cancelled meanwhile; a cancellation is raised once the work is done."""
    cancelled: asyncio.CancelledError | None = None
    _unanswered.add(work)
    work.add_done_callback(_forget)
    loop = asyncio.get_running_loop()
    until = None if deadline_seconds is None else loop.time() + deadline_seconds
    while not work.done():
        try:
            done, _ = await asyncio.wait({work}, timeout=None if until is None else until - loop.time())
        except asyncio.CancelledError as error:
            cancelled = error
            continue
        if not done:
            raise OutcomeUnknown
    if cancelled is not None:
        raise cancelled
    work.result()


def _forget(work: asyncio.Future[None]) -> None:
    _unanswered.discard(work)
    if not work.cancelled():
        work.exception()  # read, so that an answer nobody waits for any more is not reported as lost


def crash_point(name: str) -> None:
    """Die here as by SIGKILL when `LOYALTY_CRASH` names this point: how the tests show that a killed process loses and doubles nothing."""
    if name == _CRASH:
        os.kill(os.getpid(), 9)


_CRASH = os.environ.get("LOYALTY_CRASH")
