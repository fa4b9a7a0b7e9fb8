"""The `loyalty` command.

Each subcommand is one line in `COMMANDS` and a module with `add_arguments(parser)` and `run(arguments, settings) -> exit code`.
"""

import argparse
import asyncio
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from loyalty.crypto import CryptoError
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.postgres import ServerFailed, WheelMissing
from loyalty.running import AlreadyRunning, open_database
from loyalty.settings import SettingRefused, Settings


class Command(NamedTuple):
    """One subcommand; its module is imported only when it is asked for, so that help is instant."""

    name: str
    module: str
    summary: str
    needs_database: bool = True
    """`settings.database_url` is then a migrated database that answers: the one named, the running `up`'s, or the embedded one for now."""
    arguments: str = "add_arguments"
    run: str = "run"


COMMANDS = (
    Command("up", "loyalty.supervisor", "start everything: database, web, scheduler; stop with Ctrl-C", needs_database=False),
    Command(
        "web",
        "loyalty.supervisor",
        "serve API and portals only, from the PostgreSQL of DATABASE_URL",
        needs_database=False,
        arguments="add_web_arguments",
        run="run_web",
    ),
    Command("migrate", "loyalty.cli", "bring the database's schema up to date", arguments="_no_arguments", run="_migrated"),
    Command("partitions", "loyalty.cli", "make the monthly partitions ahead of time", arguments="_partition_arguments", run="_partitions"),
    Command(
        "check",
        "loyalty.cli",
        "prove the invariants on the database and name every row that breaks one",
        arguments="_check_arguments",
        run="_checked",
    ),
    Command("bench", "loyalty.bench.command", "measure the hot operations over HTTP against TPC-B in the same run", needs_database=False),
    Command("import", "loyalty.importing.command", "import a legacy CSV or XLSX file by a mapping file"),
    Command("replay", "loyalty.replay.command", "turn imported transactions into POS traffic through the API"),
    Command("pos", "loyalty.pos.command", "simulate terminals playing a station day, over the API"),
    Command("rules", "loyalty.pricing.command", "list, compare, export and import rulebooks as TOML files"),
    Command("agreements", "loyalty.pricing.agreement_command", "export and import company agreements as TOML files"),
    Command("backtest", "loyalty.backtests.command", "say what a rulebook would have cost over a past period's sales"),
    Command("demo", "loyalty.demo_command", "fill an empty database with the demo chain"),
)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; what a person can mend is said in one sentence, with exit code 1."""
    words = sys.argv[1:] if words is None else words
    parser = _parser(next((word for word in words if not word.startswith("-")), None))
    arguments = parser.parse_args(words)
    command: Command | None = getattr(arguments, "command", None)
    if command is None:
        parser.print_help()
        return 2
    try:
        settings = Settings.from_environment(os.environ).with_data(arguments.data, arguments.keys)
        return _run(command, arguments, settings)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if not _is_for_people(error):
            raise
        print(f"loyalty {command.name}: {error}", file=sys.stderr)
        return 1


def _run(command: Command, arguments: argparse.Namespace, settings: Settings) -> int:
    work = getattr(importlib.import_module(command.module), command.run)
    if not command.needs_database:
        return int(work(arguments, settings) or 0)
    with open_database(settings) as opened:
        assert opened.database_url is not None
        if command.name != "migrate":
            _migrate(opened.database_url)
        return int(work(arguments, opened) or 0)


def _is_for_people(error: Exception) -> bool:
    """Errors whose text is a sentence for the person at the keyboard; a room marks its own with `for_people = True`."""
    known = SettingRefused | AlreadyRunning | ServerFailed | WheelMissing | CryptoError
    return isinstance(error, known) or getattr(error, "for_people", False)


def _parser(wanted: str | None) -> argparse.ArgumentParser:
    """Build the parser; only the wanted command's own module is imported for its arguments."""
    parser = argparse.ArgumentParser(
        prog="loyalty",
        description="Fuel cards and prepaid stored value: ledger, cards, pump authorisation, portals.",
        epilog="Settings come from the environment: DATABASE_URL (or DATABASE_URL_FILE) names an outside PostgreSQL 18; LOYALTY_DATA, "
        "LOYALTY_KEYS, LOYALTY_POLICY, LOYALTY_LOCALE, LOYALTY_ZONE, LOYALTY_PUBLIC_URL, LOYALTY_WORKERS, LOYALTY_LOG_LEVEL.",
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        if not _exists(command.module):
            continue
        subparser = subparsers.add_parser(
            command.name, help=command.summary, description=command.summary[0].upper() + command.summary[1:] + "."
        )
        subparser.set_defaults(command=command)
        subparser.add_argument("--data", type=Path, metavar="DIR", help="folder of the embedded database (default: your own data folder)")
        subparser.add_argument(
            "--keys", type=Path, metavar="DIR", help="folder of the keys, outside the data (default: DIR-keys beside it)"
        )
        if command.name == wanted:
            getattr(importlib.import_module(command.module), command.arguments)(subparser)
    return parser


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def _check_arguments(parser: argparse.ArgumentParser) -> None:
    importlib.import_module("loyalty.checks.command").add_arguments(parser)


def _checked(arguments: argparse.Namespace, settings: Settings) -> int:
    """Prove the issuer's invariants and those of the alliances' books, which only this root knows of."""
    importlib.import_module("loyalty.checks.queries").also(importlib.import_module("partners.checks").CHECKS)
    return int(importlib.import_module("loyalty.checks.command").run(arguments, settings))


def _partition_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--months", type=int, default=3, help="how many months ahead (default: 3)")
    parser.add_argument("--back", type=int, default=0, help="how many months back, for imported history (default: 0)")


def _migrated(arguments: argparse.Namespace, settings: Settings) -> int:
    del arguments
    assert settings.database_url is not None
    _migrate(settings.database_url)
    print("The schema is up to date.")
    return 0


def _migrate(url: str) -> None:
    from loyalty import schema  # noqa: PLC0415 - alembic takes a third of a second to import

    asyncio.run(schema.migrate(url))


def _partitions(arguments: argparse.Namespace, settings: Settings) -> int:
    assert settings.database_url is not None
    made = asyncio.run(_make_partitions(settings.database_url, arguments.months, arguments.back))
    print("\n".join(made) if made else "All partitions are there.")
    return 0


async def _make_partitions(url: str, months_ahead: int, months_back: int) -> list[str]:
    from loyalty import clock  # noqa: PLC0415 - as above
    from loyalty.ledger.operations import make_partitions  # noqa: PLC0415 - as above

    engine = make_engine(url, role="loyalty_jobs", application_name="loyalty-partitions")
    try:
        async with transaction(make_sessions(engine)) as session:
            return await make_partitions(session, now=clock.business_now(), months_ahead=months_ahead, months_back=months_back)
    finally:
        await engine.dispose()
