"""What a form brought, read field by field; what is wrong is collected and said at once, beside nothing done."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Request
from litestar.datastructures import UploadFile

from loyalty.errors import Refusal
from loyalty.media import Media, media_of
from loyalty.money import minor_digits
from loyalty.web.i18n import Language

E = TypeVar("E", bound=Enum)

TEXT_MAX = 2000
FILE_BYTES_MAX = 5_000_000
_NUMBER = re.compile(r"^[+-]?\d{1,3}(?:,\d{3})*(?:\.\d+)?$|^[+-]?\d+(?:\.\d+)?$")


class FormRefused(Refusal):
    """Fields are missing or cannot be read; `faults` are (field, label, sentence)."""

    status = 422
    zh = "有 {count} 处需要修改。"
    en = "Please correct what is listed here ({count})."

    def __init__(self, faults: Sequence[tuple[str, str, str]]) -> None:
        super().__init__(count=len(faults))
        self.faults = tuple(faults)


async def read_form(request: Request[Any, Any, Any]) -> dict[str, list[Any]]:
    """Return every field's values in order, files as `UploadFile`.

    Not by the framework's cached parser: passwords would stay in its memory.
    """
    fields: dict[str, list[Any]] = {}
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        for name, value in (await request.form()).multi_items():
            fields.setdefault(name, []).append(value)
    else:
        for name, value in parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=2000):
            fields.setdefault(name, []).append(value)
    return fields


class Form:
    """The fields of one sent form, or of an address's query."""

    def __init__(self, fields: Mapping[str, Sequence[Any]], words: Language, zone: str) -> None:
        self._fields = fields
        self._words = words
        self._zone = ZoneInfo(zone)
        self.faults: list[tuple[str, str, str]] = []

    def raw(self, name: str) -> str:
        """Return what was typed, without surrounding spaces; empty where there is nothing."""
        values = self._fields.get(name) or [""]
        return values[-1].replace("\0", "").strip()[:TEXT_MAX] if isinstance(values[-1], str) else ""

    def secret(self, name: str) -> str:
        """Return a password exactly as it was typed."""
        values = self._fields.get(name) or [""]
        return values[-1][:1000] if isinstance(values[-1], str) else ""

    def long(self, name: str) -> str:
        """Return what a field of our own carried, whatever its length."""
        values = self._fields.get(name) or [""]
        return values[-1] if isinstance(values[-1], str) else ""

    def typed(self) -> dict[str, list[str]]:
        """Return what was typed, field by field: to show a form again as it was left."""
        return {name: [value for value in values if isinstance(value, str)] for name, values in self._fields.items()}

    def fault(self, name: str, label: str, sentence: str) -> None:
        """Note that a field is wrong."""
        self.faults.append((name, label, sentence))

    def check(self) -> None:
        """Let go on only what is all right.

        :raises FormRefused: if a field is wrong
        """
        if self.faults:
            raise FormRefused(self.faults)

    def text(self, name: str, label: str, *, required: bool = True, longest: int = 400) -> str:
        """Read a line of text."""
        typed = self.raw(name)
        if required and not typed:
            self.fault(name, label, self._words.gettext("is needed"))
        if len(typed) > longest:
            self.fault(name, label, self._words.gettext("is longer than %(longest)s characters", longest=longest))
        return typed

    def flag(self, name: str) -> bool:
        """Read a tick."""
        return bool(self.raw(name))

    def many(self, name: str) -> list[str]:
        """Read several choices."""
        return [value for value in self._fields.get(name) or () if isinstance(value, str) and value]

    def uuid(self, name: str, label: str, *, required: bool = True) -> UUID | None:
        """Read an id chosen from a list."""
        typed = self.text(name, label, required=required)
        try:
            return UUID(typed) if typed else None
        except ValueError:
            self.fault(name, label, self._words.gettext("is not one of the choices"))
            return None

    def choice(self, name: str, label: str, members: type[E], default: E) -> E:
        """Read one of an enum's values; `default` stands in where it is none, which is a fault."""
        typed = self.raw(name)
        for member in members:
            if str(member.value) == typed:
                return member
        self.fault(name, label, self._words.gettext("is not one of the choices"))
        return default

    def maybe(self, name: str, members: type[E]) -> E | None:
        """Read one of an enum's values from a filter; anything else is none."""
        typed = self.raw(name)
        return next((member for member in members if str(member.value) == typed), None)

    def maybe_uuid(self, name: str) -> UUID | None:
        """Read an id from a filter; anything else is none."""
        try:
            return UUID(self.raw(name))
        except ValueError:
            return None

    def maybe_whole(self, name: str) -> int | None:
        """Read a whole number from a filter; anything else is none."""
        typed = self.raw(name)
        return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else None

    def whole(self, name: str, label: str, *, low: int = 0, high: int = 10**9, required: bool = True) -> int | None:
        """Read a whole number."""
        return self._scaled(name, label, 0, low, high, required=required)

    def money(self, name: str, label: str, currency: str, *, required: bool = True, low: int = 1) -> int | None:
        """Read an amount as it is written, 1,234.50, in minor units."""
        return self._scaled(name, label, minor_digits(currency), low, 10**13, required=required)

    def quantity(self, name: str, label: str, *, required: bool = True, low: int = 1) -> int | None:
        """Read a quantity in thousandths of its unit."""
        return self._scaled(name, label, 3, low, 10**10, required=required)

    def percent(self, name: str, label: str, *, required: bool = True, low: int = 1, high: int = 10_000) -> int | None:
        """Read a percentage in hundredths of a percent, which are parts of ten thousand."""
        return self._scaled(name, label, 2, low, high, required=required)

    def price(self, name: str, label: str, *, required: bool = True) -> int | None:
        """Read a unit price in ten-thousandths."""
        return self._scaled(name, label, 4, 1, 10**9, required=required)

    def _scaled(self, name: str, label: str, places: int, low: int, high: int, *, required: bool) -> int | None:
        typed = self.text(name, label, required=required).lstrip("¥€$£").replace(" ", "").replace("，", ",")
        if not typed:
            return None
        found = scaled_number(typed, places)
        if found is None:
            self.fault(name, label, self._words.gettext("is not a number with at most %(places)s decimals", places=places))
            return None
        if not low <= found <= high:
            self.fault(name, label, self._words.gettext("is too small") if found < low else self._words.gettext("is too large"))
            return None
        return found

    def day(self, name: str, label: str = "", *, required: bool = True) -> date | None:
        """Read a date."""
        typed = self.text(name, label, required=required)
        try:
            return date.fromisoformat(typed) if typed else None
        except ValueError:
            self.fault(name, label, self._words.gettext("is not a date"))
            return None

    def instant(self, name: str, label: str = "", *, required: bool = True, zone: str | None = None) -> datetime | None:
        """Read a local date and time of the office's zone, or of `zone`, as an instant; a date alone is its beginning."""
        typed = self.text(name, label, required=required).replace(" ", "T")
        try:
            local = datetime.fromisoformat(typed) if typed else None
        except ValueError:
            self.fault(name, label, self._words.gettext("is not a date and time"))
            return None
        if local is None:
            return None
        return (
            local.replace(tzinfo=ZoneInfo(zone) if zone else self._zone).astimezone(UTC) if local.tzinfo is None else local.astimezone(UTC)
        )

    def days(self, first: str, last: str) -> tuple[datetime | None, datetime | None]:
        """Read a filter's two dates as the half-open instants around them; what cannot be read counts as not given."""
        begin, end = _date_or_none(self.raw(first)), _date_or_none(self.raw(last))
        return (
            None if begin is None else datetime.combine(begin, time(), self._zone).astimezone(UTC),
            None if end is None else datetime.combine(end + timedelta(days=1), time(), self._zone).astimezone(UTC),
        )

    def clock_time(self, name: str, label: str, *, required: bool = True) -> time | None:
        """Read a time of day."""
        typed = self.text(name, label, required=required)
        try:
            return time.fromisoformat(typed) if typed else None
        except ValueError:
            self.fault(name, label, self._words.gettext("is not a time of day"))
            return None

    def has_file(self, name: str) -> bool:
        """Say whether a file was chosen."""
        values = self._fields.get(name) or [None]
        return isinstance(values[-1], UploadFile) and bool(values[-1].filename)

    async def file(
        self, name: str, label: str, *, largest: int = FILE_BYTES_MAX, kinds: Collection[Media] | None = None
    ) -> tuple[str, bytes]:
        """Read a file: its name and content. `kinds`: what it may be, judged by its content; the name says nothing."""
        values = self._fields.get(name) or [None]
        sent = values[-1]
        if not isinstance(sent, UploadFile) or not sent.filename:
            self.fault(name, label, self._words.gettext("is needed"))
            return "", b""
        content = await sent.read()
        if len(content) > largest:
            self.fault(name, label, self._words.gettext("is larger than %(largest)s MB; save it smaller", largest=largest // 1_000_000))
        elif kinds is not None and media_of(content) not in kinds:
            known = ", ".join(kind.name for kind in kinds)
            self.fault(name, label, self._words.gettext("is none of %(kinds)s by its content", kinds=known))
        return sent.filename, content


def scaled_number(typed: str, places: int) -> int | None:
    """Read a decimal number as an integer of its 10⁻ᵖˡᵃᶜᵉˢ units, exactly; None where it is none or has more decimals."""
    if not _NUMBER.match(typed):
        return None
    try:
        scaled = Decimal(typed.replace(",", "")).scaleb(places)
    except InvalidOperation:
        return None
    return int(scaled) if scaled == scaled.to_integral_value() else None


def _date_or_none(typed: str) -> date | None:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        return None
