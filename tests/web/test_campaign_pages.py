"""What campaigns did, on the office's pages: empty, young, judged; the figures themselves are worked out in the queries' tests."""

import re
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import text

from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.ledger.model import AccountKind
from loyalty.ledger.operations import open_account
from loyalty.pricing.document import When
from tests.rewards.earning import sold
from tests.rewards.people import new_customer
from tests.rewards.test_campaigns import FIVE_OFF, drawn_id, live, off, shopper, thanks
from tests.web.office_desk import opened_office

DAY = timedelta(days=1)
KINDS = {"thanks": AccountKind.PERSONAL, "even": AccountKind.ANONYMOUS, "drawn": AccountKind.COMPANY}
"""Each campaign is for one kind of account, so that their customers are not each other's."""


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office"), with_sales=False) as office:
        yield office
        for desk in office.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


@pytest.fixture(scope="module")
async def campaigns(office):
    """Three campaigns since five days that hold out half, and one that nothing names."""
    now = datetime.now(UTC) - timedelta(minutes=5)
    assert "还没有生效过的活动" in words((await (await office.at("office")).get("/office/campaigns")).text)
    world = office.chain.world
    rules = [
        msgspec.structs.replace(FIVE_OFF, code=f"five-{code}", campaign=code, when=When(account_kinds=(kind.value,), flyers=("AUTUMN",)))
        for code, kind in KINDS.items()
    ]
    made = [thanks(code=code, hold_out_basis_points=5_000) for code in KINDS]
    async with transaction(office.sessions) as session:
        book = await live(session, now - 5 * DAY, rules=tuple(rules), campaigns=(*made, thanks(code="quiet")))
        reached = await shopper(session, now, held_out=False, opened=20 * DAY, bought=((10 * DAY, 5_000, 6_000),), world=world)
        given = [off(book) | {"rule": "five-thanks"}]
        sale = await sold(session, world, reached, book, given, at=now - DAY, amount_minor=20_000, litres_milli=25_000)
        await session.execute(text("UPDATE sales SET business_day = :day WHERE sale_id = :sale"), {"day": (now - DAY).date(), "sale": sale})
        await shopper(session, now, held_out=True, opened=20 * DAY, bought=((10 * DAY, 5_000, 6_000), (DAY, 7_000, 8_000)), world=world)
        await crowd(session, now, world, "even", offered=10_000, held_out=10_000)
        await crowd(session, now, world, "drawn", offered=40_000, held_out=10_000)
        leak = drawn_id(held_out=True, code="even")
        await open_account(
            session, account_id=leak, kind=KINDS["even"], currency="CNY", customer_id=None, card_product_id=None, now=now - 2 * DAY
        )
        await sold(session, world, leak, book, [off(book) | {"rule": "five-even"}], at=now - DAY, amount_minor=15_000)
        await new_customer(session, now - 3 * DAY, flyer_code="AUTUMN")
    return list(KINDS)


async def crowd(session, now, world, code, *, offered, held_out) -> None:
    """Let thirty-one of each group buy, every second one twice as much."""
    for is_held, spent in ((False, offered), (True, held_out)):
        for place in range(31):
            account_id = drawn_id(held_out=is_held, code=code)
            facts = {"kind": KINDS[code], "currency": "CNY", "customer_id": None, "card_product_id": None, "now": now - 2 * DAY}
            await open_account(session, account_id=account_id, **facts)
            await sold(session, world, account_id, 0, [], at=now - DAY, amount_minor=spent * (1 + place % 2))


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


async def part(office, path: str) -> str:
    """Return what comes into the page once it is reckoned."""
    answer = await (await office.at("office")).get(f"/office/campaigns/{path}", **{"hx-request": "true"})
    assert answer.status_code == 200, answer.text[:600]
    assert "<html" not in answer.text
    return words(answer.text)


async def test_a_campaigns_figures_come_each_by_itself(office, campaigns):
    page = (await (await office.at("office")).get("/office/campaigns/thanks")).text
    for name in ("results", "uplift", "budgets", "flyers"):
        assert f'hx-get="/office/campaigns/thanks/{name}"' in page
    found = await part(office, "thanks/results")
    for said in ("触达客户 1", "费用 ¥5.00", "优惠 1 1 ¥5.00 ¥0.00 ¥5.00", "总部 1 ¥4.00"):
        assert said in found
    left = await part(office, "thanks/budgets")
    assert "¥1,000.00 中已用 ¥0.00" in left
    assert "AUTUMN 1 0 0" in await part(office, "thanks/flyers")


async def test_a_campaign_that_gave_nothing_says_so(office, campaigns):
    assert "还没有给出优惠" in await part(office, "quiet/results")
    assert "没有对照组，无法判断效果" in await part(office, "quiet/uplift")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("thanks", "每组至少需要 30 位客户；活动组 1 位，对照组 1 位。"),
        ("thanks", "其中触达 1 1 ¥200.00 25.00 升"),
        ("thanks", "对照组 1 1 ¥70.00 8.00 升"),
        ("even", "差异未超过随机波动"),
        ("even", "对照组中有 1 位客户仍获得了优惠"),
        # 46 of 31 × 100.00 against 46 of 31 × 400.00: 445.16 more each.
        ("drawn", "活动客户人均多消费 ¥445.16"),
    ],
)
async def test_the_verdict_is_one_plain_sentence(office, campaigns, code, says):
    assert says in await part(office, f"{code}/uplift")


async def test_days_are_listed_a_month_at_a_time_and_exported_as_shown(office, campaigns):
    desk = await office.at("finance")
    day = datetime.now(UTC) - timedelta(minutes=5) - DAY
    path = f"/office/campaigns/thanks/days?month={day:%Y-%m}"
    page = words((await desk.get(path)).text)
    assert "总部 优惠 1 ¥4.00" in page
    file = (await desk.get(path.replace("days", "days.csv"))).text.splitlines()
    assert [line.split(",")[2:5] for line in file[1:]] == [["优惠", "1", "4.00"], ["优惠", "1", "1.00"]]
    assert "该月没有给出优惠" in words((await desk.get("/office/campaigns/quiet/days")).text)
    assert (await desk.get("/office/campaigns/none")).status_code == 404


async def test_flyer_codes_tell_whom_they_brought(office, campaigns):
    desk = await office.at("office")
    assert "AUTUMN 1 0 0 ¥0.00 0 0 ¥0.00 0" in words((await desk.get("/office/flyers")).text)
    assert "没有凭传单码而来的客户" in words((await desk.get("/office/flyers?since=2020-01-01&until=2020-02-01")).text)
    moved = await desk.get("/office/flyer-codes.csv?since=2020-01-01")
    assert (moved.status_code, moved.headers["location"]) == (303, "/office/flyers.csv?since=2020-01-01")


@pytest.mark.parametrize(
    "path",
    [
        "/office/campaigns",
        "/office/campaigns.xlsx",
        "/office/campaigns/thanks",
        "/office/campaigns/thanks/results",
        "/office/campaigns/drawn/uplift",
        "/office/campaigns/thanks/days",
        "/office/flyers",
        "/office/flyers.csv",
    ],
)
async def test_who_may_sees_it_in_both_languages(office, campaigns, path):
    for name in ("office", "finance", "auditor"):
        for language in ("zh", "en"):
            answer = await (await office.at(name)).get(path, **{"accept-language": language})
            assert answer.status_code == 200, (path, name, language)
    for name in ("district", "cashier"):
        assert (await (await office.at(name)).get(path)).status_code == 403


async def test_the_figures_come_as_json_too(office, campaigns):
    """Of the drawn campaign as the page judges it, of the quiet one nothing; whoever may not see the page may not see these."""
    client = (await office.at("office")).client

    async def ask(path: str, *, status: int = 200):
        answer = await client.get(f"/office/api/campaigns{path}")
        assert answer.status_code == status, (path, answer.text[:600])
        return answer.json()

    assert {one["campaign"]["code"] for one in await ask("/")} == {"thanks", "even", "drawn", "quiet"}
    assert (await ask("/thanks"))["rules"] == ["five-thanks"]
    results = await ask("/thanks/results")
    assert (results["customers"], results["times"], [one["kind"] for one in results["kinds"]]) == (1, 1, ["discount"])
    today = datetime.now(UTC).date()
    costs = await ask(f"/thanks/costs?first={today - 7 * DAY}&last={today + 2 * DAY}")
    assert sum(one["amount"] for one in costs) == results["kinds"][0]["given"]
    assert (await ask(f"/thanks/costs?first={today}&last={today}", status=422))["code"] == "days_not_in_order"
    uplift = await ask("/drawn/uplift")
    assert uplift["spend"]["verdict"] == "more"
    assert uplift["offered"]["mean_minor"] - uplift["held_out"]["mean_minor"] == uplift["spend"]["difference"]
    assert (await ask("/even/uplift"))["leaked"] == 1
    assert [one["code"] for one in await ask("/thanks/flyers")] == ["AUTUMN"]
    assert await ask("/quiet/flyers") == []
    assert (await ask("/none", status=404))["code"] == "campaign_not_found"
    cashier = (await office.at("cashier")).client
    assert (await cashier.get("/office/api/campaigns/")).status_code == 403
