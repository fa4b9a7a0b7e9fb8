"""Reading what may be invoiced, and the invoices that were asked for."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.model_invoicing import InvoicePot
from loyalty.customers.model import Customer
from loyalty.errors import NotFound
from loyalty.ids import uuid7_floor
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, one_as, page_as
from loyalty.statements.model_invoices import InvoiceLine, InvoiceRequest, InvoiceStatus, InvoiceTitle


class InvoiceNotFound(NotFound):
    """Unknown, or another company's: the answer is the same."""

    zh = "没有找到该发票申请。"
    en = "There is no such invoice."


class TitleNotFound(NotFound):
    """Unknown, closed, or another company's: the answer is the same."""

    zh = "没有此发票抬头，或已停用。"
    en = "There is no such title, or it is closed."


class PotView(msgspec.Struct, frozen=True):
    """Of one grade: how what may be invoiced comes about, minor units. `GOODS` is shop goods."""

    product_id: UUID
    quantity_milli: int
    paid_minor: int
    bonus_minor: int
    owed_minor: int
    refunded_minor: int
    invoiced_minor: int
    over_minor: int

    @property
    def left_minor(self) -> int:
        """What may be invoiced."""
        return max(self.paid_minor - self.refunded_minor - self.invoiced_minor, 0)


class TitleView(msgspec.Struct, frozen=True):
    """A title of a company."""

    title_id: UUID
    name: str
    tax_number: str
    address: str
    telephone: str
    bank: str
    bank_account: str
    made_at: datetime


class InvoiceView(msgspec.Struct, frozen=True):
    """One invoice as it was asked for and became."""

    invoice_id: UUID
    company_id: UUID
    company: str
    first_day: date
    title: str
    tax_number: str
    address: str
    telephone: str
    bank: str
    bank_account: str
    currency: str
    amount_minor: int
    status: InvoiceStatus
    requested_at: datetime
    decided_at: datetime | None
    number: str | None
    issued_on: date | None
    reason: str | None
    red_number: str | None
    red_on: date | None


async def pots_of(session: AsyncSession, *, account_id: UUID, begin: datetime) -> list[PotView]:
    """Return what may be invoiced of an account's closed period, grade by grade."""
    columns = [getattr(InvoicePot, name) for name in PotView.__struct_fields__]
    wanted = select(*columns).where(InvoicePot.account_id == account_id, InvoicePot.first_id == uuid7_floor(begin))
    return await all_as(session, PotView, wanted.order_by(InvoicePot.product_id.desc()))


async def titles_of(session: AsyncSession, *, company_id: UUID) -> list[TitleView]:
    """Return a company's open titles by name."""
    columns = [getattr(InvoiceTitle, name) for name in TitleView.__struct_fields__]
    wanted = select(*columns).where(InvoiceTitle.company_id == company_id, InvoiceTitle.closed_at.is_(None))
    return await all_as(session, TitleView, wanted.order_by(InvoiceTitle.name, InvoiceTitle.title_id))


async def list_invoices(
    session: AsyncSession,
    *,
    company_id: UUID | None = None,
    status: InvoiceStatus | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[InvoiceView]:
    """Read a page of a company's invoices, or, for the office, of all; the latest asked for first."""
    statement = _invoices()
    if company_id is not None:
        statement = statement.where(InvoiceRequest.company_id == company_id)
    if status is not None:
        statement = statement.where(InvoiceRequest.status == status)
    keys = [Key(InvoiceRequest.invoice_id, descending=True)]
    return await page_as(session, InvoiceView, statement, keys=keys, cursor=cursor, limit=limit)


async def get_invoice(session: AsyncSession, *, invoice_id: UUID, company_id: UUID | None = None) -> tuple[InvoiceView, list[InvoiceLine]]:
    """Return an invoice and its lines; with `company_id` only that company's.

    :raises InvoiceNotFound: if there is none
    """
    statement = _invoices().where(InvoiceRequest.invoice_id == invoice_id)
    if company_id is not None:
        statement = statement.where(InvoiceRequest.company_id == company_id)
    found = await one_as(session, InvoiceView, statement)
    if found is None:
        raise InvoiceNotFound(invoice=invoice_id)
    lines = select(InvoiceLine).where(InvoiceLine.invoice_id == invoice_id).order_by(InvoiceLine.product_id.desc())
    return found, list(await session.scalars(lines))


async def waiting_invoices(session: AsyncSession) -> int:
    """Return how many requests wait for the office."""
    return int(await session.scalar(select(func.count()).where(InvoiceRequest.status == InvoiceStatus.REQUESTED)) or 0)


def _invoices() -> Select[*tuple[Any, ...]]:
    columns = [Customer.name if name == "company" else getattr(InvoiceRequest, name) for name in InvoiceView.__struct_fields__]
    return select(*columns).join(Customer, Customer.customer_id == InvoiceRequest.company_id)
