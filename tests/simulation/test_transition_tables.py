"""Every status × status of the tables that no room's own test walks; and the pump's decisions, held to theirs."""

import uuid
from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import text

from loyalty.authorizations.decision import Decision, Write
from loyalty.authorizations.facts import AuthorizationFacts, Place
from loyalty.authorizations.model import FILL_MOVES, MOVES, OPEN, SALE_MOVES, Authorization, FillStatus, SaleStatus, Status
from loyalty.authorizations.model_payments import PAYMENT_MOVES, PaymentStatus
from loyalty.authorizations.operations.fills import FillCannotMove, lock_fill, move_fill, record_fill, unlock_fill
from loyalty.authorizations.operations.holds import AuthorizationCannotMove, end_hold
from loyalty.authorizations.settling import decide_completion
from loyalty.authorizations.wire import CompletionRequest
from loyalty.ledger.model import ACCOUNT_MOVES, AccountKind, AccountStatus
from loyalty.ledger.operations import AccountCannotMove, move_account, open_account
from loyalty.ledger.rules import DEFAULT_ORDER, PurseView
from loyalty.pricing.basket import Where
from loyalty.stations.model import SHIFT_MOVES, STATION_MOVES, TERMINAL_MOVES, ShiftStatus, StationStatus, TerminalStatus
from loyalty.stations.operations import move_station, move_terminal
from loyalty.stations.operations.places import StationCannotMove
from loyalty.stations.operations.shifts import ShiftNotRunning, _move
from loyalty.stations.operations.terminals import TerminalCannotMove
from tests.conftest import NOW
from tests.factories.world import SYSTEM, give_card, make_world

TABLES = [
    (MOVES, Status),
    (SALE_MOVES, SaleStatus),
    (FILL_MOVES, FillStatus),
    (PAYMENT_MOVES, PaymentStatus),
    (ACCOUNT_MOVES, AccountStatus),
    (STATION_MOVES, StationStatus),
    (TERMINAL_MOVES, TerminalStatus),
    (SHIFT_MOVES, ShiftStatus),
]
REPEATED = {
    (Status.PART_COMPLETED, Status.PART_COMPLETED),
    (Status.COMPLETED, Status.COMPLETED),
    (SaleStatus.PART_REFUNDED, SaleStatus.PART_REFUNDED),
}


@pytest.mark.parametrize(("moves", "statuses"), TABLES)
def test_every_status_has_its_row_and_only_parts_repeat(moves, statuses):
    assert set(moves) == set(statuses)
    assert {(status, status) for status in statuses if status in moves[status]} <= REPEATED


# What the pump decides

_IDS = [uuid.uuid4() for _ in range(5)]
PLACE = Place(
    terminal_id=_IDS[0],
    terminal_status="active",
    amount_max_minor=None,
    station_id=_IDS[1],
    station_status="open",
    district_id=_IDS[2],
    region_id=_IDS[3],
    entity_id=_IDS[4],
    zone="UTC",
    currency="CNY",
    digits=2,
    where=Where(_IDS[1], _IDS[2], _IDS[3], "CNY", 2),
)
BEFORE = [(0, 0), (12_000, 9_468)]
REPORTED = [(milli, amount, final) for milli, amount in ((0, 0), (5_000, 3_945), (60_000, 47_340), (0, 500)) for final in (True, False)]


def completed(present: Status, captured: tuple[int, int], reported: tuple[int, int, bool]) -> Decision:
    account, purse, station = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    held = 20_000 if present in OPEN else 0
    original = AuthorizationFacts(
        account_id=account,
        authorization_id=uuid.uuid4(),
        card_id=uuid.uuid4(),
        chain_id=uuid.uuid4(),
        station_id=station,
        product_id=uuid.uuid4(),
        status=present,
        reason=0,
        flow=2,
        nozzle=1,
        approved_minor=29_468,
        approved_milli=37_349,
        unit_price_e4=78_900,
        holds=((purse, held),) if held else (),
        captured_minor=captured[1],
        captured_milli=captured[0],
        completions=int(any(captured)),
        frozen=None,
        event_at=NOW,
        expires_at=NOW + timedelta(hours=1),
        business_day=NOW.date(),
        card_product_id=uuid.uuid4(),
        number_tail="0000",
        currency="CNY",
        purses=[PurseView(purse, 1, "CNY", 30_000, held)],
    )
    decision = Decision(
        Write.COMPLETION, station_id=station, event_at=NOW, business_day=NOW.date(), subject_id=uuid.uuid4(), currency="CNY"
    )
    decision.account_id = account
    milli, amount, final = reported
    return decide_completion(
        decision,
        CompletionRequest(quantity_milli=milli, unit_price_e4=78_900, amount_minor=amount, final=final),
        original=original,
        product=None,
        sold=None,
        place=PLACE,
        book=None,
        spend_order=DEFAULT_ORDER,
        exact=False,
        now=NOW,
        local=NOW,
    )


@pytest.mark.parametrize(("present", "captured", "reported"), [*product(Status, BEFORE, REPORTED)])
def test_a_completion_makes_only_moves_of_the_table(present, captured, reported):
    """Whatever the pump reports: declined ones are not found at all, an ended one stays as it is where nothing was delivered."""
    if present in {Status.DECLINED, Status.MORE_DATA}:
        return
    decision = completed(present, captured, reported)
    unchanged = decision.status == present and not any(reported[:2])
    assert unchanged or Status(decision.status) in MOVES[present]
    assert decision.card_minor == reported[1], "fuel in the tank is booked in every status"
    assert sum(transfer[2] for transfer in decision.transfers) == reported[1]
    left = (20_000 if present in OPEN else 0) + sum(change.held for change in decision.changes)
    assert left >= 0
    assert left == 0 or decision.status in {*OPEN, present}


# What ends a hold


@pytest.fixture
async def world(session, now):
    return await make_world(session, now=now)


@pytest.mark.parametrize(("present", "to"), [*product(Status, [Status.RELEASED, Status.REVERSED, Status.COMPLETED])])
async def test_a_hold_ends_by_moves_of_the_table_only(session, world, now, present, to):
    card = await give_card(session, world)
    held = 500 if present in OPEN else 0
    await session.execute(text("UPDATE purses SET held_minor = :held WHERE purse_id = :id"), {"held": held, "id": card.principal_id})
    authorization = Authorization(
        account_id=card.account_id,
        authorization_id=uuid.uuid4(),
        card_id=card.card_id,
        chain_id=card.card_id,
        terminal_id=world.terminal_ids[0],
        station_id=world.station_id,
        status=present,
        reason=0,
        flow=2,
        nozzle=None,
        product_id=world.product_ids["92"],
        requested_minor=500,
        approved_minor=500,
        approved_milli=634,
        unit_price_e4=78_900,
        hold_purses=[card.principal_id] if held else [],
        hold_minors=[held] if held else [],
        captured_minor=0,
        captured_milli=0,
        completions=0,
        frozen=None,
        prompts=None,
        flags=0,
        event_at=now,
        booked_at=now,
        expires_at=None,
        business_day=now.date(),
    )
    allowed = present in OPEN and to in MOVES[present]
    if allowed:
        session.expunge_all()
        assert await end_hold(session, authorization, to=to, evidence="x", now=now) == 500
        assert (authorization.status, authorization.hold_minors) == (to, [])
    else:
        with pytest.raises(AuthorizationCannotMove):
            await end_hold(session, authorization, to=to, evidence="x", now=now)


# Fills, accounts, stations, tills, shifts


@pytest.mark.parametrize(("present", "to"), [*product(FillStatus, FillStatus)])
async def test_a_fill_moves_by_the_table_only(session, world, now, present, to):
    fill = await record_fill(
        session,
        station_id=world.station_id,
        pump_reference=str(uuid.uuid4()),
        nozzle=1,
        product_id=world.product_ids["92"],
        quantity_milli=1_000,
        unit_price_e4=78_900,
        amount_minor=789,
        finished_at=now,
        now=now,
    )
    fill.status, fill.locked_until = present, now + timedelta(minutes=1) if present is FillStatus.LOCKED else None
    await session.flush()
    where = {"fill_id": fill.fill_id, "station_id": world.station_id}
    if to is FillStatus.PAID:
        return  # by a sale only: the pump's own tests, and the table's property above
    if to is FillStatus.LOCKED:
        work = lock_fill(session, **where, now=now)
    elif to is FillStatus.UNPAID and present is FillStatus.LOCKED:
        work = unlock_fill(session, **where)
    else:
        work = move_fill(session, **where, to=to, actor=SYSTEM, reason="x", now=now)
    # A paid fill goes back by voiding its sale only.
    if to in FILL_MOVES[present] and present is not FillStatus.PAID:
        assert (await work).status == to
    else:
        with pytest.raises(FillCannotMove):
            await work


@pytest.mark.parametrize(("present", "to"), [*product(AccountStatus, AccountStatus)])
async def test_an_account_moves_by_the_table_only(session, now, present, to):
    account_id = await open_account(session, kind=AccountKind.PERSONAL, currency="CNY", customer_id=None, card_product_id=None, now=now)
    await session.execute(text("UPDATE accounts SET status = :status WHERE account_id = :id"), {"status": present, "id": account_id})
    if to in ACCOUNT_MOVES[present]:
        account = await move_account(session, account_id=account_id, to=to, now=now)
        assert (account.status, account.closed_at) == (to, now if to is AccountStatus.CLOSED else None)
    else:
        with pytest.raises(AccountCannotMove):
            await move_account(session, account_id=account_id, to=to, now=now)


@pytest.mark.parametrize(("present", "to"), [*product(StationStatus, StationStatus)])
async def test_a_station_moves_by_the_table_only(session, world, now, present, to):
    await session.execute(text("UPDATE stations SET status = :status WHERE station_id = :id"), {"status": present, "id": world.station_id})
    session.expire_all()
    work = move_station(session, station_id=world.station_id, to=to, reason="x", actor=SYSTEM, now=now)
    if to in STATION_MOVES[present]:
        assert (await work).status is to
    else:
        with pytest.raises(StationCannotMove):
            await work


@pytest.mark.parametrize(("present", "to"), [*product(TerminalStatus, TerminalStatus)])
async def test_a_till_moves_by_the_table_only(session, world, now, present, to):
    terminal_id = world.terminal_ids[0]
    await session.execute(text("UPDATE terminals SET status = :status WHERE terminal_id = :id"), {"status": present, "id": terminal_id})
    session.expire_all()
    work = move_terminal(session, terminal_id=terminal_id, to=to, reason="x", actor=SYSTEM, now=now)
    if to in TERMINAL_MOVES[present]:
        assert (await work).status is to
    else:
        with pytest.raises(TerminalCannotMove):
            await work


class AShift:
    def __init__(self, status: ShiftStatus) -> None:
        self.status = status


@pytest.mark.parametrize(("present", "to"), [*product(ShiftStatus, ShiftStatus)])
def test_a_shift_moves_by_the_table_only(present, to):
    shift = AShift(present)
    if to in SHIFT_MOVES[present]:
        _move(shift, to)
        assert shift.status is to
    else:
        with pytest.raises(ShiftNotRunning):
            _move(shift, to)
