"""The one pager: forwards, backwards, mixed order, and cursors that lie."""

import base64

import pytest
from sqlalchemy import select

from loyalty.paging import CursorNotUnderstood, Key, PageSizeOutOfRange, UnknownSort, page, page_rows
from loyalty.stations import operations, queries
from loyalty.stations.model import Station

from .conftest import station_facts


@pytest.fixture
async def nine(session, chain, actor, now):
    """Nine stations of three names."""
    stations = {f"P{number}-{chain.tag}": station_facts(chain, name_zh=f"名{number % 3}", name_en=f"{number}") for number in range(9)}
    put = await operations.put_stations(session, stations=stations, actor=actor, now=now)
    return select(Station.code).where(Station.station_id.in_(list(put.ids.values())))


async def walked(session, statement, keys, limit):
    pages, cursor = [], None
    while True:
        found = await page(session, statement, keys=keys, cursor=cursor, limit=limit)
        pages.append(found)
        cursor = found.next
        if cursor is None:
            return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 8, 9, 10])
@pytest.mark.parametrize("directions", [(False, False), (True, True), (False, True), (True, False)])
async def test_pages_put_together_are_the_list_in_both_directions(session, nine, limit, directions):
    keys = [Key(Station.name_zh, directions[0]), Key(Station.code, directions[1])]
    whole = (await page(session, nine, keys=keys, limit=200)).rows
    assert len(whole) == 9
    pages = await walked(session, nine, keys, limit)
    assert [code for each in pages for code in each.rows] == whole
    assert pages[0].previous is None
    back = [pages[-1]]
    while back[-1].previous is not None:
        back.append(await page(session, nine, keys=keys, cursor=back[-1].previous, limit=limit))
    assert [code for each in reversed(back) for code in each.rows] == whole


async def test_a_row_inserted_meanwhile_repeats_nothing(session, nine, chain, actor, now):
    keys = [Key(Station.code)]
    first = await page(session, nine, keys=keys, limit=4)
    await operations.put_stations(session, stations={f"A-{chain.tag}": station_facts(chain)}, actor=actor, now=now)
    second = await page(session, nine, keys=keys, cursor=first.next, limit=4)
    assert not set(first.rows) & set(second.rows)


async def test_typed_values_survive_the_cursor(session, chain, nine):
    keys = [Key(Station.created_at, descending=True), Key(Station.may_issue), Key(Station.station_id)]
    first = await page_rows(session, select(Station.code), keys=keys, limit=3)
    second = await page_rows(session, select(Station.code), keys=keys, cursor=first.next, limit=200)
    assert not {row[0] for row in first.rows} & {row[0] for row in second.rows}


@pytest.mark.parametrize("cursor", ["x", "!!!", "eyJhIjoxfQ", base64.urlsafe_b64encode(b'["code",false,[7]]').decode(), "é"])
async def test_a_damaged_cursor_is_refused(session, nine, cursor):
    with pytest.raises(CursorNotUnderstood):
        await page(session, nine, keys=[Key(Station.code)], cursor=cursor)


async def test_a_cursor_of_another_order_is_refused(session, nine):
    cursor = (await page(session, nine, keys=[Key(Station.code)], limit=2)).next
    with pytest.raises(CursorNotUnderstood):
        await page(session, nine, keys=[Key(Station.code, descending=True)], cursor=cursor)


@pytest.mark.parametrize("limit", [0, 201, -1])
async def test_a_page_has_a_size(session, nine, limit):
    with pytest.raises(PageSizeOutOfRange):
        await page(session, nine, keys=[Key(Station.code)], limit=limit)


async def test_lists_sort_by_known_columns_only(session, chain):
    names = [each.code for each in (await queries.list_stations(session, sort="-name_en", limit=200)).rows]
    assert chain.station_code in names
    with pytest.raises(UnknownSort):
        await queries.list_stations(session, sort="phone")
