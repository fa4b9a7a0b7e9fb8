"""Ending a hold without a dispense: the nozzle was never lifted, the authorisation is reversed, or nobody came."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.answers import ReleaseAnswer
from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.facts import Place
from loyalty.authorizations.hot import AuthorizationNotFound
from loyalty.authorizations.levelling import subjects_in
from loyalty.authorizations.model import MOVES, Authorization, Status, UnresolvedDispense
from loyalty.authorizations.wire import reference
from loyalty.errors import Refusal
from loyalty.ids import uuid7_floor
from loyalty.ledger import operations as ledger
from loyalty.ledger.queries import get_account
from loyalty.ledger.rules import Take
from loyalty.pricing.freezing import Frozen, give_back
from loyalty.pricing.operations import budgets
from loyalty.pricing.queries import book_numbered

from .locking import count, find_authorization, held_by, instant_text, is_open

LOOK_BACK: Final = timedelta(days=2)
"""How far back the job looks for holds that ran out: it runs every few minutes, and longer after an outage."""


class DispenseReported(Refusal):
    """Litres were booked on this authorisation, so its nozzle was lifted."""

    zh = "该笔授权已有加油记录，不能按未提枪处理。"
    en = "Litres were booked on this authorisation: its nozzle was lifted."
    next_zh = "请核对加油机记录；若有误，请退款。"
    next_en = "Look at the pump's record; refund the sale if it is wrong."


class AuthorizationCannotMove(Refusal):
    """Its present status does not lead there."""

    zh = "该笔授权当前状态为 {status}，不能变为 {to}。"
    en = "The authorisation is {status}; it cannot become {to}."
    next_zh = "请刷新后核对最新状态。"
    next_en = "Look at its present status first."


async def report_nozzle_not_lifted(
    session: AsyncSession, *, account_id: UUID, authorization_id: UUID, place: Place, now: datetime
) -> Outcome:
    """Release an approved authorisation of this station whose pump never started; said twice, it is released once.

    :raises AuthorizationNotFound: if there is none at this station
    :raises DispenseReported: if litres were booked on it
    :raises AuthorizationCannotMove: if it was declined or reversed
    """
    authorization = await find_authorization(session, account_id=account_id, authorization_id=authorization_id, lock=True)
    if authorization is None or authorization.station_id != place.station_id:
        raise AuthorizationNotFound
    if authorization.completions or authorization.captured_minor or authorization.captured_milli:
        raise DispenseReported(authorization=reference(account_id, authorization_id))
    released = 0
    if Status(authorization.status) is not Status.RELEASED:
        released = await end_hold(session, authorization, to=Status.RELEASED, evidence="nozzle not lifted, by the terminal", now=now)
    account = await get_account(session, account_id=account_id)
    answer = ReleaseAnswer(
        outcome="released",
        authorization=reference(account_id, authorization_id),
        currency=account.currency,
        released_minor=released,
        booked_at=instant_text(now),
    )
    return Outcome.of(account_id, authorization_id, answer)


async def end_hold(
    session: AsyncSession,
    authorization: Authorization,
    *,
    to: Status,
    evidence: str,
    now: datetime,
    staff_id: UUID | None = None,
    approved_by: UUID | None = None,
) -> int:
    """Give back all that a locked authorisation holds, and what the limits counted for it; return the amount in minor units.

    Where something was captured before, only the rest goes back and the fill goes on counting.

    :raises AuthorizationCannotMove: if its status does not lead to `to`
    """
    if not is_open(authorization) or to not in MOVES[Status(authorization.status)]:
        raise AuthorizationCannotMove(status=Status(authorization.status).name.lower(), to=to.name.lower())
    held = held_by(authorization)
    if held:
        takes = [Take(purse_id, amount) for purse_id, amount in held.items()]
        await ledger.release_holds(session, account_id=authorization.account_id, takes=takes)
    captured = authorization.completions > 0 and (authorization.captured_minor > 0 or authorization.captured_milli > 0)
    await count(
        session,
        account_id=authorization.account_id,
        chain_id=authorization.chain_id,
        day=authorization.business_day,
        amount_minor=-sum(held.values()),
        quantity_milli=-max(0, authorization.approved_milli - authorization.captured_milli),
        fills=0 if captured else -1,
        at=authorization.event_at,
        subjects=subjects_in(authorization.prompts),
    )
    await _give_benefits_back(session, authorization, delivered=captured)
    authorization.status = int(to)
    authorization.hold_purses, authorization.hold_minors = [], []
    await session.flush()
    await resolve(session, authorization, resolution="released", evidence=evidence, staff_id=staff_id, approved_by=approved_by, now=now)
    return sum(held.values())


async def _give_benefits_back(session: AsyncSession, authorization: Authorization, *, delivered: bool) -> None:
    """Give back what the rules set aside: room of caps and budgets, and the visit where nothing was delivered."""
    if authorization.frozen is None:
        return
    frozen = msgspec.convert(authorization.frozen, Frozen)
    if not frozen.counts and not any(rule.set_aside for rule in frozen.rules):
        return
    book = await book_numbered(session, number=frozen.book)
    assert book is not None, "a rulebook is never deleted"
    counts, uses = give_back(book, frozen, delivered=delivered)
    await budgets.count(session, counts=counts)
    await budgets.take(session, uses=uses)


async def resolve(
    session: AsyncSession,
    authorization: Authorization,
    *,
    resolution: str,
    evidence: str | None,
    staff_id: UUID | None,
    approved_by: UUID | None,
    now: datetime,
) -> None:
    """Close the authorisation's unresolved dispense, where there is one."""
    await session.execute(
        update(UnresolvedDispense)
        .where(
            UnresolvedDispense.account_id == authorization.account_id,
            UnresolvedDispense.authorization_id == authorization.authorization_id,
            UnresolvedDispense.resolved_at.is_(None),
        )
        .values(resolved_at=now, resolution=resolution, evidence=evidence, staff_id=staff_id, approved_by=approved_by)
    )


async def expire_holds(session: AsyncSession, *, now: datetime, look_back: timedelta = LOOK_BACK, limit: int = 1000) -> int:
    """Make approved authorisations whose completion did not come in time unresolved dispenses; return how many, at most `limit`.

    The hold stays and nothing else does: fuel may be in the tank. One whose nozzle was reported not lifted was released then. A pending
    review that nobody decided lets go of its hold, since no pump started on it. Rows that somebody works on are left for the next run.
    """
    moved = await session.scalar(
        text(
            """
            WITH due AS (
                SELECT account_id, authorization_id FROM authorizations
                WHERE authorization_id >= :since AND status IN (1, 5) AND expires_at <= :now
                ORDER BY account_id, authorization_id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
            ), moved AS (
                UPDATE authorizations a SET status = 9 FROM due
                WHERE a.account_id = due.account_id AND a.authorization_id = due.authorization_id
                RETURNING a.account_id, a.authorization_id, a.station_id
            ), opened AS (
                -- one that went on after it ran out is on the board already
                INSERT INTO unresolved_dispenses (account_id, authorization_id, station_id, opened_at)
                SELECT account_id, authorization_id, station_id, :now FROM moved
                ON CONFLICT (account_id, authorization_id) DO NOTHING
            )
            SELECT count(*) FROM moved
            """
        ),
        {"since": uuid7_floor(now - look_back), "now": now, "limit": limit},
    )
    undecided = await session.execute(
        select(Authorization.account_id, Authorization.authorization_id)
        .where(
            Authorization.authorization_id >= uuid7_floor(now - look_back),
            Authorization.status == Status.PENDING_REVIEW,
            Authorization.expires_at <= now,
        )
        .order_by(Authorization.account_id, Authorization.authorization_id)
        .limit(limit)
    )
    released = 0
    for account_id, authorization_id in undecided.all():
        authorization = await find_authorization(session, account_id=account_id, authorization_id=authorization_id, lock=True)
        if authorization is not None and Status(authorization.status) is Status.PENDING_REVIEW:
            await end_hold(session, authorization, to=Status.RELEASED, evidence="review ran out", now=now)
            released += 1
    return int(moved or 0) + released
