"""What travels on the ordinary routes and belongs to several of them. Unknown fields are refused."""

from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from loyalty.authorizations.wire import Instant, Record, Said
from loyalty.customers.model import IdentifierType
from loyalty.topups.model import Party
from loyalty.topups.operations import BankTransfer, Declared

Reason = Annotated[str, Meta(min_length=1, max_length=200)]
CardNumber = Annotated[str, Meta(pattern=r"^[0-9]{8,24}$", description="As embossed, scanned or typed, digits only")]
Amount = Annotated[int, Meta(gt=0, le=10**13, description="Minor units of the station's currency (fen)")]
Reference = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=120)]
SealedPin = Annotated[str, Meta(max_length=400, description="Sealed under the day session, bound to the card and this request's key")]


class Recorded(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What every write may carry: its place in the till's chain."""

    record: Record | None = None


class Happened(Recorded, frozen=True, kw_only=True):
    """A write that says when it happened by the till's clock."""

    event_at: Instant | None = None


class RealName(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Who stands at the counter, as the document says. Kept sealed; never answered."""

    party: Party
    name: Name
    id_type: IdentifierType
    id_number: Annotated[str, Meta(min_length=4, max_length=40)]
    contact: Annotated[str, Meta(min_length=3, max_length=120)]

    def declared(self) -> Declared:
        """Return it as the top-ups room takes it."""
        return Declared(party=self.party, name=self.name, id_type=self.id_type, id_number=self.id_number, contact=self.contact)


class Transfer(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Both ends of a bank transfer."""

    payer_name: Name
    payer_bank: Name
    payer_account: Annotated[str, Meta(min_length=4, max_length=64)]
    payee_name: Name
    payee_bank: Name
    payee_account: Annotated[str, Meta(min_length=4, max_length=64)]

    def ends(self) -> BankTransfer:
        """Return it as the top-ups room takes it."""
        return BankTransfer(**{name: getattr(self, name) for name in self.__struct_fields__})


class PageOf(Struct):
    """Where a list goes on; `next` is None at its end."""

    next: str | None
    previous: str | None


class Problem(Struct):
    """RFC 9457, in both languages; `code` is stable."""

    type: str
    title: str
    title_zh: str
    status: int
    code: str
    facts: dict[str, Any]


class CardState(Said, omit_defaults=True, kw_only=True):
    """A card after something was done to it."""

    card_id: UUID | None = None
    account_id: UUID | None = None
    product: str | None = None
    status: str | None = None
    expires_on: str | None = None
    tries_left: int | None = None
    fee_minor: int | None = None
    replaced_card: str | None = None
