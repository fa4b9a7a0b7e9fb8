"""What is done with a rulebook as a whole: started, ordered, submitted, approved for its time, sent back, cancelled, merged, filed."""

from collections.abc import Sequence
from typing import Any

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response

from loyalty.identity.rules import Permission
from loyalty.pricing.document import Document
from loyalty.pricing.faults import Fault
from loyalty.pricing.files import FILE_MAX_BYTES, read_rulebook, write_rulebook
from loyalty.pricing.merging import HEAD, Choice, Conflict, changes_between, merge
from loyalty.pricing.model import BookStatus
from loyalty.pricing.operations import approvals, drafts
from loyalty.pricing.queries import books
from loyalty.pricing.queries.books import BookView
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import area, chips, field, file, hidden, said
from loyalty.web.office.parts import Ask, Facts, Field, Part, Said
from loyalty.web.office.rules_words import PATH, SECTION
from loyalty.web.rendering import document as sent


def start_form(desk: Desk, live: BookView | None) -> Ask:
    """Return the form that starts a draft from what is live."""
    _ = desk.gettext
    return desk.form_part(
        _("Change the rules"),
        f"{PATH}/new",
        [field("note", _("What for"), required=False, attrs={"maxlength": 400})],
        submit=_("Start a draft") if live is None else _("Start a draft from rulebook %(number)s", number=live.number),
        primary=True,
    )


async def approval_parts(desk: Desk, one: BookView, *, live: BookView | None, faults: Sequence[Fault], is_behind: bool) -> list[Part]:
    """Return what can be done with a rulebook as it stands, to whom may do it."""
    if one.status is BookStatus.DRAFT:
        return _draft_parts(desk, one, faults=faults, is_behind=is_behind)
    if one.status is BookStatus.SUBMITTED:
        return _submitted_parts(desk, one, faults=faults, is_behind=is_behind)
    return [_about(desk, one), *_back_parts(desk, one, live)]


def _draft_parts(desk: Desk, one: BookView, *, faults: Sequence[Fault], is_behind: bool) -> list[Part]:
    _ = desk.gettext
    if not desk.may(Permission.EDIT_RULES):
        return [Said(title=_("A draft: nothing at the pump changes by it."), then=_("Made by %(who)s.", who=one.made_by_name or "—"))]
    parts: list[Part] = []
    if faults or is_behind:
        parts.append(
            Said(title=_("It cannot be submitted yet."), then=_("What is wrong stands beside, each with what to do."), tone="warn")
        )
    else:
        fields = [hidden("version", one.version), field("note", _("A word to whoever approves"), required=False, attrs={"maxlength": 400})]
        parts.append(desk.form_part(_("Submit for approval"), f"{PATH}/{one.number}/submit", fields, submit=_("Submit")))
    about = [hidden("version", one.version), field("note", _("What for"), value=one.note, required=False, attrs={"maxlength": 400})]
    parts += [
        desk.form_part(_("What it is for"), f"{PATH}/{one.number}/describe", about, submit=_("Save"), primary=False),
        desk.form_part(
            _("Put a file in its place"),
            f"{PATH}/{one.number}/file",
            [hidden("version", one.version), file("file", _("TOML file"), accept=".toml")],
            submit=_("Replace the draft"),
            upload=True,
            primary=False,
        ),
        desk.form_part(_("Give it up"), f"{PATH}/{one.number}/discard", [], submit=_("Discard this draft"), danger=True, primary=False),
    ]
    return parts


def _submitted_parts(desk: Desk, one: BookView, *, faults: Sequence[Fault], is_behind: bool) -> list[Part]:
    _ = desk.gettext
    is_mine = one.submitted_by == desk.principal.staff_id
    approves = desk.may(Permission.APPROVE_RULES) and not is_mine
    parts: list[Part] = []
    if approves and not faults and not is_behind:
        fields = [
            hidden("version", one.version),
            field(
                "at",
                _("Live from"),
                type="datetime-local",
                required=False,
                help=_("Empty: a minute from now, which is the earliest. The office's time."),
            ),
            field("note", _("Remark"), required=False, attrs={"maxlength": 400}),
        ]
        parts.append(
            desk.form_part(_("Approve"), f"{PATH}/{one.number}/approve", fields, submit=_("Approve rulebook %(number)s", number=one.number))
        )
    elif not approves:
        then = _("Whoever submitted it cannot approve it.") if is_mine else _("Your role does not approve rules.")
        parts.append(Said(title=_("It waits for a second person."), then=then))
    else:
        parts.append(
            Said(title=_("It can no longer be approved as it is."), then=_("Send it back with what is to be mended."), tone="warn")
        )
    if approves or (is_mine and desk.may(Permission.EDIT_RULES)):
        title = _("Take it back to change it") if is_mine else _("Send it back")
        fields = [area("reason", _("Why"), rows=2, attrs={"maxlength": 400})]
        parts.append(desk.form_part(title, f"{PATH}/{one.number}/send-back", fields, submit=title, primary=False))
    return parts


def _about(desk: Desk, one: BookView) -> Facts:
    _ = desk.gettext
    return Facts(
        title=_("Approval"),
        pairs=[
            (_("Submitted by"), one.submitted_by_name or "—"),
            (_("Approved by"), one.approved_by_name or "—"),
            (_("Live from"), desk.f.when(one.activates_at)),
            (_("Made from"), desk.link(f"{PATH}/{one.base}", one.base) if one.base is not None else "—"),
        ],
    )


def _back_parts(desk: Desk, one: BookView, live: BookView | None) -> list[Part]:
    """Return the way back to a rulebook, and the way to take a scheduled one back."""
    _ = desk.gettext
    parts: list[Part] = []
    if (
        one.status is BookStatus.APPROVED
        and one.activates_at is not None
        and one.activates_at > desk.now
        and desk.may(Permission.APPROVE_RULES)
    ):
        fields = [area("reason", _("Why"), rows=2, attrs={"maxlength": 400})]
        parts.append(
            desk.form_part(
                _("Cancel it before its time"),
                f"{PATH}/{one.number}/cancel",
                fields,
                submit=_("Cancel rulebook %(number)s", number=one.number),
                danger=True,
            )
        )
    if desk.may(Permission.EDIT_RULES) and not (live is not None and live.number == one.number):
        again = one.status in {BookStatus.CANCELLED, BookStatus.DISCARDED}
        title = _("Take it up again") if again else _("Go back to it")
        note = _("Back to rulebook %(number)s", number=one.number)
        fields_: list[Field] = [hidden("source", one.number), field("note", _("What for"), value="" if again else note, required=False)]
        if not again:
            fields_.append(said(_("A draft of exactly these rules: submitted and approved, it replaces what is live.")))
        parts.append(desk.form_part(title, f"{PATH}/new", fields_, submit=title, primary=False))
    return parts


@post("/rules/new", status_code=303)
async def start(desk: NamedDependency[Desk]) -> Page:
    """Start a draft from what is live, or from the rulebook that the form names."""
    desk.require(Permission.EDIT_RULES)
    source = desk.form.whole("source", "source", required=False)
    note = desk.form.text("note", desk.gettext("What for"), required=False)
    desk.form.check()
    number = await drafts.start_draft(desk.session, source=source, note=note, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}", desk.gettext("A draft is started. Nothing at the pump changes by it."))


@post("/rules/{number:int}/order", status_code=303)
async def order(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Move a rule or group one place within its group."""
    desk.require(Permission.EDIT_RULES)
    form = desk.form
    code, version = form.raw("code"), form.whole("version", "version") or 0
    steps = 1 if form.raw("steps") == "1" else -1
    await drafts.move_member(desk.session, number=number, version=version, code=code, steps=steps, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}?moved={code}#r-{code}")


@post("/rules/{number:int}/describe", status_code=303)
async def describe(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Say what a draft is for."""
    desk.require(Permission.EDIT_RULES)
    note, version = desk.form.text("note", desk.gettext("What for"), required=False), desk.form.whole("version", "version") or 0
    desk.form.check()
    await drafts.describe_draft(desk.session, number=number, version=version, note=note, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}", desk.gettext("Saved"))


@post("/rules/{number:int}/submit", status_code=303)
async def submit(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Hand a draft in."""
    desk.require(Permission.EDIT_RULES)
    version = desk.form.whole("version", "version") or 0
    await approvals.submit(desk.session, number=number, version=version, note=desk.form.raw("note"), actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}", desk.gettext("Submitted. Somebody else approves it now."))


@post("/rules/{number:int}/approve", status_code=303)
async def approve(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Approve a rulebook for its time."""
    desk.require(Permission.APPROVE_RULES)
    _ = desk.gettext
    version, at = desk.form.whole("version", "version") or 0, desk.form.instant("at", _("Live from"), required=False)
    desk.form.check()
    when = await approvals.approve(
        desk.session, number=number, version=version, activates_at=at, note=desk.form.raw("note"), actor=desk.actor, now=desk.now
    )
    return await desk.done(f"{PATH}/{number}", _("Approved. Live from %(when)s.", when=desk.f.instant(when)))


@post("/rules/{number:int}/send-back", status_code=303)
async def send_back(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Make a submitted rulebook a draft again."""
    one = await books.get_book(desk.session, number=number)
    desk.require(Permission.EDIT_RULES if one.submitted_by == desk.principal.staff_id else Permission.APPROVE_RULES)
    reason = desk.form.text("reason", desk.gettext("Why"))
    desk.form.check()
    await approvals.send_back(desk.session, number=number, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}", desk.gettext("It is a draft again."))


@post("/rules/{number:int}/cancel", status_code=303)
async def cancel(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Take an approved rulebook back before its time."""
    desk.require(Permission.APPROVE_RULES)
    reason = desk.form.text("reason", desk.gettext("Why"))
    desk.form.check()
    await approvals.cancel(desk.session, number=number, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}", desk.gettext("Cancelled. What is live stays."))


@post("/rules/{number:int}/discard", status_code=303)
async def discard(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Give a draft up; the next page offers the way back."""
    desk.require(Permission.EDIT_RULES)
    _ = desk.gettext
    await drafts.discard(desk.session, number=number, actor=desk.actor, now=desk.now)
    return await desk.done(PATH, _("Rulebook %(number)s is given up.", number=number), undo=f"{PATH}/new", fields={"source": str(number)})


@get("/rules/{number:int}/rebase")
async def rebase_page(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Show what would be brought in, and ask which side stands where both changed a part."""
    desk.offer(Permission.EDIT_RULES)
    _ = desk.gettext
    one = await books.get_book(desk.session, number=number)
    last = await books.last_book(desk.session)
    before = Document() if one.base is None else (await books.get_book(desk.session, number=one.base)).document
    live = Document() if last is None else last.document
    conflicts = merge(before, one.document, live).conflicts
    fields: list[Field] = [hidden("version", one.version)]
    fields += [_choice(desk, conflict) for conflict in conflicts]
    theirs = changes_between(before, live)
    names = ", ".join(f"{_(SECTION[change.section])} {desk.either(change.name_zh, change.name_en)}" for change in theirs) or _("nothing")
    note = _("Comes in: %(names)s.", names=names)
    if conflicts:
        note += " " + _("Both sides changed what is asked for below.")
    crumbs = [(_("Rules"), PATH), (_("Rulebook %(number)s", number=number), f"{PATH}/{number}"), (_("Bring in what is live"), "")]
    return await desk.ask(
        _("Bring in what is live"), [said(note), *fields], submit=_("Bring it in"), back=f"{PATH}/{number}", crumbs=crumbs
    )


def _choice(desk: Desk, conflict: Conflict) -> Field:
    _ = desk.gettext

    def told(side: Any) -> str:
        if side is None:
            return _("taken out")
        if isinstance(side, dict):
            return str(side.get(desk.either("name_zh", "name_en")) or side.get("name_en") or conflict.code)
        return str(side)

    label = f"{_(SECTION[conflict.section])} {conflict.code}"
    options = [
        ("mine", _("This draft's: %(what)s", what=told(conflict.mine))),
        ("live", _("The live one: %(what)s", what=told(conflict.live))),
    ]
    return chips(f"keep-{conflict.section}-{conflict.code}", label, options, value="live")


@post("/rules/{number:int}/rebase", status_code=303)
async def rebase(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Bring in what became live since the draft was started."""
    desk.require(Permission.EDIT_RULES)
    choices: dict[tuple[str, str], Choice] = {}
    for name, values in desk.form.typed().items():
        first, _dash, rest = name.partition("-")
        section, _dash, code = rest.partition("-")
        if first == "keep" and section in {*SECTION, HEAD} and values and values[-1] in {choice.value for choice in Choice}:
            choices[section, code] = Choice(values[-1])
    version = desk.form.whole("version", "version") or 0
    await drafts.rebase(desk.session, number=number, version=version, choices=choices, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}", desk.gettext("Brought in."))


@get("/rules/{number:int}/file")
async def export(desk: NamedDependency[Desk], number: FromPath[int]) -> Response[bytes]:
    """Send a rulebook as TOML."""
    desk.require(Permission.READ_CARDS)
    one = await books.get_book(desk.session, number=number)
    return sent(write_rulebook(one.document).encode(), media_type="application/toml", filename=f"rulebook-{number}.toml")


@post("/rules/{number:int}/file", status_code=303)
async def replace(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Put a file in a draft's place."""
    desk.require(Permission.EDIT_RULES)
    _name, content = await desk.form.file("file", desk.gettext("TOML file"), largest=FILE_MAX_BYTES)
    desk.form.check()
    version = desk.form.whole("version", "version") or 0
    await drafts.replace_document(
        desk.session, number=number, version=version, document=read_rulebook(content), actor=desk.actor, now=desk.now
    )
    return await desk.done(f"{PATH}/{number}", desk.gettext("The file is in the draft."))


@get("/rules/import")
async def ask_file(desk: NamedDependency[Desk]) -> Page:
    """Ask for a file."""
    desk.offer(Permission.EDIT_RULES)
    _ = desk.gettext
    fields = [
        file("file", _("TOML file"), accept=".toml", help=_("As the export writes it. It becomes a draft; somebody else approves it.")),
        field("note", _("What for"), required=False),
    ]
    crumbs = [(_("Rules"), PATH), (_("Import a file"), "")]
    return await desk.ask(_("Import a file"), fields, submit=_("Make a draft of it"), back=PATH, crumbs=crumbs, upload=True)


@post("/rules/import", status_code=303)
async def take_file(desk: NamedDependency[Desk]) -> Page:
    """Make a draft of a file."""
    desk.require(Permission.EDIT_RULES)
    _ = desk.gettext
    name, content = await desk.form.file("file", _("TOML file"), largest=FILE_MAX_BYTES)
    note = desk.form.text("note", _("What for"), required=False) or name
    desk.form.check()
    found = read_rulebook(content)
    number = await drafts.start_draft(desk.session, note=note, actor=desk.actor, now=desk.now)
    await drafts.replace_document(desk.session, number=number, version=1, document=found, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{number}", _("A draft is made of the file."))


handlers = [
    start,
    order,
    describe,
    submit,
    approve,
    send_back,
    cancel,
    discard,
    rebase_page,
    rebase,
    export,
    replace,
    ask_file,
    take_file,
]
