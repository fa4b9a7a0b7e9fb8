"""How the edge answers what went wrong: problem+json (RFC 9457), in both languages, with nothing of our insides."""

import itertools
import os
import traceback
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from loyalty.errors import NotFound, Refusal, problem

MEDIA_TYPE = "application/problem+json"

_log = structlog.get_logger("loyalty")


class RequestNotUnderstood(Refusal):
    """The message itself is wrong: a missing, unknown or ill-typed field."""

    status = 400
    zh = "请求内容有误。"
    en = "The request cannot be understood."
    next_zh = "请按接口说明修改后重发。"
    next_en = "Correct it by the API description and send it again."


class MethodNotOffered(Refusal):
    status = 405
    zh = "该地址不支持此操作。"
    en = "This address does not offer that method."


class RequestTooLarge(Refusal):
    """More than any page or interface takes at once: it was not read."""

    status = 413
    zh = "发送的内容过大，未被接收。"
    en = "What was sent is too large; it was not taken."
    next_zh = "请缩小文件（例如降低照片分辨率）后重试。"
    next_en = "Make the file smaller, a photo by its resolution, and send it again."


class RequestRefused(Refusal):
    """The framework turned it down for a reason that has no refusal of its own; the status says which kind."""

    zh = "请求被拒绝。"
    en = "The request was refused."


class ServerFault(Refusal):
    """Our fault: what happened stands in the log under `incident`."""

    status = 500
    zh = "系统出错，本次操作没有完成。"
    en = "Something broke on our side; this operation was not completed."
    next_zh = "请用同一幂等键重试；仍失败请报事件编号 {incident}。"
    next_en = "Retry with the same idempotency key; if it fails again, report incident {incident}."


def answer(
    refusal: Refusal, *, status: int | None = None, headers: dict[str, str] | None = None, more: dict[str, object] | None = None
) -> Response[bytes]:
    """Render a refusal; `more` are further members of the problem document."""
    document: dict[str, Any] = problem(refusal) | (more or {})
    if status is not None:
        document["status"] = status
    if document["status"] == 503:
        headers = {"Retry-After": "1"} | (headers or {})
    return Response(msgspec.json.encode(document), status_code=document["status"], media_type=MEDIA_TYPE, headers=headers)


def on_refusal(request: Request[Any, Any, Any], refusal: Refusal) -> Response[bytes]:  # noqa: ARG001 - Litestar's signature
    """Answer a refusal."""
    return answer(refusal)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what Litestar itself refuses: unknown paths, methods, bodies that do not fit."""
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return answer(NotFound(), headers=headers)
    if error.status_code == 405:
        return answer(MethodNotOffered(), headers=headers)
    if error.status_code == 413:
        return answer(RequestTooLarge(), headers=headers)
    if error.status_code in {400, 422}:
        return answer(RequestNotUnderstood(), headers=headers, more=_fields(error))
    if error.status_code < 500:
        return answer(RequestRefused(), status=error.status_code, headers=headers)
    return on_fault(request, error)


def on_fault(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer what nobody foresaw, and log where: frames, type and SQLSTATE, but never a message or a value, which may be personal."""
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        inner = error.exceptions[0]
        return on_refusal(request, inner) if isinstance(inner, Refusal) else on_fault(request, inner)
    return answer(ServerFault(incident=log_fault(request, error)))


def log_fault(request: Request[Any, Any, Any], error: Exception) -> str:
    """Write a fault's place into the log; return the number under which it stands there."""
    incident = incident_number()
    original = getattr(error, "orig", None) or error
    _log.error(
        "fault",
        incident=incident,
        method=request.method,
        route=str(request.scope.get("path_template") or ""),
        error=f"{type(original).__module__}.{type(original).__qualname__}",
        sqlstate=getattr(original, "sqlstate", None),
        constraint=getattr(getattr(original, "__cause__", None), "constraint_name", None),
        frames=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)[-12:]],
    )
    return incident


_faults = itertools.count(1)


def incident_number() -> str:
    """Number this process's faults, so that a caller's report finds its log line."""
    return f"{os.getpid()}-{next(_faults)}"


def exception_handlers() -> ExceptionHandlersMap:
    """Return the app's handlers; a portal may put its own pages over these."""
    return {Refusal: on_refusal, HTTPException: on_http_exception, Exception: on_fault}


def _fields(error: HTTPException) -> dict[str, object]:
    """Name the fields that do not fit and why; Litestar's and msgspec's words, which hold types and names, never the values sent."""
    extra = error.extra
    if not isinstance(extra, list):
        return {}
    return {
        "fields": [
            {"field": str(entry.get("key", "")), "message": str(entry.get("message", ""))} for entry in extra if isinstance(entry, dict)
        ]
    }
