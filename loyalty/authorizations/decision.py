"""What a hot decision proposes to write: one request's share of the batch call."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final
from uuid import UUID, uuid5

from loyalty.ids import NOBODY, fast_uuid
from loyalty.ledger.model import HouseCode, PurseKind, TransferKind
from loyalty.ledger.rules import PurseView, Take, house_id
from loyalty.limits.levels import LevelCount
from loyalty.pricing.bounding import Count
from loyalty.pricing.freezing import BudgetUse

from .model import Flag, Flow, Status

_TRANSFER_SALE: Final = int(TransferKind.SALE)
_TRANSFER_DISCOUNT: Final = int(TransferKind.DISCOUNT)
_TRANSFER_SURCHARGE: Final = int(TransferKind.SURCHARGE)
_TRANSFER_TENDER: Final = int(TransferKind.TENDER)
_DECLINED: Final = int(Status.DECLINED)
_PRESET: Final = int(Flow.PRESET)


@lru_cache(maxsize=65_536)
def sales_of(station_id: UUID, currency: str) -> UUID:
    """Return the house account of a station's sales."""
    return fast_uuid(house_id(HouseCode.SALES, currency, str(station_id)).bytes)


@lru_cache(maxsize=65_536)
def discounts_of(funder: str, currency: str) -> UUID:
    """Return the house account of a funder's discounts."""
    return fast_uuid(house_id(HouseCode.DISCOUNT, currency, funder).bytes)


class Write(IntEnum):
    """Which rows a decision writes."""

    AUTHORIZATION = 1
    """An authorisation: approved, partial or declined."""
    SALE = 2
    COMPLETION = 3
    """A sale, and its authorisation moved on."""
    RELEASE = 4
    """Only the authorisation moved on: the pump delivered nothing."""


class PurseChange:
    """Changes of one purse: held, balance, and what was available when read (None: only enough matters)."""

    __slots__ = ("balance", "held", "purse_id", "seen")

    def __init__(self, purse_id: UUID, held: int, balance: int, seen: int | None) -> None:
        self.purse_id = purse_id
        self.held = held
        self.balance = balance
        self.seen = seen


class Decision:
    """One request's proposal; `answer` is sent and stored as it stands.

    Slots: what has more than thirty attributes is kept in a dictionary of its own otherwise, and each access costs three times as much.
    """

    __slots__ = (
        "account_id",
        "answer",
        "authorization",
        "budgets",
        "business_day",
        "by_code",
        "card_id",
        "card_minor",
        "card_tries",
        "card_version",
        "chain_id",
        "changes",
        "counted",
        "counter_day",
        "counter_seen",
        "counts",
        "currency",
        "detail",
        "discount_minor",
        "driver",
        "event_at",
        "expires_at",
        "fill_id",
        "flags",
        "flow",
        "frozen",
        "funders",
        "gross_minor",
        "levels",
        "new_receivable",
        "nozzle",
        "product_id",
        "prompts",
        "quantity_milli",
        "reason",
        "requested_minor",
        "short",
        "staff_id",
        "station_id",
        "status",
        "still_held",
        "subject_id",
        "surcharged",
        "transfers",
        "tries_new",
        "unit_price_e4",
        "write",
    )

    def __init__(self, write: Write, *, station_id: UUID, event_at: datetime, business_day: date, subject_id: UUID, currency: str) -> None:  # noqa: PLR0915 - one line a value
        self.write: int = write
        self.station_id, self.event_at = station_id, event_at
        self.business_day = self.counter_day = business_day
        self.subject_id, self.currency = subject_id, currency
        self.account_id: UUID = NOBODY
        self.card_id: UUID | None = None
        self.chain_id: UUID | None = None
        self.card_version: int | None = None
        self.card_tries: int | None = None
        self.tries_new: int | None = None
        self.by_code = False
        """The holder's code was shown: what is approved uses it up."""
        self.status: int = _DECLINED
        self.reason: int = 0
        self.flow: int = _PRESET
        self.nozzle: int | None = None
        self.product_id: UUID | None = None
        self.requested_minor: int | None = None
        self.gross_minor = self.quantity_milli = self.unit_price_e4 = self.discount_minor = self.card_minor = self.flags = 0
        self.detail: dict[str, Any] | None = None
        self.prompts: dict[str, Any] | None = None
        self.staff_id: UUID | None = None
        self.fill_id: UUID | None = None
        self.expires_at: datetime | None = None
        self.counted: tuple[int, int, int] | None = None
        """What the counters change by: money, quantity, count."""
        self.counter_seen: tuple[int, int] | None = None
        """Money and count of the day's counter as they were read, where a limit depends on them: another worker may have used the card."""
        self.levels: Sequence[LevelCount] = ()
        """What the counters of the levels over a company's card change by."""
        self.driver: tuple[UUID, int, int, int | None] | None = None
        """Whose PIN was judged besides the card's: driver, generation, tries as they were read, and from now on where they change."""
        self.authorization: tuple[UUID, int, int] | None = None
        """The authorisation to complete: id, status and completions as they were read."""
        self.still_held: Sequence[Take] = ()
        """What a completion in parts leaves of the holds."""
        self.new_receivable: UUID | None = None
        self.changes: list[PurseChange] = []
        self.transfers: list[tuple[UUID, UUID, int, int]] = []
        """(debit, credit, amount in minor units, kind)."""
        self.answer = b""
        self.frozen: str | None = None
        """What an authorisation keeps of its rules, or what a completion in parts leaves of it."""
        self.counts: Sequence[Count] = ()
        """What benefits add to their counters."""
        self.budgets: list[BudgetUse] = []
        self.short: Sequence[UUID] = ()
        """Budgets that had less free than was wanted."""
        self.surcharged: str | None = None
        """Whose a surcharge is: the reference of its house account."""
        self.funders: list[str] = []
        """Who bears the discounts: references of their house accounts."""

    def hold(self, takes: list[Take], purses: list[PurseView], *, exact: bool) -> None:
        """Set value aside; with `exact`, only while the purses are as they were read."""
        for purse_id, amount in takes:
            self.changes.append(PurseChange(purse_id, amount, 0, _seen(purses, purse_id) if exact else None))

    def spend(self, takes: list[Take], purses: list[PurseView], *, exact: bool) -> None:
        """Take value that was not held before, to this station's sales."""
        sales = sales_of(self.station_id, self.currency)
        for purse_id, amount in takes:
            self.changes.append(PurseChange(purse_id, 0, -amount, _seen(purses, purse_id) if exact else None))
            self.transfers.append((purse_id, sales, amount, _TRANSFER_SALE))

    def capture(self, takes: list[Take]) -> None:
        """Take held value to this station's sales."""
        sales = sales_of(self.station_id, self.currency)
        for purse_id, amount in takes:
            self.changes.append(PurseChange(purse_id, -amount, -amount, None))
            self.transfers.append((purse_id, sales, amount, _TRANSFER_SALE))

    def release(self, takes: list[Take]) -> None:
        """Give held value back."""
        for purse_id, amount in takes:
            self.changes.append(PurseChange(purse_id, -amount, 0, None))

    def owe(self, amount_minor: int, purses: list[PurseView]) -> None:
        """Book what the account does not hold to its receivable, made if there is none."""
        receivable = next((purse.purse_id for purse in purses if purse.kind == PurseKind.RECEIVABLE and purse.unit == self.currency), None)
        if receivable is None:
            receivable = self.new_receivable = receivable_id(self.account_id)
        sales = sales_of(self.station_id, self.currency)
        self.changes.append(PurseChange(receivable, 0, -amount_minor, None))
        self.transfers.append((receivable, sales, amount_minor, _TRANSFER_SALE))
        self.flags |= int(Flag.RECEIVABLE)

    def discount(self, amount_minor: int, funder: str) -> None:
        """Book a discount: its funder pays the station."""
        if amount_minor:
            self.funders.append(funder)
            sales = sales_of(self.station_id, self.currency)
            self.transfers.append((discounts_of(funder, self.currency), sales, amount_minor, _TRANSFER_DISCOUNT))

    def surcharge(self, amount_minor: int, funder: str) -> None:
        """Book what an agreement adds to the pump's amount: the customer paid it to the station, whose sales pass it on to the issuer."""
        self.surcharged = funder
        sales = sales_of(self.station_id, self.currency)
        self.transfers.append((sales, house_id(HouseCode.SURCHARGE, self.currency, funder), amount_minor, _TRANSFER_SURCHARGE))

    def tender(self, tender: str, amount_minor: int) -> None:
        """Book another tender's share."""
        station = str(self.station_id)
        clearing = house_id(HouseCode.TENDER, self.currency, f"{station}:{tender}")
        self.transfers.append((clearing, sales_of(self.station_id, self.currency), amount_minor, _TRANSFER_TENDER))


def _seen(purses: list[PurseView], purse_id: UUID) -> int | None:
    """Return what was available in a purse when it was read."""
    for purse in purses:
        if purse.purse_id == purse_id:
            return purse.available_minor
    return None


def receivable_id(account_id: UUID) -> UUID:
    """Return the id of an account's receivable: computed, so that two workers make the same one."""
    return uuid5(account_id, "receivable")


def applied(purses: list[PurseView], changes: list[PurseChange]) -> list[PurseView]:
    """Return the purses as they stand after the changes: what the next request of the same batch decides on."""
    if len(purses) == 1 and len(changes) == 1:
        purse, only = purses[0], changes[0]
        if purse.purse_id != only.purse_id:
            return purses
        return [PurseView._make((*purse[:3], purse.balance_minor + only.balance, purse.held_minor + only.held, *purse[5:]))]
    held: dict[UUID, int] = {}
    balance: dict[UUID, int] = {}
    for change in changes:
        held[change.purse_id] = held.get(change.purse_id, 0) + change.held
        balance[change.purse_id] = balance.get(change.purse_id, 0) + change.balance
    return [
        purse._replace(held_minor=purse.held_minor + held[purse.purse_id], balance_minor=purse.balance_minor + balance[purse.purse_id])
        if purse.purse_id in held
        else purse
        for purse in purses
    ]
