"""A rulebook's way to the pump: submitted without faults, approved by a second person for a time to come, cancelled before it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import revisions
from loyalty.audit.model import Actor
from loyalty.errors import Refusal
from loyalty.pricing.faults import Fault, faults_of
from loyalty.pricing.model import BookStatus, Rulebook
from loyalty.pricing.queries.books import get_book_for_update, last_book
from loyalty.pricing.queries.known import known_codes
from loyalty.pricing.queries.live import document_of, latest_document

from .budgets import BudgetBelowUse, put_budgets
from .drafts import DraftChanged, check_move, move, note_step
from .publishing import activate

LEAD: Final = timedelta(seconds=60)
"""Every worker has a rulebook before it goes live (settled decisions: revisions become active at least 60 s after publication)."""


class RulebookHasFaults(Refusal):
    """Something in it is wrong; `faults` say what."""

    status = 422
    zh = "规则集 {number} 有 {count} 处错误，例如 {where}：{first_zh}"
    en = "Rulebook {number} has {count} faults; one is at {where}: {first_en}"
    next_zh = "请按提示逐条修改后再提交。"
    next_en = "Mend each as it says, then submit again."

    def __init__(self, number: int, faults: Sequence[Fault]) -> None:
        first = faults[0]
        where = f"{first.code}.{first.field}" if first.code else first.field
        super().__init__(number=number, count=len(faults), where=where, first_zh=first.zh, first_en=first.en)
        self.faults = tuple(faults)


class RulebookBehind(Refusal):
    """Another rulebook was approved since this one was started; approving it would undo that one's changes."""

    zh = "规则集 {number} 起草后，规则集 {last} 已获批准。"
    en = "Since rulebook {number} was started, rulebook {last} has been approved."
    next_zh = "请退回草稿并“合并最新规则”，再提交。"
    next_en = "Send it back to draft, bring in what is live, and submit it again."


class SecondPersonNeeded(Refusal):
    """Whoever submits a rulebook does not approve it."""

    status = 403
    zh = "提交人不能批准自己提交的规则集。"
    en = "Whoever submitted a rulebook cannot approve it."
    next_zh = "请由另一位有批准权限的同事批准。"
    next_en = "Ask a colleague who may approve."


class ActivatesTooSoon(Refusal):
    """Every worker must have it in time."""

    status = 422
    zh = "生效时间至少要在 {seconds} 秒之后。"
    en = "It goes live {seconds} seconds from now at the earliest."
    next_zh = "请选择更晚的时间，或留空立即安排。"
    next_en = "Choose a later time, or leave it empty for the earliest."


class LaterBookStands(Refusal):
    """Another rulebook is scheduled after this one's time; it would undo it."""

    zh = "规则集 {last} 已排定在 {at} 生效。"
    en = "Rulebook {last} is scheduled to go live at {at}."
    next_zh = "请选择其后的时间，或先取消它。"
    next_en = "Choose a time after it, or cancel that one first."


class AlreadyLive(Refusal):
    """Its time has come: it is ended by approving another."""

    zh = "规则集 {number} 已经生效，不能取消。"
    en = "Rulebook {number} is live already and cannot be cancelled."
    next_zh = "请从更早的规则集新建草稿并批准，以恢复原规则。"
    next_en = "Start a draft from an earlier rulebook and have it approved."


async def submit(session: AsyncSession, *, number: int, version: int, note: str = "", actor: Actor, now: datetime) -> None:
    """Hand a draft in for approval.

    :raises RulebookNotFound, BookCannotMove, DraftChanged: as every step
    :raises RulebookBehind: if another was approved since it was started
    :raises RulebookHasFaults: if something in it is wrong; its `faults` say what
    """
    row = await get_book_for_update(session, number=number)
    check_move(row, BookStatus.SUBMITTED)
    if row.version != version:
        raise DraftChanged(number=number, version=version, current=row.version)
    await _refuse_unsound(session, row)
    row.submitted_by = actor.staff_id
    await move(session, row, BookStatus.SUBMITTED, actor=actor, note=note, now=now)


async def send_back(session: AsyncSession, *, number: int, reason: str, actor: Actor, now: datetime) -> None:
    """Make a submitted rulebook a draft again: turned down by whoever approves, or taken back by whoever submitted.

    :raises RulebookNotFound, BookCannotMove: as every step
    """
    row = await get_book_for_update(session, number=number)
    check_move(row, BookStatus.DRAFT)
    row.submitted_by = None
    await move(session, row, BookStatus.DRAFT, actor=actor, note=reason, now=now)


async def approve(
    session: AsyncSession,
    *,
    number: int,
    version: int,
    activates_at: datetime | None = None,
    note: str = "",
    actor: Actor,
    now: datetime,
) -> datetime:
    """Approve a submitted rulebook for its time, the earliest one where none is named; return that time.

    Approvals take turns, so that no two rulebooks undo each other's changes. `version` is the one that was looked at.

    :raises RulebookNotFound, BookCannotMove, DraftChanged: as every step
    :raises SecondPersonNeeded: if it is not another person than the submitter
    :raises ActivatesTooSoon: if its time is less than a minute ahead
    :raises LaterBookStands: if another is scheduled at that time or later
    :raises RulebookBehind, RulebookHasFaults: as `submit`: either may have come about since
    :raises BudgetBelowUse: if a budget would be smaller than what is used of it
    """
    await revisions.hold(session, revisions.Kind.RULE)
    row = await get_book_for_update(session, number=number)
    check_move(row, BookStatus.APPROVED)
    if row.version != version:
        raise DraftChanged(number=number, version=version, current=row.version)
    if actor.staff_id is None or actor.staff_id == row.submitted_by:
        raise SecondPersonNeeded
    last = await last_book(session)
    earliest = now + LEAD
    if activates_at is not None and activates_at < earliest:
        raise ActivatesTooSoon(seconds=int(LEAD.total_seconds()))
    at = activates_at or earliest
    if last is not None and last.activates_at is not None and last.activates_at >= at:
        raise LaterBookStands(last=last.number, at=last.activates_at.isoformat(timespec="minutes"))
    await _refuse_unsound(session, row)
    row.approved_by = actor.staff_id
    await session.flush()
    # `activate` compares with the book that was last before, so it makes the step itself; the table of moves was asked above.
    await activate(session, number=number, activates_at=at, now=now)
    await note_step(session, row, actor=actor, note=note, facts={"activates_at": at.isoformat()}, action="rulebook_approved", now=now)
    return at


async def cancel(session: AsyncSession, *, number: int, reason: str, actor: Actor, now: datetime) -> None:
    """Take an approved rulebook back before its time comes. Budgets go back to what the book before it says, as far as they are unused.

    :raises RulebookNotFound, BookCannotMove: as every step
    :raises AlreadyLive: if its time has come
    :raises LaterBookStands: if another was approved on top of it
    """
    await revisions.hold(session, revisions.Kind.RULE)
    row = await get_book_for_update(session, number=number)
    check_move(row, BookStatus.CANCELLED)
    if row.activates_at is None or row.activates_at <= now:
        raise AlreadyLive(number=number)
    last = await last_book(session)
    if last is not None and last.number != number and last.activates_at is not None:
        raise LaterBookStands(last=last.number, at=last.activates_at.isoformat(timespec="minutes"))
    await move(session, row, BookStatus.CANCELLED, actor=actor, note=reason, now=now)
    _, document = await latest_document(session)
    for budget in document.budgets:
        try:
            async with session.begin_nested():
                await put_budgets(session, budgets=[budget], currency=document.currency, now=now)
        except BudgetBelowUse:
            # What was given of it stays given: the budget keeps the larger total.
            continue
    await revisions.bump(session, revisions.Kind.RULE)


async def _refuse_unsound(session: AsyncSession, row: Rulebook) -> None:
    last, _ = await latest_document(session)
    if last != row.base:
        raise RulebookBehind(number=row.number, last=last)
    if faults := faults_of(document_of(row), await known_codes(session)):
        raise RulebookHasFaults(row.number, faults)
