"""Amounts by file, the company's table and its terms."""

import pytest
from sqlalchemy import text

from loyalty.fleet.allocation_rules import Rate
from loyalty.fleet.operations.allocation_decisions import submit
from loyalty.fleet.operations.allocation_sheet import apply_amounts, preview_amounts
from loyalty.fleet.operations.allocation_tables import RatesNotSound, put_rates, put_terms
from loyalty.fleet.operations.allocations import propose_all
from loyalty.fleet.queries.allocations import Terms, list_requests, rate_rows, rates_of, terms_of
from loyalty.fleet.sheets import ColumnMissing, RowState
from tests.factories.world import SYSTEM

from .allocating import OCTOBER, make_motor_pool
from .test_allocations import CHECK_DAY, HEAD

FILE = """车牌,金额,备注
浙A00001,"1,000.00",增加
浙A00002,756,
浙A00009,10,没有此车
浙A00003,abc,
浙A00001,5,重复
""".encode("gb18030")


@pytest.fixture
async def fleet(session, world):
    fleet = await make_motor_pool(session, world, vehicles=3)
    # The factory's keys of plates are its own; files are compared as plates are.
    await session.execute(text("UPDATE vehicles SET plate_key = plate WHERE company_id = :id"), {"id": fleet.company_id})
    return fleet


async def test_a_file_of_amounts_is_judged_row_by_row_and_its_good_rows_are_taken(session, fleet):
    of = {"company_id": fleet.company_id, "span": OCTOBER}
    await propose_all(session, actor=HEAD, now=CHECK_DAY, **of)
    report = await preview_amounts(session, data=FILE, **of)
    assert [row.state for row in report.rows] == [RowState.CHANGE, RowState.SAME, RowState.ERROR, RowState.ERROR, RowState.ERROR]
    assert [[fault.code for fault in row.faults] for row in report.rows[2:]] == [["unknown_vehicle"], ["not_a_number"], ["twice"]]
    assert report.ignored == ("备注",)
    assert (await apply_amounts(session, data=FILE, actor=HEAD, now=CHECK_DAY, **of)) == report
    amounts = {one.plate: one.wanted_minor for one in (await list_requests(session, company_id=fleet.company_id)).rows}
    assert amounts == {"浙A00001": 1_000_00, "浙A00002": 756_00, "浙A00003": 756_00}
    again = await preview_amounts(session, data=FILE, **of)
    assert again.count(RowState.SAME) == 2
    await submit(session, actor=HEAD, now=CHECK_DAY, **of)
    assert (await preview_amounts(session, data=FILE, **of)).rows[0].faults[0].code == "refused"


async def test_a_file_makes_the_drafts_that_are_missing_and_reads_whole_numbers_and_tails(session, fleet, world):
    of = {"company_id": fleet.company_id, "span": OCTOBER}
    data = "卡尾号,金额\n0002,300\n0007,1\n".encode()
    assert [row.state for row in (await preview_amounts(session, data=data, **of)).rows] == [RowState.NEW, RowState.ERROR]
    await apply_amounts(session, data=data, actor=HEAD, now=CHECK_DAY, **of)
    (one,) = (await list_requests(session, company_id=fleet.company_id)).rows
    assert (one.wanted_minor, one.proposal_minor, one.plate) == (300_00, 756_00, "浙A00002")
    with pytest.raises(ColumnMissing):
        await preview_amounts(session, data="金额\n300\n".encode(), **of)


async def test_a_file_reaches_its_own_departments_only(session, fleet):
    report = await preview_amounts(session, company_id=fleet.company_id, span=OCTOBER, data=FILE, departments=[fleet.company_id])
    assert {fault.code for row in report.rows[:2] for fault in row.faults} == {"unknown_vehicle"}


async def test_the_table_is_replaced_whole_and_its_lines_do_not_overlap(session, fleet):
    of = {"company_id": fleet.company_id, "actor": HEAD, "now": CHECK_DAY}
    rates = [
        Rate("truck", 0, 3000, 100_000, None, None),
        Rate("truck", 3000, None, None, 900_00, 110),
        Rate("", 0, None, 50_000, None, None),
    ]
    await put_rates(session, rates=rates, **of)
    assert sorted(rate_rows(await rates_of(session, company_id=fleet.company_id))) == sorted(rates, key=lambda rate: rate[:2])
    for wrong in (
        Rate("truck", 2999, None, 1, None, None),
        Rate("bus", 0, None, None, None, None),
        Rate("bus", 0, None, 1, 1, None),
        Rate("bus", 5, 5, 1, None, None),
        Rate("bus", 0, None, 0, None, None),
        Rate("bus", 0, None, 1, None, 501),
    ):
        with pytest.raises(RatesNotSound) as refused:
            await put_rates(session, rates=[*rates, wrong], **of)
        assert refused.value.facts["line"] == 4
    await put_rates(session, rates=[], **of)
    assert await rates_of(session, company_id=fleet.company_id) == []


async def test_terms_are_the_defaults_until_they_are_set(session, fleet):
    assert await terms_of(session, company_id=fleet.company_id) == Terms(True, 20)
    for terms in (Terms(False, 35), Terms(True, 0)):
        await put_terms(session, company_id=fleet.company_id, terms=terms, actor=SYSTEM, now=CHECK_DAY)
        assert await terms_of(session, company_id=fleet.company_id) == terms
