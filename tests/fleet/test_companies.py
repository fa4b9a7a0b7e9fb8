"""Opening a company's fleet and changing how its months go."""

from uuid import uuid4

import pytest
from sqlalchemy import select, text

from loyalty.audit.model import AuditEntry
from loyalty.fleet.model import CompanyMode
from loyalty.fleet.operations.companies import (
    AccountNotOfCompany,
    CompanyExists,
    CompanySettings,
    GroupGoesRound,
    NotAnOrganisation,
    SettingsNotSound,
    change_company,
    join_group,
    make_company,
)
from loyalty.fleet.queries.companies import CompanyNotFound, company_of_account, get_company, list_companies, members_of
from loyalty.ledger.model import AccountKind
from loyalty.ledger.operations import open_account
from tests.factories.fleet import make_fleet
from tests.factories.world import SYSTEM, give_card


async def test_a_company_is_the_organisation_with_its_one_account(session, fleet):
    company = await get_company(session, company_id=fleet.company_id)
    assert (company.name, company.account_id, company.currency) == (fleet.name, fleet.account_id, "CNY")
    assert (company.period_day, company.check_day, company.mode) == (26, 25, CompanyMode.POOLED)
    assert await company_of_account(session, account_id=fleet.account_id) == company
    assert await company_of_account(session, account_id=uuid4()) is None
    trail = await session.scalar(select(AuditEntry).where(AuditEntry.subject_id == str(fleet.company_id)))
    assert trail.action == "fleet.company_made"


async def test_nobody_else_becomes_a_company(session, world, fleet, now):
    with pytest.raises(CompanyExists):
        await make_company(session, customer_id=fleet.company_id, account_id=fleet.account_id, actor=SYSTEM, now=now)
    other = await make_fleet(session, world, name="甬江运输")
    await session.execute(text("DELETE FROM companies WHERE company_id = :id"), {"id": other.company_id})
    with pytest.raises(AccountNotOfCompany):
        await make_company(session, customer_id=other.company_id, account_id=fleet.account_id, actor=SYSTEM, now=now)
    person = await give_card(session, world)
    with pytest.raises(AccountNotOfCompany):
        await make_company(session, customer_id=other.company_id, account_id=person.account_id, actor=SYSTEM, now=now)
    personal = await open_account(
        session, kind=AccountKind.PERSONAL, currency="CNY", customer_id=other.company_id, card_product_id=None, now=now
    )
    with pytest.raises(AccountNotOfCompany):
        await make_company(session, customer_id=other.company_id, account_id=personal, actor=SYSTEM, now=now)
    await session.execute(text("UPDATE customers SET kind = 'person' WHERE customer_id = :id"), {"id": other.company_id})
    with pytest.raises(NotAnOrganisation):
        await make_company(session, customer_id=other.company_id, account_id=other.account_id, actor=SYSTEM, now=now)


@pytest.mark.parametrize(
    "wrong",
    [
        {"period_day": 29},
        {"check_day": 0},
        {"time_zone": "Asia/Atlantis"},
        {"time_zone": ""},
        {"deputy_after_s": 900, "decide_after_s": 600},
    ],
)
async def test_settings_that_cannot_be_are_refused(session, fleet, now, wrong):
    with pytest.raises(SettingsNotSound):
        await change_company(session, company_id=fleet.company_id, settings=CompanySettings(**wrong), actor=SYSTEM, now=now)


async def test_a_change_of_mode_reaches_the_pump_and_the_trail(session, fleet, now):
    before = await session.scalar(text("SELECT version FROM cards WHERE card_id = :id"), {"id": fleet.cards[0].card_id})
    wanted = CompanySettings(mode=CompanyMode.ALLOCATED, period_day=1)
    await change_company(session, company_id=fleet.company_id, settings=wanted, actor=SYSTEM, now=now)
    await change_company(session, company_id=fleet.company_id, settings=wanted, actor=SYSTEM, now=now)
    company = await get_company(session, company_id=fleet.company_id)
    assert (company.mode, company.period_day) == (CompanyMode.ALLOCATED, 1)
    assert await session.scalar(text("SELECT version FROM cards WHERE card_id = :id"), {"id": fleet.cards[0].card_id}) == before + 1
    entries = list(await session.scalars(select(AuditEntry).where(AuditEntry.action == "fleet.company_changed")))
    assert [entry.facts for entry in entries] == [{"mode": ["pooled", "allocated"], "period_day": [26, 1]}]


async def test_a_group_has_companies_below_it_and_never_itself(session, world, fleet, now):
    child, grandchild = [await make_fleet(session, world, name=name) for name in ("甬江运输", "甬江配送")]
    await join_group(session, company_id=child.company_id, parent_id=fleet.company_id, actor=SYSTEM, now=now)
    await join_group(session, company_id=grandchild.company_id, parent_id=child.company_id, actor=SYSTEM, now=now)
    assert [company.name for company in await members_of(session, company_id=fleet.company_id)] == ["甬江运输"]
    for above in (fleet, child, grandchild):
        with pytest.raises(GroupGoesRound):
            await join_group(session, company_id=fleet.company_id, parent_id=above.company_id, actor=SYSTEM, now=now)
    await join_group(session, company_id=child.company_id, parent_id=None, actor=SYSTEM, now=now)
    assert await members_of(session, company_id=fleet.company_id) == []
    with pytest.raises(CompanyNotFound):
        await join_group(session, company_id=child.company_id, parent_id=uuid4(), actor=SYSTEM, now=now)


async def test_the_office_lists_companies_by_name(session, world, fleet):
    await make_fleet(session, world, name="甬江运输")
    assert {company.name for company in (await list_companies(session)).rows} >= {"甬江运输", fleet.name}
    assert [company.name for company in (await list_companies(session, text="甬江")).rows] == ["甬江运输"]
    assert (await list_companies(session, text="%")).rows == []
