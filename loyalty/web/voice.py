"""Who is spoken to: a language, a zone, the words of both, and the session that is read. A page's desk is one, a mail's writer another."""

from datetime import date, datetime, timedelta
from typing import Any

from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.web.formats import Formats
from loyalty.web.i18n import Language
from loyalty.web.rendering import macros


class Voice:
    """Says values to one reader."""

    def __init__(self, session: AsyncSession, words: Language, zone: str, now: datetime) -> None:
        self.session = session
        self.words = words
        self.zone = zone
        self.now = now
        """The business instant: what is booked."""
        self.f = Formats(words, zone, now)

    def gettext(self, message: str, **fields: object) -> str:
        """Say a sentence to this reader."""
        return self.words.gettext(message, **fields)

    def either(self, zh: str, en: str) -> str:
        """Choose the reader's one of two names."""
        return self.words.either(zh, en or zh)

    def days(self, first: date, end: date) -> str:
        """Say the days of `[first, end)`, the last one named."""
        return self.gettext("%(first)s to %(last)s", first=self.f.full_day(first), last=self.f.full_day(end - timedelta(days=1)))

    def macro(self, name: str) -> Any:
        """Return the macros of `ui`, `form`, `table` or `chart` in the reader's language."""
        return macros(self.words.locale, name)

    def tag(self, label: str, tone: str = "") -> Markup:
        """Draw a tag."""
        return Markup(str(self.macro("ui").tag(label, tone)))  # noqa: S704 - a macro's own, escaped output

    def link(self, href: str, label: Any) -> Markup:
        """Draw a link."""
        return Markup('<a href="{}">{}</a>').format(href, label)
