"""What happens to a card in use: registered, replaced, renewed, relabelled, closed, reopened."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.cards.model import LIVING, Card, CardIssue, CardProduct, CardStatus, EventKind, ProductKind
from loyalty.cards.queries import cards_of_account, get_card_for_update, get_product, lock_cards, status_before
from loyalty.cards.rules import Replacing, media_expired, media_expiry, reopening_is_over
from loyalty.clock import local_date
from loyalty.errors import Refusal
from loyalty.ids import StationId
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import AccountKind
from loyalty.policy import Policy
from loyalty.stations import queries as stations

from .issuing import (
    BY_NOBODY,
    CardElsewhere,
    Developed,
    MainCardExists,
    activate,
    free_plate,
    require_holder,
    require_identity,
    require_other_referrer,
)
from .moving import CardCannotMove, CardIsBearer, move, record, require_living, require_status, touch_cards
from .stock import require_blank


class AlreadyRegistered(Refusal):
    """Anonymous becomes registered once, never back."""

    zh = "该卡已是记名卡，不能再次转换。"
    en = "This card is registered already; that happens once and never back."
    next_zh = "如需更改客户资料，请在客户资料中办理。"
    next_en = "Change the holder's data with the customer instead."


class ProductDoesNotFit(Refusal):
    """The other product is of another kind or currency."""

    status = 422
    zh = "所选卡产品的类型或币种不符。"
    en = "The chosen card product is of another kind or currency."
    next_zh = "请选择同币种的正确卡产品。"
    next_en = "Choose the right product of the same currency."


class CardNotReportedLost(Refusal):
    """A card is stopped before another takes its place."""

    zh = "该卡尚未挂失，不能按遗失补卡。"
    en = "The card has not been reported lost."
    next_zh = "请先办理挂失。"
    next_en = "Report it lost first."


class CardNotExpired(Refusal):
    zh = "该卡有效期至 {expires_on}，尚未到期。"
    en = "The card is good until {expires_on}; it has not expired."
    next_zh = "如有损坏，请按损坏补卡。"
    next_en = "If it is damaged, replace it as damaged."


class CardDoesNotExpire(Refusal):
    zh = "该卡卡片不设有效期，无需延期。"
    en = "This card's plastic does not expire."


class ReopeningOver(Refusal):
    """A closed number can be reopened for the profile's months."""

    zh = "该卡已于 {closed_on} 注销，超过 {months} 个月，不能恢复（{rule}）。"
    en = "The card was closed on {closed_on}; it could be reopened for {months} months ({rule})."
    next_zh = "请办理新卡。"
    next_en = "Issue a new card."


class Replacement(NamedTuple):
    """The new card, the old one, and the fee that the caller books (minor units of `currency`; 0 where none is due)."""

    card: Card
    replaced: Card
    fee_minor: int
    currency: str


async def register_card(
    session: AsyncSession,
    *,
    card_id: UUID,
    customer_id: UUID,
    product_id: UUID,
    actor: Actor,
    now: datetime,
    station_id: UUID | None = None,
    developed: Developed = BY_NOBODY,
    policy: Policy | None = None,
) -> Card:
    """Turn an anonymous card into a registered one of a personal product: once, never back.

    Account, balance, points and history go along; only owner and terms change. PIN, limits and counters stay. With `policy` the profile's
    real-name rule is applied here; without it the caller has checked the holder's ID.

    :raises CardNotFound: if there is no such card
    :raises AlreadyRegistered: if it is no anonymous card
    :raises CardCannotMove: if it is blank, replaced or closed
    :raises ProductDoesNotFit: if the product is not personal, or of another currency
    :raises HolderDoesNotFit: if the customer is no person
    :raises IdentityNotVerified: if the profile asks for a verified document and there is none
    :raises AccountNotOpen: if its account is frozen or closed
    :raises ReferrerIsHolder: if the customer refers themselves
    """
    card = await get_card_for_update(session, card_id=card_id)
    require_living(card)
    if not card.bearer:
        raise AlreadyRegistered(card=card_id)
    old, new = await get_product(session, product_id=card.product_id), await get_product(session, product_id=product_id)
    if new.kind is not ProductKind.PERSONAL or new.currency != old.currency or not new.active:
        raise ProductDoesNotFit(product=new.code)
    await require_holder(session, new, customer_id=customer_id)
    if policy is not None:
        today = await _today(session, station_id=station_id, now=now)
        await require_identity(session, new, customer_id=customer_id, policy=policy, today=today)
    require_other_referrer(developed, customer_id)
    await ledger.assign_account(
        session,
        account_id=card.account_id,
        kind=AccountKind.PERSONAL,
        customer_id=customer_id,
        card_product_id=product_id,
        now=now,
    )
    card.product_id = product_id
    card.customer_id = customer_id
    card.bearer = False
    card.version += 1
    if card.expires_on is not None and new.media_validity_months is None:
        card.expires_on = None
    facts = {"from_product": old.code, "to_product": new.code}
    await record(session, card, EventKind.CONVERTED, actor=actor, station_id=station_id, reason="registered", now=now, facts=facts)
    await _keep_developed(session, card, developed)
    await session.flush()
    return card


async def _keep_developed(session: AsyncSession, card: Card, developed: Developed) -> None:
    issue = await session.get(CardIssue, card.card_id)
    if issue is None:
        return
    issue.customer_id = card.customer_id
    issue.developed_by_staff_id = developed.staff_id or issue.developed_by_staff_id
    issue.developed_by_station_id = developed.station_id or issue.developed_by_station_id
    issue.flyer_code = developed.flyer_code or issue.flyer_code
    issue.referrer_customer_id = developed.referrer_customer_id or issue.referrer_customer_id


async def replace_card(
    session: AsyncSession,
    *,
    card_id: UUID,
    new_card_id: UUID,
    reason: Replacing,
    actor: Actor,
    now: datetime,
    pin: str | None = None,
    station_id: UUID | None = None,
) -> Replacement:
    """Put a blank card in the place of a lost, damaged or expired one: same account, money, limits and counters (the chain's).

    With `pin` the new card is active at once, else it is issued and waits for activation. An anonymous card is exchanged only when it has
    expired (its value has not). An exchange of an expired card costs nothing; else the product's replacement fee is due.

    :raises CardNotFound: if there is no such card
    :raises CardIsBearer: if it is anonymous and has not expired
    :raises CardNotReportedLost: if it is replaced as lost and is not
    :raises CardNotExpired: if it is exchanged as expired and is not
    :raises CardCannotMove: if its status does not lead to replaced
    :raises CardNotBlank: if the new card is not blank
    :raises CardElsewhere: if the new card is not in the station's stock
    :raises ProductDoesNotFit: if the new card is of another product
    :raises PinTooSimple: if the PIN is none, or easily guessed
    """
    locked = {card.card_id: card for card in await lock_cards(session, card_ids=[card_id, new_card_id])}
    old = locked.get(card_id) or await get_card_for_update(session, card_id=card_id)
    new = locked.get(new_card_id) or await get_card_for_update(session, card_id=new_card_id)
    today = await _today(session, station_id=station_id, now=now)
    _refuse_replacing(old, reason, today_is_past_expiry=media_expired(old.expires_on, today))
    require_blank(new)
    if new.stock_move_id is not None or (station_id is not None and new.station_id != station_id):
        raise CardElsewhere(card=new_card_id)
    if new.product_id != old.product_id:
        raise ProductDoesNotFit(product=new.product_id)
    product = await get_product(session, product_id=old.product_id)
    facts = {"replaced_by": str(new.card_id), "replacing": reason.value}
    await move(session, old, CardStatus.REPLACED, actor=actor, station_id=station_id, reason=reason.value, now=now, facts=facts)
    new.account_id, new.customer_id, new.chain_id = old.account_id, old.customer_id, old.chain_id
    new.bearer, new.is_main, new.holder_label, new.plate = old.bearer, old.is_main, old.holder_label, old.plate
    new.replaces_card_id = old.card_id
    new.station_id = station_id
    new.issued_at = now
    new.expires_on = media_expiry(today, product.media_validity_months)
    facts = {"replaces": str(old.card_id)}
    await move(session, new, CardStatus.ISSUED, actor=actor, station_id=station_id, reason="replacement", now=now, facts=facts)
    await ledger.hand_over_purses(session, account_id=old.account_id, from_card_id=old.card_id, to_card_id=new.card_id)
    if pin is not None:
        await activate(session, new, actor=actor, now=now, pin=pin, station_id=station_id)
    await session.flush()
    return Replacement(new, old, 0 if reason is Replacing.EXPIRED else product.replacement_fee_minor, product.currency)


def _refuse_replacing(old: Card, reason: Replacing, *, today_is_past_expiry: bool) -> None:
    if old.bearer and reason is not Replacing.EXPIRED:
        raise CardIsBearer(card=old.card_id)
    if reason is Replacing.LOST and old.status in {CardStatus.ACTIVE, CardStatus.SUSPENDED}:
        raise CardNotReportedLost(card=old.card_id)
    if reason is Replacing.EXPIRED and not today_is_past_expiry:
        raise CardNotExpired(card=old.card_id, expires_on=old.expires_on.isoformat() if old.expires_on else "—")


async def renew_card(
    session: AsyncSession, *, card_id: UUID, actor: Actor, now: datetime, station_id: UUID | None = None, reason: str = "renewed"
) -> Card:
    """Let the same plastic be good for another term from today, expired or not.

    :raises CardNotFound: if there is no such card
    :raises CardCannotMove: if it is blank, replaced or closed
    :raises CardDoesNotExpire: if its product's plastic does not expire
    """
    card = await get_card_for_update(session, card_id=card_id)
    require_living(card)
    product = await get_product(session, product_id=card.product_id)
    until = media_expiry(await _today(session, station_id=station_id, now=now), product.media_validity_months)
    if card.expires_on is None or until is None:
        raise CardDoesNotExpire(card=card_id)
    facts = {"before": card.expires_on.isoformat(), "until": until.isoformat()}
    card.expires_on = until
    card.version += 1
    await record(session, card, EventKind.RENEWED, actor=actor, station_id=station_id, reason=reason, now=now, facts=facts)
    await session.flush()
    return card


async def label_card(
    session: AsyncSession,
    *,
    card_id: UUID,
    actor: Actor,
    now: datetime,
    holder_label: str | None,
    plate: str | None,
    station_id: UUID | None = None,
) -> Card:
    """Say whose a card is within its account (a driver, a department) and to which vehicle it belongs; both are replaced.

    :raises CardNotFound: if there is no such card
    :raises CardCannotMove: if it is blank, replaced or closed
    :raises PlateNeeded: if a fleet card would lose its plate
    :raises VehicleHasCard: if another living fleet card of the company has the plate
    """
    card = await get_card_for_update(session, card_id=card_id)
    require_living(card)
    product = await get_product(session, product_id=card.product_id)
    card.plate = await free_plate(session, product, customer_id=card.customer_id, plate=plate, except_card=card_id)
    card.holder_label = holder_label
    card.version += 1
    await record(session, card, EventKind.LABELLED, actor=actor, station_id=station_id, reason="labelled", now=now)
    await session.flush()
    return card


async def close_card(
    session: AsyncSession, *, card_id: UUID, actor: Actor, reason: str, now: datetime, station_id: UUID | None = None
) -> Card:
    """Close a card: its status only; the money is given back elsewhere. The number stays reserved, and reopens within the profile's months.

    :raises CardNotFound: if there is no such card
    :raises CardCannotMove: if it is blank (that is spoilt stock), replaced or closed
    """
    card = await get_card_for_update(session, card_id=card_id)
    if card.status not in LIVING:
        raise CardCannotMove(card=card_id, status=card.status.name.lower(), to="closed")
    await move(session, card, CardStatus.CLOSED, actor=actor, station_id=station_id, reason=reason, now=now)
    await session.flush()
    return card


async def reopen_card(
    session: AsyncSession, *, card_id: UUID, policy: Policy, actor: Actor, reason: str, now: datetime, station_id: UUID | None = None
) -> Card:
    """Reopen a closed card into the status it was closed from, within the profile's months; the caller reopens its account.

    :raises CardNotFound: if there is no such card
    :raises CardCannotMove: if it is not closed, or was never in use
    :raises ReopeningOver: if it is too late
    :raises MainCardExists: if another card has become the account's main card
    :raises VehicleHasCard: if another living fleet card of the company has its plate
    """
    card = await get_card_for_update(session, card_id=card_id)
    require_status(card, CardStatus.CLOSED, to=CardStatus.ACTIVE)
    product = await get_product(session, product_id=card.product_id)
    closure = policy.for_currency(product.currency).closure
    assert card.closed_at is not None, "a closed card knows since when"
    if reopening_is_over(closed_at=card.closed_at, now=now, months=closure.reopen_months):
        raise ReopeningOver(card=card_id, closed_on=card.closed_at.date().isoformat(), months=closure.reopen_months, rule=closure.rule)
    before = await status_before(session, card_id=card_id, status=CardStatus.CLOSED)
    if before is None or before not in LIVING:
        raise CardCannotMove(card=card_id, status="closed", to="active")
    await _require_place(session, card, product)
    await move(session, card, before, actor=actor, station_id=station_id, reason=reason, now=now)
    card.closed_at = None
    await session.flush()
    return card


async def _require_place(session: AsyncSession, card: Card, product: CardProduct) -> None:
    if product.kind is ProductKind.FLEET:
        await free_plate(session, product, customer_id=card.customer_id, plate=card.plate, except_card=card.card_id)
    others = await cards_of_account(session, account_id=card.account_id, living=True)
    if card.is_main and any(other.is_main for other in others):
        raise MainCardExists(account=card.account_id)


async def touch_account(session: AsyncSession, *, account_id: UUID, actor: Actor, reason: str, now: datetime) -> int:
    """Raise the version of an account's living cards because its status or terms changed (a freeze, a credit limit); return how many.

    The caller writes the trail of what changed.
    """
    cards = list(await session.scalars(select(Card.card_id).where(Card.account_id == account_id, Card.status.in_(LIVING))))
    return await touch_cards(session, card_ids=cards, actor=actor, reason=reason, now=now)


async def touch_chain(session: AsyncSession, *, chain_id: UUID, actor: Actor, now: datetime) -> int:
    """Raise the version of a chain's living cards because its limits changed; return how many."""
    return await touch_chains(session, chain_ids=[chain_id], actor=actor, now=now)


async def touch_chains(session: AsyncSession, *, chain_ids: Sequence[UUID], actor: Actor, now: datetime) -> int:
    """Raise the version of many chains' living cards because their limits changed; return how many."""
    mine = Card.chain_id == any_(literal(list(chain_ids), ARRAY(Uuid)))
    cards = list(await session.scalars(select(Card.card_id).where(mine, Card.status.in_(LIVING))))
    return await touch_cards(session, card_ids=cards, actor=actor, reason="limits", now=now, kind=EventKind.LIMITS_CHANGED)


async def _today(session: AsyncSession, *, station_id: UUID | None, now: datetime) -> date:
    if station_id is None:
        return now.date()
    station = await stations.get_station(session, station_id=StationId(station_id))
    return local_date(now, station.zone)
