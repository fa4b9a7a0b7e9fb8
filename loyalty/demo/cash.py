"""The demo company's cash fills: one paid back, one that counts, one that waits with another plate on its receipt, one asked for."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.fleet.model_cash import CashReason
from loyalty.fleet.operations.cash import Receipt, Taken, approve_cash_fill, file_cash_fill, reimburse_cash_fill
from loyalty.fleet.queries.drivers import list_drivers
from loyalty.fleet.queries.vehicles import VehicleView, list_vehicles
from loyalty.identity.model_portal import PortalRole
from loyalty.stations.queries import snapshot_products
from loyalty.web.pdf import typst_png


class _Paid(NamedTuple):
    """One fill: how long ago, by which vehicle of a type and which driver, where, how much, and how far it comes."""

    days: int
    type: str
    place: int
    station: str
    quantity_milli: int
    price_minor: int
    driven_km: int
    reason: CashReason
    comment: str
    plate: str = ""
    """Another one than the vehicle's on the receipt."""
    approved: bool = False
    reimbursed: bool = False


_FILLS: Final = (
    _Paid(
        6,
        "truck",
        0,
        "国道 G320 桐庐服务站",
        210_000,
        736,
        1_480,
        CashReason.NO_CARD_SERVICE,
        "站内刷卡机故障",
        approved=True,
        reimbursed=True,
    ),
    _Paid(3, "truck", 1, "衢州北加油站", 168_500, 741, 1_120, CashReason.NO_CARD_SERVICE, "途中无本品牌油站", approved=True),
    _Paid(1, "truck", 2, "金华开发区加油站", 150_000, 738, 640, CashReason.EMERGENCY, "油量报警，就近加油", plate="浙A7K359"),
    _Paid(0, "light_truck", 3, "黄山城区加油站", 40_000, 802, 0, CashReason.CARD_LOST, "卡片补办中，明日跨省送货"),
)


async def pay_cash(session: AsyncSession, *, company_id: UUID, people: Mapping[PortalRole, Actor], now: datetime) -> None:
    """File them by the fleet manager; the owner approves, and finance pays back."""
    vehicles = (await list_vehicles(session, company_id=company_id)).rows
    drivers = (await list_drivers(session, company_id=company_id)).rows
    products = {one.code: one.product_id for one in await snapshot_products(session)}
    for paid in _FILLS:
        vehicle = [one for one in vehicles if one.type == paid.type][paid.place]
        at = now - timedelta(days=paid.days, hours=2) if paid.days else now + timedelta(hours=18)
        amount = paid.quantity_milli * paid.price_minor // 1000
        km = (vehicle.odometer_km or 0) + paid.driven_km if paid.days else None
        filed_at = min(at + timedelta(hours=1), now)
        cash_fill_id = await file_cash_fill(
            session,
            company_id=company_id,
            vehicle_id=vehicle.vehicle_id,
            driver_id=drivers[paid.place].driver_id,
            taken=Taken(at, None, paid.station, products.get(vehicle.product_code or ""), paid.quantity_milli, amount, km),
            reason=paid.reason,
            comment=paid.comment,
            receipt=Receipt(_slip(paid, vehicle, at, amount), paid.plate or vehicle.plate) if paid.days else None,
            actor=people[PortalRole.FLEET_MANAGER],
            now=filed_at,
        )
        known: dict[str, Any] = {"company_id": company_id, "cash_fill_id": cash_fill_id}
        if paid.approved:
            await approve_cash_fill(session, **known, actor=people[PortalRole.OWNER], now=filed_at + timedelta(hours=2))
        if paid.reimbursed:
            await reimburse_cash_fill(session, **known, actor=people[PortalRole.FINANCE], now=filed_at + timedelta(days=1))


def _slip(paid: _Paid, vehicle: VehicleView, at: datetime, amount: int) -> bytes:
    """Return a photo of the slip, as small stations print them."""
    litres, cost = f"{paid.quantity_milli / 1000:.2f} L", f"¥{amount / 100:,.2f}"
    return typst_png(
        "receipt",
        {
            "title": "加油凭证",
            "entity": paid.station,
            "station": "",
            "number": f"NO. {at:%Y%m%d}{vehicle.plate[-4:]}",
            "copy": "",
            "qr": "",
            "qr_note": "",
            "head": [["日期", f"{at:%Y-%m-%d}"], ["车牌", paid.plate or vehicle.plate]],
            "lines": [{"name": f"{vehicle.product_code}# 油", "detail": f"{litres} × ¥{paid.price_minor / 100:.2f}", "amount": cost}],
            "discounts": [],
            "totals": [["现金", cost, True]],
            "tenders": [],
            "after": [],
            "notes": ["请妥善保管，报销有效"],
        },
    )
