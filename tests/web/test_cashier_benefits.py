"""What the counter says of benefits, over HTTP: before the pump starts, as the sum grows, on the receipt, and after a refund."""

import html
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from loyalty.pricing.document import Budget, Document, Fixed, Funder, Group, Mode, Percent, PerUnit, Points, Rule, When
from loyalty.pricing.operations import publish
from tests.browser.counter import fill_counter, make_station, writing
from tests.browser.serving import served
from tests.web.test_cashier_rules import Browser

OURS = (Funder(funder="head-office"),)


def rule(code, zh, en, effect, **more):
    return Rule(code=code, name_zh=zh, name_en=en, effect=effect, funders=OURS, **more)


BOOK = Document(
    groups=(Group(code="fuel", name_zh="油品", name_en="Fuel", mode=Mode.STACK),),
    rules=(
        rule("litre", "每升优惠", "Per litre", PerUnit(rate_e4=3_000), when=When(categories=("fuel",)), group="fuel", priority=1),
        rule(
            "forty",
            "满 40 升立减",
            "Forty litres",
            Fixed(amount_minor=500),
            when=When(categories=("fuel",), least_quantity_milli=40_000),
            group="fuel",
            priority=2,
        ),
        rule("wash", "洗车八折", "Wash", Percent(basis_points=2_000), when=When(categories=("wash",))),
        rule("birthday", "会员日", "Members", PerUnit(rate_e4=1_000), when=When(tiers=("gold",)), group="fuel", priority=3),
        rule("nearly", "余额不多", "Nearly out", Fixed(amount_minor=1_000), when=When(products=("0",)), budget="little"),
        rule("points", "加油积分", "Points on fuel", Points(points=1, per_quantity_milli=1_000), when=When(categories=("fuel",))),
    ),
    budgets=(Budget(code="little", name_zh="小预算", name_en="Little", total=320),),
)


@pytest.fixture(scope="module")
async def station(databases, tmp_path_factory):
    url, folder = await databases.clone(), tmp_path_factory.mktemp("benefits")
    world = await make_station(url, folder)
    async with writing(url, folder) as session:
        # After the station's own discount, which it takes the place of.
        await publish(session, document=BOOK, note="test", now=datetime.now(UTC) - timedelta(hours=1))
    with served(url, folder) as address:
        yield url, folder, world, address
    await databases.drop(url)


@pytest.fixture
async def counter(station):
    return await fill_counter(*station[:3])


@pytest.fixture
def browser(station, counter):
    made = Browser(station[3])
    made.come_in(counter.code)
    yield made
    made.client.close()


def words(answer: httpx.Response) -> str:
    """Return a page's text, its spaces joined."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text)))


def due(browser, card, **fields):
    return words(browser.post(f"/cashier/cards/{card.card_id}/due", **fields))


async def test_before_the_pump_starts_it_says_what_applies_and_what_is_missing(browser, counter):
    page = words(browser.get(f"/cashier/cards/{counter.zhang.card_id}"))
    assert "In this customer's favour" in page
    assert "Per litre −¥0.30/L" in page
    assert "Points on fuel 1 point/L" in page
    assert "Forty litres from 40 L on −¥5.00" in page
    chinese = words(browser.client.get(f"/cashier/cards/{counter.zhang.card_id}", headers={"Accept-Language": "zh-CN"}))
    assert "这位顾客的优惠" in chinese
    assert "满 40 升 −¥5.00" in chinese
    assert "In this customer's favour" in words(browser.get(f"/cashier/cards/{counter.zhang.card_id}/authorise"))


async def test_the_sum_shows_each_saving_what_was_cut_what_is_near_and_why_others_do_not_apply(browser, counter):
    said = due(browser, counter.zhang, fill="manual", product="92", quantity="32", amount="252.48")
    assert "Per litre −¥9.60" in said
    assert "Points on fuel +32 points" in said
    assert "Forty litres 8.00 L more −¥5.00" in said
    assert "1 offer does not apply Members for tier gold only, this is none" in said
    full = due(browser, counter.zhang, fill="manual", product="92", quantity="40", amount="315.60")
    assert "Per litre −¥12.00" in full
    assert "Forty litres −¥5.00" in full
    assert "From the card ¥298.60" in full
    cut = due(browser, counter.zhang, fill="manual", product="0", quantity="10", amount="75.60")
    assert "Nearly out · instead of ¥10.00: that was all that is left −¥3.20" in cut


async def test_the_receipt_tells_every_saving_and_a_refund_what_went_back(browser, counter):
    card = f"/cashier/cards/{counter.zhang.card_id}"
    sold = browser.post(f"{card}/sales", fill="manual", product="92", quantity="40", amount="315.60", pin="1357")
    place = sold.headers["location"].partition("?")[0]
    page = words(browser.get(place))
    for line in ("Per litre −¥12.00", "Forty litres −¥5.00", "You saved ¥17.00", "Points on fuel +40 points", "Saved ¥17.00"):
        assert line in page
    paper = browser.post(f"{place}/receipt")
    assert paper.headers["content-type"] == "application/pdf"
    back = browser.post(f"{place}/refund", how="part", amount="157.80", reason="wrong_fill", note="")
    assert back.status_code == 303
    assert "of it taken back: Per litre ¥6.00, Forty litres ¥2.50, Points on fuel 20 points" in words(browser.get(place))
