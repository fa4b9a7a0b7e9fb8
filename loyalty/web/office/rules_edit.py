"""The rule editor: one form, only the fields of the chosen effect, faults beside them, and a basket tried beside it.

A choice that changes which fields there are is sent with `show`; the form comes back as it was left, and nothing is kept. So it works
without JavaScript; with it, the form is only swapped.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response

from loyalty.identity.rules import Permission
from loyalty.pricing.document import Document, Rule
from loyalty.pricing.model import BookStatus
from loyalty.pricing.operations import drafts
from loyalty.pricing.queries.books import BookView, get_book
from loyalty.pricing.queries.known import known_codes
from loyalty.web.office.desk import Desk, Page, new_key
from loyalty.web.office.frame import frame_for
from loyalty.web.office.rules_fields import RuleFields
from loyalty.web.office.rules_reading import RuleForm
from loyalty.web.office.rules_try import Tried, basket_fields, try_basket
from loyalty.web.office.rules_typed import Typed, typed_rule
from loyalty.web.office.rules_words import EFFECT, PATH, choices
from loyalty.web.rendering import render, wants_fragment

# A new rule's fields, before anything is typed.
_NEW: Final[Mapping[str, str]] = {
    "effect": "per_unit",
    "percent_basis": "before",
    "by": "quantity",
    "ladder": "whole",
    "band-0-kind": "rate",
    "band-1-kind": "rate",
    "worth_kind": "amount",
    "times": "1",
    "bonus_kind": "bands",
    "several": "highest",
    "points": "1",
    "points_by": "quantity",
    "points_step": "1",
    "whole": "1",
    "rounding": "month",
    "count": "1",
    "basis": "initial",
    "nth_per": "ever",
    "nth_of": "account",
    "cap-0-per": "day",
    "cap-0-of": "card",
    "funder-0-name": "head-office",
    "funder-0-parts": "1",
    "priority": "100",
    "enabled": "1",
}


@get("/rules/{number:int}/rules/new")
async def new_rule(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Show an empty rule, of the effect that the address names, or a copy of another."""
    desk.offer(Permission.EDIT_RULES)
    book = await _draft(desk, number)
    typed: Typed = {name: [value] for name, value in _NEW.items()} | {"group": [desk.query.raw("group")]}
    source = next((one for one in book.document.rules if one.code == desk.query.raw("like")), None)
    if source is not None:
        typed = typed_rule(source, currency=book.document.currency, zone=desk.zone) | {"code": [""]}
    if desk.query.raw("effect") in EFFECT:
        typed["effect"] = [desk.query.raw("effect")]
    return await _shown(desk, book, "", typed)


@get("/rules/{number:int}/rules/{code:str}")
async def rule(desk: NamedDependency[Desk], number: FromPath[int], code: FromPath[str]) -> Page:
    """Show a rule of a draft, to be changed."""
    desk.offer(Permission.EDIT_RULES)
    book = await _draft(desk, number)
    found = _found(book.document, code)
    return await _shown(desk, book, code, typed_rule(found, currency=book.document.currency, zone=desk.zone))


@post(["/rules/{number:int}/rules/new", "/rules/{number:int}/rules/{code:str}"], status_code=303)
async def put_rule(desk: NamedDependency[Desk], number: FromPath[int]) -> Any:
    """Keep the rule; or show the form again, with the fields it now has, or with what is wrong."""
    desk.require(Permission.EDIT_RULES)
    code = code_in(desk)
    book = await _draft(desk, number)
    form = desk.form
    typed = form.typed()
    shown = form.raw("show")
    reader = RuleForm(form, desk.gettext, book.document.currency)
    if shown in {"fields", "rows"}:
        return await _shown(desk, book, code, _defaults(typed) | typed)
    made = reader.read(code)
    document = None if made is None else _with(book.document, made)
    if made is not None and document is not None:
        if not code and made.code in {*(one.code for one in book.document.rules), *(one.code for one in book.document.groups)}:
            form.fault("code", "", desk.gettext("is taken"))
        reader.judge(made, document, await known_codes(desk.session), chinese=desk.words.is_chinese)
    if shown == "try":
        tried = None if document is None else await try_basket(desk, document, typed)
        return await _shown(desk, book, code, typed, tried=tried)
    if form.faults or made is None:
        return await _shown(desk, book, code, typed, status_code=422)
    version = form.whole("version", "version") or 0
    await drafts.put_rule(desk.session, number=number, version=version, rule=made, new=not code, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}#r-{made.code}", desk.gettext("Saved. It changes nothing at the pump before it is approved."))


@post("/rules/{number:int}/try", status_code=200)
async def try_rule(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Try the basket with the rule as it stands in the form, saved or not."""
    desk.offer(Permission.EDIT_RULES)
    book = await get_book(desk.session, number=number)
    code = desk.form.raw("rule_code")
    made = RuleForm(desk.form, desk.gettext, book.document.currency).read(code or desk.form.raw("code") or "new-rule")
    if made is None:
        tried = Tried([], ("", "", ""), [], [], desk.gettext("The rule is not complete yet."))
    else:
        tried = await try_basket(desk, _with(book.document, made), desk.form.typed())
    return render(desk.request, "office/rule_tried.html", zone=desk.zone, now=desk.now, tried=tried, csrf=desk.token)


@post("/rules/{number:int}/rules/{code:str}/remove", status_code=303)
async def remove_rule(desk: NamedDependency[Desk], number: FromPath[int], code: FromPath[str]) -> Page:
    """Take a rule out of the draft; the next page offers to put it back."""
    desk.require(Permission.EDIT_RULES)
    book = await _draft(desk, number)
    found = _found(book.document, code)
    await drafts.remove_rule(
        desk.session, number=number, version=desk.form.whole("version", "version") or 0, code=code, actor=desk.actor, now=desk.now
    )
    kept = {"rule": msgspec.json.encode(found).decode(), "version": str(book.version + 1)}
    # A cookie carries the way back: a long rule has none, and stands in the rulebook that is live.
    undo = f"{PATH}/{number}/restore" if len(kept["rule"]) < 1500 else ""
    return await desk.done(f"{PATH}/{number}", desk.gettext("%(rule)s is taken out.", rule=code), undo=undo, fields=kept if undo else {})


@post("/rules/{number:int}/restore", status_code=303)
async def restore_rule(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Put back the rule that was just taken out."""
    desk.require(Permission.EDIT_RULES)
    await _draft(desk, number)
    try:
        found = msgspec.json.decode(desk.form.long("rule"), type=Rule)
    except msgspec.MsgspecError as error:
        raise drafts.DocumentNotSound(problem=str(error)) from error
    version = desk.form.whole("version", "version") or 0
    await drafts.put_rule(desk.session, number=number, version=version, rule=found, new=True, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}", desk.gettext("%(rule)s is back.", rule=found.code))


def _defaults(typed: Typed) -> Typed:
    """Return what the fields of another effect begin with; a tick that was taken away stays away."""
    ticks = {"enabled", "whole"} if "points" in typed else {"enabled"}
    return {name: [value] for name, value in _NEW.items() if name not in ticks}


def code_in(desk: Desk) -> str:
    """Return the code at the end of the address; empty for a part that is new."""
    return "" if desk.act == "new" else desk.act


async def _draft(desk: Desk, number: int) -> BookView:
    book = await get_book(desk.session, number=number)
    if book.status is not BookStatus.DRAFT:
        raise drafts.NotADraft(number=number, status=book.status.value)
    return book


def _found(document: Document, code: str) -> Rule:
    found = next((one for one in document.rules if one.code == code), None)
    if found is None:
        raise drafts.PartNotFound(part=code)
    return found


def _with(document: Document, made: Rule) -> Document:
    return msgspec.structs.replace(document, rules=(*(one for one in document.rules if one.code != made.code), made))


async def _shown(
    desk: Desk, book: BookView, code: str, typed: Typed, *, tried: Tried | None = None, status_code: int = 200
) -> Response[str]:
    """Draw the editor: the form as it was left, with what is wrong beside each field."""
    _ = desk.gettext
    offered = await choices(desk, book.document)
    faults: dict[str, str] = {}
    labels: dict[str, str] = {}
    for name, label, said in desk.form.faults:
        faults[name] = f"{faults[name]} {said}" if name in faults else said
        labels[name] = label
    if "show" in typed and typed["show"][-1] != "":
        # Fields that have just come are not told to be empty.
        faults = {}
    currency = (typed.get("currency") or [""])[-1].upper() or book.document.currency
    fields = RuleFields(offered, typed, faults, new=not code, sign=desk.f.sign_of(currency))
    title = _found(book.document, code) if code else None
    values: dict[str, Any] = {
        "book": book,
        "code": code,
        "action": f"{PATH}/{book.number}/rules/{code or 'new'}",
        "once": new_key(),
        "sections": fields.sections(),
        "basket": await basket_fields(desk, offered, typed),
        "tried": tried if tried is not None else await _first_try(desk, book, code, typed),
        "sentence": offered.said(code) if code else "",
        "said": None,
        "faults": [(name, labels[name], said) for name, said in faults.items()],
    }
    name = _("New rule") if title is None else desk.either(title.name_zh, title.name_en)
    crumbs = [(_("Rules"), PATH), (_("Rulebook %(number)s", number=book.number), f"{PATH}/{book.number}"), (name, "")]
    if wants_fragment(desk.request):
        return render(
            desk.request, "office/rule_form.html", status_code=status_code, zone=desk.zone, now=desk.now, csrf=desk.token, **values
        )
    return render(
        desk.request,
        "office/rule_edit.html",
        status_code=status_code,
        zone=desk.zone,
        now=desk.now,
        csrf=desk.token,
        density="compact",
        frame=await frame_for(desk),
        title=name,
        sub="",
        crumbs=crumbs,
        **values,
    )


async def _first_try(desk: Desk, book: BookView, code: str, typed: Typed) -> Tried | None:
    """Try the usual basket with a rule that is there, so that the page says something at once."""
    if not code or "show" in typed or desk.form.faults:
        return None
    fields = await basket_fields(desk, await choices(desk, book.document), {})
    return await try_basket(desk, book.document, {field.name: [str(field.more["value"])] for field in fields} | {"try-station": [""]})


handlers = [new_rule, put_rule, rule, try_rule, remove_rule, restore_rule]
