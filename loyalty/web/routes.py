"""The files and switches that every page needs."""

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.datastructures import Cookie
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Response
from msgspec import Meta, Struct

from loyalty.web.assets import Asset, assets
from loyalty.web.gallery.pages import design, design_once
from loyalty.web.i18n import LOCALE_COOKIE, LOCALES
from loyalty.web.rendering import DENSITIES, DENSITY_COOKIE, SECURITY_HEADERS, THEME_COOKIE, THEMES, redirect

YEAR = 365 * 24 * 3600


class Preferences(Struct):
    """What a reader chose; empty leaves a choice as it is, `auto` gives it back to the system."""

    lang: str = ""
    theme: str = ""
    density: str = ""
    back: Annotated[str, Meta(max_length=2000)] = "/"


@get("/static/{digest:str}/{path:path}", opt={"public": True}, include_in_schema=False)
async def static_file(request: Request[Any, Any, Any], digest: FromPath[str], path: FromPath[str]) -> Response[bytes]:
    """Serve a file from memory. Under the present digest it never changes; under an old one it is sent, but not kept."""
    found = assets()
    asset = found.files.get(path.lstrip("/"))
    if asset is None:
        raise NotFoundException
    return _sent(request, asset, "public, max-age=31536000, immutable" if digest == found.digest else "no-cache")


@get("/favicon.ico", opt={"public": True}, include_in_schema=False)
async def favicon(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer the browser's own question; pages name the same file."""
    return _sent(request, assets().files["mark.svg"], "public, max-age=86400")


@post("/preferences", opt={"public": True}, include_in_schema=False, status_code=303)
async def choose_preferences(request: Request[Any, Any, Any], data: URLEncodedBody[Preferences]) -> Response[str]:
    """Keep language, theme and density in cookies and come back: works before sign-in, changes nothing else, hence no form token."""
    chosen = {LOCALE_COOKIE: (data.lang, LOCALES), THEME_COOKIE: (data.theme, THEMES), DENSITY_COOKIE: (data.density, DENSITIES)}
    cookies = [
        Cookie(
            key=name, value=value if value in known else "", path="/", max_age=YEAR if value in known else 0, samesite="lax", httponly=True
        )
        for name, (value, known) in chosen.items()
        if value in known or value == "auto"
    ]
    return redirect(request, local_path(data.back), cookies=cookies)


def local_path(path: str, default: str = "/") -> str:
    """Return `path` if it stays on this host, else `default`: a form must not send its reader elsewhere."""
    stays = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if stays else default


def web_routes(*, demo: bool) -> Sequence[HTTPRouteHandler]:
    """Return the routes to mount beside the portals; the page of all pieces is there for demonstrations only."""
    routes: list[HTTPRouteHandler] = [static_file, favicon, choose_preferences]
    return [*routes, design, design_once] if demo else routes


def _sent(request: Request[Any, Any, Any], asset: Asset, caching: str) -> Response[bytes]:
    headers = dict(SECURITY_HEADERS) | {"ETag": asset.etag, "Cache-Control": caching, "Vary": "Accept-Encoding"}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers, media_type=asset.media_type)
    if asset.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.gzipped, headers=headers | {"Content-Encoding": "gzip"}, media_type=asset.media_type)
    return Response(asset.content, headers=headers, media_type=asset.media_type)
