"""Opening a company's fleet, its settings, and the group it belongs to."""

from datetime import datetime
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.cards import operations as cards
from loyalty.customers import queries as customers
from loyalty.customers.model import CustomerKind, CustomerStatus
from loyalty.errors import Refusal
from loyalty.fleet.model import Company, CompanyMode, SilencePolicy, UnusedMode, WorkdayMode
from loyalty.fleet.queries.companies import lock_company
from loyalty.ledger import queries as ledger
from loyalty.ledger.model import AccountKind, AccountStatus

from .bindings import tell_company
from .custody import settle_permits

DayOfMonth = Annotated[int, msgspec.Meta(ge=1, le=28)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=604_800)]


class NotAnOrganisation(Refusal):
    """Only an organisation has a fleet."""

    status = 422
    zh = "只有正常状态的单位客户才能开通车队管理。"
    en = "Only an organisation in good standing can have a fleet."
    next_zh = "请选择单位客户；个人客户请先登记为单位。"
    next_en = "Choose an organisation."


class CompanyExists(Refusal):
    """It has one already, or its account belongs to another."""

    zh = "该单位或该账户已开通车队管理。"
    en = "This organisation, or this account, has a fleet already."
    next_zh = "请直接打开该企业的车队管理。"
    next_en = "Open the company's fleet instead."


class AccountNotOfCompany(Refusal):
    """A company's account is a company account of the same organisation, and open."""

    status = 422
    zh = "该账户不是此单位名下可用的单位账户。"
    en = "This is not an open company account of this organisation."
    next_zh = "请选择该单位自己的单位账户。"
    next_en = "Choose the organisation's own company account."


class SettingsNotSound(Refusal):
    """A setting outside what it may be."""

    status = 422
    zh = "企业设置不正确：{field}。"
    en = "A setting of the company is not right: {field}."
    next_zh = "请核对时区、日期（1 至 28 日）和等待时间后再提交。"
    next_en = "Check time zone, days (1 to 28) and waiting times, and submit again."


class GroupGoesRound(Refusal):
    """A group cannot be below itself."""

    status = 422
    zh = "集团关系不能形成循环。"
    en = "A company cannot belong to itself or to a company below it."
    next_zh = "请选择另一家上级企业。"
    next_en = "Choose another parent."


class CompanySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a company's money and months go; its period begins on the 26th and its cards draw on the pool unless it says otherwise."""

    mode: CompanyMode = CompanyMode.POOLED
    time_zone: str = "Asia/Shanghai"
    period_day: DayOfMonth = 26
    check_day: DayOfMonth = 25
    workday_mode: WorkdayMode = WorkdayMode.FOLLOWING
    needs_records: bool = True
    needs_odometer: bool = True
    unused: UnusedMode = UnusedMode.KEPT
    silence: SilencePolicy = SilencePolicy.REFUSE
    deputy_after_s: Seconds = 600
    decide_after_s: Seconds = 1_800
    custody_blocks: bool = False
    custodian_lends: bool = True


async def make_company(
    session: AsyncSession, *, customer_id: UUID, account_id: UUID, settings: CompanySettings | None = None, actor: Actor, now: datetime
) -> UUID:
    """Open the fleet of an organisation on its one account; the company's id is the organisation's.

    :raises CustomerNotFound: if there is no such customer
    :raises NotAnOrganisation: if it is a person, or closed, or merged
    :raises AccountNotFound: if there is no such account
    :raises AccountNotOfCompany: if the account is another's, another kind's, or closed
    :raises CompanyExists: if the organisation or the account has a fleet
    :raises SettingsNotSound: if a setting cannot be
    """
    wanted = settings or CompanySettings()
    require_sound(wanted)
    customer = await customers.get_customer(session, customer_id=customer_id)
    if customer.kind is not CustomerKind.ORGANISATION or customer.status is not CustomerStatus.ACTIVE:
        raise NotAnOrganisation(customer=customer_id)
    account = await ledger.get_account(session, account_id=account_id)
    if account.customer_id is None or account.kind is not AccountKind.COMPANY or account.status is AccountStatus.CLOSED:
        raise AccountNotOfCompany(account=account_id)
    if account.customer_id not in await customers.family_of(session, customer_id=customer_id):
        raise AccountNotOfCompany(account=account_id)
    values = {name: getattr(wanted, name) for name in CompanySettings.__struct_fields__}
    made: UUID | None = await session.scalar(
        upsert(Company)
        .values(company_id=customer_id, account_id=account_id, currency=account.currency, created_at=now, updated_at=now, **values)
        .on_conflict_do_nothing()
        .returning(Company.company_id)
    )
    if made is None:
        raise CompanyExists(customer=customer_id)
    facts = {"account": account_id, **msgspec.to_builtins(wanted)}
    await audit.record(session, actor=actor, action="fleet.company_made", subject=("company", customer_id), facts=facts, now=now)
    await tell_company(session, company=await lock_company(session, company_id=made), actor=actor, now=now)
    return made


async def change_company(session: AsyncSession, *, company_id: UUID, settings: CompanySettings, actor: Actor, now: datetime) -> None:
    """Put these settings in the place of a company's; with another mode its cards are decided upon anew at the pump.

    :raises CompanyNotFound: if there is none
    :raises SettingsNotSound: if a setting cannot be
    """
    require_sound(settings)
    company = await lock_company(session, company_id=company_id)
    changes = {
        name: [getattr(company, name), getattr(settings, name)]
        for name in CompanySettings.__struct_fields__
        if getattr(company, name) != getattr(settings, name)
    }
    if not changes:
        return
    for name, (_, value) in changes.items():
        setattr(company, name, value)
    company.updated_at = now
    await session.flush()
    if "mode" in changes:
        await cards.touch_account(session, account_id=company.account_id, actor=actor, reason="company mode", now=now)
    if "custody_blocks" in changes:
        await settle_permits(session, company=company, actor=actor, now=now)
    await audit.record(session, actor=actor, action="fleet.company_changed", subject=("company", company_id), facts=changes, now=now)


async def join_group(session: AsyncSession, *, company_id: UUID, parent_id: UUID | None, actor: Actor, now: datetime) -> None:
    """Put a company under a group, which reads its figures, or (None) take it out. The issuer's office does this.

    :raises CompanyNotFound: if there is no such company or group
    :raises GroupGoesRound: if the group is the company or below it
    """
    company = await lock_company(session, company_id=company_id)
    above = parent_id
    while above is not None:
        if above == company_id:
            raise GroupGoesRound(company=company_id)
        # Locked on the way up: two that join each other at once would else make a ring.
        above = (await lock_company(session, company_id=above)).parent_id
    facts = {"from": company.parent_id, "to": parent_id}
    company.parent_id, company.updated_at = parent_id, now
    await session.flush()
    await audit.record(session, actor=actor, action="fleet.group_joined", subject=("company", company_id), facts=facts, now=now)


async def is_company(session: AsyncSession, *, customer_id: UUID) -> bool:
    """Say whether an organisation manages its own fleet."""
    return await session.scalar(select(Company.company_id).where(Company.company_id == customer_id)) is not None


def require_sound(settings: CompanySettings) -> None:
    """Hold settings, whoever built them, to what they may be.

    :raises SettingsNotSound: naming what is wrong
    """
    try:
        msgspec.convert(msgspec.to_builtins(settings), CompanySettings)
    except msgspec.ValidationError as error:
        raise SettingsNotSound(field=str(error)) from None
    try:
        ZoneInfo(settings.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsNotSound(field="time_zone") from None
    if settings.decide_after_s < settings.deputy_after_s:
        raise SettingsNotSound(field="decide_after_s")
