"""The transaction of a request: what it promises at its COMMIT."""

import asyncio
from enum import IntEnum, StrEnum

import asyncpg
import pytest
from sqlalchemy import MetaData, SmallInteger, Text, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from loyalty import db
from loyalty.db import Base, TextEnum, make_engine, make_sessions, outcome_is_unknown, transaction
from loyalty.errors import OutcomeUnknown, Refusal


@pytest.fixture
async def deferred(database_url):
    """Make a table whose rule is judged only at COMMIT."""
    engine = make_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE promises (promise integer, UNIQUE (promise) DEFERRABLE INITIALLY DEFERRED)"))
    yield make_sessions(engine)
    await engine.dispose()


async def test_the_session_fixture_stands_on_the_migrations(session):
    assert (await session.scalar(text("SELECT count(*) FROM revisions"))) > 0
    assert await session.scalar(text("SELECT current_user")) == "loyalty_hot"


async def test_a_transaction_commits_at_its_end_and_rolls_back_on_a_refusal(deferred):
    async with transaction(deferred) as session:
        await session.execute(text("INSERT INTO promises VALUES (1)"))
    with pytest.raises(Refusal):
        async with transaction(deferred) as session:
            await session.execute(text("INSERT INTO promises VALUES (2)"))
            raise Refusal
    async with transaction(deferred) as session:
        assert list(await session.scalars(text("SELECT promise FROM promises"))) == [1]


async def test_a_refused_commit_is_an_error(deferred):
    with pytest.raises(IntegrityError):
        async with transaction(deferred) as session:
            await session.execute(text("INSERT INTO promises VALUES (1), (1)"))


async def test_a_cancelled_request_does_not_cancel_its_commit(deferred, monkeypatch):
    reached, go_on = asyncio.Event(), asyncio.Event()
    commit_and_close = db._commit_and_close

    async def slow(session):
        reached.set()
        await go_on.wait()
        await commit_and_close(session)

    monkeypatch.setattr(db, "_commit_and_close", slow)

    async def request():
        async with transaction(deferred) as session:
            await session.execute(text("INSERT INTO promises VALUES (7)"))

    task = asyncio.create_task(request())
    await reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    monkeypatch.undo()
    async with transaction(deferred) as session:
        assert await session.scalar(text("SELECT promise FROM promises")) == 7


async def test_a_commit_without_an_answer_is_unknown_and_may_have_happened(deferred, monkeypatch):
    go_on = asyncio.Event()
    commit_and_close = db._commit_and_close

    async def slow(session):
        await go_on.wait()
        await commit_and_close(session)

    monkeypatch.setattr(db, "_commit_and_close", slow)
    monkeypatch.setattr(db, "COMMIT_SECONDS", 0.01)
    with pytest.raises(OutcomeUnknown):
        async with transaction(deferred) as session:
            await session.execute(text("INSERT INTO promises VALUES (9)"))
    (unanswered,) = db._unanswered
    go_on.set()
    await unanswered
    monkeypatch.undo()
    async with transaction(deferred) as session:
        assert await session.scalar(text("SELECT promise FROM promises")) == 9


async def test_a_connection_lost_in_commit_is_unknown(deferred, database_url):
    with pytest.raises(OutcomeUnknown):
        async with transaction(deferred) as session:
            backend = await session.scalar(text("SELECT pg_backend_pid()"))
            other = await asyncpg.connect(database_url)
            await other.execute("SELECT pg_terminate_backend($1, 5000)", backend)
            await other.close()


@pytest.mark.parametrize(
    ("error", "unknown"),
    [
        (asyncpg.UniqueViolationError("x"), False),
        (asyncpg.SerializationError("x"), False),
        (asyncpg.AdminShutdownError("x"), True),
        (asyncpg.InterfaceError("x"), True),
        (ConnectionResetError(), True),
        (DBAPIError("COMMIT", None, asyncpg.CheckViolationError("x")), False),
    ],
)
def test_only_what_the_server_rolled_back_is_known(error, unknown):
    assert outcome_is_unknown(error) is unknown


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    SMALL = 1


def test_enums_are_text_or_small_numbers():
    class Local(Base):
        __tablename__ = "local_only"
        metadata = MetaData()  # not among the product's tables
        local_id: Mapped[int] = mapped_column(primary_key=True)
        colour: Mapped[Colour]
        size: Mapped[Size | None]

    columns = Local.__table__.c
    assert isinstance(columns.colour.type.impl, Text)
    assert isinstance(columns.size.type.impl, SmallInteger)
    assert TextEnum(Colour).process_result_value("red", None) is Colour.RED
    with pytest.raises(ValueError, match="green"):
        TextEnum(Colour).process_bind_param("green", None)


async def test_a_pool_cannot_shake_off_its_role(database_url):
    engine = make_engine(database_url, role="loyalty_portal")
    for _ in range(2):
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT current_user")) == "loyalty_portal"
            assert await connection.scalar(text("SHOW transaction_timeout")) == "1min"
            await connection.execute(text("RESET ALL"))
    await engine.dispose()
