"""What a rulebook says of itself: the currency of its amounts, and whose money is the issuer's own."""

import re
from typing import Any, Final

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity.rules import Permission
from loyalty.pricing.document import Document
from loyalty.pricing.faults import faults_of
from loyalty.pricing.model import BookStatus
from loyalty.pricing.operations import drafts
from loyalty.pricing.queries.books import BookView, get_book
from loyalty.pricing.queries.known import known_codes
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import field, hidden
from loyalty.web.office.rules_words import PATH

_PARTED: Final = re.compile(r"[\s,;，；、]+")


async def _opened(desk: Desk, number: int) -> BookView:
    book = await get_book(desk.session, number=number)
    if book.status is not BookStatus.DRAFT:
        raise drafts.NotADraft(number=number, status=book.status.value)
    return book


@get("/rules/{number:int}/head")
async def head(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Show a draft's currency and own funders."""
    desk.offer(Permission.EDIT_RULES)
    _ = desk.gettext
    book = await _opened(desk, number)
    path, title = f"{PATH}/{number}", _("Currency and own funders")
    fields = [
        hidden("version", book.version),
        field(
            "currency",
            _("Currency"),
            value=book.document.currency,
            help=_("Of every amount that names no other. Amounts are not converted."),
        ),
        field(
            "own_funders",
            _("Own funders"),
            value=", ".join(book.document.own_funders),
            required=False,
            help=_("Whose money is the issuer's own: what groups that choose the cheapest count. Several with commas between."),
        ),
    ]
    crumbs = [(_("Rules"), PATH), (_("Rulebook %(number)s", number=number), path), (title, "")]
    return await desk.ask(title, fields, submit=_("Save"), back=path, crumbs=crumbs)


@post("/rules/{number:int}/head", status_code=303)
async def put_head(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Keep them."""
    desk.require(Permission.EDIT_RULES)
    _, form = desk.gettext, desk.form
    book = await _opened(desk, number)
    plain: dict[str, Any] = {
        "currency": form.text("currency", _("Currency"), longest=3).upper(),
        "own_funders": tuple(code for code in _PARTED.split(form.raw("own_funders")) if code),
    }
    try:
        document = msgspec.convert(msgspec.to_builtins(book.document) | plain, Document)
    except msgspec.ValidationError as error:
        said, _at, path = str(error).partition(" - at ")
        form.fault("currency" if "currency" in path else "own_funders", "", said)
        form.check()
        raise
    for fault in faults_of(document, await known_codes(desk.session)):
        if fault.part == "document":
            form.fault(fault.field, "", desk.either(fault.zh, fault.en))
    form.check()
    version = form.whole("version", "version") or 0
    await drafts.replace_document(desk.session, number=number, version=version, document=document, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}", _("Saved"))


handlers = [head, put_head]
