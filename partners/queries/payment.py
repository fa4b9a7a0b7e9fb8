"""Invoices of closed months, payment runs, blocks paid in advance, bank accounts, and the files of disputes and invoices."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.clock import local_date
from loyalty.crypto import Purpose, open_
from loyalty.errors import NotFound
from loyalty.media import Media
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, page_as
from partners.model import Partner, PartnerStatus
from partners.model_lines import PartnerBook
from partners.model_payment import (
    Decided,
    InvoiceStatus,
    PartnerBankAccount,
    PartnerBlock,
    PartnerFile,
    PartnerInvoice,
    PaymentRun,
    RunStatus,
)
from partners.model_settlement import DisputeStatus, PartnerDispute
from partners.queries.alliances import agreement_on
from partners.queries.documents import DocumentNotFound
from partners.rules import Mode


class InvoiceNotFound(NotFound):
    """Unknown, or another partner's."""

    zh = "没有找到该发票。"
    en = "There is no such invoice."


class RunNotFound(NotFound):
    """Unknown, or its file is not made."""

    zh = "没有找到该付款批次或其文件。"
    en = "There is no such payment run, or it has no file."


class BlockNotFound(NotFound):
    """Unknown."""

    zh = "没有找到该预付款。"
    en = "There is no such block."


class BankAccountNotFound(NotFound):
    """Unknown."""

    zh = "没有找到该收款账户。"
    en = "There is no such bank account."


class InvoiceView(msgspec.Struct, frozen=True):
    """One invoice; amounts in minor units, `due_minor` negative where the partner owes."""

    invoice_id: UUID
    partner_id: UUID
    partner_zh: str
    partner_en: str
    month: date
    due_minor: int
    number: str
    invoiced_on: date
    amount_minor: int
    tax_minor: int
    currency: str
    status: InvoiceStatus
    entered_by: str
    entered_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None
    why: str
    pay_by: date | None
    run_id: UUID | None
    paid_on: date | None
    reference: str | None


class RunView(msgspec.Struct, frozen=True):
    """One payment run, without its file."""

    run_id: UUID
    currency: str
    status: RunStatus
    invoices: int
    amount_minor: int
    made_by: UUID
    made_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None
    digest: bytes | None
    paid_on: date | None
    reference: str | None


class BlockView(msgspec.Struct, frozen=True):
    """One block paid in advance."""

    block_id: UUID
    partner_id: UUID
    amount_minor: int
    paid_on: date
    reference: str
    status: Decided
    made_by: UUID
    made_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None
    line_number: int | None


class AccountView(msgspec.Struct, frozen=True):
    """One bank account; its number is not opened."""

    bank_account_id: UUID
    partner_id: UUID
    holder: str
    bank: str
    number_tail: str
    status: Decided
    made_by: UUID
    made_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None


class FileView(msgspec.Struct, frozen=True):
    """One file of a dispute or an invoice, without its content."""

    file_id: UUID
    name: str
    media_type: str
    size_bytes: int
    digest: bytes
    made_by: str
    made_at: datetime


_PARTNER: Final = {"partner_zh": Partner.name_zh, "partner_en": Partner.name_en}
_INVOICE: Final = [_PARTNER.get(name) or getattr(PartnerInvoice, name) for name in InvoiceView.__struct_fields__]
_RUN: Final = [getattr(PaymentRun, name) for name in RunView.__struct_fields__]
_BLOCK: Final = [getattr(PartnerBlock, name) for name in BlockView.__struct_fields__]
_ACCOUNT: Final = [getattr(PartnerBankAccount, name) for name in AccountView.__struct_fields__]
_FILE: Final = [getattr(PartnerFile, name) for name in FileView.__struct_fields__]


async def get_invoice(session: AsyncSession, *, invoice_id: UUID, partner_id: UUID | None = None) -> InvoiceView:
    """Return an invoice, of one partner or whosever it is.

    :raises InvoiceNotFound: if there is none, or it is another's
    """
    wanted = select(*_INVOICE).join(Partner, Partner.partner_id == PartnerInvoice.partner_id).where(PartnerInvoice.invoice_id == invoice_id)
    if partner_id is not None:
        wanted = wanted.where(PartnerInvoice.partner_id == partner_id)
    found = await all_as(session, InvoiceView, wanted)
    if not found:
        raise InvoiceNotFound(invoice=invoice_id)
    return found[0]


async def invoices_of_month(session: AsyncSession, *, partner_id: UUID, month: date) -> list[InvoiceView]:
    """Return the invoices of a month, the latest first: at most one of them was not refused."""
    one = PartnerInvoice
    wanted = select(*_INVOICE).join(Partner, Partner.partner_id == one.partner_id)
    wanted = wanted.where(one.partner_id == partner_id, one.month == month).order_by(one.invoice_id.desc())
    return await all_as(session, InvoiceView, wanted)


async def list_invoices(
    session: AsyncSession,
    *,
    partner_id: UUID | None = None,
    statuses: Collection[InvoiceStatus] = (),
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[InvoiceView]:
    """Return invoices, the latest first; of one partner, or of all for the office."""
    one = PartnerInvoice
    wanted = select(*_INVOICE).join(Partner, Partner.partner_id == one.partner_id)
    if partner_id is not None:
        wanted = wanted.where(one.partner_id == partner_id)
    if statuses:
        wanted = wanted.where(one.status.in_(statuses))
    return await page_as(session, InvoiceView, wanted, keys=[Key(one.invoice_id, descending=True)], cursor=cursor, limit=limit)


async def invoices_of_run(session: AsyncSession, *, run_id: UUID) -> list[InvoiceView]:
    """Return the invoices that a run pays, by their day: a run has at most some hundreds."""
    one = PartnerInvoice
    wanted = select(*_INVOICE).join(Partner, Partner.partner_id == one.partner_id).where(one.run_id == run_id)
    return await all_as(session, InvoiceView, wanted.order_by(one.pay_by, one.invoice_id))


async def payable(session: AsyncSession, *, most: int) -> list[InvoiceView]:
    """Return the accepted invoices that the issuer owes and that no run has, the earliest day first."""
    one = PartnerInvoice
    wanted = select(*_INVOICE).join(Partner, Partner.partner_id == one.partner_id)
    wanted = wanted.where(one.status == InvoiceStatus.ACCEPTED, one.due_minor > 0).order_by(one.pay_by, one.invoice_id).limit(most)
    return await all_as(session, InvoiceView, wanted)


async def list_runs(session: AsyncSession, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[RunView]:
    """Return payment runs, the latest first."""
    return await page_as(session, RunView, select(*_RUN), keys=[Key(PaymentRun.run_id, descending=True)], cursor=cursor, limit=limit)


async def get_run(session: AsyncSession, *, run_id: UUID) -> RunView:
    """Return a payment run.

    :raises RunNotFound: if there is none
    """
    found = await all_as(session, RunView, select(*_RUN).where(PaymentRun.run_id == run_id))
    if not found:
        raise RunNotFound(run=run_id)
    return found[0]


async def payment_file(session: AsyncSession, *, run_id: UUID) -> bytes:
    """Return the bank's file of a run, as it was made.

    :raises RunNotFound: if there is no such run, or it was never approved
    """
    content = await session.scalar(select(PaymentRun.content).where(PaymentRun.run_id == run_id))
    if content is None:
        raise RunNotFound(run=run_id)
    return open_(Purpose.DOCUMENT, table="partner_payment_runs", column="content", row_id=run_id, envelope=content)


async def blocks_of(session: AsyncSession, *, partner_id: UUID) -> list[BlockView]:
    """Return the blocks that were paid to a partner, the latest first."""
    wanted = select(*_BLOCK).where(PartnerBlock.partner_id == partner_id).order_by(PartnerBlock.block_id.desc())
    return await all_as(session, BlockView, wanted)


async def accounts_of(session: AsyncSession, *, partner_id: UUID) -> list[AccountView]:
    """Return where a partner was and is paid, the latest first."""
    one = PartnerBankAccount
    return await all_as(session, AccountView, select(*_ACCOUNT).where(one.partner_id == partner_id).order_by(one.bank_account_id.desc()))


async def standing_account(session: AsyncSession, *, partner_id: UUID) -> PartnerBankAccount | None:
    """Return the account that holds: the latest that was confirmed."""
    one = PartnerBankAccount
    wanted = select(one).where(one.partner_id == partner_id, one.status == Decided.CONFIRMED).order_by(one.bank_account_id.desc())
    found: PartnerBankAccount | None = await session.scalar(wanted.limit(1))
    return found


async def balance_of(session: AsyncSession, *, partner_id: UUID) -> int:
    """Return what a partner's book comes to now; negative: what is left of blocks, or the partner owes."""
    return await session.scalar(select(PartnerBook.balance_minor).where(PartnerBook.partner_id == partner_id)) or 0


async def files_of(
    session: AsyncSession, *, partner_id: UUID, dispute_id: UUID | None = None, invoice_id: UUID | None = None
) -> list[FileView]:
    """Return the files of a partner's dispute or invoice, in the order they came."""
    one = PartnerFile
    belongs = one.dispute_id == dispute_id if dispute_id is not None else one.invoice_id == invoice_id
    return await all_as(session, FileView, select(*_FILE).where(one.partner_id == partner_id, belongs).order_by(one.file_id))


async def open_file(session: AsyncSession, *, partner_id: UUID, file_id: UUID) -> tuple[Media, bytes]:
    """Return a file's kind and content.

    :raises DocumentNotFound: if it is none of the partner's
    """
    one = PartnerFile
    found = (await session.execute(select(one.media_type, one.content).where(one.partner_id == partner_id, one.file_id == file_id))).first()
    if found is None:
        raise DocumentNotFound(file=file_id)
    content = open_(Purpose.DOCUMENT, table="partner_files", column="content", row_id=file_id, envelope=found.content)
    return Media(found.media_type), content


class Waits(NamedTuple):
    """How much of settlement waits for somebody."""

    disputes: int
    invoices: int
    runs: int


async def settlement_waits(session: AsyncSession) -> Waits:
    """Count the disputes, invoices and payment runs that nobody decided."""
    wanted = (
        select(func.count()).where(PartnerDispute.status.in_([DisputeStatus.OPEN, DisputeStatus.PROPOSED])),
        select(func.count()).where(PartnerInvoice.status == InvoiceStatus.RECEIVED),
        select(func.count()).where(PaymentRun.status == RunStatus.PROPOSED),
    )
    row = (await session.execute(select(*(one.scalar_subquery() for one in wanted)))).one()
    return Waits(*row)


class LowBlock(NamedTuple):
    """A partner whose block paid in advance runs low."""

    partner_id: UUID
    name_zh: str
    name_en: str
    currency: str
    left_minor: int


async def low_blocks(session: AsyncSession, *, now: datetime) -> list[LowBlock]:
    """Return the active partners settled out of a block of which less is left than today's agreement asks for, the least first."""
    one = Partner
    due = func.coalesce(PartnerBook.balance_minor, 0).label("due")
    wanted = select(one.partner_id, one.name_zh, one.name_en, one.currency, one.zone, due)
    wanted = wanted.outerjoin(PartnerBook, PartnerBook.partner_id == one.partner_id).where(one.status == PartnerStatus.ACTIVE)
    found = []
    for row in (await session.execute(wanted)).all():
        agreed = await agreement_on(session, partner_id=row.partner_id, day=local_date(now, row.zone))
        terms, left = None if agreed is None else agreed.terms.settlement, max(0, -row.due)
        if terms is not None and terms.mode is Mode.PRE_PAID and left < (terms.low_minor or 1):
            found.append(LowBlock(row.partner_id, row.name_zh, row.name_en, row.currency, left))
    return sorted(found, key=lambda each: each.left_minor)
