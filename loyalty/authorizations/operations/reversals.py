"""Taking an original back by its key, known or not: a reversal is always accepted, and leaves nothing half done."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.answers import ReversalAnswer
from loyalty.authorizations.dedupe import Outcome, lock_key
from loyalty.authorizations.facts import Place
from loyalty.authorizations.model import Authorization, Operation, Request, Sale, SaleStatus, Status
from loyalty.authorizations.model_reversals import Reversal
from loyalty.authorizations.reasons import Reason, say
from loyalty.authorizations.wire import Said, reference
from loyalty.errors import Refusal
from loyalty.ids import NOBODY, uuid7
from loyalty.ledger.queries import get_account
from loyalty.policy import Policy
from loyalty.topups.model import TopupStatus
from loyalty.topups.operations import cancel_bank_load, void_topup
from loyalty.topups.queries import get_topup

from .holds import end_hold
from .locking import actor_for, find_authorization, find_sale, instant_text
from .refunds import mirror_sale

_NAMES: Final = {
    Operation.AUTHORISE: "authorization",
    Operation.SALE: "sale",
    Operation.COMPLETE: "completion",
    Operation.ADVICE: "advice",
    Operation.TOPUP: "topup",
}


class OriginalNotReversible(Refusal):
    """The key belongs to an operation that is taken back in another way."""

    status = 422
    zh = "该键对应的业务（{operation}）不能冲正。"
    en = "The original ({operation}) cannot be reversed by its key."
    next_zh = "请办理退款，或按该业务的撤销流程处理。"
    next_en = "Refund it, or undo it in its own way."


class ReversalContext(msgspec.Struct, frozen=True, kw_only=True):
    """Who reverses, where and why; `reversal_reference` and `approved_by` are for top-ups only."""

    place: Place
    policy: Policy
    reason: str
    event_at: datetime
    now: datetime
    staff_id: UUID | None = None
    approved_by: UUID | None = None
    reversal_reference: str | None = None


async def reverse(
    session: AsyncSession,
    *,
    place: Place,
    original_key: UUID,
    policy: Policy,
    reason: str,
    now: datetime,
    event_at: datetime | None = None,
    staff_id: UUID | None = None,
    approved_by: UUID | None = None,
    reversal_reference: str | None = None,
) -> Outcome:
    """Reverse what this till did under `original_key`.

    An authorisation lets go of its holds; a sale or a completion is mirrored whole, as a void where that is still possible; a top-up is
    voided. An unknown original leaves a tombstone that refuses it when it comes late. A second reversal gets the first one's bytes.

    :raises OriginalNotReversible: if the key belongs to another kind of operation
    :raises Refusal: for a top-up, whatever the top-ups room refuses
    """
    context = ReversalContext(
        place=place,
        policy=policy,
        reason=reason,
        event_at=event_at or now,
        now=now,
        staff_id=staff_id,
        approved_by=approved_by,
        reversal_reference=reversal_reference,
    )
    await lock_key(session, terminal_id=place.terminal_id, key=original_key)
    done = await session.get(Reversal, (place.terminal_id, original_key))
    if done is not None:
        return Outcome(done.account_id, done.subject_id, done.answer)
    reversal_id = uuid7(now)
    original = await _original(session, place.terminal_id, original_key)
    if original is None and not await _leave_tombstone(session, place.terminal_id, original_key, reversal_id, now):
        # The hot path was faster: it takes no advisory lock.
        original = await _original(session, place.terminal_id, original_key)
        assert original is not None, "whoever kept the tombstone out has committed"
    if original is None:
        outcome = Outcome.of(NOBODY, reversal_id, _unknown(now))
    else:
        outcome = await _reverse_known(session, Operation(original.operation), original.account_id, original.subject_id, context)
    await session.execute(
        insert(Reversal).values(
            terminal_id=place.terminal_id,
            original_key=original_key,
            reversal_id=reversal_id,
            station_id=place.station_id,
            operation=None if original is None else original.operation,
            account_id=outcome.account_id,
            subject_id=outcome.subject_id,
            answer=outcome.answer,
            reason=reason,
            staff_id=staff_id,
            event_at=context.event_at,
            booked_at=now,
        )
    )
    return outcome


async def _original(session: AsyncSession, terminal_id: UUID, key: UUID) -> Request | None:
    statement = select(Request).where(Request.terminal_id == terminal_id, Request.key == key)
    found: Request | None = await session.scalar(statement.execution_options(populate_existing=True))
    return found


async def _leave_tombstone(session: AsyncSession, terminal_id: UUID, key: UUID, reversal_id: UUID, now: datetime) -> bool:
    zh, en = say(Reason.ORIGINAL_REVERSED)
    refusal = Said(outcome="declined", reason=Reason.ORIGINAL_REVERSED.code, message_zh=zh, message_en=en)
    inserted = await session.scalar(
        upsert(Request)
        .values(
            terminal_id=terminal_id,
            key=key,
            operation=Operation.TOMBSTONE,
            account_id=NOBODY,
            subject_id=reversal_id,
            fingerprint=b"",
            answer=msgspec.json.encode(refusal),
            booked_at=now,
        )
        .on_conflict_do_nothing(index_elements=[Request.terminal_id, Request.key])
        .returning(Request.key)
    )
    return inserted is not None


async def _reverse_known(
    session: AsyncSession, operation: Operation, account_id: UUID, subject_id: UUID, context: ReversalContext
) -> Outcome:
    if operation not in _NAMES:
        raise OriginalNotReversible(operation=operation.name.lower())
    if operation is Operation.TOPUP:
        return await _reverse_topup(session, subject_id, context)
    if operation is not Operation.AUTHORISE:
        sale = await find_sale(session, account_id=account_id, sale_id=subject_id, lock=True)
        if sale is not None:
            return await _reverse_sale(session, operation, sale, context)
    authorization = await find_authorization(session, account_id=account_id, authorization_id=subject_id, lock=True)
    if authorization is None:
        # A completion of nothing, or an advice that only released: no sale came of it.
        answer = ReversalAnswer(outcome="reversed", original=_NAMES[operation], booked_at=instant_text(context.now))
        return Outcome.of(account_id, subject_id, answer)
    return await _reverse_authorization(session, operation, authorization, context)


async def _reverse_authorization(
    session: AsyncSession, operation: Operation, authorization: Authorization, context: ReversalContext
) -> Outcome:
    status = Status(authorization.status)
    answer = ReversalAnswer(
        outcome="reversed",
        original=_NAMES[operation],
        authorization=reference(authorization.account_id, authorization.authorization_id),
        booked_at=instant_text(context.now),
    )
    if status in {Status.DECLINED, Status.MORE_DATA}:
        _word(answer, Reason.ORIGINAL_DECLINED)
    elif status is Status.COMPLETED:
        answer.outcome = "declined"
        _word(answer, Reason.ORIGINAL_COMPLETED)
    elif status not in {Status.REVERSED, Status.RELEASED}:
        captured = bool(authorization.completions)
        to = Status.COMPLETED if captured else Status.REVERSED
        account = await get_account(session, account_id=authorization.account_id)
        answer.currency = account.currency
        answer.released_minor = await end_hold(
            session, authorization, to=to, evidence=f"reversed: {context.reason}", staff_id=context.staff_id, now=context.now
        )
        if captured:
            # What was dispensed stays booked, each completion under its own key.
            _word(answer, Reason.ORIGINAL_COMPLETED)
    return Outcome.of(authorization.account_id, authorization.authorization_id, answer)


async def _reverse_sale(session: AsyncSession, operation: Operation, sale: Sale, context: ReversalContext) -> Outcome:
    answer = ReversalAnswer(outcome="reversed", original=_NAMES[operation], currency=sale.currency, booked_at=instant_text(context.now))
    if SaleStatus(sale.status) in {SaleStatus.REFUNDED, SaleStatus.VOIDED}:
        _word(answer, Reason.ORIGINAL_REVERSED)
    elif sale.gross_minor > sale.refunded_minor:
        refunded = await mirror_sale(
            session,
            sale=sale,
            account=await get_account(session, account_id=sale.account_id),
            place=context.place,
            wanted=None,
            void=None,
            reason=context.reason,
            staff_id=context.staff_id,
            event_at=context.event_at,
            now=context.now,
        )
        answer.refund = refunded.answer
    return Outcome.of(sale.account_id, sale.sale_id, answer)


async def _reverse_topup(session: AsyncSession, topup_id: UUID, context: ReversalContext) -> Outcome:
    topup = await get_topup(session, topup_id=topup_id)
    actor = actor_for(staff_id=context.staff_id, terminal_id=context.place.terminal_id)
    answer = ReversalAnswer(
        outcome="reversed",
        original="topup",
        currency=topup.currency,
        topup_minor=topup.amount_minor,
        booked_at=instant_text(context.now),
    )
    if topup.status is TopupStatus.PENDING:
        await cancel_bank_load(session, topup_id=topup_id, reason=context.reason, actor=actor, now=context.now)
    elif topup.status is TopupStatus.BOOKED:
        await void_topup(
            session,
            policy=context.policy,
            topup_id=topup_id,
            reason=context.reason,
            actor=actor,
            now=context.now,
            approved_by=context.approved_by,
            reversal_reference=context.reversal_reference,
        )
    else:
        answer.topup_minor = 0
        _word(answer, Reason.ORIGINAL_REVERSED)
    return Outcome.of(topup.account_id, topup_id, answer)


def _word(answer: ReversalAnswer, reason: Reason) -> None:
    answer.reason = reason.code
    answer.message_zh, answer.message_en = say(reason)


def _unknown(now: datetime) -> ReversalAnswer:
    answer = ReversalAnswer(outcome="reversed", booked_at=instant_text(now))
    _word(answer, Reason.ORIGINAL_UNKNOWN)
    return answer
