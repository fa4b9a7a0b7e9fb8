"""Figures, times and names as a reader sees them. Integers in, text out: nothing here rounds money.

Chinese and English both write 1,234.50, so the digits are one rule; words and dates follow the language.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_skeleton

from loyalty.money import POINTS, minor_digits
from loyalty.web.i18n import N_, Language

MINUS = "\N{MINUS SIGN}"
THIN = "\N{NARROW NO-BREAK SPACE}"
NBSP = "\N{NO-BREAK SPACE}"
DOTS = "\N{BULLET}" * 4
NOTHING = "\N{EM DASH}"
"""What stands where there is no figure: an empty cell looks like a fault."""

_SYMBOLS = {"CNY": "¥", "EUR": "€", "USD": "$", "GBP": "£"}
_UNITS = {"L": N_("L"), "kg": N_("kg"), "m3": N_("m³"), "m³": N_("m³"), "kWh": N_("kWh"), "piece": N_("pcs")}


@dataclass(frozen=True, slots=True)
class Formats:
    """How one reader is shown figures: `zone` is the station's (IANA), `now` the business instant for "today"."""

    language: Language
    zone: str
    now: datetime

    def money(self, amount_minor: int | None, currency: str = "CNY", *, sign: bool = False) -> str:
        """Write an amount with its currency: ¥1,234.50, −¥4.40, CZK 1,234.50; `sign` marks a gain with + too."""
        if amount_minor is None:
            return NOTHING
        if currency == POINTS:
            return _signed(amount_minor, f"{abs(amount_minor):,}", sign=sign)
        symbol = _SYMBOLS.get(currency, currency + NBSP)
        return _signed(amount_minor, symbol + scaled(abs(amount_minor), minor_digits(currency)), sign=sign)

    def sign_of(self, currency: str) -> str:
        """Return what stands before an amount that is typed: ¥, CZK."""
        return _SYMBOLS.get(currency, currency)

    def amount(self, amount_minor: int | None, currency: str = "CNY") -> str:
        """Write an amount without its currency, for columns whose head names it."""
        return NOTHING if amount_minor is None else _signed(amount_minor, scaled(abs(amount_minor), minor_digits(currency)))

    def quantity(self, quantity_milli: int | None, unit: str | None = "L", *, digits: int = 2) -> str:
        """Write a quantity with its unit: 22.00 L; the third decimal only where it says something. `unit` None leaves it out."""
        if quantity_milli is None:
            return NOTHING
        size = abs(quantity_milli)
        places = 3 if size % 10 and digits < 3 else digits
        text = _signed(quantity_milli, scaled(size // 10 ** (3 - places), places))
        return text if unit is None else f"{text}{NBSP}{self.unit(unit)}"

    def unit(self, unit: str) -> str:
        """Name a product's unit."""
        return self.language.plain(_UNITS.get(unit, unit))

    def unit_price(self, unit_price_e4: int | None, currency: str = "CNY", unit: str | None = "L") -> str:
        """Write a price of one unit, in the precision it has and at least two decimals: ¥8.37/L, ¥7.6543/L."""
        if unit_price_e4 is None:
            return NOTHING
        places = 4 if unit_price_e4 % 10 else 3 if unit_price_e4 % 100 else 2
        text = _SYMBOLS.get(currency, currency + NBSP) + scaled(unit_price_e4 // 10 ** (4 - places), places)
        return text if unit is None else f"{text}/{self.unit(unit)}"

    def count(self, number: int | None) -> str:
        """Write a whole number with its thousands."""
        return NOTHING if number is None else _signed(number, f"{abs(number):,}")

    def percent(self, basis_points: int | None, *, digits: int = 1, sign: bool = False) -> str:
        """Write hundredths of a percent as a percentage: 410 → 4.1%."""
        if basis_points is None:
            return NOTHING
        return _signed(basis_points, scaled(abs(basis_points) // 10 ** (2 - digits), digits) + "%", sign=sign)

    def clock(self, instant: datetime | None) -> str:
        """Write the time of day at the station: 09:05."""
        return NOTHING if instant is None else f"{self._local(instant):%H:%M}"

    def day(self, day: date | datetime | None) -> str:
        """Write a date; the year only where it is not this one."""
        if day is None:
            return NOTHING
        local = self._local(day).date() if isinstance(day, datetime) else day
        return self._skeleton("MMMd" if local.year == self._today().year else "yMMMd", local)

    def full_day(self, day: date | datetime | None) -> str:
        """Write a date with its year: documents and anything kept."""
        if day is None:
            return NOTHING
        return self._skeleton("yMMMd", self._local(day).date() if isinstance(day, datetime) else day)

    def month(self, day: date) -> str:
        """Write a month with its year."""
        return self._skeleton("yMMMM", day)

    def when(self, instant: datetime | None) -> str:
        """Write an instant for lists, relative within a day: just now, 12 minutes ago, today 09:05, yesterday 18:40, 21 Sep 08:10."""
        if instant is None:
            return NOTHING
        local, age = self._local(instant), self.now - instant
        time = f"{local:%H:%M}"
        if timedelta(0) <= age < timedelta(minutes=1):
            return self.language.gettext("just now")
        if timedelta(0) <= age < timedelta(hours=1):
            minutes = int(age.total_seconds()) // 60
            return self.language.ngettext("%(num)s minute ago", "%(num)s minutes ago", minutes)
        days = (self._today() - local.date()).days
        near = {0: N_("today %(time)s"), 1: N_("yesterday %(time)s"), -1: N_("tomorrow %(time)s")}.get(days)
        return self.language.gettext(near, time=time) if near else f"{self.day(instant)} {time}"

    def instant(self, instant: datetime | None) -> str:
        """Write an instant in full, for receipts, details and `title`: 2026-09-24 10:15:00 in the station's zone."""
        return NOTHING if instant is None else f"{self._local(instant):%Y-%m-%d %H:%M:%S}"

    def machine(self, instant: datetime) -> str:
        """Write an instant for the `datetime` attribute."""
        return self._local(instant).isoformat(timespec="seconds")

    def duration(self, seconds: int) -> str:
        """Write a length of time in its two largest units: 45 s, 12 min, 2 h 5 min, 3 d 4 h."""
        if seconds < 60:
            return self.language.gettext("%(seconds)s s", seconds=max(seconds, 0))
        minutes = seconds // 60
        if minutes < 60:
            return self.language.gettext("%(minutes)s min", minutes=minutes)
        hours = minutes // 60
        if hours < 24:
            return self.language.gettext("%(hours)s h %(minutes)s min", hours=hours, minutes=minutes % 60)
        return self.language.gettext("%(days)s d %(hours)s h", days=hours // 24, hours=hours % 24)

    def _local(self, instant: datetime) -> datetime:
        return instant.astimezone(ZoneInfo(self.zone))

    def _today(self) -> date:
        return self._local(self.now).date()

    def _skeleton(self, skeleton: str, day: date) -> str:
        # English readers here are international: day before month cannot be taken for anything else.
        if not self.language.is_chinese:
            return {"MMMd": f"{day.day} {day:%b}", "yMMMd": f"{day.day} {day:%b} {day.year}", "yMMMM": f"{day:%B} {day.year}"}[skeleton]
        return str(format_skeleton(skeleton, day, locale=_locale(self.language.locale)))


@cache
def _locale(name: str) -> Locale:
    """Read a locale once: by its name each date of a list would look for its file anew."""
    return Locale.parse(name)


def scaled(whole: int, places: int) -> str:
    """Write a non-negative integer of 10⁻ᵖˡᵃᶜᵉˢ units with its thousands: 123450 with two places is 1,234.50."""
    if places == 0:
        return f"{whole:,}"
    units, rest = divmod(whole, 10**places)
    return f"{units:,}.{rest:0{places}d}"


def masked(card_number: str) -> str:
    """Show a card by its last four digits: •••• 4417."""
    return f"{DOTS} {card_number[-4:]}"


def plate(text: str) -> str:
    """Write a plate as it is read, the dot after the region and office: 京A·82K61; anything else stays as it is."""
    bare = text.replace("·", "").replace(" ", "").upper()
    return f"{bare[:2]}·{bare[2:]}" if len(bare) in {7, 8} and not bare[0].isascii() and bare[1].isalpha() else text


def _signed(value: int, text: str, *, sign: bool = False) -> str:
    if value < 0:
        return MINUS + text
    return "+" + text if sign and value > 0 else text
