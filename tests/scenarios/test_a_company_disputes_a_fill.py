"""A company disputes a fill: the station answers, somebody else decides, and what is approved goes back by the sale's own mirror, once."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text

from loyalty.authorizations.operations.refund_asks import RefundExceedsSale
from loyalty.authorizations.wire import parse_reference
from loyalty.fleet.model_disputes import DISPUTE_MOVES, DisputeReason, DisputeStatus, FillDispute
from loyalty.fleet.operations.companies import make_company
from loyalty.fleet.operations.disputes import (
    AnotherPersonDecides,
    DisputeExceedsFill,
    DisputeSettled,
    FillNotDisputable,
    StationStillAnswers,
    answer_dispute,
    approve_dispute,
    open_dispute,
    reject_dispute,
    withdraw_dispute,
)
from loyalty.fleet.queries.disputes import DisputeNotFound, list_disputes
from loyalty.identity.model import Staff, StaffStatus
from tests.factories.world import SYSTEM
from tests.scenarios.telling import key, money, said
from tests.simulation.house import GENERIC, broken


@pytest.fixture
async def company(house):
    """Make the house's company account one of a fleet; a second person works in the office."""
    truck = house.people.cards["company"]
    company_id, other = uuid.uuid4(), uuid.uuid4()

    async def make(session):
        facts = {"id": company_id, "account": truck.account_id, "now": house.time}
        await session.execute(
            text(
                "INSERT INTO customers (customer_id, kind, name, name_key, locale, country, status, created_at) "
                "VALUES (:id, 'organisation', '钱塘物流', '钱塘物流', 'zh_CN', 'CN', 'active', :now)"
            ),
            {"id": company_id, "now": house.time},
        )
        await session.execute(text("UPDATE accounts SET customer_id = :id WHERE account_id = :account"), facts)
        await make_company(session, customer_id=company_id, account_id=truck.account_id, actor=SYSTEM, now=house.time)
        session.add(Staff(staff_id=other, employee_number="2", name="财务", status=StaffStatus.ACTIVE, locale="zh_CN", hired_at=house.time))

    await house.perform(make)
    return {"company_id": company_id, "account_id": truck.account_id}, house.people.staff.staff_id, other


async def fuelled(house):
    truck = house.people.cards["company"]
    sold = said(await house.sell(truck, key=key(), milli=50_000, price=78_900, amount=39_450))
    assert sold["outcome"] == "approved", sold
    return parse_reference(sold["sale"])[1]


async def opened(house, company, sale_id, **more) -> FillDispute:
    wanted = {"sale_id": sale_id, "reason": DisputeReason.WRONG_LITRES, "comment": "加了 20 升", "actor": SYSTEM, "now": house.time} | more
    return await house.perform(lambda session: open_dispute(session, **company, **wanted))


async def test_what_is_approved_goes_back_once(house, company):
    firm, cashier, office = company
    before = await money(house, house.people.cards["company"])
    sale_id = await fuelled(house)
    dispute = await opened(house, firm, sale_id)
    decide = {"dispute_id": dispute.dispute_id, "gross_minor": 20_000, "words": "按油枪记录退回", "policy": GENERIC, "now": house.time}
    decide["place"] = house.snapshot.places[house.world.terminal_ids[0]]
    with pytest.raises(StationStillAnswers):
        await house.perform(lambda session: approve_dispute(session, staff_id=office, **decide))
    answer = {"dispute_id": dispute.dispute_id, "agrees": True, "words": "油枪记录为 25 升", "now": house.time}
    await house.perform(lambda session: answer_dispute(session, staff_id=cashier, **answer))
    with pytest.raises(DisputeSettled):
        await house.perform(lambda session: answer_dispute(session, staff_id=office, **answer))
    with pytest.raises(AnotherPersonDecides):
        await house.perform(lambda session: approve_dispute(session, staff_id=cashier, **decide))
    with pytest.raises(RefundExceedsSale):
        await house.perform(lambda session: approve_dispute(session, staff_id=office, **decide | {"gross_minor": 39_451}))
    # Two people press at the same instant: one refund.
    both = [house.perform(lambda session: approve_dispute(session, staff_id=office, **decide)) for _ in range(2)]
    results = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(one).__name__ for one in results) == ["DisputeSettled", "FillDispute"]
    refunds = await house.rows("SELECT refund_id, gross_minor FROM refunds")
    assert [one["gross_minor"] for one in refunds] == [20_000]
    after = await money(house, house.people.cards["company"])
    sold = (await house.rows("SELECT card_minor, gross_minor FROM sales"))[0]
    left = sold["card_minor"] - round(sold["card_minor"] * 20_000 / sold["gross_minor"])
    assert after["principal"][0] == before["principal"][0] - left
    found = (await house.perform(lambda session: list_disputes(session, company_id=firm["company_id"]))).rows
    assert [(one.status, one.given_minor, one.refunded_minor) for one in found] == [(DisputeStatus.APPROVED, 20_000, 20_000)]
    assert await broken(house) == []


async def test_one_dispute_stands_at_a_time_and_never_for_more_than_is_left(house, company):
    firm, _cashier, office = company
    sale_id = await fuelled(house)
    with pytest.raises(DisputeExceedsFill):
        await opened(house, firm, sale_id, wanted_minor=39_451)
    first = await opened(house, firm, sale_id)
    with pytest.raises(FillNotDisputable):
        await opened(house, firm, sale_id)
    stranger = {"company_id": uuid.uuid4(), "dispute_id": first.dispute_id, "actor": SYSTEM, "now": house.time}
    with pytest.raises(DisputeNotFound):
        await house.perform(lambda session: withdraw_dispute(session, **stranger))
    await house.perform(lambda session: withdraw_dispute(session, **stranger | {"company_id": firm["company_id"]}))
    second = await opened(house, firm, sale_id)
    # The station is silent for its three days: the office decides without it.
    late = second.answer_by + timedelta(seconds=1)
    reject = {"dispute_id": second.dispute_id, "words": "油枪记录一致", "staff_id": office}
    with pytest.raises(StationStillAnswers):
        await house.perform(lambda session: reject_dispute(session, now=second.answer_by - timedelta(seconds=1), **reject))
    await house.perform(lambda session: reject_dispute(session, now=late, **reject))
    assert await house.rows("SELECT 1 FROM refunds") == []
    with pytest.raises(FillNotDisputable):
        await opened(house, firm, sale_id, now=house.time + timedelta(days=200))


def test_a_decided_dispute_moves_no_more():
    ended = {DisputeStatus.APPROVED, DisputeStatus.REJECTED, DisputeStatus.WITHDRAWN}
    for status in DisputeStatus:
        assert (DISPUTE_MOVES[status] == frozenset()) is (status in ended)
        assert status not in DISPUTE_MOVES[status]
