"""When the line is down: what a till may sell, what it keeps, and how it is booked afterwards."""

from datetime import datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from loyalty import clock
from loyalty.cards.numbers import check_value, check_value_index
from loyalty.crypto import TokenError, stop_list_entry
from loyalty.db import transaction
from loyalty.ledger.model import AccountStatus
from loyalty.ledger.operations import move_account
from loyalty.pos.line import Line
from loyalty.pos_client import Card, Fuel, MemoryStore, OfflineRefusedError, ProblemError, Till
from loyalty.pos_client.allowance import allow_offline, profile_of
from loyalty.pos_client.state import Offline, Profile, Used
from loyalty.signing import sign_request
from loyalty.stations.model import TerminalStatus
from loyalty.stations.operations import move_terminal
from tests.factories.world import PIN, SYSTEM

ZONE = "Asia/Shanghai"
NOW = datetime.fromisoformat("2026-09-24T02:15:00+00:00")
NUMBER = "8810012345678903"


def litres(milli: int) -> Fuel:
    return Fuel(product="92", quantity_milli=milli, unit_price_e4=78_900, amount_minor=milli * 78_900 // 100_000, nozzle=3)


def profile(**figures) -> Profile:
    standard = {
        "code": "personal",
        "number_bin": "8810",
        "allowed": True,
        "fill_amount_minor": 30_000,
        "fill_quantity_milli": 60_000,
        "day_amount_minor": 50_000,
        "day_quantity_milli": 100_000,
        "day_count": 3,
        "station_amount_minor": 2_000_000,
        "shrink_percent_per_hour": 10,
    }
    return Profile(**(standard | figures))


def package(*profiles: Profile, stopped: tuple[str, ...] = (), age: timedelta = timedelta(0), cap: int | None = None) -> Offline:
    key = bytes(32)
    return Offline(
        synced_at=NOW - age,
        day="2026-09-24",
        day_key=key,
        stopped=[stop_list_entry(key, number) for number in stopped],
        profiles=list(profiles),
        terminal_max_minor=cap,
    )


def ask(offline: Offline | None, *, amount: int = 10_000, quantity: int = 10_000, used: tuple[Used, ...] = ()) -> Used:
    return allow_offline(offline, used, number=NUMBER, amount_minor=amount, quantity_milli=quantity, day="2026-09-24", now=NOW)


@pytest.mark.parametrize(
    ("offline", "amount", "reason"),
    [
        (None, 1, "offline_never_synchronised"),
        (package(profile(), stopped=(NUMBER,)), 1, "offline_card_stopped"),
        (package(profile(allowed=False)), 1, "offline_not_allowed"),
        (package(profile(number_bin="9999")), 1, "offline_not_allowed"),
        (package(profile()), 30_001, "offline_amount_limit"),
        (package(profile(), age=timedelta(hours=5)), 15_001, "offline_amount_limit"),
        (package(profile(), age=timedelta(hours=11)), 1, "offline_amount_limit"),
        (package(profile(), cap=9_999), 10_000, "offline_amount_limit"),
    ],
)
def test_the_allowance_says_no(offline, amount, reason):
    with pytest.raises(OfflineRefusedError) as refused:
        ask(offline, amount=amount)
    assert refused.value.reason == reason


def test_each_sale_uses_the_day_up_by_amount_litres_and_count():
    offline = package(profile())
    first = ask(offline, amount=30_000)
    with pytest.raises(OfflineRefusedError) as refused:
        ask(offline, amount=20_001, used=(first,))
    assert refused.value.remaining_minor == 20_000
    small = ask(offline, amount=1)
    with pytest.raises(OfflineRefusedError, match="offline_count_limit"):
        ask(offline, amount=1, used=(small, small, small))


def test_of_products_with_one_prefix_the_least_counts():
    both = profile_of([profile(), profile(code="fleet", fill_amount_minor=5_000, day_count=9)], NUMBER)
    assert both is not None
    assert (both.fill_amount_minor, both.day_count) == (5_000, 3)


@pytest.fixture
async def chip(site, card) -> str:
    """The check value on the card's chip; the card was activated at a counter."""
    value = check_value(card.number)
    async with transaction(site.sessions) as session:
        await session.execute(
            text("UPDATE cards SET check_value_index = :index, activated_at = created_at WHERE card_id = :card"),
            {"index": check_value_index(card.number, value), "card": card.card_id},
        )
    return value


async def test_the_package_is_the_issuers_and_names_the_lost_card(manned, card, chip):
    await manned.report_lost(card.number, reason="lost")
    offline = await manned.synchronise()
    assert stop_list_entry(offline.day_key, card.number) in offline.stopped
    with pytest.raises(OfflineRefusedError, match="offline_card_stopped"):
        await manned.sell_offline(
            Card(number=card.number, check_value="12345678"), body={"fuel": litres(10_000), "event_at": NOW}, zone=ZONE
        )


async def test_the_cards_of_a_frozen_account_are_stopped(till, site, card, chip):
    async with transaction(site.sessions) as session:
        await move_account(session, account_id=card.account_id, to=AccountStatus.FROZEN, now=site.world.now)
    offline = await till.synchronise()
    assert stop_list_entry(offline.day_key, card.number) in offline.stopped


async def test_a_forged_stop_list_is_not_believed(site):
    class Forging(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request):
            response = await super().handle_async_request(request)
            if request.url.path == "/v1/offline-package":
                body = (await response.aread()).replace(b'"stop_list":"AQ', b'"stop_list":"AR')
                return httpx.Response(200, content=body)
            return response

    async with httpx.AsyncClient(base_url=site.base_url, transport=Forging()) as http, await site.till(http=http) as till:
        with pytest.raises(TokenError):
            await till.synchronise()


async def test_a_number_alone_is_never_sold_to_offline(till, card):
    await till.synchronise()
    with pytest.raises(OfflineRefusedError, match="offline_check_value_needed"):
        await till.sell_offline(Card(number=card.number, pin=PIN), body={"fuel": litres(10_000)}, zone=ZONE)


@pytest.fixture
async def line(site):
    return Line()


@pytest.fixture
async def cut(site, line):
    """A till on a line that can be cut."""
    async with httpx.AsyncClient(base_url=site.base_url, transport=line) as http, await site.till(http=http) as till:
        await till.synchronise()
        yield till


async def test_a_sale_without_a_line_is_kept_and_booked_when_it_is_back(cut, line, card):
    line.down = True
    holder = Card(number=card.number, pin=PIN, check_value="12345678")
    sold = await cut.sell(holder, fuel=litres(10_000), offline_in=ZONE)
    assert sold["outcome"] == "approved_offline"
    line.restore()
    results = await cut.report_offline()
    assert [(result["answer"]["outcome"], result["answer"]["card_minor"]) for result in results] == [("booked", 7_890)]
    assert results[0]["answer"]["flags"] == ["offline"]
    assert [entry.sequence for entry in cut.state.journal] == [1], "what never left leaves no gap in the chain"
    assert (await cut.report_offline(), cut.state.queue, cut.state.used) == ([], [], [])
    assert (await cut.balance(Card(number=card.number, pin=PIN)))["balance_minor"] == 92_110


async def test_a_sale_whose_answer_was_lost_is_not_booked_twice(cut, line, card, chip):
    line.lose_answers = 1
    holder = Card(number=card.number, pin=PIN, check_value=chip)
    assert (await cut.sell(holder, fuel=litres(10_000), offline_in=ZONE))["outcome"] == "approved_offline"
    line.restore()
    results = await cut.report_offline()
    assert "superseded_by" in results[0]
    assert (await cut.balance(Card(number=card.number, pin=PIN)))["balance_minor"] == 92_110


async def test_a_lost_sale_that_the_till_went_on_without_is_taken_back(cut, line, card, chip):
    line.lose_answers = 1
    with pytest.raises(OfflineRefusedError, match="offline_amount_limit"):
        await cut.sell(Card(number=card.number, pin=PIN, check_value=chip), fuel=litres(40_000), offline_in=ZONE)
    line.restore()
    results = await cut.report_offline()
    assert (results[0]["reversal"]["outcome"], results[0]["reversal"]["refund"]["card_minor"]) == ("reversed", 31_560)
    assert (await cut.balance(Card(number=card.number, pin=PIN)))["balance_minor"] == 100_000
    assert cut.state.pending == []


async def test_offline_sales_above_the_funds_are_owed(cut, line, site):
    poor = await site.card(balance_minor=5_000)
    line.down = True
    await cut.sell(Card(number=poor.number, pin=PIN, check_value="12345678"), fuel=litres(10_000), offline_in=ZONE)
    line.restore()
    answer = (await cut.report_offline())[0]["answer"]
    assert (answer["card_minor"], answer["receivable_minor"]) == (7_890, 2_890)
    assert set(answer["flags"]) == {"offline", "receivable"}


async def test_a_quarantined_till_reports_but_begins_nothing(cut, line, site, card):
    line.down = True
    await cut.sell(Card(number=card.number, pin=PIN, check_value="12345678"), fuel=litres(10_000), offline_in=ZONE)
    line.restore()
    async with transaction(site.sessions) as session:
        await move_terminal(
            session,
            terminal_id=site.world.terminal_ids[0],
            to=TerminalStatus.QUARANTINED,
            reason="test",
            actor=SYSTEM,
            now=clock.business_now(),
        )
    assert "terminal" in (await cut.report_offline())[0]["answer"]["flags"]
    with pytest.raises(ProblemError) as refused:
        await cut.place()
    assert refused.value.code == "terminal_not_trusted"


async def test_a_closed_session_signs_nothing_more(till):
    await till.place()
    session = await till.session()
    async with httpx.AsyncClient(base_url=till.state.base_url) as http:
        for path, method in (("/v1/terminals/sessions/current", "DELETE"), ("/v1/terminals/current", "GET")):
            headers = sign_request(
                method=method,
                path=path,
                idempotency_key=str(uuid4()),
                key_id=till._session_id,
                mac_key=session.mac_key,
                now=clock.real_now(),
            )
            reply = await http.request(method, path, headers=headers)
    assert (reply.status_code, reply.json()["facts"]["fault"]) == (401, "signature_unknown_key")


async def test_what_a_till_sold_offline_survives_its_restart(site, line, card):
    store = MemoryStore()
    async with httpx.AsyncClient(base_url=site.base_url, transport=line) as http:
        till = await Till.enrol(
            site.base_url, code=await site.code(), store=store, http=http, business_clock=clock.business_now, backoff_s=0.0
        )
        await till.synchronise()
        line.down = True
        await till.sell(Card(number=card.number, pin=PIN, check_value="12345678"), fuel=litres(10_000), offline_in=ZONE)
    async with Till(store, business_clock=clock.business_now) as again:
        assert (await again.report_offline())[0]["answer"]["card_minor"] == 7_890
