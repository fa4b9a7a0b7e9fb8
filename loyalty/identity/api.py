"""HTTP: enrolment of tills, their day sessions, their heartbeat."""

from datetime import datetime
from typing import Annotated, Any, Final, Protocol, cast
from uuid import UUID

from litestar import Request, Response, Router, delete, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock, revisions
from loyalty.crypto import SessionAnswer, SessionOpening, pin_transport_key
from loyalty.ids import TerminalId
from loyalty.problems import answer

from . import operations
from .operations import EnrolmentRefused
from .signed_requests import signing_session

_KEY: Final = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
_PROOF: Final = "5VZDAMNgrHKQhuLMgG6CioSHfx64530hKFY1Z4EJb5BOcZ5PSpGTvPDBZNYNrFGtb9bHRo8b/RzqPaQvcGg4DA=="


class Problem(Struct):
    """RFC 9457, in both languages."""

    type: str
    title: str
    title_zh: str
    status: int
    code: str
    facts: dict[str, Any]


class EnrolmentRequest(Struct, forbid_unknown_fields=True):
    """A till's new key and the code that lets it in."""

    code: Annotated[str, Meta(max_length=64, description="Seven groups of four, 15 minutes, once / 登记码，15 分钟内有效，仅一次")]
    public_key: Annotated[bytes, Meta(min_length=32, max_length=32, description="Ed25519, 32 bytes, base64")]
    proof: Annotated[
        bytes,
        Meta(min_length=64, max_length=64, description="Ed25519 by the new key over the code in its one spelling, 64 bytes, base64"),
    ]


class TransportKey(Struct):
    """Where PINs are sealed to (HPKE) when there is no day session."""

    key_id: int
    public_key: bytes


class EnrolmentAnswer(Struct):
    """Who the till is from now on, and whom it believes."""

    terminal_id: UUID
    station_id: UUID
    epoch: int
    issuer_keys: Annotated[dict[str, bytes], Meta(description="The issuer's Ed25519 keys by key id")]
    pin_transport: TransportKey
    server_time: datetime


class Heartbeat(Struct, forbid_unknown_fields=True):
    """That a till lives, and what runs on it."""

    software: Annotated[str, Meta(max_length=80, pattern=r"^[^\x00-\x1f]*$")] | None = None


class HeartbeatAnswer(Struct):
    """What a till compares its copies with; a revision that differs says that they are old."""

    server_time: datetime
    revisions: dict[str, int]
    session_expires_at: datetime


class RecordHeartbeat(Protocol):
    """The stations room's `record_heartbeat`: that room stands above this one, so the composition root hands it in."""

    async def __call__(self, session: AsyncSession, *, terminal_id: TerminalId, software: str | None, now: datetime) -> object:
        """Note that a till was heard."""


def _refused(description: str) -> ResponseSpec:
    return ResponseSpec(Problem, description=description, generate_examples=False)


def _body(summary: str, value: dict[str, Any]) -> BodyKwarg:
    return BodyKwarg(media_type=RequestEncodingType.JSON, examples=[Example(summary=summary, value=value)])


@post(
    "/enrolment",
    summary="Enrol a terminal's key / 终端登记",
    responses={403: _refused("The code is not good, for whatever reason / 登记码无效")},
    opt={"public": True},
)
async def enrol_terminal(
    data: Annotated[
        EnrolmentRequest,
        _body("A new till / 新终端", {"code": "7K3F-9QXM-2B4T-HN6C-W8RD-5VJP-1ZEA", "public_key": _KEY, "proof": _PROOF}),
    ],
    request: Request[Any, Any, Any],
    session: NamedDependency[AsyncSession],
) -> Response[EnrolmentAnswer]:
    """Take the Ed25519 key that a device made.

    The till keeps its id and gets the next epoch; the key before is revoked. Keep `issuer_keys`: they prove the server's answers. The code
    is issued in the office or by the station manager. Ten wrong codes from one address make it wait.
    """
    now = clock.real_now()
    address = None if request.client is None else request.client.host
    enrolled = await operations.enrol_terminal(
        session, code=data.code, public_key=data.public_key, proof=data.proof, address=address, now=now
    )
    if enrolled is None:
        # Answered, not raised: the counted try must be committed.
        return cast("Response[EnrolmentAnswer]", answer(EnrolmentRefused()))
    key_id, public_key = pin_transport_key()
    return Response(
        EnrolmentAnswer(
            terminal_id=enrolled.terminal_id,
            station_id=enrolled.station_id,
            epoch=enrolled.epoch,
            issuer_keys={str(number): key for number, key in enrolled.issuer_keys.items()},
            pin_transport=TransportKey(key_id, public_key),
            server_time=now,
        )
    )


@post(
    "/sessions",
    summary="Open a day session / 开启日会话",
    responses={401: _refused("Signature, clock or enrolment does not fit / 签名、时钟或登记不符")},
    opt={"public": True},
)
async def open_day_session(
    data: Annotated[
        SessionOpening,
        _body(
            "The till's half / 终端一侧",
            {
                "terminal_id": "01a0d131-d8a0-7f16-9bfc-dfbd733a471b",
                "epoch": 1,
                "opened_at": 1790216100,
                "public_key": _KEY,
                "signature": _PROOF,
            },
        ),
    ],
    session: NamedDependency[AsyncSession],
) -> SessionAnswer:
    """Exchange X25519 keys, signed by the till's enrolled key and by the issuer.

    Both sides derive the keys for request signatures (RFC 9421, HMAC), PINs and sealed answers. At most 24 hours; each opening counts once.
    """
    return await operations.open_day_session(session, opening=data, now=clock.real_now())


@delete(
    "/sessions/current",
    summary="Close the day session that signs this request / 关闭当前日会话",
    responses={401: _refused("Not signed by a live session / 未由有效会话签名")},
    opt={"signed": True},
)
async def close_day_session(request: Request[Any, Any, Any], session: NamedDependency[AsyncSession]) -> None:
    """Nothing signed under it counts afterwards. Close it after the shift's records were reported."""
    now = clock.real_now()
    signed = await signing_session(request, session, now=now)
    await operations.close_day_session(session, session_id=UUID(signed.session_id), now=now)


def terminal_router(record_heartbeat: RecordHeartbeat) -> Router:
    """Return the routes under `/v1/terminals`; mount once."""

    @post(
        "/heartbeat",
        summary="Say that the terminal lives / 终端心跳",
        responses={401: _refused("Not signed by a live session / 未由有效会话签名")},
        status_code=200,
        opt={"signed": True},
    )
    async def heartbeat(
        data: Annotated[Heartbeat, _body("Every minute / 每分钟一次", {"software": "pos 1.4.2"})],
        request: Request[Any, Any, Any],
        session: NamedDependency[AsyncSession],
        now: NamedDependency[datetime],
    ) -> HeartbeatAnswer:
        """Once a minute, signed. The answer's revisions tell which copies (prices, rules, reference data) are old."""
        real = clock.real_now()
        signed = await signing_session(request, session, now=real)
        await record_heartbeat(session, terminal_id=TerminalId(signed.terminal_id), software=data.software, now=now)
        counters = await revisions.current(session)
        return HeartbeatAnswer(
            server_time=real,
            revisions={kind.value: counter for kind, counter in counters.items()},
            session_expires_at=signed.expires_at,
        )

    return Router("/v1/terminals", route_handlers=[enrol_terminal, open_day_session, close_day_session, heartbeat], tags=["terminals"])
