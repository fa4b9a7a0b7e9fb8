"""Money between a company's pool and its cards: one account's purses, one transaction, one effect an operation id for ever."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.cards.model import HOLDING, Card
from loyalty.cards.queries import CardNotFound, lock_cards
from loyalty.errors import Refusal
from loyalty.fleet.model_allocations import Direction, PoolMove
from loyalty.fleet.queries.companies import CompanyView, get_company
from loyalty.ids import uuid7
from loyalty.ledger.batches import Between, lock_pool_and_cards, post_between
from loyalty.ledger.model import Account, AccountStatus, TransferKind
from loyalty.ledger.operations import AccountNotOpen
from loyalty.ledger.queries import get_account_for_update
from loyalty.money import shown
from loyalty.policy import Policy
from loyalty.topups.operations import AmountNotPositive
from loyalty.topups.rules import require_under_cap


class PoolTooSmall(Refusal):
    """The pool does not hold what is asked of it, holds left out."""

    zh = "资金池可用 {available}，需要 {wanted}，还差 {short}。"
    en = "The pool has {available} free; {wanted} is needed, {short} more."
    next_zh = "请减少金额，或先为企业账户充值。"
    next_en = "Ask for less, or top the company's account up first."


class CardHasLess(Refusal):
    """The card's own money, holds left out, is less than what is to be gathered."""

    zh = "该卡可汇总 {available}（另有 {held} 因加油未结暂时占用），申请了 {wanted}。"
    en = "The card has {available} to gather ({held} more is held by fills that are not settled); {wanted} was asked for."
    next_zh = "请减少金额；占用部分结清后可再汇总。"
    next_en = "Gather less; what is held can be gathered once the fills are settled."


class CardTakesNoMoney(Refusal):
    """Only a usable card is given money."""

    zh = "该卡当前状态为 {status}，不能分配资金。"
    en = "This card is {status} and is given no money."
    next_zh = "请选择该企业的有效卡。"
    next_en = "Choose a usable card of the company."


class MoveDiffers(Refusal):
    """The operation's id was used for another move."""

    status = 422
    zh = "该操作号已用于另一笔资金调拨。"
    en = "This operation's id was used for another move."
    next_zh = "请刷新页面后重新办理。"
    next_en = "Reload the page and start again."


class Moved(NamedTuple):
    """What a move came to; `replayed`: it had happened before."""

    operation_id: UUID
    amount_minor: int
    replayed: bool


class Gathered(NamedTuple):
    """What went back to the pool from some cards, and what is still held on them."""

    amount_minor: int
    held_minor: int
    cards: int


async def allocate(
    session: AsyncSession,
    *,
    policy: Policy,
    company_id: UUID,
    card_id: UUID,
    amount_minor: int,
    operation_id: UUID,
    reason: str = "",
    actor: Actor,
    now: datetime,
) -> Moved:
    """Give a card of the company money out of the pool.

    :raises CompanyNotFound: if there is no such company
    :raises CardNotFound: if the card is none of the company's
    :raises CardTakesNoMoney: if it is blank, lost, replaced or closed
    :raises AccountNotOpen: if the company's account is frozen or closed
    :raises AmountNotPositive: if there is nothing to move
    :raises OverCap: if the card would hold more than its cap (the profile's `cap`)
    :raises PoolTooSmall: if the pool does not hold it
    :raises MoveDiffers: if the operation's id was used for another move
    """
    if amount_minor <= 0:
        raise AmountNotPositive(amount_minor=amount_minor)
    company = await get_company(session, company_id=company_id)
    card, account = await _hold(session, company, card_id=card_id)
    before = await _begin(
        session,
        company,
        card,
        Direction.ALLOCATED,
        asked_minor=amount_minor,
        operation_id=operation_id,
        reason=reason,
        actor=actor,
        now=now,
    )
    if before is not None:
        return before
    if card.status not in HOLDING:
        raise CardTakesNoMoney(card=card_id, status=card.status.name.lower())
    pool, own = await lock_pool_and_cards(session, account_id=account.account_id, unit=account.currency, card_ids=[card_id], now=now)
    mine = own[card_id]
    require_under_cap(
        policy.for_currency(account.currency),
        kind=account.kind,
        currency=account.currency,
        balance_minor=mine.balance_minor,
        added_minor=amount_minor,
        allocated=True,
    )
    require_pool(pool.available_minor, amount_minor, currency=account.currency)
    move = Between(pool.purse_id, mine.purse_id, amount_minor, TransferKind.ALLOCATION, operation_id, card_id)
    return await _finish(session, company, card, move, actor=actor, now=now)


async def gather(
    session: AsyncSession,
    *,
    company_id: UUID,
    card_id: UUID,
    amount_minor: int | None,
    operation_id: UUID,
    reason: str = "",
    actor: Actor,
    now: datetime,
) -> Moved:
    """Take money of a card, whatever its status, back into the pool; None: all that is not held. Held money stays on the card.

    :raises CompanyNotFound: if there is no such company
    :raises CardNotFound: if the card is none of the company's
    :raises AccountNotOpen: if the company's account is frozen or closed
    :raises AmountNotPositive: if there is nothing to move
    :raises CardHasLess: if the card has less that is free
    :raises MoveDiffers: if the operation's id was used for another move
    """
    if amount_minor is not None and amount_minor <= 0:
        raise AmountNotPositive(amount_minor=amount_minor)
    company = await get_company(session, company_id=company_id)
    card, account = await _hold(session, company, card_id=card_id)
    before = await _begin(
        session, company, card, Direction.GATHERED, asked_minor=amount_minor, operation_id=operation_id, reason=reason, actor=actor, now=now
    )
    if before is not None:
        return before
    pool, own = await lock_pool_and_cards(
        session, account_id=account.account_id, unit=account.currency, card_ids=[card_id], now=now, make=False
    )
    mine = own.get(card_id)
    free = 0 if mine is None else mine.available_minor
    wanted = free if amount_minor is None else amount_minor
    if mine is None or free <= 0 or wanted > free:
        raise CardHasLess(
            card=card_id,
            available=shown(max(free, 0), account.currency),
            available_minor=max(free, 0),
            held=shown(0 if mine is None else mine.held_minor, account.currency),
            wanted=shown(wanted, account.currency),
        )
    move = Between(mine.purse_id, pool.purse_id, wanted, TransferKind.ALLOCATION, operation_id, card_id)
    return await _finish(session, company, card, move, actor=actor, now=now)


async def gather_chains(
    session: AsyncSession, *, company_id: UUID, chain_ids: Sequence[UUID], reason: str, actor: Actor, now: datetime
) -> Gathered:
    """Take all that is free on the cards of some chains back into the pool: their vehicle was closed, their driver left.

    What is held stays until its fills are settled; gathering again takes it then. Nothing to take is no error.

    :raises CompanyNotFound: if there is no such company
    :raises AccountNotOpen: if the company's account is closed
    """
    company = await get_company(session, company_id=company_id)
    found = await session.scalars(select(Card.card_id).where(Card.chain_id.in_(chain_ids), Card.account_id == company.account_id))
    cards = {card.card_id: card for card in await lock_cards(session, card_ids=list(found))}
    account = await get_account_for_update(session, account_id=company.account_id)
    if account.status is AccountStatus.CLOSED:
        raise AccountNotOpen(status=account.status.value, account=account.account_id)
    pool, own = await lock_pool_and_cards(
        session, account_id=account.account_id, unit=account.currency, card_ids=list(cards), now=now, make=False
    )
    giving = [(card_id, purse) for card_id, purse in own.items() if purse.available_minor > 0]
    moves = [
        Between(purse.purse_id, pool.purse_id, purse.available_minor, TransferKind.ALLOCATION, uuid7(now), card_id)
        for card_id, purse in giving
    ]
    made = await post_between(session, account_id=account.account_id, unit=account.currency, moves=moves, now=now)
    for move, transfer_id in zip(moves, made, strict=True):
        assert move.card_id is not None, "made above with its card"
        row = _row(company, cards[move.card_id], Direction.GATHERED, None, move.operation_id, reason, actor, now)
        session.add(PoolMove(**row | {"amount_minor": move.amount_minor, "transfer_id": transfer_id}))
    await session.flush()
    held = sum(purse.held_minor for purse in own.values())
    total = sum(move.amount_minor for move in moves)
    if moves:
        facts = {"amount_minor": total, "held_minor": held, "cards": [move.card_id for move in moves], "reason": reason}
        await audit.record(session, actor=actor, action="fleet.gathered", subject=("company", company_id), facts=facts, now=now)
    return Gathered(total, held, len(moves))


def require_pool(available_minor: int, wanted_minor: int, *, currency: str) -> None:
    """Hold that the pool has what is asked of it.

    :raises PoolTooSmall: if it has less
    """
    if wanted_minor > available_minor:
        free = max(available_minor, 0)
        raise PoolTooSmall(
            available=shown(free, currency),
            available_minor=free,
            wanted=shown(wanted_minor, currency),
            short=shown(wanted_minor - free, currency),
        )


async def _hold(session: AsyncSession, company: CompanyView, *, card_id: UUID) -> tuple[Card, Account]:
    """Lock the card, then the company's account: the house's order."""
    cards = await lock_cards(session, card_ids=[card_id])
    if not cards or cards[0].account_id != company.account_id:
        raise CardNotFound(card=card_id)
    account = await get_account_for_update(session, account_id=company.account_id)
    if account.status is not AccountStatus.OPEN:
        raise AccountNotOpen(status=account.status.value, account=account.account_id)
    return cards[0], account


def _row(
    company: CompanyView,
    card: Card,
    direction: Direction,
    asked_minor: int | None,
    operation_id: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
) -> dict[str, object]:
    return {
        "operation_id": operation_id,
        "company_id": company.company_id,
        "account_id": company.account_id,
        "chain_id": card.chain_id,
        "card_id": card.card_id,
        "direction": direction,
        "asked_minor": asked_minor,
        "amount_minor": 0,
        "transfer_id": None,
        "reason": reason.strip(),
        "actor_kind": actor.kind.value,
        "actor_id": str(actor.actor_id),
        "moved_at": now,
    }


async def _begin(
    session: AsyncSession,
    company: CompanyView,
    card: Card,
    direction: Direction,
    *,
    asked_minor: int | None,
    operation_id: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Moved | None:
    """Take the operation's id, or return what it came to before."""
    made = await session.scalar(
        upsert(PoolMove)
        .values(_row(company, card, direction, asked_minor, operation_id, reason, actor, now))
        .on_conflict_do_nothing(index_elements=[PoolMove.operation_id])
        .returning(PoolMove.operation_id)
    )
    if made is not None:
        return None
    before = await session.get(PoolMove, operation_id)
    same = before is not None and (before.company_id, before.chain_id, before.direction, before.asked_minor) == (
        company.company_id,
        card.chain_id,
        direction,
        asked_minor,
    )
    if before is None or not same:
        raise MoveDiffers(operation=operation_id)
    return Moved(operation_id, before.amount_minor, replayed=True)


async def _finish(session: AsyncSession, company: CompanyView, card: Card, move: Between, *, actor: Actor, now: datetime) -> Moved:
    (transfer_id,) = await post_between(session, account_id=company.account_id, unit=company.currency, moves=[move], now=now)
    direction = await session.scalar(
        update(PoolMove)
        .where(PoolMove.operation_id == move.operation_id)
        .values(amount_minor=move.amount_minor, transfer_id=transfer_id)
        .returning(PoolMove.direction)
    )
    assert direction is not None, "its row was made in this transaction"
    facts = {"amount_minor": move.amount_minor, "company": company.company_id, "operation": move.operation_id}
    await audit.record(session, actor=actor, action=f"fleet.{direction.value}", subject=("card", card.card_id), facts=facts, now=now)
    return Moved(move.operation_id, move.amount_minor, replayed=False)
