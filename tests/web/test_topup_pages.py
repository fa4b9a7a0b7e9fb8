"""A top-up's page and its refund: worked out before it is done, by two people from an amount on, spent bonus kept back."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.identity import operations as identity
from loyalty.policy import load_policy
from loyalty.topups.model import Tender
from loyalty.topups.operations import load
from tests.web.office_desk import opened_office

MANAGER_CARD, MANAGER_PIN = "9000 0123 4567 8912", "417302"


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office")) as office:
        async with transaction(office.sessions) as session:
            manager = office.chain.people["station"]
            await identity.issue_staff_card(session, staff_id=manager, card_number=MANAGER_CARD, now=office.chain.world.now)
            await identity.set_staff_pin(session, staff_id=manager, pin=MANAGER_PIN, now=office.chain.world.now)
        yield office
        for desk in office.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


async def one(office, sentence: str, **values):
    async with transaction(office.sessions) as session:
        return (await session.execute(text(sentence), values)).first()


async def topup_of(office, card: str) -> str:
    row = await one(office, "SELECT topup_id FROM topups WHERE card_id = :c ORDER BY topup_id LIMIT 1", c=office.chain.ids[card])
    return f"/office/top-ups/{row[0]}"


@pytest.fixture
def half_used_goes_back(office):
    """Let loads be taken back that are used in part, as the generic profile has it."""
    kept = office.app.state.settings
    office.app.state.settings = replace(kept, policy="generic")
    yield
    office.app.state.settings = kept


async def fresh(office, name: str):
    desk = await office.at(name)
    await one(
        office,
        "UPDATE user_sessions SET stepped_up_at = now() WHERE staff_id = :s AND stage = 'open' RETURNING 1",
        s=office.chain.people[name],
    )
    return desk


@pytest.mark.parametrize(
    ("role", "sees", "refunds"),
    [
        ("office", True, False),
        ("finance", True, True),
        ("auditor", True, False),
        ("district", True, False),
        ("station", True, True),
        ("cashier", True, True),
    ],
)
async def test_who_sees_a_top_up_and_who_gives_it_back(office, role, sees, refunds):
    desk, path = await office.at(role), await topup_of(office, "zhang-card")
    page = await desk.get(path)
    assert page.status_code == (200 if sees else 403)
    assert (f'href="{path}/refund"' in page.text) == refunds
    assert (await desk.get(f"{path}/refund")).status_code == (200 if refunds else 403)


async def test_a_top_up_is_reached_from_its_card_and_from_the_ledger(office):
    desk, path = await office.at("auditor"), await topup_of(office, "zhang-card")
    assert path in (await desk.get(office.fill("/office/accounts/{zhang-card-account}"))).text
    assert path in (await desk.get(office.fill("/office/cards/{zhang-card}"))).text


async def test_what_the_profile_does_not_take_back_is_said_with_what_to_do(office):
    desk, path = await office.at("finance"), await topup_of(office, "zhang-card")
    page = (await desk.get(f"{path}/refund")).text
    assert "该笔充值不能退回" in page
    assert "可按退卡办理" in page
    assert 'name="reason"' not in page


@pytest.mark.usefixtures("half_used_goes_back")
async def test_bonus_that_is_spent_is_kept_back_and_a_second_person_stands_behind_it(office):
    desk, path = await fresh(office, "finance"), await topup_of(office, "zhang-card")
    again = await desk.send(f"{path}/refund", {"amount": "500"}, to=f"{path}/refund/preview")
    assert again.headers["location"] == f"{path}/refund?amount=500.00"
    asked = f"{path}/refund?amount=500.00"
    page = (await desk.get(asked)).text
    assert "已消费" in page
    assert 'name="approver_card"' not in page, "below the amount one person is enough"
    fields = await desk.fields(asked)
    assert fields["amount"] == "500.00"
    assert fields["pays"] == "45000", "a half of the bonus of 100 goes back, and is spent"
    data = {"reason": "customer moved away", "reference": "R-7001"}
    changed = await desk.send(asked, data | {"pays": "50000"}, to=f"{path}/refund")
    assert changed.status_code == 409
    assert await one(office, "SELECT 1 FROM topup_returns") is None, "what was not seen so is not done"
    done = await desk.send(asked, data, to=f"{path}/refund")
    assert (done.status_code, done.headers["location"]) == (303, path)
    row = await one(office, "SELECT amount_minor, paid_minor, bonus_minor, shortfall_minor FROM topup_returns")
    assert tuple(row) == (50_000, 45_000, 0, 5_000)
    assert "¥450.00" in (await desk.get(path)).text


@pytest.mark.usefixtures("half_used_goes_back")
async def test_from_an_amount_on_the_stations_manager_types_card_and_pin(office):
    chain = office.chain
    async with transaction(office.sessions) as session:
        large = await load(
            session,
            policy=load_policy("generic"),
            account_id=chain.ids["firm-main-account"],
            card_id=chain.ids["firm-main"],
            amount_minor=600_000,
            tender=Tender.CARD,
            reference="B-9001",
            station_id=chain.stations[0],
            terminal_id=chain.world.terminal_ids[0],
            actor=Actor(ActorKind.STAFF, chain.people["cashier"]),
            event_at=chain.world.now,
            now=chain.world.now,
        )
    path, desk = f"/office/top-ups/{large.topup_id}", await office.at("cashier")
    page = (await desk.get(f"{path}/refund")).text
    assert 'name="approver_card"' in page
    data = {"reason": "company closed"}
    assert (await desk.send(f"{path}/refund", data)).status_code == 403
    mine = {"approver_card": "9000 0123 4567 8904", "approver_pin": "260715"}
    assert (await desk.send(f"{path}/refund", data | mine)).status_code == 403, "nobody is their own second person"
    wrong = {"approver_card": MANAGER_CARD, "approver_pin": "000000"}
    assert (await desk.send(f"{path}/refund", data | wrong)).status_code == 403
    right = {"approver_card": MANAGER_CARD, "approver_pin": MANAGER_PIN}
    assert (await desk.send(f"{path}/refund", data | right)).status_code == 303
    row = await one(office, "SELECT facts->>'approved_by' FROM topup_events WHERE moved_to = 'refunded' ORDER BY event_id DESC LIMIT 1")
    assert row[0] == str(office.chain.people["station"])
