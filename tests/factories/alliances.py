"""An alliance as small as it can be: a car wash that is allied, with an announcement, and an outlet that is paused."""

from datetime import timedelta
from uuid import UUID

from loyalty import clock
from partners.model import AgreementStatus, Category, OutletStatus, PartnerStatus
from partners.operations.agreements import decide_agreement, draft_agreement, submit_agreement
from partners.operations.alliances import OutletFacts, PartnerFacts, add_notice, add_outlet, add_partner, move_outlet, move_partner
from partners.rules import Terms
from tests.topups.conftest import hire


async def make_alliance(session, *, now) -> UUID:
    """Make it; return the partner."""
    maker, checker = await hire(session, "maker", now), await hire(session, "checker", now)
    today, of = clock.local_date(now, "Asia/Shanghai"), {"actor": maker, "now": now}
    facts = PartnerFacts(code="YUEXI", name_zh="悦洗车行", name_en="Yuexi Car Wash", category=Category.WASH)
    partner_id = await add_partner(session, facts=facts, **of)
    made = await draft_agreement(
        session, partner_id=partner_id, first_day=today, end_day=None, terms=Terms(benefits=[], commission=500), **of
    )
    await submit_agreement(session, agreement_id=made, **of)
    await decide_agreement(session, agreement_id=made, to=AgreementStatus.APPROVED, today=today, actor=checker, now=now)
    await move_partner(session, partner_id=partner_id, to=PartnerStatus.ACTIVE, today=today, reason="signed", **of)
    outlet = await add_outlet(session, partner_id=partner_id, facts=OutletFacts(code="W", name_zh="西门店", name_en="West Gate"), **of)
    await move_outlet(session, partner_id=partner_id, outlet_id=outlet, to=OutletStatus.PAUSED, reason="下雨", **of)
    days = {"first": today, "end": today + timedelta(days=2)}
    await add_notice(session, partner_id=partner_id, text_zh="每月免费", text_en="Free each month", **days, **of)
    return partner_id
