"""The pump's decisions: pure, on one read's facts. No I/O, no clock: the same facts give the same bytes."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from loyalty.crypto import pin_matches
from loyalty.ledger.model import PurseKind
from loyalty.ledger.rules import PurseView
from loyalty.limits.presented import PumpDriverCard
from loyalty.limits.rules import UNUSED, Judgement, judge
from loyalty.limits.rules import Reason as LimitReason
from loyalty.limits.wording import limit_label
from loyalty.money import shown, shown_quantity

from .decision import Decision
from .facts import CardFacts, CardTerms, Place, Product
from .model import Flag, Status
from .reasons import Reason, say
from .wire import Credential, Said

PIN_TRIES: Final = 3
HOLD_FOR: Final = timedelta(minutes=60)
"""How long a completion is waited for before the hold becomes an unresolved dispense."""

_ACTIVE, _LOST = 2, 4
_POINTS: Final = int(PurseKind.POINTS)

_LIMIT_REASONS: Final = {
    LimitReason.GRADE: Reason.GRADE_NOT_ALLOWED,
    LimitReason.SHOP: Reason.SHOP_NOT_ALLOWED,
    LimitReason.PLACE: Reason.STATION_NOT_ALLOWED,
    LimitReason.HOURS: Reason.OUTSIDE_HOURS,
    LimitReason.PLATE_NEEDED: Reason.PLATE_NEEDED,
    LimitReason.PLATE_DIFFERS: Reason.PLATE_DIFFERS,
    LimitReason.AMOUNT: Reason.AMOUNT_LIMIT,
    LimitReason.QUANTITY: Reason.QUANTITY_LIMIT,
    LimitReason.COUNT: Reason.COUNT_LIMIT,
    LimitReason.INTERVAL: Reason.TOO_SOON,
    LimitReason.ODOMETER: Reason.ODOMETER_DIFFERS,
    LimitReason.CLOSED: Reason.CLOSED_FOR_NOW,
    LimitReason.ORDER: Reason.ORDER_DIFFERS,
}

_FREE: Final = Judgement(None, (), None, None, None, None, None)

encode: Final = msgspec.json.Encoder().encode


class ShownDriverCard(NamedTuple):
    """What the edge could read of the driver's own card: its blind index (empty where its code was none of ours)."""

    lookup: bytes
    check_value_index: bytes | None = None
    token_version: int | None = None
    """The version of the card for which its code was made; None where no code was shown."""

    def proves(self, card: PumpDriverCard) -> bool:
        """Say whether it is shown to be that card without a PIN: by its code, or by its chip where the product asks for no PIN."""
        return self.token_version is not None or (self.check_value_index is not None and not card.needs_pin)

    def is_of(self, card: PumpDriverCard, today: date) -> bool:
        """Say whether what was shown is that card's, and the card lives."""
        if card.status != _ACTIVE or (card.expires_on is not None and card.expires_on < today):
            return False
        if self.check_value_index is not None and self.check_value_index != card.check_value_index:
            return False
        return self.token_version in {None, card.version}


class Presented:
    """How the card was presented: what of it the edge could read."""

    __slots__ = (
        *("check_value_index", "driver_card", "driver_pin", "driver_pin_unreadable", "holds_fill", "needs_pin", "pin", "pin_unreadable"),
        *("quotes", "token_ok", "token_version", "token_wrong"),
    )

    def __init__(
        self,
        *,
        pin: str | None = None,
        pin_unreadable: bool = False,
        check_value_index: bytes | None = None,
        token_ok: bool = False,
        token_version: int | None = None,
        token_wrong: bool = False,
        holds_fill: bool = False,
        driver_pin: str | None = None,
        driver_pin_unreadable: bool = False,
        driver_card: ShownDriverCard | None = None,
        quotes: bool = False,
    ) -> None:
        self.pin = pin
        self.pin_unreadable = pin_unreadable
        self.check_value_index = check_value_index
        self.token_ok = token_ok
        self.token_version = token_version
        """The version of the card for which the code was made; None where the holder approved otherwise."""
        self.token_wrong = token_wrong
        self.holds_fill = holds_fill
        """The fill's lock is this sale's own: the holder approved it on the phone."""
        self.driver_pin = driver_pin
        self.driver_pin_unreadable = driver_pin_unreadable
        self.driver_card = driver_card
        """Shown in place of the driver's number."""
        self.quotes = quotes
        """Nobody fuels yet: nothing has to be said with the card."""


class Refused:
    """A no, before it is worded."""

    __slots__ = ("limit", "may_ask", "needs", "reason", "remaining_milli", "remaining_minor", "remaining_text")

    def __init__(
        self,
        reason: Reason,
        *,
        limit: str | None = None,
        remaining_minor: int | None = None,
        remaining_milli: int | None = None,
        remaining_text: str | None = None,
        needs: list[str] | None = None,
        may_ask: bool = False,
    ) -> None:
        self.reason = reason
        self.may_ask = may_ask
        """The company may be asked to let this one pass."""
        self.limit = limit
        self.remaining_minor = remaining_minor
        self.remaining_milli = remaining_milli
        self.remaining_text = remaining_text
        self.needs = needs


def place_refuses(place: Place) -> Refused | None:
    """Say whether the terminal or its station may not ask."""
    if place.terminal_status != "active":
        return Refused(Reason.TERMINAL_REVOKED)
    if place.station_status in {"closed", "paused"}:
        return Refused(Reason.STATION_CLOSED)
    return None


def card_refuses(card: CardFacts | None, terms: CardTerms | None, place: Place, now_local: datetime) -> Refused | None:
    """Say whether the card as such may not pay: unknown, not active, expired, its account not open, another currency."""
    if card is None or terms is None:
        return Refused(Reason.CARD_UNKNOWN)
    if card.status != _ACTIVE:
        return Refused(Reason.CARD_LOST if card.status == _LOST else Reason.CARD_NOT_ACTIVE)
    if card.expires_on is not None and card.expires_on < now_local.date():
        return Refused(Reason.CARD_EXPIRED)
    if card.account_status != "open":
        return Refused(Reason.ACCOUNT_FROZEN if card.account_status == "frozen" else Reason.ACCOUNT_CLOSED)
    if card.currency != place.currency:
        return Refused(Reason.CURRENCY_DIFFERS)
    return None


def credential_refuses(
    card: CardFacts, terms: CardTerms, credential: Credential, presented: Presented
) -> tuple[Refused | None, int | None]:
    """Judge PIN, check value or dynamic code. Return the refusal, and the card's tries from now on where they change.

    A number alone never spends. The caller commits the tries before any result leaves.
    """
    if presented.token_wrong:
        return Refused(Reason.TOKEN_WRONG), None
    if presented.token_ok and credential.pin is None:
        used = presented.token_version is not None and presented.token_version != card.version
        return (Refused(Reason.TOKEN_WRONG) if used else None), None
    by_check = presented.check_value_index is not None
    if by_check and presented.check_value_index != card.check_value_index:
        return Refused(Reason.CHECK_VALUE_WRONG), None
    if not credential.pin:
        if terms.pin_required and card.pin_verifier is not None:
            return Refused(Reason.PIN_NEEDED, needs=["pin"]), None
        if not by_check:
            return Refused(Reason.CREDENTIAL_NEEDED if card.pin_verifier is not None else Reason.PIN_NOT_SET, needs=["pin"]), None
        return None, None
    return _pin_refuses(card, presented)


def _pin_refuses(card: CardFacts, presented: Presented) -> tuple[Refused | None, int | None]:
    if presented.pin_unreadable or presented.pin is None:
        return Refused(Reason.PIN_UNREADABLE, needs=["pin"]), None
    if card.pin_verifier is None:
        return Refused(Reason.PIN_NOT_SET), None
    if card.pin_tries >= PIN_TRIES:
        return Refused(Reason.PIN_LOCKED), None
    if pin_matches(card.pin_verifier, card_id=card.card_id, generation=card.pin_generation, pin=presented.pin):
        return None, (0 if card.pin_tries else None)
    tries = card.pin_tries + 1
    if tries >= PIN_TRIES:
        return Refused(Reason.PIN_LOCKED), tries
    return Refused(Reason.PIN_WRONG, remaining_text=str(PIN_TRIES - tries), needs=["pin"]), tries


def product_refuses(product: Product, terms: CardTerms) -> Refused | None:
    """Say whether the card product does not sell this."""
    if product.category == "fuel":
        if terms.fuel_kinds is not None and product.fuel_kind not in terms.fuel_kinds:
            return Refused(Reason.GRADE_NOT_ALLOWED)
    elif terms.shop_categories is not None and product.shop_category not in terms.shop_categories:
        return Refused(Reason.SHOP_NOT_ALLOWED)
    return None


def limits_of(
    card: CardFacts,
    terms: CardTerms,
    place: Place,
    product: Product | None,
    *,
    plate: str | None,
    amount_minor: int,
    quantity_milli: int,
    local: datetime,
) -> Judgement:
    """Ask the card's limits, its product's defaults under them, and whatever stands over a company's card."""
    if card.above is None and (card.limits is None or card.limits.quiet) and (terms.limits is None or terms.limits.quiet):
        return _FREE
    fuel = product is not None and product.category == "fuel"
    return (judge if card.above is None else card.above.judge)(
        card.limits,
        terms.limits,
        product_code=product.code if product is not None and fuel else None,
        shop_category=None if product is None or fuel else product.shop_category,
        station=place.station_id,
        district=place.district_id,
        region=place.region_id,
        local_time=local,
        plate=plate,
        amount_minor=amount_minor,
        quantity_milli=quantity_milli,
        used=card.used or UNUSED,
        since_last_s=None if card.last_at is None else max(0, int((local - card.last_at).total_seconds())),
    )


def limit_refusal(judgement: Judgement, card: CardFacts, terms: CardTerms, currency: str, product: Product | None) -> Refused:
    """Turn the limits' block on a product into a refusal that names limit and remainder."""
    block = judgement.blocked
    assert block is not None, "only a block is refused"
    reason = _LIMIT_REASONS[block.reason]
    if reason is Reason.AMOUNT_LIMIT:
        left = shown(block.remaining, currency)
        return Refused(reason, limit=block.limit, remaining_minor=block.remaining, remaining_text=left, may_ask=block.ask)
    if reason is Reason.QUANTITY_LIMIT:
        left = quantity_text(block.remaining, product)
        return Refused(reason, limit=block.limit, remaining_milli=block.remaining, remaining_text=left, may_ask=block.ask)
    if reason is Reason.TOO_SOON:
        return Refused(reason, limit=block.limit, remaining_text=str(block.wait_s), may_ask=block.ask)
    if reason is Reason.PLATE_NEEDED:
        return Refused(reason, limit=block.limit, needs=["plate"])
    if reason is Reason.GRADE_NOT_ALLOWED:
        grades: Collection[str] = (card.limits and card.limits.grades) or (terms.limits and terms.limits.grades) or ()
        if card.above is not None and block.limit != "grades":
            grades = card.above.grades_of(block.limit)
        return Refused(reason, limit=block.limit, remaining_text="、".join(sorted(grades)) or "—", may_ask=block.ask)
    return Refused(reason, limit=block.limit, remaining_minor=0, remaining_milli=0, may_ask=block.ask)


def word(answer: Said, refused: Refused) -> None:
    """Put a refusal into an answer: reason, limit, remainder, both sentences, what is needed."""
    remaining = refused.remaining_text if refused.remaining_text is not None else "0"
    name, allowed = refused.limit or "", refused.remaining_text or "—"
    answer.reason = refused.reason.code
    answer.limit = refused.limit
    answer.remaining_minor = refused.remaining_minor
    answer.remaining_milli = refused.remaining_milli
    answer.message_zh = say(refused.reason, remaining=remaining, allowed=allowed, limit=limit_label(name, "zh"))[0]
    answer.message_en = say(refused.reason, remaining=remaining, allowed=allowed, limit=limit_label(name, "en"))[1]
    answer.needs = refused.needs
    if refused.may_ask:
        answer.may_ask = True
    answer.outcome = "more_data" if refused.needs and refused.reason in _ASKS else "declined"


_ASKS: Final = frozenset(
    {
        *(Reason.PIN_NEEDED, Reason.CREDENTIAL_NEEDED, Reason.PLATE_NEEDED, Reason.MORE_NEEDED, Reason.AMOUNT_NEEDED),
        *(Reason.DRIVER_NEEDED, Reason.ODOMETER_ODD),
    }
)
"""Refusals that a further field turns into a yes; a wrong field is marked without telling the right value."""


def decline(decision: Decision, answer: Said, refused: Refused) -> Decision:
    """Make the decision a decline (or a request for more data): a row, an answer, nothing else."""
    word(answer, refused)
    decision.status = Status.MORE_DATA if answer.outcome == "more_data" else Status.DECLINED
    decision.reason = refused.reason
    decision.answer = encode(answer)
    return decision


def quantity_text(milli: int, product: Product | None) -> str:
    """Write a quantity for a sentence, `22.35 L`: never more than there is."""
    return shown_quantity(milli, "L" if product is None else product.unit)


def flag_names(flags: int) -> list[str] | None:
    """Return the names of the flags that stand, None for none."""
    return [flag.name.lower() for flag in Flag if flags & flag and flag.name] or None if flags else None


def is_private(card: CardFacts) -> bool:
    """Say whether the account's balance may be told at the pump: a company's pool is not the driver's to see."""
    return card.account_kind != "company"


def counter_seen(card: CardFacts, terms: CardTerms) -> tuple[int, int] | None:
    """Return the day's counter (money, count) as the decision saw it, None where no limit looks at one."""
    if (card.limits is None or not card.limits.ceilings) and (terms.limits is None or not terms.limits.ceilings):
        return None
    return (0, 0) if card.used is None else (card.used[0] or 0, card.used[2] or 0)


class Written:
    """The last instant written: all requests of a batch carry the same one."""

    def __init__(self) -> None:
        self._instant: datetime | None = None
        self._text = ""

    def __call__(self, instant: datetime) -> str:
        if instant is not self._instant:
            self._instant, self._text = instant, instant.strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._text


written: Final = Written()
"""Write an instant (UTC) as the answers do: to the second, `2026-09-24T02:15:00Z`."""


def money_left(purses: list[PurseView], unit: str) -> tuple[int, int]:
    """Return (balance, available) of the money purses of a unit, a receivable taken off both."""
    balance = available = 0
    for purse in purses:
        if purse.unit == unit and purse.kind != _POINTS:
            balance += purse.balance_minor
            available += purse.available_minor
    return balance, available
