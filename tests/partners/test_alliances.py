"""Alliances: who is allied, what is agreed version by version, by two people, and what holds on a day."""

from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from partners.model import AGREEMENT_MOVES, OUTLET_MOVES, PARTNER_MOVES, AgreementStatus, Category, OutletStatus, PartnerStatus
from partners.operations.agreements import (
    AgreementBeganAlready,
    AgreementNotADraft,
    AgreementWaits,
    AnotherPersonApproves,
    TermsNotSound,
    change_draft,
    decide_agreement,
    submit_agreement,
)
from partners.operations.alliances import (
    CodeTaken,
    NothingAgreed,
    OutletFacts,
    PartnerCannotMove,
    PartnerFacts,
    PartnerNotSound,
    add_notice,
    add_outlet,
    add_partner,
    change_partner,
    move_outlet,
    move_partner,
)
from partners.queries.alliances import (
    AgreementNotFound,
    OutletNotFound,
    PartnerNotFound,
    agreement_on,
    agreements_of,
    get_agreement,
    get_partner,
    list_partners,
    notices_on,
    outlets_of,
)
from partners.rules import WHOLE, Band, Benefit, BenefitKind, Funder, Mode, Settlement, Standing, Terms, faults_of, holds_on, split
from tests.partners.conftest import ISSUER, SLIP, TERMS, TODAY, agree, draft


def _benefit(kind: BenefitKind, funders, **more) -> Benefit:
    return Benefit(code="a", kind=kind, name_zh="权益", name_en="Benefit", funders=funders, **more)


async def test_a_code_is_one_partner_s_and_stays(session, people, partner, now):
    facts = PartnerFacts(code="PICC-HZ", name_zh="别家", name_en="Other", category=Category.OTHER)
    with pytest.raises(CodeTaken):
        await add_partner(session, facts=facts, actor=people[0], now=now)
    renamed = PartnerFacts(code="PICC-HZ", name_zh="平安财险", name_en="Ping'an", category=Category.INSURANCE, contact="王经理 0571")
    await change_partner(session, partner_id=partner, facts=renamed, actor=people[0], now=now)
    assert (await get_partner(session, partner_id=partner)).name_zh == "平安财险"
    for name, value in (("code", "OTHER"), ("currency", "CZK"), ("zone", "Europe/Prague")):
        moved = PartnerFacts(**{"code": "PICC-HZ", "name_zh": "a", "name_en": "a", "category": Category.OTHER} | {name: value})
        with pytest.raises(PartnerNotSound):
            await change_partner(session, partner_id=partner, facts=moved, actor=people[0], now=now)
    assert [one.code for one in (await list_partners(session, text="平安")).rows] == ["PICC-HZ"]
    assert (await list_partners(session, statuses=[PartnerStatus.ACTIVE])).rows == []


@pytest.mark.parametrize("wrong", [{"code": "x"}, {"name_zh": ""}, {"currency": "yuan"}])
async def test_a_partner_who_cannot_be_is_refused(session, people, now, wrong):
    facts = {"code": "WASH-1", "name_zh": "洗车", "name_en": "Wash", "category": Category.WASH} | wrong
    with pytest.raises(PartnerNotSound):
        await add_partner(session, facts=PartnerFacts(**facts), actor=people[0], now=now)


@pytest.mark.parametrize("to", PartnerStatus)
@pytest.mark.parametrize("status", PartnerStatus)
async def test_an_alliance_moves_as_its_table_says(session, people, partner, now, status, to):
    await agree(session, partner, people, now)
    await session.execute(text("UPDATE partners SET status = :status"), {"status": status.value})
    moving = move_partner(session, partner_id=partner, to=to, today=TODAY, reason="", actor=people[0], now=now)
    if to in PARTNER_MOVES[status]:
        await moving
        session.expire_all()
        assert (await get_partner(session, partner_id=partner)).status is to
    else:
        with pytest.raises(PartnerCannotMove):
            await moving


async def test_an_alliance_begins_with_an_agreement_that_holds(session, people, partner, now):
    begin = {"partner_id": partner, "to": PartnerStatus.ACTIVE, "reason": "", "actor": people[0], "now": now}
    with pytest.raises(NothingAgreed):
        await move_partner(session, **begin, today=TODAY)
    await agree(session, partner, people, now, first=TODAY + timedelta(days=1))
    with pytest.raises(NothingAgreed):
        await move_partner(session, **begin, today=TODAY)
    await move_partner(session, **begin, today=TODAY + timedelta(days=1))


async def test_an_agreement_takes_two_people_and_never_changes_once_approved(session, people, partner, now):
    maker, checker = people
    made = await draft(session, partner, maker, now)
    with pytest.raises(AgreementWaits):
        await draft(session, partner, checker, now)
    decide = {"agreement_id": made, "today": TODAY, "now": now}
    with pytest.raises(AgreementNotADraft):
        await decide_agreement(session, **decide, to=AgreementStatus.APPROVED, actor=checker)
    await submit_agreement(session, agreement_id=made, actor=maker, now=now)
    with pytest.raises(AnotherPersonApproves):
        await decide_agreement(session, **decide, to=AgreementStatus.APPROVED, actor=maker)
    with pytest.raises(AgreementBeganAlready):
        await decide_agreement(session, **decide | {"today": TODAY + timedelta(days=1)}, to=AgreementStatus.APPROVED, actor=checker)
    await decide_agreement(session, **decide, to=AgreementStatus.APPROVED, why="signed", actor=checker)
    with pytest.raises(AgreementNotADraft):
        await change_draft(session, agreement_id=made, first_day=TODAY, end_day=None, terms=TERMS, actor=maker, now=now)
    found = await get_agreement(session, agreement_id=made)
    assert (found.version, found.terms, found.why) == (1, TERMS, "signed")
    with pytest.raises(DBAPIError, match="never changes"):
        await session.execute(text("UPDATE partner_agreements SET first_day = first_day + 1"))


async def test_who_changed_a_draft_last_is_its_maker(session, people, partner, now):
    maker, checker = people
    made = await draft(session, partner, maker, now)
    cheaper = Terms(benefits=[SLIP], commission=3_500)
    await change_draft(session, agreement_id=made, first_day=TODAY, end_day=None, terms=cheaper, actor=checker, now=now)
    await submit_agreement(session, agreement_id=made, actor=maker, now=now)
    decide = {"agreement_id": made, "to": AgreementStatus.APPROVED, "today": TODAY, "now": now}
    with pytest.raises(AnotherPersonApproves):
        await decide_agreement(session, **decide, actor=checker)
    await decide_agreement(session, **decide, actor=maker)


@pytest.mark.parametrize("to", AgreementStatus)
@pytest.mark.parametrize("status", AgreementStatus)
async def test_an_agreement_moves_as_its_table_says(session, people, partner, now, status, to):
    maker, checker = people
    made = await draft(session, partner, maker, now)
    if status is not AgreementStatus.DRAFT:
        await session.execute(
            text(
                "UPDATE partner_agreements SET status = :to, decided_by = CASE WHEN :two THEN CAST(:by AS uuid) END, "
                "decided_at = CASE WHEN :two THEN CAST(:now AS timestamptz) END"
            ),
            {"to": status.value, "two": status.value in {"approved", "rejected"}, "by": checker.staff_id, "now": now},
        )
        session.expire_all()
    if to is AgreementStatus.SUBMITTED:
        moving = submit_agreement(session, agreement_id=made, actor=maker, now=now)
    else:
        moving = decide_agreement(session, agreement_id=made, to=to, today=TODAY, actor=checker, now=now)
    if to in AGREEMENT_MOVES[status]:
        await moving
        assert (await get_agreement(session, agreement_id=made)).status is to
    else:
        with pytest.raises(AgreementNotADraft):
            await moving


async def test_a_later_version_takes_the_earlier_one_s_place_from_its_first_day(session, people, partner, now):
    first = await agree(session, partner, people, now)
    second = await agree(session, partner, people, now, first=TODAY + timedelta(days=10), end=TODAY + timedelta(days=20))
    held = [await agreement_on(session, partner_id=partner, day=TODAY + timedelta(days=days)) for days in (-1, 0, 9, 10, 19, 20)]
    assert [None if one is None else one.agreement_id for one in held] == [None, first, first, second, second, None]
    assert [one.version for one in await agreements_of(session, partner_id=partner)] == [2, 1]


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (Terms(benefits=[]), "benefits"),
        (Terms(benefits=[SLIP, SLIP]), "code"),
        (Terms(benefits=[SLIP], settlement=Settlement(low_minor=5)), "low_minor"),
        (
            Terms(benefits=[_benefit(BenefitKind.JOINT, [Funder("issuer", 9_999)])]),
            "funders",
        ),
        (
            Terms(benefits=[_benefit(BenefitKind.JOINT, [Funder("x", 5_000), Funder("x", 5_000)])]),
            "funders",
        ),
        (Terms(benefits=[_benefit(BenefitKind.DISCOUNT, ISSUER)]), "share"),
        (
            Terms(benefits=[_benefit(BenefitKind.DISCOUNT, ISSUER, share=100, amount_minor=5)]),
            "share",
        ),
        (Terms(benefits=[_benefit(BenefitKind.MEMBERSHIP, ISSUER)]), "purpose"),
        (
            Terms(
                benefits=[
                    _benefit(
                        BenefitKind.INSURANCE,
                        ISSUER,
                        purpose="p",
                        bands=[Band(1, 12), Band(2, 12)],
                    )
                ]
            ),
            "bands",
        ),
    ],
)
def test_what_keeps_terms_from_being_agreed_is_named(terms, field):
    assert [fault.field for fault in faults_of(terms)] == [field]


async def test_terms_with_a_fault_are_not_submitted(session, people, partner, now):
    made = await draft(session, partner, people[0], now, terms=Terms(benefits=[]))
    with pytest.raises(TermsNotSound):
        await submit_agreement(session, agreement_id=made, actor=people[0], now=now)
    with pytest.raises(TermsNotSound):
        await change_draft(session, agreement_id=made, first_day=TODAY, end_day=TODAY, terms=TERMS, actor=people[0], now=now)
    prepaid = Terms(benefits=[SLIP], settlement=Settlement(mode=Mode.PRE_PAID, low_minor=5))
    assert faults_of(prepaid) == []


@given(
    amount=st.integers(0, 10**10),
    shares=st.lists(st.integers(1, WHOLE), min_size=1, max_size=5).map(lambda found: [share * WHOLE // sum(found) or 1 for share in found]),
)
def test_a_split_comes_to_the_amount_and_nobody_bears_less_than_nothing(amount, shares):
    shares[0] += WHOLE - sum(shares)
    if shares[0] <= 0:
        return
    funders = [Funder(f"f{place}", share) for place, share in enumerate(shares)]
    parts = split(amount, funders)
    assert sum(parts.values()) == amount
    assert all(0 <= parts[one.code] - amount * one.share // WHOLE < len(funders) for one in funders)


def test_cents_go_to_the_largest_share():
    assert split(101, [Funder("a", 2_000), Funder("b", 8_000)]) == {"a": 20, "b": 81}
    assert split(6_680_000, [Funder("issuer", 4_000), Funder("partner", 6_000)])["issuer"] == 2_672_000


def test_nothing_holds_before_the_first_version():
    assert holds_on([Standing(uuid4(), 1, TODAY, None)], TODAY - timedelta(days=1)) is None


@pytest.mark.parametrize("to", OutletStatus)
@pytest.mark.parametrize("status", OutletStatus)
async def test_an_outlet_moves_as_its_table_says(session, people, partner, now, status, to):
    facts = OutletFacts(code="XS1", name_zh="萧山店", name_en="Xiaoshan")
    outlet = await add_outlet(session, partner_id=partner, facts=facts, actor=people[0], now=now)
    with pytest.raises(CodeTaken):
        await add_outlet(session, partner_id=partner, facts=facts, actor=people[0], now=now)
    await session.execute(
        text("UPDATE partner_outlets SET status = :to, why_paused = CASE WHEN :to = 'paused' THEN 'rain' END"), {"to": status.value}
    )
    session.expire_all()
    moving = move_outlet(session, partner_id=partner, outlet_id=outlet, to=to, reason="院内车满", actor=people[0], now=now)
    if to in OUTLET_MOVES[status]:
        await moving
        (found,) = await outlets_of(session, partner_id=partner)
        assert (found.status, found.why_paused) == (to, "院内车满" if to is OutletStatus.PAUSED else None)
    else:
        with pytest.raises(PartnerCannotMove):
            await moving


async def test_what_is_not_there_is_not_found(session, people, partner, now):
    unknown = uuid4()
    with pytest.raises(PartnerNotFound):
        await get_partner(session, partner_id=unknown)
    with pytest.raises(PartnerNotFound):
        await draft(session, unknown, people[0], now)
    with pytest.raises(AgreementNotFound):
        await submit_agreement(session, agreement_id=unknown, actor=people[0], now=now)
    with pytest.raises(OutletNotFound):
        await move_outlet(session, partner_id=partner, outlet_id=unknown, to=OutletStatus.CLOSED, actor=people[0], now=now)


async def test_stations_show_what_is_said_of_active_partners_on_its_days(session, people, partner, now):
    said = {"partner_id": partner, "text_zh": "办卡送意外险", "text_en": "Insurance with a card", "actor": people[0], "now": now}
    await add_notice(session, **said, first=TODAY, end=TODAY + timedelta(days=2))
    with pytest.raises(PartnerNotSound):
        await add_notice(session, **said, first=TODAY, end=TODAY)
    assert await notices_on(session, day=TODAY) == []
    await agree(session, partner, people, now)
    await move_partner(session, partner_id=partner, to=PartnerStatus.ACTIVE, today=TODAY, reason="", actor=people[0], now=now)
    shown = [len(await notices_on(session, day=TODAY + timedelta(days=days))) for days in (-1, 0, 1, 2)]
    assert shown == [0, 1, 1, 0]
