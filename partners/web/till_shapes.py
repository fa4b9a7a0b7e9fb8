"""What partners' own tills send and are answered."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from partners.model import OutletStatus
from partners.model_lines import LineKind

Minor = Annotated[int, Meta(gt=0, le=10**12)]
Words = Annotated[str, Meta(min_length=1, max_length=100)]
Code = Annotated[str, Meta(min_length=1, max_length=1000)]
OutletCode = Annotated[str, Meta(min_length=1, max_length=20)]


class Asked(Struct, forbid_unknown_fields=True):
    """A code as it was scanned or typed."""

    outlet: OutletCode
    code: Code


class Redeem(Struct, forbid_unknown_fields=True, kw_only=True):
    """`amount_minor`: of a voucher of money, how much the customer saves; left out: all of it. `gross_minor`: the bill before it."""

    outlet: OutletCode
    code: Code
    amount_minor: Minor | None = None
    gross_minor: Minor | None = None
    plate: Annotated[str, Meta(max_length=16)] | None = None
    served_by: Words = "till"


class Reserve(Struct, forbid_unknown_fields=True, kw_only=True):
    """Sets a voucher aside for some minutes: nobody else can use it meanwhile."""

    outlet: OutletCode
    code: Code
    amount_minor: Minor | None = None
    plate: Annotated[str, Meta(max_length=16)] | None = None


class Capture(Struct, forbid_unknown_fields=True, kw_only=True):
    """Uses what was set aside under the key in the address."""

    outlet: OutletCode
    gross_minor: Minor | None = None
    served_by: Words = "till"


class RollBack(Struct, forbid_unknown_fields=True, kw_only=True):
    outlet: OutletCode
    reason: Words


class Sale(Struct, forbid_unknown_fields=True, kw_only=True):
    """A sale to a card holder: `card` is the number on it or the code on the holder's phone; `benefit` the code of a member's price."""

    outlet: OutletCode
    card: Code
    gross_minor: Minor
    benefit: Annotated[str, Meta(max_length=40)] | None = None
    served_by: Words = "till"


class Pause(Struct, forbid_unknown_fields=True, kw_only=True):
    """Why, as customers read it; for how long, where that is known."""

    reason: Words
    minutes: Annotated[int, Meta(gt=0, le=10_080)] | None = None


class Outlet(Struct):
    code: str
    name_zh: str
    name_en: str
    status: OutletStatus
    why_paused: str | None
    paused_until: datetime | None


class Outlets(Struct):
    items: list[Outlet]


class Good(Struct):
    """What a code is good for here and now. `plate`: the vehicle whose plate must be compared and sent."""

    benefit: str
    name_zh: str
    name_en: str
    code_tail: str
    currency: str
    left_minor: int | None
    worth_minor: int | None
    in_parts: bool
    plate: str | None
    expires_at: datetime | None


class Receipt(Struct):
    """What was done, as both receipts say it; amounts in minor units. `number` is the line of the partner's book."""

    key: UUID
    number: int
    kind: LineKind
    benefit: str | None
    name_zh: str
    name_en: str
    currency: str
    gross_minor: int
    saved_minor: int
    reference: str
    served_by: str
    at: datetime
    left_minor: int | None = None


class Reserved(Struct):
    """Send the redemption to `/reservations/{key}/redemption` before `until`."""

    key: UUID
    amount_minor: int | None
    until: datetime | None


class Undone(Struct):
    """`known` false: nothing had been done under the key, and it is refused from now on."""

    key: UUID
    known: bool


class Line(Struct):
    number: int
    kind: LineKind
    at: datetime
    name_zh: str
    name_en: str
    reference: str
    served_by: str
    gross_minor: int
    saved_minor: int
    undone: bool


class Day(Struct):
    """The outlet's day by its calendar, the latest first, and what stands of it."""

    items: list[Line]
    uses: int
    gross_minor: int
    saved_minor: int
