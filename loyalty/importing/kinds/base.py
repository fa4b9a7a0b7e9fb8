"""What every kind of row has: its fields, and how a set of rows is taken over."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.importing.faults import Fault
from loyalty.importing.mapping import Mapping as Map
from loyalty.importing.values import Field
from loyalty.policy import Policy


class Row(NamedTuple):
    """A row that could be read: the line of the file, its former id, its fields' values."""

    line: int
    legacy_id: str
    values: Mapping[str, Any]


class Taken(NamedTuple):
    """A row that was taken over; `note` says what a person may want to know."""

    our_id: UUID | None
    note: str = ""


Results = dict[int, Taken | Fault]
"""What became of each row, by its line."""


@dataclass
class Context:
    """What taking over needs beside the rows."""

    map: Map
    actor: Actor
    policy: Policy
    run_id: UUID
    now: datetime
    known: dict[str, Any] = field(default_factory=dict)
    """What a kind keeps between two sets of rows; only what no rolled-back set can have written."""

    @property
    def source(self) -> str:
        """The former system's name."""
        return self.map.source


Prepare = Callable[[AsyncSession, Context], Awaitable[None]]
Take = Callable[[AsyncSession, Context, Sequence[Row]], Awaitable[Results]]


async def nothing_to_prepare(_: AsyncSession, __: Context) -> None:
    """Stand where a kind needs nothing before its rows."""


class KindOfRow(NamedTuple):
    """One kind."""

    fields: Mapping[str, Field]
    take: Take
    prepare: Prepare = nothing_to_prepare
    amount: str | None = None
    """The field of money that control totals sum."""
    updates: bool = False
    """A row that differs from what was imported before changes what stands: reference data. Else it is reported and left alone."""
