"""`loyalty pos`: play a station day, print a live summary, end with the server's shift totals equal to the tills' own journals."""

import argparse
import asyncio
import sys
from collections.abc import Iterable
from time import monotonic

import msgspec

from loyalty import clock
from loyalty.db import make_engine, make_sessions
from loyalty.installation import open_keys
from loyalty.settings import Settings

from .plan import plan_day
from .play import Counts, StationDay
from .stage import StageError, set_stage

_FAULTS_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--stations", type=int, default=2, metavar="N", help="how many stations play (default: 2)")
    parser.add_argument("--customers", type=int, default=60, metavar="N", help="customers of each station's day (default: 60)")
    parser.add_argument(
        "--rate", type=float, default=20.0, metavar="R", help="customers a second at all stations; 0: no pause (default: 20)"
    )
    parser.add_argument("--offline", type=_percent, default=10, metavar="P%", help="share of the day without a line (default: 10%%)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed plays the same day (default: 1)")
    parser.add_argument("--cards", type=int, default=12, metavar="N", help="cards sold at each station in the morning (default: 12)")
    parser.add_argument("--base-url", metavar="URL", help="where the service answers (default: the running `loyalty up`)")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Play, and compare; 1 where a figure or a transaction differs."""
    base_url = arguments.base_url or _running_at(settings)
    return asyncio.run(_play(arguments, settings, base_url))


async def _play(arguments: argparse.Namespace, settings: Settings, base_url: str) -> int:
    assert settings.database_url is not None, "the command asks for a database"
    engine = make_engine(settings.database_url, role="loyalty_hot", application_name="loyalty-pos")
    try:
        await open_keys(settings, engine, now=clock.real_now())
        scenes = await set_stage(make_sessions(engine), stations=arguments.stations, cards=arguments.cards)
    finally:
        await engine.dispose()
    counts = Counts()
    days = [StationDay(scene, base_url=base_url, counts=counts) for scene in scenes]
    plans = [
        plan_day(seed=arguments.seed, station=number, visits=arguments.customers, cards=arguments.cards, offline_percent=arguments.offline)
        for number in range(len(days))
    ]
    print(f"{len(days)} stations, {arguments.cards} cards each, {len(days) * arguments.customers} customers, at {base_url}", flush=True)
    await asyncio.gather(*(day.open() for day in days))
    began = monotonic()
    watching = asyncio.create_task(_watch(counts, len(days) * arguments.customers))
    between = len(days) / arguments.rate if arguments.rate > 0 else 0.0
    try:
        await asyncio.gather(*(day.play(plan, seconds_between=between) for day, plan in zip(days, plans, strict=True)))
    finally:
        watching.cancel()
    differences = [line for found in await asyncio.gather(*(day.close() for day in days)) for line in found]
    _report(counts, days, differences, seconds=monotonic() - began)
    return 1 if differences or counts.faults else 0


async def _watch(counts: Counts, total: int) -> None:
    """Say once a second how far the day is; on a terminal in one line."""
    end = "\r" if sys.stdout.isatty() else "\n"
    while True:
        await asyncio.sleep(1)
        print(f"  {counts.visits:>5}/{total} customers  {_top(counts.outcomes.items())}", end=end, flush=True)


def _report(counts: Counts, days: Iterable[StationDay], differences: list[str], *, seconds: float) -> None:
    times = sorted(counts.latencies_ms) or [0]
    print(f"\n{counts.visits} customers in {seconds:.1f} s; a visit takes {times[len(times) // 2]} ms (median), {times[-1]} ms at most")
    print(f"answers:  {_top(counts.outcomes.items())}")
    print(f"declined: {_top(counts.declined.items()) or 'none'}")
    print(f"refused:  {_top(counts.refused.items()) or 'none'}")
    for day in days:
        for code, tally in day.tallies.items():
            sums = ", ".join(f"{name} {taken / 100:.2f}−{returned / 100:.2f}" for name, (taken, returned) in sorted(tally.tenders.items()))
            print(f"{day.scene.station.code}/{code}: {sums or 'nothing'}")
    for fault in counts.faults[:_FAULTS_SHOWN]:
        print(f"FAULT {fault}")
    for difference in differences[:_FAULTS_SHOWN]:
        print(f"DIFFERS {difference}")
    if not differences:
        print("Tills and server agree: every tender, every product, every transaction, every chain's signature.")


def _top(items: Iterable[tuple[str, int]]) -> str:
    return " · ".join(f"{name} {count}" for name, count in sorted(items, key=lambda item: (-item[1], item[0])))


def _percent(text: str) -> int:
    number = int(text.removesuffix("%"))
    if not 0 <= number <= 90:
        raise argparse.ArgumentTypeError("a share from 0% to 90%")
    return number


class _Running(msgspec.Struct):
    url: str = ""


def _running_at(settings: Settings) -> str:
    """Return where the `loyalty up` on this data folder serves, as it says itself.

    :raises StageError: if none does
    """
    try:
        running = msgspec.json.decode((settings.data_dir / "running.json").read_bytes(), type=_Running)
    except (OSError, msgspec.DecodeError):
        running = _Running()
    if not running.url:
        raise StageError("No `loyalty up` runs on this data folder. Start it, or name the service with --base-url.")
    return running.url
