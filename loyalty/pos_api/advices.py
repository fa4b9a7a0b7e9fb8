"""What happened while the line was down, told afterwards: always booked, each record with a result of its own."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta, Struct

from loyalty.authorizations.callers import Caller
from loyalty.authorizations.operations.advices import AdviceContext, AdviceResult, book_advices


class AdviceBatch(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Offline records in the order they happened, as they were kept: their bytes are what their place in the chain is made of."""

    records: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=100)]


class _Raw(Struct):
    records: list[msgspec.Raw]


class AdviceResults(Struct, kw_only=True):
    """A result for each record, in their order: its answer, or the problem with it."""

    results: list[AdviceResult]


@post("/advices", summary="Report offline sales / 上报脱机交易", tags=["offline"], status_code=200)
async def report_advices(
    data: JSONBody[AdviceBatch],  # noqa: ARG001 - judged here, read again as the bytes that were hashed
    request: Request[Any, Any, Any],
    state: State,
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> AdviceResults:
    """The fuel is in the tank: unknown card, lack of funds, limits and quarantine leave flags and stop nothing.

    Sent again, each record meets its own key.
    """
    batch = msgspec.json.decode(await request.body(), type=_Raw)
    context = AdviceContext(place=caller.place, trusted=caller.trusted, snapshot=state.pump.snapshot, now=now)
    results = await book_advices(request.app.state.sessions, context=context, epoch=caller.session.epoch, records=batch.records)
    return AdviceResults(results=results)
