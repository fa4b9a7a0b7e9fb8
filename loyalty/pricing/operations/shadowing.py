"""A draft runs beside the live rules and only records: started and stopped here, asked by whoever collects its answers."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.errors import Refusal
from loyalty.pricing.model import BookStatus
from loyalty.pricing.queries.books import get_book_for_update

from .drafts import note_step


class NotForShadow(Refusal):
    """Only what is not approved yet runs in the shadow."""

    zh = "规则集 {number} 不是草稿，不能并行试运行。"
    en = "Rulebook {number} is no draft and cannot run in the shadow."
    next_zh = "请基于它新建草稿。"
    next_en = "Start a new draft from it."


class ShadowRuns(Refusal):
    """It runs already."""

    zh = "规则集 {number} 已在并行试运行。"
    en = "Rulebook {number} runs in the shadow already."
    next_zh = "无需重复启动。"
    next_en = "There is nothing to do."


class NoShadow(Refusal):
    """It does not run."""

    zh = "规则集 {number} 没有在并行试运行。"
    en = "Rulebook {number} does not run in the shadow."
    next_zh = "请刷新页面查看最新状态。"
    next_en = "Reload the page to see how it stands."


async def start_shadow(session: AsyncSession, *, number: int, actor: Actor, now: datetime) -> None:
    """Let a draft, or one that waits for approval, run beside the live rules from now on. A new run leaves the earlier one's answers.

    :raises RulebookNotFound: if there is none
    :raises NotForShadow: if it is neither
    :raises ShadowRuns: if it does already
    """
    row = await get_book_for_update(session, number=number)
    if row.status not in {BookStatus.DRAFT, BookStatus.SUBMITTED}:
        raise NotForShadow(number=number)
    if row.shadow_from is not None and row.shadow_to is None:
        raise ShadowRuns(number=number)
    row.shadow_from, row.shadow_to = now, None
    await note_step(session, row, actor=actor, note="", facts={}, action="shadow_started", now=now)


async def stop_shadow(session: AsyncSession, *, number: int, actor: Actor, now: datetime) -> None:
    """End it; sales booked until now are still asked.

    :raises RulebookNotFound: if there is none
    :raises NoShadow: if it does not run
    """
    row = await get_book_for_update(session, number=number)
    if row.shadow_from is None or row.shadow_to is not None:
        raise NoShadow(number=number)
    row.shadow_to = now
    await note_step(session, row, actor=actor, note="", facts={}, action="shadow_stopped", now=now)
