"""A basket tried over JSON and at the terminal: live, a rulebook by number, a document that nobody has saved."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.pricing import command
from loyalty.pricing.document import Document, Fixed
from loyalty.pricing.files import write_rulebook
from loyalty.pricing.operations import publish
from loyalty.settings import Settings
from tests.factories.world import make_world
from tests.pricing.documents import rule
from tests.web.office_desk import Office, opened_office

BASKET = {"station": "S1", "at": "2026-09-24T02:15:00Z", "lines": [{"product": "92", "quantity_milli": 22000, "unit_price_e4": 80000}]}
FIXED = {
    "code": "five-off",
    "name_zh": "减五元",
    "name_en": "Five off",
    "effect": {"kind": "fixed", "amount_minor": 500},
    "funders": [{"funder": "head-office"}],
}


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory) -> AsyncIterator[Office]:
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office"), with_sales=False) as office:
        yield office
        for desk in office.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


async def _ask(office, body, *, who="office", status=200):
    client = (await office.at(who)).client
    headers = {"x-csrf-token": client.cookies.get("office-form") or ""}
    answer = await client.post("/office/api/simulations", json=body, headers=headers)
    assert answer.status_code == status, answer.text[:600]
    return answer.json()


async def _station(office) -> str:
    page = await (await office.at("office")).client.get("/schema/openapi.json")
    assert "/office/api/simulations" in page.json()["paths"]
    return BASKET["station"]


async def test_a_document_that_nobody_has_saved(office):
    basket = BASKET | {"station": await _station(office)}
    found = await _ask(office, {"basket": basket, "document": {"rules": [FIXED]}})
    assert (found["gross_minor"], found["discount_minor"]) == (17_600, 500)
    assert found["applied"][0]["rule"] == "five-off"
    without = await _ask(office, {"basket": basket | {"without": ["five-off"]}, "document": {"rules": [FIXED]}})
    assert (without["discount_minor"], without["missed"][0]["why"]) == (0, "disabled")


async def test_what_is_not_there_is_refused(office):
    assert (await _ask(office, {"basket": BASKET | {"station": "gone"}}, status=404))["code"] == "station_not_known"
    assert (await _ask(office, {"basket": BASKET, "book": 99_999}, status=404))["code"] == "rulebook_not_found"
    lines = [{"product": "gone", "quantity_milli": 1}]
    assert (await _ask(office, {"basket": BASKET | {"lines": lines}}, status=422))["code"] == "product_not_known"
    assert (await _ask(office, {"basket": BASKET | {"at": "2026-09-24T02:15:00"}}, status=400))["code"] == "request_not_understood"


async def test_at_the_terminal(database_url, sessions, now, capsys, tmp_path):
    async with transaction(sessions) as session:
        await make_world(session, now=now)
        await publish(session, document=Document(rules=(rule(),)), note="开业", now=now)
    settings = Settings.from_environment({"DATABASE_URL": database_url})
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    basket, file = tmp_path / "basket.json", tmp_path / "rules.toml"
    basket.write_text(json.dumps(BASKET | {"at": now.isoformat()}), "utf-8")
    file.write_text(write_rulebook(Document(rules=(rule("five", Fixed(amount_minor=500)),))), "utf-8")

    async def run(*words):
        code = await asyncio.to_thread(command.run, parser.parse_args(["simulate", str(basket), *words]), settings)
        assert code == 0
        return capsys.readouterr().out

    assert "per-litre" in (said := await run())
    assert "¥6.60" in said
    assert json.loads(await run("--json", "--file", str(file)))["discount_minor"] == 500
    assert json.loads(await run("--json", "--book", "1", "--without", "per-litre"))["discount_minor"] == 0
