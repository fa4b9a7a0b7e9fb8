"""One request of somebody who is signed in at a portal of pages: the form that was sent, the words, and how it is answered."""

import base64
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from litestar import Request
from litestar.response import Response
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.web import csrf
from loyalty.web.listing import Listing
from loyalty.web.office.parts import Act, Ask, Field, Part
from loyalty.web.office.reading import Form
from loyalty.web.operations import led_to
from loyalty.web.rendering import Frame, reader_of, redirect, render, wants_fragment
from loyalty.web.voice import Voice

AnyRequest = Request[Any, Any, Any]
Page = Response[str]


class Flash(msgspec.Struct):
    """What the next page says about what was just done, with a way back where there is one."""

    text: str
    undo: str = ""
    fields: dict[str, str] = {}


class PageDesk(Voice, ABC):
    """One request of a signed-in person."""

    base: ClassVar[str]
    """The portal's address: `/office`."""
    said_cookie: ClassVar[str]
    density: ClassVar[str] = "compact"

    def __init__(self, request: AnyRequest, session: AsyncSession, form: Form, now: datetime, token: str, zone: str) -> None:
        super().__init__(session, reader_of(request).language, zone, now)
        self.request = request
        self.form = form
        """The fields of the form that was sent."""
        self.real_now = clock.real_now()
        """The clock of sessions, codes and roles."""
        self.token = token
        """The form token of this browser."""
        self.query = Form({name: [value] for name, value in request.query_params.items()}, self.words, self.zone)
        self._key = form.raw("idempotency_key")

    @property
    @abstractmethod
    def session_id(self) -> UUID:
        """The browser's session: a form counts once within it."""

    @abstractmethod
    async def frame(self) -> Frame:
        """Return what stands around the page."""

    def listing(self, path: str, sort: str, names: Sequence[str]) -> Listing:
        """Return the list as its address says it."""
        filters = {name: self.query.raw(name) for name in names}
        return Listing(path, self.query.raw("sort") or sort, filters)

    @property
    def act(self) -> str:
        """The last word of the address, where several acts share a page."""
        return self.request.url.path.rpartition("/")[2]

    @property
    def cursor(self) -> str | None:
        """The page of a list that the address names."""
        return self.query.raw("cursor") or None

    async def page(
        self,
        title: str,
        *,
        main: Sequence[Part] = (),
        aside: Sequence[Part] = (),
        top: Sequence[Part] = (),
        sub: Any = "",
        crumbs: Sequence[tuple[str, str]] = (),
        acts: Sequence[Act | None] = (),
        tags: Sequence[Any] = (),
        tabs: Sequence[tuple[str, str, bool, int]] = (),
        status_code: int = 200,
        template: str = "office/page.html",
        **values: Any,
    ) -> Page:
        """Draw a page of parts within the office's frame."""
        said = _read_flash(self.request.cookies.get(self.said_cookie))
        if said is not None and said.undo:
            said.fields |= {"idempotency_key": new_key()}
        return render(
            self.request,
            template,
            status_code=status_code,
            zone=self.zone,
            now=self.now,
            cookies=[csrf.cookie(self.said_cookie, "", tls=False, max_age=0)] if said else None,
            csrf=self.token,
            base=self.base,
            density=self.density,
            frame=await self.frame(),
            said=said,
            title=title,
            sub=sub,
            crumbs=crumbs,
            acts=[act for act in acts if act is not None],
            tags=tags,
            tabs=tabs,
            top=top,
            main=main,
            aside=aside,
            **values,
        )

    async def ask(
        self,
        title: str,
        fields: Sequence[Field],
        *,
        submit: str,
        action: str = "",
        back: str,
        crumbs: Sequence[tuple[str, str]] = (),
        danger: bool = False,
        amount: str = "",
        note: str = "",
        upload: bool = False,
        columns: bool = False,
        once: bool = True,
        top: Sequence[Part] = (),
        aside: Sequence[Part] = (),
        sub: Any = "",
    ) -> Page:
        """Draw a page with one form; it posts to the page's own address unless `action` says another. A preview may be sent again."""
        form = Ask(
            action=action or self.request.url.path,
            submit=submit,
            fields=fields,
            once=new_key() if once else "",
            danger=danger,
            amount=amount,
            note=note,
            upload=upload,
            columns=columns,
            cancel=back,
        )
        return await self.page(title, main=[form], top=top, aside=aside, crumbs=crumbs, sub=sub)

    async def shown(self, title: str, parts: Sequence[Part], *, crumbs: Sequence[tuple[str, str]] = (), instead: bool = False) -> Page:
        """Answer a form with something that is shown: above it, or, where the form is not to be sent again, `instead` of it."""
        if not wants_fragment(self.request):
            return await self.page(title, main=parts, crumbs=crumbs)
        if not instead:
            return render(self.request, "office/fragment.html", zone=self.zone, now=self.now, parts=parts, csrf=self.token)
        return render(
            self.request,
            "office/shown.html",
            zone=self.zone,
            now=self.now,
            headers={"HX-Retarget": "#main", "HX-Reswap": "innerHTML show:window:top"},
            title=title,
            parts=parts,
            crumbs=crumbs,
            csrf=self.token,
        )

    def form_part(self, title: str, action: str, fields: Sequence[Field], *, submit: str, **more: Any) -> Ask:
        """Return a form as one part among others."""
        return Ask(title=title, action=action, fields=fields, submit=submit, once=new_key(), **more)

    async def done(self, to: str, text: str = "", *, undo: str = "", fields: Mapping[str, str] | None = None) -> Page:
        """Lead on after something was done, and say so there; `undo` is where the way back posts to."""
        if self._key:
            await led_to(self.session, session_id=self.session_id, key=self._key, to=to)
        cookies = []
        if text:
            packed = base64.urlsafe_b64encode(msgspec.json.encode(Flash(text, undo, dict(fields or {})))).decode()
            cookies = [csrf.cookie(self.said_cookie, packed, tls=False, max_age=60)]
        return redirect(self.request, to, cookies=cookies)


def new_key() -> str:
    """Return a key for one form."""
    return secrets.token_urlsafe(16)


def is_tls(request: AnyRequest) -> bool:
    """Say whether this request came over TLS: then cookies are tied to the host."""
    return request.url.scheme == "https"


def address_of(request: AnyRequest) -> str | None:
    """Return the caller's address as the connection has it: headers can be forged."""
    return request.client.host if request.client else None


def _read_flash(packed: str | None) -> Flash | None:
    if not packed:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(packed), type=Flash)
    except ValueError:
        return None
