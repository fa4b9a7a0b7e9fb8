"""What the pump's other operations answer: reversals, refunds, releases, quotes. Additive, like the hot routes' answers."""

from datetime import datetime

from msgspec import Struct

from loyalty.ledger.spending import Spending

from .wire import Benefit, Discount, Other, Said, Taken


class HandBack(Struct, omit_defaults=True):
    """Another tender's share of what goes back: the cashier hands it over, or sends it back through the wallet."""

    tender: str
    amount_minor: int
    reference: str | None = None
    """The payment it came with."""


class RefundAnswer(Said, omit_defaults=True, kw_only=True):
    """A sale given back, whole or in part. `outcome`: refunded or voided."""

    refund: str | None = None
    sale: str | None = None
    void: bool = False
    gross_minor: int = 0
    discount_minor: int = 0
    card_minor: int = 0
    quantity_milli: int = 0
    given: list[Taken] | None = None
    """What each kind of purse got back."""
    receivable_minor: int = 0
    """How much of it lowers what the holder owes."""
    expired_minor: int = 0
    """How much went back into lots that have expired meanwhile: restored as they were, no longer to be spent."""
    tenders: list[HandBack] | None = None
    left_minor: int = 0
    """Gross amount of the sale that no refund has touched."""
    balance_after_minor: int | None = None
    available_after_minor: int | None = None
    booked_at: str | None = None


class ReversalAnswer(Said, omit_defaults=True, kw_only=True):
    """An original taken back by its key. `outcome`: reversed, or declined where it can only be refunded."""

    original: str | None = None
    """authorization, sale, completion, advice, topup; absent where the original is not known."""
    authorization: str | None = None
    released_minor: int = 0
    refund: RefundAnswer | None = None
    topup_minor: int = 0
    booked_at: str | None = None


class ReleaseAnswer(Said, omit_defaults=True, kw_only=True):
    """A hold given back without a dispense. `outcome`: released."""

    authorization: str | None = None
    released_minor: int = 0
    booked_at: str | None = None


class QuoteLine(Struct, kw_only=True):
    """What the card may take of one product here and now; 0 is an answer and is said, `reason` and `limit` say what binds."""

    product: str
    unit_price_e4: int = 0
    amount_minor: int = 0
    quantity_milli: int = 0
    pays_minor: int = 0
    """What the account would give for it, the discount taken off."""
    discount: Discount | None = None
    benefits: list[Benefit] | None = None
    others: list[Other] | None = None
    reason: str | None = None
    limit: str | None = None
    message_zh: str | None = None
    message_en: str | None = None


class QuoteAnswer(Said, omit_defaults=True, kw_only=True):
    """What this card may take here and now. Nothing is held, and no PIN try is used. `outcome`: quote or declined."""

    products: list[QuoteLine] | None = None
    needs_pin: bool = False


class BonusLot(Struct, omit_defaults=True, kw_only=True):
    """A part of the bonus money and what binds it."""

    amount_minor: int
    expires_at: datetime | None = None
    spend: Spending | None = None
    """What it may be spent on, by code; none: anything."""


class BalanceAnswer(Said, omit_defaults=True, kw_only=True):
    """What the account holds; told only to who has shown more than a number. `outcome`: balance, more_data, declined."""

    balance_minor: int | None = None
    available_minor: int | None = None
    held_minor: int | None = None
    bonus_minor: int | None = None
    owed_minor: int | None = None
    bonus_lots: list[BonusLot] | None = None
    """Bonus money that ends some day or may not be spent on everything, the soonest ending first."""
    points: int | None = None
    """What can be spent now."""
    points_pending: int | None = None
    """Earned, and not active yet."""
    points_owed: int | None = None
    """Taken back of points that were spent: the next ones earned pay it off."""


class FillView(Struct, omit_defaults=True, kw_only=True):
    """A finished fill as the till's list shows it."""

    fill_id: str
    nozzle: int
    product: str
    quantity_milli: int
    unit_price_e4: int
    amount_minor: int
    finished_at: str
    locked_until: str | None = None
