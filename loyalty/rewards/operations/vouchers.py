"""Issuing vouchers, once for what grants them and never above a limit, and taking them back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Text, Uuid, bindparam, insert, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.customers.queries import survivors_of
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.rewards.model_vouchers import (
    EVERYBODY,
    VOUCHER_MOVES,
    Voucher,
    VoucherCounter,
    VoucherEvent,
    VoucherIssue,
    VoucherKind,
    VoucherStatus,
)
from loyalty.rewards.queries.vouchers import VoucherKindNotFound, get_voucher_for_update, kinds_by_code
from loyalty.rewards.voucher_codes import protect_code
from loyalty.rewards.voucher_rules import Room, allot, expiry, new_voucher_code

Counted = dict[tuple[UUID, UUID], int]
"""By kind and subject: how many vouchers."""

_ISSUES_A_STATEMENT: Final = 1000
"""A statement takes at most 32,767 parameters."""


class VoucherCannotMove(Refusal):
    """The voucher's present status does not lead there."""

    zh = "该券当前状态为 {status}，不能变为 {to}。"
    en = "The voucher is {status} and cannot become {to}."
    next_zh = "请刷新后核对最新状态。"
    next_en = "Look at its present status first."


class GrantDiffers(Refusal):
    """The same source asked for something else before."""

    status = 422
    zh = "同一来源已发过另一种或另一数量的券。"
    en = "The same source was given another kind or number of vouchers before."
    next_zh = "请核对来源编号。"
    next_en = "Check the source's number."


class VoucherWish(NamedTuple):
    """Who shall have how many vouchers of which kind, and what grants them: its key is `(source_kind, source_id, ordinal)`, for ever."""

    kind: str
    source_kind: str
    source_id: str
    customer_id: UUID | None = None
    account_id: UUID | None = None
    plate: str | None = None
    wanted: int = 1
    ordinal: int = 0
    ends_at: datetime | None = None
    """When they end at the latest, whatever their kind allows."""

    @property
    def key(self) -> tuple[str, str, int]:
        """What grants them."""
        return (self.source_kind, self.source_id, self.ordinal)


class Issued(NamedTuple):
    """What a wish came to. `short` says why fewer were given than wanted: `limit_total`, `limit_each`, `inactive`, `ended`, `plate`,
    `holder`.
    """

    wanted: int
    given: int
    short: str | None
    voucher_ids: tuple[UUID, ...]


class TakenBack(NamedTuple):
    """What a taking back came to, in pieces."""

    cancelled: int
    used: int
    """Redeemed, wholly or in part, or set aside at an outlet just now: they stay as they are."""
    expired: int


async def issue(session: AsyncSession, *, wish: VoucherWish, actor: Actor, now: datetime) -> Issued:
    """Issue what one source grants; see `issue_many`."""
    return (await issue_many(session, wishes=[wish], actor=actor, now=now))[0]


async def issue_many(session: AsyncSession, *, wishes: Sequence[VoucherWish], actor: Actor, now: datetime) -> list[Issued]:
    """Issue what many sources grant, set-based, and answer for each what was wanted and given, in the order of `wishes`.

    The same source is issued once for ever: a replay does nothing and gets the same answer, with as little as there was then. A kind's
    limits are held by its counters' rows, locked in order: the last one gets what is left.

    :raises VoucherKindNotFound: if a kind is unknown
    :raises GrantDiffers: if a source asked for another kind or number before
    """
    kinds = await kinds_by_code(session, codes={wish.kind for wish in wishes})
    by_key: dict[tuple[str, str, int], VoucherWish] = {}
    for wish in wishes:
        if wish.kind not in kinds:
            raise VoucherKindNotFound(code=wish.kind)
        first = by_key.setdefault(wish.key, wish)
        if (first.kind, first.wanted) != (wish.kind, wish.wanted):
            raise GrantDiffers
    fresh = await _claim(session, by_key, kinds, now)
    given = await _allot(session, [by_key[key] for key in by_key if key in fresh], kinds, now)
    await _make(session, [by_key[key] for key in by_key if key in fresh], given, kinds, actor=actor, now=now)
    answers = await _answers(session, by_key, kinds)
    return [answers[wish.key] for wish in wishes]


async def _claim(
    session: AsyncSession, wishes: Mapping[tuple[str, str, int], VoucherWish], kinds: Mapping[str, VoucherKind], now: datetime
) -> set[tuple[str, str, int]]:
    """Write each wish's row, in the order of their keys, and return those that were not there: a second asker waits for the first one."""
    fresh: set[tuple[str, str, int]] = set()
    rows = [
        {
            "source_kind": wish.source_kind,
            "source_id": wish.source_id,
            "ordinal": wish.ordinal,
            "kind_id": kinds[wish.kind].kind_id,
            "customer_id": wish.customer_id,
            "wanted": wish.wanted,
            "given": wish.wanted,
            "short": None,
            "issued_at": now,
        }
        for _, wish in sorted(wishes.items())
    ]
    for at in range(0, len(rows), _ISSUES_A_STATEMENT):
        found = await session.execute(
            upsert(VoucherIssue)
            .values(rows[at : at + _ISSUES_A_STATEMENT])
            .on_conflict_do_nothing()
            .returning(VoucherIssue.source_kind, VoucherIssue.source_id, VoucherIssue.ordinal)
        )
        fresh |= {(source_kind, source_id, ordinal) for source_kind, source_id, ordinal in found}
    return fresh


class _Allotted(NamedTuple):
    given: int
    short: str | None
    counted_for: UUID | None


async def _allot(session: AsyncSession, wishes: Sequence[VoucherWish], kinds: Mapping[str, VoucherKind], now: datetime) -> list[_Allotted]:
    """Take from the counters what each wish gets, in order."""
    if not wishes:
        return []
    named = [wish.customer_id for wish in wishes if wish.customer_id is not None and kinds[wish.kind].limit_each is not None]
    survivors = await survivors_of(session, customer_ids=named) if named else {}
    subjects: list[UUID | None] = []
    for wish in wishes:
        limited = kinds[wish.kind].limit_each is not None
        subject = survivors.get(wish.customer_id) if wish.customer_id is not None else wish.account_id
        subjects.append(subject if limited else None)
    counters = await _locked_counters(session, wishes, subjects, kinds)
    taken: Counted = {}
    allotted = []
    for wish, subject in zip(wishes, subjects, strict=True):
        kind = kinds[wish.kind]
        fault = _fault(wish, kind, subject, now)
        if fault is not None:
            allotted.append(_Allotted(0, fault, None))
            continue
        keys = [(kind.kind_id, EVERYBODY)] + ([(kind.kind_id, subject)] if subject is not None else [])
        lefts = [_left(counters[key], taken.get(key, 0)) for key in keys]
        given, short = allot(wish.wanted, Room(each=lefts[1] if len(lefts) == 2 else None, total=lefts[0]))
        for key in keys:
            taken[key] = taken.get(key, 0) + given
        allotted.append(_Allotted(given, short, subject))
    await _count(session, taken)
    return allotted


def _fault(wish: VoucherWish, kind: VoucherKind, subject: UUID | None, now: datetime) -> str | None:
    if not kind.active:
        return "inactive"
    if kind.ends_at is not None and kind.ends_at <= now:
        return "ended"
    if kind.plate_bound and wish.plate is None:
        return "plate"
    return "holder" if kind.limit_each is not None and subject is None else None


def _left(counter: tuple[int | None, int], taken: int) -> int | None:
    at_most, issued = counter
    return None if at_most is None else max(0, at_most - issued - taken)


async def _locked_counters(
    session: AsyncSession, wishes: Sequence[VoucherWish], subjects: Sequence[UUID | None], kinds: Mapping[str, VoucherKind]
) -> dict[tuple[UUID, UUID], tuple[int | None, int]]:
    """Lock the counters in the one order, customers' before the kind's own, and return limit and count of each."""
    own = {
        (kinds[wish.kind].kind_id, subject): kinds[wish.kind].limit_each
        for wish, subject in zip(wishes, subjects, strict=True)
        if subject is not None
    }
    rows = [
        {"kind_id": kind_id, "subject_id": subject, "at_most": limit, "issued": 0}
        for (kind_id, subject), limit in sorted(own.items(), key=lambda item: item[0])
    ]
    if rows:
        await session.execute(upsert(VoucherCounter).on_conflict_do_nothing(), rows)
    wanted = [*own, *{(kinds[wish.kind].kind_id, EVERYBODY) for wish in wishes}]
    found: dict[tuple[UUID, UUID], tuple[int | None, int]] = {}
    wanted.sort(key=lambda key: (key[0], -key[1].int))
    for at in range(0, len(wanted), _ISSUES_A_STATEMENT):
        counters = await session.execute(
            select(VoucherCounter.kind_id, VoucherCounter.subject_id, VoucherCounter.at_most, VoucherCounter.issued)
            .where(tuple_(VoucherCounter.kind_id, VoucherCounter.subject_id).in_(wanted[at : at + _ISSUES_A_STATEMENT]))
            .order_by(VoucherCounter.kind_id, VoucherCounter.subject_id.desc())
            .with_for_update()
        )
        found |= {(kind_id, subject): (at_most, issued) for kind_id, subject, at_most, issued in counters}
    return found


_COUNT = text(
    """
    UPDATE voucher_counters c SET issued = c.issued + w.pieces
    FROM unnest(:kinds, :subjects, :pieces) AS w (kind_id, subject_id, pieces)
    WHERE c.kind_id = w.kind_id AND c.subject_id = w.subject_id AND (c.at_most IS NULL OR c.issued + w.pieces <= c.at_most)
    RETURNING c.kind_id
    """
).bindparams(bindparam("kinds", type_=ARRAY(Uuid)), bindparam("subjects", type_=ARRAY(Uuid)), bindparam("pieces", type_=ARRAY(BigInteger)))


async def _count(session: AsyncSession, pieces: Counted) -> None:
    """Change counters that are locked."""
    changed = {key: count for key, count in pieces.items() if count}
    if not changed:
        return
    found = await session.execute(
        _COUNT,
        {"kinds": [kind for kind, _ in changed], "subjects": [subject for _, subject in changed], "pieces": list(changed.values())},
    )
    assert len(found.all()) == len(changed), "a locked counter has the room that was read"


_SHORTEN = text(
    """
    UPDATE voucher_issues i SET given = s.given, short = s.short
    FROM unnest(:kinds, :sources, :ordinals, :given, :short) AS s (source_kind, source_id, ordinal, given, short)
    WHERE i.source_kind = s.source_kind AND i.source_id = s.source_id AND i.ordinal = s.ordinal
    """
).bindparams(
    bindparam("kinds", type_=ARRAY(Text)),
    bindparam("sources", type_=ARRAY(Text)),
    bindparam("ordinals", type_=ARRAY(BigInteger)),
    bindparam("given", type_=ARRAY(BigInteger)),
    bindparam("short", type_=ARRAY(Text)),
)


async def _make(
    session: AsyncSession,
    wishes: Sequence[VoucherWish],
    allotted: Sequence[_Allotted],
    kinds: Mapping[str, VoucherKind],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Write the vouchers and their first event; note on the wish where it got fewer."""
    short = [(wish, got) for wish, got in zip(wishes, allotted, strict=True) if got.given < wish.wanted]
    if short:
        await session.execute(
            _SHORTEN,
            {
                "kinds": [wish.source_kind for wish, _ in short],
                "sources": [wish.source_id for wish, _ in short],
                "ordinals": [wish.ordinal for wish, _ in short],
                "given": [got.given for _, got in short],
                "short": [got.short for _, got in short],
            },
        )
    rows = [
        _row(wish, kinds[wish.kind], piece, got.counted_for, now)
        for wish, got in zip(wishes, allotted, strict=True)
        for piece in range(1, got.given + 1)
    ]
    if rows:
        await session.execute(insert(Voucher), rows)
        await note(
            session,
            [Step(row["voucher_id"], VoucherStatus.ISSUED, row["face_minor"]) for row in rows],
            reason=rows[0]["source_kind"],
            actor=actor,
            now=now,
        )


def _row(wish: VoucherWish, kind: VoucherKind, piece: int, counted_for: UUID | None, now: datetime) -> dict[str, Any]:
    voucher_id = uuid7(now)
    code = protect_code(new_voucher_code(), voucher_id=voucher_id)
    ends = (expiry(now=now, zone=kind.zone, validity_days=kind.validity_days, ends_at=kind.ends_at), wish.ends_at)
    return {
        "voucher_id": voucher_id,
        "kind_id": kind.kind_id,
        "customer_id": wish.customer_id,
        "account_id": wish.account_id,
        "counted_for": counted_for,
        "plate": wish.plate if kind.plate_bound else None,
        "code_index": code.index,
        "code_sealed": code.sealed,
        "code_tail": code.tail,
        "status": VoucherStatus.ISSUED,
        "partial": kind.partial,
        "face_minor": kind.face_minor,
        "left_minor": kind.face_minor,
        "currency": kind.currency,
        "issued_at": now,
        "expires_at": min((end for end in ends if end is not None), default=None),
        "source_kind": wish.source_kind,
        "source_id": wish.source_id,
        "ordinal": wish.ordinal,
        "piece": piece,
    }


async def _answers(
    session: AsyncSession, wishes: Mapping[tuple[str, str, int], VoucherWish], kinds: Mapping[str, VoucherKind]
) -> dict[tuple[str, str, int], Issued]:
    """Read what each source was given, now or long ago."""
    keys = sorted(wishes)
    answers: dict[tuple[str, str, int], Issued] = {}
    for at in range(0, len(keys), _ISSUES_A_STATEMENT):
        part = keys[at : at + _ISSUES_A_STATEMENT]
        vouchers: dict[tuple[str, str, int], list[UUID]] = {}
        of_part = tuple_(Voucher.source_kind, Voucher.source_id, Voucher.ordinal).in_(part)
        found = select(Voucher.source_kind, Voucher.source_id, Voucher.ordinal, Voucher.voucher_id).where(of_part).order_by(Voucher.piece)
        for source_kind, source_id, ordinal, voucher_id in await session.execute(found):
            vouchers.setdefault((source_kind, source_id, ordinal), []).append(voucher_id)
        issues = select(VoucherIssue).where(tuple_(VoucherIssue.source_kind, VoucherIssue.source_id, VoucherIssue.ordinal).in_(part))
        for row in await session.scalars(issues.execution_options(populate_existing=True)):
            key = (row.source_kind, row.source_id, row.ordinal)
            if (row.kind_id, row.wanted) != (kinds[wishes[key].kind].kind_id, wishes[key].wanted):
                raise GrantDiffers
            answers[key] = Issued(row.wanted, row.given, row.short, tuple(vouchers.get(key, ())))
    return answers


async def take_back(
    session: AsyncSession,
    *,
    source_kind: str,
    source_id: str,
    reason: str,
    actor: Actor,
    now: datetime,
    ordinal: int = 0,
    pieces: int | None = None,
) -> TakenBack:
    """Cancel what a source granted, as far as it is unused: the mirror of a refund. The last issued go first, `pieces` of them at most.

    What was used says so in the answer and stays; what is cancelled makes room under the kind's limits again. Doing it again finds
    nothing more to cancel.
    """
    of_source = (Voucher.source_kind == source_kind, Voucher.source_id == source_id, Voucher.ordinal == ordinal)
    found = list(await session.scalars(locked(select(Voucher).where(*of_source).order_by(Voucher.voucher_id))))
    unused = [each for each in found if each.status is VoucherStatus.ISSUED and each.left_minor == each.face_minor]
    unused.sort(key=lambda each: each.piece, reverse=True)
    going = unused if pieces is None else unused[:pieces]
    await _cancel(session, going, reason=reason, actor=actor, now=now)
    kept = [each for each in found if each not in going and each not in unused]
    used = [each for each in kept if each.status in {VoucherStatus.REDEEMED, VoucherStatus.RESERVED} or each.left_minor != each.face_minor]
    expired = [each for each in kept if each.status is VoucherStatus.EXPIRED and each not in used]
    return TakenBack(len(going), len(used), len(expired))


async def cancel_voucher(session: AsyncSession, *, voucher_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Take one unused voucher back by the office's decision.

    :raises VoucherNotFound: if there is no such voucher
    :raises VoucherCannotMove: if it was used, in part or whole, or has ended
    """
    voucher, _ = await get_voucher_for_update(session, voucher_id=voucher_id)
    if VoucherStatus.CANCELLED not in VOUCHER_MOVES[voucher.status] or voucher.left_minor != voucher.face_minor:
        raise VoucherCannotMove(status=voucher.status.value, to=VoucherStatus.CANCELLED.value)
    await _cancel(session, [voucher], reason=reason, actor=actor, now=now)
    facts = {"reason": reason}
    await audit.record(session, actor=actor, action="rewards.voucher_cancelled", subject=("voucher", voucher_id), facts=facts, now=now)


async def _cancel(session: AsyncSession, vouchers: Sequence[Voucher], *, reason: str, actor: Actor, now: datetime) -> None:
    """Cancel locked vouchers; their counters are locked in the one order."""
    if not vouchers:
        return
    less: Counted = {}
    for voucher in vouchers:
        voucher.status = VoucherStatus.CANCELLED
        for subject in (EVERYBODY, voucher.counted_for):
            if subject is not None:
                less[voucher.kind_id, subject] = less.get((voucher.kind_id, subject), 0) - 1
    await session.flush()
    await session.execute(
        select(VoucherCounter.issued)
        .where(tuple_(VoucherCounter.kind_id, VoucherCounter.subject_id).in_(list(less)))
        .order_by(VoucherCounter.kind_id, VoucherCounter.subject_id.desc())
        .with_for_update()
    )
    await _count(session, less)
    await note(session, [Step(each.voucher_id, VoucherStatus.CANCELLED) for each in vouchers], reason=reason, actor=actor, now=now)


class Step(NamedTuple):
    """A step of a voucher, for its history."""

    voucher_id: UUID
    moved_to: VoucherStatus
    change_minor: int | None = None
    redemption_id: UUID | None = None


async def note(session: AsyncSession, steps: Sequence[Step], *, reason: str, actor: Actor, now: datetime) -> None:
    """Append lines to vouchers' histories."""
    await session.execute(
        insert(VoucherEvent),
        [
            {
                "voucher_id": step.voucher_id,
                "moved_to": step.moved_to,
                "happened_at": now,
                "actor_kind": actor.kind,
                "actor_id": str(actor.actor_id),
                "redemption_id": step.redemption_id,
                "change_minor": step.change_minor,
                "reason": reason,
            }
            for step in steps
        ],
    )
