"""The list of unpaid fills, and a fill paid once by the holder's phone."""

import asyncio
import uuid
from datetime import timedelta

import pytest

from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.model import FILL_MOVES, FillStatus, Operation
from loyalty.authorizations.model_payments import PAYMENT_MOVES, PaymentStatus
from loyalty.authorizations.operations import (
    FillCannotMove,
    FillNotFound,
    FillReportedOtherwise,
    PaymentEnded,
    PaymentNotFound,
    PaymentTaken,
    approve_payment,
    cancel_payment,
    expire_payments,
    lock_fill,
    make_payment_request,
    move_fill,
    record_fill,
    unlock_fill,
)
from loyalty.authorizations.queries import payment_by_token, payment_of_station
from loyalty.db import transaction
from tests.authorizations.desk import books_balance, place, purses, refund, reverse_key, rows, said
from tests.factories.world import give_card

ACTOR = Actor(ActorKind.SYSTEM, "tests")


class Phone:
    """What `approve_payment` needs of a web process."""

    def __init__(self, bench):
        self.bench = bench
        self.sessions = bench.sessions

    @property
    def snapshot(self):
        return self.bench.snapshot

    def now(self):
        return self.bench.now()

    def submit(self, request):
        return (self.bench.completions if request.operation is Operation.COMPLETE else self.bench.cards).submit(request)


@pytest.fixture
async def card(bench):
    async with transaction(bench.sessions) as session:
        return await give_card(session, bench.world, balance_minor=10_000)


async def pump_says(bench, *, reference: str = "P1", **fields):
    facts = {
        "station_id": bench.world.station_id,
        "pump_reference": reference,
        "nozzle": 3,
        "product_id": bench.world.product_ids["92"],
        "quantity_milli": 10_000,
        "unit_price_e4": 78_900,
        "amount_minor": 7_890,
        "finished_at": bench.now(),
        "now": bench.now(),
    }
    async with transaction(bench.sessions) as session:
        return await record_fill(session, **(facts | fields))


async def qr(bench, fill):
    async with transaction(bench.sessions) as session:
        return await make_payment_request(session, fill_id=fill.fill_id, place=place(bench), staff_id=None, now=bench.now())


async def approve(bench, token, card, **fields):
    return await approve_payment(Phone(bench), token=token, card_id=card.card_id, **fields)


async def statuses(bench) -> tuple[list[int], list[str]]:
    fills = await rows(bench, "SELECT status FROM fills ORDER BY pump_reference")
    payments = await rows(bench, "SELECT status FROM payment_requests ORDER BY made_at, request_id")
    return [row["status"] for row in fills], [row["status"] for row in payments]


async def test_a_fill_reported_twice_stands_once(bench):
    first = await pump_says(bench)
    assert (await pump_says(bench)).fill_id == first.fill_id
    with pytest.raises(FillReportedOtherwise):
        await pump_says(bench, amount_minor=7_891)
    assert len(await asyncio.gather(*(pump_says(bench, reference="P2") for _ in range(8)))) == 8
    assert (await statuses(bench))[0] == [1, 1]


async def test_a_sale_takes_the_fill_off_the_list_and_its_void_puts_it_back(bench, card):
    fill = await pump_says(bench)
    key = uuid.uuid4()
    sold = said(await bench.sell(card, product=None, fill_id=fill.fill_id, key=key))
    assert sold["card_minor"] == 7_890
    assert (await statuses(bench))[0] == [FillStatus.PAID]
    await reverse_key(bench, key)
    assert (await statuses(bench))[0] == [FillStatus.UNPAID]
    again = said(await bench.sell(card, product=None, fill_id=fill.fill_id))
    await refund(bench, again["sale"], void=False)
    assert (await statuses(bench))[0] == [FillStatus.PAID]


async def test_a_locked_fill_waits_for_its_phone_only_so_long(bench, card):
    fill = await pump_says(bench)
    async with transaction(bench.sessions) as session:
        await lock_fill(session, fill_id=fill.fill_id, station_id=bench.world.station_id, now=bench.now())
    assert said(await bench.sell(card, product=None, fill_id=fill.fill_id))["reason"] == "fill_locked"
    with pytest.raises(FillCannotMove):
        await qr(bench, fill)
    bench.later = timedelta(seconds=121)
    assert said(await bench.sell(card, product=None, fill_id=fill.fill_id))["outcome"] == "approved"


async def test_a_lock_may_be_given_up(bench, card):
    fill = await pump_says(bench)
    async with transaction(bench.sessions) as session:
        await lock_fill(session, fill_id=fill.fill_id, station_id=bench.world.station_id, now=bench.now())
    async with transaction(bench.sessions) as session:
        await unlock_fill(session, fill_id=fill.fill_id, station_id=bench.world.station_id)
    assert said(await bench.sell(card, product=None, fill_id=fill.fill_id))["outcome"] == "approved"


@pytest.mark.parametrize("status", FillStatus)
@pytest.mark.parametrize("to", [FillStatus.OTHER, FillStatus.TEST, FillStatus.UNPAID])
async def test_a_fill_moves_only_where_the_table_leads(bench, status, to):
    fill = await pump_says(bench)

    async def move(session):
        found = await session.get(type(fill), fill.fill_id)
        found.status = int(status)
        await session.flush()
        return await move_fill(
            session, fill_id=fill.fill_id, station_id=bench.world.station_id, to=to, actor=ACTOR, reason="test", now=bench.now()
        )

    if to in FILL_MOVES[status] and status is not FillStatus.PAID:
        async with transaction(bench.sessions) as session:
            assert (await move(session)).status == to
    else:
        with pytest.raises(FillCannotMove):
            async with transaction(bench.sessions) as session:
                await move(session)


async def test_another_stations_fill_is_not_found(bench):
    fill = await pump_says(bench)
    with pytest.raises(FillNotFound):
        async with transaction(bench.sessions) as session:
            await lock_fill(session, fill_id=fill.fill_id, station_id=uuid.uuid4(), now=bench.now())


async def test_the_holder_pays_by_phone_once_however_often_he_taps(bench, card):
    made = await qr(bench, await pump_says(bench))
    results = await asyncio.gather(*(approve(bench, made.token, card) for _ in range(8)))
    assert {result.status for result in results} == {PaymentStatus.APPROVED}
    assert len({result.answer["sale"] for result in results}) == 1
    assert await statuses(bench) == ([FillStatus.PAID], ["approved"])
    assert await purses(bench, card.account_id) == {1: (2_110, 0)}
    assert (await approve(bench, made.token, card)).answer == results[0].answer
    await books_balance(bench)


async def test_two_phones_cannot_both_pay(bench, card):
    async with transaction(bench.sessions) as session:
        other = await give_card(session, bench.world, balance_minor=10_000)
    made = await qr(bench, await pump_says(bench))
    results = await asyncio.gather(approve(bench, made.token, card), approve(bench, made.token, other), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["PaymentResult", "PaymentTaken"]
    assert len(await rows(bench, "SELECT * FROM sales")) == 1


async def test_a_decline_ends_the_request_and_the_fill_can_be_paid_otherwise(bench, card):
    made = await qr(bench, await pump_says(bench, amount_minor=15_780, quantity_milli=20_000))
    result = await approve(bench, made.token, card)
    assert (result.status, result.answer["reason"]) == (PaymentStatus.DECLINED, "insufficient_funds")
    assert await statuses(bench) == ([FillStatus.UNPAID], ["declined"])


async def test_a_card_that_is_not_the_holders_is_no_card_here(bench, card):
    made = await qr(bench, await pump_says(bench))
    with pytest.raises(PaymentNotFound):
        await approve(bench, made.token, card, allowed=lambda *_: False)
    with pytest.raises(PaymentNotFound):
        await approve(bench, "nonsense", card)


async def test_a_request_runs_out_and_a_new_one_is_made(bench, card):
    fill = await pump_says(bench)
    made = await qr(bench, fill)
    bench.later = timedelta(seconds=121)
    with pytest.raises(PaymentEnded):
        await approve(bench, made.token, card)
    async with transaction(bench.sessions) as session:
        assert await expire_payments(session, now=bench.now()) == 1
    assert await statuses(bench) == ([FillStatus.UNPAID], ["expired"])
    again = await qr(bench, fill)
    with pytest.raises(PaymentEnded):
        await approve(bench, made.token, card)
    assert (await approve(bench, again.token, card)).status is PaymentStatus.APPROVED


async def test_a_lapsed_request_makes_way_without_the_job(bench):
    fill = await pump_says(bench)
    await qr(bench, fill)
    bench.later = timedelta(seconds=121)
    await qr(bench, fill)
    assert await statuses(bench) == ([FillStatus.LOCKED], ["expired", "open"])


async def test_the_till_takes_the_code_back(bench, card):
    made = await qr(bench, await pump_says(bench))
    for _ in range(2):
        async with transaction(bench.sessions) as session:
            await cancel_payment(session, request_id=made.request.request_id, station_id=bench.world.station_id, now=bench.now())
    with pytest.raises(PaymentEnded):
        await approve(bench, made.token, card)
    assert await statuses(bench) == ([FillStatus.UNPAID], ["cancelled"])


async def test_a_paid_request_is_not_taken_back(bench, card):
    made = await qr(bench, await pump_says(bench))
    await approve(bench, made.token, card)
    with pytest.raises(PaymentEnded):
        async with transaction(bench.sessions) as session:
            await cancel_payment(session, request_id=made.request.request_id, station_id=bench.world.station_id, now=bench.now())


async def test_who_died_after_the_sale_is_finished_by_the_job(bench, card, monkeypatch):
    from loyalty.authorizations.operations import payments

    async def die(*_, **__):
        raise RuntimeError("killed")

    made = await qr(bench, await pump_says(bench))
    with monkeypatch.context() as patched:
        patched.setattr(payments, "_finish", die)
        with pytest.raises(RuntimeError):
            await approve(bench, made.token, card)
    with pytest.raises(PaymentEnded):
        async with transaction(bench.sessions) as session:
            await cancel_payment(session, request_id=made.request.request_id, station_id=bench.world.station_id, now=bench.now())
    bench.later = timedelta(seconds=121)
    async with transaction(bench.sessions) as session:
        assert await expire_payments(session, now=bench.now()) == 1
    assert await statuses(bench) == ([FillStatus.PAID], ["approved"])


async def test_a_claimed_request_is_not_taken_back_while_its_sale_is_on_the_way(bench, card):
    made = await qr(bench, await pump_says(bench))
    async with transaction(bench.sessions) as session:
        found = await session.get(type(made.request), made.request.request_id)
        found.card_id, found.account_id = card.card_id, card.account_id
    with pytest.raises(PaymentTaken):
        async with transaction(bench.sessions) as session:
            await cancel_payment(session, request_id=made.request.request_id, station_id=bench.world.station_id, now=bench.now())


async def test_phone_and_till_see_the_same_request(bench, card):
    made = await qr(bench, await pump_says(bench))

    async def seen():
        async with transaction(bench.sessions) as session:
            phone = await payment_by_token(session, token=made.token, now=bench.now())
            till = await payment_of_station(session, request_id=made.request.request_id, station_id=bench.world.station_id, now=bench.now())
        assert phone == till
        return phone

    view = await seen()
    assert (view.status, view.amount_minor, view.product_code, view.nozzle, view.sale_reference) == ("open", 7_890, "92", 3, None)
    bench.later = timedelta(seconds=121)
    assert (await seen()).status == "expired"
    bench.later = timedelta(0)
    result = await approve(bench, made.token, card)
    assert (await seen()).sale_reference == result.answer["sale"]
    with pytest.raises(PaymentNotFound):
        async with transaction(bench.sessions) as session:
            await payment_by_token(session, token="nonsense", now=bench.now())


def test_only_an_open_request_moves():
    assert {status for status in PaymentStatus if PAYMENT_MOVES[status]} == {PaymentStatus.OPEN}
