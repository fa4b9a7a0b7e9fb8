"""What the holder has to come: vouchers, whose code is shown to them alone and only when asked for, and gifts to be fetched."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import transaction
from loyalty.rewards.model_gifts import EntitlementStatus
from loyalty.rewards.model_vouchers import VoucherStatus
from loyalty.rewards.queries.gifts import EntitlementView, gifts_of_customer
from loyalty.rewards.queries.vouchers import VoucherNotFound, VoucherView, codes_of, vouchers_of_customer
from loyalty.stations.queries import get_station
from loyalty.web.endings import good_through
from loyalty.web.me.holder import HOME, Page, Phone
from loyalty.web.rendering import render


class Place(NamedTuple):
    """Where a voucher is honoured; `why_paused`: why it is not just now, None where it is."""

    name_zh: str
    name_en: str
    address: str
    hours: str
    telephone: str
    why_paused: str | None = None
    until: datetime | None = None


PlaceSource = Callable[[AsyncSession, Sequence[str]], Awaitable[Sequence[Place]]]
"""Gives the places, of what rooms above know, that a kind's outlets name."""

_USABLE: Final = (VoucherStatus.ISSUED, VoucherStatus.RESERVED)
_TO_FETCH: Final = (EntitlementStatus.GRANTED, EntitlementStatus.RESERVED)


class SignedCode(Protocol):
    """Gives the path, below this service's address, that a voucher's QR leads to, with its signed code; None where there is none."""

    async def __call__(self, session: AsyncSession, *, voucher_id: UUID, code: str, now: datetime) -> str | None: ...


async def rewards_of(phone: Phone, session: AsyncSession) -> dict[str, list[dict[str, Any]]]:
    """Return the holder's good vouchers, without their codes, and the gifts that wait, those that end first first."""
    vouchers = await vouchers_of_customer(session, customer_id=phone.customer_id, statuses=_USABLE, limit=30)
    gifts = await gifts_of_customer(session, customer_id=phone.customer_id, statuses=_TO_FETCH, limit=30)
    return {
        "vouchers": [_voucher(phone, one) for one in vouchers],
        "gifts": [await _gift(phone, session, one) for one in gifts],
    }


def _voucher(phone: Phone, one: VoucherView) -> dict[str, Any]:
    worth = phone.f.money(one.left_minor, one.currency) if one.currency and one.left_minor is not None else ""
    return {
        "href": f"{HOME}/vouchers/{one.voucher_id}",
        "name": phone.either(one.name_zh, one.name_en),
        "worth": worth,
        "plate": one.plate,
        "until": good_through(phone.f, one.expires_at) if one.expires_at else "",
        "terms": phone.either(one.terms_zh, one.terms_en),
        "set_aside": one.status is VoucherStatus.RESERVED,
    }


async def _gift(phone: Phone, session: AsyncSession, one: EntitlementView) -> dict[str, Any]:
    where = ""
    if one.place_id is not None and one.status is EntitlementStatus.RESERVED and one.place_id.int:
        station = await get_station(session, station_id=one.place_id)
        where = phone.either(station.name_zh, station.name_en)
    return {
        "name": phone.either(one.name_zh, one.name_en),
        "pieces": one.pieces,
        "until": good_through(phone.f, one.expires_at) if one.expires_at else "",
        "where": where,
    }


@get("/vouchers/{voucher_id:uuid}")
async def voucher(voucher_id: FromPath[UUID], phone: NamedDependency[Phone]) -> Page:
    """Show a voucher's code to its holder, to be read or scanned at the counter.

    :raises SignInNeeded: if nobody is signed in
    :raises VoucherNotFound: if it is not theirs, or cannot be used any more
    """
    async with transaction(phone.request.app.state.sessions) as session:
        mine = await vouchers_of_customer(session, customer_id=phone.customer_id, statuses=_USABLE, limit=500)
        one = next((each for each in mine if each.voucher_id == voucher_id), None)
        if one is None:
            raise VoucherNotFound(voucher=voucher_id)
        (shown,) = await codes_of(session, voucher_ids=[voucher_id])
        signed = await _signed(phone, session, voucher_id, shown.code)
        sources: Sequence[PlaceSource] = getattr(phone.request.app.state, "place_sources", ())
        places = [place for source in sources for place in await source(session, one.outlets)]
    piece = phone.request.headers.get("hx-request") == "true"
    values: dict[str, Any] = {"voucher": _voucher(phone, one), "code": shown.code, "signed": signed}
    values["places"] = [
        {
            "name": phone.either(place.name_zh, place.name_en),
            "about": [part for part in (place.address, place.hours, place.telephone) if part],
            "paused": place.why_paused,
            "until": phone.f.when(place.until) if place.until else "",
        }
        for place in places
    ]
    if piece:
        return render(phone.request, "me/voucher_piece.html", zone=phone.f.zone, now=phone.now, **values)
    return phone.draw("voucher.html", **values)


async def _signed(phone: Phone, session: AsyncSession, voucher_id: UUID, code: str) -> str:
    """Return the address in the QR of a voucher that its partner may check without a network; empty: its own code is what there is.

    The rooms above sign it: the composition root names them.
    """
    sources: Sequence[SignedCode] = getattr(phone.request.app.state, "signed_codes", ())
    for source in sources:
        found = await source(session, voucher_id=voucher_id, code=code, now=phone.now)
        if found is not None:
            return f"{phone.request.app.state.settings.public_url}{found}"
    return ""


handlers = [voucher]
