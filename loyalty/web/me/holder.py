"""One request of a card's holder: session, form, language; and how they prove who they are, by card number and PIN."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from litestar import Request
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.response import Response

from loyalty import clock
from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.reasons import Reason, say
from loyalty.cards.model import Card
from loyalty.cards.numbers import number_index
from loyalty.cards.operations import check_pin
from loyalty.cards.queries import CardNotFound, find_by_index
from loyalty.cards.rules import PinCheck
from loyalty.db import transaction
from loyalty.identity import operations as identity
from loyalty.identity.model import Portal
from loyalty.identity.operations import Holder
from loyalty.web import csrf
from loyalty.web.formats import Formats
from loyalty.web.i18n import Language
from loyalty.web.office.reading import Form, read_form
from loyalty.web.rendering import reader_of, render

AnyRequest = Request[Any, Any, Any]
Page = Response[str]

SESSION_COOKIE: Final = "holder"
FORM_COOKIE: Final = "holder-form"
HOME: Final = "/me"


class SignInNeeded(Exception):  # noqa: N818 - not a fault: the reader is led to the sign-in
    """Nobody is signed in on this phone."""


@dataclass(slots=True)
class Phone:
    """One request from a phone; `holder` is None before sign-in."""

    request: AnyRequest
    holder: Holder | None
    form: Form
    now: datetime
    words: Language
    f: Formats
    token: str

    @property
    def customer_id(self) -> UUID:
        """Whose page it is.

        :raises SignInNeeded: if nobody is signed in
        """
        if self.holder is None:
            raise SignInNeeded
        return self.holder.customer_id

    def gettext(self, message: str, **fields: object) -> str:
        """Say a sentence to this reader."""
        return self.words.gettext(message, **fields)

    def either(self, zh: str | None, en: str | None) -> str:
        """Choose the reader's one of two texts."""
        return self.words.either(zh or en or "", en or zh or "")

    def draw(self, template: str, *, status_code: int = 200, cookies: list[Cookie] | None = None, **values: Any) -> Page:
        """Draw a page, with a form token of this phone."""
        fresh = []
        if not self.token:
            self.token = csrf.new_token()
            fresh = [csrf.cookie(FORM_COOKIE, self.token, tls=is_tls(self.request), samesite="strict")]
        return render(
            self.request,
            f"me/{template}",
            status_code=status_code,
            zone=self.f.zone,
            now=self.now,
            csrf=self.token,
            cookies=[*fresh, *(cookies or [])],
            signed_in=self.holder is not None,
            **values,
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of card number and PIN: the card, or why not, in words."""

    card: Card | None = None
    said: str = ""


def is_tls(request: AnyRequest) -> bool:
    """Say whether this request came over TLS: then cookies are tied to the host."""
    return request.url.scheme == "https"


def session_cookie(request: AnyRequest, token: str | None) -> Cookie:
    """Return the session's cookie; None takes it away."""
    return csrf.cookie(SESSION_COOKIE, token or "", tls=is_tls(request), max_age=None if token else 0)


def session_token(request: AnyRequest) -> str | None:
    """Return the session's token from its cookie."""
    return request.cookies.get(csrf.cookie_name(SESSION_COOKIE, tls=is_tls(request)))


def address_of(request: AnyRequest) -> str | None:
    """Return the caller's address as the connection has it: headers can be forged."""
    return request.client.host if request.client else None


async def provide_phone(request: AnyRequest, now: NamedDependency[datetime]) -> Phone:
    """Resume the session where there is one; a changing request must be a form of ours.

    :raises FormNotOurs: if the form is not ours
    """
    holder = None
    token = session_token(request)
    if token is not None:
        async with transaction(request.app.state.sessions) as session:
            try:
                holder = await identity.resume_holder(
                    session,
                    token=token,
                    portal=Portal.ME,
                    address=address_of(request),
                    user_agent=request.headers.get("user-agent"),
                    now=clock.real_now(),
                )
            except identity.NotSignedIn:
                holder = None
    words = reader_of(request).language
    zone: str = request.app.state.settings.zone
    form_token = request.cookies.get(csrf.cookie_name(FORM_COOKIE, tls=is_tls(request)))
    fields = await read_form(request) if request.method == "POST" else {}
    form = Form(fields, words, zone)
    if request.method == "POST":
        sent = form.raw(csrf.FIELD) or request.headers.get(csrf.HEADER, "")
        csrf.check(sent=sent, expected=form_token, headers=request.headers, host=request.headers.get("host", ""))
    return Phone(request, holder, form, now, words, Formats(words, zone, now), form_token or "")


async def prove(phone: Phone, *, index: bytes, pin: str) -> Proof:
    """Try a PIN in a transaction of its own, so that the try is counted before anybody learns the result.

    An unknown number is answered like a wrong PIN: nobody learns which numbers there are.
    """
    async with transaction(phone.request.app.state.sessions) as session:
        try:
            card = await find_by_index(session, index=index)
        except CardNotFound:
            return Proof(said=_said(phone, Reason.PIN_WRONG, "—"))
        actor = Actor(ActorKind.SYSTEM, "holder's page", address_of(phone.request), phone.request.headers.get("user-agent"))
        tried = await check_pin(session, card_id=card.card_id, pin=pin, actor=actor, now=phone.now)
    if tried.check is PinCheck.RIGHT:
        return Proof(card)
    reason = {PinCheck.LOCKED: Reason.PIN_LOCKED, PinCheck.NOT_SET: Reason.PIN_NOT_SET}.get(tried.check, Reason.PIN_WRONG)
    return Proof(said=_said(phone, reason, str(tried.tries_left)))


async def prove_number(phone: Phone) -> Proof:
    """Try the number and PIN of the form."""
    typed = phone.form.raw("number")
    return await prove(phone, index=number_index(typed), pin=phone.form.secret("pin").strip())


def _said(phone: Phone, reason: Reason, remaining: str) -> str:
    if reason is Reason.PIN_WRONG:
        return phone.gettext("Card number or PIN is not right. Three wrong PINs lock it.")
    return phone.either(*say(reason, remaining=remaining))
