"""Top-ups: at the counter at once, by bank transfer when finance has found the money."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.cards.model import CardStatus
from loyalty.cards.queries import get_card
from loyalty.errors import NotAllowed, Refusal
from loyalty.ids import uuid7
from loyalty.ledger.model import Account, AccountKind
from loyalty.ledger.queries import get_account_for_update, purses_of
from loyalty.policy import Policy
from loyalty.stations.model import SERVING
from loyalty.stations.queries import get_station
from loyalty.topups.model import TOPUP_MOVES, WALLETS, BankPayment, Tender, Topup, TopupStatus
from loyalty.topups.queries import owner_of
from loyalty.topups.rules import (
    Buying,
    needs_real_name,
    party_of,
    real_name_needed,
    require_amount,
    require_tender,
)

from .booking import Bonus, book, judge_cap, require_open
from .real_names import Declared, record_real_name
from .traces import note, require_move, take_reference
from .transfers import BankAccountsNeeded, BankTransfer, Paying, put_ends


class StationMayNotLoad(Refusal):
    """The station is not set up for top-ups, or does not serve."""

    zh = "本站不能办理充值。"
    en = "This station does not take top-ups."
    next_zh = "请到可充值的站点办理。"
    next_en = "Go to a station that does."


class CardNotLoadable(Refusal):
    """The card presented is not that account's, or not a living one."""

    zh = "该卡当前状态为 {status}，不能充值。"
    en = "This card is {status} and cannot be loaded."
    next_zh = "请使用该账户的有效卡。"
    next_en = "Use a living card of the account."


class PaymentReferenceNeeded(Refusal):
    """A wallet's payment is known by the wallet's number."""

    status = 422
    zh = "微信、支付宝收款须填写钱包的交易号。"
    en = "A WeChat or Alipay payment needs the wallet's transaction number."
    next_zh = "请扫描或输入顾客付款凭证上的交易号。"
    next_en = "Scan or type it from the customer's payment slip."


LOADABLE = frozenset({CardStatus.ISSUED, CardStatus.ACTIVE, CardStatus.SUSPENDED})


async def load(
    session: AsyncSession,
    *,
    policy: Policy,
    account_id: UUID,
    amount_minor: int,
    tender: Tender,
    actor: Actor,
    event_at: datetime,
    now: datetime,
    card_id: UUID | None = None,
    station_id: UUID | None = None,
    terminal_id: UUID | None = None,
    payer: Declared | None = None,
    bank: BankTransfer | None = None,
    reference: str | None = None,
    off_premises: bool = False,
    bonus: Bonus | None = None,
    flyer: str | None = None,
    pays_minor: int | None = None,
) -> Topup:
    """Top an account up under the rules: booked at once, or, by bank transfer, waiting for finance.

    `payer` is whoever pays where that is not the holder; `reference` the wallet's or the acquirer's number; `bonus` money given by hand,
    beside what the rules give; `flyer` the code that the customer shows; `pays_minor` what he was told to pay: less than `amount_minor`
    where the rules take something off. The principal pays an open receivable first.

    :raises AccountNotFound: if there is no such account
    :raises AccountNotOpen: if it is frozen or closed
    :raises AmountNotPositive: if there is nothing to load
    :raises StationMayNotLoad: if the station takes no top-ups
    :raises CardNotLoadable: if the card is not a living one of the account
    :raises TenderNotAllowed: if the rule asks for a bank transfer (the profile's `no_cash`)
    :raises RealNameNeeded: if the payer must be on record and is not (the profile's `real_name`)
    :raises OverCap: if the balance would pass the cap (the profile's `cap`)
    :raises PaymentReferenceNeeded: if a wallet's number is missing
    :raises PaymentAlreadyUsed: if that payment was used before
    :raises BankAccountsNeeded: if a transfer lacks one of its ends
    :raises PayerIsNotTheOrganisation: if an organisation pays from another's account
    :raises OfferChanged: if the rules say now that another amount than `pays_minor` is to be paid
    """
    require_amount(amount_minor)
    account = await get_account_for_update(session, account_id=account_id)
    rules = policy.for_currency(account.currency)
    await require_place(session, account=account, card_id=card_id, station_id=station_id)
    buying = buying_of(account, amount_minor=amount_minor, tender=tender, off_premises=off_premises)
    require_tender(rules, buying)
    owner = await owner_of(session, customer_id=account.customer_id, now=now)
    paying = Paying(party_of(account.kind), account.customer_id, owner.name if owner else None)
    payer_record_id: UUID | None = None
    if payer is not None:
        paying = Paying(payer.party, None, payer.name)
        payer_record_id = await record_real_name(
            session, policy=rules, declared=payer, customer_id=None, party=payer.party, actor=actor, station_id=station_id, now=now
        )
    elif needs_real_name(rules, buying) and (owner is None or not owner.verified):
        raise real_name_needed(rules, buying, who="payer")
    made = new_topup(
        account,
        amount_minor=amount_minor,
        tender=tender,
        actor=actor,
        event_at=event_at,
        now=now,
        card_id=card_id,
        station_id=station_id,
        terminal_id=terminal_id,
        reference=reference,
        off_premises=off_premises,
        bonus=bonus,
        flyer=flyer,
    )
    made.payer_record_id = payer_record_id
    await settle_tender(
        session,
        policy=rules,
        account=account,
        topup=made,
        paying=paying,
        bank=bank,
        actor=actor,
        now=now,
        pays_minor=pays_minor,
    )
    return made


def buying_of(account: Account, *, amount_minor: int, tender: Tender, off_premises: bool) -> Buying:
    """Return a single load as the thresholds see it."""
    return Buying(
        buyer=party_of(account.kind),
        total_minor=amount_minor,
        registered_minor=0 if account.kind is AccountKind.ANONYMOUS else amount_minor,
        currency=account.currency,
        tender=tender,
        off_premises=off_premises,
    )


async def require_place(session: AsyncSession, *, account: Account, card_id: UUID | None, station_id: UUID | None) -> None:
    """Hold that this account, by this card, may be loaded at this station.

    :raises AccountNotOpen: if the account is frozen or closed
    :raises CardNotLoadable: if the card is not a living one of the account
    :raises StationMayNotLoad: if the station takes no top-ups
    """
    require_open(account)
    if account.kind is AccountKind.SUSPENSE:
        raise NotAllowed
    if card_id is not None:
        card = await get_card(session, card_id=card_id)
        if card.account_id != account.account_id or card.status not in LOADABLE:
            raise CardNotLoadable(card=card_id, status=card.status.name.lower())
    if station_id is not None:
        station = await get_station(session, station_id=station_id)
        if not station.may_load or station.status not in SERVING:
            raise StationMayNotLoad(station=station_id)


def new_topup(
    account: Account,
    *,
    amount_minor: int,
    tender: Tender,
    actor: Actor,
    event_at: datetime,
    now: datetime,
    card_id: UUID | None,
    station_id: UUID | None,
    terminal_id: UUID | None,
    reference: str | None,
    off_premises: bool,
    bonus: Bonus | None,
    flyer: str | None = None,
) -> Topup:
    """Return a top-up that is not booked yet."""
    return Topup(
        topup_id=uuid7(now),
        account_id=account.account_id,
        card_id=card_id,
        status=TopupStatus.PENDING,
        tender=tender,
        currency=account.currency,
        amount_minor=amount_minor,
        bonus_minor=0 if bonus is None else bonus.amount_minor,
        bonus_expires_at=None if bonus is None else bonus.expires_at,
        bonus_funder=None if bonus is None else bonus.funder,
        discount_minor=0,
        settled_minor=0,
        returned_minor=0,
        bonus_returned_minor=0,
        discount_returned_minor=0,
        flyer=flyer.strip() if flyer and flyer.strip() else None,
        off_premises=off_premises,
        station_id=station_id,
        terminal_id=terminal_id,
        staff_id=actor.staff_id,
        reference=reference.strip() if reference and reference.strip() else None,
        event_at=event_at,
        requested_at=now,
    )


async def settle_tender(
    session: AsyncSession,
    *,
    policy: Policy,
    account: Account,
    topup: Topup,
    paying: Paying,
    bank: BankTransfer | None,
    actor: Actor,
    now: datetime,
    pays_minor: int | None = None,
) -> None:
    """Book a new top-up by its tender: a transfer waits, everything else moves now. A purchase uses up its payment's number itself.

    The payment's number is used up last, since what was paid is known when the rules have been asked.

    :raises PaymentReferenceNeeded: if a wallet's number is missing
    :raises PaymentAlreadyUsed: if that payment was used before
    :raises BankAccountsNeeded: if a transfer lacks one of its ends
    :raises PayerIsNotTheOrganisation: if an organisation pays from another's account
    :raises OverCap: if the balance would pass the cap
    :raises OfferChanged: if it is not `pays_minor` that is to be paid
    """
    session.add(topup)
    await session.flush()
    if topup.tender is Tender.BANK_TRANSFER:
        judge_cap(
            policy,
            account,
            await purses_of(session, account_id=account.account_id),
            amount_minor=topup.amount_minor,
            bonus_minor=topup.bonus_minor,
        )
        if bank is None:
            raise BankAccountsNeeded(rule=policy.no_cash.rule)
        payment = BankPayment(topup_id=topup.topup_id, amount_minor=topup.amount_minor)
        await put_ends(session, payment, policy=policy, paying=paying, bank=bank)
        session.add(payment)
        note(session, subject=("topup", topup.topup_id), moved_to=TopupStatus.PENDING, actor=actor, now=now)
        await session.flush()
        return
    if topup.tender in WALLETS and not topup.reference:
        raise PaymentReferenceNeeded
    await finish(session, policy=policy, account=account, topup=topup, actor=actor, now=now, pays_minor=pays_minor)
    if topup.purchase_id is None:
        await use_reference(
            session,
            tender=topup.tender,
            reference=topup.reference,
            subject=("topup", topup.topup_id),
            amount_minor=topup.paid_minor,
            currency=topup.currency,
            now=now,
        )


async def finish(
    session: AsyncSession,
    *,
    policy: Policy,
    account: Account,
    topup: Topup,
    actor: Actor,
    now: datetime,
    pays_minor: int | None = None,
) -> None:
    """Book a pending top-up on its locked account.

    :raises CannotMove: if it is not pending
    :raises OfferChanged: if it is not `pays_minor` that is to be paid
    """
    require_move(TOPUP_MOVES, topup.status, TopupStatus.BOOKED)
    topup.status = TopupStatus.BOOKED
    topup.booked_at = now
    await book(session, policy=policy, account=account, topup=topup, now=now, pays_minor=pays_minor)
    note(session, subject=("topup", topup.topup_id), moved_to=TopupStatus.BOOKED, actor=actor, now=now)
    await session.flush()


async def use_reference(
    session: AsyncSession,
    *,
    tender: Tender,
    reference: str | None,
    subject: tuple[str, UUID],
    amount_minor: int,
    currency: str,
    now: datetime,
) -> None:
    """Use up the number of a card's or a wallet's payment.

    :raises PaymentReferenceNeeded: if a wallet's number is missing
    :raises PaymentAlreadyUsed: if that payment was used before
    """
    if tender in WALLETS and not reference:
        raise PaymentReferenceNeeded
    if reference and tender is not Tender.CASH:
        await take_reference(
            session, kind=tender.value, reference=reference, subject=subject, amount_minor=amount_minor, currency=currency, now=now
        )
