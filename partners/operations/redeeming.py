"""A benefit at a partner's counter: a voucher redeemed, a sale with a member's discount; each with its line, in one transaction.

Whoever locks, locks the voucher, then its redemption, then what the agreement limits, then the partner's book. An outlet's key has one
effect for ever: the voucher kernel keeps it, and the line's source.
"""

from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.clock import local_date
from loyalty.db import Sessions, transaction
from loyalty.errors import Refusal
from loyalty.rewards.model_vouchers import RedemptionStatus
from loyalty.rewards.operations import redemptions
from loyalty.rewards.queries.vouchers import RedemptionView, get_voucher, get_voucher_for_update
from partners.line_rules import Draw, Worth, draws_of, month_of, price_of, saved_by, worth_of
from partners.model import OutletStatus, PartnerStatus
from partners.model_lines import LineKind, PartnerLine
from partners.queries.alliances import AgreementView, agreement_on, get_agreement
from partners.queries.redeeming import Counter, counter_of, line_for
from partners.rules import Benefit, BenefitKind, Mode

from .lines import Entry, book_line, lock_book, mirror_line

WITHOUT_VOUCHER: Final = frozenset({BenefitKind.DISCOUNT, BenefitKind.JOINT})
"""What a member gets by showing the card."""


class PartnerNotServing(Refusal):
    """The alliance is suspended, has ended, or nothing is agreed for today."""

    status = 409
    zh = "该商户目前不办理核销。"
    en = "This partner redeems nothing at present."
    next_zh = "请与总部联系。"
    next_en = "Ask the office."


class OutletNotServing(Refusal):
    """Paused for rain or a full yard, or closed."""

    status = 409
    zh = "本网点当前不营业：{why}。"
    en = "This outlet does not serve just now: {why}."
    next_zh = "恢复营业后再核销，或请顾客到其他网点。"
    next_en = "Serve again first, or send the customer to another outlet."


class AgreedLimitReached(Refusal):
    """What was agreed is used up: a benefit's pieces, a plate's month, or what a month may cost."""

    status = 409
    zh = "协议约定的数量或金额已用完。"
    en = "What the agreement allows is used up."
    next_zh = "请告知顾客；次月或新协议生效后可再使用。"
    next_en = "Tell the customer; it begins anew with the month or the next agreement."


class BlockUsedUp(Refusal):
    """What was paid in advance does not cover it any more."""

    status = 409
    zh = "预付款余额不足，暂不能核销。"
    en = "What was paid in advance is used up; this cannot be redeemed."
    next_zh = "请告知顾客稍后再来，并联系总部补足预付款。"
    next_en = "Ask the customer to come back, and the office to pay the next block."


class SaleNotSound(Refusal):
    """An amount or a benefit that a sale without a voucher cannot have."""

    status = 422
    zh = "销售金额或权益无效。"
    en = "The sale cannot be so: its amount or its benefit."
    next_zh = "请核对金额；券类权益请用券码核销。"
    next_en = "Check the amount; what a voucher is for is redeemed by its code."


class KeyReused(Refusal):
    """The key carried another sale before."""

    status = 422
    zh = "该幂等键已用于另一笔销售。"
    en = "This key was used for another sale."
    next_zh = "新的销售须使用新的键。"
    next_en = "A new sale takes a new key."


class Served(msgspec.Struct, frozen=True):
    """What was done at a counter, as both receipts say it; amounts in minor units of the partner's currency."""

    number: int
    """Of the line in the partner's book."""
    kind: LineKind
    benefit: str | None
    name_zh: str
    name_en: str
    currency: str
    gross_minor: int
    saved_minor: int
    reference: str
    served_by: str
    at: datetime
    redemption: RedemptionView | None = None
    undone: bool = False


async def redeem_typed(
    sessions: Sessions,
    *,
    outlet_id: UUID,
    typed: str,
    key: UUID,
    served_by: str,
    actor: Actor,
    now: datetime,
    amount_minor: int | None = None,
    gross_minor: int | None = None,
    plate: str | None = None,
) -> Served:
    """Redeem what a typed or scanned code names, at once; the guess counts although it is refused. Raises like both steps.

    :param amount_minor: of a voucher of money, how much the customer would save; None: all of it
    :param gross_minor: the partner's sale; None: what the benefit is worth
    """
    async with transaction(sessions) as session:
        at = await counter_of(session, outlet_id=outlet_id)
    voucher_id = await redemptions.admitted(sessions, typed=typed, at=at.outlet, key=key, plate=plate, now=now)
    async with transaction(sessions) as session:
        return await redeem(
            session,
            outlet_id=outlet_id,
            voucher_id=voucher_id,
            key=key,
            served_by=served_by,
            amount_minor=amount_minor,
            gross_minor=gross_minor,
            plate=plate,
            actor=actor,
            now=now,
        )


async def serving(session: AsyncSession, *, outlet_id: UUID) -> Counter:
    """Return the counter of an outlet that serves.

    :raises OutletNotFound: if there is none
    :raises PartnerNotServing, OutletNotServing: if it does not serve
    """
    at = await counter_of(session, outlet_id=outlet_id)
    if at.partner_status is not PartnerStatus.ACTIVE:
        raise PartnerNotServing
    if at.outlet_status is not OutletStatus.OPEN:
        raise OutletNotServing(why=at.why_paused or at.outlet_status.value)
    return at


async def redeem(
    session: AsyncSession,
    *,
    outlet_id: UUID,
    voucher_id: UUID,
    key: UUID,
    served_by: str,
    actor: Actor,
    now: datetime,
    amount_minor: int | None = None,
    gross_minor: int | None = None,
    plate: str | None = None,
    served_at: datetime | None = None,
) -> Served:
    """Redeem a voucher at an outlet and book its line; a retry gives the same answer, whatever became of outlet and agreement since.

    `served_at`: it was served then, while nobody could be asked, under what was agreed then, whether the outlet serves now or not.

    :raises PartnerNotServing, OutletNotServing: if the partner, or the outlet, serves nobody
    :raises CodeNotHonoured: if the voucher is not good here, or is for nothing that is agreed today
    :raises AgreedLimitReached: if a limit of the agreement is used up
    :raises AmountNotTaken, SaleNotSound: if an amount cannot be
    :raises VoucherKeyReused, RedemptionRolledBack: as the voucher kernel
    """
    at = await counter_of(session, outlet_id=outlet_id)
    voucher, kind = await get_voucher_for_update(session, voucher_id=voucher_id)
    held = await redemptions.reserve(
        session,
        voucher_id=voucher_id,
        at=at.outlet,
        key=key,
        amount_minor=amount_minor,
        plate=plate,
        served_at=served_at,
        actor=actor,
        now=now,
    )
    source = f"redemption:{held.redemption_id}"
    if held.status is not RedemptionStatus.RESERVED:
        line = await line_for(session, partner_id=at.partner_id, source=source)
        if line is None or held.status is RedemptionStatus.ROLLED_BACK:
            raise redemptions.RedemptionRolledBack
        if gross_minor is not None and gross_minor != line.gross_minor:
            raise redemptions.VoucherKeyReused
        return await _served(session, line, held)
    if served_at is None:
        await serving(session, outlet_id=outlet_id)
    event_at = served_at or now
    agreed = await _agreed(session, at, event_at)
    benefit = next((one for one in agreed.terms.benefits if one.voucher_kind == kind.code), None)
    if benefit is None or (voucher.currency is not None and voucher.currency != at.currency):
        raise redemptions.CodeNotHonoured
    done = await redemptions.redeem(session, at=at.outlet, key=key, actor=actor, now=now)
    worthy = done.honoured_minor if done.honoured_minor is not None else price_of(benefit) or 0
    gross = worthy if gross_minor is None else gross_minor
    if gross < worthy:
        raise SaleNotSound
    saved = saved_by(benefit, gross_minor=gross, honoured_minor=done.honoured_minor)
    entry = Entry(
        kind=LineKind.REDEMPTION,
        source=source,
        event_at=event_at,
        worth=worth_of(agreed.terms, benefit, gross_minor=gross, saved_minor=saved),
        agreement_id=agreed.agreement_id,
        benefit=benefit.code,
        outlet_id=at.outlet_id,
        served_by=served_by,
        redemption_id=done.redemption_id,
        reference=f"•••• {voucher.code_tail}",
    )
    line = await _book(session, at, agreed, benefit, entry, plate=plate, actor=actor, now=now)
    return await _served(session, line, done)


async def sell(
    session: AsyncSession,
    *,
    outlet_id: UUID,
    key: UUID,
    gross_minor: int,
    benefit: str | None,
    reference: str,
    served_by: str,
    actor: Actor,
    now: datetime,
    plate: str | None = None,
) -> Served:
    """Book a sale of the partner to a card holder: with what a member gets by showing the card, or for the commission alone.

    The caller has judged the card; `reference` is the end of its number. Once for its key.

    :raises PartnerNotServing, OutletNotServing: if the partner, or the outlet, serves nobody
    :raises SaleNotSound: if the amount is not positive, or the benefit takes a voucher or is not agreed
    :raises AgreedLimitReached: if a limit of the agreement is used up
    :raises KeyReused: if the key carried another sale
    """
    at = await counter_of(session, outlet_id=outlet_id)
    source = f"sale:{outlet_id}:{key}"
    known = await line_for(session, partner_id=at.partner_id, source=source)
    if known is not None:
        return await _same_sale(session, known, gross_minor, benefit, reference)
    await serving(session, outlet_id=outlet_id)
    agreed = await _agreed(session, at, now)
    wanted = None if benefit is None else next((one for one in agreed.terms.benefits if one.code == benefit), None)
    if gross_minor <= 0 or (benefit is not None and (wanted is None or wanted.kind not in WITHOUT_VOUCHER)):
        raise SaleNotSound
    saved = 0 if wanted is None else saved_by(wanted, gross_minor=gross_minor, honoured_minor=None)
    entry = Entry(
        kind=LineKind.SALE,
        source=source,
        event_at=now,
        worth=worth_of(agreed.terms, wanted, gross_minor=gross_minor, saved_minor=saved),
        agreement_id=agreed.agreement_id,
        benefit=benefit,
        outlet_id=at.outlet_id,
        served_by=served_by,
        reference=reference,
    )
    line = await _book(session, at, agreed, wanted, entry, plate=plate, actor=actor, now=now)
    # Of two that came with one key at once the second was told the first's line.
    return await _same_sale(session, line, gross_minor, benefit, reference)


async def roll_back(session: AsyncSession, *, outlet_id: UUID, key: UUID, reason: str, actor: Actor, now: datetime) -> Served | None:
    """Undo a redemption within its kind's minutes: the voucher is good again, after its expiry *expired*; the line is mirrored.

    None where the key was not known: it is refused from now on. Again it gives the same answer, whether the outlet serves or not.

    :raises RollBackTooLate: if the kind's window is over
    """
    at = await counter_of(session, outlet_id=outlet_id)
    undone = await redemptions.roll_back(session, at=at.outlet, key=key, reason=reason, actor=actor, now=now)
    line = await line_for(session, partner_id=at.partner_id, source=f"redemption:{undone.redemption_id}")
    if line is None:
        return None
    source = f"rollback:{undone.redemption_id}"
    # The voucher's lock, taken by its roll-back, lets one at a time look.
    if await line_for(session, partner_id=at.partner_id, source=source) is None:
        await lock_book(session, partner_id=at.partner_id, month=now)
        assert undone.voucher_id is not None, "it left a line"
        voucher = await get_voucher(session, voucher_id=undone.voucher_id)
        await _give_back(session, at, line, voucher.plate)
        who = _who(actor)
        await mirror_line(session, partner_id=at.partner_id, number=line.number, source=source, why=reason, actor=who, now=now)
    return await _served(session, line, undone)


async def _agreed(session: AsyncSession, at: Counter, now: datetime) -> AgreementView:
    agreed = await agreement_on(session, partner_id=at.partner_id, day=local_date(now, at.zone))
    if agreed is None:
        raise PartnerNotServing
    return agreed


_DRAW: Final = text(
    """
    INSERT INTO partner_counters AS c (partner_id, subject, month, used)
    SELECT :partner_id, :subject, :month, :amount WHERE CAST(:amount AS bigint) <= CAST(:at_most AS bigint)
    ON CONFLICT (partner_id, subject, month) DO UPDATE SET used = c.used + excluded.used WHERE c.used + excluded.used <= :at_most
    RETURNING used
    """
)
_RETURN: Final = text(
    "UPDATE partner_counters SET used = used - :amount WHERE partner_id = :partner_id AND subject = :subject AND month = :month"
)


async def _book(
    session: AsyncSession,
    at: Counter,
    agreed: AgreementView,
    benefit: Benefit | None,
    entry: Entry,
    *,
    plate: str | None,
    actor: Actor,
    now: datetime,
) -> PartnerLine:
    """Draw on what is limited and book the line under the book's lock; where its source was booked before nothing is drawn again.

    :raises AgreedLimitReached: if one of the limits has no room
    :raises BlockUsedUp: if a block paid in advance does not cover it
    """
    book = await lock_book(session, partner_id=at.partner_id, month=entry.event_at)
    known = await line_for(session, partner_id=at.partner_id, source=entry.source)
    if known is not None:
        return known
    if agreed.terms.settlement.mode is Mode.PRE_PAID and entry.worth.due_minor > max(0, -book.balance_minor):
        raise BlockUsedUp
    for draw in draws_of(agreed.terms, benefit, entry.worth, month=month_of(local_date(entry.event_at, at.zone)), plate=plate):
        if await session.scalar(_DRAW, _bound(at, draw) | {"at_most": draw.at_most}) is None:
            raise AgreedLimitReached
    number = await book_line(session, partner_id=at.partner_id, entry=entry, actor=_who(actor), now=now)
    return await session.get_one(PartnerLine, (at.partner_id, number))


async def _give_back(session: AsyncSession, at: Counter, line: PartnerLine, plate: str | None) -> None:
    """Give back what a line drew on the limits of its agreement, which stands as it was."""
    if line.agreement_id is None:
        return
    terms = (await get_agreement(session, agreement_id=line.agreement_id)).terms
    benefit = next((one for one in terms.benefits if one.code == line.benefit), None)
    worth = Worth(line.gross_minor, line.saved_minor, line.shares, line.partner_minor, line.commission_share, line.commission_minor)
    for draw in draws_of(terms, benefit, worth, month=month_of(local_date(line.event_at, at.zone)), plate=plate):
        await session.execute(_RETURN, _bound(at, draw))


def _bound(at: Counter, draw: Draw) -> dict[str, Any]:
    return {"partner_id": at.partner_id, "subject": draw.subject, "month": draw.month or date.min, "amount": draw.amount}


async def _same_sale(session: AsyncSession, line: PartnerLine, gross_minor: int, benefit: str | None, reference: str) -> Served:
    if (line.gross_minor, line.benefit, line.reference) != (gross_minor, benefit, reference):
        raise KeyReused
    return await _served(session, line, None)


async def _served(session: AsyncSession, line: PartnerLine, redemption: RedemptionView | None) -> Served:
    name_zh = name_en = ""
    if line.agreement_id is not None and line.benefit is not None:
        terms = (await get_agreement(session, agreement_id=line.agreement_id)).terms
        name_zh, name_en = next((one.name_zh, one.name_en) for one in terms.benefits if one.code == line.benefit)
    return Served(
        number=line.number,
        kind=line.kind,
        benefit=line.benefit,
        name_zh=name_zh,
        name_en=name_en,
        currency=line.currency,
        gross_minor=line.gross_minor,
        saved_minor=line.saved_minor,
        reference=line.reference,
        served_by=line.served_by,
        at=line.event_at,
        redemption=redemption,
        undone=redemption is not None and redemption.status is RedemptionStatus.ROLLED_BACK,
    )


def _who(actor: Actor) -> str:
    return f"{actor.kind.value}:{actor.actor_id}"
