"""What stands around a page of the counter: the keys and where they lead, who stands here, which shift runs."""

from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import transaction
from loyalty.web.cashier import queries
from loyalty.web.cashier.till import HOME, AnyRequest, Page, Till, form_cookie, form_token, said_cookie, said_of
from loyalty.web.csrf import new_token
from loyalty.web.rendering import Frame, Link, render


def reading(till: Till) -> AbstractAsyncContextManager[AsyncSession]:
    """Open a transaction for what a page shows."""
    return transaction(till.sessions)


async def frame_for(till: Till, session: AsyncSession, *, here: str, card_id: UUID | None) -> Frame:
    """Return the counter's frame; with a card on the table the keys lead to what is done with it."""
    _ = till.gettext
    waiting = await queries.count_unresolved(session, station_id=till.place.station_id)
    of_card = f"{HOME}/cards/{card_id}" if card_id is not None else ""
    links = (
        Link(HOME, _("Counter"), key="F1", current=here == "counter"),
        Link(f"{of_card}/top-up" if of_card else f"{HOME}/top-up", _("Top up"), key="F2", current=here == "top-up"),
        Link(f"{HOME}/issue", _("Issue a card"), key="F3", current=here == "issue"),
        Link(f"{of_card}/care" if of_card else f"{HOME}/care", _("Lost, PIN, replace"), key="F4", current=here == "care"),
        Link(f"{HOME}/returns", _("Refund"), key="F6", current=here == "returns"),
        Link(f"{HOME}/unresolved", _("Unresolved fills"), key="F8", count=waiting, tone="warn", current=here == "unresolved"),
        Link(f"{HOME}/shift", _("Shift"), key="F9", current=here == "shift"),
        Link(f"{of_card}/points" if of_card else f"{HOME}/points", _("Points"), key="F11", current=here == "points"),
        Link(f"{of_card}/gifts" if of_card else f"{HOME}/gifts", _("Vouchers, gifts"), key="F12", current=here == "gifts"),
    )
    shift = _("Shift since %(time)s", time=till.f.clock(till.shift.opened_at)) if till.shift is not None else _("No shift is running")
    return Frame(
        portal=till.either(till.view.station_name_zh, till.view.station_name_en),
        home=HOME,
        links=links,
        who=till.principal.name,
        about=(_("Till %(code)s", code=till.view.code), shift),
        sign_out=f"{HOME}/lock",
        sign_out_label=_("Lock or switch user"),
    )


async def draw(
    till: Till,
    session: AsyncSession,
    template: str,
    *,
    here: str,
    card_id: UUID | None = None,
    status_code: int = 200,
    fragment: str | None = None,
    **values: Any,
) -> Page:
    """Draw a page of the counter within its frame."""
    said = said_of(till.request)
    return render(
        till.request,
        f"cashier/{template}",
        status_code=status_code,
        fragment=fragment,
        zone=till.view.zone,
        now=till.now,
        cookies=[said_cookie("")] if said else None,
        csrf=till.token,
        frame=await frame_for(till, session, here=here, card_id=card_id),
        said=said,
        currency=till.currency,
        **values,
    )


def sheet(request: AnyRequest, template: str, *, status_code: int = 200, cookies: list[Any] | None = None, **values: Any) -> Page:
    """Draw a page from before somebody is signed in, with a form token of this browser."""
    token = form_token(request)
    fresh = [] if token else [form_cookie(request, token := new_token())]
    return render(request, f"cashier/{template}", status_code=status_code, cookies=[*fresh, *(cookies or [])], csrf=token, **values)
