"""A company's table of allocation, and its terms."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.errors import Refusal
from loyalty.fleet.allocation_rules import Rate
from loyalty.fleet.model_allocations import AllocationRate, AllocationSettings
from loyalty.fleet.queries.allocations import Terms
from loyalty.fleet.queries.companies import lock_company
from loyalty.ids import uuid7


class RatesNotSound(Refusal):
    """A line that says nothing, or two that speak of the same vehicles."""

    status = 422
    zh = "定额表第 {line} 行不正确：{why_zh}。"
    en = "Line {line} of the table is not right: {why_en}."
    next_zh = "请改正后再保存。"
    next_en = "Correct it and save again."


async def put_rates(session: AsyncSession, *, company_id: UUID, rates: Sequence[Rate], actor: Actor, now: datetime) -> None:
    """Put these lines in the place of a company's whole table.

    :raises CompanyNotFound: if there is no such company
    :raises RatesNotSound: naming the line that is wrong
    """
    await lock_company(session, company_id=company_id)
    for number, rate in enumerate(rates, 1):
        _require_sound(number, rate, rates[: number - 1])
    await session.execute(delete(AllocationRate).where(AllocationRate.company_id == company_id))
    if rates:
        rows = [{"rate_id": uuid7(now), "company_id": company_id, "updated_at": now, **rate._asdict()} for rate in rates]
        await session.execute(insert(AllocationRate), rows)
    facts = {"lines": [list(rate) for rate in rates]}
    await audit.record(session, actor=actor, action="fleet.allocation_rates", subject=("company", company_id), facts=facts, now=now)


def _require_sound(number: int, rate: Rate, before: Sequence[Rate]) -> None:
    def wrong(zh: str, en: str) -> RatesNotSound:
        return RatesNotSound(line=number, why_zh=zh, why_en=en)

    if (rate.quantity_milli is None) == (rate.amount_minor is None):
        raise wrong("升数与金额须且只能填一项", "give litres or an amount, one of them")
    if any(figure is not None and figure <= 0 for figure in (rate.quantity_milli, rate.amount_minor)):
        raise wrong("定额须大于 0", "the figure must be above 0")
    if rate.from_ml < 0 or (rate.below_ml is not None and rate.below_ml <= rate.from_ml):
        raise wrong("排量区间不正确", "the band of displacement is empty")
    if rate.factor_percent is not None and not 1 <= rate.factor_percent <= 500:
        raise wrong("系数须在 1% 至 500% 之间", "the factor is between 1 % and 500 %")
    for other in before:
        same = other.vehicle_type == rate.vehicle_type
        if same and other.from_ml < (rate.below_ml or 10**9) and rate.from_ml < (other.below_ml or 10**9):
            raise wrong("与前面一行的区间重叠", "its band overlaps an earlier line's")


async def put_terms(session: AsyncSession, *, company_id: UUID, terms: Terms, actor: Actor, now: datetime) -> None:
    """Set a company's terms of allocation.

    :raises CompanyNotFound: if there is no such company
    """
    await lock_company(session, company_id=company_id)
    values = {"standing": terms.standing, "early_below_percent": min(max(terms.early_below_percent, 0), 100), "updated_at": now}
    await session.execute(
        upsert(AllocationSettings)
        .values(company_id=company_id, **values)
        .on_conflict_do_update(index_elements=[AllocationSettings.company_id], set_=values)
        .execution_options(populate_existing=True)
    )
    session.expire_all()
    facts = {"standing": terms.standing, "early_below_percent": values["early_below_percent"]}
    await audit.record(session, actor=actor, action="fleet.allocation_terms", subject=("company", company_id), facts=facts, now=now)
