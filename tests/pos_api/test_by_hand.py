"""The reference client as a person tries it."""

import asyncio
import json
import shlex
import shutil

import pytest

from loyalty.pos_client import __main__ as by_hand
from tests.factories.world import PIN


async def test_a_person_enrols_looks_around_and_sells(site, card, tmp_path):
    async def run(*words: str):
        return await by_hand._run(by_hand._parser().parse_args(["--state", str(tmp_path / "till.json"), *words]))

    assert (await run("enrol", site.base_url, await site.code()))["epoch"] == 1
    place = await run("place")
    assert (place["terminal"]["code"], [line["product_code"] for line in place["board"]]) == ("T1", ["0", "92", "95"])
    assert (await run("quote", card.number))["outcome"] == "quote"
    sold = await run("sale", card.number, "--pin", PIN, "--litres", "22000", "--price", "78900")
    assert sold["card_minor"] == 17_358
    assert (await run("balance", card.number, "--pin", PIN))["balance_minor"] == 82_642


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl was not found")
async def test_a_signed_request_is_shown_as_a_curl_command_and_works_as_one(site, card, tmp_path):
    async def run(*words: str):
        return await by_hand._run(by_hand._parser().parse_args(["--state", str(tmp_path / "till.json"), *words]))

    await run("enrol", site.base_url, await site.code())
    command = await run("sale", card.number, "--pin", PIN, "--litres", "10000", "--price", "78900", "--curl")
    sent = await asyncio.create_subprocess_exec(*shlex.split(command), stdout=asyncio.subprocess.PIPE)
    said, _ = await sent.communicate()
    assert json.loads(said)["card_minor"] == 7_890
