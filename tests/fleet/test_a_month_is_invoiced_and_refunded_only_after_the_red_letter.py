"""A month is fuelled, its statement equals the books, invoices are asked for under two titles, and a refund waits for the red letter."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text, update

from loyalty.authorizations.invoicing_rules import share
from loyalty.authorizations.model_invoicing import GOODS
from loyalty.authorizations.operations.invoicing import MoreThanPaid, RedLetterFirst
from loyalty.authorizations.wire import Tender
from loyalty.checks.model import Scope
from loyalty.checks.queries.company_periods import CHECKS
from loyalty.checks.running import examine
from loyalty.db import transaction
from loyalty.errors import NotFound
from loyalty.statements.model_invoices import INVOICE_MOVES, InvoiceRequest, InvoiceStatus
from loyalty.statements.operations.companies import close_company_periods
from loyalty.statements.operations.invoices import (
    InvoiceCannotMove,
    InvoiceNumberTaken,
    NothingToInvoice,
    PeriodNotClosed,
    TitleFacts,
    TitleStandsAlready,
    add_title,
    close_title,
    issue_invoice,
    red_letter,
    refuse_invoice,
    request_invoice,
    withdraw_invoice,
)
from loyalty.statements.queries.invoices import TitleNotFound, get_invoice, list_invoices, pots_of, titles_of
from loyalty.statements.rules import totals_of
from tests.authorizations.conftest import bench, key_set, keys
from tests.authorizations.desk import books_balance, refund, reverse_key, rows, said
from tests.factories.fleet import make_fleet
from tests.factories.world import SYSTEM

__all__ = ["bench", "key_set", "keys"]
AFTER = datetime(2026, 9, 25, 16, 30, tzinfo=UTC)
FIRST = date(2026, 8, 26)
BEGIN = datetime(2026, 8, 25, 16, tzinfo=UTC)


class Office:
    """What the company and the office do, each in a transaction of its own."""

    def __init__(self, bench, fleet) -> None:
        self.bench, self.fleet = bench, fleet

    async def do(self, what, **facts):
        async with transaction(self.bench.sessions) as session:
            return await what(session, actor=SYSTEM, now=self.bench.now(), **facts)

    async def title(self, name: str):
        return await self.do(add_title, company_id=self.fleet.company_id, facts=TitleFacts(name=name, tax_number="9144030071526726XG"))

    async def ask(self, title_id, **amounts: int):
        products = self.bench.world.product_ids | {"goods": GOODS}
        wanted = {products[code.removeprefix("p")]: amount for code, amount in amounts.items()}
        return await self.do(request_invoice, company_id=self.fleet.company_id, title_id=title_id, first_day=FIRST, amounts=wanted)

    async def pots(self):
        async with transaction(self.bench.sessions) as session:
            found = await pots_of(session, account_id=self.fleet.account_id, begin=BEGIN)
        names = {product: code for code, product in self.bench.world.product_ids.items()} | {GOODS: "goods"}
        return {names[pot.product_id]: pot for pot in found}

    async def close(self):
        self.bench.later = AFTER - self.bench.world.now
        async with transaction(self.bench.sessions) as session:
            return await close_company_periods(session, company_id=self.fleet.company_id, actor=SYSTEM, now=self.bench.now())


@pytest.fixture
async def office(bench):
    async with transaction(bench.sessions) as session:
        fleet = await make_fleet(session, bench.world, pool_minor=100_000_000, cards=2)
    bench.later = timedelta(hours=1)
    return Office(bench, fleet)


async def test_a_month_from_the_pump_to_the_red_letter(bench, office):
    first, second = office.fleet.cards
    sold = said(await bench.sell(first, litres_milli=20_000))
    part = said(await bench.sell(second, litres_milli=10_000))
    await bench.sell(second, product="0", litres_milli=10_000, price_e4=75_000)
    await refund(bench, part["sale"], gross_minor=789)
    title = await office.title("钱塘物流有限公司")
    branch = await office.title("钱塘物流有限公司宁波分公司")
    with pytest.raises(TitleStandsAlready):
        await office.title("钱塘物流有限公司")
    with pytest.raises(PeriodNotClosed):
        await office.ask(title, p92=1)

    (closed,) = await office.close()
    money = totals_of(closed.totals).money
    booked = "SELECT sum(amount_minor)::bigint AS sum FROM transfers WHERE account_id = :a AND kind = :k"
    assert [{"sum": money.spent_minor}] == await rows(bench, booked, a=office.fleet.account_id, k=3)
    pots = await office.pots()
    assert (pots["92"].paid_minor, pots["92"].refunded_minor, pots["92"].left_minor) == (23_670, 789, 22_881)
    assert (pots["0"].left_minor, pots["92"].quantity_milli) == (7_500, 29_000)
    assert sum(pot.paid_minor for pot in pots.values()) == money.spent_minor

    with pytest.raises(MoreThanPaid):
        await office.ask(title, p92=22_882)
    with pytest.raises(NothingToInvoice):
        await office.ask(title, p92=0)
    one = await office.ask(title, p92=20_000, p0=7_500)
    two = await office.ask(branch, p92=2_881)
    with pytest.raises(MoreThanPaid):
        await office.ask(branch, p0=1)
    async with transaction(bench.sessions) as session:
        view, lines = await get_invoice(session, invoice_id=one, company_id=office.fleet.company_id)
        assert (view.amount_minor, view.title, sum(line.amount_minor for line in lines)) == (27_500, "钱塘物流有限公司", 27_500)
        with pytest.raises(NotFound):
            await get_invoice(session, invoice_id=one, company_id=office.fleet.account_id)
    issued = {"issued_on": date(2026, 9, 28)}
    await office.do(issue_invoice, invoice_id=one, number="24332000000012345678", **issued)
    with pytest.raises(InvoiceNumberTaken):
        await office.do(issue_invoice, invoice_id=two, number="24332000000012345678", **issued)

    async with transaction(bench.sessions) as session:
        results = [result async for result in examine(session, Scope(now=bench.now()), checks=CHECKS)]
    assert {result.check.code for result in results if result.found.count} == set()

    with pytest.raises(RedLetterFirst):
        await refund(bench, sold["sale"])
    assert (await office.pots())["92"].refunded_minor == 789, "nothing happened"
    await office.do(withdraw_invoice, company_id=office.fleet.company_id, invoice_id=two)
    with pytest.raises(RedLetterFirst):
        await refund(bench, sold["sale"])
    await office.do(red_letter, invoice_id=one, number="24332000000012345679", reason="refund", **issued)
    given = await refund(bench, sold["sale"])
    assert given.outcome != "voided", "a closed period's sale is refunded, not undone"
    pots = await office.pots()
    assert (pots["92"].left_minor, pots["92"].invoiced_minor, pots["92"].over_minor) == (22_881 - 15_780, 0, 0)
    await office.ask(branch, p92=22_881 - 15_780)
    await books_balance(bench)
    async with transaction(bench.sessions) as session:
        page = await list_invoices(session, company_id=office.fleet.company_id)
        assert {one.status for one in page.rows} == {InvoiceStatus.REQUESTED, InvoiceStatus.WITHDRAWN, InvoiceStatus.RED_LETTERED}
        assert (await list_invoices(session, status=InvoiceStatus.ISSUED)).rows == []
    await office.do(close_title, company_id=office.fleet.company_id, title_id=branch)
    with pytest.raises(TitleNotFound):
        await office.ask(branch, p0=1)
    async with transaction(bench.sessions) as session:
        assert [one.title_id for one in await titles_of(session, company_id=office.fleet.company_id)] == [title]


async def test_other_tenders_goods_and_discounts_are_not_paid_by_the_card(bench, office):
    card = office.fleet.cards[0]
    await bench.sell(card, litres_milli=10_000, tenders=[Tender(tender="cash", amount_minor=2_890)])
    await office.close()
    pots = await office.pots()
    assert {code: pot.left_minor for code, pot in pots.items()} == {"92": 5_000}


async def test_a_till_s_reversal_of_what_was_invoiced_is_booked_and_noted_until_the_red_letter(bench, office):
    key = uuid4()
    await bench.sell(office.fleet.cards[0], litres_milli=10_000, key=key)
    await office.close()
    invoice = await office.ask(await office.title("甲"), p92=7_890)
    await office.do(issue_invoice, invoice_id=invoice, number="1", issued_on=date(2026, 9, 28))
    await reverse_key(bench, key)
    pot = (await office.pots())["92"]
    assert (pot.refunded_minor, pot.invoiced_minor, pot.over_minor, pot.left_minor) == (7_890, 7_890, 7_890, 0)
    await office.do(red_letter, invoice_id=invoice, number="2", issued_on=date(2026, 9, 29), reason="reversed")
    pot = (await office.pots())["92"]
    assert (pot.invoiced_minor, pot.over_minor) == (0, 0)


async def test_two_who_ask_at_once_do_not_ask_for_more_than_was_paid(bench, office):
    await bench.sell(office.fleet.cards[0], litres_milli=10_000)
    await office.close()
    title = await office.title("甲")
    asked = await asyncio.gather(*(office.ask(title, p92=5_000) for _ in range(4)), return_exceptions=True)
    assert sorted(isinstance(one, MoreThanPaid) for one in asked) == [False, True, True, True]
    assert (await office.pots())["92"].invoiced_minor == 5_000


async def test_invoices_go_by_their_table(bench, office):
    await bench.sell(office.fleet.cards[0], litres_milli=10_000)
    await office.close()
    invoice = await office.ask(await office.title("甲"), p92=10)
    known = {"number": "7", "issued_on": date(2026, 9, 28)}
    ways = {
        InvoiceStatus.ISSUED: lambda number: office.do(issue_invoice, invoice_id=invoice, **known | {"number": str(number)}),
        InvoiceStatus.REFUSED: lambda _: office.do(refuse_invoice, invoice_id=invoice, reason="no"),
        InvoiceStatus.WITHDRAWN: lambda _: office.do(withdraw_invoice, company_id=office.fleet.company_id, invoice_id=invoice),
        InvoiceStatus.RED_LETTERED: lambda number: office.do(
            red_letter, invoice_id=invoice, reason="no", **known | {"number": str(number)}
        ),
    }
    for place, before in enumerate(InvoiceStatus):
        for after, move in ways.items():
            async with transaction(bench.sessions) as session:
                has = before in {InvoiceStatus.ISSUED, InvoiceStatus.RED_LETTERED}
                red = before is InvoiceStatus.RED_LETTERED
                values = {"status": before, "number": "1" if has else None, "issued_on": FIRST if has else None}
                values |= {"red_number": "2" if red else None, "red_on": FIRST if red else None}
                values |= {"decided_at": None if before is InvoiceStatus.REQUESTED else bench.now()}
                await session.execute(update(InvoiceRequest).values(values))
                await session.execute(text("UPDATE invoice_pots SET invoiced_minor = 10"))
            if after in INVOICE_MOVES[before]:
                await move(100 + place)
            else:
                with pytest.raises(InvoiceCannotMove):
                    await move(100 + place)


@given(st.integers(1, 10**7), st.integers(0, 10**6), st.integers(0, 10**6))
def test_what_was_paid_is_divided_whole(net, goods, paid):
    fuel, rest = share(min(paid, net), net_minor=net, goods_minor=min(goods, net))
    assert fuel + rest == min(paid, net)
    assert fuel >= 0
    assert rest >= 0
