"""A group's figures: sums of the companies below, for the company at the top and for nobody else."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from loyalty.db import transaction
from loyalty.web.fleet.desk import enter_tenant


async def test_the_company_at_the_top_sees_sums_of_those_below_and_only_of_those(portal):
    owner = await portal.at("ours", "owner")
    shown = (await owner.get("/fleet/group")).text
    assert "钱塘物流" in shown
    assert "钱塘冷链" in shown
    assert "10,000.00" in shown, "its pool"
    assert "长江" not in shown
    assert "/fleet/group" in (await owner.get("/fleet/vehicles")).text, "the rail leads there"
    assert "钱塘冷链" in (await owner.get("/fleet/group.csv")).text


async def test_who_left_the_group_is_not_in_its_sums(portal):
    owner = await portal.at("ours", "owner")
    async with transaction(portal.sessions) as session:
        await session.execute(text("UPDATE companies SET parent_id = NULL"))
    assert (await owner.get("/fleet/group")).status_code == 404
    assert "/fleet/group" not in (await owner.get("/fleet/vehicles")).text


async def test_the_function_knows_who_asks_and_the_fence_stands_around_everything_else(portal):
    ours = portal.firms["ours"].company_id
    asked = text("SELECT count(*) FROM group_figures('2000-01-01', '2100-01-01')")
    async with transaction(portal.sessions) as session:
        await enter_tenant(session, ours)
        assert await session.scalar(asked) == 2
        assert await session.scalar(text("SELECT count(*) FROM companies")) == 1
        await session.execute(text("SELECT set_config('app.tenant', '', true)"))
        assert await session.scalar(asked) == 0
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with transaction(portal.sessions) as session:
            await session.execute(asked)
