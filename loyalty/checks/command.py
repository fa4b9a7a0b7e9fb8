"""`loyalty check`: prove the invariants on a database, name every row that breaks one, and end with 1 if any does."""

import argparse
import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from loyalty import clock
from loyalty.audit.checkpoints import read_checkpoints
from loyalty.crypto import Purpose, public_keys
from loyalty.db import make_engine
from loyalty.installation import open_keys
from loyalty.settings import Settings

from .model import Check, Level, Result, Scope
from .queries import all_checks
from .running import examine_database

CHECKPOINTS = "audit-checkpoints.jsonl"
"""Beside the keys, outside the database: where the trail's links are exported to."""


def checkpoints_file(settings: Settings) -> Path:
    """Return the file of the trail's exported links."""
    return settings.keys_dir / CHECKPOINTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe `loyalty check`."""
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    parser.add_argument("--rows", type=int, default=50, help="how many rows of a check are named; all are counted (default: 50)")
    parser.add_argument(
        "--all", action="store_true", help="open every protected value and search every text, not a sample of the large tables"
    )
    parser.add_argument("--only", action="append", metavar="CODE", help="only this check, or those whose code begins so (may be repeated)")
    parser.add_argument("--list", action="store_true", help="say what is checked, and check nothing")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Check, say what was found, return 1 on any breach."""
    checks = [check for check in all_checks() if not arguments.only or check.code.startswith(tuple(arguments.only))]
    if arguments.list:
        _print("\n".join(f"{check.invariant}  {check.code:<44} {check.says}" for check in checks))
        return 0
    now = clock.business_now()
    results = asyncio.run(check_database(settings, checks=checks, rows=arguments.rows, everything=arguments.all, now=now, say=_progress))
    if arguments.json:
        _print(msgspec.json.encode(report(results, now=now)).decode())
    else:
        _print(_told(results))
    return 1 if any(result.breaks for result in results) else 0


async def check_database(
    settings: Settings, *, checks: list[Check] | None = None, rows: int = 50, everything: bool = False, now: datetime, say: Any = None
) -> list[Result]:
    """Prove the invariants on the database that the settings name, with its keys and exported checkpoints."""
    url = settings.database_url
    assert url is not None, "the caller opened a database"
    engine = make_engine(url, role="loyalty_jobs", application_name="loyalty-check", pool_size=1)
    try:
        await open_keys(settings, engine, now=clock.real_now())
    finally:
        await engine.dispose()
    scope = Scope(
        now=now,
        rows=rows,
        everything=everything,
        issuer_keys=public_keys(Purpose.AUDIT),
        checkpoints=read_checkpoints(checkpoints_file(settings)),
    )
    wanted = list(all_checks()) if checks is None else checks
    results: list[Result] = []
    async for result in examine_database(url, scope, checks=wanted):
        results.append(result)
        if say is not None:
            say(len(results), len(wanted), result)
    return results


def report(results: list[Result], *, now: datetime) -> dict[str, Any]:
    """Return the findings as one plain document."""
    return {
        "clean": not any(result.breaks for result in results),
        "checked_at": now.isoformat(),
        "breaches": sum(result.found.count for result in results if result.check.level is Level.BREACH),
        "warnings": sum(result.found.count for result in results if result.check.level is Level.WARNING),
        "checks": [
            {
                "code": result.check.code,
                "invariant": result.check.invariant,
                "level": result.check.level.value,
                "says": result.check.says,
                "found": result.found.count,
                "rows": result.found.rows,
                "seconds": round(result.seconds, 3),
            }
            for result in results
        ],
    }


def _told(results: list[Result]) -> str:
    lines: list[str] = []
    for result in results:
        if not result.found.count:
            continue
        lines.append(f"{result.check.level.upper()}  {result.check.code} (invariant {result.check.invariant}): {result.found.count} found")
        lines.append(f"  should hold: {result.check.says}")
        lines += ["  " + "  ".join(f"{name}={value}" for name, value in row.items()) for row in result.found.rows]
        if result.found.count > len(result.found.rows):
            lines.append(f"  … and {result.found.count - len(result.found.rows)} more (--rows)")
    seconds = sum(result.seconds for result in results)
    broken = sum(result.breaks for result in results)
    verdict = f"{broken} of {len(results)} checks broken" if broken else f"All {len(results)} checks hold"
    return "\n".join([*lines, f"{verdict} ({seconds:.1f} s)."])


def _progress(done: int, whole: int, result: Result) -> None:
    state = "ok" if not result.found.count else f"{result.found.count} {result.check.level.value}"
    sys.stderr.write(f"[{done:>2}/{whole}] {result.check.code:<48} {state}  {result.seconds:.2f} s\n")
    sys.stderr.flush()


def _print(told: str) -> None:
    sys.stdout.write(told + "\n")
