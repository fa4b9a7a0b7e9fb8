"""What travels on the hot routes: requests in, answers out. Unknown fields are refused."""

import base64
import binascii
import re
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from loyalty.ids import fast_uuid

Minor = Annotated[int, Meta(ge=0, le=10**13, description="Minor units of the station's currency (fen)")]
Milli = Annotated[int, Meta(ge=0, le=10**12, description="Thousandths of the product's unit (L, kg, m³, kWh, piece)")]
PriceE4 = Annotated[int, Meta(ge=0, le=10**11, description="1/10,000 of a currency unit per product unit")]
Nozzle = Annotated[int, Meta(ge=0, le=999)]
Code = Annotated[str, Meta(min_length=1, max_length=32)]
Instant = Annotated[datetime, Meta(tz=True)]
DriverNumber = Annotated[str, Meta(pattern=r"^[0-9]{1,12}$", description="The driver of the card's company, beside the card")]
DriverPin = Annotated[
    str, Meta(max_length=400, description="The driver's own PIN, sealed for `driver_number` or `driver_card` as the card's is for the card")
]
CardNumber = Annotated[str, Meta(pattern=r"^[0-9]{8,24}$")]
OrderNumber = Annotated[str, Meta(pattern=r"^[0-9A-Za-z._/-]{1,32}$", description="The company's order, used once")]
_REDEMPTION: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


class Record(Struct, forbid_unknown_fields=True, frozen=True):
    """Where a request stands in its terminal's chain: `sequence` rises by one, `previous` is SHA-256 of the record before (base64)."""

    sequence: Annotated[int, Meta(ge=1, le=2**53)]
    previous: Annotated[bytes, Meta(min_length=32, max_length=32)] | None = None


class Credential(Struct, forbid_unknown_fields=True, frozen=True):
    """How the holder was told: a number never spends alone, it comes with a sealed PIN, the chip's check value, or as a dynamic code."""

    number: CardNumber | None = None
    pin: Annotated[str, Meta(max_length=400)] | None = None
    check_value: Annotated[str, Meta(min_length=3, max_length=64)] | None = None
    token: Annotated[str, Meta(max_length=1000)] | None = None


class DriverCard(Struct, forbid_unknown_fields=True, frozen=True):
    """The driver's own card beside the vehicle's, in place of `driver_number`: it says who drives, and pays nothing.

    A card of the same company that is bound to a driver and to no vehicle. A number comes with the driver's own PIN (`driver_pin`); the
    chip's check value needs none where the card's product asks for none, a dynamic code never does.
    """

    number: CardNumber | None = None
    check_value: Annotated[str, Meta(min_length=3, max_length=64)] | None = None
    token: Annotated[str, Meta(max_length=1000)] | None = None

    def __post_init__(self) -> None:
        if (self.number is None) == (self.token is None):
            raise ValueError("a driver's card is named by its number or by its code")
        if self.check_value is not None and self.number is None:
            raise ValueError("a check value is a number's")

    @property
    def reference(self) -> str:
        """What the driver's sealed PIN is bound to."""
        return self.number or self.token or ""

    @property
    def may_prove_itself(self) -> bool:
        """Whether more than the number was shown."""
        return self.check_value is not None or self.token is not None


class AuthorizationRequest(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Ask before fuel flows. Give an amount, a quantity, or neither to fill up."""

    card: Credential
    product: Code
    flow: Literal["preset", "pump"] = "preset"
    nozzle: Nozzle | None = None
    amount_minor: Annotated[int, Meta(gt=0, le=10**13)] | None = None
    quantity_milli: Annotated[int, Meta(gt=0, le=10**12)] | None = None
    partial: bool = True
    plate: Annotated[str, Meta(max_length=16)] | None = None
    odometer_km: Annotated[int, Meta(ge=0, le=10**8)] | None = None
    driver_number: DriverNumber | None = None
    driver_card: DriverCard | None = None
    driver_pin: DriverPin | None = None
    order_number: OrderNumber | None = None
    continues: UUID | None = None
    event_at: Instant | None = None
    record: Record | None = None


class CompletionRequest(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the pump delivered. `final: false` keeps the rest of the hold for a further completion; 0 and 0 releases all."""

    quantity_milli: Milli
    unit_price_e4: PriceE4
    amount_minor: Minor
    product: Code | None = None
    nozzle: Nozzle | None = None
    final: bool = True
    odometer_km: Annotated[int, Meta(ge=0, le=10**8)] | None = None
    event_at: Instant | None = None
    record: Record | None = None


class FuelLine(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The pump's line of a sale."""

    product: Code
    quantity_milli: Annotated[int, Meta(gt=0, le=10**12)]
    unit_price_e4: PriceE4
    amount_minor: Minor
    nozzle: Nozzle | None = None


class ShopLine(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An article of the shop."""

    product: Code
    quantity_milli: Annotated[int, Meta(gt=0, le=10**12)] = 1000
    amount_minor: Annotated[int, Meta(gt=0, le=10**13)]


class Tender(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Another means of payment within the same sale; only the card's share touches a purse."""

    tender: Literal["cash", "bank_card", "wechat", "alipay", "bank_transfer", "voucher"]
    amount_minor: Annotated[int, Meta(gt=0, le=10**13)]
    reference: Annotated[str, Meta(max_length=64)] | None = None
    """The payment's number; of a voucher the redemption that set it aside."""

    def __post_init__(self) -> None:
        if self.tender == "voucher" and (self.reference is None or _REDEMPTION.match(self.reference) is None):
            raise ValueError("a voucher's reference is the id of its redemption")


class SaleRequest(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A sale in one step: pay after filling (fuel, shop or both)."""

    card: Credential
    fuel: FuelLine | None = None
    fill_id: UUID | None = None
    shop: Annotated[list[ShopLine], Meta(max_length=50)] = []
    tenders: Annotated[list[Tender], Meta(max_length=5)] = []
    plate: Annotated[str, Meta(max_length=16)] | None = None
    odometer_km: Annotated[int, Meta(ge=0, le=10**8)] | None = None
    staff_id: UUID | None = None
    driver_number: DriverNumber | None = None
    driver_card: DriverCard | None = None
    driver_pin: DriverPin | None = None
    order_number: OrderNumber | None = None
    continues: UUID | None = None
    event_at: Instant | None = None
    record: Record | None = None


class Said(Struct, omit_defaults=True, kw_only=True):
    """What every answer may carry. `remaining_*` is what the binding limit or the funds would still allow, 0 included."""

    outcome: str
    """approved · partial · pending_review · more_data · declined · booked"""
    reason: str | None = None
    limit: str | None = None
    remaining_minor: int | None = None
    remaining_milli: int | None = None
    message_zh: str | None = None
    message_en: str | None = None
    needs: list[str] | None = None
    may_ask: bool | None = None
    """The company may be asked to let this one pass: see `/v1/authorizations/{id}/approval`."""
    card: str | None = None
    currency: str | None = None
    flags: list[str] | None = None


class Discount(Struct):
    """A frozen discount: per unit, by rule and revision, and who bears it."""

    code: str
    revision: int
    rate_e4: int
    funder: str
    name_zh: str
    name_en: str
    amount_minor: int


class Benefit(Struct, omit_defaults=True, kw_only=True):
    """A rule that applies: `amount` is minor units off (discount, bonus), points, or pieces."""

    rule: str
    revision: int = 0
    kind: str
    """discount · surcharge · bonus · points · gift · voucher · wash"""
    amount: int
    base_minor: int = 0
    """The amount it was worked out on."""
    wanted: int = 0
    """What it would have given, where a cap or budget cut it."""
    name_zh: str
    name_en: str
    item: str | None = None
    say_zh: str | None = None
    say_en: str | None = None


class Other(Struct, omit_defaults=True, kw_only=True):
    """A candidate that does not apply: a stable reason, what it needs and what is there, and a sentence to read out."""

    rule: str
    revision: int = 0
    why: str
    need: int | str | None = None
    have: int | str | None = None
    zh: str
    en: str


class AuthorizationAnswer(Said, omit_defaults=True, kw_only=True):
    """The immutable answer to an authorisation."""

    authorization: str | None = None
    product: str | None = None
    approved_minor: int = 0
    approved_milli: int = 0
    unit_price_e4: int = 0
    held_minor: int = 0
    surcharge_minor: int = 0
    """What a company's agreement adds to the pump's price."""
    discount: Discount | None = None
    benefits: list[Benefit] | None = None
    others: list[Other] | None = None
    available_after_minor: int | None = None
    expires_at: str | None = None


class Taken(Struct):
    """What one kind of purse gave."""

    purse: str
    amount_minor: int


class SaleAnswer(Said, omit_defaults=True, kw_only=True):
    """The immutable answer to a sale or a completion."""

    sale: str | None = None
    authorization: str | None = None
    gross_minor: int = 0
    discount_minor: int = 0
    surcharge_minor: int = 0
    """What a company's agreement adds to the pump's amount; `gross_minor` holds it."""
    discount: Discount | None = None
    """All discounts together, under the largest one's name; `benefits` has each."""
    benefits: list[Benefit] | None = None
    others: list[Other] | None = None
    tenders_minor: int = 0
    card_minor: int = 0
    taken: list[Taken] | None = None
    receivable_minor: int = 0
    released_minor: int = 0
    balance_after_minor: int | None = None
    available_after_minor: int | None = None
    booked_at: str | None = None


_TO_URL: Final = bytes.maketrans(b"+/", b"-_")


def reference(account_id: UUID, identifier: UUID) -> str:
    """Return the public reference of an authorisation, sale or refund: account and id, 43 characters of base64url."""
    return binascii.b2a_base64(account_id.bytes + identifier.bytes).translate(_TO_URL)[:43].decode()


def parse_reference(text: str) -> tuple[UUID, UUID] | None:
    """Read a public reference; None where it is none."""
    if len(text) != 43:
        return None
    try:
        both = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return (fast_uuid(both[:16]), fast_uuid(both[16:])) if len(both) == 32 else None
