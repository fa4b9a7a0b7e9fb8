"""A day on which the demo's car wash had no network: washes honoured offline and told in the evening, one of them used before."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.demo.chain import Chain
from loyalty.demo.secrets import LogIns
from loyalty.rewards.operations.vouchers import VoucherWish, issue_many
from partners.demo import WASH, WASH_KIND
from partners.model import OutletStatus
from partners.operations.offline import Told, sync
from partners.operations.offline_codes import offline_code
from partners.operations.offline_leases import take_lease
from partners.operations.redeeming import redeem
from partners.queries.alliances import agreement_on, list_partners, outlets_of

_DEMO: Final = Actor(ActorKind.SYSTEM, "demo")
_PLATES: Final = ("浙B20417", "浙B71836", "浙B90255")
_DAYS_AGO: Final = timedelta(days=5)
"""Long enough for the phone's lease to be over: whoever tries the demo gets one of their own."""


async def lose_the_network(session: AsyncSession, _chain: Chain, _log_ins: LogIns, now: datetime) -> None:
    """Honour three washes at one outlet without a network, the first of which the other outlet had honoured; tell them hours later."""
    morning, evening = now - _DAYS_AGO, now - _DAYS_AGO + timedelta(hours=9)
    wash = next(one.partner_id for one in (await list_partners(session)).rows if one.code == WASH)
    outlets = sorted(await outlets_of(session, partner_id=wash), key=lambda one: one.status is not OutletStatus.OPEN)
    if await agreement_on(session, partner_id=wash, day=morning.date()) is None:
        return
    here, other = outlets[0].outlet_id, outlets[-1].outlet_id
    wishes = [VoucherWish(WASH_KIND, "demo", f"offline-{plate}", plate=plate) for plate in _PLATES]
    vouchers = [each.voucher_ids[0] for each in await issue_many(session, wishes=wishes, actor=_DEMO, now=morning)]
    codes = [await offline_code(session, voucher_id=each, now=morning) for each in vouchers]
    kit = await take_lease(session, outlet_id=here, device=_key(here, "phone"), granted_to="小陈", now=morning)
    if kit is None:
        return
    await redeem(
        session,
        outlet_id=other,
        voucher_id=vouchers[0],
        key=_key(other, "first"),
        served_by="小李",
        plate=_PLATES[0],
        served_at=morning + timedelta(hours=1),
        actor=_DEMO,
        now=morning + timedelta(hours=1),
    )
    told = [
        Told(key=_key(here, code), token=code, at=morning + timedelta(hours=2 + hour), lease=kit.lease, served_by="小陈")
        for hour, code in enumerate(codes)
        if code is not None
    ]
    await sync(session, outlet_id=here, told=told, actor=_DEMO, now=evening)


def _key(outlet_id: UUID, name: str) -> UUID:
    return uuid5(outlet_id, name)
