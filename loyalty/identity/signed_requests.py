"""A till's signed request on an ordinary route: who sent it, or why it is not believed. The hot routes have their own, cached way."""

from datetime import datetime
from typing import Any

from litestar import Request
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.errors import Refusal
from loyalty.identity.queries import DaySession, session_keys
from loyalty.signing import SignatureFault, signature_headers, signing_key_id, verify_request


class TerminalNotRecognised(Refusal):
    """The signature is missing, stale or wrong, or its day session ended or was revoked."""

    status = 401
    zh = "终端签名无效（{fault}）。"
    en = "The terminal's signature is not valid ({fault})."
    next_zh = "请校准终端时钟，重新开启日会话后重试。"
    next_en = "Set the terminal's clock, open a new day session, then retry."


async def signing_session(request: Request[Any, Any, Any], session: AsyncSession, *, now: datetime) -> DaySession:
    """Verify a request's RFC 9421 signature and return the day session that signed it. `now` is real time.

    :raises TerminalNotRecognised: if the signature does not hold, or its session has ended, run out or been revoked
    """
    headers = signature_headers(request.scope["headers"])
    if isinstance(headers, SignatureFault):
        raise TerminalNotRecognised(fault=headers.value)
    session_id = signing_key_id(headers)
    found = None if session_id is None else await session_keys(session, session_id=session_id, now=now)
    mac = found.keys.mac if found is not None and found.signs(now) else None
    verified = verify_request(
        method=request.method,
        path=request.scope["raw_path"],
        query=request.scope["query_string"],
        body=await request.body(),
        headers=headers,
        mac=mac,
        now=now,
    )
    if isinstance(verified, SignatureFault) or found is None:
        raise TerminalNotRecognised(fault=(verified if isinstance(verified, SignatureFault) else SignatureFault.UNKNOWN_KEY).value)
    return found
