"""Cash fills: somebody files, somebody else approves, a receipt counts once, and what counts is in the economy and on the odometer."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from loyalty.audit.model import Actor, ActorKind
from loyalty.checks.queries.trail import PROTECTED
from loyalty.db import transaction
from loyalty.fleet.model_cash import CASH_MOVES, CashReason, CashStatus
from loyalty.fleet.model_fills import Doubt, OdometerReading
from loyalty.fleet.operations.cash import (
    RECEIPT_BYTES_MAX,
    AnotherPersonApproves,
    CashFillAhead,
    CashFillSettled,
    Receipt,
    ReceiptMissing,
    ReceiptNotRead,
    ReceiptUsedBefore,
    Taken,
    add_receipt,
    approve_cash_fill,
    file_cash_fill,
    refuse_cash_fill,
    reimburse_cash_fill,
    withdraw_cash_fill,
)
from loyalty.fleet.queries.cash import CashFillNotFound, CashFilter, cash_waiting, get_cash_fill, get_receipt, list_cash_fills, sums_of_cash
from loyalty.fleet.queries.economy import list_economy, medians_by_type, sums_of_economy, trends_of, way_of
from loyalty.media import Media, media_of
from tests.authorizations.conftest import bench
from tests.factories.fleet import give_vehicle, make_fleet
from tests.factories.photos import photo
from tests.fleet.structure import driver, vehicle
from tests.fleet.test_sums import broken, collect

__all__ = ["bench"]
MAKER, CHECKER = (Actor(ActorKind.COMPANY_USER, uuid4()) for _ in range(2))
PLATE = "浙A12345"


def bought(at, *, milli=30_000, minor=24_000, km=100_900, station_id=None) -> Taken:
    return Taken(at, station_id, None if station_id else "路边站", None, milli, minor, km)


@pytest.fixture
async def firm(session, fleet, now):
    """What every filing says: the company's lorry and its driver, by the maker, now."""
    lorry = await vehicle(session, fleet, now - timedelta(days=30), PLATE)
    wang = await driver(session, fleet, now)
    return {"company_id": fleet.company_id, "vehicle_id": lorry, "driver_id": wang, "reason": CashReason.EMERGENCY, "comment": ""}


async def filed(session, firm, now, *, word="first", plate=PLATE, taken=None):
    receipt = Receipt(photo(word), plate) if word else None
    made = taken or bought(now - timedelta(hours=1), km=100_900 if word else None)
    return await file_cash_fill(session, **firm, taken=made, receipt=receipt, actor=MAKER, now=now)


async def refused(session, refusal, work) -> Exception:
    """Let something be refused, as a request would: nothing of it stays."""
    with pytest.raises(refusal) as told:
        async with session.begin_nested():
            await work
    return told.value


async def act(session, firm, cash_fill_id, to: CashStatus, now) -> None:
    """Do what leads to a status."""
    known = {"company_id": firm["company_id"], "cash_fill_id": cash_fill_id, "now": now}
    match to:
        case CashStatus.FILED:
            more = bought(now - timedelta(minutes=1), minor=24_001)
            await add_receipt(session, **known, taken=more, receipt=Receipt(photo(str(cash_fill_id)), PLATE), actor=MAKER)
        case CashStatus.APPROVED:
            await approve_cash_fill(session, **known, actor=CHECKER)
        case CashStatus.REFUSED:
            await refuse_cash_fill(session, **known, words="未经同意", actor=CHECKER)
        case CashStatus.REIMBURSED:
            await reimburse_cash_fill(session, **known, actor=CHECKER)
        case CashStatus.WITHDRAWN:
            await withdraw_cash_fill(session, **known, actor=MAKER)


@pytest.mark.parametrize("present", CashStatus)
@pytest.mark.parametrize("to", CashStatus)
async def test_it_moves_as_its_table_says_and_no_other_way(session, firm, now, present, to):
    # Paying back is of what has a receipt; going back to filed and taking back are of what was asked for and has none.
    with_receipt = CashStatus.REIMBURSED in {present, to}
    fill_id = await filed(session, firm, now, word="first" if with_receipt else "")
    way = {CashStatus.FILED: [], CashStatus.REIMBURSED: [CashStatus.APPROVED, CashStatus.REIMBURSED]}.get(present, [present])
    for step in way:
        await act(session, firm, fill_id, step, now)
    if to in CASH_MOVES[present] or present is to is CashStatus.FILED:
        await act(session, firm, fill_id, to, now)
        assert (await get_cash_fill(session, company_id=firm["company_id"], cash_fill_id=fill_id)).status is to
        trail = "SELECT count(*) FROM audit_entries WHERE subject_kind = 'cash_fill' AND subject_id = :id"
        assert await session.scalar(text(trail), {"id": str(fill_id)}) == len(way) + 2
    else:
        await refused(session, CashFillSettled, act(session, firm, fill_id, to, now))


async def test_who_files_or_hands_in_neither_approves_nor_pays_back(session, firm, now):
    of = {"company_id": firm["company_id"], "now": now}
    recorded = await filed(session, firm, now)
    for work in (approve_cash_fill, reimburse_cash_fill):
        await refused(session, AnotherPersonApproves, work(session, **of, cash_fill_id=recorded, actor=MAKER))
    await refused(session, AnotherPersonApproves, refuse_cash_fill(session, **of, cash_fill_id=recorded, words="x", actor=MAKER))
    asked = await filed(session, firm, now, word="")
    hand_in = {"taken": bought(now), "receipt": Receipt(photo("second"), PLATE)}
    async with session.begin_nested() as undone:
        await add_receipt(session, **of, cash_fill_id=asked, actor=CHECKER, **hand_in)
        await refused(session, AnotherPersonApproves, approve_cash_fill(session, **of, cash_fill_id=asked, actor=CHECKER))
        await undone.rollback()
    await approve_cash_fill(session, **of, cash_fill_id=asked, actor=CHECKER)
    await refused(session, AnotherPersonApproves, add_receipt(session, **of, cash_fill_id=asked, actor=CHECKER, **hand_in))
    await refused(session, ReceiptMissing, reimburse_cash_fill(session, **of, cash_fill_id=asked, actor=CHECKER))
    assert await cash_waiting(session, company_id=firm["company_id"], not_by=str(CHECKER.actor_id)) == 1
    assert await cash_waiting(session, company_id=firm["company_id"], not_by=str(MAKER.actor_id)) == 0
    with pytest.raises(Exception, match="ck_cash_fills_two_people"):
        async with session.begin_nested():
            await session.execute(text("UPDATE cash_fills SET decided_by = filed_by WHERE decided_by IS NOT NULL"))


@pytest.mark.parametrize(
    ("taken", "plate", "stays"),
    [({}, "浙a·12345", True), ({"minor": 24_001}, PLATE, False), ({"milli": 30_001}, PLATE, False), ({}, "浙A54321", False)],
)
async def test_what_was_approved_beforehand_is_what_counts(session, firm, now, taken, plate, stays):
    of = {"company_id": firm["company_id"], "cash_fill_id": await filed(session, firm, now, word=""), "now": now}
    await approve_cash_fill(session, **of, actor=CHECKER)
    assert (await sums(session, firm, now)).cash_milli == 0, "no receipt, no litres"
    await add_receipt(session, **of, taken=bought(now, **taken), receipt=Receipt(photo("a"), plate), actor=MAKER)
    found = await get_cash_fill(session, company_id=firm["company_id"], cash_fill_id=of["cash_fill_id"])
    assert found.status is (CashStatus.APPROVED if stays else CashStatus.FILED)
    assert found.plate_differs is (plate == "浙A54321")
    assert (await sums(session, firm, now)).cash_milli == (30_000 if stays else 0)


async def test_a_receipt_counts_once_in_a_company_and_is_told_which_was_first(session, world, firm, now):
    first = await filed(session, firm, now)
    told = await refused(session, ReceiptUsedBefore, filed(session, firm, now))
    assert (told.facts["plate"], told.facts["status"]) == (PLATE, "filed")
    await refuse_cash_fill(session, company_id=firm["company_id"], cash_fill_id=first, words="模糊", actor=CHECKER, now=now)
    await filed(session, firm, now)
    other = await make_fleet(session, world, name="甬江运输")
    theirs = {"company_id": other.company_id, "vehicle_id": await vehicle(session, other, now, PLATE)}
    theirs |= {"driver_id": await driver(session, other, now)}
    stranger = await filed(session, firm | theirs, now)
    for known, fill_id in ((firm, stranger), (theirs, first)):
        with pytest.raises(CashFillNotFound):
            await get_cash_fill(session, company_id=known["company_id"], cash_fill_id=fill_id)
        with pytest.raises(CashFillNotFound):
            await get_receipt(session, company_id=known["company_id"], cash_fill_id=fill_id)
        await refused(
            session,
            CashFillNotFound,
            approve_cash_fill(session, company_id=known["company_id"], cash_fill_id=fill_id, actor=CHECKER, now=now),
        )


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (photo("x"), Media.PNG),
        (b"\xff\xd8\xff\xe0 a photo", Media.JPEG),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", Media.WEBP),
        (b"%PDF-1.7", Media.PDF),
        (b"<html><script>alert(1)</script>", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"  %PDF-1.7", None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
async def test_a_file_is_what_its_bytes_say(session, firm, now, content, media):
    assert media_of(content) is media
    said = {"taken": bought(now), "receipt": Receipt(content, PLATE), "actor": MAKER, "now": now}
    if media is None:
        await refused(session, ReceiptNotRead, file_cash_fill(session, **firm, **said))
    else:
        made = await file_cash_fill(session, **firm, **said)
        assert await get_receipt(session, company_id=firm["company_id"], cash_fill_id=made) == (media, content)
        kept = await session.scalar(text("SELECT content_sealed FROM cash_receipts"))
        assert content not in kept, "sealed"
    assert any(column.table == "cash_receipts" for column in PROTECTED), "and proved every night"


async def test_a_receipt_is_of_the_past_and_of_a_size(session, firm, now):
    await refused(session, CashFillAhead, filed(session, firm, now, taken=bought(now + timedelta(minutes=1))))
    large = Receipt(photo("x") + bytes(RECEIPT_BYTES_MAX), PLATE)
    await refused(session, ReceiptNotRead, file_cash_fill(session, **firm, taken=bought(now), receipt=large, actor=MAKER, now=now))
    await filed(session, firm, now, word="", taken=bought(now + timedelta(days=2), km=None))


async def test_the_odometer_is_read_when_it_counts_and_judged_by_its_neighbours(session, firm, now):
    of = {"company_id": firm["company_id"], "actor": CHECKER, "now": now}
    seen = {}
    for place, (days, km) in enumerate(((10, 100_000), (5, 101_000), (7, 103_000), (1, 900_000), (0, 100_500))):
        fill_id = await filed(session, firm, now, word=str(place), taken=bought(now - timedelta(days=days), km=km))
        assert (await get_cash_fill(session, company_id=firm["company_id"], cash_fill_id=fill_id)).doubt is None
        await approve_cash_fill(session, **of, cash_fill_id=fill_id)
        seen[km] = (await get_cash_fill(session, company_id=firm["company_id"], cash_fill_id=fill_id)).doubt
    assert seen == {100_000: None, 101_000: None, 103_000: Doubt.TOO_FAR, 900_000: Doubt.TOO_FAR, 100_500: Doubt.FALLS}
    odometer = "SELECT odometer_km, odometer_at FROM vehicles WHERE vehicle_id = :id"
    km, at = (await session.execute(text(odometer), {"id": firm["vehicle_id"]})).one()
    assert (km, at) == (101_000, now - timedelta(days=5)), "what allocation's check asks for"
    assert {one.source.value for one in await session.scalars(select(OdometerReading))} == {"cash"}


async def test_lists_are_cut_and_summed(session, firm, now):
    for place in range(3):
        await filed(session, firm, now, word=str(place), taken=bought(now - timedelta(days=place)))
    gone = await filed(session, firm, now, word="gone")
    await withdraw_cash_fill(session, company_id=firm["company_id"], cash_fill_id=gone, actor=MAKER, now=now)
    known = {"company_id": firm["company_id"]}
    found = await list_cash_fills(session, **known, by=CashFilter(), limit=3)
    assert [one.event_at for one in found.rows] == sorted((one.event_at for one in found.rows), reverse=True)
    assert len((await list_cash_fills(session, **known, by=CashFilter(), cursor=found.next, limit=3)).rows) == 1
    assert await sums_of_cash(session, **known, by=CashFilter()) == (3, 90_000, 72_000, 1)
    assert await sums_of_cash(session, **known, by=CashFilter(status=CashStatus.WITHDRAWN)) == (1, 30_000, 24_000, 0)
    assert await sums_of_cash(session, **known, by=CashFilter(begin=now - timedelta(hours=30), plate="a·123")) == (2, 60_000, 48_000, 1)
    assert await sums_of_cash(session, **known, by=CashFilter(departments=[uuid4()])) == (0, 0, 0, 0)


async def sums(session, firm, now):
    first = (now - timedelta(days=25)).date().replace(day=26)
    return await sums_of_economy(session, company_id=firm["company_id"], first=first, period_day=26)


async def test_cash_counts_in_the_economy_apart_and_card_sums_stay_as_they_are(bench):
    async with transaction(bench.sessions) as session:
        fleet = await make_fleet(session, bench.world, pool_minor=100_000_000, cards=2)
        lorry = await give_vehicle(session, fleet, now=bench.now())
        paid = await vehicle(session, fleet, bench.now(), "浙A99999", type="truck")
        wang = await driver(session, fleet, bench.now())
    bench.later = timedelta(hours=1)
    for km in (100_000, 100_500):
        await bench.sell(fleet.cards[0], odometer_km=km)
        bench.later += timedelta(hours=2)
    await collect(bench)
    now = bench.now()
    first = now.date().replace(day=26)
    first = first if first <= now.date() else (first.replace(day=1) - timedelta(days=1)).replace(day=26)
    of = {"company_id": fleet.company_id, "first": first, "period_day": 26}

    async def lines():
        async with transaction(bench.sessions) as session:
            found = {one.plate: one for one in (await list_economy(session, **of)).rows}
            return found, await sums_of_economy(session, **of), await way_of(session, **of)

    found, whole, way = await lines()
    assert list(found) == [PLATE]
    assert (found[PLATE].quantity_milli, found[PLATE].per_100_km_milli, whole.cash_milli, way) == (20_000, 4_000, 0, (20_000, 500))

    made = []
    facts = {"company_id": fleet.company_id, "driver_id": wang, "reason": CashReason.CARD_LOST, "comment": ""}
    for place, (vehicle_id, plate, km) in enumerate(((lorry, PLATE, 100_600), (paid, "浙A99999", 5_000), (paid, "浙A99999", 5_300))):
        at = now + timedelta(hours=place) - timedelta(hours=3)
        async with transaction(bench.sessions) as session:
            filing = {"taken": bought(at, km=km), "receipt": Receipt(photo(str(place)), plate), "actor": MAKER, "now": now}
            made.append(await file_cash_fill(session, vehicle_id=vehicle_id, **facts, **filing))
    assert (await lines())[1] == whole, "filed only: nothing counts"

    async def approve(cash_fill_id):
        async with transaction(bench.sessions) as session:
            await approve_cash_fill(session, company_id=fleet.company_id, cash_fill_id=cash_fill_id, actor=CHECKER, now=now)

    # Two press at the same instant: one of them approves.
    results = await asyncio.gather(approve(made[0]), approve(made[0]), return_exceptions=True)
    assert sorted(type(one).__name__ for one in results) == ["CashFillSettled", "NoneType"]
    for cash_fill_id in made[1:]:
        await approve(cash_fill_id)
    found, whole, way = await lines()
    assert (found[PLATE].quantity_milli, found[PLATE].cash_milli, found[PLATE].fills) == (50_000, 30_000, 3)
    assert found[PLATE].km == 500, "an odometer above the pump's later one does not hold"
    cash_only = found["浙A99999"]
    assert (cash_only.quantity_milli, cash_only.km, cash_only.per_100_km_milli) == (60_000, 300, 20_000)
    assert cash_only.per_km_e2 == 48_000 * 100 // 300
    assert (whole.vehicles, whole.quantity_milli, whole.cash_milli) == (2, 110_000, 90_000)
    assert whole.spent_minor == found[PLATE].spent_minor + 48_000
    assert way[0] == 110_000
    async with transaction(bench.sessions) as session:
        top = await list_economy(session, **of, limit=1)
        rest = await list_economy(session, **of, limit=1, cursor=top.next)
        assert [one.plate for one in (*top.rows, *rest.rows)] == ["浙A99999", PLATE], "the thirstiest first, page by page"
        assert await medians_by_type(session, **of) == {"truck": min(one.per_100_km_milli for one in found.values())}
        trends = await trends_of(session, company_id=fleet.company_id, vehicle_ids=[lorry, paid], period_day=26, since=first)
        assert [(one.quantity_milli, one.cash_milli) for one in trends[lorry]] == [(50_000, 30_000)]
        assert await session.scalar(text("SELECT count(*) FROM odometer_readings WHERE source = 'cash'")) == 3
    assert await broken(bench) == set(), "card fills are summed as before"
