"""Company agreements over JSON for the office: the pages' own session and form token, the same permissions, the same operations."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Router, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Response
from msgspec import Meta, Struct

from loyalty import problems
from loyalty.errors import Refusal
from loyalty.identity.rules import Permission
from loyalty.pricing.agreement_files import write_agreements
from loyalty.pricing.agreements import Line
from loyalty.pricing.document import Code, Currency, Named
from loyalty.pricing.model import AgreementStatus
from loyalty.pricing.operations import agreements as operations
from loyalty.pricing.operations.agreements import NewAgreement
from loyalty.pricing.queries import agreements as queries
from loyalty.pricing.queries.agreement_examples import Example, examples
from loyalty.stations.queries import snapshot_stations

from .desk import Desk
from .rules_api import TOML, on_fault, on_refusal, provide_clerk

Reason = Annotated[str, Meta(min_length=1, max_length=400)]


class Agreement(Struct, forbid_unknown_fields=True):
    """What is agreed; a line's `value_e4` is 1/10,000 of a currency unit per product unit."""

    code: Code
    customer_id: UUID
    name_zh: Named
    name_en: Named
    starts_at: datetime
    lines: Annotated[list[Line], Meta(min_length=1, max_length=200)]
    ends_at: datetime | None = None
    currency: Currency = "CNY"
    lowest_wins: bool = False
    funder: str = "head-office"

    def as_new(self) -> NewAgreement:
        """Return it as the operations take it."""
        return NewAgreement(**{name: getattr(self, name) for name in NewAgreement._fields} | {"lines": tuple(self.lines)})


class Draft(Struct, forbid_unknown_fields=True):
    """`after` is the latest revision that the maker knows, 0 for a new code: a request that comes twice is refused the second time."""

    agreement: Agreement
    after: Annotated[int, Meta(ge=0)]


class Change(Struct, forbid_unknown_fields=True):
    agreement: Agreement


class End(Struct, forbid_unknown_fields=True):
    reason: Reason


class Drafted(Struct):
    agreement_id: UUID


class Agreements(Struct):
    items: list[queries.AgreementLine]
    next: str | None
    previous: str | None


class Whole(Struct):
    """An agreement, its state now, every revision of its code, and a fill of 100 units for each line."""

    agreement: queries.AgreementView
    state: queries.AgreementState
    revisions: list[queries.AgreementLine]
    examples: list[Example | None]


@get("/", summary="Company agreements, the latest made first / 单位协议列表")
async def list_agreements(
    desk: NamedDependency[Desk],
    standing: Annotated[queries.AgreementState | None, QueryParameter(name="state")] = None,
    text: FromQuery[str] = "",
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Agreements:
    """One page; `text` begins a company's name or is a code."""
    desk.require(Permission.READ_CUSTOMERS)
    page = await queries.list_agreements(desk.session, now=desk.now, state=standing, text=text, cursor=cursor, limit=limit)
    return Agreements(page.rows, page.next, page.previous)


@get("/file", summary="What is agreed now or will be, as TOML / 导出为 TOML 文件", media_type=TOML)
async def file(desk: NamedDependency[Desk]) -> Response[str]:
    """For version control; `loyalty agreements import` makes drafts of it."""
    desk.require(Permission.READ_CUSTOMERS)
    codes = {one.station_id: one.code for one in await snapshot_stations(desk.session)}
    latest = {one.code: one for one in await queries.standing_agreements(desk.session, now=desk.now)}
    written = write_agreements(
        [(NewAgreement(**{name: getattr(one, name) for name in NewAgreement._fields}), one.customer_name) for one in latest.values()],
        stations=codes,
    )
    return Response(written, media_type=TOML, headers={"Content-Disposition": 'attachment; filename="agreements.toml"'})


@get("/{agreement_id:uuid}", summary="An agreement whole / 查看单位协议")
async def get_agreement(desk: NamedDependency[Desk], agreement_id: FromPath[UUID]) -> Whole:
    """With what a fill costs under each of its lines, at today's prices."""
    desk.require(Permission.READ_CUSTOMERS)
    one = await queries.get_agreement(desk.session, agreement_id=agreement_id)
    return Whole(
        one,
        one.state(desk.now),
        await queries.revisions_of(desk.session, code=one.code),
        await examples(desk.session, lines=one.lines, currency=one.currency, now=desk.now),
    )


@post("/", summary="Draft an agreement / 起草单位协议", status_code=201)
async def draft(desk: NamedDependency[Desk], data: JSONBody[Draft]) -> Drafted:
    """The next revision of its code; nothing is priced by it before somebody else approves it."""
    desk.require(Permission.EDIT_RULES)
    made = await operations.draft_agreement(
        desk.session, agreement=data.agreement.as_new(), after=data.after, actor=desk.actor, now=desk.now
    )
    return Drafted(made)


@put("/{agreement_id:uuid}", summary="Change a draft / 修改协议草稿")
async def change(desk: NamedDependency[Desk], agreement_id: FromPath[UUID], data: JSONBody[Change]) -> Drafted:
    """Whoever changed it last is its maker."""
    desk.require(Permission.EDIT_RULES)
    await operations.change_agreement(
        desk.session, agreement_id=agreement_id, agreement=data.agreement.as_new(), actor=desk.actor, now=desk.now
    )
    return Drafted(agreement_id)


@post("/{agreement_id:uuid}/approval", summary="Approve an agreement / 批准单位协议", status_code=204)
async def approve(desk: NamedDependency[Desk], agreement_id: FromPath[UUID]) -> None:
    """By another person than its maker, with the second factor given within the last minutes; its revision before ends where it begins."""
    desk.require(Permission.APPROVE_RULES)
    await operations.approve_agreement(desk.session, agreement_id=agreement_id, actor=desk.actor, now=desk.now)


@post("/{agreement_id:uuid}/end", summary="End an agreement, or give a draft up / 终止协议", status_code=204)
async def end(desk: NamedDependency[Desk], agreement_id: FromPath[UUID], data: JSONBody[End]) -> None:
    """What was sold under it stays. A draft is its makers' to give up; what stands is ended by whoever approves."""
    one = await queries.get_agreement(desk.session, agreement_id=agreement_id)
    desk.require(may_end(one))
    await operations.end_agreement(desk.session, agreement_id=agreement_id, reason=data.reason, actor=desk.actor, now=desk.now)


def may_end(one: queries.AgreementLine) -> Permission:
    """Return what it takes to end it."""
    return Permission.EDIT_RULES if one.status is AgreementStatus.DRAFT else Permission.APPROVE_RULES


_PROBLEMS: Final[Any] = problems.exception_handlers() | {Refusal: on_refusal, Exception: on_fault}  # type: ignore[operator]

agreements_api = Router(
    path="/office/api/agreements",
    route_handlers=[approve, change, draft, end, file, get_agreement, list_agreements],
    dependencies={"desk": Provide(provide_clerk)},
    exception_handlers=_PROBLEMS,
    security=[{"officeSession": list[str]()}],
    tags=["agreements"],
)
