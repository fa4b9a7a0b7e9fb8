"""The counter's pages before axe, in both languages, light and dark, on a desk and on a phone."""

import pytest

from tests.browser.counter import come_in

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("locale", "theme", "width"), [("zh_CN", "light", 1360), ("en", "dark", 390)])
async def test_axe_finds_no_serious_fault_on_any_page(reader, counter_site, counter, faults_of, locale, theme, width):
    page = await reader(locale=locale, theme=theme, width=width)
    await page.goto(f"{counter_site}/cashier/enrol")
    found = {"enrol": await faults_of(page)}
    await come_in(page, counter_site, counter)
    card = f"/cashier/cards/{counter.zhang.card_id}"
    blank = await counter.count("SELECT card_id FROM cards WHERE status = 0 AND NOT bearer LIMIT 1")
    paths = [
        "/cashier",
        f"/cashier?fill={counter.fills[0]}",
        card,
        *(f"{card}/{more}" for more in ("top-up", "care", "authorise")),
        f"/cashier/cards/{counter.bearer.card_id}/register",
        f"/cashier/issue?card={blank}",
        *(f"/cashier/{more}" for more in ("issue", "returns", "unresolved", "shift", f"fills/{counter.fills[1]}", "locked")),
        "/me",
    ]
    for path in paths:
        answer = await page.goto(counter_site + path)
        assert answer.ok, path
        found[path] = await faults_of(page)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert {path: faults for path, faults in found.items() if faults} == {}


async def test_whatever_is_touched_at_the_counter_is_large_enough(reader, counter_site, counter):
    page = await reader(width=390)
    await come_in(page, counter_site, counter)
    for path in ("/cashier", f"/cashier/cards/{counter.zhang.card_id}", f"/cashier/cards/{counter.zhang.card_id}/top-up"):
        await page.goto(counter_site + path)
        small = await page.evaluate(
            """() => [...document.querySelectorAll('.btn, .input, select, .chip, .check, .face, summary, .found a')]
                 .filter(e => e.getClientRects().length && e.getBoundingClientRect().height < 43.5 && !e.matches('.affix .input'))
                 .map(e => e.className + ' ' + e.getBoundingClientRect().height)"""
        )
        assert small == [], path
