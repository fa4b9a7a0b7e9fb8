"""A partner's own till: each key at its own outlets, each request once for ever, whatever is lost, doubled or sent at once."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import text

from loyalty.db import transaction
from partners.operations.api_keys import make_key
from partners.web.till_api import ROOT
from tests.factories.partner_house import PLATE
from tests.factories.world import SYSTEM, give_card


@pytest.fixture(scope="module")
async def keys(portal):
    """Keys: one for all outlets of ours, one for our first, one of the others'."""
    made, now = {}, datetime.now(UTC)
    async with transaction(portal.sessions) as session:
        for name, house, outlets in (("all", "ours", None), ("east", "ours", 1), ("theirs", "theirs", None)):
            one = portal.houses[house]
            made[name] = await make_key(
                session,
                partner_id=one.partner_id,
                name=name,
                outlets=None if outlets is None else one.outlets[:outlets],
                actor=SYSTEM,
                now=now,
            )
    return made


async def call(portal, key, path, body=None, *, once=None):
    client = portal.stranger().client
    headers = {"authorization": f"Bearer {key}"} if key else {}
    if once is not None:
        headers["idempotency-key"] = str(once)
    async with client:
        if body is None:
            return await client.get(ROOT + path, headers=headers)
        return await client.post(ROOT + path, json=body, headers=headers)


async def count(portal, sentence, **bound):
    async with transaction(portal.sessions) as session:
        return await session.scalar(text(sentence), bound)


async def test_a_till_without_a_good_key_learns_nothing(portal):
    for key in ("", "lpk_" + "x" * 43):
        for path, body in (("/outlets", None), ("/day?outlet=E", None), ("/codes", {"outlet": "E", "code": "A"})):
            answer = await call(portal, key, path, body)
            assert (answer.status_code, answer.json()["code"]) == (401, "api_key_not_valid"), path
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_reaches_its_outlets_and_no_other(portal, keys):
    assert [one["code"] for one in (await call(portal, keys["all"], "/outlets")).json()["items"]] == ["E", "W"]
    assert [one["code"] for one in (await call(portal, keys["east"], "/outlets")).json()["items"]] == ["E"]
    code = await portal.voucher("ours", "fifty")
    acts = [
        ("/codes", {"outlet": "W", "code": code}),
        ("/redemptions", {"outlet": "W", "code": code}),
        ("/reservations", {"outlet": "W", "code": code}),
        (f"/reservations/{uuid4()}/redemption", {"outlet": "W"}),
        (f"/redemptions/{uuid4()}/rollback", {"outlet": "W", "reason": "x"}),
        ("/sales", {"outlet": "W", "card": "8800", "gross_minor": 100}),
        ("/outlets/W/pause", {"reason": "rain"}),
        ("/outlets/W/opening", {}),
        ("/day?outlet=W", None),
    ]
    for path, body in acts:
        answer = await call(portal, keys["east"], path, body, once=uuid4())
        assert (answer.status_code, answer.json()["code"]) == (404, "outlet_not_reached"), path


async def test_a_lost_answer_is_asked_for_again_and_is_the_same_bytes_for_ever(portal, keys):
    code, key = await portal.voucher("ours", "fifty"), uuid4()
    body = {"outlet": "E", "code": code, "gross_minor": 8_000, "served_by": "POS 1"}
    first = await call(portal, keys["all"], "/redemptions", body, once=key)
    assert first.status_code == 201, first.text
    assert (first.json()["saved_minor"], first.json()["left_minor"]) == (5_000, 0)
    undone = await call(portal, keys["all"], f"/redemptions/{key}/rollback", {"outlet": "E", "reason": "wrong car"}, once=uuid4())
    assert undone.json() == {"key": str(key), "known": True}
    again = await call(portal, keys["all"], "/redemptions", body, once=key)
    assert (again.status_code, again.content) == (201, first.content), "also after it was undone"
    other = await call(portal, keys["all"], "/redemptions", body | {"gross_minor": 9_000}, once=key)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


async def test_sixty_four_at_once_under_one_key_are_one_redemption(portal, keys):
    code, key = await portal.voucher("ours", "fifty"), uuid4()
    body = {"outlet": "E", "code": code}
    answers = await asyncio.gather(*(call(portal, keys["all"], "/redemptions", body, once=key) for _ in range(64)))
    assert Counter(one.status_code for one in answers) == {201: 64}
    assert len({one.content for one in answers}) == 1
    assert await count(portal, "SELECT count(*) FROM partner_lines WHERE reference = :end", end=f"•••• {code[-4:]}") == 1


async def test_sixty_four_tills_with_keys_of_their_own_are_one_success(portal, keys):
    code = await portal.voucher("ours", "fifty")
    async with transaction(portal.sessions) as session:
        house = portal.houses["ours"]
        fresh = await make_key(session, partner_id=house.partner_id, name="busy", outlets=None, actor=SYSTEM, now=datetime.now(UTC))
    body = {"outlet": "W", "code": code}
    answers = await asyncio.gather(*(call(portal, fresh, "/redemptions", body, once=uuid4()) for _ in range(64)))
    tally = Counter(one.status_code for one in answers)
    assert tally[201] == 1
    assert set(tally) <= {201, 404, 429}, "the others hear that it is not good here, or that the outlet's tries are used up"
    # The outlet rests after so many: another test's outlet is another.
    async with transaction(portal.sessions) as session:
        await session.execute(text("DELETE FROM attempts WHERE kind = 'voucher_code'"))


async def test_set_aside_then_redeemed_when_the_bill_is_paid(portal, keys):
    code, held = await portal.voucher("ours", "wash", plate=PLATE), uuid4()
    good = (await call(portal, keys["all"], "/codes", {"outlet": "E", "code": code})).json()
    assert (good["name_zh"], good["worth_minor"], good["plate"]) == ("免费精洗一次", 3_500, PLATE)
    wrong = await call(portal, keys["all"], "/reservations", {"outlet": "E", "code": code, "plate": "浙A99999"}, once=uuid4())
    assert wrong.status_code == 404
    reserved = await call(portal, keys["all"], "/reservations", {"outlet": "E", "code": code, "plate": "浙A·12345"}, once=held)
    assert reserved.status_code == 201, reserved.text
    assert (await call(portal, keys["all"], "/codes", {"outlet": "E", "code": code})).status_code == 404, "nobody else gets it meanwhile"
    done = await call(portal, keys["all"], f"/reservations/{held}/redemption", {"outlet": "E"}, once=uuid4())
    assert (done.status_code, done.json()["saved_minor"]) == (201, 3_500), done.text
    unknown = await call(portal, keys["all"], f"/reservations/{uuid4()}/redemption", {"outlet": "E"}, once=uuid4())
    assert (unknown.status_code, unknown.json()["code"]) == (404, "redemption_unknown")


async def test_a_roll_back_that_came_first_refuses_the_late_redemption(portal, keys):
    code, key = await portal.voucher("ours", "fifty"), uuid4()
    back = await call(portal, keys["all"], f"/redemptions/{key}/rollback", {"outlet": "E", "reason": "timeout"}, once=uuid4())
    assert back.json() == {"key": str(key), "known": False}
    late = await call(portal, keys["all"], "/redemptions", {"outlet": "E", "code": code}, once=key)
    assert (late.status_code, late.json()["code"]) == (409, "redemption_rolled_back")
    fresh = await call(portal, keys["all"], "/redemptions", {"outlet": "E", "code": code}, once=uuid4())
    assert fresh.status_code == 201


async def test_a_members_sale_is_booked_once(portal, keys):
    async with transaction(portal.sessions) as session:
        card = await give_card(session, portal.world, balance_minor=100)
    body, key = {"outlet": "E", "card": card.number, "gross_minor": 20_000, "benefit": "tenth"}, uuid4()
    first = await call(portal, keys["all"], "/sales", body, once=key)
    again = await call(portal, keys["all"], "/sales", body, once=key)
    assert (first.status_code, first.json()["saved_minor"]) == (201, 2_000), first.text
    assert again.content == first.content
    unknown = await call(portal, keys["all"], "/sales", body | {"card": "6217000000000000000"}, once=uuid4())
    assert (unknown.status_code, unknown.json()["code"]) == (404, "card_not_shown")


async def test_what_is_wrong_with_a_request_is_said(portal, keys):
    code = await portal.voucher("ours", "fifty")
    none = await call(portal, keys["all"], "/redemptions", {"outlet": "E", "code": code})
    assert (none.status_code, none.json()["code"]) == (422, "key_missing")
    more = await call(portal, keys["all"], "/redemptions", {"outlet": "E", "code": code, "tip": 1}, once=uuid4())
    assert more.status_code in {400, 422}, "unknown fields are refused"
    less = await call(portal, keys["all"], "/redemptions", {"outlet": "E"}, once=uuid4())
    assert less.status_code in {400, 422}


async def test_the_outlet_pauses_and_its_day_is_read(portal, keys):
    paused = await call(portal, keys["all"], "/outlets/E/pause", {"reason": "rain", "minutes": 30})
    assert (paused.json()["status"], paused.json()["why_paused"]) == ("paused", "rain")
    code = await portal.voucher("ours", "fifty")
    refused = await call(portal, keys["all"], "/redemptions", {"outlet": "E", "code": code}, once=uuid4())
    assert (refused.status_code, refused.json()["code"]) == (409, "outlet_not_serving")
    for _ in range(2):
        opened = await call(portal, keys["all"], "/outlets/E/opening", {})
        assert opened.json()["status"] == "open"
    day = (await call(portal, keys["all"], "/day?outlet=E")).json()
    assert day["uses"] >= 1
    assert day["items"][0].keys() >= {"number", "saved_minor", "undone"}


async def test_guesses_count_although_they_are_refused(portal, keys):
    used, key = await portal.voucher("theirs", "fifty"), uuid4()
    await call(portal, keys["theirs"], "/redemptions", {"outlet": "W", "code": used}, once=key)
    body = {"outlet": "W", "code": used}
    statuses = [(await call(portal, keys["theirs"], "/redemptions", body, once=uuid4())).status_code for _ in range(22)]
    assert (statuses[0], statuses[-1]) == (404, 429)


async def test_the_schema_describes_it(portal):
    async with portal.stranger().client as client:
        said = (await client.get("/schema/openapi.json")).json()
    assert {f"{ROOT}/redemptions", f"{ROOT}/sales", f"{ROOT}/codes"} <= said["paths"].keys()
    receipt = said["paths"][f"{ROOT}/redemptions"]["post"]["responses"]["201"]
    assert receipt["content"]["application/json"]["schema"]
