"""The workers of a replay: each a process with a connection of its own, told which hours of the past to ask again.

A worker is alive as long as its pipe: one whose coordinator is gone reads the end and leaves.
"""

import asyncio
import contextlib
import multiprocessing
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import asyncpg

from loyalty.pricing.basket import Person

from .orders import Order, opened
from .queries.rows import Part, read_people, read_rows, rows_sql
from .replaying import Replay, Sums

_LEAVE_SECONDS: Final = 5


class WorkerLost(Exception):  # noqa: N818 - a fault of the machine, said plainly
    """A worker of the replay ended or failed; its words say how."""


class Slice(NamedTuple):
    """Ask: replay the sales booked in `[since, until)`."""

    since: datetime
    until: datetime


class Sliced(NamedTuple):
    """Answer: so many rows; what they saved live, and what they would have saved."""

    rows: int
    live_minor: int
    draft_minor: int


class Spending(NamedTuple):
    """Ask: every sale that took of a budget."""

    budget: UUID


class Finish(NamedTuple):
    """Ask: the sums of everything."""


Question = Slice | Spending | Finish


class Worker(Protocol):
    """Whoever replays: a process, or the caller itself where there is little to do."""

    async def ask(self, question: Question) -> Any:
        """Return the answer: `Sliced`, `[(sale, amount), …]`, or `Sums`."""
        ...

    async def leave(self) -> None:
        """End it."""
        ...


class Here:
    """A worker in the caller's own process."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._connection: Any = None
        self._asks, self._kinds, world = opened(order)
        self._sql = rows_sql(self._asks, order.books, order.part)
        self._replay = Replay(world, self._asks, order.cuts)

    async def ask(self, question: Question) -> Any:
        """Answer one question."""
        if isinstance(question, Slice):
            return await self._slice(question)
        return self._replay.spending.get(question.budget, []) if isinstance(question, Spending) else self._replay.finish()

    async def _slice(self, wanted: Slice) -> Sliced:
        if self._connection is None:
            self._connection = await asyncpg.connect(self._order.dsn, server_settings=self._order.settings)
        rows = await read_rows(
            self._connection, self._sql, self._asks, self._kinds, currency=self._order.currency, since=wanted.since, until=wanted.until
        )
        unknown = self._replay.unknown(rows)
        if unknown:
            for person in await read_people(self._connection, unknown):
                self._replay.learn(person)
            for account in self._replay.unknown(rows):
                # No such account: the nightly check names it. Its sales still count.
                self._replay.learn(Person(UUID(account.decode())))
        return Sliced(len(rows), *self._replay.replay(rows))

    async def leave(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


class Apart:
    """A worker in a process of its own."""

    def __init__(self, order: Order) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, order), daemon=True, name="loyalty-backtest")
        self._process.start()
        # Ours is then the only end of the pipe here, so that a process that dies is an error and not a silence.
        theirs.close()

    async def ask(self, question: Question) -> Any:
        """Send a question and wait for its answer.

        :raises WorkerLost: if it ended, or what it met cannot be answered
        """
        try:
            answer = await asyncio.to_thread(self._call, question)
        except (EOFError, OSError) as error:
            raise WorkerLost("A worker of the replay ended before its answer.") from error
        if isinstance(answer, _Failed):
            raise WorkerLost(answer.kind)
        return answer

    def _call(self, question: Question) -> Any:
        self._pipe.send(question)
        return self._pipe.recv()

    async def leave(self) -> None:
        """End the process."""
        self._pipe.close()
        await asyncio.to_thread(self._process.join, _LEAVE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            await asyncio.to_thread(self._process.join)


class _Failed(NamedTuple):
    kind: str


def _serve(pipe: Connection, order: Order) -> None:
    """Answer questions until the pipe ends."""
    with asyncio.Runner() as runner, contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        work = Here(order)
        while True:
            question = pipe.recv()
            try:
                answer: Any = runner.run(work.ask(question))
            except Exception as error:  # noqa: BLE001 - whatever it is, the coordinator hears of it; its kind only, since values are private
                answer = _Failed(f"{type(error).__module__}.{type(error).__qualname__}")
            pipe.send(answer)


def hire(order: Order, workers: int) -> list[Worker]:
    """Return so many workers in processes of their own; none: one in this process.

    Where sales depend on those before them, each has its own parties.
    """
    if workers <= 0:
        return [Here(order)]
    return [Apart(order._replace(part=None if order.part is None else Part(place, workers))) for place in range(workers)]


__all__ = ["Apart", "Finish", "Here", "Order", "Slice", "Sliced", "Spending", "Sums", "Worker", "WorkerLost", "hire"]
