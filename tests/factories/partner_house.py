"""A car wash that is allied: two outlets, people of every role, vouchers that it honours, a member's price."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from loyalty import clock
from loyalty.identity import operations as identity
from loyalty.identity.model_partner import PartnerRole
from loyalty.rewards.model_vouchers import ValueType
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from loyalty.rewards.operations.vouchers import VoucherWish, issue
from loyalty.rewards.queries.vouchers import codes_of
from partners.model import AgreementStatus, Category, PartnerStatus
from partners.operations.agreements import decide_agreement, draft_agreement, submit_agreement
from partners.operations.alliances import OutletFacts, PartnerFacts, add_outlet, add_partner, move_partner
from partners.rules import Benefit, BenefitKind, Funder, Offline, Terms
from tests.factories.world import SYSTEM
from tests.topups.conftest import hire

PASSWORD = "seven quiet rivers meet"
SECRET = b"12345678901234567890"
CLERK_PIN = "730924"
PLATE = "浙A12345"
ZONE = "Asia/Shanghai"


@dataclass
class House:
    """A partner, its outlets, its people."""

    code: str
    partner_id: UUID
    outlets: list[UUID]
    people: dict[str, UUID] = field(default_factory=dict)
    phone: str = ""
    """The secret of the clerk's phone."""

    async def voucher(self, session, kind: str, *, now: datetime, plate: str | None = None) -> str:
        """Issue a voucher and return its code."""
        wish = VoucherWish(f"{self.code.lower()}-{kind}", "grant", str(uuid4()), plate=plate)
        (made,) = (await issue(session, wish=wish, actor=SYSTEM, now=now)).voucher_ids
        (shown,) = await codes_of(session, voucher_ids=[made])
        return shown.code


def terms_of(code: str) -> Terms:
    """Fifty yuan off, a wash for one vehicle, ten per cent for members."""
    half = [Funder("issuer", 5_000), Funder("partner", 5_000)]
    low = code.lower()
    benefits = [
        Benefit(
            code="fifty", kind=BenefitKind.VOUCHER, name_zh="洗车抵用券", name_en="Fifty off", funders=half, voucher_kind=f"{low}-fifty"
        ),
        Benefit(
            code="wash",
            kind=BenefitKind.SERVICE,
            name_zh="免费精洗一次",
            name_en="A free wash",
            funders=half,
            voucher_kind=f"{low}-wash",
            amount_minor=3_500,
            limit_each_month=20,
            plate_bound=True,
        ),
        Benefit(code="tenth", kind=BenefitKind.DISCOUNT, name_zh="会员九折", name_en="Ten per cent off", funders=half, share=1_000),
    ]
    return Terms(benefits=benefits, commission=4_000, offline=Offline(worth_minor=6_000, amount_minor=30_000, uses=10))


async def make_house(session, *, now: datetime, code: str = "YUEXI", names: tuple[str, str] = ("悦洗车行", "Yuexi Car Wash")) -> House:
    """Make it, serving from the day before today on."""
    maker, checker = await hire(session, f"maker {code}", now), await hire(session, f"checker {code}", now)
    of = {"actor": maker, "now": now}
    today = clock.local_date(now, ZONE)
    facts = PartnerFacts(code=code, name_zh=names[0], name_en=names[1], category=Category.WASH)
    partner_id = await add_partner(session, facts=facts, **of)
    made = await draft_agreement(session, partner_id=partner_id, first_day=today, end_day=None, terms=terms_of(code), **of)
    await submit_agreement(session, agreement_id=made, **of)
    await decide_agreement(session, agreement_id=made, to=AgreementStatus.APPROVED, today=today, actor=checker, now=now)
    await move_partner(session, partner_id=partner_id, to=PartnerStatus.ACTIVE, today=today, reason="signed", **of)
    outlets = [
        await add_outlet(session, partner_id=partner_id, facts=OutletFacts(code=short, name_zh=zh, name_en=en, hours="08:00–20:00"), **of)
        for short, zh, en in (("E", "东门店", "East Gate"), ("W", "西门店", "West Gate"))
    ]
    kinds = {
        "fifty": {"value_type": ValueType.MONEY, "face_minor": 5_000, "currency": "CNY", "partial": True, "rollback_minutes": 30},
        "wash": {"value_type": ValueType.SERVICE, "item": "wash", "plate_bound": True, "rollback_minutes": 30},
    }
    words = {"fifty": ("洗车抵用券", "Fifty off"), "wash": ("免费精洗一次", "A free wash")}
    for name, kind in kinds.items():
        zh, en = words[name]
        facts = {"name_zh": zh, "name_en": en, "zone": ZONE, "validity_days": 30, "outlets": (f"partner:{code}",)} | kind
        await put_kind(session, code=f"{code.lower()}-{name}", facts=KindFacts(**facts), actor=SYSTEM, now=now)
    house = House(code, partner_id, outlets)
    await let_in(session, house)
    return house


async def let_in(session, house: House) -> None:
    """Give the house its people: an owner, finance, and a clerk at the first outlet."""
    real = datetime.now(UTC)
    low = house.code.lower()
    for role in (PartnerRole.OWNER, PartnerRole.FINANCE):
        house.people[role.value] = await identity.make_partner_user(
            session,
            partner_id=house.partner_id,
            email=f"{role.value}@{low}.example",
            name=f"{low} {role.value}",
            password=PASSWORD,
            totp_secret=SECRET,
            role=role,
            actor=SYSTEM,
            now=real,
        )
    link = await identity.invite_clerk(
        session, partner_id=house.partner_id, outlet_id=house.outlets[0], name=f"小王 {low}", actor=SYSTEM, now=real
    )
    phone = await identity.accept_as_clerk(session, token=link, pin=CLERK_PIN, locale="zh_CN", now=real)
    house.phone = phone.secret
    clerk = await identity.clerk_of_phone(session, secret=phone.secret)
    assert clerk is not None, "they took the link"
    house.people["clerk"] = clerk.user_id
