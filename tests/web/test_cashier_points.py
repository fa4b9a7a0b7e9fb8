"""Points at the counter: what they buy here, with the holder's PIN, on paper, and back within the shift."""

import re
from datetime import timedelta
from urllib.parse import unquote

import httpx
import pytest
from sqlalchemy import text

from loyalty.db import make_engine, make_sessions, transaction
from loyalty.ids import uuid7
from loyalty.rewards.model_grants import GrantKind
from loyalty.rewards.operations.gift_stock import GiftFacts, put_gift, receive_gifts
from loyalty.rewards.operations.grants import give
from tests.browser.counter import MANAGER, STAFF_PIN, fill_counter, make_station, writing
from tests.browser.serving import served
from tests.factories.alliances import make_alliance
from tests.factories.world import PIN, SYSTEM
from tests.web.test_cashier_rules import Browser

DRAWN = "M10,20 L30,40 Q50 60 70 80"


@pytest.fixture(scope="module")
async def station(databases, tmp_path_factory):
    url, folder = await databases.clone(), tmp_path_factory.mktemp("counter")
    world = await make_station(url, folder)
    async with writing(url, folder) as session:
        for code, zh, en, steps in (
            ("umbrella", "自动晴雨伞", "Umbrella", ((1, 500), (2, 900))),
            ("thermos", "保温杯", "Flask", ((1, 5_000),)),
        ):
            facts = GiftFacts(name_zh=zh, name_en=en, zone="Asia/Shanghai", points_steps=steps)
            await put_gift(session, code=code, facts=facts, actor=SYSTEM, now=world.now)
            await receive_gifts(session, code=code, place_id=world.station_id, pieces=20, actor=SYSTEM, now=world.now)
    with served(url, folder) as address:
        yield url, folder, world, address
    await databases.drop(url)


@pytest.fixture
async def counter(station):
    made = await fill_counter(*station[:3])
    async with writing(*station[:2]) as session:
        facts = {"source": "tests", "kind": GrantKind.POINTS, "unit": "POINTS", "funders": [("head-office", 1)], "now": made.now}
        for points, days, later in ((1_240, 40, 0), (22, 400, 3)):
            account, active_at = made.zhang.account_id, made.now + timedelta(days=later)
            ends, source = made.now + timedelta(days=days), uuid7(made.now)
            await give(
                session, account_id=account, source_id=source, rule="r", amount=points, active_at=active_at, expires_at=ends, **facts
            )
    return made


@pytest.fixture
def browser(station, counter):
    with httpx.Client():
        made = Browser(station[3])
        made.come_in(counter.code)
        yield made
        made.client.close()


def page_of(counter) -> str:
    return f"/cashier/cards/{counter.zhang.card_id}/points"


def redeem(browser, counter, **fields) -> httpx.Response:
    wanted = {"gift": "umbrella", "pieces": "1", "pin": PIN} | fields
    return browser.post(page_of(counter), **wanted)


async def stock(counter) -> tuple[int, int]:
    found = await counter.count(
        "SELECT on_hand::text || ' ' || reserved FROM gift_stocks s JOIN gifts g USING (gift_id) WHERE g.code = 'umbrella'"
    )
    on_hand, reserved = found.split()
    return int(on_hand), int(reserved)


async def balance(counter) -> int:
    return await counter.count("SELECT sum(balance_minor) FROM purses WHERE account_id = :a AND kind = 3", a=counter.zhang.account_id)


async def test_the_key_asks_for_the_card_and_the_page_says_what_points_buy(browser, counter):
    asked = browser.get("/cashier/points")
    assert (asked.status_code, "Which card?" in asked.text, 'data-key="F11"' in asked.text) == (200, True, True)
    found = browser.post("/cashier/find", q=counter.zhang.number, then="points")
    assert found.headers["location"] == page_of(counter)
    page = browser.get(page_of(counter)).text
    for said in ("1,240 points", "22 pending", "1,240 run out on", "Umbrella", "3,760 points short", "What points buy here"):
        assert said in page, said
    chosen = browser.get(f"{page_of(counter)}?gift=umbrella&pieces=2").text
    assert re.search(r'<span class="fig">900 points</span>', chosen), "the points stand in the button"
    browser.client.headers["Accept-Language"] = "zh"
    page = browser.get(f"{page_of(counter)}?gift=umbrella&pieces=2").text
    for said in ("自动晴雨伞", "900 积分", "兑换", "还差 3,760 分"):
        assert said in page, said


async def test_a_signature_hands_it_over_and_within_the_shift_it_is_undone(browser, counter):
    on_hand, _ = await stock(counter)
    made = redeem(browser, counter, pieces="2", signature=DRAWN)
    assert made.status_code == 303, made.text[:2000]
    done = made.headers["location"].partition("?")[0]
    page = browser.get(f"{done}?new=1").text
    for said in ("900 points", "Umbrella × 2", "Handed over", "340"):
        assert said in page, said
    assert (await balance(counter), await stock(counter)) == (340, (on_hand - 2, 0))
    first, copy = browser.post(f"{done}/receipt"), browser.post(f"{done}/receipt")
    assert first.headers["content-type"].startswith("application/pdf")
    assert copy.status_code == 200
    assert "Print copy 2" in browser.get(done).text
    found = browser.post("/cashier/returns", number=done.rpartition("/")[2])
    assert found.headers["location"] == done, "the number on the paper leads there"
    assert "Umbrella × 2" in browser.get(page_of(counter)).text
    undone = browser.post(f"{done}/undo", reason="wrong_gift", restock="1")
    assert undone.headers["location"] == done
    assert (await balance(counter), await stock(counter)) == (1_240, (on_hand, 0))
    assert "The gift came back" not in browser.get(done).text
    again = browser.post(f"{done}/undo", reason="wrong_gift")
    assert (again.status_code, "undone already" in again.text) == (409, True)
    told = await counter.count(
        "SELECT facts->>'points' FROM audit_entries WHERE action = 'rewards.points_undone' ORDER BY entry_id DESC LIMIT 1"
    )
    assert told == "900"


async def test_unsigned_it_is_set_aside_and_one_form_is_one_redemption(browser, counter):
    _, reserved = await stock(counter)
    key = str(uuid7(counter.now))
    first, again = (redeem(browser, counter, idempotency_key=key) for _ in range(2))
    assert first.headers["location"] == again.headers["location"]
    page = browser.get(first.headers["location"]).text
    assert "Set aside here until" in page
    assert f"/cashier/cards/{counter.zhang.card_id}/gifts" in page, "where it is handed over later"
    assert (await balance(counter), (await stock(counter))[1]) == (740, reserved + 1)


async def test_nothing_is_spent_without_the_pin_and_a_wrong_one_is_counted(browser, counter):
    assert "PIN" in redeem(browser, counter, pin="").text
    wrong = redeem(browser, counter, pin="8642")
    assert (wrong.status_code, "Let the customer type it again." in wrong.text) == (200, True)
    assert 'value="umbrella"' in wrong.text, "what was chosen stays chosen"
    assert await counter.count("SELECT pin_tries FROM cards WHERE card_id = :c", c=counter.zhang.card_id) == 1
    assert await balance(counter) == 1_240


async def test_refusals_say_what_and_why(browser, counter):
    for fields, said in (
        ({"gift": "thermos"}, "1240 available, 5000 needed"),
        ({"pieces": "3"}, "3 of this gift are not to be had for points"),
        ({"signature": "<script>"}, "There is no signature"),
    ):
        answer = redeem(browser, counter, **fields)
        assert said in answer.text, unquote(answer.text[-3000:])
    assert await balance(counter) == 1_240


async def test_before_this_shift_a_second_person_undoes_it(browser, counter):
    done = redeem(browser, counter).headers["location"].partition("?")[0]
    await age(counter)
    page = browser.get(done).text
    assert "Second person" in page
    alone = browser.post(f"{done}/undo", reason="other")
    assert (alone.status_code, "needs a second person" in alone.text) == (403, True)
    both = browser.post(f"{done}/undo", reason="other", approver_card=MANAGER, approver_pin=STAFF_PIN)
    assert both.headers["location"] == done
    assert await balance(counter) == 1_240


async def age(counter) -> None:
    """Let the redemption have been made the day before."""
    engine = make_engine(counter.database_url)
    async with transaction(make_sessions(engine)) as session:
        bound = {"a": counter.zhang.account_id}
        await session.execute(text("UPDATE points_redemptions SET spent_at = spent_at - interval '1 day' WHERE account_id = :a"), bound)
    await engine.dispose()


async def test_another_stations_redemption_is_not_found(browser):
    assert browser.get(f"/cashier/points/{'A' * 43}").status_code == 404
    assert browser.get("/cashier/points/nonsense").status_code == 404


async def test_the_counter_shows_what_partners_announce_and_who_is_paused(station, browser, counter):
    assert "Announcements" not in browser.get("/cashier").text, "nothing is drawn where nothing is told"
    async with writing(*station[:2]) as session:
        await make_alliance(session, now=counter.now)
    for path in ("/cashier", "/cashier/live"):
        page = browser.get(path).text
        assert "Yuexi Car Wash · West Gate: paused" in page, path
        assert "Free each month" in page, path
