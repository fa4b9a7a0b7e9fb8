"""Languages: English is what the code says, a catalogue of `.po` files says it in Chinese.

Each portal keeps its own file, `locales/<language>/<portal>.po`; all are read at start-up and merged. Sentences carry named fields,
`_("%(count)s cards", count=3)`, filled by `%`: a literal percent sign is written `%%`, also in a sentence without fields.
"""

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

from babel.messages.pofile import read_po

LOCALES = ("zh_CN", "en")
DEFAULT_LOCALE = "zh_CN"
LOCALE_COOKIE = "lang"
FOLDER = Path(__file__).parent / "locales"

_TAGS = {"zh_CN": "zh-CN", "en": "en"}


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for "collect this, translate it later"
    """Mark a sentence that stands in a table or enum; `language.gettext` translates it where it is shown."""
    return message


class Language:
    """One reader's language; passed as a value, never global."""

    __slots__ = ("_plurals", "_sentences", "locale", "tag")

    def __init__(self, locale: str, sentences: Mapping[str, str], plurals: Mapping[str, tuple[str, ...]]) -> None:
        self.locale = locale
        self.tag = _TAGS[locale]
        """The BCP 47 tag for the `lang` attribute."""
        self._sentences = sentences
        self._plurals = plurals

    @property
    def is_chinese(self) -> bool:
        """Whether refusals are said by their Chinese sentence."""
        return self.locale == "zh_CN"

    def plain(self, message: str) -> str:
        """Return the sentence with its fields unfilled: what Jinja's `_` builds on."""
        return self._sentences.get(message, message)

    def plain_plural(self, one: str, many: str, count: int) -> str:
        """Return the sentence for `count`, its fields unfilled. Chinese has one form."""
        forms = self._plurals.get(one)
        if forms is None:
            return one if count == 1 else many
        return forms[min(len(forms) - 1, 0 if count == 1 else 1)]

    def gettext(self, message: str, **fields: object) -> str:
        """Say `message`, its `%(name)s` fields filled."""
        return self.plain(message) % fields

    def ngettext(self, one: str, many: str, count: int, **fields: object) -> str:
        """Say the form for `count`; the field `%(num)s` is the count."""
        return self.plain_plural(one, many, count) % ({"num": count} | fields)

    def either(self, zh: str, en: str) -> str:
        """Choose of two sentences that stand side by side, as a refusal's do or a product's names."""
        return zh if self.is_chinese else en


@functools.cache
def language(locale: str) -> Language:
    """Return the language of one of `LOCALES`, read from its catalogues once a process.

    :raises KeyError: for another locale
    """
    sentences: dict[str, str] = {}
    plurals: dict[str, tuple[str, ...]] = {}
    for path in catalogue_files(locale):
        with path.open("rb") as file:
            for message in read_po(file, locale=locale):
                if not message.id or message.fuzzy:
                    continue
                if isinstance(message.id, tuple | list):
                    forms = tuple(message.string or ())
                    plurals |= {message.id[0]: forms} if forms and all(forms) else {}
                elif message.string:
                    sentences[str(message.id)] = str(message.string)
    return Language(locale, sentences, plurals)


def catalogue_files(locale: str) -> list[Path]:
    """Return the catalogues of a locale, one a portal, in the order of their names."""
    if locale not in LOCALES:
        raise KeyError(locale)
    return sorted((FOLDER / locale).glob("*.po"))


def choose_locale(*, chosen: str | None, accepted: str | None, default: str = DEFAULT_LOCALE) -> str:
    """Choose the reader's locale: what they chose (the cookie), else what their browser asks for (`Accept-Language`), else `default`."""
    if chosen in LOCALES:
        return chosen
    for tag in _by_preference(accepted or ""):
        primary = tag.split("-")[0]
        if primary == "zh":
            return "zh_CN"
        if primary == "en":
            return "en"
    return default


def _by_preference(accepted: str) -> Iterable[str]:
    """Yield the tags of an Accept-Language header, the best first; a malformed quality counts as none."""
    weighted: list[tuple[float, int, str]] = []
    for position, part in enumerate(accepted.split(",")[:20]):
        tag, _, parameter = part.strip().partition(";")
        try:
            quality = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            quality = 0.0
        if tag and quality > 0:
            weighted.append((-quality, position, tag.strip().lower()))
    return (tag for _, _, tag in sorted(weighted))
