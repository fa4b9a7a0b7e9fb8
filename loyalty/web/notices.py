"""What pages tell their readers of things that rooms above know: the composition root names the sources, pages ask for what is told now.

A source gives plain sentences for everybody; what only some may know does not belong here.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from litestar.datastructures import State
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.web.i18n import Language
from loyalty.web.office.parts import Said


class Told(NamedTuple):
    """One thing that is told, in both languages; `until`: when it is over, where that is known."""

    title_zh: str
    title_en: str
    text_zh: str
    text_en: str
    until: datetime | None = None
    tone: str = "info"


NoticeSource = Callable[[AsyncSession, str, datetime], Awaitable[Sequence[Told]]]
"""Gives what is told in a zone at an instant."""


async def told(state: State, session: AsyncSession, *, zone: str, now: datetime) -> list[Told]:
    """Return what every source tells now, what is wrong first."""
    sources: Sequence[NoticeSource] = getattr(state, "notice_sources", ())
    found = [one for source in sources for one in await source(session, zone, now)]
    return sorted(found, key=lambda one: one.tone == "info")


def as_parts(found: Sequence[Told], words: Language, until: Callable[[datetime], str]) -> list[Said]:
    """Return what is told as a page draws it."""
    return [
        Said(
            title=words.either(one.title_zh, one.title_en),
            then=" · ".join(
                part
                for part in (
                    words.either(one.text_zh, one.text_en),
                    words.gettext("until %(when)s", when=until(one.until)) if one.until else "",
                )
                if part
            ),
            tone=one.tone,
        )
        for one in found
    ]
