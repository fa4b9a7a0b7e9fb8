"""Pages and fragments out of Jinja, with the headers every answer of a portal carries.

Templates of a portal stand in `loyalty/web/<portal>/templates/` or `partners/web/<portal>/templates/` and are named
`<portal>/name.html`; the shared ones in `loyalty/web/templates/`. The macros are at hand in every template without an import, as `ui`,
`form`, `table`, `chart`.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from litestar import Request
from litestar.datastructures import Cookie
from litestar.response import Response

from loyalty import clock
from loyalty.web import formats, qr
from loyalty.web.assets import assets
from loyalty.web.formats import Formats
from loyalty.web.i18n import DEFAULT_LOCALE, LOCALE_COOKIE, Language, choose_locale, language

HTML = "text/html"
DEFAULT_ZONE = "Asia/Shanghai"
THEMES = ("light", "dark")
THEME_COOKIE = "theme"
DENSITIES = ("comfortable", "compact", "touch")
DENSITY_COOKIE = "density"

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'; worker-src 'self'"
)
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=(), publickey-credentials-get=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_HERE = Path(__file__).parent
ROOMS = (_HERE, _HERE.parents[1] / "partners" / "web")
"""Where portals' pages stand: a folder a portal, in either; what is in one portal has one name, whichever room it comes from."""
_MACROS = ("ui", "form", "table", "chart")

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Link:
    """One entry of the rail: `key` is its function key, `count` what waits there (0 shows nothing)."""

    href: str
    label: str
    key: str = ""
    count: int = 0
    tone: str = "bad"
    current: bool = False
    group: str = ""
    """A heading above this entry."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around a portal's page."""

    portal: str
    home: str
    links: tuple[Link, ...] = ()
    who: str = ""
    own: str = ""
    """Where the name leads: one's own sessions and password."""
    about: tuple[str, ...] = ()
    """Lines below the name: role, shift, connection."""
    sign_out: str = ""
    """Where the sign-out form posts to; empty: no such form."""
    sign_out_label: str = ""
    news: str = ""
    """The address of a line above the page that comes by itself; empty: none."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What a request says about who reads the answer."""

    language: Language
    theme: str
    """`light`, `dark`, or empty for the system's."""
    density: str


def reader_of(request: AnyRequest, *, default_locale: str = DEFAULT_LOCALE) -> Reader:
    """Read language, theme and density from cookies and headers; unknown values count as not given."""
    cookies = request.cookies
    locale = choose_locale(chosen=cookies.get(LOCALE_COOKIE), accepted=request.headers.get("accept-language"), default=default_locale)
    theme, density = cookies.get(THEME_COOKIE, ""), cookies.get(DENSITY_COOKIE, "")
    return Reader(language(locale), theme if theme in THEMES else "", density if density in DENSITIES else "")


def wants_fragment(request: AnyRequest) -> bool:
    """Say whether htmx will put the answer into a page: not for boosted links nor for history, which need whole pages."""
    headers = request.headers
    return headers.get("hx-request") == "true" and "hx-boosted" not in headers and "hx-history-restore-request" not in headers


def render(
    request: AnyRequest,
    template: str,
    *,
    status_code: int = 200,
    fragment: str | None = None,
    zone: str = DEFAULT_ZONE,
    now: datetime | None = None,
    headers: Mapping[str, str] | None = None,
    cookies: list[Cookie] | None = None,
    **values: Any,
) -> Response[str]:
    """Render a page, or for htmx the block named `fragment` of the same template.

    Besides `values` a template sees `f` (Formats of `zone` and `now`), `lang`, `reader`, `path`, `csrf` (what the session put into
    `request.state.csrf`, unless given) and `htmx`.

    :raises jinja2.TemplateNotFound, jinja2.UndefinedError: on a programming error
    """
    reader = reader_of(request)
    partial = wants_fragment(request)
    context: dict[str, Any] = {
        "f": Formats(reader.language, zone, now or clock.business_now()),
        "reader": reader,
        "lang": reader.language.tag,
        "path": path_with_query(request),
        "csrf": getattr(request.state, "csrf", ""),
        "htmx": partial,
    } | values
    page = environment(reader.language.locale).get_template(template)
    block = page.blocks[fragment] if partial and fragment is not None else page.root_render_func
    html = "".join(block(page.new_context(context)))
    return Response(
        html, status_code=status_code, media_type=HTML, headers=page_headers(request) | dict(headers or {}), cookies=cookies or []
    )


def redirect(request: AnyRequest, to: str, *, cookies: list[Cookie] | None = None) -> Response[str]:
    """Send the reader on after a POST: 303, or for htmx its own header, since it would follow a 303 inside the fragment."""
    headers = page_headers(request)
    if wants_fragment(request):
        return Response("", status_code=200, media_type=HTML, headers=headers | {"HX-Redirect": to}, cookies=cookies or [])
    return Response("", status_code=303, media_type=HTML, headers=headers | {"Location": to}, cookies=cookies or [])


def document(content: bytes, *, media_type: str, filename: str, inline: bool = False) -> Response[bytes]:
    """Answer with a file made for this reader; `filename` is ASCII. Without the page policy, under which viewers stay empty."""
    kind = "inline" if inline else "attachment"
    headers = {
        "Content-Disposition": f'{kind}; filename="{filename}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "frame-ancestors 'none'",
        "Cache-Control": "no-store",
    }
    return Response(content, media_type=media_type, headers=headers)


def page_headers(request: AnyRequest) -> dict[str, str]:
    """Return the headers of every page: nothing is kept by caches, since pages show money and names."""
    headers = dict(SECURITY_HEADERS) | {"Cache-Control": "no-store", "Vary": "HX-Request, Cookie, Accept-Language"}
    if request.url.scheme == "https":
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


def path_with_query(request: AnyRequest) -> str:
    """Return the request's own address without the host, to come back to."""
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


@functools.cache
def environment(locale: str) -> Environment:
    """Return the templates of one language, made once a process: macros see their language without being told."""
    words = language(locale)
    env = Environment(
        loader=_loader(),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The i18n extension adds this method to the environment; newstyle escapes the fields and fills them.
    env.install_gettext_callables(words.plain, words.plain_plural, newstyle=True)  # type: ignore[attr-defined]
    env.globals |= {"static": assets().url, "qr": qr.data_uri, "language": words}
    env.filters |= {"plate": formats.plate, "masked": formats.masked, "count": lambda number: f"{number:,}"}
    for name in _MACROS:
        env.globals[name] = env.get_template(f"pieces/{name}.html").module
    return env


def macros(locale: str, name: str) -> Any:
    """Return the macros of `ui`, `form`, `table` or `chart`, for pages that make a cell in Python."""
    return environment(locale).globals[name]


def _loader() -> BaseLoader:
    """Find shared templates first, then each portal's own under the portal's name."""
    folders: dict[str, list[Path]] = {}
    for room in ROOMS:
        for folder in sorted(room.glob("*/templates")):
            folders.setdefault(folder.parent.name, []).append(folder)
    portals = {portal: FileSystemLoader(found) for portal, found in folders.items()}
    return ChoiceLoader([FileSystemLoader(_HERE / "templates"), PrefixLoader(portals)])
