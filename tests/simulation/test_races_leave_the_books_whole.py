"""Many at once, on a database that commits: whoever wins, nothing is lost, doubled or overdrawn. Two workers serve, as in production."""

import asyncio
import uuid

import msgspec

from loyalty.audit.model import Actor
from loyalty.authorizations.operations.refunds import NothingToRefund, RefundExceedsSale
from loyalty.cards.operations import report_lost
from loyalty.db import transaction
from loyalty.errors import Refusal
from loyalty.topups.model import Tender
from loyalty.topups.operations import freeze_account
from tests.factories.world import TestCard, give_card
from tests.simulation.house import GENERIC, House, broken

PRICE = 78_900
TEN_LITRES = {"milli": 10_000, "price": PRICE, "amount": 7_890}


def said(answer: bytes) -> dict:
    return msgspec.json.decode(answer)


async def together(*work) -> list:
    """Do all at once; refusals are results, any other error is raised."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Refusal):
            raise result
    return results


async def purses(house: House, card: TestCard) -> dict[int, tuple[int, int]]:
    rows = await house.rows(
        "SELECT kind, sum(balance_minor)::bigint AS balance, sum(held_minor)::bigint AS held FROM purses WHERE account_id = $1 GROUP BY 1",
        card.account_id,
    )
    return {row["kind"]: (row["balance"], row["held"]) for row in rows}


def key() -> uuid.UUID:
    return uuid.uuid4()


async def test_two_hundred_authorisations_hold_no_more_than_there_is(workers):
    card = workers[0].people.cards["anonymous"]
    answers = [
        said(answer)
        for answer in await together(*(workers[n % 2].authorise(card, key=key(), amount_minor=500, partial=False) for n in range(200)))
    ]
    assert [answer["outcome"] for answer in answers].count("approved") == 80
    assert await purses(workers[0], card) == {1: (40_000, 40_000)}
    assert await broken(workers[0]) == []


async def test_two_hundred_sales_through_two_workers_never_overdraw(workers):
    """And every receipt shows the balance that this sale left."""
    card = workers[0].people.cards["anonymous"]
    answers = await together(*(workers[n % 2].sell(card, key=key(), milli=634, price=PRICE, amount=500) for n in range(200)))
    approved = [answer for answer in map(said, answers) if answer["outcome"] == "approved"]
    assert sorted(answer["balance_after_minor"] for answer in approved) == list(range(0, 40_000, 500))
    assert await purses(workers[0], card) == {1: (0, 0)}
    assert await broken(workers[0]) == []


async def test_five_hundred_wrong_pins_through_two_workers_are_three_evaluations(workers):
    card = workers[0].people.cards["anonymous"]
    work = (workers[n % 2].sell(card, key=key(), pin="9999", milli=634, price=PRICE, amount=500) for n in range(500))
    reasons = [said(answer)["reason"] for answer in await together(*work)]
    assert (reasons.count("pin_wrong"), reasons.count("pin_locked")) == (2, 498)


async def test_a_pools_cards_never_take_more_than_the_pool_through_two_workers(workers):
    house = workers[0]
    first = house.people.cards["company"]
    async with transaction(house.sessions) as session:
        cards = [first] + [await give_card(session, house.world, kind="company", account_id=first.account_id) for _ in range(59)]
    answers = await together(*(workers[n % 2].sell(cards[n % 60], key=key(), **TEN_LITRES) for n in range(120)))
    approved = [answer for answer in map(said, answers) if answer["outcome"] == "approved"]
    assert len(approved) == 90_000 // 7_890
    assert await purses(house, first) == {1: (90_000 - len(approved) * 7_890, 0)}
    assert await broken(house) == []


async def test_parts_that_come_at_once_are_all_booked_once(workers):
    house, card = workers[0], workers[0].people.cards["company"]
    approved = said(await house.authorise(card, key=key(), amount_minor=90_000))
    await together(*(workers[n % 2].complete(approved["authorization"], key=key(), **TEN_LITRES, final=False) for n in range(15)))
    assert await purses(house, card) == {1: (0, 0), 4: (90_000 - 15 * 7_890, 0)}
    assert len(await house.rows("SELECT FROM sales")) == 15
    assert await broken(house) == []


async def test_one_key_through_both_workers_has_one_effect(workers):
    card, same = workers[0].people.cards["company"], key()
    answers = await together(*(workers[n % 2].sell(card, key=same, **TEN_LITRES) for n in range(50)))
    assert len(set(answers)) == 1
    assert await purses(workers[0], card) == {1: (90_000 - 7_890, 0)}


async def test_fifty_partial_refunds_give_back_no_more_than_the_sale(workers):
    house, card = workers[0], workers[0].people.cards["personal"]
    sale = said(await house.sell(card, key=key(), **TEN_LITRES))["sale"]
    results = await together(*(house.refund(sale, key=key(), gross=400) for _ in range(50)))
    refused = [result for result in results if isinstance(result, Refusal)]
    assert len(results) - len(refused) == 7_890 // 400
    assert {type(refusal) for refusal in refused} <= {RefundExceedsSale, NothingToRefund}
    await house.refund(sale, key=key(), gross=None)
    assert await purses(house, card) == {1: (100_000, 0)}
    assert await broken(house) == []


async def test_completions_race_the_reversal_of_their_authorisation(workers):
    house, card = workers[0], workers[0].people.cards["company"]
    for _ in range(8):
        original = key()
        approved = said(await house.authorise(card, key=original, amount_minor=8_000))
        await together(
            workers[1].complete(approved["authorization"], key=key(), milli=1_000, price=PRICE, amount=789, final=False),
            house.reverse(original, key=key()),
            workers[0].complete(approved["authorization"], key=key(), milli=1_000, price=PRICE, amount=789, final=True),
        )
    assert await purses(house, card) == {1: (90_000 - 16 * 789, 0)}
    assert await broken(house) == []


async def test_sales_refunds_and_loads_of_one_pool_pass_each_other_without_deadlock(workers):
    house = workers[0]
    card, second = house.people.cards["company"], house.people.cards["second"]
    sales = [said(answer)["sale"] for answer in [await house.sell(card, key=key(), **TEN_LITRES) for _ in range(8)]]
    work = [house.refund(sale, key=key(), gross=None) for sale in sales]
    work += [workers[n % 2].sell(second if n % 3 else card, key=key(), milli=1_000, price=PRICE, amount=789) for n in range(40)]
    work += [house.top_up(second, key=key(), tender=Tender.CASH, amount=1_000) for _ in range(10)]
    results = await together(*work)
    assert not [result for result in results if isinstance(result, Refusal)]
    assert await purses(house, card) == {1: (90_000 + 10_000 - 40 * 789, 0)}
    assert await broken(house) == []


async def test_after_the_loss_is_reported_no_sale_is_approved(workers):
    house, card = workers[0], workers[0].people.cards["personal"]
    reported = asyncio.Event()
    late: list[dict] = []

    async def buy(worker: House) -> None:
        for _ in range(40):
            was_reported = reported.is_set()
            answer = said(await worker.sell(card, key=key(), milli=100, price=PRICE, amount=79))
            if was_reported:
                late.append(answer)

    async def lose() -> None:
        await asyncio.sleep(0)
        await house.perform(
            lambda session: report_lost(session, card_id=card.card_id, actor=house.people.staff, reason="gone", now=house.now())
        )
        reported.set()

    await together(buy(workers[0]), buy(workers[1]), lose())
    assert late
    assert {answer.get("reason") for answer in late} == {"card_lost"}
    assert await broken(house) == []


async def test_after_the_freeze_no_sale_is_approved(workers):
    house, card = workers[0], workers[0].people.cards["company"]
    frozen = asyncio.Event()
    late: list[dict] = []
    officer: Actor = house.people.staff

    async def buy(worker: House, by: TestCard) -> None:
        for _ in range(40):
            was_frozen = frozen.is_set()
            answer = said(await worker.sell(by, key=key(), milli=100, price=PRICE, amount=79))
            if was_frozen:
                late.append(answer)

    async def freeze() -> None:
        order = {"authority": "法院", "document": "1", "officer": "王", "actor": officer, "now": house.now()}
        await house.perform(lambda session: freeze_account(session, policy=GENERIC, account_id=card.account_id, **order))
        frozen.set()

    await together(buy(workers[0], card), buy(workers[1], house.people.cards["second"]), freeze())
    assert late
    assert {answer.get("reason") for answer in late} == {"account_frozen"}
    assert await broken(house) == []


async def test_a_limits_counter_is_not_outrun_by_parallel_fills(workers):
    """Four fills a day and 600.00 in all: a hundred at once are at most four."""
    house, card = workers[0], workers[0].people.cards["limited"]
    answers = [said(answer) for answer in await together(*(workers[n % 2].sell(card, key=key(), **TEN_LITRES) for n in range(100)))]
    assert [answer["outcome"] for answer in answers].count("approved") == 4
    assert {answer.get("reason") for answer in answers} == {None, "count_limit"}
    assert await broken(house) == []
