"""A partner's counter: a voucher redeemed once with its line, what is agreed never exceeded, a roll-back that gives everything back."""

import asyncio
from collections import Counter as Tally
from datetime import date, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text

from loyalty.audit.model import Actor, ActorKind
from loyalty.db import transaction
from loyalty.errors import Refusal
from loyalty.rewards.model_vouchers import ValueType, VoucherStatus
from loyalty.rewards.operations.redemptions import AmountNotTaken, CodeNotHonoured, RedemptionRolledBack, RollBackTooLate, VoucherKeyReused
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from loyalty.rewards.operations.vouchers import VoucherWish, issue
from loyalty.rewards.queries.vouchers import codes_of, get_voucher
from partners.line_rules import Draw, draws_of, worth_of
from partners.model import Category, OutletStatus, PartnerStatus
from partners.model_lines import LineKind, PartnerLine
from partners.model_redeeming import PartnerCounter
from partners.operations.alliances import OutletFacts, PartnerFacts, add_outlet, add_partner, move_outlet, move_partner
from partners.operations.redeeming import (
    AgreedLimitReached,
    KeyReused,
    OutletNotServing,
    PartnerNotServing,
    SaleNotSound,
    redeem,
    redeem_typed,
    roll_back,
    sell,
)
from partners.rules import Benefit, BenefitKind, Funder, Terms
from tests.factories.world import SYSTEM
from tests.partners.conftest import SLIP, TODAY, agree
from tests.topups.conftest import hire

CASHIER = Actor(ActorKind.PARTNER, "li")
PLATE = "浙A12345"
HALF = [Funder("issuer", 5_000), Funder("partner", 5_000)]


def _benefit(code, kind, funders=HALF, **more) -> Benefit:
    return Benefit(code=code, kind=kind, name_zh=code, name_en=code, funders=funders, **more)


FIFTY = _benefit("fifty", BenefitKind.VOUCHER, voucher_kind="p-fifty")
WASH = _benefit("wash", BenefitKind.SERVICE, voucher_kind="p-wash", amount_minor=3_000, limit_each_month=2, plate_bound=True)
TENTH = _benefit("tenth", BenefitKind.DISCOUNT, share=1_000)
INSURED = Benefit(**{name: getattr(SLIP, name) for name in SLIP.__struct_fields__} | {"voucher_kind": "p-slip"})
AGREED = Terms(benefits=[FIFTY, WASH, TENTH, INSURED], commission=4_000)
KINDS = {
    "p-fifty": {"value_type": ValueType.MONEY, "face_minor": 5_000, "currency": "CNY", "partial": True, "rollback_minutes": 30},
    "p-wash": {"value_type": ValueType.SERVICE, "item": "wash", "plate_bound": True, "rollback_minutes": 30},
    "p-slip": {"value_type": ValueType.PARTNER, "item": "insurance", "limit_total": 500, "rollback_minutes": 30},
    "p-other": {"value_type": ValueType.SERVICE, "item": "tea", "rollback_minutes": 30},
}


async def make_counter(session, now, *, terms=AGREED) -> SimpleNamespace:
    """Let a partner with one outlet serve by terms that hold from today on, and stock vouchers."""
    people = await hire(session, "maker", now), await hire(session, "checker", now)
    facts = PartnerFacts(code="HAPPY-WASH", name_zh="快乐洗车", name_en="Happy Wash", category=Category.WASH)
    partner = await add_partner(session, facts=facts, actor=people[0], now=now)
    await agree(session, partner, people, now, terms=terms)
    await move_partner(session, partner_id=partner, to=PartnerStatus.ACTIVE, today=TODAY, reason="", actor=people[0], now=now)
    outlet = await add_outlet(
        session, partner_id=partner, facts=OutletFacts(code="W1", name_zh="一店", name_en="One"), actor=people[0], now=now
    )
    for code, kind in KINDS.items():
        names = {"name_zh": code, "name_en": code, "zone": "Asia/Shanghai", "validity_days": 30, "outlets": ("partner:HAPPY-WASH",)}
        await put_kind(session, code=code, facts=KindFacts(**names | kind), actor=SYSTEM, now=now)
    return SimpleNamespace(partner=partner, outlet=outlet, people=people)


async def voucher(session, now, kind, *, plate=None):
    wish = VoucherWish(kind, "grant", str(uuid4()), plate=plate)
    (made,) = (await issue(session, wish=wish, actor=SYSTEM, now=now)).voucher_ids
    return made


@pytest.fixture
async def counter(session, now):
    made = await make_counter(session, now)

    async def use(kind, *, key=None, plate=None, at=now, voucher_id=None, **more):
        which = voucher_id or await voucher(session, now, kind, plate=plate)
        key = key or uuid4()
        facts = {"outlet_id": made.outlet, "voucher_id": which, "key": key, "served_by": "li", "plate": plate, "actor": CASHIER, "now": at}
        return await redeem(session, **facts | more), key, which

    async def undo(key, *, at=now):
        return await roll_back(session, outlet_id=made.outlet, key=key, reason="wrong car", actor=CASHIER, now=at)

    async def ring(gross, benefit="tenth", *, key=None, reference="•••• 1234", at=now):
        facts = {"outlet_id": made.outlet, "key": key or uuid4(), "gross_minor": gross, "benefit": benefit, "reference": reference}
        return await sell(session, **facts, served_by="li", actor=CASHIER, now=at)

    made.use, made.undo, made.ring = use, undo, ring
    return made


async def lines(session) -> list[PartnerLine]:
    return list(await session.scalars(select(PartnerLine).order_by(PartnerLine.number)))


async def used(session) -> dict[str, int]:
    rows = await session.execute(select(PartnerCounter.subject, PartnerCounter.used).execution_options(populate_existing=True))
    return dict(rows.all())


async def test_money_is_redeemed_in_part_and_the_rest_stays(session, counter, now):
    served, key, which = await counter.use("p-fifty", amount_minor=2_000, gross_minor=6_000)
    assert (served.saved_minor, served.gross_minor, served.name_en) == (2_000, 6_000, "fifty")
    assert (await get_voucher(session, voucher_id=which)).left_minor == 3_000
    again, _, _ = await counter.use("p-fifty", voucher_id=which, key=key, amount_minor=2_000, gross_minor=6_000)
    assert again == served, "a retry has one effect and one answer"
    (line,) = await lines(session)
    assert (line.shares, line.partner_minor, line.commission_minor) == ({"issuer": 1_000, "partner": 1_000}, 1_000, 2_400)
    assert (line.due_minor, line.kind, line.served_by) == (1_000 - 2_400, LineKind.REDEMPTION, "li")
    for other in ({"amount_minor": 1_000}, {"amount_minor": 2_000, "gross_minor": 7_000}):
        with pytest.raises(VoucherKeyReused):
            await counter.use("p-fifty", voucher_id=which, key=key, **other)


async def test_a_slip_is_settled_at_forty_percent_of_its_premium(session, counter):
    served, _, _ = await counter.use("p-slip")
    (line,) = await lines(session)
    assert (served.gross_minor, served.saved_minor, line.commission_minor, line.due_minor) == (10_000, 10_000, 4_000, 6_000)
    assert await used(session) == {"benefit:claim-slip": 1}


async def test_a_member_pays_less_and_both_sides_have_the_line(session, counter, now):
    key = uuid4()
    sold = await counter.ring(9_995, key=key)
    assert sold.saved_minor == 1_000, "a tenth, rounded half up"
    assert await counter.ring(9_995, key=key, at=now + timedelta(days=9)) == sold
    for other in ({"gross": 9_996}, {"gross": 9_995, "benefit": None}, {"gross": 9_995, "reference": "•••• 9"}):
        with pytest.raises(KeyReused):
            await counter.ring(**other, key=key)
    for wrong in ({"gross": 0}, {"gross": 100, "benefit": "wash"}, {"gross": 100, "benefit": "none"}):
        with pytest.raises(SaleNotSound):
            await counter.ring(**wrong)
    alone = await counter.ring(6_680_000, None)
    (_, line) = await lines(session)
    assert (alone.saved_minor, line.commission_minor, line.due_minor) == (0, 2_672_000, -2_672_000)


async def test_what_is_not_agreed_is_not_honoured_and_nothing_is_taken(session, counter, now):
    which = await voucher(session, now, "p-other")
    with pytest.raises(CodeNotHonoured):
        async with session.begin_nested():
            await counter.use("p-other", voucher_id=which)
    assert (await get_voucher(session, voucher_id=which)).status is VoucherStatus.ISSUED
    with pytest.raises(AmountNotTaken):
        async with session.begin_nested():
            await counter.use("p-wash", plate=PLATE, amount_minor=100)
    with pytest.raises(SaleNotSound):
        async with session.begin_nested():
            await counter.use("p-fifty", amount_minor=2_000, gross_minor=1_999)
    assert await lines(session) == []


@pytest.mark.parametrize("still", ["outlet", "partner", "agreement"])
async def test_who_does_not_serve_redeems_nothing_but_answers_a_retry_and_takes_back(session, counter, now, still):
    served, key, which = await counter.use("p-fifty")
    fresh = await voucher(session, now, "p-fifty")
    maker, later = counter.people[0], now
    if still == "outlet":
        await move_outlet(
            session, partner_id=counter.partner, outlet_id=counter.outlet, to=OutletStatus.PAUSED, reason="rain", actor=maker, now=now
        )
    elif still == "partner":
        await move_partner(
            session, partner_id=counter.partner, to=PartnerStatus.SUSPENDED, today=TODAY, reason="audit", actor=maker, now=now
        )
    else:
        later = now - timedelta(days=1)
    with pytest.raises(OutletNotServing if still == "outlet" else PartnerNotServing):
        async with session.begin_nested():
            await counter.use("p-fifty", voucher_id=fresh, at=later)
    assert (await counter.use("p-fifty", voucher_id=which, key=key, at=later))[0] == served
    assert (await counter.undo(key)).undone


async def test_a_roll_back_gives_voucher_line_and_limit_back_once(session, counter, now):
    served, key, which = await counter.use("p-wash", plate=PLATE)
    assert await used(session) == {f"plate:wash:{PLATE}": 1}
    undone = await counter.undo(key, at=now + timedelta(minutes=30))
    assert undone.undone
    assert await counter.undo(key, at=now + timedelta(days=3)) == undone
    assert await used(session) == {f"plate:wash:{PLATE}": 0}
    assert (await get_voucher(session, voucher_id=which)).status is VoucherStatus.ISSUED
    first, back = await lines(session)
    assert (back.mirrors, first.due_minor + back.due_minor, back.pieces) == (served.number, 0, -1)
    with pytest.raises(RedemptionRolledBack):
        await counter.use("p-wash", voucher_id=which, key=key, plate=PLATE)
    await counter.use("p-wash", voucher_id=which, plate=PLATE)
    assert await used(session) == {f"plate:wash:{PLATE}": 1}


async def test_a_roll_back_too_late_changes_nothing_and_after_the_expiry_gives_expired(session, counter, now):
    _, key, _ = await counter.use("p-wash", plate=PLATE)
    with pytest.raises(RollBackTooLate):
        async with session.begin_nested():
            await counter.undo(key, at=now + timedelta(minutes=31))
    which = await voucher(session, now, "p-wash", plate=PLATE)
    expires = (await get_voucher(session, voucher_id=which)).expires_at
    _, key, _ = await counter.use("p-wash", voucher_id=which, plate=PLATE, at=expires - timedelta(minutes=5))
    await counter.undo(key, at=expires + timedelta(minutes=5))
    assert (await get_voucher(session, voucher_id=which)).status is VoucherStatus.EXPIRED
    assert await counter.undo(uuid4()) is None, "a key that is not known is refused from now on"


async def test_a_plate_has_its_month_and_the_next_begins_anew(session, counter, now):
    for _ in range(2):
        await counter.use("p-wash", plate=PLATE)
    with pytest.raises(AgreedLimitReached):
        async with session.begin_nested():
            await counter.use("p-wash", plate=PLATE)
    await counter.use("p-wash", plate="浙A99999")
    await counter.use("p-wash", plate=PLATE, at=now + timedelta(days=7))
    assert len(await lines(session)) == 4


def test_what_an_event_draws_on():
    worth = worth_of(AGREED, FIFTY, gross_minor=6_000, saved_minor=2_000)
    capped = Terms(benefits=[FIFTY], cap_month_minor=9)
    month = date(2026, 9, 1)
    assert draws_of(capped, FIFTY, worth, month=month, plate=None) == [Draw("cost", month, 1_000, 9)]
    assert draws_of(AGREED, None, worth, month=month, plate=None) == []
    assert [draw.subject for draw in draws_of(AGREED, INSURED, worth, month=month, plate=None)] == ["benefit:claim-slip"]


# All at once, each in a transaction of its own


async def tally(work) -> Tally:
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Refusal):
            raise outcome
    return Tally(type(outcome).__name__ for outcome in outcomes)


async def code_of(session, voucher_id) -> str:
    (shown,) = await codes_of(session, voucher_ids=[voucher_id])
    return shown.code


async def test_two_hundred_redeem_one_voucher_and_one_line_stands(sessions, now):
    async with transaction(sessions) as session:
        made = await make_counter(session, now)
        code = await code_of(session, await voucher(session, now, "p-fifty"))

    async def one():
        return await redeem_typed(
            sessions, outlet_id=made.outlet, typed=code, key=uuid4(), served_by="li", amount_minor=5_000, actor=CASHIER, now=now
        )

    found = await tally(one() for _ in range(200))
    assert found["Served"] == 1
    assert found.total() == 200
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(PartnerLine)) == 1


async def test_sixty_four_buyers_never_exceed_what_a_month_may_cost(sessions, now):
    async with transaction(sessions) as session:
        made = await make_counter(session, now, terms=Terms(benefits=[FIFTY], commission=4_000, cap_month_minor=100_000))
        vouchers = [await voucher(session, now, "p-fifty") for _ in range(64)]

    async def one(which):
        async with transaction(sessions) as session:
            facts = {"outlet_id": made.outlet, "voucher_id": which, "key": uuid4(), "served_by": "li", "actor": CASHIER, "now": now}
            return await redeem(session, **facts)

    assert await tally(one(which) for which in vouchers) == {"Served": 40, "AgreedLimitReached": 24}
    async with sessions() as session:
        assert await used(session) == {"cost": 100_000}
        assert await session.scalar(text("SELECT count(*) FROM vouchers WHERE status = 'redeemed'")) == 40


async def test_one_key_sent_from_everywhere_is_one_sale(sessions, now):
    async with transaction(sessions) as session:
        made = await make_counter(session, now)
    key = uuid4()

    async def one():
        async with transaction(sessions) as session:
            facts = {"outlet_id": made.outlet, "key": key, "gross_minor": 8_800, "benefit": "tenth", "reference": "•••• 1234"}
            return await sell(session, **facts, served_by="li", actor=CASHIER, now=now)

    answers = await asyncio.gather(*(one() for _ in range(50)))
    assert {answer.number for answer in answers} == {1}
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(PartnerLine)) == 1
