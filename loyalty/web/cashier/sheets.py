"""What lies on the counter: a card with its holder, money, and what it may take here and now; the fills that wait to be paid."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations import offering
from loyalty.authorizations.model import Flow
from loyalty.authorizations.offering import Offer
from loyalty.authorizations.operations.quotes import quote
from loyalty.authorizations.reasons import Reason
from loyalty.cards.model import PIN_TRIES, Card, CardStatus, ProductKind
from loyalty.cards.queries import get_card, get_product
from loyalty.customers.queries import names_of
from loyalty.ledger.model import PurseKind
from loyalty.ledger.queries import get_account, purses_of
from loyalty.ledger.rules import PurseView
from loyalty.limits.wording import limit_label
from loyalty.rewards.queries.points import points_of
from loyalty.rewards.queries.tiers import progress_of
from loyalty.stations.queries import price_board
from loyalty.web.benefits import conditions_of
from loyalty.web.cashier.queries import FillLine
from loyalty.web.cashier.till import Till
from loyalty.web.i18n import N_
from loyalty.web.standing import PointsShown, TierShown, points_shown, tier_shown

STATUSES: Final[dict[CardStatus, tuple[str, str]]] = {
    CardStatus.BLANK: (N_("Blank"), ""),
    CardStatus.ISSUED: (N_("Issued, not active yet"), "warn"),
    CardStatus.ACTIVE: (N_("Active"), "good"),
    CardStatus.SUSPENDED: (N_("Suspended"), "warn"),
    CardStatus.LOST: (N_("Lost"), "bad"),
    CardStatus.REPLACED: (N_("Replaced"), "bad"),
    CardStatus.CLOSED: (N_("Closed"), "bad"),
}
KINDS: Final[dict[ProductKind, str]] = {
    ProductKind.PERSONAL: N_("Personal, registered"),
    ProductKind.ANONYMOUS: N_("Anonymous"),
    ProductKind.COMPANY: N_("Company card"),
    ProductKind.FLEET: N_("Fleet card"),
}


class Grade(msgspec.Struct, frozen=True, kw_only=True):
    """What the card may take of one grade; `why` says what binds it, or why it is nothing."""

    code: str
    name: str
    unit: str
    unit_price_e4: int
    quantity_milli: int
    amount_minor: int
    saved_e4: int
    saving: str
    why: str
    told: bool
    """False where the figure would tell a company's pool."""


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """A bonus lot."""

    amount_minor: int
    expires_at: datetime | None
    only: str = ""
    """What it may be spent on; empty: anything."""


class CardSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A card on the counter. Money is None where it is a company's pool, which is not the driver's to see."""

    card_id: UUID
    account_id: UUID
    customer_id: UUID | None
    number_index: bytes
    tail: str
    title: str
    product: str
    product_id: UUID
    kind: ProductKind
    status: CardStatus
    status_label: str
    status_tone: str
    plate: str | None
    label: str | None
    has_pin: bool
    pin_locked: bool
    asks_pin: bool
    currency: str
    shows_money: bool
    available_minor: int
    principal_minor: int
    bonus_minor: int
    held_minor: int
    owed_minor: int
    lots: tuple[Lot, ...]
    can: bool
    tone: str
    verdict: str
    then: str
    grades: tuple[Grade, ...]
    needs: tuple[str, ...]
    """What its company wants said with it, by the pump's names."""
    tier: TierShown | None
    points: PointsShown | None

    @property
    def living(self) -> bool:
        """Whether something may still be done with it."""
        return self.status in {CardStatus.ISSUED, CardStatus.ACTIVE, CardStatus.SUSPENDED, CardStatus.LOST}

    @property
    def stopped(self) -> bool:
        """Whether it must not be paid with until somebody lets it live again."""
        return self.status in {CardStatus.SUSPENDED, CardStatus.LOST}


class _Verdict(NamedTuple):
    """The first question's answer: can it fuel, in which tone and words it is said, what to do, what of which grade, what must be said."""

    can: bool
    tone: str
    verdict: str
    then: str
    grades: tuple[Grade, ...] = ()
    needs: tuple[str, ...] = ()


class DueFill(msgspec.Struct, frozen=True, kw_only=True):
    """A fill and what this card would give for it."""

    fill: FillLine
    saved_minor: int
    """What the rules take off, less what a company's agreement adds."""
    due_minor: int
    locked: bool


async def sheet_of(till: Till, session: AsyncSession, *, card_id: UUID) -> CardSheet:
    """Read a card as the counter sees it.

    :raises CardNotFound: if there is none, or it is blank stock
    """
    card = await get_card(session, card_id=card_id)
    product = await get_product(session, product_id=card.product_id)
    label, tone = STATUSES[card.status]
    values: dict[str, object] = {}
    may = _Verdict(False, "warn", till.gettext("Not handed out yet"), till.gettext("Issue it with F3."))
    if card.status is not CardStatus.BLANK:
        private = product.kind in {ProductKind.PERSONAL, ProductKind.ANONYMOUS}
        values = await _money(till, session, card, private=private)
        may = await _may_take(till, session, card, private=private)
    names = await names_of(session, customer_ids=[card.customer_id]) if card.customer_id else {}
    name = names.get(card.customer_id, "") if card.customer_id else ""
    shown = till.either(product.name_zh, product.name_en)
    defaults: dict[str, object] = {
        "shows_money": False,
        "available_minor": 0,
        "principal_minor": 0,
        "bonus_minor": 0,
        "held_minor": 0,
        "owed_minor": 0,
        "lots": (),
        "currency": product.currency,
    }
    return CardSheet(
        card_id=card.card_id,
        account_id=card.account_id,
        customer_id=card.customer_id,
        number_index=card.number_index,
        tail=card.number_tail,
        title=name or till.gettext(KINDS[product.kind]),
        product=shown,
        product_id=product.product_id,
        kind=product.kind,
        status=card.status,
        status_label=till.gettext(label),
        status_tone=tone,
        plate=card.plate,
        label=card.holder_label,
        has_pin=card.pin_verifier is not None,
        pin_locked=card.pin_tries >= PIN_TRIES,
        asks_pin=product.pin_required or card.pin_verifier is not None,
        can=may.can,
        tone=may.tone,
        verdict=may.verdict,
        then=may.then,
        grades=may.grades,
        needs=may.needs,
        tier=await _tier(till, session, card, product.kind),
        points=await _points(till, session, card, product.kind),
        **(defaults | values),  # type: ignore[arg-type]
    )


async def _tier(till: Till, session: AsyncSession, card: Card, kind: ProductKind) -> TierShown | None:
    """Return the holder's tier and the way to the next; a company's is not the driver's."""
    if card.customer_id is None or kind is not ProductKind.PERSONAL:
        return None
    zone: str = till.request.app.state.settings.zone
    progress = await progress_of(session, customer_id=card.customer_id, zone=zone, now=till.now)
    return tier_shown(till.words, till.f, progress)


async def _points(till: Till, session: AsyncSession, card: Card, kind: ProductKind) -> PointsShown | None:
    """Return the account's points; a company's pool of them is not shown either."""
    if card.status is CardStatus.BLANK or kind not in {ProductKind.PERSONAL, ProductKind.ANONYMOUS}:
        return None
    held = await points_of(session, account_ids=[card.account_id], now=till.now)
    return points_shown(till.words, till.f, held) if held.available or held.pending or held.owed else None


def due_of(till: Till, offer: Offer | None, fills: Sequence[FillLine]) -> list[DueFill]:
    """Say what a card would give for each waiting fill: the discounts of this moment, at the pump's price."""
    made = []
    for fill in fills:
        product, saved = till.pump.snapshot.products_by_id.get(fill.product_id), 0
        if offer is not None and product is not None:
            goods = offering.fuel(product, fill.quantity_milli, fill.unit_price_e4, fill.amount_minor)
            outcome = offer.evaluate((goods,), int(Flow.PAY_AFTER))[1]
            saved = outcome.discount_minor - outcome.surcharge_minor
        locked = fill.locked_until is not None and fill.locked_until > till.now
        made.append(DueFill(fill=fill, saved_minor=saved, due_minor=fill.amount_minor - saved, locked=locked))
    return made


async def _money(till: Till, session: AsyncSession, card: Card, *, private: bool) -> dict[str, object]:
    now = till.now
    account = await get_account(session, account_id=card.account_id)
    if not private:
        return {"currency": account.currency}
    purses = [purse for purse in await purses_of(session, account_id=card.account_id) if purse.unit == account.currency]
    living = [purse for purse in purses if purse.expires_at is None or purse.expires_at > now]
    own = [purse for purse in living if purse.kind in {PurseKind.PRINCIPAL, PurseKind.BONUS} and purse.card_id in {None, card.card_id}]
    lots = sorted(
        (purse for purse in own if purse.kind == PurseKind.BONUS and purse.balance_minor),
        key=_ends,
    )
    only = await conditions_of(session, purses=lots, f=till.f, words=till.words)
    return {
        "currency": account.currency,
        "shows_money": True,
        "available_minor": sum(purse.available_minor for purse in own),
        "principal_minor": sum(purse.balance_minor for purse in own if purse.kind == PurseKind.PRINCIPAL),
        "bonus_minor": sum(purse.balance_minor for purse in own if purse.kind == PurseKind.BONUS),
        "held_minor": sum(purse.held_minor for purse in own),
        "owed_minor": -sum(purse.balance_minor for purse in purses if purse.kind == PurseKind.RECEIVABLE),
        "lots": tuple(
            Lot(amount_minor=purse.balance_minor, expires_at=purse.expires_at, only=only.get(purse.purse_id, "")) for purse in lots
        ),
    }


def _ends(purse: PurseView) -> datetime:
    return purse.expires_at or datetime.max.replace(tzinfo=UTC)


async def _may_take(till: Till, session: AsyncSession, card: Card, *, private: bool) -> _Verdict:
    """Say the first question's answer: can it fuel, for how much, with what saving; else what to do."""
    _ = till.gettext
    said = await quote(session, snapshot=till.pump.snapshot, place=till.place, number_index=card.number_index, now=till.now)
    if said.products is None:
        return _Verdict(False, "bad", till.either(said.message_zh, said.message_en), _next_step(till, said.reason))
    needs = tuple(said.needs or ())
    board = {line.product_code: line for line in await price_board(session, station_id=till.place.station_id, at=till.now)}
    grades = tuple(
        Grade(
            code=line.product,
            name=till.either(board[line.product].product_name_zh, board[line.product].product_name_en),
            unit=board[line.product].unit.value,
            unit_price_e4=line.unit_price_e4,
            quantity_milli=line.quantity_milli,
            amount_minor=line.amount_minor,
            saved_e4=0 if line.discount is None else line.discount.rate_e4,
            saving="" if line.discount is None else till.either(line.discount.name_zh, line.discount.name_en),
            why=_why(till, line.reason, line.limit, line.message_zh, line.message_en),
            told=private or line.reason != Reason.INSUFFICIENT_FUNDS.code,
        )
        for line in sorted(
            said.products, key=lambda each: (till.pump.snapshot.products[each.product].fuel_kind != "gasoline", each.product)
        )
        if line.product in board
    )
    best = max((grade.amount_minor for grade in grades), default=0)
    if best == 0:
        first = next((grade.why for grade in grades if grade.why), "")
        reason = next((line.reason for line in said.products if line.reason), None)
        return _Verdict(False, "warn", _("Nothing can be taken now"), first or _next_step(till, reason), grades, needs)
    told = all(grade.told for grade in grades if grade.amount_minor)
    if card.pin_verifier is None:
        waits = _("Up to %(amount)s, once it has a PIN", amount=till.money(best)) if told else _("Can fuel once it has a PIN")
        return _Verdict(True, "warn", waits, _("Set the PIN with F4; a number alone never spends."), grades, needs)
    saving = next((grade.saving for grade in grades if grade.saving and grade.amount_minor), "")
    if not told:
        return _Verdict(
            True, "good", _("Can fuel, as far as the company's money goes"), saving or _("No discount applies here now."), grades, needs
        )
    most = _("Can fuel: up to %(amount)s", amount=till.money(best))
    return _Verdict(True, "good", most, saving or _("No discount applies here now."), grades, needs)


def _why(till: Till, reason: str | None, limit: str | None, zh: str | None, en: str | None) -> str:
    if limit is not None:
        return till.gettext("terminal limit") if limit == "terminal" else limit_label(limit, till.words.locale)
    if zh or en:
        return till.either(zh, en)
    return till.gettext("what is on the card") if reason == Reason.INSUFFICIENT_FUNDS.code else ""


def _next_step(till: Till, reason: str | None) -> str:
    """Say what the cashier does next about a refusal."""
    steps = {
        Reason.CARD_LOST.code: N_("Keep the card if it was handed to you. Its owner gets a new one with F4."),
        Reason.CARD_NOT_ACTIVE.code: N_("Activate it with F3, or see with F4 what stopped it."),
        Reason.CARD_EXPIRED.code: N_("Exchange the card with F4; the money stays."),
        Reason.ACCOUNT_FROZEN.code: N_("Only the office can tell why, and lift it."),
        Reason.PIN_LOCKED.code: N_("Unlock the PIN with F4, against the holder's document."),
        Reason.PIN_NOT_SET.code: N_("Set the PIN with F4; a number alone never spends."),
        Reason.INSUFFICIENT_FUNDS.code: N_("Top up with F2, or take the rest by another tender."),
        Reason.STATION_CLOSED.code: N_("The office opens the station again."),
    }
    found = steps.get(reason or "")
    return till.gettext(found) if found else ""
