"""`loyalty agreements` at a terminal: out to a file, changed by hand, in again as drafts."""

import argparse
import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from loyalty.audit.model import Actor, ActorKind
from loyalty.customers.model import CustomerKind
from loyalty.customers.operations import CustomerFacts, add_customer
from loyalty.db import transaction
from loyalty.identity import operations as identity
from loyalty.pricing import agreement_command
from loyalty.pricing.agreement_files import read_agreements, write_agreements
from loyalty.pricing.agreements import Kind, Line
from loyalty.pricing.command import RulesRefused
from loyalty.pricing.files import FileNotUnderstood
from loyalty.pricing.operations.agreements import NewAgreement, approve_agreement, draft_agreement
from loyalty.pricing.queries.agreement_examples import examples
from loyalty.settings import Settings
from tests.factories.world import SYSTEM, make_world

S1 = UUID(int=7)


def agreement(company: UUID, station: UUID, now, **more) -> NewAgreement:
    lines = (
        Line(kind=Kind.DISCOUNT, value_e4=3_000),
        Line(kind=Kind.PRICE, value_e4=75_000, product="0"),
        Line(kind=Kind.SURCHARGE, value_e4=500, product="95", station=station),
    )
    made = NewAgreement("shunda", company, "顺达协议价", "Shunda's price", "CNY", True, "head-office", lines, now)
    return made._replace(**more)


def test_a_file_holds_everything_and_is_read_back_the_same(now):
    first = agreement(UUID(int=1), S1, now, ends_at=now + timedelta(days=365, microseconds=1))
    second = agreement(UUID(int=2), S1, now, code="other", lowest_wins=False, funder="station")
    written = write_agreements([(first, "顺达\n物流"), (second, "别家")], stations={S1: "S1"})
    assert read_agreements(written, stations={"S1": S1}) == [first, second]
    assert '[[agreements]] # 顺达 物流\ncode = "shunda"' in written
    assert '{kind = "surcharge", value_e4 = 500, product = "95", station = "S1"}' in written


@pytest.mark.parametrize(
    ("was", "then", "problem"),
    [
        ("value_e4 = 500", "value_e4 = 0", "lines"),
        ("value_e4 = 500", "value_e4 = 0.5", "lines"),
        ('station = "S1"', 'station = "S9"', "S9"),
        ("lowest_wins", "lowest", "lowest"),
        ("[[agreements]]", "[[agreements", "line"),
        ('code = "shunda"', 'code = "Shunda"', "code"),
        ("Z\n", "\n", "time zone"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(now, was, then, problem):
    written = write_agreements([(agreement(UUID(int=1), S1, now), "")], stations={S1: "S1"})
    assert was in written
    with pytest.raises(FileNotUnderstood, match=problem):
        read_agreements(written.replace(was, then), stations={"S1": S1})


def test_a_code_stands_once_in_a_file(now):
    one = agreement(UUID(int=1), S1, now)
    with pytest.raises(FileNotUnderstood, match="twice"):
        read_agreements(write_agreements([(one, ""), (one, "")], stations={S1: "S1"}), stations={"S1": S1})


@pytest.fixture
async def agreements(database_url, sessions, now, capsys):
    """Return the command on a database with one agreement that runs: words in, exit code and output out."""
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
        staff_id = await identity.hire(session, employee_number="1001", name="王丽", now=now)
        facts = CustomerFacts(kind=CustomerKind.ORGANISATION, name="顺达物流")
        company = await add_customer(session, facts=facts, actor=SYSTEM, now=now)
        wanted = agreement(company, world.station_id, now - timedelta(days=1))
        maker = Actor(ActorKind.STAFF, UUID(str(staff_id)))
        made = await draft_agreement(session, agreement=wanted, actor=maker, now=now)
        await approve_agreement(session, agreement_id=made, actor=SYSTEM, now=now)
    settings = Settings.from_environment({"DATABASE_URL": database_url})
    parser = argparse.ArgumentParser()
    agreement_command.add_arguments(parser)

    async def run(*words: str) -> str:
        assert await asyncio.to_thread(agreement_command.run, parser.parse_args(words), settings) == 0
        return capsys.readouterr().out

    return run


async def test_a_file_goes_out_is_changed_and_comes_in_as_drafts(agreements, tmp_path):
    path = tmp_path / "agreements.toml"
    assert "1 agreements written" in await agreements("export", str(path))
    assert await agreements("import", str(path), "--as", "1001") == "unchanged  shunda\n"
    path.write_text(path.read_text("utf-8").replace("value_e4 = 3000", "value_e4 = 3500"), "utf-8")
    assert await agreements("import", str(path), "--as", "1001") == "drafted    shunda\n"
    assert await agreements("import", str(path), "--as", "1001") == "unchanged  shunda\n"
    path.write_text(path.read_text("utf-8").replace("value_e4 = 3500", "value_e4 = 4000"), "utf-8")
    assert await agreements("import", str(path)) == "changed    shunda\n"
    listed = [line.split()[:3] for line in (await agreements("list")).splitlines()]
    assert listed == [["shunda", "2", "draft"], ["shunda", "1", "running"]]
    assert "value_e4 = 3000" in await agreements("export", "-"), "a draft is nobody's price yet"
    path.write_text(path.read_text("utf-8").replace('product = "0"', 'product = "wash"'), "utf-8")
    with pytest.raises(RulesRefused, match="lines of the agreement"):
        await agreements("import", str(path))


async def test_each_line_has_its_example_where_it_counts(session, now):
    world = await make_world(session, now=now)
    lines = (
        Line(kind=Kind.DISCOUNT, value_e4=3_000, product="92"),
        Line(kind=Kind.PRICE, value_e4=80_000, product="95", station=world.station_id),
        Line(kind=Kind.SURCHARGE, value_e4=500),
        Line(kind=Kind.PRICE, value_e4=1, product="wash"),
    )
    found = await examples(session, lines=lines, currency="CNY", now=now)
    told = [one and (one.station_code, one.product_code, one.pump_minor, one.customer_minor, one.difference_minor) for one in found]
    assert told == [("S1", "92", 78_900, 75_900, 3_000), ("S1", "95", 83_700, 80_000, 3_700), ("S1", "0", 75_600, 76_100, -500), None]
    assert await examples(session, lines=lines[:1], currency="CZK", now=now) == [None]
