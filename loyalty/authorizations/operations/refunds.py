"""Giving a sale back: voided while nobody has reckoned with it, else refunded; either way the exact mirror of what was booked."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.authorizations import mirroring
from loyalty.authorizations.answers import HandBack, RefundAnswer
from loyalty.authorizations.facts import Place
from loyalty.authorizations.hot import business_day
from loyalty.authorizations.levelling import subjects_in
from loyalty.authorizations.mirroring import Mirrored, Part
from loyalty.authorizations.model import OPEN, SALE_MOVES, Authorization, Fill, FillStatus, Flag, Refund, Sale, SaleStatus, Status
from loyalty.authorizations.rules import flag_names, money_left
from loyalty.authorizations.wire import Taken, reference
from loyalty.errors import NotFound, Refusal
from loyalty.ids import instant_of, uuid7, uuid7_floor
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import Account, AccountKind, AccountStatus, HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import AccountNotOpen, Leg
from loyalty.ledger.queries import get_account, lock_purses, mirrored_of, open_period, purses_of, transfers_of
from loyalty.ledger.rules import PurseView, house_id
from loyalty.money import shown
from loyalty.policy import Policy
from loyalty.stations.model import Shift
from loyalty.topups.rules import require_second_person

from .invoicing import hold_pots, is_billed, take_back
from .locking import actor_for, count, find_sale, instant_text
from .refund_asks import NothingToRefund, RefundExceedsSale, RefundLine, RefundLineUnknown, Wanted, asked_of, quantity_left_of
from .refund_benefits import give_back

__all__ = [
    "NothingToRefund",
    "RefundExceedsSale",
    "RefundLine",
    "RefundLineUnknown",
    "Refunded",
    "SaleNotFound",
    "VoidNotPossible",
    "Wanted",
    "mirror_sale",
    "parts_of",
    "refund_sale",
]

_PURSE_NAMES = {PurseKind.PRINCIPAL: "principal", PurseKind.BONUS: "bonus", PurseKind.RECEIVABLE: "receivable"}


class SaleNotFound(NotFound):
    """Unknown, or another station's: the answer is the same."""

    zh = "没有找到该笔销售。"
    en = "There is no such sale."
    next_zh = "请核对小票上的交易号；退款须在原站办理。"
    next_en = "Check the reference on the receipt; a refund is made where the sale was."


class VoidNotPossible(Refusal):
    """Only a whole sale of this period, before its till was counted, is undone as if it had not been."""

    zh = "该笔销售已部分退款、已交班或已过账期，不能撤销。"
    en = "The sale was refunded in part, its shift was counted, or its period closed: it cannot be voided."
    next_zh = "请改办退款。"
    next_en = "Refund it instead."


class Refunded(NamedTuple):
    """A refund that was booked, and what the counter is told."""

    refund_id: UUID
    account_id: UUID
    sale_id: UUID
    void: bool
    answer: RefundAnswer


async def refund_sale(
    session: AsyncSession,
    *,
    account_id: UUID,
    sale_id: UUID,
    place: Place,
    policy: Policy,
    reason: str,
    staff_id: UUID | None,
    now: datetime,
    gross_minor: int | None = None,
    quantity_milli: int | None = None,
    lines: Sequence[RefundLine] = (),
    void: bool | None = None,
    approved_by: UUID | None = None,
    event_at: datetime | None = None,
) -> Refunded:
    """Give a sale of this station back: all of it, a gross amount, or shop lines (and with them `gross_minor` − lines of the fuel).

    Every purse, discount and tender gets back its share of what it gave; lots are restored with their original expiry even where that has
    passed. `void`: None voids where that is still possible; True insists on it; False refunds.

    :raises SaleNotFound: if there is none at this station
    :raises NothingToRefund: if nothing is left of it
    :raises RefundExceedsSale: if more is asked for than is left
    :raises RefundLineUnknown: if a line is none of the sale's
    :raises VoidNotPossible: if `void` is asked for and too late, or only a part is to go back
    :raises AccountNotOpen: if the account is closed
    :raises RedLetterFirst: if it was invoiced
    :raises SecondPersonNeeded: if the amount asks for a second person (the profile's `control`)
    """
    sale = await find_sale(session, account_id=account_id, sale_id=sale_id, lock=True)
    if sale is None or sale.station_id != place.station_id:
        raise SaleNotFound(sale=sale_id)
    account = await get_account(session, account_id=account_id)
    if account.status == AccountStatus.CLOSED:
        raise AccountNotOpen(status=AccountStatus(account.status).value, account=account_id)
    wanted = await asked_of(session, sale, gross_minor, quantity_milli, tuple(lines))
    control = policy.for_currency(sale.currency).control
    require_second_person(
        rule=control.rule,
        from_minor=control.reversal_second_person_from_minor,
        amount_minor=wanted.gross_minor,
        currency=sale.currency,
        first=staff_id or place.terminal_id,
        second=approved_by,
    )
    return await mirror_sale(
        session,
        sale=sale,
        account=account,
        place=place,
        wanted=wanted,
        void=void,
        reason=reason,
        staff_id=staff_id,
        approved_by=approved_by,
        event_at=event_at or now,
        now=now,
        force=False,
    )


async def mirror_sale(
    session: AsyncSession,
    *,
    sale: Sale,
    account: Account,
    place: Place,
    wanted: Wanted | None,
    void: bool | None,
    reason: str,
    staff_id: UUID | None,
    event_at: datetime,
    now: datetime,
    approved_by: UUID | None = None,
    force: bool = True,
) -> Refunded:
    """Book the mirror of a locked sale, or of the part `wanted` (None: all that is left), and everything that goes with it.

    `force`: what a till reports is booked although it was invoiced (`invoicing.take_back`); a refund that somebody asks for is not.

    :raises NothingToRefund: if nothing is left
    :raises RedLetterFirst: if more would be invoiced than is still paid
    :raises VoidNotPossible: if `void` is asked for and not possible
    """
    wanted = wanted or Wanted(sale.gross_minor - sale.refunded_minor, await quantity_left_of(session, sale))
    if wanted.gross_minor <= 0:
        raise NothingToRefund(sale=sale.sale_id)
    whole = wanted.gross_minor == sale.gross_minor - sale.refunded_minor
    await hold_pots(session, account=account)
    voids = await _voids(session, sale, asked=void, whole=whole)
    refund_id = uuid7(now)
    purses = await lock_purses(session, account_id=sale.account_id)
    parts = await parts_of(session, sale=sale)
    mirrored = mirroring.mirror(
        parts,
        gross_minor=wanted.gross_minor,
        receivables={purse.purse_id for purse in purses if purse.kind == PurseKind.RECEIVABLE},
        undiscounted_minor=sum(line.amount_minor for line in wanted.lines),
    )
    await take_back(session, sale=sale, parts=parts, mirrored=mirrored, purses=purses, wanted=wanted, force=force)
    legs = _legs(sale, mirrored, purses, TransferKind.VOID if voids else TransferKind.REFUND)
    await ledger.post(session, account_id=sale.account_id, legs=legs, operation_id=refund_id, event_at=event_at, now=now)
    benefits = await give_back(session, sale=sale, parts=parts, mirrored=mirrored, gross_minor=wanted.gross_minor)
    await _move(session, sale, SaleStatus.VOIDED if voids else SaleStatus.REFUNDED if whole else SaleStatus.PART_REFUNDED, wanted)
    card_minor = sum(given.amount_minor for given in mirrored if given.part.kind == TransferKind.SALE)
    tenders = _tenders(sale, mirrored)
    refund = {
        "account_id": sale.account_id,
        "refund_id": refund_id,
        "sale_id": sale.sale_id,
        "void": voids,
        "gross_minor": wanted.gross_minor,
        "discount_minor": sum(given.amount_minor for given in mirrored if given.part.kind == TransferKind.DISCOUNT),
        "card_minor": card_minor,
        "tenders": _summed(tenders) or None,
        "quantity_milli": wanted.quantity_milli,
        "lines": _line_sums(wanted.lines) or None,
        "benefits": benefits,
        "reason": reason,
        "terminal_id": place.terminal_id,
        "station_id": place.station_id,
        "staff_id": staff_id,
        "event_at": event_at,
        "booked_at": now,
        "business_day": business_day(now, place),
    }
    await session.execute(insert(Refund).values(**refund))
    await _count_back(session, sale, place, card_minor=card_minor, quantity_milli=wanted.quantity_milli, ended=whole, now=now)
    if voids and sale.fill_id is not None:
        await session.execute(
            update(Fill)
            .where(Fill.fill_id == sale.fill_id, Fill.sale_id == sale.sale_id, Fill.status == FillStatus.PAID)
            .values(status=int(FillStatus.UNPAID), account_id=None, sale_id=None)
        )
    await audit.record(
        session,
        actor=actor_for(staff_id=staff_id, terminal_id=place.terminal_id),
        action="authorizations.sale_voided" if voids else "authorizations.sale_refunded",
        subject=("sale", sale.sale_id),
        facts={
            "refund_id": refund_id,
            "gross_minor": wanted.gross_minor,
            "card_minor": card_minor,
            "currency": sale.currency,
            "reason": reason,
            "approved_by": approved_by,
        },
        station_id=place.station_id,
        now=now,
    )
    answer = await _answer(session, sale, account, refund, legs, purses, tenders, now)
    return Refunded(refund_id, sale.account_id, sale.sale_id, voids, answer)


async def parts_of(session: AsyncSession, *, sale: Sale) -> list[Part]:
    """Return a sale's transfers in the order they were booked, with what no refund has mirrored yet."""
    booked = await transfers_of(session, account_id=sale.account_id, operation_id=sale.sale_id, booked_at=sale.booked_at)
    taken = await mirrored_of(session, account_id=sale.account_id, transfer_ids=[row.transfer_id for row in booked])
    return [
        Part(row.transfer_id, row.debit_id, row.credit_id, row.kind, row.amount_minor, row.amount_minor - taken.get(row.transfer_id, 0))
        for row in sorted(booked, key=lambda row: row.transfer_id)
    ]


def _line_sums(lines: Sequence[RefundLine]) -> dict[str, dict[str, int]]:
    sums: dict[str, dict[str, int]] = {}
    for line in lines:
        known = sums.setdefault(str(line.line), {"amount_minor": 0, "quantity_milli": 0})
        known["amount_minor"] += line.amount_minor
        known["quantity_milli"] += line.quantity_milli
    return sums


async def _voids(session: AsyncSession, sale: Sale, *, asked: bool | None, whole: bool) -> bool:
    if asked is False:
        return False
    counted_at: datetime | None = await session.scalar(
        select(Shift.counted_at)
        .where(Shift.terminal_id == sale.terminal_id, Shift.opened_at <= sale.booked_at, Shift.counted_at >= sale.booked_at)
        .limit(1)
    )
    possible = whole and mirroring.may_void(
        status=sale.status,
        booked_at=sale.booked_at,
        period=sale.period,
        open_period=await open_period(session),
        counted_at=counted_at,
    )
    possible = possible and not await is_billed(session, sale=sale)
    if asked and not possible:
        raise VoidNotPossible(sale=sale.sale_id)
    return possible


def _legs(sale: Sale, mirrored: Sequence[Mirrored], purses: Sequence[PurseView], kind: TransferKind) -> list[Leg]:
    """Turn each transfer round. What came from a receivable lowers what is still owed; the rest, paid meanwhile, goes to the principal."""
    by_id = {purse.purse_id: purse for purse in purses}
    owed = {purse.purse_id: -purse.balance_minor for purse in purses if purse.kind == PurseKind.RECEIVABLE}
    legs: list[Leg] = []
    for part, amount in mirrored:
        back = part.debit_id
        still_owed = min(amount, owed[back]) if back in owed else amount
        if back in owed:
            owed[back] -= still_owed
        if still_owed:
            legs.append(Leg(part.credit_id, back, still_owed, kind, sale.currency, sale.card_id, sale.station_id, part.transfer_id))
        if amount > still_owed:
            principal = next(purse.purse_id for purse in by_id.values() if purse.kind == PurseKind.PRINCIPAL and purse.card_id is None)
            paid = amount - still_owed
            legs.append(Leg(part.credit_id, principal, paid, kind, sale.currency, sale.card_id, sale.station_id, part.transfer_id))
    return legs


async def _move(session: AsyncSession, sale: Sale, to: SaleStatus, wanted: Wanted) -> None:
    assert to in SALE_MOVES[SaleStatus(sale.status)], "what is left decides the status, under the sale's lock"
    sale.status = int(to)
    sale.refunded_minor += wanted.gross_minor
    await session.flush()


def _tenders(sale: Sale, mirrored: Sequence[Mirrored]) -> list[HandBack]:
    """Return the other tenders' shares, by the names and payments they came with."""
    given = {one.part.transfer_id: one for one in mirrored if one.part.kind == TransferKind.TENDER}
    paid: list[dict[str, Any]] = list((sale.detail or {}).get("tenders", []))
    back: list[HandBack] = []
    for one in given.values():
        matching = [
            tender
            for tender in paid
            if house_id(HouseCode.TENDER, sale.currency, f"{sale.station_id}:{tender['tender']}") == one.part.debit_id
        ]
        # Two payments of one kind are told apart by their amounts; what an advice overpaid was booked as less than was said.
        tender = next((tender for tender in matching if tender["amount_minor"] == one.part.amount_minor), matching[0])
        paid.remove(tender)
        back.append(HandBack(tender["tender"], one.amount_minor, tender.get("reference")))
    return back


def _summed(tenders: Sequence[HandBack]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for back in tenders:
        sums[back.tender] = sums.get(back.tender, 0) + back.amount_minor
    return sums


async def _count_back(
    session: AsyncSession, sale: Sale, place: Place, *, card_minor: int, quantity_milli: int, ended: bool, now: datetime
) -> None:
    """Give the limits back what they counted, on the day they counted it, while any of its windows runs."""
    day = sale.business_day
    fills = -1 if ended else 0
    if sale.authorization_id is not None:
        authorization = (
            await session.execute(
                select(Authorization.business_day, Authorization.status).where(
                    Authorization.account_id == sale.account_id, Authorization.authorization_id == sale.authorization_id
                )
            )
        ).one()
        day = authorization.business_day
        if ended and (Status(authorization.status) in OPEN or await _others_stand(session, sale) or await _came_uncounted(session, sale)):
            fills = 0
    elif sale.flags & Flag.OFFLINE:
        day = business_day(sale.event_at, place)
    if mirroring.window_is_open(day, today=business_day(now, place)):
        await count(
            session,
            account_id=sale.account_id,
            chain_id=sale.chain_id,
            day=day,
            amount_minor=-card_minor,
            quantity_milli=-quantity_milli,
            fills=fills,
            at=sale.event_at,
            subjects=subjects_in(sale.detail),
        )


def _not_before(sale: Sale) -> UUID:
    """Return the least id that a completion of the same authorisation can have: ids of one millisecond are in no order."""
    assert sale.authorization_id is not None
    return uuid7_floor(instant_of(sale.authorization_id))


async def _others_stand(session: AsyncSession, sale: Sale) -> bool:
    """Say whether another completion of the same authorisation still stands: the fill then still counts."""
    found = await session.scalar(
        select(Sale.sale_id)
        .where(
            Sale.account_id == sale.account_id,
            Sale.sale_id >= _not_before(sale),
            Sale.authorization_id == sale.authorization_id,
            Sale.sale_id != sale.sale_id,
            Sale.status.in_([SaleStatus.BOOKED, SaleStatus.PART_REFUNDED]),
        )
        .limit(1)
    )
    return found is not None


async def _came_uncounted(session: AsyncSession, sale: Sale) -> bool:
    """Say whether all completions before this one had been given back when it came: the fill no longer counted then, nor does it since."""
    later = select(Refund.refund_id).where(
        Refund.account_id == Sale.account_id, Refund.sale_id == Sale.sale_id, Refund.booked_at > sale.booked_at
    )
    standing = or_(Sale.status.in_([SaleStatus.BOOKED, SaleStatus.PART_REFUNDED]), later.correlate(Sale).exists())
    earlier = await session.execute(
        select(standing).where(
            Sale.account_id == sale.account_id,
            Sale.sale_id >= _not_before(sale),
            Sale.authorization_id == sale.authorization_id,
            Sale.sale_id != sale.sale_id,
            Sale.booked_at < sale.booked_at,
        )
    )
    stood = list(earlier.scalars())
    return bool(stood) and not any(stood)


async def _answer(
    session: AsyncSession,
    sale: Sale,
    account: Account,
    refund: dict[str, Any],
    legs: Sequence[Leg],
    purses: Sequence[PurseView],
    tenders: list[HandBack],
    now: datetime,
) -> RefundAnswer:
    by_id = {purse.purse_id: purse for purse in purses}
    given: dict[str, int] = {}
    receivable = expired = 0
    for leg in legs:
        purse = by_id.get(leg.credit_id)
        if purse is None:
            continue
        name = _PURSE_NAMES[PurseKind(purse.kind)]
        given[name] = given.get(name, 0) + leg.amount_minor
        if purse.kind == PurseKind.RECEIVABLE:
            receivable += leg.amount_minor
        elif purse.expires_at is not None and purse.expires_at <= now:
            expired += leg.amount_minor
    answer = RefundAnswer(
        outcome="voided" if refund["void"] else "refunded",
        refund=reference(sale.account_id, refund["refund_id"]),
        sale=reference(sale.account_id, sale.sale_id),
        currency=sale.currency,
        void=refund["void"],
        gross_minor=refund["gross_minor"],
        discount_minor=refund["discount_minor"],
        card_minor=refund["card_minor"],
        quantity_milli=refund["quantity_milli"],
        given=[Taken(name, amount) for name, amount in given.items()] or None,
        receivable_minor=receivable,
        expired_minor=expired,
        tenders=tenders or None,
        left_minor=sale.gross_minor - sale.refunded_minor,
        flags=flag_names(sale.flags),
        booked_at=instant_text(now),
    )
    if expired:
        amount = shown(expired, sale.currency)
        answer.message_zh = f"其中 {amount} 退回原赠金批次，该批次已过有效期，不能再用。"
        answer.message_en = f"{amount} went back to a bonus lot that has expired meanwhile; it can no longer be spent."
    if account.kind in {AccountKind.PERSONAL, AccountKind.ANONYMOUS}:
        left = money_left(await purses_of(session, account_id=sale.account_id), sale.currency)
        answer.balance_after_minor, answer.available_after_minor = left
    return answer
