"""Imported receipts through the real API: booked to the cent, with their own times, once however often it is run."""

import shutil
from collections import Counter

import pytest
from sqlalchemy import func, select

from loyalty.authorizations.model import Authorization, Sale
from loyalty.cards.queries import find_by_number
from loyalty.db import transaction
from loyalty.ledger.model import Transfer
from loyalty.ledger.queries import purses_of
from loyalty.replay.command import CannotReplay
from loyalty.topups.model import Topup


async def counted(stage) -> dict[str, int]:
    async with transaction(stage.site.sessions) as session:
        return {
            table.__tablename__: (await session.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (Authorization, Sale, Topup, Transfer)
        }


async def test_receipts_are_booked_with_their_money_and_their_time(stage, capsys):
    played, _ = await stage.replay()
    assert all(each.is_booked for each in played), [each.problems for each in played]
    assert sum((each.parts for each in played), Counter()) == {"authorise": 1, "sell": 1, "advise": 2}
    said = capsys.readouterr().out
    assert "3 of 3 receipts booked" in said
    assert "1611.50" in said.split("CZK", 1)[1]
    async with transaction(stage.site.sessions) as session:
        sales = list(await session.scalars(select(Sale).order_by(Sale.event_at, Sale.gross_minor.desc())))
        assert [sale.gross_minor for sale in sales] == [110_700, 19_900, 25_000, 5_550]
        assert {sale.event_at for sale in sales} == {each.receipt.event_at for each in stage.planned}
        assert sales[0].quantity_milli == 30_000
        # 1,234.50 brought, 1,306.00 and 250.00 spent: only what was missing was loaded.
        first = await find_by_number(session, number="9900000000070001")
        assert [purse.balance_minor for purse in await purses_of(session, account_id=first.account_id)] == [0]
        loads = list(await session.scalars(select(Topup.amount_minor).order_by(Topup.event_at)))
        assert loads == [130_600 - 123_450, 25_000]
        third = await find_by_number(session, number="9900000000070003")
        assert [purse.balance_minor for purse in await purses_of(session, account_id=third.account_id)] == [9_990 - 5_550]


async def test_a_second_replay_changes_nothing_and_gets_the_same_answers(stage):
    await stage.replay()
    before = await counted(stage)
    played, answers = await stage.replay()
    assert all(each.is_booked for each in played)
    assert (answers.repeated, answers.differing) == (len(answers.now), [])
    assert await counted(stage) == before


async def test_tills_that_lost_their_keys_are_enrolled_anew_and_still_book_nothing_twice(stage):
    await stage.replay()
    before = await counted(stage)
    shutil.rmtree(stage.keys)
    stage.keys.mkdir(mode=0o700)
    played, answers = await stage.replay()
    assert all(each.is_booked for each in played)
    assert answers.before == {}
    assert await counted(stage) == before


async def test_a_part_and_then_the_whole_is_the_whole(stage):
    played, _ = await stage.replay(stage.planned[1:2])
    assert [each.is_booked for each in played] == [True]
    played, answers = await stage.replay()
    assert all(each.is_booked for each in played)
    assert answers.differing == []
    assert (await counted(stage))["sales"] == 4


async def test_speed_waits_between_receipts_and_one_at_a_time_is_enough(stage):
    played, _ = await stage.replay(at_once=1, speed=1e6)
    assert all(each.is_booked for each in played)


async def test_nothing_answers(stage):
    stage.base_url = "http://127.0.0.1:1"
    with pytest.raises(CannotReplay, match="loyalty up"):
        await stage.replay()
