"""What a customer has to come: vouchers that are good, gifts to be fetched; and on a page of its own all there ever were."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.customers.queries import get_customer
from loyalty.identity.rules import Permission
from loyalty.rewards.model_gifts import EntitlementStatus
from loyalty.rewards.model_vouchers import VoucherStatus
from loyalty.rewards.queries.gifts import EntitlementView, gifts_of_customer
from loyalty.rewards.queries.vouchers import VoucherView, vouchers_of_customer
from loyalty.web.endings import good_through
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.parts import Act, Cell, Part, Rows
from loyalty.web.office.reward_words import ENTITLEMENT_STATUS, VOUCHER_STATUS

_USABLE: Final = (VoucherStatus.ISSUED, VoucherStatus.RESERVED)
_TO_FETCH: Final = (EntitlementStatus.GRANTED, EntitlementStatus.RESERVED)
_SHOWN: Final = 10


async def rewards_parts(desk: Desk, customer_id: UUID) -> list[Part]:
    """Return what the customer can use or fetch now; nothing where there is nothing."""
    _ = desk.gettext
    vouchers = await vouchers_of_customer(desk.session, customer_id=customer_id, statuses=_USABLE, limit=_SHOWN)
    gifts = await gifts_of_customer(desk.session, customer_id=customer_id, statuses=_TO_FETCH, limit=_SHOWN)
    every = Act(_("All, used ones too"), f"/office/customers/{customer_id}/rewards")
    parts: list[Part] = [_vouchers(desk, vouchers, _("No voucher that is good"), every)]
    if gifts:
        parts.append(await _gifts(desk, gifts, ""))
    return parts


@get("/customers/{customer_id:uuid}/rewards")
async def rewards(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Show every voucher and gift that a customer was ever given, those that end first first."""
    desk.require(Permission.READ_CUSTOMERS)
    _ = desk.gettext
    one = await get_customer(desk.session, customer_id=customer_id)
    vouchers = await vouchers_of_customer(desk.session, customer_id=customer_id)
    gifts = await gifts_of_customer(desk.session, customer_id=customer_id)
    title = _("Vouchers and gifts")
    return await desk.page(
        title,
        sub=one.name,
        crumbs=[(_("Customers"), "/office/customers"), (one.name, f"/office/customers/{customer_id}"), (title, "")],
        main=[_vouchers(desk, vouchers, _("No voucher yet")), await _gifts(desk, gifts, _("No gift yet"))],
    )


def _vouchers(desk: Desk, found: Sequence[VoucherView], empty: str, *acts: Act) -> Rows:
    _ = desk.gettext
    return Rows(
        title=_("Vouchers"),
        columns=[
            Column(_("Voucher")),
            Column(_("Left on it"), "num"),
            Column(_("Plate")),
            Column(_("Issued on")),
            Column(_("Good until")),
            Column(_("State")),
        ],
        rows=[
            [
                cells.link(desk, f"/office/vouchers/{one.voucher_id}", f"{desk.either(one.name_zh, one.name_en)} •••• {one.code_tail}"),
                cells.money(desk, one.left_minor, one.currency or "CNY"),
                cells.plate(desk, one.plate),
                cells.when(desk, one.issued_at),
                Cell(good_through(desk.f, one.expires_at) if one.expires_at else _("no end"), one.expires_at),
                cells.tag(desk, one.status, VOUCHER_STATUS),
            ]
            for one in found
        ],
        empty=empty,
        empty_then=_("Rules, referrals and the monthly wash give them."),
        acts=acts,
    )


async def _gifts(desk: Desk, found: Sequence[EntitlementView], empty: str) -> Rows:
    _ = desk.gettext
    places = await lookups.places(desk)
    return Rows(
        title=_("Gifts"),
        columns=[
            Column(_("Gift")),
            Column(_("Pieces"), "num"),
            Column(_("Given")),
            Column(_("To be fetched until")),
            Column(_("Station")),
            Column(_("State")),
        ],
        rows=[
            [
                cells.link(desk, f"/office/gifts/{one.code}", desk.either(one.name_zh, one.name_en)),
                cells.count(desk, one.pieces),
                cells.when(desk, one.granted_at),
                Cell(good_through(desk.f, one.expires_at) if one.expires_at else _("no end"), one.expires_at),
                cells.text(cells.named(places.names, one.place_id)),
                cells.tag(desk, one.status, ENTITLEMENT_STATUS),
            ]
            for one in found
        ],
        empty=empty,
    )


handlers = [rewards]
