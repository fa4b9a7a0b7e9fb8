"""A till from its enrolment to a settled sale, over real HTTP."""

from uuid import uuid4

import httpx
import pytest

from loyalty.pos_client import Card, FileStore, Fuel, ProblemError, Till, UnreachableError
from tests.factories.world import PIN

LITRES_22 = Fuel(product="92", quantity_milli=22_000, unit_price_e4=78_900, amount_minor=17_358, nozzle=3)


async def test_a_till_enrols_opens_its_day_and_sells(till, card):
    sold = await till.sell(Card(number=card.number, pin=PIN), fuel=LITRES_22)
    assert (sold["outcome"], sold["card_minor"], sold["balance_after_minor"]) == ("approved", 17_358, 82_642)
    assert till.state.pending == []
    assert [(entry.sequence, entry.booked, entry.amount_minor) for entry in till.state.journal] == [(1, True, 17_358)]


async def test_preset_is_authorised_and_completed(till, card):
    approved = await till.authorise(Card(number=card.number, pin=PIN), product="92", amount_minor=20_000, nozzle=1)
    assert approved["outcome"] == "approved"
    booked = await till.complete(approved["authorization"], quantity_milli=22_000, unit_price_e4=78_900, amount_minor=17_358)
    assert (booked["outcome"], booked["released_minor"]) == ("booked", 2_642)


async def test_a_wrong_pin_is_an_answer(till, card):
    assert (await till.sell(Card(number=card.number, pin="9999"), fuel=LITRES_22))["reason"] == "pin_wrong"


async def test_a_code_enrols_once(site):
    code = await site.code()
    async with await Till.enrol(site.base_url, code=code, store=FileStore(site.settings.data_dir.with_name("till.json"))):
        with pytest.raises(ProblemError) as refused:
            await Till.enrol(site.base_url, code=code, store=FileStore(site.settings.data_dir.with_name("thief.json")))
    assert refused.value.code == "enrolment_refused"


class Lossy(httpx.AsyncHTTPTransport):
    """Delivers every request, and loses the first answers to those of one path."""

    def __init__(self, path: str, lost: int) -> None:
        super().__init__()
        self.path = path
        self.lost = lost

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if request.url.path == self.path and self.lost:
            self.lost -= 1
            await response.aread()
            raise httpx.ReadError("the line dropped")
        return response


async def test_a_lost_answer_is_asked_for_again_and_has_one_effect(site, card):
    async with httpx.AsyncClient(base_url=site.base_url, transport=Lossy("/v1/sales", 2)) as http, await site.till(http=http) as till:
        sold = await till.sell(Card(number=card.number, pin=PIN), fuel=LITRES_22)
        assert sold["balance_after_minor"] == 82_642


class Reset(Lossy):
    """Fails before it delivers, as the HTTP library does where a connection is reset the moment it stands (a web process was killed)."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == self.path and self.lost:
            self.lost -= 1
            raise AttributeError("'NoneType' object has no attribute 'getpeername'")
        return await super().handle_async_request(request)


async def test_a_connection_that_is_reset_at_once_is_opened_again(site, card):
    async with httpx.AsyncClient(base_url=site.base_url, transport=Reset("/v1/sales", 2)) as http, await site.till(http=http) as till:
        sold = await till.sell(Card(number=card.number, pin=PIN), fuel=LITRES_22)
        assert sold["balance_after_minor"] == 82_642


async def test_a_till_that_dies_with_an_unanswered_sale_settles_it_at_its_next_start(site, card, tmp_path):
    store = FileStore(tmp_path / "till.json")
    async with httpx.AsyncClient(base_url=site.base_url, transport=Lossy("/v1/sales", 99)) as http:
        till = await Till.enrol(site.base_url, code=await site.code(), store=store, http=http, backoff_s=0.0)
        with pytest.raises(UnreachableError) as lost:
            await till.sell(Card(number=card.number, pin=PIN), fuel=LITRES_22)
    assert lost.value.sent
    assert (tmp_path / "till.json").stat().st_mode & 0o077 == 0
    assert PIN.encode() not in (tmp_path / "till.json").read_bytes().replace(card.number.encode(), b"")
    async with Till(store) as restarted:
        answers = await restarted.resume()
        assert answers[lost.value.key]["card_minor"] == 17_358
        assert restarted.state.pending == []
        assert (await restarted.sell(Card(number=card.number, pin=PIN), fuel=LITRES_22))["balance_after_minor"] == 65_284


async def test_no_server_no_money(site, card):
    async with httpx.AsyncClient(base_url="http://127.0.0.1:1") as nowhere:
        till = Till((await site.till())._store, http=nowhere, backoff_s=0.0)
        with pytest.raises(UnreachableError) as lost:
            await till.sell(Card(number=card.number, pin=PIN), fuel=LITRES_22, key=uuid4())
    assert not lost.value.sent
