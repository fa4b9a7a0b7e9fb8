"""Loading in bulk: prepared on the moved check day, loaded chunk by chunk, each line its own effect.

A chunk is one transaction: purses, transfers, lines, requests and the run's counts change together or not at all, and a line that is done
is never taken again. A killed run is simply taken up; what it had not committed did not happen.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.cards.model import HOLDING, Card
from loyalty.cards.queries import lock_cards
from loyalty.clock import local_date
from loyalty.db import Sessions, crash_point, locked, transaction
from loyalty.errors import Refusal
from loyalty.fleet.allocation_rules import Loading, Span, check_on, decide_line, due_day, run_sources
from loyalty.fleet.model import UnusedMode
from loyalty.fleet.model_allocations import AllocationKind, AllocationLine, AllocationRun, LineResult, RequestStatus, RunStatus
from loyalty.fleet.queries.allocations import RunNotFound, RunView, get_run, monthly_run, pool_minor, terms_of
from loyalty.fleet.queries.companies import CompanyView, get_company
from loyalty.ids import uuid7
from loyalty.ledger.batches import Between, lock_pool_and_cards, post_between
from loyalty.ledger.model import Account, AccountStatus, TransferKind
from loyalty.ledger.queries import get_account_for_update
from loyalty.ledger.rules import PurseView
from loyalty.policy import Policy
from loyalty.stations.queries.calendar import calendar_of
from loyalty.topups.rules import cap_of
from loyalty.workdays import YearNotCovered

from .allocation_decisions import submit, who
from .allocation_news import tell_loaded, tell_prepared, tell_stopped
from .allocations import SYSTEM, check_requests, propose_all
from .moves import require_pool

CHUNK: Final = 500


class RunNotPrepared(Refusal):
    """The requests of a period are checked, and its run prepared, on its workday."""

    zh = "该周期的分配将在 {check_on} 检查后进行，目前尚未准备。"
    en = "The allocation of this period is prepared on {check_on}, when its requests are checked."
    next_zh = "请在检查日之后再执行；急用可提前申请。"
    next_en = "Load it from that day on; for a card that is nearly empty make an early request."


class NothingToLoad(Refusal):
    """There is no approved request that has not been loaded."""

    zh = "没有已批准且未充入的申请。"
    en = "There is no approved request that waits to be loaded."
    next_zh = "请先完成审批。"
    next_en = "Approve some first."


class NothingFailed(Refusal):
    """No line of the run was refused, or it is still loading."""

    zh = "该批次没有可重试的失败记录。"
    en = "No line of this run failed, or it is still loading."


class Prepared(NamedTuple):
    """What came of preparing a period: the run, how many cards were proposed, and what the checks hold back (code → how many)."""

    run_id: UUID
    alarm: str | None
    requests: int
    held: dict[str, int]


class Chunk(NamedTuple):
    """What one chunk did."""

    loaded: int
    refused: int
    left: int


async def day_of(session: AsyncSession, *, company: CompanyView, span: Span) -> date:
    """Return the workday on which a period's requests are checked.

    :raises YearNotCovered: if the calendar of that year is missing
    """
    due = due_day(span, check_day=company.check_day)
    calendar = await calendar_of(session, country=company.country, first=due.year - 1, last=due.year + 1)
    return check_on(span, check_day=company.check_day, mode=company.workday_mode.value, calendar=calendar)


async def prepare_run(session: AsyncSession, *, company_id: UUID, span: Span, actor: Actor, now: datetime) -> Prepared | None:
    """Propose, ask for the standing ones, check, and make the period's run, once its moved check day has come; None before, and after.

    Where the calendar of that year is missing the run says so, as an alarm; it is prepared once the calendar is there.

    :raises CompanyNotFound: if there is no such company
    :raises CompanyIsPooled: if its cards draw on the pool
    """
    company = await get_company(session, company_id=company_id)
    today = local_date(now, company.time_zone)
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(company_id), 9))))
    run = await monthly_run(session, company_id=company_id, period_from=span.first)
    if run is not None and run.status is not RunStatus.ALARM:
        return None
    try:
        day = await day_of(session, company=company, span=span)
    except YearNotCovered as missing:
        if run is not None or today < due_day(span, check_day=company.check_day):
            return None
        alarm = f"{missing.code}:{missing.facts['year']}"
        run_id = await _put_run(session, company, span, day=None, alarm=alarm, now=now)
        await tell_stopped(session, company_id=company_id, run_id=run_id, period=span.first, year=int(str(missing.facts["year"])), now=now)
        return Prepared(run_id, alarm, 0, {})
    if today < day:
        return None
    proposed = await propose_all(session, company_id=company_id, span=span, actor=actor, now=now)
    await _submit_standing(session, company_id=company_id, span=span, actor=actor, now=now)
    held = await check_requests(session, company_id=company_id, span=span, now=now)
    run_id = await _put_run(session, company, span, day=day, alarm=None, now=now)
    facts = {"period": span.first.isoformat(), "check_on": day.isoformat(), "requests": proposed.cards, "held": held}
    await audit.record(session, actor=actor, action="fleet.allocation_prepared", subject=("allocation_run", run_id), facts=facts, now=now)
    await tell_prepared(session, company_id=company_id, run_id=run_id, period=span.first, cards=proposed.cards, held=held, now=now)
    return Prepared(run_id, None, proposed.cards, held)


async def _submit_standing(session: AsyncSession, *, company_id: UUID, span: Span, actor: Actor, now: datetime) -> None:
    if not (await terms_of(session, company_id=company_id)).standing:
        return
    try:
        await submit(session, company_id=company_id, span=span, actor=actor, now=now)
    except Refusal:
        return


async def _put_run(session: AsyncSession, company: CompanyView, span: Span, *, day: date | None, alarm: str | None, now: datetime) -> UUID:
    status = RunStatus.PREPARED if alarm is None else RunStatus.ALARM
    made = upsert(AllocationRun).values(_run(company, AllocationKind.MONTHLY, span, status, now) | {"check_on": day, "alarm": alarm})
    run_id: UUID | None = await session.scalar(
        made.on_conflict_do_update(
            index_elements=[AllocationRun.company_id, AllocationRun.period_from],
            index_where=text("kind = 'monthly'"),
            set_={"check_on": day, "alarm": alarm, "status": status},
            where=AllocationRun.status == RunStatus.ALARM,
        ).returning(AllocationRun.run_id)
    )
    assert run_id is not None, "the caller holds the company's turn and saw none but an alarm"
    return run_id


def _run(company: CompanyView, kind: AllocationKind, span: Span, status: RunStatus, now: datetime) -> dict[str, Any]:
    return {
        "run_id": uuid7(now),
        "company_id": company.company_id,
        "kind": kind,
        "period_from": span.first,
        "period_to": span.end,
        "status": status,
        "lines": 0,
        "loaded": 0,
        "refused": 0,
        "amount_minor": 0,
        "loaded_minor": 0,
        "gathered_minor": 0,
        "created_at": now,
    }


async def start_run(session: AsyncSession, *, company_id: UUID, span: Span, actor: Actor, now: datetime) -> RunView:
    """Give a period's run its lines, all that is approved and in no run, and let it load.

    :raises RunNotPrepared: before the moved check day
    :raises YearNotCovered: if the calendar that tells the day is missing
    :raises NothingToLoad: if nothing approved waits
    :raises PoolTooSmall: if the pool does not hold what the lines need
    """
    company = await get_company(session, company_id=company_id)
    found = await monthly_run(session, company_id=company_id, period_from=span.first)
    if found is None or found.status is RunStatus.ALARM:
        raise RunNotPrepared(check_on=(await day_of(session, company=company, span=span)).isoformat())
    return await _start(session, company, await _lock_run(session, company_id, found.run_id), actor=actor, now=now)


async def start_early(session: AsyncSession, *, company_id: UUID, span: Span, actor: Actor, now: datetime) -> RunView:
    """Make a run of the approved early requests, and let it load.

    :raises NothingToLoad: if nothing approved waits
    :raises PoolTooSmall: if the pool does not hold what the lines need
    """
    company = await get_company(session, company_id=company_id)
    run = AllocationRun(**_run(company, AllocationKind.EARLY, span, RunStatus.PREPARED, now))
    session.add(run)
    await session.flush()
    return await _start(session, company, run, actor=actor, now=now)


async def retry_failed(session: AsyncSession, *, company_id: UUID, run_id: UUID, actor: Actor, now: datetime) -> RunView:
    """Let a finished run try its refused lines again.

    :raises RunNotFound: if the company has none such
    :raises NothingFailed: if no line was refused, or it is still loading
    """
    run = await _lock_run(session, company_id, run_id)
    if run.status is not RunStatus.DONE or not run.refused:
        raise NothingFailed(run=run_id)
    again = (
        await session.execute(
            text(
                """
                WITH tried AS (
                    UPDATE allocation_requests AS r SET status = 'approved', updated_at = :now FROM allocation_lines AS l
                    WHERE l.run_id = :run AND l.result = 'refused' AND r.request_id = l.request_id AND r.status = 'failed'
                    RETURNING l.line
                ) UPDATE allocation_lines AS l SET result = 'waiting', code = NULL, done_at = NULL FROM tried
                WHERE l.run_id = :run AND l.line = tried.line RETURNING l.line
                """
            ),
            {"run": run_id, "now": now},
        )
    ).all()
    if not again:
        raise NothingFailed(run=run_id)
    run.refused -= len(again)
    run.status, run.finished_at, run.heartbeat_at = RunStatus.LOADING, None, now
    await session.flush()
    facts = {"lines": len(again)}
    await audit.record(session, actor=actor, action="fleet.allocation_retried", subject=("allocation_run", run_id), facts=facts, now=now)
    return await get_run(session, company_id=company_id, run_id=run_id)


async def _lock_run(session: AsyncSession, company_id: UUID, run_id: UUID) -> AllocationRun:
    run = await session.scalar(locked(select(AllocationRun).where(AllocationRun.company_id == company_id, AllocationRun.run_id == run_id)))
    if run is None:
        raise RunNotFound(run=run_id)
    return run


_NEW_LINES: Final = """
    INSERT INTO allocation_lines (run_id, line, company_id, request_id, account_id, chain_id, amount_minor, result, gathered_minor,
        loaded_minor, attempts)
    SELECT :run, :last + row_number() OVER (ORDER BY r.department_id, r.request_id), r.company_id, r.request_id, :account, r.chain_id,
        r.wanted_minor, 'waiting', 0, 0, 0
    FROM allocation_requests AS r
    WHERE r.company_id = :company AND r.kind = :kind AND (:kind <> 'monthly' OR r.period_from = :period) AND r.status = 'approved'
        AND r.wanted_minor > 0 AND NOT EXISTS (SELECT FROM allocation_lines AS l WHERE l.request_id = r.request_id)
    RETURNING amount_minor, chain_id
"""


async def _start(session: AsyncSession, company: CompanyView, run: AllocationRun, *, actor: Actor, now: datetime) -> RunView:
    made = (
        await session.execute(
            text(_NEW_LINES),
            {
                "run": run.run_id,
                "last": run.lines,
                "company": company.company_id,
                "account": company.account_id,
                "kind": run.kind.value,
                "period": run.period_from,
            },
        )
    ).all()
    if not made:
        raise NothingToLoad(company=company.company_id)
    total = sum(row.amount_minor for row in made)
    on_cards = (
        await _free_on_cards(session, company, [row.chain_id for row in made]) if _unused(company, run) is not UnusedMode.KEPT else {}
    )
    need = sum(max(row.amount_minor - on_cards.get(row.chain_id, 0), 0) for row in made)
    require_pool(await pool_minor(session, company=company), need, currency=company.currency)
    assert run.status in {*run_sources(RunStatus.LOADING), RunStatus.LOADING}, "an alarm is never loaded"
    run.status, run.finished_at, run.heartbeat_at = RunStatus.LOADING, None, now
    run.started_by, run.started_at = run.started_by or who(actor), run.started_at or now
    run.lines += len(made)
    run.amount_minor += total
    await session.flush()
    facts = {"lines": len(made), "amount_minor": total, "kind": run.kind.value}
    await audit.record(
        session, actor=actor, action="fleet.allocation_started", subject=("allocation_run", run.run_id), facts=facts, now=now
    )
    return await get_run(session, company_id=company.company_id, run_id=run.run_id)


def _unused(company: CompanyView, run: AllocationRun) -> UnusedMode:
    return company.unused if run.kind is AllocationKind.MONTHLY else UnusedMode.KEPT


async def _free_on_cards(session: AsyncSession, company: CompanyView, chain_ids: Sequence[UUID]) -> dict[UUID, int]:
    rows = await session.execute(
        text(
            """
            SELECT c.chain_id, sum(p.balance_minor - p.held_minor)::bigint AS free FROM purses AS p JOIN cards AS c ON c.card_id = p.card_id
            WHERE p.account_id = :account AND p.kind = 1 AND c.chain_id = ANY (CAST(:chains AS uuid[])) GROUP BY c.chain_id
            """
        ),
        {"account": company.account_id, "chains": list(chain_ids)},
    )
    return {row.chain_id: row.free for row in rows}


async def load_run(
    sessions: Sessions, *, policy: Policy, company_id: UUID, run_id: UUID, clock: Callable[[], datetime], chunk: int = CHUNK
) -> int:
    """Load a run to its end, a transaction a chunk; return how many lines were done now. Two at once take turns."""
    done = 0
    while True:
        async with transaction(sessions) as session:
            one = await load_chunk(session, policy=policy, company_id=company_id, run_id=run_id, size=chunk, now=clock())
            crash_point(f"allocation-{done + one.loaded + one.refused}")
        done += one.loaded + one.refused
        crash_point(f"allocated-{done}")
        if not one.left:
            return done


async def load_chunk(session: AsyncSession, *, policy: Policy, company_id: UUID, run_id: UUID, size: int = CHUNK, now: datetime) -> Chunk:
    """Load the next lines of a run in the caller's transaction; the last chunk finishes it.

    :raises RunNotFound: if the company has none such
    """
    run = await _lock_run(session, company_id, run_id)
    if run.status is not RunStatus.LOADING:
        return Chunk(0, 0, 0)
    waiting = (
        await session.execute(
            select(AllocationLine.line, AllocationLine.request_id, AllocationLine.chain_id, AllocationLine.amount_minor)
            .where(AllocationLine.run_id == run_id, AllocationLine.result == LineResult.WAITING)
            .order_by(AllocationLine.line)
            .limit(size)
        )
    ).all()
    lines = [_Line(*row) for row in waiting]
    company = await get_company(session, company_id=company_id)
    results = await _load_lines(session, company, lines, policy=policy, unused=_unused(company, run), now=now) if lines else []
    await _write_results(session, run_id=run_id, results=results, now=now)
    loaded = sum(one.loading.refused is None for one in results)
    left = run.lines - run.loaded - run.refused - len(results)
    run.loaded += loaded
    run.refused += len(results) - loaded
    run.loaded_minor += sum(one.loading.loaded_minor for one in results)
    run.gathered_minor += sum(one.loading.gathered_minor for one in results)
    run.heartbeat_at = now
    if not left:
        run.status, run.finished_at = RunStatus.DONE, now
        facts = {"loaded": run.loaded, "refused": run.refused, "loaded_minor": run.loaded_minor, "gathered_minor": run.gathered_minor}
        await audit.record(
            session, actor=SYSTEM, action="fleet.allocation_loaded", subject=("allocation_run", run_id), facts=facts, now=now
        )
        await tell_loaded(session, run=run, facts=facts, now=now)
    await session.flush()
    return Chunk(loaded, len(results) - loaded, left)


class _Line(NamedTuple):
    line: int
    request_id: UUID
    chain_id: UUID
    amount_minor: int


class _Result(NamedTuple):
    line: _Line
    card_id: UUID | None
    loading: Loading
    gather_id: UUID | None = None
    load_id: UUID | None = None


async def _load_lines(
    session: AsyncSession, company: CompanyView, lines: Sequence[_Line], *, policy: Policy, unused: UnusedMode, now: datetime
) -> list[_Result]:
    """Decide and book lines in order, on cards, account and purses locked as the house locks."""
    cards = await _cards_of(session, company, [line.chain_id for line in lines])
    account = await get_account_for_update(session, account_id=company.account_id)
    if account.status is not AccountStatus.OPEN:
        return [_Result(line, None, Loading(0, 0, "account_closed")) for line in lines]
    pool, own = await lock_pool_and_cards(
        session, account_id=account.account_id, unit=account.currency, card_ids=list(cards.values()), now=now
    )
    decided, moves = _decide(lines, cards, pool, own, unused=unused, cap_minor=_cap(policy, account))
    made = await post_between(session, account_id=account.account_id, unit=account.currency, moves=[move for move, _ in moves], now=now)
    transfers: dict[tuple[int, bool], UUID] = {key: transfer for (_, key), transfer in zip(moves, made, strict=True)}
    return [one._replace(gather_id=transfers.get((one.line.line, True)), load_id=transfers.get((one.line.line, False))) for one in decided]


def _cap(policy: Policy, account: Account) -> int | None:
    return cap_of(policy.for_currency(account.currency), account.kind, allocated=True)


async def _cards_of(session: AsyncSession, company: CompanyView, chain_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Lock the usable cards of chains; return chain → card."""
    found = await session.scalars(
        select(Card.card_id).where(
            Card.chain_id == func.any(list(chain_ids)), Card.account_id == company.account_id, Card.status.in_(HOLDING)
        )
    )
    return {
        card.chain_id: card.card_id
        for card in await lock_cards(session, card_ids=list(found))
        if card.status in HOLDING and card.account_id == company.account_id
    }


def _decide(
    lines: Sequence[_Line],
    cards: dict[UUID, UUID],
    pool: PurseView,
    own: dict[UUID, PurseView],
    *,
    unused: UnusedMode,
    cap_minor: int | None,
) -> tuple[list[_Result], list[tuple[Between, tuple[int, bool]]]]:
    """Decide lines one after the other on what those before left; return results, and moves with (line, is it back to the pool)."""
    results: list[_Result] = []
    moves: list[tuple[Between, tuple[int, bool]]] = []
    free: Counter[UUID] = Counter()
    left = pool.available_minor
    for line in lines:
        card_id = cards.get(line.chain_id)
        if card_id is None:
            results.append(_Result(line, None, Loading(0, 0, "card_stopped")))
            continue
        purse = own[card_id]
        loading = decide_line(
            amount_minor=line.amount_minor,
            unused=unused,
            free_minor=purse.available_minor + free[card_id],
            balance_minor=purse.balance_minor + free[card_id],
            pool_minor=left,
            cap_minor=cap_minor,
        )
        results.append(_Result(line, card_id, loading))
        left += loading.gathered_minor - loading.loaded_minor
        free[card_id] += loading.loaded_minor - loading.gathered_minor
        if loading.gathered_minor:
            back = Between(purse.purse_id, pool.purse_id, loading.gathered_minor, TransferKind.ALLOCATION, line.request_id, card_id)
            moves.append((back, (line.line, True)))
        if loading.loaded_minor:
            out = Between(pool.purse_id, purse.purse_id, loading.loaded_minor, TransferKind.ALLOCATION, line.request_id, card_id)
            moves.append((out, (line.line, False)))
    return results, moves


async def _write_results(session: AsyncSession, *, run_id: UUID, results: Sequence[_Result], now: datetime) -> None:
    if not results:
        return
    await session.execute(
        text(
            """
            UPDATE allocation_lines AS l SET card_id = one.card_id, result = one.result, code = one.code, gathered_minor = one.gathered,
                loaded_minor = one.loaded, gather_id = one.gather_id, load_id = one.load_id, attempts = l.attempts + 1, done_at = :now
            FROM unnest(CAST(:lines AS integer[]), CAST(:cards AS uuid[]), CAST(:results AS text[]), CAST(:codes AS text[]),
                CAST(:gathered AS bigint[]), CAST(:loaded AS bigint[]), CAST(:gathers AS uuid[]), CAST(:loads AS uuid[]))
                AS one (line, card_id, result, code, gathered, loaded, gather_id, load_id)
            WHERE l.run_id = :run AND l.line = one.line AND l.result = 'waiting'
            """
        ),
        {
            "run": run_id,
            "now": now,
            "lines": [one.line.line for one in results],
            "cards": [one.card_id for one in results],
            "results": [(LineResult.REFUSED if one.loading.refused else LineResult.LOADED).value for one in results],
            "codes": [one.loading.refused or one.loading.note for one in results],
            "gathered": [one.loading.gathered_minor for one in results],
            "loaded": [one.loading.loaded_minor for one in results],
            "gathers": [one.gather_id for one in results],
            "loads": [one.load_id for one in results],
        },
    )
    await session.execute(
        text(
            """
            UPDATE allocation_requests AS r SET status = one.status, updated_at = :now
            FROM unnest(CAST(:requests AS uuid[]), CAST(:statuses AS text[])) AS one (request_id, status)
            WHERE r.request_id = one.request_id AND r.status = 'approved'
            """
        ),
        {
            "now": now,
            "requests": [one.line.request_id for one in results],
            "statuses": [(RequestStatus.FAILED if one.loading.refused else RequestStatus.LOADED).value for one in results],
        },
    )
