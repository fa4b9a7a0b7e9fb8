"""A top-up under the rules at the counter: what it gives stands there while the amount is typed, and on the receipt."""

from datetime import UTC, datetime

import pytest
from playwright.async_api import expect

from loyalty.db import make_engine, make_sessions, transaction
from loyalty.pricing.document import Band, Bonus, Channel, Fixed, Funder, Points, Rule, When
from loyalty.pricing.operations import publish_rule
from tests.browser.counter import come_in

pytestmark = pytest.mark.browser

FLYER = "AUTUMN-7"


def rule(code, zh, en, effect, **asked):
    when = When(channels=(Channel.TOPUP,), flyers=(FLYER,), **asked)
    return Rule(code=code, name_zh=zh, name_en=en, effect=effect, funders=(Funder(funder="head-office"),), when=when)


BANDS = Bonus(bands=(Band(starts=20_000, amount_minor=1_000), Band(starts=50_000, amount_minor=3_000)), expires_days=90)
RULES = (
    rule("autumn-off", "秋季立减", "Autumn off", Fixed(amount_minor=500), least_minor=10_000),
    rule("autumn-bands", "秋季充值赠送", "Autumn bonus", BANDS),
    rule("autumn-points", "秋季积分", "Autumn points", Points(points=1, per_minor=100)),
)


@pytest.fixture
async def rules(counter):
    """Put rules for whoever shows the flyer live: other tests of this counter show none."""
    engine = make_engine(counter.database_url)
    async with transaction(make_sessions(engine)) as session:
        for one in RULES:
            await publish_rule(session, rule=one, now=datetime.now(UTC))
    await engine.dispose()


async def come_to(page, site, counter):
    await come_in(page, site, counter)
    await page.goto(f"{site}/cashier/cards/{counter.zhang.card_id}/top-up")
    await page.wait_for_selector("#f-amount:focus")


async def test_what_it_gives_and_what_is_missing_for_more_stands_there_while_it_is_typed(page, counter_site, counter, rules):
    await come_to(page, counter_site, counter)
    await page.locator("#f-flyer").fill(FLYER)
    await page.locator("#f-amount").fill("300")
    gives = page.locator("#gives")
    await expect(gives).to_contain_text("¥295.00")
    await expect(gives).to_contain_text("再加 ¥205.00")
    await expect(gives).to_contain_text("秋季充值赠送")
    await page.locator("#f-amount").fill("505")
    await expect(gives).to_contain_text("¥500.00")
    await expect(gives).to_contain_text("+¥30.00")
    await page.locator("#f-amount").press("Enter")
    await page.wait_for_url("**/cashier/top-ups/*")
    paper = await page.locator(".paper").inner_text()
    for said in ("秋季立减", "¥500.00", "秋季充值赠送", "到期", "秋季积分"):
        assert said in paper
    paid = await counter.count(
        "SELECT amount_minor - discount_minor FROM topups WHERE account_id = :a AND bonus_minor = 3000", a=counter.zhang.account_id
    )
    assert paid == 50_000


async def test_without_javascript_the_page_says_it_when_asked(reader, counter_site, counter, rules):
    page = await reader(locale="en", width=390)
    await come_to(page, counter_site, counter)
    # The form as a browser without scripts sends it.
    await page.evaluate(
        """() => {
            const form = document.getElementById("top-up");
            form.querySelector("#f-amount").value = "300";
            form.querySelector("#f-flyer").value = "AUTUMN-7";
            form.action += "/quote";
            HTMLFormElement.prototype.submit.call(form);
        }"""
    )
    await page.wait_for_url("**/top-up/quote")
    await expect(page.locator("#gives")).to_contain_text("¥205.00 more")
    assert await page.locator("#f-amount").input_value() == "300"
    assert await page.locator("#f-flyer").input_value() == FLYER


async def test_another_amount_than_was_told_is_not_taken(page, counter_site, counter, rules):
    await come_to(page, counter_site, counter)
    await page.locator("#f-flyer").fill(FLYER)
    await page.locator("#f-amount").fill("100")
    await expect(page.locator("#gives")).to_contain_text("¥95.00")
    await page.evaluate("document.querySelector('#gives input[name=told]').value = '10000 cash 9000'")
    await page.locator("#f-amount").press("Enter")
    await expect(page.locator("#problem")).to_contain_text("¥95.00")
    assert await counter.count("SELECT count(*) FROM topups WHERE account_id = :a", a=counter.zhang.account_id) == 0
