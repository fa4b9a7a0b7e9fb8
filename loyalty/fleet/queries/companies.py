"""Reading companies: their settings, and which ones there are."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.customers.model import Customer
from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.fleet.model import Company, CompanyMode, SilencePolicy, UnusedMode, WorkdayMode
from loyalty.paging import PAGE_SIZE, Page, all_as, keys_for, one_as, page_as


class CompanyNotFound(NotFound):
    """Unknown, or another tenant's: the answer is the same."""

    zh = "没有此企业，或尚未开通车队管理。"
    en = "There is no such company, or it does not manage a fleet."


class CompanyView(msgspec.Struct, frozen=True):
    """A company with its settings; `name` is its organisation's."""

    company_id: UUID
    name: str
    short_name: str | None
    country: str
    account_id: UUID
    parent_id: UUID | None
    mode: CompanyMode
    currency: str
    time_zone: str
    period_day: int
    check_day: int
    workday_mode: WorkdayMode
    needs_records: bool
    needs_odometer: bool
    unused: UnusedMode
    silence: SilencePolicy
    deputy_after_s: int
    decide_after_s: int
    custody_blocks: bool
    custodian_lends: bool
    created_at: datetime
    updated_at: datetime


_OF_CUSTOMER = {"name", "short_name", "country"}
_COLUMNS = [getattr(Customer if name in _OF_CUSTOMER else Company, name) for name in CompanyView.__struct_fields__]
_SORTS = {"name": Customer.name_key, "created_at": Company.created_at}


async def get_company(session: AsyncSession, *, company_id: UUID) -> CompanyView:
    """Return a company.

    :raises CompanyNotFound: if there is none
    """
    found = await one_as(session, CompanyView, _whole().where(Company.company_id == company_id))
    if found is None:
        raise CompanyNotFound(company=company_id)
    return found


async def company_of_account(session: AsyncSession, *, account_id: UUID) -> CompanyView | None:
    """Return the company whose one account this is, None where nobody manages it as a fleet."""
    return await one_as(session, CompanyView, _whole().where(Company.account_id == account_id))


async def list_companies(
    session: AsyncSession, *, text: str = "", sort: str = "name", cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[CompanyView]:
    """Read a page of the companies, those with `text` in their name; sorts: name, created_at. For the issuer's office.

    :raises UnknownSort: for another sort
    """
    statement = _whole()
    if text.strip():
        statement = statement.where(Customer.name.icontains(text.strip(), autoescape=True))
    return await page_as(
        session, CompanyView, statement, keys=keys_for(sort, _SORTS, unique=Company.company_id), cursor=cursor, limit=limit
    )


async def members_of(session: AsyncSession, *, company_id: UUID) -> list[CompanyView]:
    """Return the companies right below a group, by name."""
    return await all_as(session, CompanyView, _whole().where(Company.parent_id == company_id).order_by(Customer.name_key))


async def lock_company(session: AsyncSession, *, company_id: UUID) -> Company:
    """Lock and return a company's row: the first lock of whoever changes its structure.

    :raises CompanyNotFound: if there is none
    """
    row = await session.scalar(locked(select(Company).where(Company.company_id == company_id)))
    if row is None:
        raise CompanyNotFound(company=company_id)
    return row


def _whole() -> Select[*tuple[Any, ...]]:
    return select(*_COLUMNS).join(Customer, Customer.customer_id == Company.company_id)
