"""The office's pages of vouchers, gifts and referral before axe, in both languages, light and dark, on a desk and on a phone."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import use_keyring
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.installation import open_keys
from loyalty.ledger.operations import make_partitions
from loyalty.rewards.model_gifts import CENTRAL
from loyalty.rewards.model_vouchers import ValueType
from loyalty.rewards.operations.gift_stock import GiftFacts, count_gifts, put_gift, receive_gifts, send_gifts
from loyalty.rewards.operations.gifts import GiftWish, grant_gifts, reserve_gift
from loyalty.rewards.operations.monthly import MonthlyFacts, put_monthly
from loyalty.rewards.operations.redemptions import redeem, reserve
from loyalty.rewards.operations.referrals import ProgrammeFacts, find_referrals, put_programme
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from loyalty.rewards.operations.vouchers import VoucherWish, issue
from loyalty.rewards.queries.vouchers import outlet_of_station
from loyalty.rewards.referral_rules import Event, Milestone, Reward, RewardKind
from loyalty.settings import Settings
from tests.browser.serving import served
from tests.web.office_chain import PASSWORD, Chain, code_now, fill_office

pytestmark = pytest.mark.browser

PAGES = {
    "kinds": "/office/vouchers",
    "kind": "/office/vouchers/kinds/fifty/edit",
    "voucher": "/office/vouchers/{voucher}",
    "monthly": "/office/vouchers/monthly",
    "monthly-new": "/office/vouchers/monthly/new",
    "gifts": "/office/gifts",
    "gift": "/office/gifts/towel",
    "gift-edit": "/office/gifts/towel/edit",
    "gift-send": "/office/gifts/towel/send",
    "referrals": "/office/referrals",
    "programme": "/office/referrals/friends",
    "programme-edit": "/office/referrals/friends/edit",
    "decision": "/office/referrals/decisions/{referral}",
}
ACTOR = Actor(ActorKind.SYSTEM, "tests")


async def leave(session, chain: Chain, now: datetime) -> dict[str, str]:
    """Something of everything: a voucher used in part, stock here and on its way, a referral that waits for a person."""
    zone = {"zone": "Asia/Shanghai"}
    fifty = {"face_minor": 5_000, "currency": "CNY", "partial": True, "validity_days": 30, "limit_total": 500}
    kinds = {
        "fifty": KindFacts(name_zh="五十元加油券", name_en="50 off fuel", value_type=ValueType.MONEY, **fifty, **zone),
        "wash": KindFacts(name_zh="免费洗车", name_en="Free wash", value_type=ValueType.SERVICE, item="wash", plate_bound=True, **zone),
    }
    for code, facts in kinds.items():
        await put_kind(session, code=code, facts=facts, actor=ACTOR, now=now)
    here, zhang = chain.stations[0], chain.ids["zhang"]
    issued = await issue(session, wish=VoucherWish("fifty", "office", "x", zhang), actor=ACTOR, now=now)
    at = await outlet_of_station(session, station_id=here)
    clerk = Actor(ActorKind.STAFF, chain.people["cashier"])
    use = {"at": at, "key": issued.voucher_ids[0], "actor": clerk, "now": now}
    await reserve(session, voucher_id=issued.voucher_ids[0], amount_minor=1_234, **use)
    await redeem(session, **use)
    monthly = MonthlyFacts(name_zh="金卡每月洗车", name_en="Gold's monthly wash", kind="wash", tiers=("gold",), starts_at=now, **zone)
    await put_monthly(session, code="gold-wash", facts=monthly, actor=ACTOR, now=now)
    towel = GiftFacts(name_zh="毛巾", name_en="Towel", points_steps=((1, 500), (2, 900)), threshold_minor=50_000, currency="CNY", **zone)
    await put_gift(session, code="towel", facts=towel, actor=ACTOR, now=now)
    for place, pieces in ((CENTRAL, 80), (here, 20)):
        await receive_gifts(session, code="towel", place_id=place, pieces=pieces, actor=ACTOR, now=now)
    await send_gifts(session, code="towel", from_id=CENTRAL, to_id=here, pieces=30, actor=clerk, now=now)
    await count_gifts(session, code="towel", place_id=here, counted=19, actor=clerk, now=now, note="月末")
    (right,) = await grant_gifts(session, wishes=[GiftWish("towel", "office", "x", zhang)], actor=ACTOR, now=now)
    await reserve_gift(session, entitlement_id=right, station_id=here, actor=clerk, now=now)
    points, voucher = Reward(kind=RewardKind.POINTS, amount=500), Reward(kind=RewardKind.VOUCHER, amount=1, item="fifty")
    milestones = (
        Milestone(code="m1", event=Event.FIRST_LOAD, at_least=10_000, referrer=(points,), referee=(voucher,)),
        Milestone(code="m2", event=Event.FILLS, at_least=3, referrer=(voucher,)),
    )
    named = {"name_zh": "老带新", "name_en": "Bring a friend", "currency": "CNY"}
    programme = ProgrammeFacts(**named, milestones=milestones, starts_at=now - timedelta(days=400), within_days=90, most_each=10, **zone)
    await put_programme(session, code="friends", facts=programme, actor=ACTOR, now=now)
    await session.execute(
        text("UPDATE customers SET referrer_id = :old, created_at = created_at + interval '1 second' WHERE customer_id = :new"),
        {"old": zhang, "new": chain.ids["firm"]},
    )
    await find_referrals(session, code="friends", now=now)
    referral = (await session.execute(text("SELECT referral_id FROM referrals WHERE status = 'held'"))).scalar_one()
    return {"voucher": str(issued.voucher_ids[0]), "referral": str(referral)}


@pytest.fixture(scope="module")
async def rewards(databases, tmp_path_factory):
    """Yield the address of an office with rewards, and ids of what lies there."""
    url, folder = await databases.clone(), tmp_path_factory.mktemp("rewards")
    settings = Settings(database_url=url, data_dir=folder / "data", keys_dir=folder / "keys")
    now = datetime.now(UTC) - timedelta(minutes=2)
    owner = make_engine(url)
    sessions = make_sessions(owner)
    async with transaction(sessions) as session:
        await make_partitions(session, now=now, months_back=2)
    await open_keys(settings, owner, now=now)
    chain = await fill_office(sessions, url, now=now, with_sales=False)
    async with transaction(sessions) as session:
        ids = await leave(session, chain, now)
    await owner.dispose()
    use_keyring(None)
    with served(url, folder) as site:
        yield site, ids
    await databases.drop(url)


async def log_in(page, site: str, later: timedelta) -> None:
    await page.goto(f"{site}/office/log-in")
    await page.fill("#f-name", "office")
    await page.fill("#f-password", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#f-code")
    # A code is good once: each log-in takes the next one.
    await page.fill("#f-code", code_now(datetime.now(UTC) + later))
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/office")


@pytest.mark.parametrize(
    ("locale", "theme", "width", "later"),
    [("zh_CN", "light", 1360, timedelta(0)), ("en", "dark", 390, timedelta(seconds=30))],
)
async def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_the_window(reader, rewards, faults_of, locale, theme, width, later):
    site, ids = rewards
    page = await reader(locale=locale, theme=theme, width=width)
    await log_in(page, site, later)
    found = {}
    for name, path in PAGES.items():
        assert (await page.goto(site + path.format(**ids))).ok, path
        faults = await faults_of(page)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        found[name] = [*faults, *([f"{wide} wide"] if wide > width else [])]
        if folder := os.environ.get("LOYALTY_PICTURES_OF_TESTS"):
            await page.screenshot(path=str(Path(folder) / f"rewards-{name}-{locale}-{width}.png"), full_page=True)
    assert {name: faults for name, faults in found.items() if faults} == {}
