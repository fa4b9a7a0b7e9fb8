"""What is said with a card at the counter besides its PIN: a driver, an order, an odometer, a plate.

What the card asks for stands before the PIN, field after field; what is wrong is marked and empty, what was right stays as it was typed.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from loyalty.authorizations.reasons import Reason
from loyalty.authorizations.wire import CardNumber, DriverCard, DriverNumber, OrderNumber, Said
from loyalty.card_numbers import plain_card_number
from loyalty.cards.model import ProductKind
from loyalty.web.cashier.sheets import CardSheet
from loyalty.web.cashier.till import Till
from loyalty.web.i18n import N_

CARD_PIN: Final = "pin"
ODOMETER_MOST: Final = 10**8

_FIELDS: Final[dict[str, tuple[str, str]]] = {
    "driver_number": ("driver", N_("Driver's number or card")),
    "driver_pin": ("pin_driver", N_("Driver's PIN, typed by the driver")),
    "order_number": ("order", N_("Order number")),
    "odometer_km": ("odometer", N_("Odometer")),
    "plate": ("plate", N_("Number plate")),
}
"""The pump's names of what may be said, in the order of asking: name on the page and label. What begins with `pin` is never kept."""
_ASKED_AS: Final = {"driver_card": "driver_number"}
"""One field takes either."""
_DRIVER_NUMBER_LONGEST: Final = 12
_COMPANYS: Final = frozenset({"driver_number", "driver_pin", "order_number"})
_STAYS: Final = {"hx-preserve": "true"}
"""The field itself goes over into the new page with what was typed: neither a PIN nor a card's whole number is ever sent back."""
_CODE: Final = re.compile(r"[A-Za-z0-9_-]{60,1000}")
"""What a scanner reads off a phone that shows its holder's card."""
_MARKS: Final = {
    Reason.PLATE_DIFFERS.code: "plate",
    Reason.ORDER_USED.code: "order_number",
    Reason.ORDER_EXPIRED.code: "order_number",
    Reason.ORDER_DIFFERS.code: "order_number",
}
"""What is wrong where the answer does not name it as a field to be typed again."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One field as the page draws it."""

    name: str
    label: str
    value: str
    required: bool
    fault: str
    type: str
    inputmode: str
    after: str
    first: bool
    """Where typing begins."""
    attrs: dict[str, str]


class Lines(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for before the PIN, and what else may be said."""

    asked: Sequence[Line]
    others: Sequence[Line]
    begins: str
    """The element where typing begins after the choice of a fill: the first asked field, else the PIN."""
    pin: dict[str, str]
    """The PIN field's attributes: one that was right stays in it, in the page alone."""
    continues: str
    """The attempt that the next one continues."""


def read_said(till: Till) -> dict[str, Any]:
    """Read what was said with the card, as a request's fields; of the driver's PIN the pump only learns that there is one."""
    form, _ = till.form, till.gettext
    number, card = _driver(till)
    return {
        "plate": form.raw("plate")[:16] or None,
        "odometer_km": form.whole("odometer", _("Odometer"), required=False, high=ODOMETER_MOST),
        "driver_number": number,
        "driver_card": card,
        "driver_pin": "given" if driver_pin(till) else None,
        "order_number": _shaped(till, "order", _("Order number"), OrderNumber, _("has letters, digits and . _ / - only")),
        "continues": form.maybe_uuid("continues"),
    }


def _driver(till: Till) -> tuple[str | None, DriverCard | None]:
    """Read the driver's number, or their own card: its number, swiped or typed, which is longer, or the code that their phone shows."""
    _ = till.gettext
    label, sentence = _("Driver's number or card"), _("has twelve digits at most, or is the number of the driver's card")
    if _CODE.fullmatch(till.form.raw("driver")):
        return None, DriverCard(token=till.form.raw("driver"))
    typed = plain_card_number(till.form.raw("driver"))
    if len(typed) <= _DRIVER_NUMBER_LONGEST:
        return _shaped(till, "driver", label, DriverNumber, sentence, typed=typed), None
    number = _shaped(till, "driver", label, CardNumber, sentence, typed=typed)
    return None, None if number is None else DriverCard(number=number)


def driver_pin(till: Till) -> str:
    """Return the driver's PIN as it was typed."""
    return till.form.secret("pin_driver").strip()


def lines_of(till: Till, sheet: CardSheet, said: Said | None) -> Lines:
    """Return the fields of a page: what the card's company wants said, and what the last answer asked for or marked."""
    needs = [] if said is None or said.needs is None else [_ASKED_AS.get(name, name) for name in said.needs]
    required = {*sheet.needs, *(needs if said is not None and said.outcome == "more_data" else ())}
    marked = _MARKS.get("" if said is None else said.reason or "")
    wanted = {*sheet.needs, *needs, *([] if marked is None else [marked])}
    names = [name for name in _FIELDS if name in wanted]
    wrong = {name for name in (*needs, marked) if name in _FIELDS and _typed(till, _FIELDS[name][0])}
    keeps = said is not None and bool(needs) and CARD_PIN not in needs
    gone = wrong if keeps else wrong | {"driver_pin"}
    first = next((name for name in names if name in gone or not _typed(till, _FIELDS[name][0])), None)
    asked = [
        _line(
            till,
            name,
            required=name in required,
            wrong=name in wrong,
            first=name == first,
            keeps=keeps,
        )
        for name in names
    ]
    for one, after in zip(asked, [*[line.name for line in asked[1:]], CARD_PIN], strict=False):
        one.attrs["data-next"] = f"f-{after}"
    for one in asked:
        if one.name == "driver":
            # A code read off the driver's phone needs no PIN of theirs.
            one.attrs["data-spares"] = f"f-{_FIELDS['driver_pin'][0]}"
    offered = [name for name in _FIELDS if name not in wanted and (name not in _COMPANYS or not _is_private(sheet))]
    return Lines(
        asked=asked,
        others=[_line(till, name, keeps=keeps) for name in offered],
        begins=f"f-{CARD_PIN if first is None else _FIELDS[first][0]}",
        pin={"maxlength": "6"} | (_STAYS if keeps and _typed(till, CARD_PIN) else {}),
        continues=_continues(till, said),
    )


def _continues(till: Till, said: Said | None) -> str:
    """Return what the next attempt continues: only a reading that was questioned once is taken when it is said again."""
    if said is not None and said.reason == Reason.ODOMETER_ODD.code:
        return till.form.raw("idempotency_key")
    return till.form.raw("continues")


def _line(till: Till, name: str, *, required: bool = False, wrong: bool = False, first: bool = False, keeps: bool = False) -> Line:
    on_page, label = _FIELDS[name]
    card = name == "driver_number" and len(plain_card_number(till.form.raw(on_page))) > _DRIVER_NUMBER_LONGEST
    secret = name == "driver_pin"
    attrs = {"maxlength": {"driver_number": "1000", "driver_pin": "6", "order_number": "32", "plate": "16"}.get(name, "9")}
    if (card or (secret and keeps)) and not wrong and _typed(till, on_page):
        attrs |= _STAYS
    if name in {"plate", "order_number"}:
        attrs["autocapitalize"] = "characters"
    return Line(
        name=on_page,
        label=till.gettext(label),
        value="" if wrong or secret or card else till.form.raw(on_page),
        required=required,
        fault=till.gettext("That is not right; type it again.") if wrong else "",
        type="password" if secret else "text",
        inputmode="numeric" if name in {"driver_number", "driver_pin", "odometer_km"} else "",
        after="km" if name == "odometer_km" else "",
        first=first,
        attrs=attrs,
    )


def _typed(till: Till, on_page: str) -> bool:
    return bool(till.form.raw(on_page))


def _is_private(sheet: CardSheet) -> bool:
    return sheet.kind in {ProductKind.PERSONAL, ProductKind.ANONYMOUS}


def _shaped(till: Till, name: str, label: str, shape: Any, sentence: str, *, typed: str | None = None) -> str | None:
    """Read what has a shape of its own (`typed`: already read); None where nothing was typed, a fault where it has another."""
    typed = till.form.raw(name) if typed is None else typed
    try:
        return None if not typed else msgspec.convert(typed, shape)
    except msgspec.ValidationError:
        till.form.fault(name, label, sentence)
        return None
