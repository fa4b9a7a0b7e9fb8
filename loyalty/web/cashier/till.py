"""One request at the counter: which till this browser is, who stands at it, its form; and how a form has its effect once."""

import base64
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

import msgspec
from litestar import Request
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.response import Response
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit.model import Actor
from loyalty.authorizations.dedupe import Outcome, once
from loyalty.authorizations.facts import Place
from loyalty.authorizations.hot import HotRequest
from loyalty.authorizations.hot_api import read_code, shown_driver_card
from loyalty.authorizations.model import Operation
from loyalty.authorizations.rules import Presented
from loyalty.authorizations.wire import AuthorizationRequest, CompletionRequest, DriverCard, SaleRequest
from loyalty.authorizations.worker import Pump
from loyalty.crypto import TokenError, canonical_json, request_fingerprint
from loyalty.db import Sessions, transaction
from loyalty.identity import operations as identity
from loyalty.identity.model import Portal
from loyalty.identity.rules import Permission, Principal, may, require
from loyalty.policy import Policy, load_policy
from loyalty.stations.model import ShiftStatus
from loyalty.stations.queries import ShiftView, TerminalView, get_terminal, running_shift
from loyalty.web import csrf
from loyalty.web.cashier.receipts import Scribe
from loyalty.web.formats import Formats
from loyalty.web.i18n import Language
from loyalty.web.office.reading import Form, read_form
from loyalty.web.operations import FormKeyMalformed
from loyalty.web.rendering import path_with_query, reader_of, redirect

AnyRequest = Request[Any, Any, Any]
Page = Response[str]
T = TypeVar("T", bound=msgspec.Struct)

SESSION_COOKIE: Final = "counter"
DEVICE_COOKIE: Final = "counter-device"
FORM_COOKIE: Final = "counter-form"
SAID_COOKIE: Final = "counter-said"
CODE_COOKIE: Final = "counter-code"
DEVICE_LIFE: Final = 400 * 24 * 3600
"""Seconds: the longest that browsers keep a cookie. Each sign-in renews it."""
HOME: Final = "/cashier"
_NEVER_KEPT: Final = ("pin", "approver_", csrf.FIELD, "idempotency_key")
"""Fields that stay out of a form's fingerprint: secrets, which must be in no hash, and what differs between two sendings."""


class DeviceNeeded(Exception):  # noqa: N818 - not a fault: the reader is led to the enrolment
    """This browser is no till."""


class SignInNeeded(Exception):  # noqa: N818 - as above
    """Nobody is signed in at this till."""


class ShiftNeeded(Exception):  # noqa: N818 - as above
    """No shift takes money on this till."""


class Said(msgspec.Struct):
    """What the next page says about what was just done."""

    text: str
    tone: str = "good"


class Fields(Form):
    """A form as the counter reads it."""

    def texts(self) -> dict[str, list[str]]:
        """Return every text field's values, as they came."""
        return {name: [value for value in values if isinstance(value, str)] for name, values in self._fields.items()}


class Till:
    """One request of somebody who is signed in at a till."""

    def __init__(
        self,
        request: AnyRequest,
        principal: Principal,
        form: Fields,
        *,
        place: Place,
        view: TerminalView,
        shift: ShiftView | None,
        now: datetime,
    ) -> None:
        self.request = request
        self.principal = principal
        self.form = form
        self.place = place
        self.view = view
        self.shift = shift
        self.now = now
        """The business instant: what is booked."""
        self.real_now = clock.real_now()
        """The clock of sessions and approvals."""
        self.words: Language = reader_of(request).language
        self.f = Formats(self.words, view.zone, now)
        self.token = form_token(request) or ""
        self.query = Fields({name: [value] for name, value in request.query_params.items()}, self.words, view.zone)

    @property
    def actor(self) -> Actor:
        """Who the trail names."""
        return self.principal.actor

    @property
    def pump(self) -> Pump:
        """This process's share of the pump."""
        found: Pump = self.request.app.state.pump
        return found

    @property
    def sessions(self) -> Sessions:
        """Where transactions of their own come from."""
        found: Sessions = self.request.app.state.sessions
        return found

    @property
    def policy(self) -> Policy:
        """The policy profile in force."""
        return load_policy(self.request.app.state.settings.policy)

    @property
    def scribe(self) -> Scribe:
        """Who writes receipts at this till."""
        return Scribe(
            words=self.words,
            f=self.f,
            station_id=self.place.station_id,
            public_url=self.request.app.state.settings.public_url,
            real_now=self.real_now,
            till=self.view.code,
            cashier=self.principal.employee_number,
        )

    @property
    def currency(self) -> str:
        """The station's currency."""
        return self.place.currency

    @property
    def key(self) -> UUID:
        """The form's key, made by the server when the form was drawn.

        :raises FormKeyMalformed: if it is none
        """
        try:
            return UUID(self.form.raw("idempotency_key"))
        except ValueError:
            raise FormKeyMalformed from None

    def gettext(self, message: str, **fields: object) -> str:
        """Say a sentence to this reader."""
        return self.words.gettext(message, **fields)

    def either(self, zh: str | None, en: str | None) -> str:
        """Choose the reader's one of two texts."""
        return self.words.either(zh or en or "", en or zh or "")

    def money(self, amount_minor: int | None, *, sign: bool = False) -> str:
        """Write an amount of the station's currency."""
        return self.f.money(amount_minor, self.currency, sign=sign)

    def may(self, permission: Permission) -> bool:
        """Say whether to offer it."""
        return may(self.principal, permission, station_id=self.place.station_id)

    def require(self, permission: Permission) -> None:
        """Let the person do it here.

        :raises NotAllowed: if they may not
        """
        require(self.principal, permission, station_id=self.place.station_id)

    def require_shift(self) -> ShiftView:
        """Return the shift that takes money.

        :raises ShiftNeeded: if there is none, or its cash was counted
        """
        if self.shift is None or self.shift.status is not ShiftStatus.OPEN:
            raise ShiftNeeded
        return self.shift

    async def once(
        self, operation: Operation, answer: type[T], perform: Callable[[AsyncSession], Awaitable[Outcome]], *, key: UUID | None = None
    ) -> T:
        """Do what a form asks for in a transaction of its own, once for its key; a repetition gets the first one's answer.

        :raises Refusal: whatever `perform` raises; KeyReused
        """
        said = await once(
            self.sessions,
            terminal_id=self.place.terminal_id,
            key=key or self.key,
            operation=operation,
            fingerprint=self.fingerprint(operation),
            perform=perform,
            now=self.now,
        )
        return msgspec.json.decode(said, type=answer)

    async def hot(
        self,
        operation: Operation,
        body: AuthorizationRequest | SaleRequest | CompletionRequest,
        answer: type[T],
        *,
        number_index: bytes = b"",
        presented: Presented | None = None,
        authorization: tuple[UUID, UUID] | None = None,
    ) -> T:
        """Ask the pump in this process; the answer comes after its commit.

        :raises Refusal: KeyReused, AuthorizationNotFound, OutcomeUnknown
        """
        more: dict[str, Any] = {} if authorization is None else {"account_id": authorization[0], "authorization_id": authorization[1]}
        request = HotRequest(
            operation,
            body,
            place=self.place,
            key=self.key,
            fingerprint=self.fingerprint(operation),
            number_index=number_index,
            presented=presented,
            **more,
        )
        return msgspec.json.decode(await self.pump.submit(request), type=answer)

    def fingerprint(self, operation: Operation) -> bytes:
        """Return the keyed fingerprint of the form, secrets left out."""
        kept = {name: value for name, value in self.form.texts().items() if not name.startswith(_NEVER_KEPT)}
        return request_fingerprint(b"%d\n%b\n%b" % (operation, self.request.url.path.encode(), canonical_json(kept)))[:16]

    def done(self, to: str, text: str = "", *, tone: str = "good") -> Page:
        """Lead on after something was done, and say so there."""
        return redirect(self.request, to, cookies=[said_cookie(text, tone)] if text else None)


def new_key() -> str:
    """Return a key for one form."""
    return str(uuid4())


def is_tls(request: AnyRequest) -> bool:
    """Say whether this request came over TLS: then cookies are tied to the host."""
    return request.url.scheme == "https"


def address_of(request: AnyRequest) -> str | None:
    """Return the caller's address as the connection has it: headers can be forged."""
    return request.client.host if request.client else None


def form_token(request: AnyRequest) -> str | None:
    """Return this browser's form token from its cookie; it outlives a locked screen, so that no waiting form is lost."""
    return _cookie(request, FORM_COOKIE)


def device_token(request: AnyRequest) -> str | None:
    """Return the till's own token from its cookie."""
    return _cookie(request, DEVICE_COOKIE)


def session_token(request: AnyRequest) -> str | None:
    """Return the session's token from its cookie."""
    return _cookie(request, SESSION_COOKIE)


def form_cookie(request: AnyRequest, token: str) -> Cookie:
    """Return the cookie of a form token."""
    return csrf.cookie(FORM_COOKIE, token, tls=is_tls(request), samesite="strict")


def device_cookie(request: AnyRequest, token: str) -> Cookie:
    """Return the cookie by which this browser is a till."""
    return csrf.cookie(DEVICE_COOKIE, token, tls=is_tls(request), max_age=DEVICE_LIFE)


def session_cookie(request: AnyRequest, token: str | None) -> Cookie:
    """Return the session's cookie; None takes it away."""
    return csrf.cookie(SESSION_COOKIE, token or "", tls=is_tls(request), max_age=None if token else 0)


def code_cookie(request: AnyRequest, token: str) -> Cookie:
    """Return the cookie that keeps a holder's scanned code until the sale; the code itself ends sooner."""
    return csrf.cookie(CODE_COOKIE, token, tls=is_tls(request), max_age=120 if token else 0, samesite="strict")


def code_for(request: AnyRequest, index: bytes) -> str:
    """Return the holder's code that was scanned for the card of this index and is still good, else nothing."""
    token = _cookie(request, CODE_COOKIE) or ""
    if not token:
        return ""
    try:
        return token if read_code(token).index == index else ""
    except TokenError:
        return ""


def presented_by(pin: str, token: str, driver_pin: str = "", driver_card: DriverCard | None = None) -> Presented:
    """Return how the card was shown at the counter, by PIN, by the holder's code, or by nothing; and the driver's own PIN and card."""
    beside = None if driver_card is None else shown_driver_card(driver_card)
    shown = Presented(pin=pin or None, driver_pin=driver_pin or None, driver_card=beside)
    if token:
        try:
            shown.token_version, shown.token_ok = read_code(token).version, True
        except TokenError:
            shown.token_wrong = True
    return shown


def said_cookie(text: str, tone: str = "good") -> Cookie:
    """Return the cookie that tells the next page what was just done; empty takes it away."""
    packed = base64.urlsafe_b64encode(msgspec.json.encode(Said(text, tone))).decode() if text else ""
    return csrf.cookie(SAID_COOKIE, packed, tls=False, max_age=60 if text else 0)


def said_of(request: AnyRequest) -> Said | None:
    """Return what was just done, None if nothing."""
    packed = request.cookies.get(SAID_COOKIE)
    if not packed:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(packed), type=Said)
    except ValueError:
        return None


def check_form(request: AnyRequest, form: Form) -> None:
    """Let only forms of our own pages through.

    :raises FormNotOurs: otherwise
    """
    sent = form.raw(csrf.FIELD) or request.headers.get(csrf.HEADER, "")
    csrf.check(sent=sent, expected=form_token(request), headers=request.headers, host=request.headers.get("host", ""))


async def form_of(request: AnyRequest, zone: str) -> "Fields":
    """Read a form of ours.

    :raises FormNotOurs: if it is not
    """
    form = Fields(await read_form(request), reader_of(request).language, zone)
    check_form(request, form)
    return form


async def resume(request: AnyRequest, *, quiet: bool = False) -> Principal:
    """Return who is signed in at this till; `quiet` requests are made by the page itself and keep no screen awake.

    :raises DeviceNeeded: if this browser is no till
    :raises SignInNeeded: if nobody is signed in
    :raises ScreenLocked: if the screen is locked, or was left alone
    """
    device, token = device_token(request), session_token(request)
    if device is None:
        raise DeviceNeeded
    async with transaction(request.app.state.sessions) as session:
        try:
            await identity.get_device(session, device_token=device)
        except identity.DeviceNotEnrolled:
            raise DeviceNeeded from None
        if token is None:
            raise SignInNeeded
        try:
            return await identity.resume(
                session,
                token=token,
                portal=Portal.CASHIER,
                device_token=device,
                address=address_of(request),
                user_agent=request.headers.get("user-agent"),
                quiet=quiet,
                now=clock.real_now(),
            )
        except identity.NotSignedIn:
            raise SignInNeeded from None


async def provide_till(request: AnyRequest, now: NamedDependency[datetime]) -> Till:
    """Resume the session, find the till and its shift; a changing request must be a form of ours.

    :raises DeviceNeeded, SignInNeeded: if this browser is no till, or nobody is signed in
    :raises ScreenLocked: if the screen is locked
    :raises FormNotOurs: if the form is not ours
    """
    return await _till_of(request, now, await resume(request))


async def provide_quiet_till(request: AnyRequest, now: NamedDependency[datetime]) -> Till:
    """As `provide_till`, for what a page asks by itself: that keeps no screen awake."""
    return await _till_of(request, now, await resume(request, quiet=True))


async def _till_of(request: AnyRequest, now: datetime, principal: Principal) -> Till:
    assert principal.terminal_id is not None, "a session at the counter has its till"
    place = await request.app.state.pump.place_of(principal.terminal_id)
    if place is None:
        raise DeviceNeeded
    async with transaction(request.app.state.sessions) as session:
        view = await get_terminal(session, terminal_id=principal.terminal_id)
        shift = await running_shift(session, terminal_id=principal.terminal_id)
    form = await form_of(request, view.zone) if request.method == "POST" else Fields({}, reader_of(request).language, view.zone)
    return Till(request, principal, form, place=place, view=view, shift=shift, now=now)


def back_to(request: AnyRequest) -> str:
    """Return the present address as a parameter to come back by; a form leads to the page it stood on."""
    if request.method == "GET":
        return quote(path_with_query(request), safe="/")
    referer = request.headers.get("referer", "")
    host = request.headers.get("host", "")
    _scheme, _, rest = referer.partition("://")
    return quote(rest.removeprefix(host), safe="/") if host and rest.startswith(f"{host}/") else HOME


def _cookie(request: AnyRequest, name: str) -> str | None:
    return request.cookies.get(csrf.cookie_name(name, tls=is_tls(request)))
