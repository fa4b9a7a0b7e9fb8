"""An insurer the chain is allied with, two people of the office, and what they agree."""

from datetime import date

import pytest

from partners.model import AgreementStatus, Category
from partners.operations.agreements import decide_agreement, draft_agreement, submit_agreement
from partners.operations.alliances import PartnerFacts, add_partner
from partners.rules import WHOLE, Band, Benefit, BenefitKind, Funder, Terms
from tests.rewards.conftest import key_set, keys  # noqa: F401 - fixtures: vouchers' codes are sealed
from tests.topups.conftest import hire

TODAY = date(2026, 9, 24)
ISSUER = [Funder("issuer", WHOLE)]
SLIP = Benefit(
    code="claim-slip",
    kind=BenefitKind.INSURANCE,
    name_zh="意外险凭证",
    name_en="Accident insurance",
    funders=ISSUER,
    limit_total=500,
    cover_minor=3_000_000,
    bands=[Band(10_000, 12), Band(20_000, 36), Band(30_000, 60)],
    purpose="accident-insurance",
)
TERMS = Terms(benefits=[SLIP], commission=4_000)


@pytest.fixture
async def people(session, now):
    return await hire(session, "maker", now), await hire(session, "checker", now)


@pytest.fixture
async def partner(session, people, now):
    facts = PartnerFacts(code="PICC-HZ", name_zh="平安财险杭州", name_en="Ping'an Hangzhou", category=Category.INSURANCE)
    return await add_partner(session, facts=facts, actor=people[0], now=now)


async def draft(session, partner, actor, now, *, first=TODAY, end=None, terms=TERMS):
    return await draft_agreement(session, partner_id=partner, first_day=first, end_day=end, terms=terms, actor=actor, now=now)


async def agree(session, partner, people, now, **more):
    made = await draft(session, partner, people[0], now, **more)
    await submit_agreement(session, agreement_id=made, actor=people[0], now=now)
    await decide_agreement(session, agreement_id=made, to=AgreementStatus.APPROVED, today=TODAY, actor=people[1], now=now)
    return made
