"""`loyalty rules`: rulebooks as files, for a chain that keeps them in version control. Approving stays with people, in the office."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit.model import Actor, ActorKind
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.errors import Refusal
from loyalty.identity.queries import list_staff
from loyalty.money import shown
from loyalty.settings import Settings

from .document import Document
from .faults import Fault, faults_of, warnings_of
from .files import read_rulebook, write_rulebook
from .merging import Change, changes_between
from .operations import approvals, drafts
from .queries import books
from .queries.known import known_codes
from .queries.simulating import simulate_basket
from .simulating import Asked

Work = Callable[[AsyncSession, argparse.Namespace, datetime], Awaitable[int]]
FAULTY: Final = 3
"""The exit code where a rulebook has faults."""
_BY_COMMAND: Final = Actor(ActorKind.SYSTEM, "rules")


class StaffUnknown(Exception):  # noqa: N818 - a sentence for the person at the keyboard
    """Nobody works here under that number."""

    for_people = True


class WordsNotUnderstood(Exception):  # noqa: N818 - as above
    """There are more words than a number and a file."""

    for_people = True

    def __str__(self) -> str:
        return "loyalty rules export [NUMBER] [FILE]: give one number and one file at most."


class RulesRefused(Exception):  # noqa: N818 - as above
    """What the rulebook's operation refused, in its own words."""

    for_people = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe `loyalty rules`."""
    verbs = parser.add_subparsers(title="what to do", metavar="VERB", required=True)
    listed = verbs.add_parser("list", help="the rulebooks, the latest first")
    listed.add_argument("--all", action="store_true", help="every one, not only the last twenty")
    listed.set_defaults(work=_list)
    shown = verbs.add_parser("show", help="one rulebook: its state, its steps, its faults")
    shown.add_argument("number", type=int)
    shown.set_defaults(work=_show)
    meant = "write a rulebook as TOML: the one that is live, or number N"
    exported = verbs.add_parser("export", help=meant, usage="%(prog)s [NUMBER] [FILE]")
    exported.add_argument("what", nargs="*", metavar="NUMBER, FILE", help="which (default: live), and where to (default: standard output)")
    exported.set_defaults(work=_export)
    imported = verbs.add_parser("import", help="make a draft of a TOML file, and name its faults")
    imported.add_argument("file", type=Path, help="where from; - is standard input")
    imported.add_argument("--note", default="", help="what the draft is for")
    imported.add_argument("--as", dest="staff", metavar="NUMBER", help="the employee number of whoever makes it")
    imported.add_argument("--check", action="store_true", help="only name the faults; make nothing")
    imported.set_defaults(work=_import)
    compared = verbs.add_parser("diff", help="what differs between two rulebooks")
    compared.add_argument("before", type=int)
    compared.add_argument("after", type=int)
    compared.set_defaults(work=_diff)
    simulated = verbs.add_parser("simulate", help="try a basket (JSON, as the API takes it) under what is live, a rulebook or a file")
    simulated.add_argument("basket", type=Path, help="the basket; - is standard input")
    under = simulated.add_mutually_exclusive_group()
    under.add_argument("--book", type=int, metavar="NUMBER", help="this rulebook, whatever its status")
    under.add_argument("--file", type=Path, help="a rulebook in TOML that need not be imported")
    simulated.add_argument("--without", action="append", default=[], metavar="RULE", help="as if this rule were not there; repeatable")
    simulated.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    simulated.set_defaults(work=_simulate)
    submitted = verbs.add_parser("submit", help="hand a draft in; somebody else approves it in the office")
    submitted.add_argument("number", type=int)
    submitted.add_argument("--as", dest="staff", metavar="NUMBER", required=True, help="the employee number of whoever submits it")
    submitted.add_argument("--note", default="")
    submitted.set_defaults(work=_submit)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it; exit code 3 where the rulebook has faults."""
    return asyncio.run(_run(arguments, settings))


async def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    assert settings.database_url is not None, "the command says that it needs one"
    engine = make_engine(settings.database_url, role="loyalty_hot", application_name="loyalty-rules")
    try:
        async with transaction(make_sessions(engine)) as session:
            work: Work = arguments.work
            return await work(session, arguments, clock.business_now())
    except approvals.RulebookHasFaults as refusal:
        _tell_faults(refusal.faults)
        return FAULTY
    except Refusal as refusal:
        raise RulesRefused(refusal.sentence("en")) from refusal
    finally:
        await engine.dispose()


async def _list(session: AsyncSession, arguments: argparse.Namespace, now: datetime) -> int:
    live = await books.live_at(session, instant=now)
    cursor: str | None = None
    while True:
        page = await books.list_books(session, cursor=cursor, limit=200 if arguments.all else 20)
        for one in page.rows:
            mark = "live" if live is not None and live.number == one.number else one.status.value
            at = one.activates_at.isoformat(timespec="minutes") if one.activates_at else ""
            _say(f"{one.number:>6}  {mark:<10}  {at:<22}  {one.rules:>4} rules  {one.note}")
        cursor = page.next
        if cursor is None or not arguments.all:
            return 0


async def _show(session: AsyncSession, arguments: argparse.Namespace, now: datetime) -> int:
    book = await books.get_book(session, number=arguments.number)
    _say(f"Rulebook {book.number}: {book.status.value}, version {book.version}, from {book.base or 'nothing'}. {book.note}")
    for event in await books.events_of(session, number=book.number):
        facts = " ".join(f"{name}={value}" for name, value in event.facts.items())
        _say(f"  {event.happened_at.isoformat(timespec='seconds')}  {event.moved_to:<10}  {event.staff_name or '—'}  {event.note} {facts}")
    for rule in book.document.rules:
        _say(f"  {rule.code:<32} {rule.group}/{rule.priority}  {rule.name_zh} / {rule.name_en}{'' if rule.enabled else '  (off)'}")
    return await _judge(session, book.document, now)


async def _export(session: AsyncSession, arguments: argparse.Namespace, now: datetime) -> int:
    number, file = _what(arguments.what)
    if number is None:
        book = await books.live_at(session, instant=now)
        document = Document() if book is None else book.document
    else:
        document = (await books.get_book(session, number=number)).document
    written = write_rulebook(document)
    if file is None:
        sys.stdout.write(written)
    else:
        file.write_text(written, encoding="utf-8")
        _say(f"{len(document.rules)} rules written to {file}.")
    return 0


def _what(words: list[str]) -> tuple[int | None, Path | None]:
    """Read `[NUMBER] [FILE]`: which rulebook, None for the live one, and where to, None for standard output."""
    rest = list(words)
    number = int(rest.pop(0)) if rest and rest[0].isdecimal() else None
    if len(rest) > 1:
        raise WordsNotUnderstood
    return number, Path(rest[0]) if rest and rest[0] != "-" else None


async def _import(session: AsyncSession, arguments: argparse.Namespace, now: datetime) -> int:
    read = sys.stdin.buffer.read() if str(arguments.file) == "-" else bytes_of(arguments.file)
    document = read_rulebook(read)
    if not arguments.check:
        actor = await actor_named(session, arguments.staff, now)
        note = arguments.note or f"from {arguments.file.name}"
        number = await drafts.start_draft(session, note=note, actor=actor, now=now)
        await drafts.replace_document(session, number=number, version=1, document=document, actor=actor, now=now)
        base = (await books.get_book(session, number=number)).base
        before = Document() if base is None else (await books.get_book(session, number=base)).document
        _say(f"Draft {number} made of {arguments.file}. Against {f'rulebook {base}' if base else 'nothing'}:")
        _tell_changes(changes_between(before, document))
    return await _judge(session, document, now)


async def _diff(session: AsyncSession, arguments: argparse.Namespace, _now: datetime) -> int:
    changes = await books.difference(session, before=arguments.before, after=arguments.after)
    _tell_changes(changes)
    return 0


async def _submit(session: AsyncSession, arguments: argparse.Namespace, now: datetime) -> int:
    book = await books.get_book(session, number=arguments.number)
    actor = await actor_named(session, arguments.staff, now)
    await approvals.submit(session, number=book.number, version=book.version, note=arguments.note, actor=actor, now=now)
    _say(f"Rulebook {book.number} is submitted. Somebody else approves it in the office, under Rules.")
    return 0


async def _simulate(session: AsyncSession, arguments: argparse.Namespace, now: datetime) -> int:
    """Print what each rule gives, or why it gives nothing; a basket without `at` is bought now."""
    read = sys.stdin.buffer.read() if str(arguments.basket) == "-" else bytes_of(arguments.basket)
    try:
        plain = msgspec.json.decode(read)
        asked = msgspec.convert({"at": now.isoformat()} | plain if isinstance(plain, dict) else plain, Asked)
    except msgspec.MsgspecError as error:
        raise RulesRefused(f"The basket cannot be read: {error}.") from error
    asked = msgspec.structs.replace(asked, without=(*asked.without, *arguments.without))
    document = None if arguments.file is None else read_rulebook(bytes_of(arguments.file))
    found = await simulate_basket(session, asked=asked, number=arguments.book, document=document)
    if arguments.json:
        _say(msgspec.json.encode(found).decode())
        return 0
    for line in found.lines:
        off, pays = shown(line.discount_minor, found.currency), shown(line.pays_minor, found.currency)
        _say(f"{line.product:<12} {shown(line.amount_minor, found.currency):>12} − {off:>10} = {pays:>12}")
    for one in found.applied:
        amount = shown(one.given, found.currency) if one.kind in {"discount", "bonus"} else f"{one.given} {one.item or one.kind}"
        _say(f"  gives  {one.rule:<28} {amount:>12}  {one.name_zh} / {one.name_en}")
    for missed in found.missed:
        _say(f"  not    {missed.rule:<28} {'':>12}  {missed.zh} / {missed.en}")
    return 0


async def actor_named(session: AsyncSession, number: str | None, now: datetime) -> Actor:
    """Return who acts: the member of staff that was named, else the command line itself."""
    if number is None:
        return _BY_COMMAND
    found = [one for one in (await list_staff(session, search=number, now=now)).rows if one.employee_number == number]
    if not found:
        raise StaffUnknown(f"Nobody works here under the employee number {number}.")
    return Actor(ActorKind.STAFF, found[0].staff_id)


async def _judge(session: AsyncSession, document: Document, now: datetime) -> int:
    """Name what is wrong and what is hardly meant."""
    known = await known_codes(session)
    faults = faults_of(document, known)
    _tell_faults(faults)
    for warning in warnings_of(document, known, now=now):
        _say(f"warning  {_where(warning)}: {warning.zh} {warning.en}")
    return FAULTY if faults else 0


def _tell_faults(faults: Sequence[Fault]) -> None:
    for fault in faults:
        _say(f"fault    {_where(fault)}: {fault.zh} {fault.en}")


def _where(fault: Fault) -> str:
    return f"{fault.part} {fault.code} {fault.field}".replace("  ", " ")


def _tell_changes(changes: Sequence[Change]) -> None:
    if not changes:
        _say("  no difference")
    for change in changes:
        _say(f"  {change.how.value:<8} {change.section} {change.code}  {change.name_zh} / {change.name_en}".rstrip())
        for field in change.fields:
            _say(f"             {field.field}: {_plain(field.before)} → {_plain(field.after)}")


def _plain(value: Any) -> str:
    return "—" if value is None else str(value)


def bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RulesRefused(f"{path} cannot be read: {error.strerror}.") from error


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
