"""`loyalty demo`: fill an empty database with the demo chain, and print its log-ins."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from typing import ClassVar

from loyalty import demo
from loyalty.settings import Settings
from partners.demo import ally
from partners.demo_feeds import send_lists
from partners.demo_offline import lose_the_network
from partners.demo_people import let_partners_in


class DemoNotWanted(Exception):  # noqa: N818 - said to a person
    """Demo data belongs into a database that was meant for it."""

    for_people: ClassVar[bool] = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe `loyalty demo`."""
    parser.add_argument("--demo", action="store_true", help="really fill a database that DATABASE_URL names")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Fill and print.

    :raises DemoNotWanted: if an outside database is named without `--demo`
    """
    if not (settings.fills_demo or arguments.demo):
        raise DemoNotWanted("DATABASE_URL names an outside database: its demo log-ins would be real ones. Say --demo if that is meant.")
    told = asyncio.run(fill(settings, _say))
    sys.stdout.write(f"{told or 'The database is not empty: nothing was changed.'}\n")
    return 0


async def fill(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> str:
    """Fill an empty database with the whole demo: the chain, and what the rooms above it add."""
    return await demo.fill(settings, progress, also=[ally, send_lists, let_partners_in, lose_the_network])


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
