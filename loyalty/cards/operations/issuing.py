"""From blank plastic to a usable card: bound to its account, handed out, activated; or taken over from a former system."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.card_numbers import plain_card_number
from loyalty.cards.model import LIVING, Card, CardIssue, CardProduct, CardStatus, EventKind, ProductKind
from loyalty.cards.numbers import check_value, check_value_index, protect_number
from loyalty.cards.queries import account_of_customer, cards_of_account, get_card_for_update, get_product
from loyalty.cards.rules import is_organisations, media_expiry, staff_of
from loyalty.clock import local_date
from loyalty.customers import queries as customers
from loyalty.customers.model import CustomerKind
from loyalty.errors import Refusal
from loyalty.ids import NOBODY, AccountId, StationId, uuid7
from loyalty.ledger import operations as ledger
from loyalty.ledger import queries as ledger_queries
from loyalty.ledger.model import AccountKind, AccountStatus
from loyalty.limits.rules import plate_key
from loyalty.policy import Policy
from loyalty.stations import queries as stations

from .moving import CardCannotMove, move, record
from .pin import put_pin
from .stock import number_is_taken, require_blank

_ACCOUNTS: dict[ProductKind, AccountKind] = {
    ProductKind.PERSONAL: AccountKind.PERSONAL,
    ProductKind.ANONYMOUS: AccountKind.ANONYMOUS,
    ProductKind.COMPANY: AccountKind.COMPANY,
    ProductKind.FLEET: AccountKind.COMPANY,
}


class Developed(NamedTuple):
    """Who brought the holder; kept at issue for good."""

    staff_id: UUID | None = None
    station_id: UUID | None = None
    flyer_code: str | None = None
    referrer_customer_id: UUID | None = None


BY_NOBODY = Developed()


class CardElsewhere(Refusal):
    """The books have this blank card at another place, or on its way."""

    zh = "按库存记录，该空白卡不在本站。"
    en = "By the stock records this blank card is not at this station."
    next_zh = "请先签收或调拨该卡，或换一张本站的空白卡。"
    next_en = "Receive or move it first, or take a blank card of this station."


class StationMayNotIssue(Refusal):
    zh = "本站无发卡权限。"
    en = "This station may not issue cards."
    next_zh = "请到有发卡权限的站点办理。"
    next_en = "Have the card issued at a station that may."


class CardProductInactive(Refusal):
    zh = "卡产品 {code} 已停止发行。"
    en = "The card product {code} is no longer issued."
    next_zh = "请选择其他卡产品。"
    next_en = "Choose another product."


class HolderDoesNotFit(Refusal):
    """A personal card needs a person, a company or fleet card an organisation, an anonymous card nobody."""

    status = 422
    zh = "该卡产品的持卡人应为：{wanted}。"
    en = "The holder of this card product must be: {wanted}."
    next_zh = "请选择正确的客户或卡产品。"
    next_en = "Choose the right customer or card product."


class IdentityNotVerified(Refusal):
    """A registered card has an owner whose document somebody has seen."""

    zh = "办理记名卡须先核验持卡人（单位）证件（{rule}）。"
    en = "A registered card needs its holder's document verified first ({rule})."
    next_zh = "请核验证件后再办理。"
    next_en = "Verify the document, then issue the card."


class AccountDoesNotFit(Refusal):
    """An account has one owner and one currency; a card joins it only with both."""

    zh = "该账户的客户、币种或类型与本卡不符。"
    en = "That account's owner, currency or kind is not this card's."
    next_zh = "请核对账户。"
    next_en = "Check the account."


class MainCardExists(Refusal):
    zh = "该账户已有主卡。"
    en = "This account already has its main card."
    next_zh = "请作为副卡发行。"
    next_en = "Issue this one as a sub-card."


class VehicleHasCard(Refusal):
    """One vehicle, one card."""

    zh = "该车牌已有一张有效的车队卡。"
    en = "This vehicle already has a living fleet card."
    next_zh = "请先注销或补换原卡。"
    next_en = "Close or replace that card first."


class PlateNeeded(Refusal):
    status = 422
    zh = "车队卡须绑定车牌。"
    en = "A fleet card needs its vehicle's plate."
    next_zh = "请填写车牌号。"
    next_en = "Give the plate."


class ReferrerIsHolder(Refusal):
    zh = "推荐人不能是持卡人本人。"
    en = "Nobody refers themselves."
    next_zh = "请改填推荐人，或留空。"
    next_en = "Give another referrer, or none."


class PinNeeded(Refusal):
    status = 422
    zh = "激活该卡须设置密码。"
    en = "This card needs a PIN before it can be activated."
    next_zh = "请由持卡人设置密码。"
    next_en = "Let the holder set one."


class CardNumberTaken(Refusal):
    zh = "该卡号已存在。"
    en = "There already is a card of this number."


async def issue_card(
    session: AsyncSession,
    *,
    card_id: UUID,
    actor: Actor,
    now: datetime,
    customer_id: UUID | None = None,
    account_id: UUID | None = None,
    station_id: UUID | None = None,
    is_main: bool | None = None,
    plate: str | None = None,
    holder_label: str | None = None,
    developed: Developed = BY_NOBODY,
    policy: Policy | None = None,
) -> Card:
    """Bind a blank card to its account: it is issued, not yet usable.

    With `policy` the profile's real-name rule is applied here; without it the caller has recorded buyer and holder (a purchase does).

    Without `account_id` a person's card joins the account another card of the same product opens, a company's the one of the currency;
    else an account is opened. The first card of an account is its main card unless `is_main` says otherwise.

    :raises CardNotFound: if there is no such card
    :raises CardNotBlank: if it is not blank
    :raises CardElsewhere: if it is not in the issuing station's stock
    :raises StationMayNotIssue: if the station has not that ability
    :raises CardProductInactive: if its product is no longer issued
    :raises HolderDoesNotFit: if the customer is not of the product's kind
    :raises IdentityNotVerified: if the profile asks for a verified document and there is none
    :raises AccountDoesNotFit: if the account is another's, of another currency or kind
    :raises AccountNotOpen: if the account is frozen or closed
    :raises MainCardExists: if a second main card is asked for
    :raises PlateNeeded: if a fleet card comes without one
    :raises VehicleHasCard: if a living fleet card of the company has the plate
    :raises ReferrerIsHolder: if the customer refers themselves
    """
    card = await get_card_for_update(session, card_id=card_id)
    require_blank(card)
    if card.stock_move_id is not None or (station_id is not None and card.station_id != station_id):
        raise CardElsewhere(card=card_id)
    today = now.date()
    if station_id is not None:
        station = await stations.get_station(session, station_id=StationId(station_id))
        if not station.may_issue:
            raise StationMayNotIssue(station=station_id)
        today = local_date(now, station.zone)
    product = await get_product(session, product_id=card.product_id)
    if not product.active:
        raise CardProductInactive(code=product.code)
    if policy is not None:
        await require_identity(session, product, customer_id=customer_id, policy=policy, today=today)
    await _bind(
        session, card, product, customer_id=customer_id, account_id=account_id, is_main=is_main, plate=plate, developed=developed, now=now
    )
    card.holder_label = holder_label
    card.station_id = station_id
    card.issued_at = now
    card.expires_on = media_expiry(today, product.media_validity_months)
    await move(session, card, CardStatus.ISSUED, actor=actor, station_id=station_id, reason="issued", now=now)
    session.add(_issue(card, actor=actor, developed=developed, now=now))
    await session.flush()
    return card


async def activate_card(
    session: AsyncSession, *, card_id: UUID, actor: Actor, now: datetime, pin: str | None = None, station_id: UUID | None = None
) -> Card:
    """Make an issued card usable, at the counter, with the PIN its holder chose.

    :raises CardNotFound: if there is no such card
    :raises CardCannotMove: if it is not issued
    :raises PinNeeded: if its product asks for a PIN and there is none
    :raises PinTooSimple: if the PIN is none, or easily guessed
    """
    card = await get_card_for_update(session, card_id=card_id)
    await activate(session, card, actor=actor, now=now, pin=pin, station_id=station_id)
    await session.flush()
    return card


async def activate(session: AsyncSession, card: Card, *, actor: Actor, now: datetime, pin: str | None, station_id: UUID | None) -> None:
    """Activate a locked card; see `activate_card`."""
    if card.status is not CardStatus.ISSUED:
        raise CardCannotMove(card=card.card_id, status=card.status.name.lower(), to="active")
    product = await get_product(session, product_id=card.product_id)
    if pin is not None:
        await put_pin(session, card, pin, kind=EventKind.PIN_SET, actor=actor, station_id=station_id, reason="activation", now=now)
    elif product.pin_required and card.pin_verifier is None:
        raise PinNeeded(card=card.card_id)
    card.activated_at = now
    await move(session, card, CardStatus.ACTIVE, actor=actor, station_id=station_id, reason="activated", now=now)


async def adopt_card(
    session: AsyncSession,
    *,
    number: str,
    product_id: UUID,
    actor: Actor,
    now: datetime,
    status: CardStatus = CardStatus.ACTIVE,
    customer_id: UUID | None = None,
    account_id: UUID | None = None,
    is_main: bool | None = None,
    plate: str | None = None,
    holder_label: str | None = None,
    expires_on: date | None = None,
    issued_at: datetime | None = None,
) -> Card:
    """Take over a card of a former system under its own number, which may lack Luhn; it has no PIN yet.

    :raises CardNumberTaken: if a card has that number
    :raises HolderDoesNotFit: as `issue_card`; so for the account, the main card and the plate
    """
    number = plain_card_number(number)
    if await number_is_taken(session, number=number):
        raise CardNumberTaken
    product = await get_product(session, product_id=product_id)
    card_id = uuid7(now)
    protected = protect_number(number, card_id=card_id)
    card = Card(
        card_id=card_id,
        account_id=NOBODY,
        number_index=protected.lookup,
        number_sealed=protected.sealed,
        number_bin=protected.bin,
        number_tail=protected.tail,
        product_id=product_id,
        status=status,
        version=1,
        pin_generation=0,
        pin_tries=0,
        chain_id=card_id,
        bearer=product.bearer,
        is_main=False,
        expires_on=expires_on,
        check_value_index=check_value_index(number, check_value(number)),
        holder_label=holder_label,
        created_at=now,
        issued_at=issued_at or now,
        activated_at=None if status is CardStatus.ISSUED else issued_at or now,
        closed_at=now if status is CardStatus.CLOSED else None,
    )
    await _bind(
        session, card, product, customer_id=customer_id, account_id=account_id, is_main=is_main, plate=plate, developed=BY_NOBODY, now=now
    )
    session.add(card)
    await session.flush()
    await record(
        session, card, EventKind.ADOPTED, actor=actor, reason="from a former system", now=now, facts={"status": status.name.lower()}
    )
    session.add(_issue(card, actor=actor, developed=BY_NOBODY, now=now))
    await session.flush()
    return card


async def record_first_load(session: AsyncSession, *, account_id: UUID, amount_minor: int, now: datetime) -> bool:
    """Keep what was loaded first on a new account beside who developed its holder; later loads change nothing.

    Return whether it was the first.
    """
    known = select(CardIssue.card_id).where(CardIssue.account_id == account_id, CardIssue.first_load_minor.is_not(None)).exists()
    result = await session.execute(
        update(CardIssue)
        .where(CardIssue.account_id == account_id, ~known)
        .values(first_load_minor=amount_minor, first_load_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(getattr(result, "rowcount", 0)) > 0


def _issue(card: Card, *, actor: Actor, developed: Developed, now: datetime) -> CardIssue:
    return CardIssue(
        card_id=card.card_id,
        account_id=card.account_id,
        customer_id=card.customer_id,
        issued_at=now,
        station_id=card.station_id,
        staff_id=staff_of(actor),
        developed_by_staff_id=developed.staff_id,
        developed_by_station_id=developed.station_id,
        flyer_code=developed.flyer_code,
        referrer_customer_id=developed.referrer_customer_id,
    )


async def _bind(
    session: AsyncSession,
    card: Card,
    product: CardProduct,
    *,
    customer_id: UUID | None,
    account_id: UUID | None,
    is_main: bool | None,
    plate: str | None,
    developed: Developed,
    now: datetime,
) -> None:
    """Set a card's holder, account, plate and place in the account; it becomes the first of its chain."""
    await require_holder(session, product, customer_id=customer_id)
    require_other_referrer(developed, customer_id)
    if customer_id is not None:
        # Two counters issuing to one customer at once must find each other's account.
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(customer_id), 11))))
    card.plate = await free_plate(session, product, customer_id=customer_id, plate=plate)
    if account_id is None and customer_id is not None:
        account_id = await account_of_customer(
            session,
            customer_id=customer_id,
            currency=product.currency,
            organisation=is_organisations(product.kind),
            product_id=product.product_id,
        )
    if account_id is None:
        account_id = await ledger.open_account(
            session,
            kind=_ACCOUNTS[product.kind],
            currency=product.currency,
            customer_id=customer_id,
            card_product_id=None if is_organisations(product.kind) else product.product_id,
            now=now,
        )
    else:
        await _require_account(session, product, account_id=account_id, customer_id=customer_id)
    others = await cards_of_account(session, account_id=account_id, living=True)
    has_main = any(other.is_main for other in others)
    if is_main and has_main:
        raise MainCardExists(account=account_id)
    card.is_main = not others if is_main is None else is_main
    card.account_id = AccountId(account_id)
    card.customer_id = customer_id
    card.bearer = product.bearer
    card.chain_id = card.card_id


async def require_holder(session: AsyncSession, product: CardProduct, *, customer_id: UUID | None) -> None:
    """Make sure the customer is of the product's kind.

    :raises HolderDoesNotFit: if not
    :raises CustomerNotFound: if there is no such customer
    """
    if product.kind is ProductKind.ANONYMOUS:
        if customer_id is not None:
            raise HolderDoesNotFit(wanted="nobody / 不记名")
        return
    organisation = is_organisations(product.kind)
    wanted = "an organisation / 单位客户" if organisation else "a person / 个人客户"
    if customer_id is None:
        raise HolderDoesNotFit(wanted=wanted)
    holder = await customers.get_customer(session, customer_id=customer_id)
    if holder.kind is not (CustomerKind.ORGANISATION if organisation else CustomerKind.PERSON):
        raise HolderDoesNotFit(wanted=wanted)


async def require_identity(session: AsyncSession, product: CardProduct, *, customer_id: UUID | None, policy: Policy, today: date) -> None:
    """Make sure the holder of a registered card is known by a verified document, where the profile says so.

    :raises IdentityNotVerified: if there is none that is valid today
    """
    rule = policy.for_currency(product.currency).real_name
    if customer_id is None or product.bearer or not rule.registered_always:
        return
    if not await customers.has_verified_identity(session, customer_id=customer_id, at=today):
        raise IdentityNotVerified(rule=rule.rule)


def require_other_referrer(developed: Developed, customer_id: UUID | None) -> None:
    """Make sure nobody refers themselves.

    :raises ReferrerIsHolder: if the customer does
    """
    if developed.referrer_customer_id is not None and developed.referrer_customer_id == customer_id:
        raise ReferrerIsHolder(customer=customer_id)


async def free_plate(
    session: AsyncSession, product: CardProduct, *, customer_id: UUID | None, plate: str | None, except_card: UUID | None = None
) -> str | None:
    """Return the plate as it is kept, after one vehicle, one card.

    :raises PlateNeeded: if a fleet card has none
    :raises VehicleHasCard: if another living fleet card of the customer has it
    """
    kept = plate_key(plate) if plate else None
    if product.kind is not ProductKind.FLEET:
        return kept
    if kept is None:
        raise PlateNeeded
    statement = (
        select(Card.card_id)
        .join(CardProduct, CardProduct.product_id == Card.product_id)
        .where(Card.customer_id == customer_id, Card.plate == kept, Card.status.in_(LIVING), CardProduct.kind == ProductKind.FLEET)
    )
    if except_card is not None:
        statement = statement.where(Card.card_id != except_card)
    if await session.scalar(statement.limit(1)) is not None:
        raise VehicleHasCard
    return kept


async def _require_account(session: AsyncSession, product: CardProduct, *, account_id: UUID, customer_id: UUID | None) -> None:
    account = await ledger_queries.get_account(session, account_id=account_id)
    if account.customer_id != customer_id or account.currency != product.currency or account.kind != _ACCOUNTS[product.kind]:
        raise AccountDoesNotFit(account=account_id)
    if account.status != AccountStatus.OPEN:
        raise ledger.AccountNotOpen(account=account_id, status=account.status)
