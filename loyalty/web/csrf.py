"""Forms that only our own pages can send, and the cookies around them.

A signed-in session has one token, derived from the session's secret, so nothing more is stored. Before sign-in there is no session: the
form's token must equal the one in a cookie (double submit), which `__Host-` ties to this host.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Literal

from litestar.datastructures import Cookie

from loyalty.errors import Refusal

FIELD = "csrf_token"
HEADER = "x-csrf-token"
COOKIE = "csrf"


class FormNotOurs(Refusal):
    """The form was not made by this session's own page, or the page is older than the session."""

    status = 403
    zh = "页面已过期，或请求不是从本页面发出的。"
    en = "This page is out of date, or the request did not come from it."
    next_zh = "请刷新页面后重试；尚未发生任何变动。"
    next_en = "Reload the page and try again; nothing has changed."


def session_token(session_secret: str) -> str:
    """Return the form token of a session; it tells nothing about the secret it is made from."""
    return hmac.new(session_secret.encode(), b"csrf-v1", hashlib.sha256).hexdigest()


def new_token() -> str:
    """Return a token for a form shown before sign-in; it goes into the form and into a cookie."""
    return secrets.token_urlsafe(24)


def check(*, sent: str | None, expected: str | None, headers: Mapping[str, str], host: str) -> None:
    """Let a changing request through if it comes from our page.

    `sent` is the form's field (or the header), `expected` the session's token or the cookie's; `host` is the host the request was made to.

    :raises FormNotOurs: if the tokens differ or one is missing, or the browser says that another site sent it
    """
    if not sent or not expected or not hmac.compare_digest(sent.encode(), expected.encode()):
        raise FormNotOurs
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise FormNotOurs
    origin = headers.get("origin")
    if origin is not None and origin != "null" and origin.partition("://")[2] != host:
        raise FormNotOurs


def cookie_name(name: str, *, tls: bool) -> str:
    """Return the name under which a secret cookie travels: browsers let no other host or path set `__Host-`."""
    return f"__Host-{name}" if tls else name


def cookie(
    name: str, value: str, *, tls: bool, max_age: int | None = None, samesite: Literal["lax", "strict"] = "lax", httponly: bool = True
) -> Cookie:
    """Make a cookie for this host and every path; `max_age` in seconds, None for the browser's session, 0 removes it."""
    return Cookie(key=cookie_name(name, tls=tls), value=value, path="/", max_age=max_age, secure=tls, httponly=httponly, samesite=samesite)
