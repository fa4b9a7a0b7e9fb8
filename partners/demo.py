"""The demo chain's alliances: an insurer, a car wash with an outlet that is paused, a restaurant whose next version waits, one in talks."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.demo.chain import SYSTEM, ZONE, Chain
from loyalty.demo.secrets import LogIns
from loyalty.rewards.model_vouchers import ValueType
from loyalty.rewards.operations.voucher_kinds import FunderShare, KindFacts, put_kind
from partners.model import AgreementStatus, Category, OutletStatus, PartnerStatus
from partners.operations.agreements import decide_agreement, draft_agreement, submit_agreement
from partners.operations.alliances import OutletFacts, PartnerFacts, add_notice, add_outlet, add_partner, move_outlet, move_partner
from partners.operations.lines import mirror_line
from partners.operations.redeeming import sell
from partners.rules import WHOLE, Band, Benefit, BenefitKind, Funder, Offline, Settlement, Terms

INSURER, WASH, TABLE, GARAGE = "DONGHAI", "YUEXI", "YUJIA", "LUAN"
SLIP_KIND, WASH_KIND = "accident-slip", "partner-wash"
PURPOSE: Final = "accident-insurance"
_ISSUER: Final = [Funder("issuer", WHOLE)]
_PARTNER: Final = [Funder("partner", WHOLE)]

SLIP: Final = Benefit(
    code="claim-slip",
    kind=BenefitKind.INSURANCE,
    name_zh="驾乘意外险",
    name_en="Accident insurance",
    funders=_ISSUER,
    voucher_kind=SLIP_KIND,
    limit_total=500,
    cover_minor=3_000_000,
    bands=[Band(10_000, 12), Band(20_000, 36), Band(30_000, 60)],
    purpose=PURPOSE,
    terms_zh="开卡即赠领取凭证，凭领取凭证和开卡小票投保；最高保额 30,000 元。",
    terms_en="A claim slip with the card; the insurer checks it and the card-opening receipt. Cover up to ¥30,000.",
)
FREE_WASH: Final = Benefit(
    code="monthly-wash",
    kind=BenefitKind.SERVICE,
    name_zh="每月免费精洗",
    name_en="A free wash each month",
    funders=[Funder("issuer", 6_000), Funder("partner", 4_000)],
    voucher_kind=WASH_KIND,
    amount_minor=3_500,
    limit_each_month=1,
    plate_bound=True,
)
OFFLINE: Final = Offline(worth_minor=5_000, amount_minor=30_000)
OFF_WASH: Final = Benefit(
    code="member-price", kind=BenefitKind.DISCOUNT, name_zh="持卡九折", name_en="10 % off", funders=_PARTNER, share=1_000, commission=500
)
OFF_TABLE: Final = Benefit(
    code="member-table", kind=BenefitKind.DISCOUNT, name_zh="持卡八八折", name_en="12 % off the bill", funders=_PARTNER, share=1_200
)
OFF_MORE: Final = Benefit(
    code="member-table", kind=BenefitKind.DISCOUNT, name_zh="持卡八五折", name_en="15 % off the bill", funders=_PARTNER, share=1_500
)
BIRTHDAY: Final = Benefit(
    code="birthday-fish",
    kind=BenefitKind.JOINT,
    name_zh="生日赠菜",
    name_en="A dish on the birthday",
    funders=[Funder("issuer", 5_000), Funder("partner", 5_000)],
    amount_minor=5_800,
    limit_each_month=100,
)
OIL: Final = Benefit(
    code="oil-change",
    kind=BenefitKind.JOINT,
    name_zh="保养工时费减免",
    name_en="Labour of an oil change",
    funders=[Funder("partner", 5_000), Funder("brand:lubricants", 3_000)],
    amount_minor=8_000,
)
"""Its shares come to 80 % yet: a draft says so at its fields."""


@dataclass(frozen=True, slots=True)
class _Desk:
    """One writing of the demo: its session, its chain, and when."""

    session: AsyncSession
    chain: Chain
    began: datetime
    now: datetime

    @property
    def first(self) -> date:
        """The chain's first day."""
        return clock.local_date(self.began, ZONE)

    @property
    def today(self) -> date:
        """The day on which the demo is filled."""
        return clock.local_date(self.now, ZONE)

    async def partner(self, code: str, zh: str, en: str, category: Category, contact: str) -> UUID:
        """Enter a partner."""
        facts = PartnerFacts(code=code, name_zh=zh, name_en=en, category=category, zone=ZONE, contact=contact)
        return await add_partner(self.session, facts=facts, actor=self.chain.person("office"), now=self.began)

    async def outlet(self, partner_id: UUID, code: str, zh: str, en: str, address: str, hours: str) -> UUID:
        """Enter an outlet."""
        facts = OutletFacts(code=code, name_zh=zh, name_en=en, address=address, hours=hours, telephone="0574-8700 0000")
        return await add_outlet(self.session, partner_id=partner_id, facts=facts, actor=self.chain.person("office"), now=self.began)

    async def draft(self, partner_id: UUID, terms: Terms, first: date) -> UUID:
        """Draft a version."""
        office = self.chain.person("office")
        return await draft_agreement(
            self.session, partner_id=partner_id, first_day=first, end_day=None, terms=terms, actor=office, now=self.began
        )

    async def submit(self, agreement_id: UUID) -> None:
        """Submit a draft."""
        await submit_agreement(self.session, agreement_id=agreement_id, actor=self.chain.person("office"), now=self.began)

    async def ally(self, partner_id: UUID, terms: Terms) -> UUID:
        """Agree on the chain's first day, and begin."""
        made = await self.draft(partner_id, terms, self.first)
        await self.submit(made)
        approve = {"to": AgreementStatus.APPROVED, "today": self.first}
        finance = self.chain.person("finance")
        await decide_agreement(self.session, agreement_id=made, **approve, actor=finance, now=self.began)  # type: ignore[arg-type]
        await move_partner(
            self.session,
            partner_id=partner_id,
            to=PartnerStatus.ACTIVE,
            today=self.first,
            reason="协议已签署",
            actor=self.chain.person("office"),
            now=self.began,
        )
        return made

    async def sell(self, outlet_id: UUID, benefit: Benefit, number: int, gross_minor: int, served_by: str, *, hours: int) -> None:
        """Serve a member so many hours after the chain's beginning."""
        await sell(
            self.session,
            outlet_id=outlet_id,
            key=uuid5(outlet_id, str(number)),
            gross_minor=gross_minor,
            benefit=benefit.code,
            reference=f"•••• {4_100 + 37 * number}",
            served_by=served_by,
            actor=SYSTEM,
            now=self.began + timedelta(hours=hours),
        )


async def ally(session: AsyncSession, chain: Chain, _log_ins: LogIns, now: datetime) -> None:
    """Make the demo's alliances: agreed on the chain's first day, with what is redeemed at them since."""
    desk = _Desk(session, chain, chain.began, now)
    await _insurer(desk)
    await _wash(desk)
    await _table(desk)
    await _garage(desk)


async def _insurer(desk: _Desk) -> None:
    made = await desk.partner(INSURER, "东海财险宁波分公司", "Donghai Insurance Ningbo", Category.INSURANCE, "陆经理 0574-8712 3456")
    await desk.outlet(made, "MAIN", "营业大厅", "Main hall", "宁波市鄞州区中兴路 655 号", "周一至周五 09:00–17:00")
    await _kind(desk, SLIP_KIND, "意外险领取凭证", "Accident insurance claim slip", INSURER, "accident-insurance", validity_days=90)
    await desk.ally(made, Terms(benefits=[SLIP], commission=4_000, settlement=Settlement(statement_day=5)))


async def _wash(desk: _Desk) -> None:
    made = await desk.partner(WASH, "悦洗车行", "Yuexi Car Wash", Category.WASH, "范店长 138 0574 0001")
    east = await desk.outlet(made, "EAST", "东门店", "East Gate", "宁波市江北区东门路 12 号", "08:00–20:00")
    west = await desk.outlet(made, "WEST", "西门店", "West Gate", "宁波市海曙区西门街 80 号", "08:00–20:00")
    await _kind(desk, WASH_KIND, "悦洗免费精洗券", "Yuexi free wash", WASH, "wash", validity_days=31)
    await desk.ally(made, Terms(benefits=[FREE_WASH, OFF_WASH], cap_month_minor=2_000_000, offline=OFFLINE))
    for number in range(1, 10):
        gross = 3_500 + 500 * (number % 4)
        await desk.sell(east if number % 3 else west, OFF_WASH, number, gross, "小陈" if number % 2 else "小李", hours=11 * number)
    await mirror_line(desk.session, partner_id=made, number=4, source="rollback:DEMO-4", why="顾客改洗普通档", actor="system", now=desk.now)
    today_end = clock.day_bounds(desk.today, ZONE)[1]
    await move_outlet(
        desk.session,
        partner_id=made,
        outlet_id=west,
        to=OutletStatus.PAUSED,
        reason="设备检修 · Machines are being serviced",
        until=today_end + timedelta(hours=8),
        actor=desk.chain.person("office"),
        now=desk.now,
    )
    await add_notice(
        desk.session,
        partner_id=made,
        text_zh="金卡会员每月一次免费精洗，请出示券码并核对车牌。",
        text_en="Gold members: one free wash a month. Show the voucher; the plate is checked.",
        first=desk.first,
        end=desk.today + timedelta(days=30),
        actor=desk.chain.person("office"),
        now=desk.now,
    )


async def _table(desk: _Desk) -> None:
    made = await desk.partner(TABLE, "渔家小馆", "Fisherman's Table", Category.FOOD, "董老板 139 0574 0002")
    outlet = await desk.outlet(made, "HARBOUR", "北仑港店", "Beilun Port", "宁波市北仑区明州路 702 号", "10:30–21:30")
    await desk.ally(made, Terms(benefits=[OFF_TABLE], commission=800))
    for number in range(1, 7):
        await desk.sell(outlet, OFF_TABLE, number, 12_800 + 1_900 * number, "收银台", hours=20 * number)
    following = Terms(benefits=[OFF_MORE, BIRTHDAY], commission=600, cap_month_minor=1_000_000)
    await desk.submit(await desk.draft(made, following, desk.today + timedelta(days=14)))


async def _garage(desk: _Desk) -> None:
    made = await desk.partner(GARAGE, "路安汽修", "Lu'an Garage", Category.REPAIR, "")
    await desk.draft(made, Terms(benefits=[OIL], commission=1_000), desk.today + timedelta(days=7))


async def _kind(desk: _Desk, code: str, zh: str, en: str, partner: str, item: str, *, validity_days: int) -> None:
    """Make the kind of voucher that a partner redeems."""
    insures = partner == INSURER
    facts = KindFacts(
        name_zh=zh,
        name_en=en,
        value_type=ValueType.PARTNER if insures else ValueType.SERVICE,
        item=item,
        zone=ZONE,
        validity_days=validity_days,
        plate_bound=not insures,
        online_only=insures,
        limit_total=500 if insures else None,
        limit_each=1 if insures else None,
        outlets=(f"partner:{partner}",),
        terms_zh=SLIP.terms_zh if insures else "仅限绑定车牌，每月一次。",
        terms_en=SLIP.terms_en if insures else "For the plate it names, once a month.",
        funders=(FunderShare("head-office", 6), FunderShare("partner", 4)) if not insures else (FunderShare("head-office"),),
    )
    await put_kind(desk.session, code=code, facts=facts, actor=desk.chain.person("office"), now=desk.began)
