"""Long work in transactions of a sensible size: batch by batch until one is not full, or span by span of time up to now."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from jobs.job import Context
from loyalty.db import transaction


async def in_batches(context: Context, step: Callable[[AsyncSession], Awaitable[int]], *, most: int) -> int:
    """Repeat a step of at most `most` things, a transaction each, until there were fewer; return how many in all."""
    done = 0
    while True:
        async with transaction(context.sessions) as session:
            batch = await step(session)
        done += batch
        if batch < most:
            return done


class Stepped(NamedTuple):
    """What a span came to: how many rows it held, how many things were done, and whether it reached the end."""

    size: int
    done: int
    is_done: bool


@dataclass(frozen=True, kw_only=True)
class Spans:
    """How long a span is: doubled after one of fewer than `few` rows, halved after one of more than `many`."""

    first: timedelta
    least: timedelta
    longest: timedelta = timedelta(days=30)
    few: int
    many: int

    async def run(self, context: Context, step: Callable[[AsyncSession, timedelta], Awaitable[Stepped]]) -> int:
        """Repeat a step, a transaction each, until it reached the end; return how many things were done."""
        span, done = self.first, 0
        while True:
            async with transaction(context.sessions) as session:
                stepped = await step(session, span)
            done += stepped.done
            if stepped.is_done:
                return done
            if stepped.size < self.few:
                span = min(span * 2, self.longest)
            elif stepped.size > self.many:
                span = max(span / 2, self.least)
