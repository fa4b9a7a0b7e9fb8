"""What outlets honoured while the network was gone, told afterwards: each has one effect and one answer for ever.

Whoever locks, locks the outlets' leases, then the vouchers, each in the order of their ids, then as a counter does. What is told is
judged in the order in which it was served, so that a phone's batch comes to the same however it is shuffled. Of outlets that honoured
one voucher the first to tell is booked, each later one is a loss of the same amount: together they come to the same in any order.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.crypto import Purpose, TokenError, canonical_json, read_token
from loyalty.crypto.tokens import TokenFault
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.rewards.model_vouchers import Voucher, VoucherStatus
from loyalty.rewards.operations import redemptions
from loyalty.rewards.queries.vouchers import find_redemption
from partners.line_rules import PARTNER, Worth, price_of
from partners.model_lines import LineKind
from partners.model_offline import OfflineClaim, OfflineLease
from partners.offline_rules import (
    Budget,
    OfflineCode,
    OfflineStatus,
    OfflineVoucher,
    bears,
    in_lease,
    out_of_place,
    out_of_time,
)
from partners.queries.alliances import get_agreement
from partners.queries.offline import honoured_here, known_claims
from partners.queries.redeeming import Counter, counter_of
from partners.rules import Terms

from .lines import Entry, book_line
from .redeeming import AgreedLimitReached, BlockUsedUp, redeem

BATCH: Final = 100
_FAULTS: Final = {
    TokenFault.MALFORMED: OfflineCode.TAMPERED,
    TokenFault.MISMATCH: OfflineCode.TAMPERED,
    TokenFault.UNKNOWN_KEY: OfflineCode.UNKNOWN_KEY,
    TokenFault.EXPIRED: OfflineCode.EXPIRED,
}
Minor = Annotated[int, msgspec.Meta(ge=0, le=10**12)]


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One use as a phone tells it; its key is that of the request that could not be sent."""

    key: UUID
    token: Annotated[str, msgspec.Meta(max_length=1_000)]
    at: datetime
    """When it was served, by the phone's clock."""
    lease: UUID | None = None
    served_by: Annotated[str, msgspec.Meta(max_length=80)] = ""
    amount_minor: Minor | None = None
    """Of a voucher of money; None: all."""
    gross_minor: Minor | None = None

    def digest(self) -> bytes:
        """Return what tells it from another under the same key."""
        return hashlib.sha256(canonical_json(self)).digest()


class Outcome(msgspec.Struct, frozen=True):
    """What became of one; `status` None: it cannot be said yet, tell it again."""

    key: UUID
    status: OfflineStatus | None
    code: OfflineCode | None = None
    in_budget: bool = False
    loss_minor: int = 0
    line: int | None = None


class _Judged(NamedTuple):
    """A verdict before it is written down."""

    status: OfflineStatus
    code: OfflineCode
    in_budget: bool = False
    loss_minor: int = 0
    line: int | None = None


class _Case(NamedTuple):
    """One use with what its code says and the lease under which it was served."""

    claim_id: UUID
    told: Told
    at: Counter
    lease: OfflineLease
    terms: Terms
    voucher: OfflineVoucher
    worth_minor: int


async def sync(session: AsyncSession, *, outlet_id: UUID, told: Sequence[Told], actor: Actor, now: datetime) -> list[Outcome]:
    """Book what a phone honoured offline, in their order of service; return what became of each, in the order in which they came.

    A use whose voucher is just being served elsewhere gets no answer yet: it is told again. `outlet_id` is where the reader stands; what
    a lease of another outlet of the same partner's covers belongs to that one.

    :raises OutletNotFound: if there is no such outlet
    """
    assert len(told) <= BATCH, "the caller keeps to it"
    here = await counter_of(session, outlet_id=outlet_id)
    leases = await _leases(session, here.partner_id, told)
    known = {
        (row.outlet_id, row.key, row.digest): row
        for row in await known_claims(session, keys=[one.key for one in told], partner_id=here.partner_id)
    }
    carried = {(row.outlet_id, row.key) for row in known.values()}
    counters = {outlet: await counter_of(session, outlet_id=outlet) for outlet in sorted({one.outlet_id for one in leases.values()})}
    await _lock_vouchers(session, told)
    found: dict[tuple[UUID, bytes], Outcome] = {}
    for one in sorted(told, key=lambda each: (each.at, each.key)):
        lease = None if one.lease is None else leases.get(one.lease)
        at = here if lease is None else counters[lease.outlet_id]
        digest = one.digest()
        row = known.get((at.outlet_id, one.key, digest))
        if row is not None:
            found[one.key, digest] = _outcome(row)
            continue
        claim_id = uuid7(now)
        read, code = _read(one, now)
        if (at.outlet_id, one.key) in carried:
            judged: _Judged | None = _refused(OfflineCode.KEY_REUSED)
        elif read is None or code is not None:
            judged = _refused(code or OfflineCode.TAMPERED)
        else:
            judged = await _judged(session, claim_id, one, at, lease, read, actor=actor, now=now)
        if judged is None:
            found[one.key, digest] = Outcome(one.key, None)
            continue
        kept = OfflineClaim(
            claim_id=claim_id,
            partner_id=at.partner_id,
            outlet_id=at.outlet_id,
            key=one.key,
            digest=digest,
            lease_id=None if lease is None else lease.lease_id,
            token=one.token,
            voucher_id=None if read is None else UUID(bytes=read.voucher),
            **judged._asdict(),
            served_at=one.at,
            received_at=now,
            served_by=one.served_by,
            amount_minor=one.amount_minor,
            gross_minor=one.gross_minor,
        )
        session.add(kept)
        await session.flush()
        known[at.outlet_id, one.key, digest] = kept
        carried.add((at.outlet_id, one.key))
        found[one.key, digest] = _outcome(kept)
    return [found[one.key, one.digest()] for one in told]


async def _judged(
    session: AsyncSession,
    claim_id: UUID,
    told: Told,
    at: Counter,
    lease: OfflineLease | None,
    read: OfflineVoucher,
    *,
    actor: Actor,
    now: datetime,
) -> _Judged | None:
    """Judge one use whose signature is good; None: it cannot be said yet."""
    if code := out_of_place(read, partner=at.partner_code, outlet=at.outlet_code):
        return _refused(code)
    if lease is None:
        return _refused(OfflineCode.NOT_OFFLINE)
    terms = (await get_agreement(session, agreement_id=lease.agreement_id)).terms
    worth = _worth(told, read, terms)
    if isinstance(worth, OfflineCode):
        return _refused(worth)
    voucher = await session.get(Voucher, UUID(bytes=read.voucher))
    if voucher is None:
        return _refused(OfflineCode.NOT_HONOURED)
    before = await honoured_here(session, outlet_id=at.outlet_id, voucher_id=voucher.voucher_id)
    if before and (not voucher.partial or lease.lease_id in before):
        return _refused(OfflineCode.REPLAYED)
    own = await find_redemption(session, caller=at.outlet.caller, key=told.key)
    if voucher.status is VoucherStatus.RESERVED and own is None:
        return None
    budget = _budget(lease, now)
    timely = in_lease(served_at=told.at, granted_at=lease.granted_at, until=lease.until)
    in_budget = timely and budget.takes(worth)
    if in_budget:
        lease.used, lease.used_minor = budget.used + 1, budget.used_minor + worth
    case = _Case(claim_id, told, at, lease, terms, read, worth)
    if own is None and voucher.status in {VoucherStatus.REDEEMED, VoucherStatus.CANCELLED}:
        code = OfflineCode.DOUBLE if voucher.status is VoucherStatus.REDEEMED else OfflineCode.CANCELLED
        return await _loss(session, case, code, worth, in_budget=in_budget, actor=actor, now=now)
    return await _booked(session, case, voucher, in_budget=in_budget, actor=actor, now=now)


async def _booked(session: AsyncSession, case: _Case, voucher: Voucher, *, in_budget: bool, actor: Actor, now: datetime) -> _Judged:
    """Redeem the voucher as of then; what it was no longer good for is a loss."""
    told = case.told
    is_money = case.voucher.worth_minor is not None
    asked, plate = told.amount_minor, voucher.plate
    facts = {"outlet_id": case.at.outlet_id, "voucher_id": voucher.voucher_id, "key": told.key, "served_by": told.served_by}
    try:
        async with session.begin_nested():
            done = await redeem(
                session,
                **facts,  # type: ignore[arg-type]
                amount_minor=asked,
                gross_minor=told.gross_minor if is_money else None,
                plate=plate,
                served_at=told.at,
                actor=actor,
                now=now,
            )
    except Refusal as refusal:
        # What was rolled back is read anew.
        await session.refresh(case.lease)
        await session.refresh(voucher)
        if not isinstance(refusal, AgreedLimitReached | BlockUsedUp):
            reused = isinstance(refusal, redemptions.RedemptionRolledBack | redemptions.VoucherKeyReused)
            return _refused(OfflineCode.KEY_REUSED if reused else OfflineCode.NOT_HONOURED, in_budget=in_budget)
        # It was honoured in good faith, so the voucher is used; what the agreement no longer allows is a loss.
        at, which = case.at.outlet, {"key": told.key, "actor": actor, "now": now}
        await redemptions.reserve(
            session,
            voucher_id=voucher.voucher_id,
            at=at,
            amount_minor=asked,
            plate=plate,
            served_at=told.at,
            **which,  # type: ignore[arg-type]
        )
        await redemptions.redeem(session, at=at, **which)  # type: ignore[arg-type]
        return await _loss(session, case, OfflineCode.LIMIT, case.worth_minor, in_budget=in_budget, actor=actor, now=now)
    short = case.worth_minor - done.saved_minor if is_money else 0
    if short > 0:
        rest = await _loss(session, case, OfflineCode.PARTLY_USED, short, in_budget=in_budget, actor=actor, now=now)
        return rest._replace(status=OfflineStatus.BOOKED, line=done.number)
    return _Judged(OfflineStatus.BOOKED, OfflineCode.BOOKED, in_budget, 0, done.number)


async def _loss(
    session: AsyncSession, case: _Case, code: OfflineCode, amount_minor: int, *, in_budget: bool, actor: Actor, now: datetime
) -> _Judged:
    """Book what was honoured for nothing, borne by whom the agreement says."""
    assert case.terms.offline is not None, "checked"
    who = bears(case.terms.offline, in_budget=in_budget)
    entry = Entry(
        kind=LineKind.OFFLINE_LOSS,
        source=f"offline:{case.claim_id}",
        event_at=case.told.at,
        worth=Worth(amount_minor, amount_minor, {who: amount_minor}, amount_minor if who == PARTNER else 0, 0, 0),
        pieces=0,
        agreement_id=case.lease.agreement_id,
        benefit=case.voucher.benefit,
        outlet_id=case.at.outlet_id,
        served_by=case.told.served_by,
        reference=f"{UUID(bytes=case.voucher.voucher)}"[-4:],
        why=code.value,
    )
    who_acts = f"{actor.kind.value}:{actor.actor_id}"
    number = await book_line(session, partner_id=case.at.partner_id, entry=entry, actor=who_acts, now=now)
    return _Judged(OfflineStatus.LOSS, code, in_budget, amount_minor, number)


async def _leases(session: AsyncSession, partner_id: UUID, told: Sequence[Told]) -> Mapping[UUID, OfflineLease]:
    one = OfflineLease
    wanted = sorted({each.lease for each in told if each.lease is not None})
    rows = locked(select(one).where(one.partner_id == partner_id, one.lease_id.in_(wanted)).order_by(one.lease_id))
    return {row.lease_id: row for row in await session.scalars(rows)}


async def _lock_vouchers(session: AsyncSession, told: Sequence[Told]) -> None:
    """Lock what the codes name, before any line is booked: a counter locks its voucher before the book, too."""
    ids = set()
    for one in told:
        try:
            ids.add(UUID(bytes=read_token(Purpose.VOUCHER, one.token, now=one.at, payload=OfflineVoucher).voucher))
        except (TokenError, ValueError):
            continue
    await session.scalars(locked(select(Voucher).where(Voucher.voucher_id.in_(ids)).order_by(Voucher.voucher_id)))


def _read(told: Told, now: datetime) -> tuple[OfflineVoucher | None, OfflineCode | None]:
    """Return what a code says, and why it is not believed."""
    try:
        read = read_token(Purpose.VOUCHER, told.token, now=min(told.at, now), payload=OfflineVoucher)
    except TokenError as error:
        return None, _FAULTS[error.fault]
    return read, out_of_time(served_at=told.at, now=now)


def _worth(told: Told, read: OfflineVoucher, terms: Terms) -> int | OfflineCode:
    """Return what the customer saved by a use, or why that cannot be."""
    benefit = next((one for one in terms.benefits if one.code == read.benefit), None)
    worth = read.worth_minor if read.worth_minor is not None or benefit is None else price_of(benefit)
    if benefit is None or worth is None or terms.offline is None or worth > terms.offline.worth_minor:
        return OfflineCode.NOT_OFFLINE
    if told.amount_minor is not None:
        if read.worth_minor is None or not 0 < told.amount_minor <= worth:
            return OfflineCode.AMOUNT_NOT_SOUND
        worth = told.amount_minor
    return OfflineCode.AMOUNT_NOT_SOUND if told.gross_minor is not None and told.gross_minor < worth else worth


def _budget(lease: OfflineLease, now: datetime) -> Budget:
    is_open = lease.settled_at is None and now < lease.settle_by
    return Budget(lease.uses, lease.amount_minor, lease.used, lease.used_minor, is_open)


def _refused(code: OfflineCode, *, in_budget: bool = False) -> _Judged:
    return _Judged(OfflineStatus.REFUSED, code, in_budget)


def _outcome(row: OfflineClaim) -> Outcome:
    return Outcome(row.key, row.status, row.code, row.in_budget, row.loss_minor, row.line)
