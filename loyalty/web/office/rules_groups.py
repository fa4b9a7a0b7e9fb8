"""Groups, budgets and campaigns of a draft: one short form each."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity.rules import Permission
from loyalty.pricing.document import ROOT, Budget, BudgetUnit, Campaign, Group, Mode
from loyalty.pricing.model import BookStatus
from loyalty.pricing.operations import drafts
from loyalty.pricing.queries.books import BookView, budget_states, get_book
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import area, check, field, heading, hidden, select
from loyalty.web.office.parts import Field, Said
from loyalty.web.office.rules_edit import code_in
from loyalty.web.office.rules_reading import RuleForm
from loyalty.web.office.rules_typed import Writer, number, typed_caps_of_group
from loyalty.web.office.rules_words import MODE, OF, PATH, PER, UNIT, choices

CAPS: Final = 3


async def _opened(desk: Desk, book_number: int) -> BookView:
    book = await get_book(desk.session, number=book_number)
    if book.status is not BookStatus.DRAFT:
        raise drafts.NotADraft(number=book_number, status=book.status.value)
    return book


def _found(parts: Sequence[Any], code: str) -> Any:
    if not code:
        return None
    found = next((one for one in parts if one.code == code), None)
    if found is None:
        raise drafts.PartNotFound(part=code)
    return found


def _named(desk: Desk, one: Any, book: BookView) -> list[Field]:
    """Return the fields that every part has."""
    _ = desk.gettext
    code = [] if one is not None else [field("code", _("Code"), help=_("Names it for ever: a-z, 0-9, dot, hyphen, underscore."))]
    return [
        hidden("version", book.version),
        *code,
        field("name_zh", _("Chinese name"), value=one.name_zh if one else ""),
        field("name_en", _("English name"), value=one.name_en if one else ""),
    ]


def _read_named(desk: Desk, code: str) -> dict[str, Any]:
    _, form = desk.gettext, desk.form
    return {
        "code": code or form.text("code", _("Code"), longest=48),
        "name_zh": form.text("name_zh", _("Chinese name"), longest=80),
        "name_en": form.text("name_en", _("English name"), longest=80),
    }


async def _ask(desk: Desk, book: BookView, code: str, section: str, title: str, fields: Sequence[Field], **more: Any) -> Page:
    _ = desk.gettext
    path = f"{PATH}/{book.number}"
    crumbs = [(_("Rules"), PATH), (_("Rulebook %(number)s", number=book.number), path), (title, "")]
    aside = []
    if code:
        keep = [hidden("version", book.version)]
        aside = [
            desk.form_part(_("Take it out"), f"{path}/{section}/{code}/remove", keep, submit=_("Take it out"), danger=True, primary=False)
        ]
    return await desk.ask(title, fields, submit=_("Save"), back=path, crumbs=crumbs, columns=True, aside=aside, **more)


def _made(desk: Desk, plain: Mapping[str, Any], into: Any) -> Any:
    """Make the part; what its structs refuse is told at the form's head.

    :raises FormRefused: if something could not be read
    """
    desk.form.check()
    try:
        return msgspec.convert({name: value for name, value in plain.items() if value is not None}, into)
    except msgspec.ValidationError as error:
        said, _at, path = str(error).partition(" - at ")
        desk.form.fault(path.strip("`").removeprefix("$."), desk.gettext("Code") if "code" in path else "", said)
        desk.form.check()
        raise


def _version(desk: Desk) -> int:
    return desk.form.whole("version", "version") or 0


@get(["/rules/{number:int}/groups/new", "/rules/{number:int}/groups/{code:str}"])
async def group(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Show a group, or an empty one."""
    desk.offer(Permission.EDIT_RULES)
    code = code_in(desk)
    _ = desk.gettext
    book = await _opened(desk, number)
    one: Group | None = _found(book.document.groups, code)
    offered = await choices(desk, book.document)
    writer = Writer(book.document.currency, desk.zone)
    typed = typed_caps_of_group(one.caps, writer) if one else {}
    fields = [
        *_named(desk, one, book),
        select(
            "mode",
            _("How its members join"),
            [(mode.value, _(label)) for mode, label in MODE.items()],
            value=one.mode.value if one else "stack",
        ),
        select(
            "group",
            _("Within the group"),
            offered.groups(but=code),
            value="" if not one or one.group == ROOT else one.group,
            blank=_("the outermost"),
            required=False,
        ),
        field(
            "priority",
            _("Place in its group"),
            value=str(one.priority if one else 100),
            num=True,
            inputmode="numeric",
            help=_("Lower comes first."),
        ),
        check(
            "exclusive",
            _("Exclusive"),
            checked=bool(one and one.exclusive),
            note=_("Only where nothing before it in its group applied; then nothing after it does."),
        ),
        heading(_("Limits on the sum of its discounts")),
    ]
    for index in range(max(CAPS, len(one.caps) if one else 0)):

        def value(name: str, default: str = "", index: int = index) -> str:
            return (typed.get(f"cap-{index}-{name}") or [default])[-1]

        sign = desk.f.sign_of(book.document.currency)
        fields += [
            select(f"cap-{index}-per", _("Within"), [(key, _(label)) for key, label in PER], value=value("per", "day"), required=False),
            select(f"cap-{index}-of", _("Whose"), [(key, _(label)) for key, label in OF], value=value("of", "card"), required=False),
            field(f"cap-{index}-amount", _("At most"), value=value("amount"), num=True, before=sign, required=False),
        ]
    title = desk.either(one.name_zh, one.name_en) if one else _("New group")
    return await _ask(desk, book, code, "groups", title, fields)


@post(["/rules/{number:int}/groups/new", "/rules/{number:int}/groups/{code:str}"], status_code=303)
async def put_group(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Keep a group."""
    desk.require(Permission.EDIT_RULES)
    code = code_in(desk)
    _, form = desk.gettext, desk.form
    book = await _opened(desk, number)
    caps = RuleForm(form, _, book.document.currency).group_caps()
    plain = _read_named(desk, code) | {
        "mode": form.choice("mode", _("How its members join"), Mode, Mode.STACK).value,
        "group": form.raw("group") or ROOT,
        "priority": form.whole("priority", _("Place in its group"), high=1_000_000),
        "exclusive": form.flag("exclusive"),
    }
    made: Group = msgspec.structs.replace(_made(desk, plain, Group), caps=caps or ())
    await drafts.put_group(desk.session, number=number, version=_version(desk), group=made, new=not code, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}", _("Saved"))


@get(["/rules/{number:int}/budgets/new", "/rules/{number:int}/budgets/{code:str}"])
async def budget(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Show a budget, or an empty one, with what is used of it."""
    desk.offer(Permission.EDIT_RULES)
    code = code_in(desk)
    _ = desk.gettext
    book = await _opened(desk, number)
    one: Budget | None = _found(book.document.budgets, code)
    state = (await budget_states(desk.session)).get(code)
    currency = (one.currency if one else None) or book.document.currency
    unit = one.unit if one else BudgetUnit.MINOR
    total = "" if one is None else Writer(currency, desk.zone).money(one.total) if unit is BudgetUnit.MINOR else number_text(one.total)
    fields = [
        *_named(desk, one, book),
        select("unit", _("Counts"), [(key.value, _(label)) for key, label in UNIT.items()], value=unit.value),
        field("total", _("In all"), value=total, num=True, help=_("Never more than this is given, whoever asks at once.")),
        field(
            "currency",
            _("Currency"),
            value=(one.currency or "") if one else "",
            required=False,
            help=_("Empty: the rulebook's, %(currency)s.", currency=book.document.currency),
        ),
    ]
    top = []
    if state is not None and state.reserved + state.used:
        taken = (
            desk.f.money(state.reserved + state.used, currency) if unit is BudgetUnit.MINOR else desk.f.count(state.reserved + state.used)
        )
        top = [Said(title=_("%(amount)s of it is used or set aside.", amount=taken), then=_("It cannot be made smaller than that."))]
    title = desk.either(one.name_zh, one.name_en) if one else _("New budget")
    return await _ask(desk, book, code, "budgets", title, fields, top=top)


def number_text(value: int) -> str:
    """Write a whole number as it is typed."""
    return number(value, 0)


@post(["/rules/{number:int}/budgets/new", "/rules/{number:int}/budgets/{code:str}"], status_code=303)
async def put_budget(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Keep a budget."""
    desk.require(Permission.EDIT_RULES)
    code = code_in(desk)
    _, form = desk.gettext, desk.form
    book = await _opened(desk, number)
    unit = form.choice("unit", _("Counts"), BudgetUnit, BudgetUnit.MINOR)
    currency = form.text("currency", _("Currency"), required=False, longest=3).upper() or None
    money = unit is BudgetUnit.MINOR
    total = (
        form.money("total", _("In all"), currency or book.document.currency)
        if money
        else form.whole("total", _("In all"), low=1, high=10**13)
    )
    plain = _read_named(desk, code) | {"unit": unit.value, "total": total, "currency": currency if money else None}
    made: Budget = _made(desk, plain, Budget)
    await drafts.put_budget(desk.session, number=number, version=_version(desk), budget=made, new=not code, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}", _("Saved"))


@get(["/rules/{number:int}/campaigns/new", "/rules/{number:int}/campaigns/{code:str}"])
async def campaign(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Show a campaign, or an empty one."""
    desk.offer(Permission.EDIT_RULES)
    code = code_in(desk)
    _ = desk.gettext
    book = await _opened(desk, number)
    one: Campaign | None = _found(book.document.campaigns, code)
    writer = Writer(book.document.currency, desk.zone)
    held = number_of_percent(one.hold_out_basis_points) if one and one.hold_out_basis_points else ""
    fields = [
        *_named(desk, one, book),
        field("starts_at", _("From"), type="datetime-local", value=writer.instant(one.starts_at) if one else "", required=False),
        field("ends_at", _("To"), type="datetime-local", value=writer.instant(one.ends_at) if one else "", required=False),
        field(
            "held",
            _("Held out"),
            value=held,
            num=True,
            after="%",
            required=False,
            help=_("So many customers, drawn by lot, get none of it: only so its effect can be told."),
        ),
        area("about_zh", _("What it is about, Chinese"), value=(one.about_zh or "") if one else "", required=False),
        area("about_en", _("What it is about, English"), value=(one.about_en or "") if one else "", required=False),
    ]
    title = desk.either(one.name_zh, one.name_en) if one else _("New campaign")
    return await _ask(desk, book, code, "campaigns", title, fields)


def number_of_percent(basis_points: int) -> str:
    """Write basis points as a percentage is typed."""
    return number(basis_points, 2)


@post(["/rules/{number:int}/campaigns/new", "/rules/{number:int}/campaigns/{code:str}"], status_code=303)
async def put_campaign(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Keep a campaign."""
    desk.require(Permission.EDIT_RULES)
    code = code_in(desk)
    _, form = desk.gettext, desk.form
    book = await _opened(desk, number)
    plain = _read_named(desk, code) | {
        "starts_at": form.instant("starts_at", _("From"), required=False),
        "ends_at": form.instant("ends_at", _("To"), required=False),
        "hold_out_basis_points": RuleForm(form, _, book.document.currency).percent("held", _("Held out"), required=False),
        "about_zh": form.text("about_zh", _("What it is about, Chinese"), required=False, longest=2000) or None,
        "about_en": form.text("about_en", _("What it is about, English"), required=False, longest=2000) or None,
    }
    made: Campaign = _made(desk, plain, Campaign)
    await drafts.put_campaign(
        desk.session, number=number, version=_version(desk), campaign=made, new=not code, actor=desk.actor, now=desk.now
    )
    return await desk.done(f"{PATH}/{number}", _("Saved"))


_REMOVE: Final = {"groups": drafts.remove_group, "budgets": drafts.remove_budget, "campaigns": drafts.remove_campaign}


@post(
    [
        "/rules/{number:int}/groups/{code:str}/remove",
        "/rules/{number:int}/budgets/{code:str}/remove",
        "/rules/{number:int}/campaigns/{code:str}/remove",
    ],
    status_code=303,
)
async def remove(desk: NamedDependency[Desk], number: FromPath[int], code: FromPath[str]) -> Page:
    """Take a group, budget or campaign out of the draft."""
    desk.require(Permission.EDIT_RULES)
    section = desk.request.url.path.split("/")[-3]
    await _REMOVE[section](desk.session, number=number, version=_version(desk), code=code, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}", desk.gettext("%(rule)s is taken out.", rule=code))


handlers = [group, put_group, budget, put_budget, campaign, put_campaign, remove]
