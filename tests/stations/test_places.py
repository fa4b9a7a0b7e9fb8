"""What the office can count on when it describes its chain."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from loyalty import revisions
from loyalty.audit.model import AuditEntry
from loyalty.stations import operations, queries
from loyalty.stations.model import (
    STATION_MOVES,
    TERMINAL_MOVES,
    Station,
    StationStatus,
    Terminal,
    TerminalKind,
    TerminalStatus,
)
from loyalty.stations.rules import PriceRow

from .conftest import station_facts


async def revision(session, kind):
    return (await revisions.current(session))[kind]


async def test_the_same_facts_again_change_nothing(session, chain, actor, now):
    before = await revision(session, revisions.Kind.REFERENCE)
    again = await operations.put_stations(session, stations={chain.station_code: station_facts(chain)}, actor=actor, now=now)
    assert (again.added, again.changed) == ((), ())
    assert again.ids == {chain.station_code: chain.station_id}
    assert await revision(session, revisions.Kind.REFERENCE) == before


async def test_other_facts_change_the_station_and_tell_the_workers(session, chain, actor, now):
    before = await revision(session, revisions.Kind.REFERENCE)
    put = await operations.change_station(
        session, station_id=chain.station_id, facts=station_facts(chain, may_load=False, phone="021-1"), actor=actor, now=now
    )
    assert put.changed == (chain.station_code,)
    view = await queries.get_station(session, station_id=chain.station_id)
    assert (view.may_load, view.phone, view.region_name_en) == (False, "021-1", "East")
    assert await revision(session, revisions.Kind.REFERENCE) == before + 1


async def test_thousands_of_stations_are_a_few_statements(session, chain, actor, now):
    many = {f"B{number:05}-{chain.tag}": station_facts(chain, name_en=f"Bulk {number}") for number in range(3000)}
    put = await operations.put_stations(session, stations=many, actor=actor, now=now)
    assert len(put.added) == 3000
    assert len(await queries.station_history(session, station_id=put.ids[put.added[7]])) == 1
    entry = await session.scalar(select(AuditEntry).order_by(AuditEntry.entry_id.desc()).limit(1))
    assert entry.facts["added"] == 3000


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"zone": "Asia/Atlantis"}, operations.UnknownZone),
        ({"currency": "XYZ"}, operations.UnknownCurrency),
        ({"district_id": "00000000-0000-0000-0000-000000000001"}, operations.PlaceNotFound),
        ({"entity_id": "00000000-0000-0000-0000-000000000001"}, operations.PlaceNotFound),
    ],
)
async def test_a_station_needs_a_zone_a_currency_and_a_place_that_exist(session, chain, actor, now, changes, refusal):
    with pytest.raises(refusal) as raised:
        await operations.put_stations(session, stations={"X": station_facts(chain, **changes)}, actor=actor, now=now)
    assert raised.value.sentence("zh")
    assert "…" not in raised.value.sentence("en")


async def test_a_station_with_prices_keeps_its_currency(session, chain, actor, now):
    row = PriceRow(line=1, station_code=chain.station_code, product_code=chain.petrol, unit_price_e4=76500, effective_from=now)
    await operations.publish_prices(session, rows=[row], actor=actor, now=now)
    with pytest.raises(operations.StationMoneyFixed):
        await operations.change_station(
            session, station_id=chain.station_id, facts=station_facts(chain, currency="EUR"), actor=actor, now=now
        )


def test_every_status_has_its_row_of_moves_and_none_leads_to_itself():
    for moves, statuses in ((STATION_MOVES, StationStatus), (TERMINAL_MOVES, TerminalStatus)):
        assert set(moves) == set(statuses)
        assert not [status for status in statuses if status in moves[status]]


@pytest.mark.parametrize("to", StationStatus)
@pytest.mark.parametrize("status", StationStatus)
async def test_a_station_moves_only_along_the_table(session, chain, actor, now, status, to):
    station = await session.get(Station, chain.station_id)
    station.status = status
    await session.flush()
    if to in STATION_MOVES[status]:
        later = now + timedelta(seconds=1)
        moved = await operations.move_station(session, station_id=chain.station_id, to=to, reason="test", actor=actor, now=later)
        assert moved.status is to
        assert (await queries.station_history(session, station_id=chain.station_id))[0].moved_to is to
    else:
        with pytest.raises(operations.StationCannotMove):
            await operations.move_station(session, station_id=chain.station_id, to=to, reason="test", actor=actor, now=now)


@pytest.mark.parametrize("to", TerminalStatus)
@pytest.mark.parametrize("status", TerminalStatus)
async def test_a_terminal_moves_only_along_the_table_and_at_once(session, chain, actor, now, status, to):
    terminal = await session.get(Terminal, chain.terminal_id)
    terminal.status = status
    await session.flush()
    before = await revision(session, revisions.Kind.TERMINAL)
    if to in TERMINAL_MOVES[status]:
        await operations.move_terminal(session, terminal_id=chain.terminal_id, to=to, reason="test", actor=actor, now=now)
        assert (await queries.get_terminal(session, terminal_id=chain.terminal_id)).status is to
        assert await revision(session, revisions.Kind.TERMINAL) == before + 1
    else:
        with pytest.raises(operations.TerminalCannotMove):
            await operations.move_terminal(session, terminal_id=chain.terminal_id, to=to, reason="test", actor=actor, now=now)


async def test_two_tills_of_a_station_have_two_codes(session, chain, actor, now):
    with pytest.raises(operations.CodeTaken):
        await operations.add_terminal(session, station_id=chain.station_id, code="01", kind=TerminalKind.COUNTER, actor=actor, now=now)


async def test_a_heartbeat_tells_nobody_and_never_goes_back(session, chain, now):
    before = await revision(session, revisions.Kind.TERMINAL)
    assert await operations.record_heartbeat(session, terminal_id=chain.terminal_id, software="pos 1.2", now=now)
    assert not await operations.record_heartbeat(session, terminal_id=chain.terminal_id, software="old", now=now - timedelta(seconds=1))
    view = await queries.get_terminal(session, terminal_id=chain.terminal_id)
    assert (view.last_heartbeat_at, view.software) == (now, "pos 1.2")
    assert await revision(session, revisions.Kind.TERMINAL) == before


async def test_caps_reach_the_workers_snapshot(session, chain, actor, now):
    caps = operations.TerminalCaps(amount_per_transaction_max_minor=100_000, offline_amount_max_minor=0)
    await operations.change_terminal_caps(session, terminal_id=chain.terminal_id, caps=caps, actor=actor, now=now)
    found = {each.terminal_id: each for each in await queries.snapshot_terminals(session)}[chain.terminal_id]
    assert (found.amount_per_transaction_max_minor, found.offline_amount_max_minor) == (100_000, 0)


async def test_snapshots_hold_what_the_pump_needs(session, chain):
    station = {each.station_id: each for each in await queries.snapshot_stations(session)}[chain.station_id]
    assert (station.zone, station.currency, station.region_id, station.status) == (
        "Asia/Shanghai",
        "CNY",
        chain.region_id,
        StationStatus.OPEN,
    )
    products = {each.code: each for each in await queries.snapshot_products(session)}
    assert products[chain.wash].shop_category == "car_wash"
    assert products[chain.petrol].fuel_kind == "gasoline"


async def test_lists_are_cut_to_what_the_caller_reaches(session, chain):
    assert not (await queries.list_stations(session, by=queries.StationFilter(reachable=frozenset()))).rows
    mine = await queries.list_stations(session, by=queries.StationFilter(text=chain.station_code, reachable={chain.station_id}))
    assert [each.station_id for each in mine.rows] == [chain.station_id]
    with pytest.raises(queries.StationNotFound):
        await queries.get_station(session, station_id=chain.station_id, reachable=frozenset())
    with pytest.raises(queries.TerminalNotFound):
        await queries.get_terminal(session, terminal_id=chain.terminal_id, reachable=frozenset())


async def test_a_search_text_is_text_and_no_pattern(session, chain):
    assert not (await queries.list_stations(session, by=queries.StationFilter(text="%"))).rows
    assert (await queries.list_stations(session, by=queries.StationFilter(text="浦东", district_id=chain.district_id))).rows


async def test_every_writing_leaves_a_trace(session, chain, actor, now):
    before = await session.scalar(select(func.count()).select_from(AuditEntry))
    await operations.move_station(session, station_id=chain.station_id, to=StationStatus.SHORTAGE, reason="no 95", actor=actor, now=now)
    assert await session.scalar(select(func.count()).select_from(AuditEntry)) == before + 1
