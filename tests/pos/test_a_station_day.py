"""A station's day played by terminals: whatever the line does, till and server agree at the end."""

import pytest

from loyalty.pos.plan import Kind, plan_day
from loyalty.pos.play import Counts, StationDay
from loyalty.pos.stage import set_stage


def test_the_same_seed_gives_the_same_day():
    day = plan_day(seed=7, station=0, visits=200, cards=12, offline_percent=10)
    assert day == plan_day(seed=7, station=0, visits=200, cards=12, offline_percent=10)
    assert day != plan_day(seed=8, station=0, visits=200, cards=12, offline_percent=10)
    assert sum(visit.offline for visit in day) == 20
    assert not day[-1].offline
    assert {visit.kind for visit in day} == set(Kind)


@pytest.mark.parametrize("seed", [1, 2])
async def test_till_and_server_agree_at_the_end_of_the_day(site, seed):
    scenes = await set_stage(site.sessions, stations=1, cards=4)
    counts = Counts()
    day = StationDay(scenes[0], base_url=site.base_url, counts=counts)
    await day.open()
    await day.play(plan_day(seed=seed, station=0, visits=60, cards=4, offline_percent=20), seconds_between=0)
    assert await day.close() == []
    assert counts.faults == []
    assert counts.outcomes["approved"] > 10
    assert counts.outcomes["approved_offline"] > 3


async def test_an_interrupted_day_can_be_played_again(site):
    counts = Counts()
    broken = StationDay((await set_stage(site.sessions, stations=1, cards=2))[0], base_url=site.base_url, counts=counts)
    await broken.open()
    await broken.leave()
    again = StationDay((await set_stage(site.sessions, stations=1, cards=2))[0], base_url=site.base_url, counts=counts)
    await again.open()
    assert await again.close() == []
