"""`loyalty import`: take a former system's file over."""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from loyalty import clock
from loyalty.audit.model import Actor, ActorKind
from loyalty.db import Sessions, make_engine, make_sessions, transaction
from loyalty.installation import open_keys
from loyalty.ledger.operations import make_partitions, open_first_period
from loyalty.policy import load_policy
from loyalty.settings import Settings

from .mapping import KINDS, MapNotSound, Mapping, find_map, read_map
from .reading import FileNotReadable, count_rows
from .reports import RowReport, report_path, totals_text
from .running import SET_ROWS, Figures, Import, Outcome, Result, import_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe `loyalty import`."""
    parser.add_argument("kind", choices=KINDS, help="what the file's rows are")
    parser.add_argument("file", type=Path, help="CSV, XLSX, XLS or ODS")
    parser.add_argument(
        "--map", required=True, metavar="MAP", help="mapping file (TOML), or the name of a shipped one, such as ccs-customers"
    )
    parser.add_argument("--dry-run", action="store_true", help="do all of it, report it, and take it back")
    parser.add_argument("--report", type=Path, metavar="CSV", help="where the row report goes (default: beside the file)")
    parser.add_argument("--set-rows", type=int, default=SET_ROWS, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Import, print the control totals; exit code 3 where rows were rejected."""
    if not arguments.file.is_file():
        raise FileNotReadable(f"There is no file {arguments.file}.")
    map_path = find_map(arguments.map)
    mapping = read_map(map_path.read_bytes(), name=map_path.name)
    if mapping.kind != arguments.kind:
        raise MapNotSound(f"{map_path.name} maps {mapping.kind}, not {arguments.kind}.")
    made = asyncio.run(_import(arguments, mapping, settings))
    return 3 if made.figures.rows.get(Outcome.REJECTED) else 0


async def _import(arguments: argparse.Namespace, mapping: Mapping, settings: Settings) -> Import:
    assert settings.database_url is not None, "the command says that it needs one"
    # Sets are small, but a dry run is one transaction however long it takes.
    seconds = 0 if arguments.dry_run else 60
    engine = make_engine(settings.database_url, role="loyalty_hot", application_name="loyalty-import", transaction_seconds=seconds)
    try:
        await open_keys(settings, engine, now=clock.real_now())
        await _make_ready(settings, make_sessions(engine))
        path: Path = arguments.file
        with RowReport(report_path(path, arguments.report, dry_run=arguments.dry_run)) as report:
            meter = Meter(path, report)
            async with _sessions_for(engine, dry_run=arguments.dry_run) as sessions:
                made = await import_file(
                    sessions,
                    path=path,
                    mapping=mapping,
                    actor=Actor(ActorKind.SYSTEM, "import"),
                    policy=load_policy(settings.policy),
                    now=clock.business_now(),
                    watcher=meter,
                    set_rows=arguments.set_rows,
                )
            meter.end()
            _say(totals_text(made, dry_run=arguments.dry_run, seconds=meter.seconds))
            _say(f"Row report: {report.path}")
        return made
    finally:
        await engine.dispose()


async def _make_ready(settings: Settings, sessions: Sessions) -> None:
    """Open the first accounting period and this month's partitions, where a fresh database has none."""
    now = clock.business_now()
    async with transaction(sessions) as session:
        await open_first_period(session, period=clock.period_of(clock.local_date(now, settings.zone)), now=now)
        await make_partitions(session, now=now, months_ahead=1)


@asynccontextmanager
async def _sessions_for(engine: AsyncEngine, *, dry_run: bool) -> AsyncIterator[Sessions]:
    """Yield sessions; for a dry run all on one connection, whose transaction is rolled back at the end."""
    if not dry_run:
        yield make_sessions(engine)
        return
    async with engine.connect() as connection:
        outer = await connection.begin()
        try:
            yield async_sessionmaker(connection, class_=AsyncSession, expire_on_commit=False, join_transaction_mode="create_savepoint")
        finally:
            await outer.rollback()


class Meter:
    """Shows on standard error how far an import is and how long it may take, and feeds the row report."""

    def __init__(self, path: Path, report: RowReport) -> None:
        self._lines = count_rows(path)
        self._report = report
        self._began = self._last = time.monotonic()
        self._from = 0
        self.seconds = 0.0

    def began(self, made: Import) -> None:
        """Start the report, or go on with the one of a run that was cut off."""
        self._from = made.resumed_after
        self._report.open(goes_on=made.resumed_after > 0)

    def took(self, figures: Figures, last_line: int, results: Sequence[Result]) -> None:
        """Take note of a committed set."""
        self._report.add(results)
        self.seconds = time.monotonic() - self._began
        if time.monotonic() - self._last < (0.5 if sys.stderr.isatty() else 5):
            return
        self._last = time.monotonic()
        done = last_line - self._from
        pace = done / self.seconds
        text = f"{figures.read:,} rows, {figures.rows.get(Outcome.REJECTED, 0):,} rejected, {pace:,.0f}/s"
        if self._lines:
            left = max(0, self._lines - last_line) / pace if pace else 0
            text += f", {100 * last_line // max(self._lines, 1)} %, {left:,.0f} s left"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{text}")
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Give the line back."""
        self.seconds = time.monotonic() - self._began
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
