"""A partner's session sees and writes no row of another, in any table that has a partner; and of everything else next to nothing."""

from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from loyalty.identity.model import Portal
from partners.fence import enter_partner
from tests.factories.partner_house import make_house
from tests.factories.world import give_card, make_world
from tests.rewards.conftest import key_set, keys  # noqa: F401 - fixtures: vouchers' codes are sealed

TABLES = """
    SELECT c.oid::regclass::text, c.relrowsecurity AND c.relforcerowsecurity
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'partner_id' AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
    ORDER BY 1
"""
MAY_READ = """
    SELECT c.oid::regclass::text FROM pg_class AS c
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
        AND has_table_privilege('loyalty_partner', c.oid, 'SELECT')
"""
PLAIN = {"voucher_kinds", "attempts", "form_keys", "calendar_years", "calendar_days", "revisions"}
"""What a partner's session may read though no row of it is anybody's."""
FOREIGN = ("cards", "customers", "staff", "purses", "transfers", "sales", "users", "consents", "portal_users", "outbox_messages")


@pytest.fixture
async def two(session, now):
    return [
        await make_house(session, now=now),
        await make_house(session, now=now, code="LANTIAN", names=("蓝天洗车", "Blue Sky Wash")),
    ]


async def count(session, table: str) -> int:
    return await session.scalar(text(f"SELECT count(*) FROM {table}"))


async def refused(session, sentence: str, **bound) -> bool:
    try:
        async with session.begin_nested():
            return (await session.execute(text(sentence), bound)).rowcount == 0
    except DBAPIError as error:
        assert error.orig.sqlstate == "42501", error  # noqa: PT017 - a refusal is one of two good ends
        return True


async def test_every_table_with_a_partner_is_fenced_and_nothing_else_is_read(session):
    tables = dict((await session.execute(text(TABLES))).all())
    assert len(tables) > 10
    assert [name for name, fenced in tables.items() if not fenced] == []
    readable = {name for (name,) in await session.execute(text(MAY_READ))}
    others = {"user_sessions", "partner_recovery_codes", "vouchers", "voucher_redemptions", "voucher_events"}
    assert readable - set(tables) - others == PLAIN


async def test_one_partners_session_sees_and_writes_no_row_of_another(session, two, now):
    mine, theirs = two
    for house in two:
        await house.voucher(session, "fifty", now=now)
    tables = [name for (name, _) in await session.execute(text(TABLES))]
    readable = {name for (name,) in await session.execute(text(MAY_READ))}
    counted = {}
    for table in sorted(readable & set(tables)):
        statement = text(f"SELECT count(*) FROM {table} WHERE partner_id = :one")
        counted[table] = await session.scalar(statement, {"one": mine.partner_id})
    await enter_partner(session, mine.partner_id)
    assert {table: await count(session, table) for table in counted} == counted
    for table in tables:
        assert await refused(session, f"UPDATE {table} SET partner_id = partner_id WHERE partner_id = :theirs", theirs=theirs.partner_id)
        assert await refused(session, f"DELETE FROM {table} WHERE partner_id = :theirs", theirs=theirs.partner_id), table
    assert await count(session, "vouchers") == 1, "another's voucher is as unknown as one that was never given out"
    with pytest.raises(DBAPIError):
        async with session.begin_nested():
            await session.execute(text("UPDATE partner_outlets SET partner_id = :theirs"), {"theirs": theirs.partner_id})


async def test_a_session_that_says_nothing_sees_nothing(session, two):
    assert two
    readable = sorted({name for (name,) in await session.execute(text(MAY_READ))} - PLAIN)
    await session.execute(text("SET LOCAL ROLE loyalty_partner"))
    assert {table: await count(session, table) for table in readable} == dict.fromkeys(readable, 0)


async def test_of_the_issuers_tables_a_partner_reads_none(session, two):
    await enter_partner(session, two[0].partner_id)
    for table in FOREIGN:
        with pytest.raises(DBAPIError) as refusal:
            async with session.begin_nested():
                await session.execute(text(f"SELECT 1 FROM {table} LIMIT 1"))
        assert refusal.value.orig.sqlstate == "42501", table


async def test_a_companys_session_reads_no_partner(session, two):
    assert two
    await session.execute(text("SET LOCAL ROLE loyalty_portal"))
    await session.execute(text("SELECT set_config('app.tenant', :one, true)"), {"one": str(UUID(int=1))})
    for table in ("partners", "partner_lines", "partner_users"):
        with pytest.raises(DBAPIError):
            async with session.begin_nested():
                await session.execute(text(f"SELECT 1 FROM {table} LIMIT 1"))


async def test_of_a_card_a_partner_learns_that_it_lives_and_its_end(session, two, now):
    world = await make_world(session, now=now)
    card = await give_card(session, world)
    await enter_partner(session, two[0].partner_id)
    tail = await session.scalar(text("SELECT number_tail FROM living_card(:index)"), {"index": card.index})
    assert tail == card.number[-4:]
    assert await session.scalar(text("SELECT number_tail FROM living_card(:index)"), {"index": b"x" * 32}) is None


async def test_a_partners_session_belongs_to_the_partners_portal(session, two):
    found = await session.execute(text("SELECT DISTINCT portal FROM user_sessions WHERE partner_user_id IS NOT NULL"))
    assert list(found.scalars()) == [Portal.PARTNER.value]
    await enter_partner(session, two[0].partner_id)
    assert await count(session, "user_sessions") == 1, "the clerk's own, of this partner"
