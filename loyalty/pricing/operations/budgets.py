"""Budgets off the hot path: made and resized with a rulebook, taken from and given back by what is booked one at a time."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import func, insert, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.pricing import document
from loyalty.pricing.bounding import Count
from loyalty.pricing.compiling import budget_id
from loyalty.pricing.freezing import BudgetUse
from loyalty.pricing.model import BenefitCounter, Budget, BudgetShare

SHARES = 8
"""How many shares a budget has: workers draw on different ones and do not wait for each other."""


class BudgetBelowUse(Refusal):
    """A budget is never made smaller than what is used of it."""

    status = 422
    zh = "预算 {budget} 已使用 {used}，不能调到 {wanted}。"
    en = "The budget {budget} has {used} in use; it cannot be set to {wanted}."
    next_zh = "请设为不低于已使用的数额，或停用相关规则。"
    next_en = "Set it no lower than that, or switch its rules off."


async def put_budgets(session: AsyncSession, *, budgets: Iterable[document.Budget], currency: str, now: datetime) -> None:
    """Make or resize a rulebook's budgets; what is used of them stays.

    :raises BudgetBelowUse: if one would be smaller than what is used or set aside
    """
    for budget in sorted(budgets, key=lambda one: budget_id(one.code)):
        identifier = budget_id(budget.code)
        shares = list(
            await session.scalars(locked(select(BudgetShare).where(BudgetShare.budget_id == identifier).order_by(BudgetShare.share)))
        )
        if not shares:
            await _make(session, budget, currency, now)
            continue
        change = budget.total - sum(share.granted for share in shares)
        if change > 0:
            shares[0].granted += change
        for share in shares:
            if change < 0:
                taken = min(share.granted - share.reserved - share.used, -change)
                share.granted -= taken
                change += taken
        if change < 0:
            used = sum(share.reserved + share.used for share in shares)
            raise BudgetBelowUse(budget=budget.code, used=used, wanted=budget.total)
        await session.execute(update(Budget).where(Budget.budget_id == identifier).values(total=budget.total, changed_at=now))
        await session.flush()


async def _make(session: AsyncSession, budget: document.Budget, currency: str, now: datetime) -> None:
    identifier = budget_id(budget.code)
    unit = budget.unit.value
    await session.execute(
        insert(Budget).values(
            budget_id=identifier,
            code=budget.code,
            unit=unit,
            currency=(budget.currency or currency) if unit == "minor" else None,
            total=budget.total,
            changed_at=now,
        )
    )
    each, rest = divmod(budget.total, SHARES)
    await session.execute(
        insert(BudgetShare),
        [
            {"budget_id": identifier, "share": share, "granted": each + (rest if share == 0 else 0), "reserved": 0, "used": 0}
            for share in range(SHARES)
        ],
    )


async def gather(session: AsyncSession, *, budget_ids: Sequence[UUID], share: int) -> dict[UUID, int]:
    """Bring what is free of these budgets into one share, lock it, and return how much that is."""
    free: dict[UUID, int] = {}
    for identifier in sorted(budget_ids):
        found = await session.execute(
            text("SELECT gather_budget(:budget, CAST(:share AS smallint))"), {"budget": identifier, "share": share}
        )
        free[identifier] = int(found.scalar_one())
    return free


async def free_of(session: AsyncSession, *, budget_ids: Sequence[UUID], share: int) -> dict[UUID, int]:  # noqa: ARG001 - asked like `gather`
    """Return what is free of these budgets in all, for a quote: nothing is moved or locked."""
    rows = await session.execute(
        select(BudgetShare.budget_id, func.sum(BudgetShare.granted - BudgetShare.reserved - BudgetShare.used))
        .where(BudgetShare.budget_id.in_(budget_ids))
        .group_by(BudgetShare.budget_id)
    )
    return {identifier: int(free) for identifier, free in rows}


async def take(session: AsyncSession, *, uses: Iterable[BudgetUse]) -> None:
    """Change shares of budgets; the CHECK refuses what would pass them."""
    for use in sorted(uses):
        await session.execute(
            update(BudgetShare)
            .where(BudgetShare.budget_id == use.budget_id, BudgetShare.share == use.share)
            .values(reserved=BudgetShare.reserved + use.reserved, used=BudgetShare.used + use.used)
            .execution_options(synchronize_session=False)
        )


async def count(session: AsyncSession, *, counts: Iterable[Count]) -> None:
    """Change benefits' counters; what is booked must be booked, so nothing is refused here."""
    summed: dict[tuple[UUID, UUID, int], tuple[int, int]] = {}
    for one in counts:
        key = (one.subject_id, one.counter, one.start_ordinal)
        amount, times = summed.get(key, (0, 0))
        summed[key] = amount + one.amount, times + one.times
    for (subject, counter, start), (amount, times) in sorted(summed.items()):
        row = {"subject_id": subject, "cap_id": counter, "start": date.fromordinal(start), "amount": amount, "count": times}
        added = upsert(BenefitCounter).values(row)
        await session.execute(
            added.on_conflict_do_update(
                index_elements=[BenefitCounter.subject_id, BenefitCounter.cap_id, BenefitCounter.start],
                set_={"amount": BenefitCounter.amount + added.excluded.amount, "count": BenefitCounter.count + added.excluded.count},
            )
        )


async def hold_counters(session: AsyncSession, *, keys: Iterable[tuple[UUID, UUID, date]]) -> None:
    """Make and lock counters, (subject, counter, window's first day) each, so that what is read of them next stays true until the commit.

    In the order in which the pump's batch writes them; after purses, before budgets.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return
    rows = [{"subject_id": subject, "cap_id": counter, "start": start, "amount": 0, "count": 0} for subject, counter, start in wanted]
    index = [BenefitCounter.subject_id, BenefitCounter.cap_id, BenefitCounter.start]
    await session.execute(upsert(BenefitCounter).values(rows).on_conflict_do_nothing(index_elements=index))
    await session.execute(select(*index).where(tuple_(*index).in_(wanted)).order_by(*index).with_for_update())


async def counters_of(
    session: AsyncSession, *, subject_ids: Sequence[UUID], counters: Sequence[UUID], since: date
) -> Mapping[tuple[UUID, date], tuple[int, int]]:
    """Return what these subjects had of these counters in windows that may still run: (counter, start) → (amount, times)."""
    if not counters or not subject_ids:
        return {}
    rows = await session.execute(
        select(BenefitCounter.cap_id, BenefitCounter.start, func.sum(BenefitCounter.amount), func.sum(BenefitCounter.count))
        .where(
            BenefitCounter.subject_id.in_(subject_ids),
            BenefitCounter.cap_id.in_(counters),
            (BenefitCounter.start >= since) | (BenefitCounter.start == date(1, 1, 1)),
        )
        .group_by(BenefitCounter.cap_id, BenefitCounter.start)
    )
    return {(counter, start): (int(amount), int(times)) for counter, start, amount, times in rows}
