"""Fuel on account: terms with a maker and a checker, bills at each period's end, repayments to the oldest bill, the block of who is late.

The pump knows one number, the pool's credit limit. Everything here only moves that number: down to what is drawn while a bill is too
late, back up once it is paid.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.db import locked
from loyalty.errors import NotFound, Refusal
from loyalty.fleet.allocation_rules import Span, before, instants, span_of
from loyalty.fleet.model import Company
from loyalty.fleet.model_credit import PROPOSAL_MOVES, CompanyCredit, CreditBill, CreditProposal, ProposalStatus
from loyalty.fleet.model_notices import NoticeKind
from loyalty.fleet.queries.credit import drawn_of, loads_of, owed_of
from loyalty.ids import uuid7
from loyalty.ledger.credit import set_credit_limits
from loyalty.ledger.model import HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import Leg, ensure_house, ensure_purse, post
from loyalty.money import shown
from loyalty.topups.operations.traces import require_move, staff_of
from loyalty.topups.rules import SecondPersonNeeded

from .notices import News, notify

_SYSTEM: Final = Actor(ActorKind.SYSTEM, "credit")
STEPS: Final = (1, 15, 30)
"""Days late at which a company is told."""

_PAY: Final = """
WITH seen AS (
    SELECT c.company_id, c.loads_seen_minor, coalesce(t.loads, 0) AS loads, greatest(-coalesce(p.balance_minor, 0), 0) AS drawn
    FROM company_credits c JOIN companies m ON m.company_id = c.company_id
    LEFT JOIN LATERAL (
        SELECT sum(amount_minor)::bigint AS loads FROM topups WHERE account_id = m.account_id AND status = 'booked'
    ) t ON true
    LEFT JOIN purses p ON p.account_id = m.account_id AND p.kind = 1 AND p.card_id IS NULL
    WHERE c.company_id = ANY(:companies)
), open AS (
    SELECT b.bill_id, b.company_id, b.billed_minor - b.repaid_minor AS owed,
        sum(b.billed_minor - b.repaid_minor) OVER (PARTITION BY b.company_id) AS whole,
        sum(b.billed_minor - b.repaid_minor) OVER (PARTITION BY b.company_id ORDER BY b.due_day, b.bill_id) AS upto
    FROM credit_bills b WHERE b.settled_at IS NULL AND b.company_id = ANY(:companies)
), paid AS (
    SELECT o.bill_id, o.owed, least(o.owed, greatest(s.loads - s.loads_seen_minor, o.whole - s.drawn, 0) - (o.upto - o.owed)) AS pays
    FROM open o JOIN seen s ON s.company_id = o.company_id
), settled AS (
    UPDATE credit_bills b SET repaid_minor = b.repaid_minor + paid.pays,
        settled_at = CASE WHEN paid.pays = paid.owed THEN CAST(:now AS timestamptz) END
    FROM paid WHERE paid.bill_id = b.bill_id AND paid.pays > 0 RETURNING b.bill_id, b.company_id, b.repaid_minor, paid.pays
), noted AS (
    INSERT INTO credit_repayments (bill_id, repaid_minor, company_id, amount_minor, at)
    SELECT bill_id, repaid_minor, company_id, pays, CAST(:now AS timestamptz) FROM settled
), marked AS (
    UPDATE company_credits c SET loads_seen_minor = s.loads FROM seen s
    WHERE s.company_id = c.company_id AND c.loads_seen_minor <> s.loads RETURNING c.company_id
)
SELECT count(*) FROM settled
"""
_LATE: Final = """
SELECT c.company_id, m.account_id, c.limit_minor, coalesce(bool_or(
    b.due_day + c.block_after_days < CAST(CAST(:now AS timestamptz) AT TIME ZONE m.time_zone AS date)), false) AS late
FROM company_credits c JOIN companies m ON m.company_id = c.company_id
LEFT JOIN credit_bills b ON b.company_id = c.company_id AND b.settled_at IS NULL
WHERE c.company_id = ANY(:companies) GROUP BY c.company_id, m.account_id ORDER BY c.company_id
"""
_BLOCK: Final = """
UPDATE company_credits SET blocked_at = CASE WHEN company_id = ANY(:late) THEN coalesce(blocked_at, CAST(:now AS timestamptz)) END
WHERE company_id = ANY(:companies) AND (blocked_at IS NOT NULL) <> (company_id = ANY(:late))
RETURNING company_id, blocked_at IS NOT NULL AS blocked
"""
_UNTOLD: Final = """
SELECT b.company_id, b.bill_id, s.step, b.billed_minor - b.repaid_minor AS open_minor, b.due_day
FROM credit_bills b JOIN companies m ON m.company_id = b.company_id
JOIN unnest(CAST(:steps AS smallint[])) s(step)
    ON b.due_day + s.step <= CAST(CAST(:now AS timestamptz) AT TIME ZONE m.time_zone AS date)
WHERE b.settled_at IS NULL AND b.company_id = ANY(:companies) AND NOT EXISTS (
    SELECT FROM company_notices n
    WHERE n.company_id = b.company_id AND n.kind = 'bill_late' AND n.subject_id = b.bill_id AND n.step = s.step)
ORDER BY b.bill_id, s.step
"""


class CreditStillDrawn(Refusal):
    """Who is to pay in advance from now on settles first."""

    status = 409
    zh = "挂账还有 {drawn} 未还，不能改为预付。"
    en = "{drawn} is still drawn on account; the company cannot go over to prepaid."
    next_zh = "请先还清欠款。"
    next_en = "Have the debt settled first."


class CreditProposalWaits(Refusal):
    """One proposal at a time."""

    status = 409
    zh = "已有一份挂账条件等待复核。"
    en = "Terms are waiting for their checker already."
    next_zh = "请先复核或撤回。"
    next_en = "Decide or withdraw them first."


class CreditProposalNotFound(NotFound):
    """No such proposal."""

    zh = "没有这份挂账条件。"
    en = "No such terms."


async def propose_credit(
    session: AsyncSession,
    *,
    company_id: UUID,
    limit_minor: int,
    terms_days: int,
    block_after_days: int,
    own_use: bool = False,
    note: str,
    actor: Actor,
    now: datetime,
) -> CreditProposal:
    """Propose a company's terms; a limit of nothing means prepaid again. Nothing moves until somebody else approves.

    `own_use`: it is the chain itself; its fills are booked as the chain's expense day by day, and the limit is a day's.

    :raises CreditStillDrawn: if it shall be prepaid or the chain's own and still owes
    :raises CreditProposalWaits: if other terms wait
    """
    company = await session.get_one(Company, company_id)
    await _refuse_drawn(session, company, limit_minor, own_use=own_use)
    made: CreditProposal | None = await session.scalar(
        upsert(CreditProposal)
        .values(
            proposal_id=uuid7(now),
            company_id=company_id,
            limit_minor=limit_minor,
            terms_days=terms_days,
            block_after_days=block_after_days,
            own_use=own_use,
            note=note,
            status=ProposalStatus.PROPOSED,
            made_by=staff_of(actor),
            made_at=now,
        )
        .on_conflict_do_nothing(index_elements=[CreditProposal.company_id], index_where=text("status = 'proposed'"))
        .returning(CreditProposal)
    )
    if made is None:
        raise CreditProposalWaits
    await _trace(session, made, "fleet.credit_proposed", actor, now)
    return made


async def decide_credit(session: AsyncSession, *, proposal_id: UUID, to: ProposalStatus, actor: Actor, now: datetime) -> CreditProposal:
    """Approve or turn down another's proposal, or withdraw one's own; approved terms stand at the pump at once.

    :raises CreditProposalNotFound: if there is none
    :raises CannotMove: if it was decided
    :raises SecondPersonNeeded: if the maker decides, or somebody else withdraws
    :raises CreditStillDrawn: if it shall be prepaid and owes by now
    """
    found: CreditProposal | None = await session.scalar(locked(select(CreditProposal).where(CreditProposal.proposal_id == proposal_id)))
    if found is None:
        raise CreditProposalNotFound
    require_move(PROPOSAL_MOVES, found.status, to)
    if (staff_of(actor) == found.made_by) != (to is ProposalStatus.WITHDRAWN):
        raise SecondPersonNeeded
    found.status, found.decided_by, found.decided_at = to, staff_of(actor), now
    if to is ProposalStatus.APPROVED:
        company = await session.get_one(Company, found.company_id)
        await _refuse_drawn(session, company, found.limit_minor, own_use=found.own_use)
        await _agree(session, company, found, now=now)
    await session.flush()
    await _trace(session, found, f"fleet.credit_{to.value}", actor, now)
    return found


async def bill_due(session: AsyncSession, *, now: datetime) -> int:
    """Bill every period that ended since the last look: what is drawn and on no bill yet; book what the chain itself used.

    Return how many bills and bookings were made.
    """
    made = 0
    lines = select(CompanyCredit, Company).join(Company, Company.company_id == CompanyCredit.company_id)
    for credit, company in (await session.execute(lines.order_by(CompanyCredit.company_id).with_for_update(of=CompanyCredit))).all():
        if credit.own_use:
            made += await _book_own_use(session, credit, company, now=now)
            continue
        last = before(span_of(clock.local_date(now, company.time_zone), period_day=company.period_day))
        ended = instants(last, company.time_zone)[1]
        if credit.billed_until >= ended:
            continue
        # Repayments that came before the bill settle the older ones: what is left of the drawn amount is this period's.
        await _pay(session, [credit.company_id], now=now)
        owed = await owed_of(session, company_id=credit.company_id)
        unbilled = await _drawn_and_open(session, company, ended) - owed
        credit.billed_until = ended
        if unbilled > 0:
            made += 1
            bill = CreditBill(
                bill_id=uuid7(now),
                company_id=credit.company_id,
                first_day=last.first,
                end_day=last.end,
                due_day=last.end + timedelta(days=credit.terms_days),
                billed_minor=unbilled,
                repaid_minor=0,
                made_at=now,
            )
            session.add(bill)
            told = News(credit.company_id, bill.bill_id, {"minor": unbilled, "due": bill.due_day.isoformat()})
            await notify(session, kind=NoticeKind.BILL_MADE, news=[told], at=now)
        await session.flush()
    return made


async def _drawn_and_open(session: AsyncSession, company: Company, at: datetime) -> int:
    """Return what was drawn at an instant and still is: what came in since has paid for the rest."""
    return min(await drawn_of(session, account_id=company.account_id, at=at), await drawn_of(session, account_id=company.account_id))


async def _book_own_use(session: AsyncSession, credit: CompanyCredit, company: Company, *, now: datetime) -> bool:
    """Book what the chain's own vehicles drew until today began as its expense; what is under way or refunded meets the next day's."""
    today = clock.local_date(now, company.time_zone)
    begins = instants(Span(today, today + timedelta(days=1)), company.time_zone)[0]
    if credit.billed_until >= begins:
        return False
    used = await _drawn_and_open(session, company, begins)
    credit.billed_until = begins
    await session.flush()
    if used <= 0:
        return False
    pool = await ensure_purse(session, account_id=company.account_id, kind=PurseKind.PRINCIPAL, unit=company.currency, now=now)
    expense = await ensure_house(session, code=HouseCode.OWN_USE, currency=company.currency, reference=str(company.company_id), now=now)
    leg = Leg(expense, pool, used, TransferKind.ADJUSTMENT, company.currency)
    await post(session, account_id=company.account_id, legs=[leg], operation_id=uuid7(now), event_at=now, now=now)
    facts = {"day": today.isoformat(), "amount_minor": used}
    await audit.record(session, actor=_SYSTEM, action="fleet.own_use_booked", subject=("company", company.company_id), facts=facts, now=now)
    return True


async def settle_credit(session: AsyncSession, *, now: datetime) -> int:
    """Let top-ups repay the oldest bills first, tell who is late, block who is too late and lift it again; return how many bills moved."""
    standing = select(CompanyCredit.company_id).order_by(CompanyCredit.company_id)
    return await _settle(session, list(await session.scalars(standing.with_for_update())), now=now)


async def _settle(session: AsyncSession, companies: list[UUID], *, now: datetime) -> int:
    """Do it for these companies, whose lines are locked."""
    if not companies:
        return 0
    moved = await _pay(session, companies, now=now)
    await _tell_late(session, companies, now=now)
    rows = (await session.execute(text(_LATE), {"companies": companies, "now": now})).all()
    late = [row.company_id for row in rows if row.late]
    changed = (await session.execute(text(_BLOCK), {"companies": companies, "late": late, "now": now})).all()
    for kind, blocked in ((NoticeKind.CREDIT_BLOCKED, True), (NoticeKind.CREDIT_LIFTED, False)):
        await notify(session, kind=kind, news=[News(one.company_id, uuid7(now), {}) for one in changed if one.blocked is blocked], at=now)
    await set_credit_limits(session, {row.account_id: 0 if row.late else row.limit_minor for row in rows})
    return moved


async def _tell_late(session: AsyncSession, companies: list[UUID], *, now: datetime) -> None:
    rows = await session.execute(text(_UNTOLD), {"companies": companies, "steps": list(STEPS), "now": now})
    news = [
        News(one.company_id, one.bill_id, {"minor": one.open_minor, "due": one.due_day.isoformat()}, step=one.step) for one in rows.all()
    ]
    await notify(session, kind=NoticeKind.BILL_LATE, news=news, at=now)


async def _pay(session: AsyncSession, companies: list[UUID], *, now: datetime) -> int:
    return int((await session.execute(text(_PAY), {"companies": companies, "now": now})).scalar_one())


async def _agree(session: AsyncSession, company: Company, terms: CreditProposal, *, now: datetime) -> None:
    agreed = {
        "limit_minor": terms.limit_minor,
        "terms_days": terms.terms_days,
        "block_after_days": terms.block_after_days,
        "own_use": terms.own_use,
        "updated_at": now,
    }
    loads = await loads_of(session, account_id=company.account_id)
    today = clock.local_date(now, company.time_zone)
    span = Span(today, today) if terms.own_use else span_of(today, period_day=company.period_day)
    first = {"company_id": company.company_id, "loads_seen_minor": loads, "billed_until": instants(span, company.time_zone)[0]}
    known = await session.get(CompanyCredit, company.company_id)
    changed = agreed if known is None or known.own_use == terms.own_use else first | agreed
    await session.execute(
        upsert(CompanyCredit).values(first | agreed).on_conflict_do_update(index_elements=[CompanyCredit.company_id], set_=changed)
    )
    await ensure_purse(session, account_id=company.account_id, kind=PurseKind.PRINCIPAL, unit=company.currency, now=now)
    await _settle(session, [company.company_id], now=now)


async def _refuse_drawn(session: AsyncSession, company: Company, limit_minor: int, *, own_use: bool) -> None:
    """Hold that a debt is settled before nobody bills it any more: by the company, or by the chain's expense."""
    known = await session.get(CompanyCredit, company.company_id)
    changes = own_use != (known is not None and known.own_use)
    drawn = await drawn_of(session, account_id=company.account_id)
    if (limit_minor == 0 or changes) and drawn > 0:
        raise CreditStillDrawn(drawn=shown(drawn, company.currency))


async def _trace(session: AsyncSession, one: CreditProposal, action: str, actor: Actor, now: datetime) -> None:
    facts: dict[str, Any] = {"limit_minor": one.limit_minor, "terms_days": one.terms_days, "block_after_days": one.block_after_days}
    facts |= {"own_use": one.own_use, "note": one.note}
    await audit.record(session, actor=actor, action=action, subject=("company", one.company_id), facts=facts, now=now)
