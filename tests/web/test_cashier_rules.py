"""What the counter refuses, over HTTP: strangers, foreign forms, other stations' sales, acts that need a second person."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import text

from loyalty.authorizations.operations.holds import expire_holds
from tests.browser.counter import CASHIER, MANAGER, STAFF_PIN, fill_counter, make_station, writing
from tests.browser.serving import served


@pytest.fixture(scope="session")
async def station(databases, tmp_path_factory):
    url, folder = await databases.clone(), tmp_path_factory.mktemp("counter")
    world = await make_station(url, folder)
    with served(url, folder) as address:
        yield url, folder, world, address
    await databases.drop(url)


@pytest.fixture
async def counter(station):
    return await fill_counter(*station[:3])


class Browser:
    """A browser without a screen: cookies, forms with their token and key, nothing else."""

    def __init__(self, address: str) -> None:
        self.client = httpx.Client(base_url=address, trust_env=False, headers={"Accept": "text/html", "Accept-Language": "en"})

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def post(self, path: str, **fields: object) -> httpx.Response:
        token = next((value for name, value in self.client.cookies.items() if name == "counter-form"), "")
        known = {"csrf_token": token, "idempotency_key": str(uuid.uuid4())}
        return self.client.post(path, data={name: str(value) for name, value in (known | fields).items()})

    def come_in(self, code: str, card: str = CASHIER) -> None:
        self.get("/cashier/enrol")
        assert self.post("/cashier/enrol", code=code).status_code == 303
        assert self.sign_in(card).status_code == 303
        if self.get("/cashier").status_code == 303:
            assert self.post("/cashier/shift/open", float="500").status_code == 303

    def sign_in(self, card: str, pin: str = STAFF_PIN) -> httpx.Response:
        return self.post("/cashier/sign-in", card=card, pin=pin)


@pytest.fixture
def browser(station):
    with httpx.Client():
        made = Browser(station[3])
        yield made
        made.client.close()


def key_of(page: str, action: str) -> str:
    """Return the key of a form on a page."""
    found = re.search(rf'action="{re.escape(action)}".*?name="idempotency_key" value="([^"]+)"', page, re.DOTALL)
    assert found is not None
    return found[1]


async def test_a_browser_that_is_no_till_sees_nothing(browser, counter):
    for path in ("/cashier", f"/cashier/cards/{counter.zhang.card_id}", "/cashier/shift", "/cashier/live"):
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/cashier/enrol")
    browser.get("/cashier/enrol")
    assert browser.post("/cashier/enrol", code="AAAA-AAAA").status_code == 422


async def test_a_form_from_elsewhere_has_no_effect(browser, counter):
    browser.come_in(counter.code)
    answer = browser.client.post("/cashier/find", data={"q": counter.zhang.number, "csrf_token": "guessed"})
    assert answer.status_code == 403
    foreign = browser.client.post(
        "/cashier/find",
        data={"q": counter.zhang.number, "csrf_token": browser.client.cookies["counter-form"]},
        headers={"Origin": "https://elsewhere.example"},
    )
    assert foreign.status_code == 403


async def test_wrong_pin_and_unknown_staff_card_are_answered_alike(browser, counter):
    browser.get("/cashier/enrol")
    browser.post("/cashier/enrol", code=counter.code)
    unknown, wrong = browser.sign_in("99000000777"), browser.sign_in(CASHIER, "111222")
    assert (unknown.status_code, wrong.status_code) == (401, 401)
    said = [re.search(r'<p class="said"><b>([^<]+)', answer.text) for answer in (unknown, wrong)]
    assert said[0] is not None
    assert said[1] is not None
    assert said[0][1] == said[1][1]


async def test_a_card_number_stands_in_no_address(browser, counter):
    browser.come_in(counter.code)
    answer = browser.post("/cashier/find", q=counter.zhang.number)
    assert answer.headers["location"] == f"/cashier/cards/{counter.zhang.card_id}"
    assert counter.zhang.number not in browser.get(answer.headers["location"]).text


async def test_a_companys_pool_is_not_shown_to_its_driver(browser, counter):
    browser.come_in(counter.code)
    page = browser.get(f"/cashier/cards/{counter.company.card_id}").text
    assert "8,000.00" not in page
    assert "the pool is not shown here" in page


async def test_the_same_form_twice_is_one_sale_with_one_answer(browser, counter):
    browser.come_in(counter.code)
    path = f"/cashier/cards/{counter.zhang.card_id}"
    key = key_of(browser.get(path).text, f"{path}/sales")
    answers = [browser.post(f"{path}/sales", fill=counter.fills[0], pin="1357", idempotency_key=key) for _ in range(3)]
    assert {answer.headers["location"] for answer in answers} == {answers[0].headers["location"]}
    assert await counter.count("SELECT count(*) FROM sales WHERE account_id = :a", a=counter.zhang.account_id) == 1
    other = browser.post(f"{path}/sales", fill=counter.fills[1], pin="1357", idempotency_key=key)
    assert other.status_code == 422, "one key is one form"


async def test_another_stations_sale_is_not_there(station, browser, counter):
    browser.come_in(counter.code)
    path = f"/cashier/cards/{counter.zhang.card_id}"
    sold = browser.post(f"{path}/sales", fill=counter.fills[0], pin="1357").headers["location"].partition("?")[0]
    assert browser.get(sold).status_code == 200
    async with writing(*station[:2]) as session:
        await session.execute(text("ALTER TABLE sales DISABLE TRIGGER ALL"))
        moved = text("UPDATE sales SET station_id = :other WHERE account_id = :a")
        await session.execute(moved, {"other": uuid.uuid4(), "a": counter.zhang.account_id})
    assert browser.get(sold).status_code == 404
    assert browser.post(f"{sold}/refund", how="all", reason="other").status_code == 404
    assert browser.post(f"{sold}/receipt").status_code == 404


async def test_an_unresolved_fill_is_ended_by_the_managers_card_on_the_cashiers_screen(station, browser, counter):
    browser.come_in(counter.code)
    path = f"/cashier/cards/{counter.zhang.card_id}"
    held = browser.post(f"{path}/authorise", product="92", how="amount", amount="100", pin="1357").headers["location"].partition("?")[0]
    async with writing(*station[:2]) as session:
        await expire_holds(session, now=datetime.now(UTC) + timedelta(hours=2))
    assert held in browser.get("/cashier/unresolved").text
    release = {"how": "release", "evidence": "camera 11:02: nozzle stayed in its holster"}
    assert browser.post(f"{held}/resolution", **release).status_code == 403, "a cashier alone may not"
    own = browser.post(f"{held}/resolution", **release, approver_card=CASHIER, approver_pin=STAFF_PIN)
    assert own.status_code == 403, "nobody approves their own act"
    done = browser.post(f"{held}/resolution", **release, approver_card=MANAGER, approver_pin=STAFF_PIN)
    assert (done.status_code, done.headers["location"]) == (303, "/cashier/unresolved")
    assert await counter.count("SELECT sum(held_minor) FROM purses WHERE account_id = :a", a=counter.zhang.account_id) == 0
    resolver = "SELECT s.employee_number FROM unresolved_dispenses u JOIN staff s USING (staff_id) WHERE u.account_id = :a"
    assert await counter.count(resolver, a=counter.zhang.account_id) == "1002"


async def test_a_counted_till_sells_nothing_more(browser, counter):
    browser.come_in(counter.code)
    counted = browser.post("/cashier/shift/close", counted="1")
    assert counted.headers["location"] == "/cashier/shift"
    path = f"/cashier/cards/{counter.zhang.card_id}"
    answer = browser.post(f"{path}/sales", fill=counter.fills[0], pin="1357")
    assert (answer.status_code, answer.headers["location"]) == (303, "/cashier/shift")
    closed = browser.post("/cashier/shift/close", explanation="counted wrongly on purpose")
    assert closed.headers["location"].startswith("/cashier/shifts/")


async def test_a_page_that_asks_by_itself_keeps_no_screen_awake(station, browser, counter):
    browser.come_in(counter.code)
    async with writing(*station[:2]) as session:
        long_ago = text("UPDATE user_sessions SET last_seen_at = now() - interval '4 minutes' WHERE ended_at IS NULL")
        await session.execute(long_ago)
    polled = browser.client.get("/cashier/live", headers={"HX-Request": "true"})
    assert polled.status_code == 401
    assert "lockscreen" in polled.text
    assert browser.get("/cashier").headers["location"].startswith("/cashier/locked")
    assert browser.post("/cashier/unlock", pin="000111").status_code == 401
    assert browser.post("/cashier/unlock", pin=STAFF_PIN).headers["location"] == "/cashier"
    assert browser.get("/cashier").status_code == 200
