"""Who comes into the demo's partners' portals, and the vouchers that two of the demo's card holders can redeem there at once."""

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit.model import Actor, ActorKind
from loyalty.cards.model import ProductKind
from loyalty.cards.numbers import number_index
from loyalty.cards.queries import find_by_index, get_product
from loyalty.demo.chain import Chain
from loyalty.demo.secrets import LogIns, OfficeLogIn, new_password, new_second_factor
from loyalty.identity.model_partner import PartnerRole
from loyalty.identity.operations import make_partner_user
from loyalty.rewards.operations.vouchers import VoucherWish, issue_many
from partners.demo import INSURER, WASH, WASH_KIND
from partners.queries.alliances import list_partners

_DEMO: Final = Actor(ActorKind.SYSTEM, "demo")
_PEOPLE: Final = (
    (WASH, "owner@yuexi.example", "范春生", PartnerRole.OWNER, "car wash, owner 洗车行负责人"),
    (WASH, "finance@yuexi.example", "金晓燕", PartnerRole.FINANCE, "car wash, finance 洗车行财务"),
    (INSURER, "owner@donghai.example", "陆远", PartnerRole.OWNER, "insurer, owner 保险公司负责人"),
)
_PLATES: Final = ("浙B12345", "浙B67890")


async def let_partners_in(session: AsyncSession, _chain: Chain, log_ins: LogIns, now: datetime) -> None:
    """Make their log-ins, and give the first two holders of personal cards a free wash each."""
    partners = {one.code: one.partner_id for one in (await list_partners(session)).rows}
    for code, email, name, role, said in _PEOPLE:
        password = new_password()
        raw, shown = new_second_factor()
        await make_partner_user(
            session,
            partner_id=partners[code],
            email=email,
            name=name,
            password=password,
            totp_secret=raw,
            role=role,
            actor=_DEMO,
            now=clock.real_now(),
        )
        log_ins.partner.append(OfficeLogIn(email, name, f"{name}, {said}", password, shown))
    wishes: list[VoucherWish] = []
    for one in log_ins.cards:
        if len(wishes) == len(_PLATES):
            break
        card = await find_by_index(session, index=number_index(one.number))
        product = await get_product(session, product_id=card.product_id)
        if product.kind is ProductKind.PERSONAL and card.customer_id is not None:
            plate = _PLATES[len(wishes)]
            wishes.append(
                VoucherWish(WASH_KIND, "demo", str(card.card_id), customer_id=card.customer_id, account_id=card.account_id, plate=plate)
            )
    await issue_many(session, wishes=wishes, actor=_DEMO, now=now)
