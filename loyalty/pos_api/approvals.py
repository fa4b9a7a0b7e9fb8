"""Asking a company about a fill that its limits refused."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from loyalty.authorizations.callers import Caller
from loyalty.authorizations.hot import AuthorizationNotFound
from loyalty.authorizations.wire import parse_reference
from loyalty.db import transaction
from loyalty.fleet.model_approvals import ApprovalStatus
from loyalty.fleet.operations import approvals

_SAID: Final = {
    ApprovalStatus.ASKED: ("已请单位确认，请稍候。", "The company has been asked. Wait a moment."),
    ApprovalStatus.APPROVED: ("单位已放行，请重新授权。", "The company lets it pass. Authorise again."),
    ApprovalStatus.REFUSED: ("单位未放行，可改用其他方式付款。", "The company said no. Pay otherwise."),
}


class ApprovalRequest(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Nothing more is said: the decline knows what was asked for."""


class ApprovalAnswer(Struct, omit_defaults=True, kw_only=True):
    """Where an asking stands. `status`: asked, approved, refused; approved, one retry passes within half an hour."""

    approval: UUID
    status: str
    limit: str
    asked_minor: int | None = None
    asked_milli: int | None = None
    asked_at: datetime
    deputy_at: datetime
    """From then on a deputy may answer."""
    decide_at: datetime
    """Then the company's setting does."""
    decided_by: str | None = None
    message_zh: str
    message_en: str


@post(
    "/authorizations/{authorization:str}/approval",
    summary="Ask the company, or see its answer / 请单位放行",
    tags=["at the pump"],
    status_code=200,
)
async def ask_company(
    authorization: FromPath[str],
    data: JSONBody[ApprovalRequest],  # noqa: ARG001 - refused where it says anything
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> ApprovalAnswer:
    """For a decline that said `may_ask`. Asked again, it tells how far it is; a till asks every few seconds while the driver waits."""
    both = parse_reference(authorization)
    if both is None:
        raise AuthorizationNotFound
    async with transaction(request.app.state.sessions) as session:
        asked = await approvals.ask(session, account_id=both[0], authorization_id=both[1], station_id=caller.place.station_id, now=now)
        zh, en = _SAID[asked.status]
        return ApprovalAnswer(
            approval=asked.approval_id,
            status=asked.status.value,
            limit=asked.limit,
            asked_minor=asked.asked_minor,
            asked_milli=asked.asked_milli,
            asked_at=asked.asked_at,
            deputy_at=asked.deputy_at,
            decide_at=asked.decide_at,
            decided_by=None if asked.decided_by is None else asked.decided_by.value,
            message_zh=zh,
            message_en=en,
        )
