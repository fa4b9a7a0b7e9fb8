"""Over HTTP, through two worker processes: retries of one key, spends of one purse."""

import asyncio

import msgspec

from loyalty.pos_client import Fuel
from tests.crash.service import again_by_key, presented

LITRES = Fuel(product="92", quantity_milli=634, unit_price_e4=78_900, amount_minor=500, nozzle=3)


async def test_fifty_retries_of_one_key_give_one_effect_and_identical_bodies(service):
    till, line = await service.till()
    card = await service.card(kind="anonymous", balance_minor=10_000)
    await till.sell(presented(card), fuel=LITRES)
    assert line.sent is not None
    first = line.answers[-1]
    assert set(await asyncio.gather(*(again_by_key(till, line, line.sent[2]) for _ in range(50)))) == {first}
    rows = await service.rows("SELECT balance_minor, held_minor FROM purses WHERE account_id = $1", card.account_id)
    assert [tuple(row.values()) for row in rows] == [(9_500, 0)]
    assert len(await service.rows("SELECT FROM sales WHERE account_id = $1", card.account_id)) == 1
    assert await service.broken() == []


async def test_two_hundred_parallel_sales_never_overdraw_and_each_receipt_is_right(service):
    tills = [(await service.till(number))[0] for number in (0, 1)]
    card = await service.card(kind="anonymous", balance_minor=40_000)
    answers = await asyncio.gather(*(tills[number % 2].sell(presented(card), fuel=LITRES) for number in range(200)))
    approved = [answer for answer in answers if answer["outcome"] == "approved"]
    assert sorted(answer["balance_after_minor"] for answer in approved) == list(range(0, 40_000, 500))
    assert {answer["reason"] for answer in answers if answer["outcome"] != "approved"} == {"insufficient_funds"}
    assert await service.broken() == []


async def test_an_unsigned_copy_of_a_good_request_is_refused(service):
    till, line = await service.till()
    card = await service.card(kind="anonymous", balance_minor=10_000)
    await till.sell(presented(card), fuel=LITRES)
    assert line.sent is not None
    path, body, key = line.sent
    answer = await till._http.post(path, content=body, headers={"Content-Type": "application/json", "Idempotency-Key": key})
    assert answer.status_code == 401
    assert msgspec.json.decode(answer.content)["code"] == "request_not_signed"
