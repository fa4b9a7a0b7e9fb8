"""`loyalty replay`: play imported receipts as traffic of tills, over HTTP, at chosen speed."""

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import msgspec

from loyalty import clock
from loyalty.cards.numbers import check_value
from loyalty.db import Sessions, make_engine, make_sessions, transaction
from loyalty.importing.queries import Receipt, list_receipts, opening_balances
from loyalty.installation import open_keys
from loyalty.settings import Settings

from .reports import report_text
from .rules import Planned, plan
from .running import Answers, Played, Player
from .tills import make_tills

_TIMEOUT_S: Final = 25.0


class CannotReplay(Exception):  # noqa: N818 - said to a person
    """There is nothing to replay, or nowhere to replay it to; the text says what to do."""

    for_people = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe `loyalty replay`."""
    parser.add_argument("--speed", type=_speed, default=None, metavar="X|max", help="times real time, or max (default: max)")
    parser.add_argument("--base-url", metavar="URL", help="where the API is (default: the installation's own, LOYALTY_PUBLIC_URL)")
    parser.add_argument("--from", dest="begin", type=_instant, metavar="INSTANT", help="receipts from here on (ISO 8601, UTC by default)")
    parser.add_argument("--to", dest="end", type=_instant, metavar="INSTANT", help="receipts before here")
    parser.add_argument("--source", help="only what was imported under this name")
    parser.add_argument("--at-once", type=int, default=8, metavar="N", help="tills that work at the same time (default: 8)")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Replay, and print the report; exit code 4 where a receipt was not booked or an answer differs from the replay before."""
    # The keys are no part of the data: tills' keys live beside the installation's own.
    _folder(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    played, answers = asyncio.run(_replay(arguments, settings))
    return 0 if all(each.is_booked for each in played) and not answers.differing else 4


async def _replay(arguments: argparse.Namespace, settings: Settings) -> tuple[list[Played], Answers]:
    assert settings.database_url is not None, "the command says that it needs one"
    base_url = (arguments.base_url or settings.public_url).rstrip("/")
    engine = make_engine(settings.database_url, role="loyalty_hot", application_name="loyalty-replay")
    try:
        await open_keys(settings, engine, now=clock.real_now())
        sessions = make_sessions(engine)
        wanted = await _wanted(sessions, arguments)
        return await replay(sessions, wanted, base_url=base_url, folder=_folder(settings), at_once=arguments.at_once, speed=arguments.speed)
    finally:
        await engine.dispose()


def _folder(settings: Settings) -> Path:
    return settings.keys_dir / "replay"


async def _wanted(sessions: Sessions, arguments: argparse.Namespace) -> list[Planned]:
    """Plan all receipts, and return those of the wanted time."""
    async with transaction(sessions) as session:
        receipts: list[Receipt] = await list_receipts(session, source=arguments.source)
        openings = await opening_balances(session, account_ids=sorted({receipt.account_id for receipt in receipts}))
    wanted = [
        each
        for each in plan(receipts, openings)
        if (arguments.begin is None or each.receipt.event_at >= arguments.begin)
        and (arguments.end is None or each.receipt.event_at < arguments.end)
    ]
    if not wanted:
        raise CannotReplay("There is no receipt to replay: import some first (loyalty import transactions …).")
    return wanted


async def replay(
    sessions: Sessions, wanted: Sequence[Planned], *, base_url: str, folder: Path, at_once: int = 8, speed: float | None = None
) -> tuple[list[Played], Answers]:
    """Make or take up the tills, play the receipts, print the report; keep the answers' fingerprints for the next time.

    :raises CannotReplay: if nothing answers at `base_url`
    """
    async with httpx.AsyncClient(base_url=base_url, timeout=_TIMEOUT_S, limits=httpx.Limits(max_connections=at_once + 2)) as http:
        await _reach(http, base_url)
        receipts = [each.receipt for each in wanted]
        tills = await make_tills(
            sessions,
            http,
            base_url=base_url,
            folder=folder,
            receipts=receipts,
            now=clock.business_now(),
            real_now=clock.real_now,
            progress=_show_tills,
        )
        kept = folder / "answers.json"
        answers = Answers(_read_answers(kept))
        meter = _Meter(len(wanted))
        began = time.monotonic()
        try:
            played = await Player(tills, answers, check_value=check_value).play(wanted, at_once=at_once, speed=speed, progress=meter.count)
        finally:
            kept.write_bytes(msgspec.json.encode(answers.before | answers.now))
        _show("")
    sys.stdout.write(report_text(played, answers, seconds=time.monotonic() - began) + "\n")
    return played, answers


async def _reach(http: httpx.AsyncClient, base_url: str) -> None:
    try:
        answer = await http.get("/health")
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise CannotReplay(f"Nothing answers at {base_url} ({error}). Run `loyalty up`, or name another with --base-url.") from error


def _read_answers(file: Path) -> dict[str, str]:
    with contextlib.suppress(FileNotFoundError):
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    return {}


def _show_tills(done: int, whole: int) -> None:
    if sys.stderr.isatty() or done == whole:
        _show(f"tills: {done:,} of {whole:,}")


class _Meter:
    """Shows how far a replay is and how long it may take."""

    def __init__(self, whole: int) -> None:
        self._whole = whole
        self._done = 0
        self._failed = 0
        self._began = self._last = time.monotonic()

    def count(self, played: Played) -> None:
        self._done += 1
        self._failed += not played.is_booked
        now = time.monotonic()
        if now - self._last >= (0.5 if sys.stderr.isatty() else 5):
            self._last = now
            left = (now - self._began) / self._done * (self._whole - self._done)
            pace = self._done / (now - self._began)
            _show(f"{self._done:,} of {self._whole:,} receipts, {self._failed:,} not booked, {pace:,.0f}/s, {left:,.0f} s left")


def _show(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
    elif text:
        sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    speed = float(text)
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError("a number above 0, or max")
    return speed


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no ISO 8601 date or time") from error
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
