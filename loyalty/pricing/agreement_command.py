"""`loyalty agreements`: company agreements as a file. An import makes drafts; approving stays with people, in the office."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit.model import Actor
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.errors import Refusal
from loyalty.settings import Settings
from loyalty.stations.queries import snapshot_stations

from .agreement_files import read_agreements, write_agreements
from .command import RulesRefused, actor_named, bytes_of
from .model import AgreementStatus
from .operations.agreements import NewAgreement, change_agreement, draft_agreement
from .queries.agreements import AgreementView, latest_of, list_agreements, standing_agreements

Work = Callable[[AsyncSession, argparse.Namespace, datetime], Awaitable[int]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe `loyalty agreements`."""
    verbs = parser.add_subparsers(title="what to do", metavar="VERB", required=True)
    listed = verbs.add_parser("list", help="every agreement, the latest made first")
    listed.set_defaults(work=_list)
    exported = verbs.add_parser("export", help="write what is agreed now or will be as TOML")
    exported.add_argument("file", type=Path, nargs="?", default=Path("-"), help="where to (default: - for standard output)")
    exported.set_defaults(work=_export)
    imported = verbs.add_parser("import", help="make drafts of a TOML file; what is unchanged is left alone")
    imported.add_argument("file", type=Path, help="where from; - is standard input")
    imported.add_argument("--as", dest="staff", metavar="NUMBER", help="the employee number of whoever makes them")
    imported.set_defaults(work=_import)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it, in one transaction."""
    return asyncio.run(_run(arguments, settings))


async def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    assert settings.database_url is not None, "the command says that it needs one"
    engine = make_engine(settings.database_url, role="loyalty_hot", application_name="loyalty-agreements")
    try:
        async with transaction(make_sessions(engine)) as session:
            work: Work = arguments.work
            return await work(session, arguments, clock.business_now())
    except Refusal as refusal:
        raise RulesRefused(refusal.sentence("en")) from refusal
    finally:
        await engine.dispose()


async def _list(session: AsyncSession, _arguments: argparse.Namespace, now: datetime) -> int:
    cursor: str | None = None
    while True:
        page = await list_agreements(session, now=now, cursor=cursor, limit=200)
        for one in page.rows:
            until = "" if one.ends_at is None else one.ends_at.isoformat(timespec="minutes")
            since = one.starts_at.isoformat(timespec="minutes")
            _say(f"{one.code:<24} {one.revision:>3}  {one.state(now).value:<8} {since} – {until:<22} {one.customer_name}")
        cursor = page.next
        if cursor is None:
            return 0


async def _export(session: AsyncSession, arguments: argparse.Namespace, now: datetime) -> int:
    codes = {one.station_id: one.code for one in await snapshot_stations(session)}
    # Of an agreement that runs and has a next revision the next is filed: it is what the file's reader would go on from.
    latest = {one.code: one for one in await standing_agreements(session, now=now)}
    written = write_agreements([(_agreed(one), one.customer_name) for one in latest.values()], stations=codes)
    if str(arguments.file) == "-":
        sys.stdout.write(written)
    else:
        arguments.file.write_text(written, encoding="utf-8")
        _say(f"{len(latest)} agreements written to {arguments.file}.")
    return 0


async def _import(session: AsyncSession, arguments: argparse.Namespace, now: datetime) -> int:
    read = sys.stdin.buffer.read() if str(arguments.file) == "-" else bytes_of(arguments.file)
    ids = {one.code: one.station_id for one in await snapshot_stations(session)}
    actor = await actor_named(session, arguments.staff, now)
    for wanted in read_agreements(read, stations=ids):
        _say(f"{await _take(session, wanted, actor, now):<10} {wanted.code}")
    return 0


async def _take(session: AsyncSession, wanted: NewAgreement, actor: Actor, now: datetime) -> str:
    """Make a draft of one agreement, or change the one there is; say which."""
    latest = await latest_of(session, code=wanted.code)
    if latest is not None and latest.status is not AgreementStatus.ENDED and _agreed(latest) == wanted:
        return "unchanged"
    if latest is not None and latest.status is AgreementStatus.DRAFT:
        await change_agreement(session, agreement_id=latest.agreement_id, agreement=wanted, actor=actor, now=now)
        return "changed"
    await draft_agreement(session, agreement=wanted, after=0 if latest is None else latest.revision, actor=actor, now=now)
    return "drafted"


def _agreed(one: AgreementView) -> NewAgreement:
    return NewAgreement(**{name: getattr(one, name) for name in NewAgreement._fields})


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
