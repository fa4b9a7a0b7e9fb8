"""PostgreSQL ends as by a power cut in the middle of business: what was acknowledged is there, the rest is settled by retry, unattended."""

import asyncio

from loyalty import schema
from loyalty.pos_client import Fuel
from loyalty.postgres import EmbeddedServer
from tests.crash.service import STAFF, presented, serving

LITRE = Fuel(product="92", quantity_milli=1_000, unit_price_e4=78_900, amount_minor=789, nozzle=3)


async def test_what_was_acknowledged_outlives_the_database(outside_folder, tmp_path):
    server = EmbeddedServer(outside_folder / "power", outside_folder / "power-keys")
    await asyncio.to_thread(server.start)
    try:
        await schema.migrate(server.url)
        async with serving(server.url, tmp_path) as service:
            till, line = await service.till()
            await till.open_shift(STAFF, opening_float_minor=0)
            cards = [await service.card(kind="anonymous", balance_minor=50_000) for _ in range(4)]
            sold = [0] * len(cards)
            cut = asyncio.Event()

            async def buy(number: int) -> None:
                for _ in range(15):
                    answer = await till.sell(presented(cards[number]), fuel=LITRE)
                    sold[number] += answer["card_minor"]
                    if sum(sold) > 10 * 789:
                        cut.set()
                loaded = await till.top_up(presented(cards[number]), amount_minor=100, tender="cash")
                sold[number] -= loaded["amount_minor"]

            async def cut_the_power() -> None:
                await cut.wait()
                server.kill()
                await asyncio.sleep(0.5)
                await asyncio.to_thread(server.start)

            await asyncio.gather(cut_the_power(), *(buy(number) for number in range(len(cards))))
            for card, taken in zip(cards, sold, strict=True):
                rows = await service.rows("SELECT balance_minor, held_minor FROM purses WHERE account_id = $1", card.account_id)
                assert [tuple(row.values()) for row in rows] == [(50_000 - taken, 0)]
            assert sold == [15 * 789 - 100] * len(cards)
            assert {len(answers) for answers in line.by_key.values()} == {1}
            assert await service.broken() == []
    finally:
        await asyncio.to_thread(server.stop)
