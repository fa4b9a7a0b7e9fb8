"""What browser tests need: the real application in its own process, and Chromium in front of it.

- `quiet_site`: the address of the application for pages that only read; cheaper, one a worker
- `counter`, `counter_site`: a cashier's counter with what lies on it, and its address
- `site`: the address of the application on a database of this test's own; `database_url` is that database, to be filled before
- `reader`: makes a page for a reader: `reader(locale="en", theme="dark", width=390)`; a fault on its console fails the test
- `page`: such a page, Chinese, light, 1360 wide
- `faults_of(page)`: serious and critical findings of axe
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loyalty.web.pictures import CHROMIUM_ARGUMENTS, reader_options
from tests.browser.serving import served


@pytest.fixture
def site(database_url, tmp_path_factory) -> Iterator[str]:
    with served(database_url, tmp_path_factory.mktemp("site")) as url:
        yield url


@pytest.fixture(scope="session")
async def quiet_site(databases, tmp_path_factory) -> Any:
    """Yield the address of the application on one database a worker, for pages that only read."""
    url = await databases.clone()
    with served(url, tmp_path_factory.mktemp("site")) as address:
        yield address
    await databases.drop(url)


@pytest.fixture(scope="session")
async def counter_station(databases, tmp_path_factory) -> Any:
    """Yield (database URL, folder with its keys, station, address): one counter a worker, laid out anew for each test by `counter`."""
    from tests.browser.counter import make_station

    url, folder = await databases.clone(), tmp_path_factory.mktemp("counter")
    world = await make_station(url, folder)
    with served(url, folder) as address:
        yield url, folder, world, address
    await databases.drop(url)


@pytest.fixture
async def counter(counter_station) -> Any:
    """Return what a cashier has before them: cards, blank stock, fills that wait, a code to enrol the till."""
    from tests.browser.counter import fill_counter

    return await fill_counter(*counter_station[:3])


@pytest.fixture
def counter_site(counter_station) -> str:
    return str(counter_station[3])


@pytest.fixture(scope="session")
async def browser(chromium) -> Any:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_ARGUMENTS))
        yield browser
        await browser.close()


@pytest.fixture
async def reader(browser) -> Any:
    """Yield a function that opens a page for a reader; what its console or scripts complain of fails the test at the end."""
    contexts, complaints = [], []

    async def open_page(**who: Any) -> Any:
        # A cookie belongs to a host, whatever the port.
        context = await browser.new_context(**reader_options("http://127.0.0.1", **who))
        contexts.append(context)
        context.set_default_timeout(45_000)
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if _matters(message) else None)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert complaints == []


@pytest.fixture
async def page(reader) -> Any:
    return await reader()


def _matters(message: Any) -> bool:
    """Say whether a console line is a fault of ours: a refused form or a pulled network cable is what tests do on purpose."""
    return message.type == "error" and not message.text.startswith(("Failed to load resource", "htmx:", "Response Status Error Code"))


ROWS_LOOKED_AT = 8
_FEWER = """most => document.querySelectorAll('tbody').forEach(body =>
  [...body.rows].slice(most).filter(row => !row.hidden).forEach(row => { row.hidden = true; row.dataset.axe = ''; }))"""
_ALL = "() => document.querySelectorAll('[data-axe]').forEach(row => { row.hidden = false; delete row.dataset.axe; })"
_RAIL = """() => (document.querySelector('.rail')?.textContent ?? '') + innerWidth + matchMedia('(prefers-color-scheme: dark)').matches"""

_AXE = """async known => {
  const without = known && document.querySelector('.rail') ? {exclude: [['.rail']]} : document;
  return (await axe.run(without, {resultTypes: ['violations'], preload: false})).violations;
}"""


@pytest.fixture
def faults_of() -> Callable[[Any], Any]:
    """Return the axe check: the serious and critical findings of a page, each with the elements it is about.

    What axe looks at twice costs twice: a rail seen on an earlier page of the test and the ninth row of a table say nothing new.
    """
    from axe_playwright_python.async_playwright import Axe

    script, rails, prepared = Axe().axe_script, set(), set()

    async def check(page: Any) -> list[str]:
        if page not in prepared:
            # Every later page of this window has it from the start; half a megabyte sent to each would take longer than its check.
            await page.add_init_script(script)
            await page.evaluate(script)
            prepared.add(page)
        rail = await page.evaluate(_RAIL)
        await page.evaluate(_FEWER, ROWS_LOOKED_AT)
        found = await page.evaluate(_AXE, rail in rails)
        await page.evaluate(_ALL)
        rails.add(rail)
        return [
            f"{finding['id']}: {node['html'][:160]} ({node.get('failureSummary', '')[:200]})"
            for finding in found
            if finding["impact"] in {"serious", "critical"}
            for node in finding["nodes"]
        ]

    return check
