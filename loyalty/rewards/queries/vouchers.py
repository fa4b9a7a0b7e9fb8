"""Reading voucher kinds, vouchers and what became of them."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.customers.queries import family_of
from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.ids import CustomerId, uuid7_floor
from loyalty.paging import PAGE_SIZE, Column, Page, all_as, keys_for, one_as, page_as
from loyalty.rewards.model_vouchers import (
    EVERYBODY,
    RedemptionStatus,
    ValueType,
    Voucher,
    VoucherCounter,
    VoucherEvent,
    VoucherKind,
    VoucherRedemption,
    VoucherStatus,
)
from loyalty.rewards.voucher_codes import code_index, open_code
from loyalty.rewards.voucher_rules import Outlet, read_voucher_code
from loyalty.stations.queries import get_station, list_districts, list_regions


class VoucherKindNotFound(NotFound):
    """Unknown."""

    zh = "没有此券种。"
    en = "There is no such kind of voucher."


class VoucherNotFound(NotFound):
    """Unknown, or another tenant's: the answer is the same."""

    zh = "没有此券。"
    en = "There is no such voucher."


class RedemptionNotFound(NotFound):
    """Unknown, or another outlet's: the answer is the same."""

    zh = "本终端没有这笔核销。"
    en = "This till has no such redemption."


class VoucherKindView(msgspec.Struct, frozen=True):
    """A kind's terms and how many are out."""

    kind_id: UUID
    code: str
    name_zh: str
    name_en: str
    value_type: ValueType
    item: str | None
    face_minor: int | None
    currency: str | None
    zone: str
    validity_days: int | None
    ends_at: datetime | None
    plate_bound: bool
    partial: bool
    online_only: bool
    limit_total: int | None
    limit_each: int | None
    outlets: list[str]
    terms_zh: str
    terms_en: str
    funders: list[list[str | int]]
    rollback_minutes: int
    active: bool
    made_at: datetime
    changed_at: datetime
    issued: int


class VoucherView(msgspec.Struct, frozen=True):
    """A voucher with its kind's names; the code only by its last characters."""

    voucher_id: UUID
    kind_id: UUID
    kind_code: str
    name_zh: str
    name_en: str
    terms_zh: str
    terms_en: str
    value_type: ValueType
    item: str | None
    status: VoucherStatus
    partial: bool
    face_minor: int | None
    left_minor: int | None
    currency: str | None
    customer_id: UUID | None
    account_id: UUID | None
    plate: str | None
    code_tail: str
    issued_at: datetime
    expires_at: datetime | None
    source_kind: str
    source_id: str
    outlets: list[str]


class VoucherEventView(msgspec.Struct, frozen=True):
    moved_to: VoucherStatus
    happened_at: datetime
    actor_kind: str
    actor_id: str
    change_minor: int | None
    reason: str
    outlet: str | None


class RedemptionView(msgspec.Struct, frozen=True):
    """One outlet's use of a voucher, as its receipt tells it."""

    redemption_id: UUID
    voucher_id: UUID | None
    key: UUID
    caller: str
    status: RedemptionStatus
    taken_minor: int | None
    honoured_minor: int | None
    outlet: str
    reserved_at: datetime
    reserved_until: datetime | None
    redeemed_at: datetime | None
    rolled_back_at: datetime | None


class ShownCode(msgspec.Struct, frozen=True):
    """A voucher's code in clear: for its holder's page alone."""

    voucher_id: UUID
    code: str


_KIND_SORTS: dict[str, Column] = {
    "code": VoucherKind.code,
    "name_zh": VoucherKind.name_zh,
    "name_en": VoucherKind.name_en,
    "made_at": VoucherKind.made_at,
}
_ISSUED = func.coalesce(
    select(VoucherCounter.issued)
    .where(VoucherCounter.kind_id == VoucherKind.kind_id, VoucherCounter.subject_id == EVERYBODY)
    .correlate(VoucherKind)
    .scalar_subquery(),
    0,
).label("issued")


async def get_kind(session: AsyncSession, *, code: str) -> VoucherKindView:
    """Return one kind of voucher.

    :raises VoucherKindNotFound: if there is none of this code
    """
    found = await one_as(session, VoucherKindView, _kinds().where(VoucherKind.code == code))
    if found is None:
        raise VoucherKindNotFound(code=code)
    return found


async def list_kinds(
    session: AsyncSession, *, sort: str = "code", cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[VoucherKindView]:
    """Read a page of kinds; sorts: code, name_zh, name_en, made_at.

    :raises UnknownSort: for another sort
    """
    return await page_as(
        session, VoucherKindView, _kinds(), keys=keys_for(sort, _KIND_SORTS, unique=VoucherKind.code), cursor=cursor, limit=limit
    )


async def get_kind_for_update(session: AsyncSession, *, code: str) -> VoucherKind:
    """Lock and return one kind of voucher.

    :raises VoucherKindNotFound: if there is none of this code
    """
    found = await session.scalar(locked(select(VoucherKind).where(VoucherKind.code == code)))
    if found is None:
        raise VoucherKindNotFound(code=code)
    return found


async def kinds_by_code(session: AsyncSession, *, codes: Collection[str]) -> dict[str, VoucherKind]:
    """Return the kinds of these codes; unknown ones are left out."""
    found = await session.scalars(select(VoucherKind).where(VoucherKind.code.in_(list(codes))))
    return {kind.code: kind for kind in found}


async def get_voucher(session: AsyncSession, *, voucher_id: UUID) -> VoucherView:
    """Return one voucher.

    :raises VoucherNotFound: if there is no such voucher
    """
    found = await one_as(session, VoucherView, _vouchers().where(Voucher.voucher_id == voucher_id))
    if found is None:
        raise VoucherNotFound
    return found


async def find_voucher(session: AsyncSession, *, typed: str) -> VoucherView | None:
    """Return the voucher of a code, for the office: whoever may ask is no guesser."""
    code = read_voucher_code(typed)
    if code is None:
        return None
    return await one_as(session, VoucherView, _vouchers().where(Voucher.code_index == code_index(code)))


async def get_voucher_for_update(session: AsyncSession, *, voucher_id: UUID) -> tuple[Voucher, VoucherKind]:
    """Lock a voucher and return it with its kind.

    :raises VoucherNotFound: if there is no such voucher
    """
    voucher = await session.scalar(locked(select(Voucher).where(Voucher.voucher_id == voucher_id)))
    if voucher is None:
        raise VoucherNotFound
    return voucher, await session.get_one(VoucherKind, voucher.kind_id)


async def vouchers_of_customer(
    session: AsyncSession, *, customer_id: UUID, statuses: Collection[VoucherStatus] = (), limit: int = 100
) -> list[VoucherView]:
    """Return what a customer has, all records merged into it included; those that end first come first.

    :raises CustomerNotFound: if there is no such customer
    """
    family = await family_of(session, customer_id=CustomerId(customer_id))
    return await _newest(session, _vouchers().where(Voucher.customer_id.in_(family)), statuses, limit)


async def vouchers_of_account(
    session: AsyncSession, *, account_id: UUID, statuses: Collection[VoucherStatus] = (), limit: int = 100
) -> list[VoucherView]:
    """Return what was granted to an account: a bearer card's holder has no other name."""
    return await _newest(session, _vouchers().where(Voucher.account_id == account_id), statuses, limit)


async def codes_of(session: AsyncSession, *, voucher_ids: Sequence[UUID]) -> list[ShownCode]:
    """Return the codes of vouchers in clear: the caller made sure that it is their holder who asks."""
    rows = await session.execute(select(Voucher.voucher_id, Voucher.code_sealed).where(Voucher.voucher_id.in_(list(voucher_ids))))
    return [ShownCode(voucher_id, open_code(sealed, voucher_id=voucher_id)) for voucher_id, sealed in rows]


async def voucher_history(session: AsyncSession, *, voucher_id: UUID) -> list[VoucherEventView]:
    """Return every step of a voucher, the first one first."""
    statement = (
        select(
            VoucherEvent.moved_to,
            VoucherEvent.happened_at,
            VoucherEvent.actor_kind,
            VoucherEvent.actor_id,
            VoucherEvent.change_minor,
            VoucherEvent.reason,
            VoucherRedemption.outlet,
        )
        .outerjoin(VoucherRedemption, VoucherRedemption.redemption_id == VoucherEvent.redemption_id)
        .where(VoucherEvent.voucher_id == voucher_id)
        .order_by(VoucherEvent.event_id)
    )
    return await all_as(session, VoucherEventView, statement)


async def redemptions_of(session: AsyncSession, *, voucher_id: UUID) -> list[RedemptionView]:
    """Return the uses of a voucher, the first one first."""
    statement = _redemptions().where(VoucherRedemption.voucher_id == voucher_id).order_by(VoucherRedemption.redemption_id)
    return await all_as(session, RedemptionView, statement)


async def find_redemption(session: AsyncSession, *, caller: str, key: UUID) -> RedemptionView | None:
    """Return what became of one key of an outlet."""
    return await one_as(session, RedemptionView, _redemptions().where(VoucherRedemption.caller == caller, VoucherRedemption.key == key))


async def redemption_of_caller(session: AsyncSession, *, redemption_id: UUID, caller: str) -> RedemptionView:
    """Return one redemption of an outlet.

    :raises RedemptionNotFound: if there is none, or it is another outlet's
    """
    found = await one_as(
        session, RedemptionView, _redemptions().where(VoucherRedemption.redemption_id == redemption_id, VoucherRedemption.caller == caller)
    )
    if found is None:
        raise RedemptionNotFound
    return found


async def redemptions_at(session: AsyncSession, *, outlet: str, since: datetime, until: datetime, limit: int = 200) -> list[RedemptionView]:
    """Return what an outlet redeemed in `[since, until)`, the last one first: its list of the day."""
    statement = (
        _redemptions()
        .where(VoucherRedemption.outlet == outlet, VoucherRedemption.reserved_at >= since, VoucherRedemption.reserved_at < until)
        .order_by(VoucherRedemption.redemption_id.desc())
        .limit(limit)
    )
    return await all_as(session, RedemptionView, statement)


async def paid_with(session: AsyncSession, *, redemption: VoucherRedemption) -> int | None:
    """Return what a booked sale took of a reservation as its tender, minor units; None where there is none within a day of it."""
    if redemption.station_id is None:
        return None
    found: int | None = await session.scalar(
        text(
            "SELECT (one ->> 'amount_minor')::bigint FROM sales s CROSS JOIN LATERAL jsonb_array_elements(s.detail -> 'tenders') AS one"
            " WHERE s.station_id = :station_id AND s.sale_id >= :first AND s.sale_id < :last"
            " AND s.detail @> jsonb_build_object('tenders', jsonb_build_array(jsonb_build_object('reference', CAST(:named AS text))))"
            " AND one ->> 'tender' = 'voucher' AND one ->> 'reference' = :named AND s.status IN (1, 2) LIMIT 1"
        ),
        {
            "station_id": redemption.station_id,
            "first": uuid7_floor(redemption.reserved_at),
            "last": uuid7_floor(redemption.reserved_at + timedelta(days=1)),
            "named": str(redemption.redemption_id),
        },
    )
    return found


async def outlet_of_station(session: AsyncSession, *, station_id: UUID, terminal_id: UUID | None = None) -> Outlet:
    """Return a station, or one of its tills, as an outlet that honours vouchers.

    :raises StationNotFound: if there is no such station
    """
    station = await get_station(session, station_id=station_id)
    districts = {district.district_id: district.code for district in await list_districts(session)}
    regions = {region.region_id: region.code for region in await list_regions(session)}
    name = f"station:{station.code}"
    names = frozenset({name, f"district:{districts[station.district_id]}", f"region:{regions[station.region_id]}"})
    caller = f"station:{station_id}" if terminal_id is None else f"terminal:{terminal_id}"
    return Outlet(name, names, caller, station_id=station_id, terminal_id=terminal_id)


async def _newest(
    session: AsyncSession, statement: Select[*tuple[Any, ...]], statuses: Collection[VoucherStatus], limit: int
) -> list[VoucherView]:
    if statuses:
        statement = statement.where(Voucher.status.in_(list(statuses)))
    return await all_as(session, VoucherView, statement.order_by(Voucher.expires_at.nulls_last(), Voucher.voucher_id).limit(limit))


def _kinds() -> Select[*tuple[Any, ...]]:
    names = [name for name in VoucherKindView.__struct_fields__ if name != "issued"]
    return select(*(getattr(VoucherKind, name) for name in names), _ISSUED)


def _vouchers() -> Select[*tuple[Any, ...]]:
    of_kind = {"name_zh", "name_en", "terms_zh", "terms_en", "value_type", "item", "outlets"}
    columns = [
        VoucherKind.code.label("kind_code") if name == "kind_code" else getattr(VoucherKind if name in of_kind else Voucher, name)
        for name in VoucherView.__struct_fields__
    ]
    return select(*columns).join(VoucherKind, VoucherKind.kind_id == Voucher.kind_id)


def _redemptions() -> Select[*tuple[Any, ...]]:
    return select(*(getattr(VoucherRedemption, name) for name in RedemptionView.__struct_fields__))
