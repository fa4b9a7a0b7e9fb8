"""Rulebooks over JSON for the office: the pages' own session and form token, the same permissions, the same operations.

A changing request carries the form token of the `office-form` cookie as `x-csrf-token`. Every change names the `version` it was made on, so
a request that comes twice is refused the second time and has its effect once.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Router, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Response
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock, problems
from loyalty.errors import Refusal
from loyalty.identity import operations as identity
from loyalty.identity.model import Portal
from loyalty.identity.rules import Permission
from loyalty.pricing.document import Budget, Campaign, Document, Group, Rule
from loyalty.pricing.faults import Fault, faults_of, warnings_of
from loyalty.pricing.files import write_rulebook
from loyalty.pricing.merging import Change, Choice
from loyalty.pricing.model import BookStatus
from loyalty.pricing.operations import approvals, drafts
from loyalty.pricing.queries import books
from loyalty.pricing.queries.known import known_codes
from loyalty.web import csrf
from loyalty.web.office.desk import DOOR, AnyRequest, Desk, address_of
from loyalty.web.office.reading import Form
from loyalty.web.rendering import reader_of

Note = Annotated[str, Meta(max_length=400)]
Version = Annotated[int, Meta(ge=1)]
TOML: Final = "application/toml"


class CodesDiffer(Refusal):
    """The address names one part, the body another."""

    status = 422
    zh = "地址中的代码“{address}”与内容中的“{body}”不一致。"
    en = 'The address says "{address}", the body "{body}".'
    next_zh = "代码不能更改：请改正其一。"
    next_en = "A code never changes: correct one of them."


class NewDraft(Struct, forbid_unknown_fields=True):
    """From the live rulebook, from `source`, or `empty`."""

    note: Note = ""
    source: int | None = None
    empty: bool = False


class PutRule(Struct, forbid_unknown_fields=True):
    version: Version
    rule: Rule


class PutGroup(Struct, forbid_unknown_fields=True):
    version: Version
    group: Group


class PutBudget(Struct, forbid_unknown_fields=True):
    version: Version
    budget: Budget


class PutCampaign(Struct, forbid_unknown_fields=True):
    version: Version
    campaign: Campaign


class PutDocument(Struct, forbid_unknown_fields=True):
    version: Version
    document: Document


class Step(Struct, forbid_unknown_fields=True):
    """So many places later in its group; earlier where negative."""

    version: Version
    code: str
    steps: Annotated[int, Meta(ge=-1000, le=1000)]


class Settled(Struct, forbid_unknown_fields=True):
    """Which side of a conflict stands."""

    section: str
    code: str
    keep: Choice


class Rebase(Struct, forbid_unknown_fields=True):
    version: Version
    choices: list[Settled] = []


class Submission(Struct, forbid_unknown_fields=True):
    version: Version
    note: Note = ""


class Approval(Struct, forbid_unknown_fields=True):
    """`activates_at` at least a minute ahead; none: the earliest there is."""

    version: Version
    activates_at: datetime | None = None
    note: Note = ""


class Reason(Struct, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(min_length=1, max_length=400)]


class Drafted(Struct):
    number: int
    version: int


class Scheduled(Struct):
    number: int
    activates_at: datetime


class Books(Struct):
    items: list[books.BookLine]
    next: str | None
    previous: str | None


class BudgetLine(Struct):
    """In minor units, points or pieces, as `unit` says."""

    budget_id: UUID
    code: str
    unit: str
    currency: str | None
    total: int
    reserved: int
    used: int


class Whole(Struct):
    """A rulebook with its document, and what is wrong with it now."""

    book: books.BookLine
    document: Document
    faults: list[Fault]
    warnings: list[Fault]


@get("/", summary="Rulebooks, the latest first / 规则集列表")
async def list_books(
    desk: NamedDependency[Desk],
    status: FromQuery[BookStatus | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Books:
    """One page; `next` and `previous` are the cursors of its neighbours."""
    desk.require(Permission.READ_CARDS)
    page = await books.list_books(desk.session, status=status, cursor=cursor, limit=limit)
    return Books(page.rows, page.next, page.previous)


@get("/budgets", summary="Budgets as they stand / 预算现况")
async def budgets(desk: NamedDependency[Desk]) -> list[BudgetLine]:
    """Granted, set aside and used, of every budget that ever went live."""
    desk.require(Permission.READ_CARDS)
    found = await books.budget_states(desk.session)
    return [BudgetLine(**msgspec.structs.asdict(one)) for one in found.values()]


@get("/{number:int}", summary="A rulebook whole / 查看规则集")
async def get_book(desk: NamedDependency[Desk], number: FromPath[int]) -> Whole:
    """The document, with what keeps it from being submitted and what is hardly meant."""
    desk.require(Permission.READ_CARDS)
    book = await books.get_book(desk.session, number=number)
    known = await known_codes(desk.session)
    line = books.BookLine(**{name: getattr(book, name) for name in books.BookLine.__struct_fields__})
    return Whole(line, book.document, faults_of(book.document, known), warnings_of(book.document, known, now=desk.now))


@get("/{number:int}/changes", summary="What differs from another rulebook / 与另一规则集的差异")
async def changes(desk: NamedDependency[Desk], number: FromPath[int], since: FromQuery[int | None] = None) -> list[Change]:
    """Rule by rule, since the rulebook it was made from or the one that `since` names."""
    desk.require(Permission.READ_CARDS)
    book = await books.get_book(desk.session, number=number)
    return await books.difference(desk.session, before=book.base if since is None else since, after=number)


@get("/{number:int}/events", summary="A rulebook's steps / 规则集的经过")
async def events(desk: NamedDependency[Desk], number: FromPath[int]) -> list[books.BookEvent]:
    """Who did what, when, why."""
    desk.require(Permission.READ_CARDS)
    await books.get_book(desk.session, number=number)
    return await books.events_of(desk.session, number=number)


@get("/{number:int}/file", summary="A rulebook as TOML / 导出为 TOML 文件", media_type=TOML)
async def file(desk: NamedDependency[Desk], number: FromPath[int]) -> Response[str]:
    """For version control; importing it makes a draft."""
    desk.require(Permission.READ_CARDS)
    book = await books.get_book(desk.session, number=number)
    headers = {"Content-Disposition": f'attachment; filename="rulebook-{number}.toml"'}
    return Response(write_rulebook(book.document), media_type=TOML, headers=headers)


@post("/", summary="Start a draft / 新建草稿", status_code=201)
async def start(desk: NamedDependency[Desk], data: JSONBody[NewDraft]) -> Drafted:
    """From what is live or will be last, from an earlier rulebook, or from nothing."""
    desk.require(Permission.EDIT_RULES)
    number = await drafts.start_draft(desk.session, source=data.source, empty=data.empty, note=data.note, actor=desk.actor, now=desk.now)
    return Drafted(number, 1)


@delete("/{number:int}", summary="Discard a draft / 放弃草稿", status_code=204)
async def discard(desk: NamedDependency[Desk], number: FromPath[int]) -> None:
    """It stays readable and can be taken up again."""
    desk.require(Permission.EDIT_RULES)
    await drafts.discard(desk.session, number=number, actor=desk.actor, now=desk.now)


@put("/{number:int}/document", summary="Replace a draft's document / 替换草稿全文")
async def put_document(desk: NamedDependency[Desk], number: FromPath[int], data: JSONBody[PutDocument]) -> Drafted:
    """As an imported file does."""
    desk.require(Permission.EDIT_RULES)
    version = await drafts.replace_document(
        desk.session, number=number, version=data.version, document=data.document, actor=desk.actor, now=desk.now
    )
    return Drafted(number, version)


@put("/{number:int}/rules/{code:str}", summary="Put a rule into a draft / 写入规则")
async def put_rule(desk: NamedDependency[Desk], number: FromPath[int], code: FromPath[str], data: JSONBody[PutRule]) -> Drafted:
    """In place of the one with its code, if there is one."""
    desk.require(Permission.EDIT_RULES)
    _same(code, data.rule.code)
    version = await drafts.put_rule(desk.session, number=number, version=data.version, rule=data.rule, actor=desk.actor, now=desk.now)
    return Drafted(number, version)


@delete("/{number:int}/rules/{code:str}", summary="Take a rule out of a draft / 删除规则", status_code=200)
async def remove_rule(desk: NamedDependency[Desk], number: FromPath[int], code: FromPath[str], version: FromQuery[int]) -> Drafted:
    """What is live keeps it until this draft is approved."""
    desk.require(Permission.EDIT_RULES)
    made = await drafts.remove_rule(desk.session, number=number, version=version, code=code, actor=desk.actor, now=desk.now)
    return Drafted(number, made)


@put("/{number:int}/groups/{code:str}", summary="Put a group into a draft / 写入分组")
async def put_group(desk: NamedDependency[Desk], number: FromPath[int], code: FromPath[str], data: JSONBody[PutGroup]) -> Drafted:
    """In place of the one with its code, if there is one."""
    desk.require(Permission.EDIT_RULES)
    _same(code, data.group.code)
    version = await drafts.put_group(desk.session, number=number, version=data.version, group=data.group, actor=desk.actor, now=desk.now)
    return Drafted(number, version)


@delete("/{number:int}/groups/{code:str}", summary="Take a group out of a draft / 删除分组", status_code=200)
async def remove_group(desk: NamedDependency[Desk], number: FromPath[int], code: FromPath[str], version: FromQuery[int]) -> Drafted:
    """Its members go to the group around it."""
    desk.require(Permission.EDIT_RULES)
    made = await drafts.remove_group(desk.session, number=number, version=version, code=code, actor=desk.actor, now=desk.now)
    return Drafted(number, made)


@put("/{number:int}/budgets/{code:str}", summary="Put a budget into a draft / 写入预算")
async def put_budget(desk: NamedDependency[Desk], number: FromPath[int], code: FromPath[str], data: JSONBody[PutBudget]) -> Drafted:
    """In place of the one with its code, if there is one."""
    desk.require(Permission.EDIT_RULES)
    _same(code, data.budget.code)
    version = await drafts.put_budget(desk.session, number=number, version=data.version, budget=data.budget, actor=desk.actor, now=desk.now)
    return Drafted(number, version)


@delete("/{number:int}/budgets/{code:str}", summary="Take a budget out of a draft / 删除预算", status_code=200)
async def remove_budget(desk: NamedDependency[Desk], number: FromPath[int], code: FromPath[str], version: FromQuery[int]) -> Drafted:
    """Rules that name it are then a fault."""
    desk.require(Permission.EDIT_RULES)
    made = await drafts.remove_budget(desk.session, number=number, version=version, code=code, actor=desk.actor, now=desk.now)
    return Drafted(number, made)


@put("/{number:int}/campaigns/{code:str}", summary="Put a campaign into a draft / 写入活动")
async def put_campaign(desk: NamedDependency[Desk], number: FromPath[int], code: FromPath[str], data: JSONBody[PutCampaign]) -> Drafted:
    """In place of the one with its code, if there is one."""
    desk.require(Permission.EDIT_RULES)
    _same(code, data.campaign.code)
    version = await drafts.put_campaign(
        desk.session, number=number, version=data.version, campaign=data.campaign, actor=desk.actor, now=desk.now
    )
    return Drafted(number, version)


@delete("/{number:int}/campaigns/{code:str}", summary="Take a campaign out of a draft / 删除活动", status_code=200)
async def remove_campaign(desk: NamedDependency[Desk], number: FromPath[int], code: FromPath[str], version: FromQuery[int]) -> Drafted:
    """Rules that name it are then a fault."""
    desk.require(Permission.EDIT_RULES)
    made = await drafts.remove_campaign(desk.session, number=number, version=version, code=code, actor=desk.actor, now=desk.now)
    return Drafted(number, made)


@post("/{number:int}/order", summary="Move a rule or group within its group / 调整次序", status_code=200)
async def order(desk: NamedDependency[Desk], number: FromPath[int], data: JSONBody[Step]) -> Drafted:
    """The ends hold it."""
    desk.require(Permission.EDIT_RULES)
    version = await drafts.move_member(
        desk.session, number=number, version=data.version, code=data.code, steps=data.steps, actor=desk.actor, now=desk.now
    )
    return Drafted(number, version)


@post("/{number:int}/rebase", summary="Bring in what became live / 合并最新规则", status_code=200)
async def rebase(desk: NamedDependency[Desk], number: FromPath[int], data: JSONBody[Rebase]) -> Drafted:
    """Where both sides changed a part, `choices` say which stands; without, the refusal names them in `conflicts`."""
    desk.require(Permission.EDIT_RULES)
    choices = {(one.section, one.code): one.keep for one in data.choices}
    version = await drafts.rebase(desk.session, number=number, version=data.version, choices=choices, actor=desk.actor, now=desk.now)
    return Drafted(number, version)


@post("/{number:int}/submission", summary="Submit a draft for approval / 提交批准", status_code=200)
async def submit(desk: NamedDependency[Desk], number: FromPath[int], data: JSONBody[Submission]) -> Drafted:
    """Refused where something is wrong with it: the problem's `faults` name each place."""
    desk.require(Permission.EDIT_RULES)
    await approvals.submit(desk.session, number=number, version=data.version, note=data.note, actor=desk.actor, now=desk.now)
    return Drafted(number, data.version)


@delete("/{number:int}/submission", summary="Send a submitted rulebook back / 退回草稿", status_code=200)
async def send_back(desk: NamedDependency[Desk], number: FromPath[int], reason: FromQuery[str]) -> Drafted:
    """Whoever approves turns it down, or whoever submitted it takes it back."""
    book = await books.get_book(desk.session, number=number)
    desk.require(Permission.EDIT_RULES if book.submitted_by == desk.principal.staff_id else Permission.APPROVE_RULES)
    await approvals.send_back(desk.session, number=number, reason=reason, actor=desk.actor, now=desk.now)
    return Drafted(number, book.version)


@post("/{number:int}/approval", summary="Approve a rulebook for its time / 批准并排定生效", status_code=200)
async def approve(desk: NamedDependency[Desk], number: FromPath[int], data: JSONBody[Approval]) -> Scheduled:
    """By another person than the submitter, with the second factor given within the last minutes."""
    desk.require(Permission.APPROVE_RULES)
    at = await approvals.approve(
        desk.session,
        number=number,
        version=data.version,
        activates_at=data.activates_at,
        note=data.note,
        actor=desk.actor,
        now=desk.now,
    )
    return Scheduled(number, at)


@post("/{number:int}/cancellation", summary="Cancel a rulebook before its time / 生效前取消", status_code=204)
async def cancel(desk: NamedDependency[Desk], number: FromPath[int], data: JSONBody[Reason]) -> None:
    """What is live stays; the cancelled one can be taken up again as a draft."""
    desk.require(Permission.APPROVE_RULES)
    await approvals.cancel(desk.session, number=number, reason=data.reason, actor=desk.actor, now=desk.now)


def _same(address: str, body: str) -> None:
    if address != body:
        raise CodesDiffer(address=address, body=body)


async def provide_clerk(request: AnyRequest, session: NamedDependency[AsyncSession], now: NamedDependency[datetime]) -> Desk:
    """Resume the office's session for a JSON request; a changing one must carry the form token.

    :raises NotSignedIn: if nobody is signed in
    :raises FormNotOurs: if the token is missing or another's
    """
    principal = await identity.resume(
        session,
        token=DOOR.session_token(request) or "",
        portal=Portal.OFFICE,
        address=address_of(request),
        user_agent=request.headers.get("user-agent"),
        now=clock.real_now(),
    )
    if request.method != "GET":
        DOOR.check_form(request, request.headers.get(csrf.HEADER, ""))
    form = Form({}, reader_of(request).language, request.app.state.settings.zone)
    return Desk(request, session, principal, form, now, DOOR.form_token(request) or "")


def on_refusal(_request: AnyRequest, refusal: Refusal) -> Response[bytes]:
    """Answer a refusal; faults and conflicts are members of the problem document."""
    more: Mapping[str, object] = {}
    if isinstance(refusal, approvals.RulebookHasFaults):
        more = {"faults": refusal.faults}
    elif isinstance(refusal, drafts.ChangesConflict):
        more = {"conflicts": refusal.conflicts}
    return problems.answer(refusal, more=dict(more))


def on_fault(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer what nobody foresaw; a group of one, as closed dependencies raise it, is what it holds."""
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1 and isinstance(error.exceptions[0], Refusal):
        return on_refusal(request, error.exceptions[0])
    return problems.on_fault(request, error)


_HANDLERS: Final = [
    approve,
    budgets,
    cancel,
    changes,
    discard,
    events,
    file,
    get_book,
    list_books,
    order,
    put_budget,
    put_campaign,
    put_document,
    put_group,
    put_rule,
    rebase,
    remove_budget,
    remove_campaign,
    remove_group,
    remove_rule,
    send_back,
    start,
    submit,
]

_PROBLEMS: Final[Any] = problems.exception_handlers() | {Refusal: on_refusal, Exception: on_fault}  # type: ignore[operator]

rules_api = Router(
    path="/office/api/rulebooks",
    route_handlers=_HANDLERS,
    dependencies={"desk": Provide(provide_clerk)},
    exception_handlers=_PROBLEMS,
    security=[{"officeSession": list[str]()}],
    tags=["rulebooks"],
)
"""Stands beside the router of the office's pages, which answers with pages."""
