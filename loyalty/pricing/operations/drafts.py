"""Drafting a rulebook: started from what is live, from an earlier one or from nothing, changed part by part, discarded.

Every change names the version it was made on, so that two editors never overwrite each other, and leaves an event and a line in the trail.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.audit.operations import record
from loyalty.errors import NotFound, Refusal
from loyalty.pricing import ordering
from loyalty.pricing.document import ROOT, Budget, Campaign, Document, Group, Rule
from loyalty.pricing.merging import Choice, Conflict, merge, ordered
from loyalty.pricing.model import BOOK_MOVES, BookStatus, Rulebook, RulebookEvent
from loyalty.pricing.queries.books import get_book, get_book_for_update
from loyalty.pricing.queries.live import document_of, latest_document

P = TypeVar("P", Rule, Group, Budget, Campaign)


class DraftChanged(Refusal):
    """Somebody else changed it meanwhile."""

    zh = "这份草稿刚被修改过（您基于第 {version} 版，现为第 {current} 版）。"
    en = "This draft has been changed meanwhile (yours was made on version {version}, it is at {current})."
    next_zh = "您的改动没有保存；请重新打开后再改。"
    next_en = "Your change was not saved: open it again and repeat."


class NotADraft(Refusal):
    """Only a draft can be changed."""

    zh = "规则集 {number} 不是草稿，不能修改。"
    en = "Rulebook {number} is not a draft and cannot be changed."
    next_zh = "请基于它新建草稿。"
    next_en = "Start a new draft from it."


class BookCannotMove(Refusal):
    """The present status does not lead there."""

    zh = "规则集 {number} 现为“{status}”，不能变为“{to}”。"
    en = "Rulebook {number} is {status}; it cannot become {to}."
    next_zh = "请刷新页面查看最新状态。"
    next_en = "Reload the page to see how it stands."


class PartNotFound(NotFound):
    zh = "规则集里没有“{part}”。"
    en = 'The rulebook has no "{part}".'


class PartCodeTaken(Refusal):
    """A new part needs a code of its own."""

    zh = "代码“{part}”已被使用。"
    en = 'The code "{part}" is taken.'
    next_zh = "请换一个代码，或直接修改现有的那一条。"
    next_en = "Choose another, or change the one that has it."


class DocumentNotSound(Refusal):
    """A value is out of its range or of the wrong shape."""

    status = 422
    zh = "规则内容不符合格式：{problem}"
    en = "The rulebook does not have the right shape: {problem}"
    next_zh = "请按说明改正后再试。"
    next_en = "Correct it and try again."


class ChangesConflict(Refusal):
    """Both sides changed the same parts, each otherwise."""

    zh = "有 {count} 处双方都改过：{parts}。"
    en = "Both sides changed {count} of the same parts: {parts}."
    next_zh = "请逐条选择保留哪一边。"
    next_en = "Choose one side for each."

    def __init__(self, conflicts: tuple[Conflict, ...]) -> None:
        parts = ", ".join(conflict.code for conflict in conflicts[:10])
        super().__init__(count=len(conflicts), parts=parts)
        self.conflicts = conflicts


async def start_draft(
    session: AsyncSession, *, source: int | None = None, empty: bool = False, note: str, actor: Actor, now: datetime
) -> int:
    """Start a draft and return its number.

    Without `source` it is made from the book that is live or will be last; `empty` begins with nothing. Of an approved or drafted book the
    document is taken: approving it goes back to that. A cancelled or discarded one is taken up again on the base it had, so that `rebase`
    brings in what changed since.

    :raises RulebookNotFound: if there is no such source
    """
    last, document = await latest_document(session)
    base = last
    if empty:
        document = Document(currency=document.currency, own_funders=document.own_funders)
    elif source is not None:
        book = await get_book(session, number=source)
        document = book.document
        if book.status in {BookStatus.CANCELLED, BookStatus.DISCARDED}:
            base = book.base
    row = Rulebook(
        status=BookStatus.DRAFT,
        base=base,
        note=note,
        document=_plain(document),
        version=1,
        made_by=actor.staff_id,
        made_at=now,
        changed_at=now,
    )
    session.add(row)
    await session.flush()
    facts = {"base": base, "source": source if source is not None else last, "empty": empty}
    await note_step(session, row, actor=actor, note=note, facts=facts, action="rulebook_started", now=now)
    return row.number


async def put_rule(session: AsyncSession, *, number: int, version: int, rule: Rule, new: bool = False, actor: Actor, now: datetime) -> int:
    """Put a rule into a draft, in place of the one with its code; return the draft's new version. `new`: there must be none yet.

    :raises RulebookNotFound, NotADraft, DraftChanged, DocumentNotSound: as every change
    :raises PartCodeTaken: if a new rule's code is used
    """
    return await _put(session, number, version, "rules", rule, actor=actor, new=new, now=now)


async def put_group(
    session: AsyncSession, *, number: int, version: int, group: Group, new: bool = False, actor: Actor, now: datetime
) -> int:
    """Put a group into a draft; `put_rule` says how."""
    return await _put(session, number, version, "groups", group, actor=actor, new=new, now=now)


async def put_budget(
    session: AsyncSession, *, number: int, version: int, budget: Budget, new: bool = False, actor: Actor, now: datetime
) -> int:
    """Put a budget into a draft; `put_rule` says how."""
    return await _put(session, number, version, "budgets", budget, actor=actor, new=new, now=now)


async def put_campaign(
    session: AsyncSession, *, number: int, version: int, campaign: Campaign, new: bool = False, actor: Actor, now: datetime
) -> int:
    """Put a campaign into a draft; `put_rule` says how."""
    return await _put(session, number, version, "campaigns", campaign, actor=actor, new=new, now=now)


async def remove_rule(session: AsyncSession, *, number: int, version: int, code: str, actor: Actor, now: datetime) -> int:
    """Take a rule out of a draft; return the draft's new version.

    :raises RulebookNotFound, NotADraft, DraftChanged: as every change
    :raises PartNotFound: if it has none
    """
    return await _remove(session, number, version, "rules", code, actor=actor, now=now)


async def remove_group(session: AsyncSession, *, number: int, version: int, code: str, actor: Actor, now: datetime) -> int:
    """Take a group out of a draft; its members go to the group around it. `remove_rule` says how."""

    def without(document: Document) -> Document:
        group = next((one for one in document.groups if one.code == code), None)
        if group is None:
            raise PartNotFound(part=code)
        around = group.group if group.group != code else ROOT
        return msgspec.structs.replace(
            document,
            groups=tuple(_regrouped(one, code, around) for one in document.groups if one.code != code),
            rules=tuple(_regrouped(one, code, around) for one in document.rules),
        )

    return await _edit(session, number, version, without, what={"removed": f"groups/{code}"}, actor=actor, now=now)


async def remove_budget(session: AsyncSession, *, number: int, version: int, code: str, actor: Actor, now: datetime) -> int:
    """Take a budget out of a draft; rules that name it are then a fault. `remove_rule` says how."""
    return await _remove(session, number, version, "budgets", code, actor=actor, now=now)


async def remove_campaign(session: AsyncSession, *, number: int, version: int, code: str, actor: Actor, now: datetime) -> int:
    """Take a campaign out of a draft; rules that name it are then a fault. `remove_rule` says how."""
    return await _remove(session, number, version, "campaigns", code, actor=actor, now=now)


async def move_member(session: AsyncSession, *, number: int, version: int, code: str, steps: int, actor: Actor, now: datetime) -> int:
    """Move a rule or group so many places later (earlier where negative) within its group; return the draft's new version.

    :raises RulebookNotFound, NotADraft, DraftChanged: as every change
    :raises PartNotFound: if there is no such rule or group
    """

    def reordered(document: Document) -> Document:
        try:
            return ordering.moved(document, code, steps)
        except KeyError:
            raise PartNotFound(part=code) from None

    return await _edit(session, number, version, reordered, what={"moved": code, "steps": steps}, actor=actor, now=now)


async def replace_document(session: AsyncSession, *, number: int, version: int, document: Document, actor: Actor, now: datetime) -> int:
    """Put a whole document in a draft's place, as a file brings it; return the draft's new version.

    :raises RulebookNotFound, NotADraft, DraftChanged, DocumentNotSound: as every change
    """
    return await _edit(session, number, version, lambda _: document, what={"replaced": "document"}, actor=actor, now=now)


async def describe_draft(session: AsyncSession, *, number: int, version: int, note: str, actor: Actor, now: datetime) -> int:
    """Change what a draft says it is for; return its new version.

    :raises RulebookNotFound, NotADraft, DraftChanged: as every change
    """
    row = await _draft(session, number, version)
    row.note = note
    return await _step(session, row, what={"note": note}, actor=actor, now=now)


async def rebase(
    session: AsyncSession,
    *,
    number: int,
    version: int,
    choices: Mapping[tuple[str, str], Choice] | None = None,
    actor: Actor,
    now: datetime,
) -> int:
    """Bring into a draft what became live since it was started; return its new version.

    `choices` settle, by (section, code), the parts that both sides changed.

    :raises RulebookNotFound, NotADraft, DraftChanged: as every change
    :raises ChangesConflict: if both sides changed a part and no choice was made for it
    """
    row = await _draft(session, number, version)
    before = Document() if row.base is None else (await get_book(session, number=row.base)).document
    last, live = await latest_document(session)
    merged = merge(before, document_of(row), live, choices)
    if merged.conflicts:
        raise ChangesConflict(merged.conflicts)
    row.document, row.base = _plain(merged.document), last
    return await _step(session, row, what={"rebased": last}, actor=actor, now=now)


async def discard(session: AsyncSession, *, number: int, note: str = "", actor: Actor, now: datetime) -> None:
    """Give a draft up. It stays readable, and can be taken up again.

    :raises RulebookNotFound: if there is none
    :raises BookCannotMove: if it is neither draft nor submitted
    """
    row = await get_book_for_update(session, number=number)
    await move(session, row, BookStatus.DISCARDED, actor=actor, note=note, now=now)


async def move(
    session: AsyncSession,
    row: Rulebook,
    to: BookStatus,
    *,
    actor: Actor,
    note: str = "",
    facts: Mapping[str, Any] | None = None,
    now: datetime,
) -> None:
    """Move a locked rulebook along its transition table, with its event and its line in the trail.

    :raises BookCannotMove: if its status does not lead there
    """
    check_move(row, to)
    row.status, row.changed_at = to, now
    await note_step(session, row, actor=actor, note=note, facts=facts or {}, action=f"rulebook_{_DONE.get(to, to.value)}", now=now)


def check_move(row: Rulebook, to: BookStatus) -> None:
    """Refuse a step that the transition table does not have.

    :raises BookCannotMove: if the status does not lead there
    """
    if to not in BOOK_MOVES[row.status]:
        raise BookCannotMove(number=row.number, status=row.status.value, to=to.value)


_DONE: Mapping[BookStatus, str] = {BookStatus.DRAFT: "sent_back"}


async def _draft(session: AsyncSession, number: int, version: int) -> Rulebook:
    row = await get_book_for_update(session, number=number)
    if row.status is not BookStatus.DRAFT:
        raise NotADraft(number=number, status=row.status.value)
    if row.version != version:
        raise DraftChanged(number=number, version=version, current=row.version)
    return row


async def _put(session: AsyncSession, number: int, version: int, section: str, part: P, *, new: bool, actor: Actor, now: datetime) -> int:
    def with_part(document: Document) -> Document:
        there: tuple[P, ...] = getattr(document, section)
        if new and _is_taken(document, section, part.code):
            raise PartCodeTaken(part=part.code)
        kept = (*(one for one in there if one.code != part.code), part)
        return msgspec.structs.replace(document, **{section: kept})

    return await _edit(session, number, version, with_part, what={"put": f"{section}/{part.code}"}, actor=actor, now=now)


def _is_taken(document: Document, section: str, code: str) -> bool:
    """A rule and a group never share a code: explanations and orders name either."""
    sections = ("rules", "groups") if section in {"rules", "groups"} else (section,)
    return any(one.code == code for name in sections for one in getattr(document, name))


async def _remove(session: AsyncSession, number: int, version: int, section: str, code: str, *, actor: Actor, now: datetime) -> int:
    def without(document: Document) -> Document:
        there = getattr(document, section)
        kept = tuple(one for one in there if one.code != code)
        if len(kept) == len(there):
            raise PartNotFound(part=code)
        return msgspec.structs.replace(document, **{section: kept})

    return await _edit(session, number, version, without, what={"removed": f"{section}/{code}"}, actor=actor, now=now)


def _regrouped(member: Any, code: str, around: str) -> Any:
    return msgspec.structs.replace(member, group=around) if member.group == code else member


async def _edit(
    session: AsyncSession,
    number: int,
    version: int,
    change: Callable[[Document], Document],
    *,
    what: Mapping[str, Any],
    actor: Actor,
    now: datetime,
) -> int:
    row = await _draft(session, number, version)
    row.document = _plain(change(document_of(row)))
    return await _step(session, row, what=what, actor=actor, now=now)


async def _step(session: AsyncSession, row: Rulebook, *, what: Mapping[str, Any], actor: Actor, now: datetime) -> int:
    row.version += 1
    row.changed_at = now
    await note_step(session, row, actor=actor, note="", facts=dict(what) | {"version": row.version}, action="rulebook_changed", now=now)
    return row.version


def _plain(document: Document) -> dict[str, Any]:
    """Return the document as it is kept: by code, and of the shape that its structs say.

    :raises DocumentNotSound: if a value is out of its range
    """
    made: dict[str, Any] = msgspec.to_builtins(ordered(document))
    try:
        msgspec.convert(made, Document)
    except msgspec.ValidationError as error:
        raise DocumentNotSound(problem=str(error)) from error
    return made


async def note_step(
    session: AsyncSession, row: Rulebook, *, actor: Actor, note: str, facts: Mapping[str, Any], action: str, now: datetime
) -> None:
    """Append a step's event and its line in the trail, `pricing.<action>`; the rulebook stands as it shall after it."""
    session.add(
        RulebookEvent(number=row.number, moved_to=row.status.value, happened_at=now, staff_id=actor.staff_id, note=note, facts=dict(facts))
    )
    await session.flush()
    told = dict(facts) | ({"note": note} if note else {})
    await record(session, actor=actor, action=f"pricing.{action}", subject=("rulebook", str(row.number)), facts=told, now=now)
