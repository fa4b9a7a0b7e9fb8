"""The demo chain is whole, and its books balance."""

import json
import stat

import pytest
from sqlalchemy import text

from loyalty import clock
from loyalty.checks.command import check_database
from loyalty.crypto import use_keyring
from loyalty.demo_command import fill
from loyalty.settings import Settings


@pytest.fixture
def settings(database_url, tmp_path) -> Settings:
    return Settings(database_url=database_url, data_dir=tmp_path / "data", keys_dir=tmp_path / "keys", demo=True)


@pytest.fixture(autouse=True)
def no_keys():
    yield
    use_keyring(None)


async def test_an_empty_database_becomes_a_chain_that_balances(settings, sessions):
    said: list[str] = []
    told = await fill(settings, progress=said.append)
    assert said
    async with sessions() as session:

        async def count(sentence: str) -> int:
            return (await session.execute(text(f"SELECT count(*) FROM {sentence}"))).scalar_one()

        assert (await count("stations"), await count("districts"), await count("regions")) == (6, 2, 1)
        assert await count("customers") == 50
        assert await count("card_products") == 5
        assert await count("sales") > 150
        assert await count("authorizations WHERE status = 9") == 2
        assert await count("authorizations WHERE status = 1") == 1
        # One of its own, and the four cards of the purchase.
        assert await count("topups WHERE status = 'pending'") == 5
        assert await count("purchases WHERE status = 'pending'") == 1
        assert await count("account_closures WHERE status IN ('requested', 'approved')") == 2
        assert await count("merge_suggestions WHERE status = 'open'") == 1
        assert await count("day_closes") == 36
        assert await count("adjustments WHERE status = 'proposed'") == 1
        assert await count("cards WHERE status = 4") == 1
        assert await count("refunds") == 1
        assert await count("fills WHERE status = 1") >= 6
        assert await count("shifts WHERE status = 'closed'") >= 30
        await the_campaigns_run(count)
        await a_company_has_a_fleet(count)
        await the_alliances_stand(count)
        for (name,) in await session.execute(text("SELECT log_in_name FROM users")):
            assert f"    {name} " in told
    results = await check_database(settings, now=clock.business_now(), everything=True)
    assert {result.check.code: result.found.rows for result in results if result.found.count} == {}

    await the_log_ins_are_kept_for_us_alone_and_told_again(settings, told)


async def a_company_has_a_fleet(count):
    """Part of the one test: the first organisation's departments, vehicles, drivers and cards."""
    assert (await count("companies"), await count("departments"), await count("vehicles"), await count("drivers")) == (2, 4, 24, 20)
    assert await count("card_bindings WHERE until IS NULL") == 6
    assert await count("limit_chains") == 6 + 3, "the company below it has three cards, bound to nobody"
    fills = "sales JOIN card_bindings USING (chain_id)"
    assert await count(f"{fills} WHERE vehicle_id IS NOT NULL") > 5
    for kind in ("above_tank", "wrong_grade", "too_soon", "other_plate"):
        assert await count(f"findings WHERE kind = '{kind}'") > 0, kind
    assert await count("findings WHERE disposition = 'open'") > 1
    assert await count("findings WHERE disposition IN ('explained', 'confirmed')") > 1


async def the_alliances_stand(count):
    """Part of the one test: what is agreed with partners, what waits, and what was redeemed."""
    assert (await count("partners WHERE status = 'active'"), await count("partners WHERE status = 'prospective'")) == (3, 1)
    assert await count("partner_agreements WHERE status = 'approved' AND decided_by <> made_by") == 3
    assert (await count("partner_agreements WHERE status = 'submitted'"), await count("partner_agreements WHERE status = 'draft'")) == (
        1,
        1,
    )
    assert await count("partner_outlets WHERE status = 'paused'") == 1
    assert await count("partner_notices") == 1
    assert await count("voucher_kinds WHERE outlets && ARRAY['partner:DONGHAI', 'partner:YUEXI']") == 2
    assert await count("partner_lines WHERE kind = 'rollback'") == 1


async def the_campaigns_run(count):
    """Part of the one test: what the rules gave in the demo's week, and what is planned."""
    assert await count("rulebooks WHERE status = 'approved' AND activates_at < now()") == 1
    assert await count("rulebooks WHERE status = 'approved' AND activates_at > now() AND approved_by <> submitted_by") == 1
    assert await count("rulebooks WHERE status = 'draft'") == 1
    for rule in ("gold-tier", "birthday", "happy-hour", "forty-litres", "flyer-first", "points-fuel", "points-gold"):
        assert await count(f"""sales WHERE detail @> '{{"benefits": [{{"rule": "{rule}"}}]}}'""") > 0, rule
    assert await count("""topups WHERE detail @> '{"benefits": [{"rule": "thank-you-gift"}]}'""") > 20
    assert await count("customers c JOIN accounts a USING (customer_id) WHERE a.registered_at IS NOT NULL") == 1
    first = (
        'SELECT count(*) AS times FROM sales JOIN accounts USING (account_id) WHERE detail @> \'{"benefits": [{"rule": "flyer-first"}]}\''
    )
    assert await count(f"({first} GROUP BY customer_id) first_fills WHERE times > 1") == 0
    assert await count("gift_entitlements WHERE status = 'handed_out'") > 5
    assert await count("gift_entitlements WHERE status = 'granted'") > 5
    assert await count("vouchers JOIN voucher_kinds USING (kind_id) WHERE code = 'free-wash' AND plate IS NOT NULL") > 2
    assert await count("referral_rewards") > 3
    assert await count("standings WHERE tier = 'gold'") > 5
    burnt = "SELECT sum(used) AS used, min(total) AS total FROM budgets JOIN budget_shares USING (budget_id) GROUP BY budget_id"
    assert await count(f"({burnt}) burnt WHERE used > 0 AND used < total") >= 3


async def the_log_ins_are_kept_for_us_alone_and_told_again(settings, told):
    """Part of the one test: a chain takes its seconds to make."""
    file = settings.keys_dir / "demo-log-ins.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    passwords = {each["password"] for each in json.loads(file.read_text())["office"]}
    assert len(passwords) == 7
    assert all(password in told for password in passwords)
    again = await fill(settings)
    kept, fresh = [[line for line in text.splitlines() if ("15 minutes" in line) is code] for text, code in ((again, False), (again, True))]
    assert kept == [line for line in told.splitlines() if "15 minutes" not in line]
    assert fresh != [line for line in told.splitlines() if "15 minutes" in line]
