"""How pictures come in at a portal of a tenant's people: a tool of development, signed in with the demo's."""

import base64
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loyalty.crypto import totp_code
from loyalty.web.office.pictures import LOG_INS

if TYPE_CHECKING:
    from playwright.sync_api import Page

_signed_in: dict[tuple[str, str, str], list[Any]] = {}
"""Cookies by address, portal and person: a code is good once, so one log-in serves every width and language."""


class _LogIn(msgspec.Struct):
    log_in_name: str
    password: str
    totp_secret: str


class _LogIns(msgspec.Struct):
    fleet: list[_LogIn] = []
    partner: list[_LogIn] = []


def sign_in(page: "Page", base_url: str, portal: str, who: str) -> None:
    """Sign in at `fleet` or `partner` as whose address begins with `who`."""
    known = _signed_in.get((base_url, portal, who))
    if known is not None:
        page.context.add_cookies(known)
        return
    people = getattr(msgspec.json.decode(Path(os.environ[LOG_INS]).read_bytes(), type=_LogIns), portal)
    person = next(one for one in people if one.log_in_name.startswith(f"{who}@"))
    page.goto(f"{base_url}/{portal}/log-in")
    page.fill("[name=name]", person.log_in_name)
    page.fill("[name=password]", person.password)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"**/{portal}/log-in/code*")
    secret = base64.b32decode(person.totp_secret)
    for _try in range(2):
        page.fill("[name=code]", totp_code(secret, now=datetime.now(UTC)))
        page.press("[name=code]", "Enter")
        page.wait_for_load_state("networkidle")
        if "/log-in" not in page.url:
            break
        time.sleep(30)
    _signed_in[base_url, portal, who] = [one for one in page.context.cookies() if portal in one["name"]]
