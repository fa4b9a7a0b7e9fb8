"""Freezing by an authority: a document, an officer, an expiry; no station lifts it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.cards import operations as cards
from loyalty.errors import NotAllowed, Refusal
from loyalty.ids import uuid7
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import AccountStatus, PurseKind
from loyalty.ledger.operations import AccountNotOpen
from loyalty.ledger.queries import get_account_for_update, lock_purses
from loyalty.ledger.rules import Take
from loyalty.policy import Policy
from loyalty.topups.model import FREEZE_MOVES, Freeze, FreezeScope, FreezeStatus
from loyalty.topups.queries import get_freeze, get_freeze_for_update
from loyalty.topups.rules import months_later, require_amount

from .traces import CannotMove, note, require_move, staff_of


class FreezeNeedsDocument(Refusal):
    """An order names authority, document and officer."""

    status = 422
    zh = "冻结须登记机关、文书号和经办人员。"
    en = "A freeze needs the authority, the document's number and the officer."
    next_zh = "请核对法律文书后补全。"
    next_en = "Complete them from the document."


class FreezeEndsBeforeItBegins(Refusal):
    """The expiry lies ahead."""

    status = 422
    zh = "冻结截止时间必须晚于现在。"
    en = "A freeze must end after now."
    next_zh = "请核对文书上的期限。"
    next_en = "Check the term in the document."


class DocumentAlreadyUsed(Refusal):
    """One document freezes an account once."""

    zh = "该文书已用于冻结此账户。"
    en = "This document froze this account before."
    next_zh = "请在冻结记录中查看；续冻须用新的文书。"
    next_en = "See its freezes; an extension comes with a document of its own."


class FreezeNotLiftedAtStation(NotAllowed):
    """An order is lifted by the office, on a document."""

    zh = "站点不能解除司法或行政冻结。"
    en = "A station cannot lift an authority's freeze."
    next_zh = "请联系总部，凭解冻文书办理。"
    next_en = "The office lifts it, on the authority's document."


async def freeze_account(
    session: AsyncSession,
    *,
    policy: Policy,
    account_id: UUID,
    authority: str,
    document: str,
    officer: str,
    actor: Actor,
    now: datetime,
    scope: FreezeScope = FreezeScope.ACCOUNT,
    amount_minor: int | None = None,
    expires_at: datetime | None = None,
) -> Freeze:
    """Carry out an authority's order against an account, or an amount of its principal.

    An amount that is not there yet is held from later loads until it is full. Without `expires_at` it runs the profile's months.

    :raises AccountNotFound: if there is no such account
    :raises AccountNotOpen: if it is closed
    :raises FreezeNeedsDocument: if authority, document or officer is missing
    :raises FreezeEndsBeforeItBegins: if it would end at once
    :raises DocumentAlreadyUsed: if this document froze it before
    """
    staff_id = staff_of(actor)
    if not (authority.strip() and document.strip() and officer.strip()):
        raise FreezeNeedsDocument
    ends = expires_at or months_later(now, policy.control.freeze_months_default)
    if ends <= now:
        raise FreezeEndsBeforeItBegins(expires_at=ends.isoformat())
    await _stop_cards(session, account_id, "topups.frozen", actor, now)
    account = await get_account_for_update(session, account_id=account_id)
    if account.status is AccountStatus.CLOSED:
        raise AccountNotOpen(status=account.status.value, account=account_id)
    used = select(Freeze.freeze_id).where(
        Freeze.account_id == account_id, Freeze.authority == authority.strip(), Freeze.document == document.strip()
    )
    if await session.scalar(used) is not None:
        raise DocumentAlreadyUsed(document=document)
    if scope is FreezeScope.AMOUNT:
        require_amount(amount_minor or 0)
    made = Freeze(
        freeze_id=uuid7(now),
        account_id=account_id,
        scope=scope,
        status=FreezeStatus.ACTIVE,
        amount_minor=amount_minor if scope is FreezeScope.AMOUNT else None,
        holds=[],
        authority=authority.strip(),
        document=document.strip(),
        officer=officer.strip(),
        frozen_by=staff_id,
        frozen_at=now,
        expires_at=ends,
    )
    session.add(made)
    await session.flush()
    if scope is FreezeScope.AMOUNT:
        await hold_frozen_amounts(session, account_id=account_id, now=now)
    elif account.status is AccountStatus.OPEN:
        await ledger.move_account(session, account_id=account_id, to=AccountStatus.FROZEN, now=now)
    await _trace(session, made, "topups.frozen", actor, made.document, now)
    return made


async def thaw_account(
    session: AsyncSession, *, freeze_id: UUID, document: str, actor: Actor, now: datetime, station_id: UUID | None = None
) -> Freeze:
    """Lift an order on the authority's document, in the office.

    :raises FreezeNotFound: if there is no such order
    :raises FreezeNotLiftedAtStation: if a station asks
    :raises FreezeNeedsDocument: if there is no document
    :raises CannotMove: if it was lifted, or ran out
    """
    staff_id = staff_of(actor)
    if station_id is not None:
        raise FreezeNotLiftedAtStation
    if not document.strip():
        raise FreezeNeedsDocument
    found = await _end(session, freeze_id, FreezeStatus.LIFTED, "topups.thawed", actor, now)
    found.ended_by = staff_id
    found.ended_document = document.strip()
    await _trace(session, found, "topups.thawed", actor, document.strip(), now)
    return found


async def expire_freezes(session: AsyncSession, *, actor: Actor, now: datetime, limit: int = 200) -> list[UUID]:
    """End the orders that have run out, the oldest first, and return them; the same however often it is run."""
    due = (
        select(Freeze.freeze_id)
        .where(Freeze.status == FreezeStatus.ACTIVE, Freeze.expires_at <= now)
        .order_by(Freeze.expires_at, Freeze.freeze_id)
        .limit(limit)
    )
    ended: list[UUID] = []
    for freeze_id in (await session.scalars(due)).all():
        try:
            found = await _end(session, freeze_id, FreezeStatus.EXPIRED, "topups.freeze_expired", actor, now)
        except CannotMove:  # lifted meanwhile
            continue
        await _trace(session, found, "topups.freeze_expired", actor, "", now)
        ended.append(freeze_id)
    return ended


async def hold_frozen_amounts(session: AsyncSession, *, account_id: UUID, now: datetime) -> None:
    """Fill the amount orders of an account from what its principal has free, the oldest order first."""
    running = select(Freeze).where(
        Freeze.account_id == account_id, Freeze.status == FreezeStatus.ACTIVE, Freeze.scope == FreezeScope.AMOUNT, Freeze.expires_at > now
    )
    orders = (await session.scalars(running.order_by(Freeze.freeze_id).with_for_update())).all()
    if not orders:
        return
    purses = await lock_purses(session, account_id=account_id)
    free = {purse.purse_id: purse.balance_minor - purse.held_minor for purse in purses if purse.kind == PurseKind.PRINCIPAL}
    for order in orders:
        wanted = (order.amount_minor or 0) - sum(amount for _, amount in order.holds)
        takes: list[Take] = []
        for purse_id, amount in free.items():
            taken = max(min(amount, wanted), 0)
            if taken:
                takes.append(Take(purse_id, taken))
                free[purse_id] -= taken
                wanted -= taken
        if takes:
            await ledger.place_holds(session, account_id=account_id, takes=takes)
            held = {UUID(purse_id): amount for purse_id, amount in order.holds}
            for take in takes:
                held[take.purse_id] = held.get(take.purse_id, 0) + take.amount_minor
            order.holds = [[str(purse_id), amount] for purse_id, amount in sorted(held.items())]
    await session.flush()


async def _stop_cards(session: AsyncSession, account_id: UUID, action: str, actor: Actor, now: datetime) -> None:
    """Raise the cards' versions: what the pump decided before no longer stands.

    First of all, since everybody locks cards before accounts, and accounts before orders and purses.
    """
    await cards.touch_account(session, account_id=account_id, actor=actor, reason=action, now=now)


async def _end(session: AsyncSession, freeze_id: UUID, to: FreezeStatus, action: str, actor: Actor, now: datetime) -> Freeze:
    seen = await get_freeze(session, freeze_id=freeze_id)
    await _stop_cards(session, seen.account_id, action, actor, now)
    account = await get_account_for_update(session, account_id=seen.account_id)
    found = await get_freeze_for_update(session, freeze_id=freeze_id)
    require_move(FREEZE_MOVES, found.status, to)
    found.status = to
    found.ended_at = now
    if found.scope is FreezeScope.AMOUNT:
        takes = [Take(UUID(purse_id), amount) for purse_id, amount in found.holds]
        await ledger.release_holds(session, account_id=found.account_id, takes=takes)
        found.holds = []
    await session.flush()
    others = select(Freeze.freeze_id).where(
        Freeze.account_id == found.account_id, Freeze.status == FreezeStatus.ACTIVE, Freeze.scope == FreezeScope.ACCOUNT
    )
    if found.scope is FreezeScope.ACCOUNT and account.status is AccountStatus.FROZEN and await session.scalar(others.limit(1)) is None:
        await ledger.move_account(session, account_id=found.account_id, to=AccountStatus.OPEN, now=now)
    return found


async def _trace(session: AsyncSession, found: Freeze, action: str, actor: Actor, reason: str, now: datetime) -> None:
    note(session, subject=("freeze", found.freeze_id), moved_to=found.status, actor=actor, reason=reason, now=now)
    await audit.record(
        session,
        actor=actor,
        action=action,
        subject=("account", found.account_id),
        facts={
            "freeze": found.freeze_id,
            "scope": found.scope.value,
            "amount_minor": found.amount_minor,
            "authority": found.authority,
            "document": found.document,
            "expires_at": found.expires_at,
        },
        now=now,
    )
    await session.flush()
