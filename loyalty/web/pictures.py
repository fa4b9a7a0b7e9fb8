"""Screenshots of every page, in both languages, light and dark, on a phone and on a desk: to be looked at.

A portal lists its pages in `loyalty/web/<portal>/pictures.py` as `PICTURES`, and says in `prepare(page, base_url)` how to sign in.
Playwright is a tool of development: it is imported only when pictures are taken.
"""

import importlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from loyalty.web.i18n import LOCALE_COOKIE, LOCALES
from loyalty.web.rendering import ROOMS, THEMES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = (390, 1360)
LOOKS = tuple((locale, theme, width) for locale in LOCALES for theme in THEMES for width in WIDTHS)
HEIGHT = 900
STEP_MS_MAX = 15_000
REFUSALS = ("Failed to load resource: the server responded with a status of 4", "Response Status Error Code 4", "htmx:")
"""What the console says when the server refuses something, as in pictures of refusals, or a sum is dropped for what came after."""
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)

Prepare = Callable[["Page", str], None]


@dataclass(frozen=True, slots=True)
class Picture:
    """One page to be taken: `then` brings it into the state worth seeing (a dialog open, a card looked up)."""

    name: str
    path: str
    then: Callable[["Page"], None] | None = None
    full: bool = True
    """The whole page, not only what the window shows."""
    after: Callable[["Page"], None] | None = None
    """Puts right what `then` changed, for the pictures that follow."""
    status: int = 200
    """What the address answers."""


@dataclass(frozen=True, slots=True)
class Album:
    """The pictures of one portal; `prepare` is called once for each context, before its first page."""

    portal: str
    pictures: Sequence[Picture]
    prepare: Prepare | None = None


GALLERY = Album("design", [Picture("every-piece", "/design")])


def albums() -> list[Album]:
    """Return every portal's pictures, found by their modules."""
    found = [GALLERY]
    for room in ROOMS:
        for path in sorted(room.glob("*/pictures.py")):
            module: Any = importlib.import_module(".".join(path.with_suffix("").parts[-4:]))
            found.append(Album(path.parent.name, module.PICTURES, getattr(module, "prepare", None)))
    return found


def take(
    base_url: str, folder: Path, wanted: Iterable[Album], *, chromium: str, looks: Sequence[tuple[str, str, int]] = LOOKS
) -> Iterator[tuple[Path, list[str]]]:
    """Take every picture into `folder`/<portal>/<name>-<locale>-<theme>-<width>.png; yield each path with what the page complained of."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a tool of development

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_ARGUMENTS))
        try:
            for album in wanted:
                (folder / album.portal).mkdir(parents=True, exist_ok=True)
                for locale, theme, width in looks:
                    yield from _taken(browser, base_url, folder, album, locale, theme, width)
        finally:
            browser.close()


def _taken(
    browser: "Browser", base_url: str, folder: Path, album: Album, locale: str, theme: str, width: int
) -> Iterator[tuple[Path, list[str]]]:
    context = browser.new_context(**reader_options(base_url, locale=locale, theme=theme, width=width))
    try:
        context.set_default_timeout(STEP_MS_MAX)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if album.prepare is not None:
            album.prepare(page, base_url)
        for picture in album.pictures:
            complaints.clear()
            answer = page.goto(base_url + picture.path)
            if answer is None or answer.status != picture.status:
                complaints.append(f"status {answer.status if answer else 'none'}")
            complaints += _brought(picture.then, page)
            if page.evaluate("document.documentElement.scrollWidth") > width:
                complaints.append("wider than the window")
            path = folder / album.portal / f"{picture.name}-{locale}-{theme}-{width}.png"
            page.screenshot(path=path, full_page=picture.full, animations="disabled")
            complaints += _brought(picture.after, page)
            yield path, [said for said in complaints if not said.startswith(REFUSALS)]
    finally:
        context.close()


def _brought(step: Callable[["Page"], None] | None, page: "Page") -> list[str]:
    """Bring a page into its state; what hinders it is a complaint about this picture, and the others are taken all the same."""
    from playwright.sync_api import Error  # noqa: PLC0415 - a tool of development

    try:
        if step is not None:
            step(page)
    except Error as hindrance:
        return [f"not brought about: {str(hindrance).splitlines()[0]} {page.url}"]
    return []


QR_DOTS = """async image => {
  const side = 480;
  const canvas = Object.assign(document.createElement('canvas'), {width: side, height: side});
  const pen = canvas.getContext('2d');
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, side, side);
  pen.imageSmoothingEnabled = false;
  await image.decode();
  pen.drawImage(image, 20, 20, side - 40, side - 40);
  return Array.from(pen.getImageData(0, 0, side, side).data).filter((_, place) => place % 4 === 0);
}"""
"""Draws an image and gives its grey values. To be evaluated by a locator: it waits until the image is on the page."""


def scanned(page: "Page", selector: str) -> str:
    """Return what a QR code on a page says, as a phone reads it."""
    return read_qr(page.locator(selector).evaluate(QR_DOTS))


def read_qr(grey: Sequence[int]) -> str:
    """Return what the code says that `QR_DOTS` drew: its square of grey values, row by row."""
    import zxingcpp  # noqa: PLC0415 - a tool of development

    dots = bytes(grey)
    side = math.isqrt(len(dots))
    found = zxingcpp.read_barcode(memoryview(dots).cast("B", (side, side)))
    assert found is not None, "a code is drawn there"
    return str(found.text)


def reader_options(base_url: str, *, locale: str = "zh_CN", theme: str = "light", width: int = 1360) -> dict[str, Any]:
    """Return what `browser.new_context` makes one reader of: language chosen, theme wished for by the system, `width` wide, in Shanghai."""
    cookie = {
        "name": LOCALE_COOKIE,
        "value": locale,
        "domain": urlsplit(base_url).hostname,
        "path": "/",
        "expires": -1,
        "httpOnly": True,
        "secure": False,
        "sameSite": "Lax",
    }
    return {
        "viewport": {"width": width, "height": HEIGHT},
        "color_scheme": theme,
        "locale": locale.replace("_", "-"),
        "timezone_id": "Asia/Shanghai",
        "has_touch": width < 600,
        "storage_state": {"cookies": [cookie], "origins": []},
    }
