"""An installation of the release before keeps its discounts: its standing terms are the first rulebook after the migration."""

import asyncpg
import pytest

from loyalty import schema
from loyalty.db import driver_dsn, make_engine, make_sessions, transaction
from loyalty.pricing.document import Document, Mode, PerUnit
from loyalty.pricing.queries import latest_document


@pytest.fixture
async def old(databases):
    """Yield the URL of an empty database at the last migration before rulebooks."""
    url = await databases.empty()
    await schema.migrate(url, revision="0021")
    yield url
    await databases.drop(url)


async def test_terms_go_on_as_rules_of_one_group(old):
    connection = await asyncpg.connect(driver_dsn(old))
    await connection.execute(
        """
        INSERT INTO discount_terms
            (term_id, code, revision, name_zh, name_en, currency, rate_e4, funder, valid_from, valid_to, published_at)
        VALUES
            (gen_random_uuid(), 'GOLD Litre', 1, '金卡', 'Gold', 'CNY', 2000, 'head-office', '2026-01-01Z', '2026-06-01Z', '2026-01-01Z'),
            (gen_random_uuid(), 'GOLD Litre', 2, '金卡', 'Gold', 'CNY', 3000, 'head-office', '2026-06-01Z', NULL, '2026-05-20Z')
        """
    )
    await connection.close()
    await schema.migrate(old)
    engine = make_engine(old, role="loyalty_hot")
    async with transaction(make_sessions(engine)) as session:
        number, document = await latest_document(session)
    await engine.dispose()
    assert number == 1
    assert isinstance(document, Document)
    assert [(rule.code, rule.effect, rule.revision) for rule in document.rules] == [
        ("gold-litre-r1", PerUnit(rate_e4=2_000), 1),
        ("gold-litre-r2", PerUnit(rate_e4=3_000), 2),
    ]
    assert document.rules[0].ends_at == document.rules[1].starts_at
    assert document.groups[0].mode is Mode.BEST, "of several the best goes on to win"
    assert document.rules[0].when.categories == ("fuel",)
