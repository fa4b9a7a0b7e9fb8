"""Once for every key: the answer's bytes are stored beside what was done, and a repetition gets the same bytes."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.authorizations.callers import Caller
from loyalty.authorizations.dedupe import Outcome, once
from loyalty.authorizations.model import Operation
from loyalty.authorizations.wire import Record
from loyalty.crypto import request_fingerprint
from loyalty.ids import NOBODY

from .calling import key_of

_PIN: Final = re.compile(rb'"pin"\s*:\s*"[^"]*"')


def did(answer: msgspec.Struct, *, subject_id: UUID, account_id: UUID = NOBODY) -> Outcome:
    """Say what an operation came to: its answer, and whose account and which row it is about."""
    return Outcome.of(account_id, subject_id, answer)


async def perform_once(
    request: Request[Any, Any, Any],
    caller: Caller,
    operation: Operation,
    record: Record | None,
    perform: Callable[[AsyncSession], Awaitable[Outcome]],
) -> Response[Any]:
    """Perform an operation under the caller's key, in one transaction of its own; a replay returns the stored bytes.

    :raises KeyReused: if the key was used for something else
    :raises SequenceReused: if the place in the chain was; the till is quarantined
    """
    body = await request.body()

    answer = await once(
        request.app.state.sessions,
        terminal_id=caller.place.terminal_id,
        key=key_of(caller),
        epoch=caller.session.epoch,
        sequence=None if record is None else record.sequence,
        record_hash=None if record is None else hashlib.sha256(body).digest(),
        previous_hash=None if record is None else record.previous,
        operation=operation,
        fingerprint=fingerprint(operation, request.scope["path"], body),
        perform=perform,
        now=clock.business_now(),
    )
    return stored(answer)


def stored(answer: bytes) -> Response[Any]:
    """Send stored bytes as they are."""
    return Response(answer, status_code=200, media_type="application/json", headers={"Cache-Control": "no-store"})


def fingerprint(operation: Operation, path: str, body: bytes) -> bytes:
    """Return the keyed fingerprint of a request, its sealed PINs left out: a retry may seal them again."""
    return request_fingerprint(b"%d\n%b\n%b" % (operation, path.encode(), _PIN.sub(b"", body)))[:16]
