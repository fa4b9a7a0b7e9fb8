"""One import from beginning to end: read, compare with what was imported before, take over set by set, report.

Each set of rows is one transaction, and the run's figures are written in it. A run that was killed is gone on with behind its last set;
a file that was imported before adds nothing, since its rows are known by their former ids.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.db import Sessions, crash_point, transaction
from loyalty.errors import Refusal
from loyalty.policy import Policy

from .faults import Fault
from .kinds import KINDS, Context, KindOfRow, Row, Taken
from .mapping import MapNotSound, Mapping
from .operations import begin_run, lock_kind, note_progress, remember, remember_changed
from .queries import Known, known_rows, unfinished_run
from .reading import Line, read_rows
from .values import Field, Joined, Reader, field_reader, skipper, text_maker

SET_ROWS: Final = 5000
"""Rows of one transaction: small enough that a kill loses seconds, large enough that a commit costs nothing."""


class Outcome(StrEnum):
    """What became of a row."""

    ADDED = "added"
    UPDATED = "updated"
    """Read differently than before; what stands here was changed with it."""
    DIFFERS = "differs"
    """Reads differently than before; what stands here lives its own life and was left alone."""
    UNCHANGED = "unchanged"
    REPEATED = "repeated"
    """The same id stood earlier in the file."""
    SKIPPED = "skipped"
    REJECTED = "rejected"


class Result(NamedTuple):
    """One row's line of the report."""

    line: int
    legacy_id: str
    outcome: Outcome
    field: str = ""
    code: str = ""
    zh: str = ""
    en: str = ""


@dataclass
class Figures:
    """Control totals: rows and minor units by outcome."""

    rows: dict[str, int] = field(default_factory=dict)
    sums: dict[str, dict[str, int]] = field(default_factory=dict)
    """Outcome → currency → minor units."""

    def count(self, outcome: Outcome, currency: str | None = None, amount_minor: int | None = None) -> None:
        """Count a row."""
        self.rows[outcome] = self.rows.get(outcome, 0) + 1
        if currency and amount_minor is not None:
            of = self.sums.setdefault(outcome, {})
            of[currency] = of.get(currency, 0) + amount_minor

    @property
    def read(self) -> int:
        """How many rows the file had, so far."""
        return sum(self.rows.values())


@dataclass
class Import:
    """What an import came to."""

    run_id: UUID
    figures: Figures
    resumed_after: int = 0
    """The line behind which a killed run was gone on with; 0 from the beginning."""


class Watcher(Protocol):
    """Who follows an import."""

    def began(self, made: Import) -> None:
        """The file is known, and behind which line the work begins."""

    def took(self, figures: Figures, last_line: int, results: Sequence[Result]) -> None:
        """One more set is committed: the figures so far, the last line, the set's results."""


def hash_file(path: Path) -> bytes:
    """Return SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


async def import_file(
    sessions: Sessions,
    *,
    path: Path,
    mapping: Mapping,
    actor: Actor,
    policy: Policy,
    now: datetime,
    watcher: Watcher | None = None,
    set_rows: int = SET_ROWS,
) -> Import:
    """Import a file by a map. For a dry run, give sessions on a connection that is rolled back.

    :raises MapNotSound: if the map does not make what its kind needs
    :raises FileNotReadable: if the file, or one that it is joined with, cannot be read
    """
    kind = KINDS[mapping.kind]
    reading = Reading(mapping, kind, path.parent)
    map_hash = hashlib.sha256(msgspec.json.encode(mapping)).digest()
    file_hash = hash_file(path)
    async with transaction(sessions) as session:
        run = await unfinished_run(session, source=mapping.source, kind=mapping.kind, file_hash=file_hash, map_hash=map_hash)
        if run is None:
            run = await begin_run(
                session,
                source=mapping.source,
                kind=mapping.kind,
                file_name=path.name,
                file_hash=file_hash,
                map_hash=map_hash,
                now=now,
            )
    figures = Figures(dict(run.counts), {name: dict(of) for name, of in run.sums.items()})
    made = Import(run.run_id, figures, resumed_after=run.last_line)
    if watcher is not None:
        watcher.began(made)
    context = Context(mapping, actor, policy, run.run_id, now)
    async with transaction(sessions) as session:
        await kind.prepare(session, context)
    importer = _Importer(sessions, kind, context, figures)
    last_line = run.last_line
    async with contextlib.aclosing(_read_ahead(reading, _sets(read_rows(path, mapping.file), set_rows), after=run.last_line)) as ahead:
        async for until, rows, others in ahead:
            if until > run.last_line:
                last_line = until
                results = await importer.take(rows, others, last_line)
                if watcher is not None:
                    watcher.took(figures, last_line, sorted([*others, *results]))
    async with transaction(sessions) as session:
        await note_progress(session, run_id=run.run_id, last_line=last_line, counts=figures.rows, sums=figures.sums, finished_at=now)
    return made


def _sets(lines: Iterator[Line], size: int) -> Iterator[list[Line]]:
    while found := list(islice(lines, size)):
        yield found


ReadSet = tuple[int, list["ReadRow"], list[Result]]
"""A set of lines that was read: its last line, its rows, the results of what are none."""


async def _read_ahead(reading: "Reading", sets: Iterator[list[Line]], *, after: int) -> AsyncGenerator[ReadSet, None]:
    """Read the next set in a thread while the database works on this one."""

    def read_next() -> ReadSet | None:
        lines = next(sets, None)
        return None if lines is None else (lines[-1].number, *reading.read(lines, after=after))

    ahead = asyncio.create_task(asyncio.to_thread(read_next))
    try:
        while (found := await ahead) is not None:
            ahead = asyncio.create_task(asyncio.to_thread(read_next))
            yield found
    finally:
        # A thread cannot be stopped; what it reads is dropped.
        await asyncio.wait({ahead})
        if not ahead.cancelled():
            ahead.exception()


class ReadRow(NamedTuple):
    """A row that could be read, and how it reads."""

    row: Row
    row_hash: bytes


class Reading:
    """Makes rows of lines: the map compiled once, ids that were seen remembered."""

    def __init__(self, mapping: Mapping, kind: KindOfRow, folder: Path) -> None:
        joined = Joined(folder, mapping.file)
        unknown = sorted(set(mapping.fields) - set(kind.fields))
        if unknown:
            known = ", ".join(kind.fields)
            raise MapNotSound(f"{mapping.kind} have no field {', '.join(unknown)}; there are: {known}.")
        missing = sorted(name for name, said in kind.fields.items() if said.required and name not in mapping.fields)
        if missing:
            raise MapNotSound(f"{mapping.kind} need the field {', '.join(missing)}.")
        self._id_with = mapping.id_with
        self._id = text_maker(mapping.id, "id", joined)
        self._skips = skipper(mapping.skip)
        self._first_of_many = mapping.repeats == "first"
        self._nothing = dict.fromkeys(kind.fields)
        made = [(name, self._reader(mapping, name, said, joined)) for name, said in kind.fields.items()]
        # Money is read by its currency's minor unit, so the currency is read first.
        self._currency = next((reader for name, reader in made if name == "currency"), None)
        self._readers = [(name, reader) for name, reader in made if reader is not None and name != "currency"]
        self._seen: dict[str, bytes] = {}

    @staticmethod
    def _reader(mapping: Mapping, name: str, said: Field, joined: Joined) -> Reader | None:
        value = mapping.value(name)
        return None if value is None else field_reader(value, name, said, joined)

    def read(self, lines: Sequence[Line], *, after: int) -> tuple[list[ReadRow], list[Result]]:
        """Return the rows to take over, and the results of those that are none. Lines up to `after` are only remembered."""
        rows: list[ReadRow] = []
        results: list[Result] = []
        for line in lines:
            legacy_id = ""
            try:
                if self._skips(line.cells):
                    results.append(Result(line.number, "", Outcome.SKIPPED))
                    continue
                legacy_id = self._id(line.cells)
                read = self._row(line, legacy_id)
                repeated = self._is_repeated(read)
            except Fault as fault:
                results.append(_rejected(line.number, legacy_id, fault))
                continue
            if repeated:
                results.append(Result(line.number, legacy_id, Outcome.REPEATED))
            else:
                rows.append(read)
        if after:
            return [read for read in rows if read.row.line > after], [result for result in results if result.line > after]
        return rows, results

    def _is_repeated(self, read: ReadRow) -> bool:
        legacy_id = read.row.legacy_id
        if not legacy_id:
            raise Fault("no_id", "id")
        seen = self._seen.setdefault(legacy_id, read.row_hash)
        if seen is read.row_hash:
            return False
        if seen != read.row_hash and not self._first_of_many:
            raise Fault("id_twice", "id")
        return True

    def _row(self, line: Line, legacy_id: str) -> ReadRow:
        cells, currency = line.cells, ""
        values: dict[str, Any] = self._nothing.copy()
        if self._currency is not None:
            values["currency"] = self._currency(cells, "")
            currency = values["currency"] or ""
        for name, reader in self._readers:
            values[name] = reader(cells, currency)
        if self._id_with:
            legacy_id = "/".join([legacy_id, *(str(values[name]) for name in self._id_with)])
        # Fields that say nothing are left out: a kind that learns a new one knows its old rows again.
        plain = {name: value for name, value in values.items() if value is not None}
        row_hash = hashlib.blake2b(msgspec.json.encode(plain, order="sorted"), digest_size=16).digest()
        return ReadRow(Row(line.number, legacy_id, values), row_hash)


def _rejected(line: int, legacy_id: str, fault: Fault) -> Result:
    return Result(line, legacy_id, Outcome.REJECTED, str(fault.facts.get("field", "")), fault.code, fault.zh, fault.en)


class _Importer:
    """Takes sets of rows over, each in its own transaction with the run's figures."""

    def __init__(self, sessions: Sessions, kind: KindOfRow, context: Context, figures: Figures) -> None:
        self._sessions = sessions
        self._kind = kind
        self._context = context
        self._figures = figures

    async def take(self, rows: Sequence[ReadRow], others: Sequence[Result], last_line: int) -> list[Result]:
        """Take a set over and return its results; `others` are those of the same lines that came to nothing."""
        before = Figures(dict(self._figures.rows), {name: dict(of) for name, of in self._figures.sums.items()})
        try:
            async with transaction(self._sessions) as session:
                await lock_kind(session, source=self._context.source, kind=self._context.map.kind)
                results = await self._work(session, rows)
                for other in others:
                    self._figures.count(other.outcome)
                by_line = {read.row.line: read.row for read in rows}
                for result in results:
                    self._count(result, by_line[result.line])
                await note_progress(
                    session, run_id=self._context.run_id, last_line=last_line, counts=self._figures.rows, sums=self._figures.sums
                )
        except BaseException:
            self._figures.rows, self._figures.sums = before.rows, before.sums
            raise
        crash_point("import-after-set")
        return results

    def _count(self, result: Result, row: Row) -> None:
        amount = None if self._kind.amount is None else row.values[self._kind.amount]
        self._figures.count(result.outcome, row.values.get("currency"), amount)

    async def _work(self, session: AsyncSession, rows: Sequence[ReadRow]) -> list[Result]:
        """Sort a set into new, changed and unchanged; take over what is to be."""
        source, kind = self._context.source, self._context.map.kind
        known = await known_rows(session, source=source, kind=kind, legacy_ids=[read.row.legacy_id for read in rows])
        results = [
            Result(read.row.line, read.row.legacy_id, _left_alone(known[read.row.legacy_id], read))
            for read in rows
            if read.row.legacy_id in known and not self._changes(known[read.row.legacy_id], read)
        ]
        wanted = [read for read in rows if read.row.legacy_id not in known or self._changes(known[read.row.legacy_id], read)]
        fresh: list[tuple[str, UUID | None, bytes]] = []
        changed: dict[str, bytes] = {}
        for read, became in await self._take(session, wanted):
            row = read.row
            if isinstance(became, Fault):
                results.append(_rejected(row.line, row.legacy_id, became))
            elif row.legacy_id in known:
                changed[row.legacy_id] = read.row_hash
                results.append(Result(row.line, row.legacy_id, Outcome.UPDATED, en=became.note))
            else:
                fresh.append((row.legacy_id, became.our_id, read.row_hash))
                results.append(Result(row.line, row.legacy_id, Outcome.ADDED, en=became.note))
        await remember(session, source=source, kind=kind, run_id=self._context.run_id, rows=fresh)
        await remember_changed(session, source=source, kind=kind, run_id=self._context.run_id, hashes=changed)
        return results

    def _changes(self, known: Known, read: ReadRow) -> bool:
        return self._kind.updates and known.row_hash != read.row_hash

    async def _take(self, session: AsyncSession, reads: Sequence[ReadRow]) -> list[tuple[ReadRow, Taken | Fault]]:
        """Take rows over; a refusal of the room's rules turns down one row, found by halving, and not the set."""
        if not reads:
            return []
        try:
            async with session.begin_nested():
                became = await self._kind.take(session, self._context, [read.row for read in reads])
        except Refusal as refusal:
            if len(reads) == 1:
                return [(reads[0], Fault("refused", "", zh=refusal.sentence("zh"), en=refusal.sentence("en")))]
            half = len(reads) // 2
            return [*await self._take(session, reads[:half]), *await self._take(session, reads[half:])]
        return [(read, became[read.row.line]) for read in reads]


def _left_alone(known: Known, read: ReadRow) -> Outcome:
    return Outcome.UNCHANGED if known.row_hash == read.row_hash else Outcome.DIFFERS
