"""A former system is taken over once: rows, balances, receipts; faults are named, a second import adds nothing."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from loyalty.cards.model import Card, CardEvent
from loyalty.cards.numbers import check_value, check_value_index
from loyalty.cards.queries import find_by_number
from loyalty.customers.model import Customer
from loyalty.customers.queries import find_by_references, get_customer
from loyalty.db import transaction
from loyalty.importing.mapping import MapNotSound, read_map
from loyalty.importing.model import ImportRow, ImportRun, LegacyLine, LegacyReceipt, RunStatus
from loyalty.importing.queries import list_receipts, opening_balances
from loyalty.importing.running import Outcome
from loyalty.ledger.model import Account, HouseCode, Purse, Transfer
from loyalty.ledger.queries import house_sum, purses_of
from loyalty.ledger.rules import house_id
from loyalty.stations.model import Product, Station, StationPrice
from loyalty.stations.queries import find_station, price_at

from .conftest import Watched
from .small import ACCOUNTS, ACCOUNTS_MAP, CUSTOMERS, TRANSACTIONS, TRANSACTIONS_MAP, map_of, take_all, take_small

TABLES = (Customer, Station, Product, Card, CardEvent, Account, Purse, Transfer, StationPrice, LegacyReceipt, LegacyLine, ImportRow)


async def counted(site) -> dict[str, int]:
    async with transaction(site.sessions) as session:
        return {table.__tablename__: (await session.execute(select(func.count()).select_from(table))).scalar_one() for table in TABLES}


async def test_customers_are_taken_over_with_their_former_ids(site):
    watched = await take_small(site, "customers")
    assert watched.made.figures.rows == {Outcome.ADDED: 2}
    async with transaction(site.sessions) as session:
        ids = await find_by_references(session, source="old", references=["1", "2"])
        customer = await get_customer(session, customer_id=ids["1"])
    assert (customer.name, customer.kind, customer.country) == ("Müller & Söhne", "organisation", "DE")


async def test_cards_come_with_accounts_and_opening_balances_from_the_migration_account(site):
    await take_small(site, "customers")
    watched = await take_small(site, "accounts")
    assert watched.made.figures.sums == {Outcome.ADDED: {"CZK": 123_450 + 9_990}}
    async with transaction(site.sessions) as session:
        first, second, third = [await find_by_number(session, number=f"99000000000{card}") for card in (70001, 70002, 70003)]
        assert first.account_id == second.account_id != third.account_id
        assert (first.is_main, second.is_main, third.is_main) == (True, False, True)
        assert first.check_value_index == check_value_index("9900000000070001", check_value("9900000000070001"))
        assert [purse.balance_minor for purse in await purses_of(session, account_id=first.account_id)] == [123_450]
        migration = house_id(HouseCode.MIGRATION, "CZK", "old")
        assert await house_sum(session, house_id=migration) == -(123_450 + 9_990)
        opening = (await session.scalars(select(Transfer).where(Transfer.account_id == first.account_id))).one()
        assert (opening.debit_id, opening.card_id, opening.booked_at) == (migration, first.card_id, site.now)
        assert opening.event_at == datetime(2026, 8, 30, 22, tzinfo=UTC)
        assert await opening_balances(session, account_ids=[first.account_id, third.account_id]) == {
            first.account_id: 123_450,
            third.account_id: 9_990,
        }


async def test_a_second_card_of_a_company_joins_its_account_in_a_later_import_too(site):
    await take_small(site, "customers")
    await take_small(site, "accounts")
    later = site.write("more.csv", "card;owner;balance;as of\n70009;1;10;31.08.2026\n")
    await site.take(later, map_of("accounts"))
    async with transaction(site.sessions) as session:
        first = await find_by_number(session, number="9900000000070001")
        later_card = await find_by_number(session, number="9900000000070009")
        assert later_card.account_id == first.account_id
        assert not later_card.is_main
        assert [purse.balance_minor for purse in await purses_of(session, account_id=first.account_id)] == [124_450]


async def test_prices_take_effect_in_the_stations_zone(site):
    for kind in ("stations", "products", "prices"):
        await take_small(site, kind)
    async with transaction(site.sessions) as session:
        station_id = await find_station(session, code="OLD-S1")
        product_id = await session.scalar(select(Product.product_id).where(Product.code == "OLD-N"))
        began = datetime(2026, 8, 31, 22, tzinfo=UTC)
        assert await price_at(session, station_id=station_id, product_id=product_id, at=began) == 369_000
        assert await price_at(session, station_id=station_id, product_id=product_id, at=began.replace(hour=21)) is None


async def test_receipts_are_put_aside_and_not_booked(site):
    await take_all(site)
    async with transaction(site.sessions) as session:
        receipts = await list_receipts(session)
        moved = await session.scalar(select(func.count()).select_from(Transfer))
    assert moved == 2, "the two opening balances"
    assert [(receipt.legacy_id, receipt.amount_minor, receipt.station_code) for receipt in receipts] == [
        ("70001/2026-09-02 10:00:00", 130_600, "OLD-S1"),
        ("70002/2026-09-02 11:30:00", 25_000, "OLD-S2"),
        ("70003/2026-09-03 07:15:00", 5_550, "OLD-S2"),
    ]
    assert [(line.product, line.fuel, line.quantity_milli) for receipt in receipts for line in receipt.lines] == [
        ("OLD-N", True, 30_000),
        ("OLD-W", False, 1_000),
        ("OLD-W", False, None),
        ("OLD-NOLITRES", False, None),
    ]
    assert receipts[0].event_at == datetime(2026, 9, 2, 8, tzinfo=UTC)
    assert receipts[0].number not in repr(receipts[0])


async def test_a_second_import_adds_nothing(site):
    await take_all(site)
    before = await counted(site)
    for kind in ("customers", "stations", "products", "accounts", "prices", "transactions"):
        again = await take_small(site, kind)
        assert set(again.made.figures.rows) == {Outcome.UNCHANGED}, kind
    assert await counted(site) == before


async def test_a_dry_run_reports_the_same_and_keeps_nothing(site, engine):
    await take_small(site, "customers")
    before = await counted(site)
    async with engine.connect() as connection:
        outer = await connection.begin()
        trial = async_sessionmaker(connection, class_=AsyncSession, expire_on_commit=False, join_transaction_mode="create_savepoint")
        path = site.write("accounts.csv", ACCOUNTS)
        dry = await site.take(path, map_of("accounts"), sessions=trial, set_rows=1)
        await outer.rollback()
    assert await counted(site) == before
    real = await site.take(path, map_of("accounts"))
    assert (real.made.figures, sorted(real.results)) == (dry.made.figures, sorted(dry.results))


async def test_a_killed_import_is_gone_on_with_behind_its_last_set(site):
    text_of = "Nr;Firma;Land\n" + "".join(f"{number};Firm {number};CZ\n" for number in range(10))
    path = site.write("many.csv", text_of)
    with pytest.raises(KeyboardInterrupt):
        await site.take(path, map_of("customers"), watched=Watched(die_after=2), set_rows=3)
    async with transaction(site.sessions) as session:
        run = (await session.scalars(select(ImportRun))).one()
        assert (run.status, run.last_line, run.counts) == (RunStatus.RUNNING, 7, {"added": 6})
    rest = await site.take(path, map_of("customers"), set_rows=3)
    assert rest.made.resumed_after == 7
    assert [result.legacy_id for result in rest.results] == ["6", "7", "8", "9"]
    assert rest.made.figures.rows == {Outcome.ADDED: 10}
    assert (await counted(site))["customers"] == 10
    async with transaction(site.sessions) as session:
        run = (await session.scalars(select(ImportRun))).one()
        assert (run.status, run.counts) == (RunStatus.DONE, {"added": 10})


async def test_an_id_twice_is_refused_or_counted_once_as_the_map_says(site):
    path = site.write("twice.csv", "Nr;Firma;Land\n1;A;CZ\n1;A;CZ\n1;B;CZ\n;C;CZ\n")
    watched = await site.take(path, map_of("customers"))
    outcomes = [(result.line, result.outcome, result.code) for result in watched.results]
    assert outcomes == [
        (2, Outcome.ADDED, ""),
        (3, Outcome.REPEATED, ""),
        (4, Outcome.REJECTED, "id_twice"),
        (5, Outcome.REJECTED, "no_id"),
    ]


async def test_one_bad_row_turns_down_itself_and_not_its_set(site):
    rows = "Nr;Firma;Land;Tel\n1;A;CZ;+420 777 123 456\n2;B;CZ;call me\n3;;CZ;\n4;D;CZ;\n"
    mapping = read_map(
        b'source = "old"\nkind = "customers"\n[file]\ndelimiter = ";"\n[id]\ncolumn = "Nr"\n[fields]\nkind = { const = "organisation" }\n'
        b'name = "Firma"\ncountry = "Land"\nphone = "Tel"\n'
    )
    watched = await site.take(site.write("c.csv", rows), mapping)
    assert [(result.line, result.outcome, result.code) for result in watched.results] == [
        (2, Outcome.ADDED, ""),
        (3, Outcome.REJECTED, "refused"),
        (4, Outcome.REJECTED, "missing"),
        (5, Outcome.ADDED, ""),
    ]
    assert watched.results[1].en == "This is not a valid phone number. Check it; give a number abroad with its prefix, such as +420."
    assert (await counted(site))["customers"] == 2


async def test_a_changed_customer_differs_and_stays_a_changed_station_is_updated(site):
    await take_small(site, "customers")
    changed = await site.take(site.write("c.csv", CUSTOMERS.replace("Müller & Söhne", "Müller GmbH")), map_of("customers"))
    assert changed.made.figures.rows == {Outcome.DIFFERS: 1, Outcome.UNCHANGED: 1}
    await take_small(site, "stations")
    moved = await site.take(
        site.write("s.csv", "code,name,zone\nS1,Praha jedna,Europe/Prague\nS2,Brno,Europe/Prague\n"), map_of("stations")
    )
    assert moved.made.figures.rows == {Outcome.UPDATED: 1, Outcome.UNCHANGED: 1}
    async with transaction(site.sessions) as session:
        names = list(await session.scalars(select(Station.name_en).order_by(Station.code)))
    assert names == ["Praha jedna", "Brno"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("80001;9;0;31.08.2026", "unknown_customer"),
        ("80001;1;-5;31.08.2026", "negative"),
        ("80001;1;1,005;31.08.2026", "too_fine"),
        ("80001;1;5;2026-08-31", "not_a_date"),
        ("8000A;1;5;31.08.2026", "card_number_not_sound"),
        ("0070001;1;5;31.08.2026", "card_number_taken"),
    ],
)
async def test_accounts_that_cannot_be_are_named(site, row, code):
    await take_small(site, "customers")
    await take_small(site, "accounts")
    before = await counted(site)
    watched = await site.take(site.write("bad.csv", f"card;owner;balance;as of\n{row}\n"), map_of("accounts"))
    assert [result.code for result in watched.results] == [code]
    assert await counted(site) == before


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("9,2026-09-02 10:00:00,79999,S1,N,30,1107.00", "unknown_card"),
        ("9,2026-09-02 10:00:00,70001,S9,N,30,1107.00", "unknown_station"),
        ("9,2026-09-02 10:00:00,70001,S1,X,30,1107.00", "unknown_product"),
        ("9,2026-09-02 10:00:00,70001,S1,N,30,0", "not_positive"),
        ("9,2026-09-02 10:00:00,70001,S1,N,-1,10", "negative"),
        ("9,2026-09-02 10:00:00,70001,S2,W,1,10", "receipt_differs"),
    ],
)
async def test_transactions_that_cannot_be_are_named(site, row, code):
    await take_all(site)
    before = await counted(site)
    watched = await site.take(site.write("bad.csv", TRANSACTIONS.splitlines()[0] + f"\n{row}\n"), map_of("transactions"))
    assert [result.code for result in watched.results] == [code]
    assert await counted(site) == before


async def test_a_receipts_lines_may_come_in_several_sets(site):
    for kind in ("customers", "stations", "products", "accounts"):
        await take_small(site, kind)
    await site.take(site.write("t.csv", TRANSACTIONS), map_of("transactions"), set_rows=1)
    async with transaction(site.sessions) as session:
        assert [len(receipt.lines) for receipt in await list_receipts(session)] == [2, 1, 1]


async def test_foreign_money_is_rejected_or_stands_at_an_acceptance_point(site):
    await take_all(site)
    euro = "card;owner;balance;as of\n70011;2;0;31.08.2026\n"
    accounts = ACCOUNTS_MAP.replace('"OLD"', '"OLD-EUR"').replace('"CZK"', '"EUR"')
    await site.take(site.write("e.csv", euro), read_map(accounts.encode()))
    path = site.write("t.csv", "id,at,card,station,product,qty,total\n20,2026-09-04 10:00:00,70011,S1,N,10,15.00\n")
    euros = TRANSACTIONS_MAP.replace('"CZK"', '"EUR"')
    rejected = await site.take(path, read_map(euros.encode()))
    assert [result.code for result in rejected.results] == ["currency_differs"]
    accepting = read_map(euros.replace('source = "old"', 'source = "old"\nforeign_currency = "acceptance_point"').encode())
    accepted = await site.take(path, accepting)
    assert accepted.made.figures.sums == {Outcome.ADDED: {"EUR": 1500}}
    async with transaction(site.sessions) as session:
        point = (await session.scalars(select(Station).where(Station.code == "OLD-S1-EUR"))).one()
        assert (point.currency, point.zone, point.may_load) == ("EUR", "Europe/Prague", False)
        assert [receipt.station_code for receipt in await list_receipts(session)][-1] == "OLD-S1-EUR"


async def test_a_map_makes_what_its_kind_needs(site):
    path = site.write("c.csv", CUSTOMERS)
    with pytest.raises(MapNotSound, match="name"):
        await site.take(path, read_map(b'source = "a"\nkind = "customers"\n[id]\ncolumn = "Nr"\n[fields]\nkind = { const = "person" }\n'))
    with pytest.raises(MapNotSound, match="colour"):
        await site.take(
            path,
            read_map(
                b'source = "a"\nkind = "customers"\n[id]\ncolumn = "Nr"\n[fields]\nkind = { const = "person" }\nname = "x"\ncolour = "y"\n'
            ),
        )


async def test_what_was_imported_keeps_the_books_whole(site):
    """The sums the ledger must keep: purses equal their transfers, and nothing is written twice under one former id."""
    await take_all(site)
    async with transaction(site.sessions) as session:
        wrong = await session.execute(
            text(
                "SELECT purse_id FROM purses p WHERE balance_minor <> coalesce((SELECT sum(CASE WHEN credit_id = purse_id THEN amount_minor"
                " ELSE -amount_minor END) FROM transfers t WHERE t.account_id = p.account_id AND p.purse_id IN (debit_id, credit_id)), 0)"
            )
        )
        assert wrong.all() == []
