"""The application's edge: what a caller gets when all is well, and when it is not."""

from datetime import datetime
from typing import Annotated

import pytest
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.testing import AsyncTestClient
from msgspec import Meta, Struct
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.crypto import CryptoError
from loyalty.db import make_engine
from loyalty.errors import Refusal
from loyalty.main import create_app
from loyalty.settings import Settings


class TillIsShut(Refusal):
    zh = "收银台 {till} 已关闭。"
    en = "Till {till} is shut."


class Promise(Struct, forbid_unknown_fields=True):
    promise: Annotated[int, Meta(ge=0)]


@post("/promises")
async def make_promise(data: JSONBody[Promise], session: NamedDependency[AsyncSession], now: NamedDependency[datetime]) -> Promise:
    await session.execute(text("INSERT INTO promises VALUES (:promise)"), {"promise": data.promise})
    if data.promise == 13:
        raise TillIsShut(till=now.year * 0 + 3)
    if data.promise == 14:
        raise ValueError("a secret stands in this message")
    return data


@get("/promises")
async def count_promises(session: NamedDependency[AsyncSession]) -> dict[str, int]:
    return {"count": await session.scalar(text("SELECT count(*) FROM promises")) or 0}


@pytest.fixture
def settings(database_url, tmp_path):
    return Settings(database_url=database_url, data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")


@pytest.fixture
async def client(settings):
    owner = make_engine(settings.database_url)
    async with owner.begin() as connection:
        await connection.execute(text("CREATE TABLE promises (promise integer, UNIQUE (promise) DEFERRABLE INITIALLY DEFERRED)"))
    await owner.dispose()
    app: Litestar = create_app(settings)
    app.register(make_promise)
    app.register(count_promises)
    async with AsyncTestClient(app, raise_server_exceptions=False) as client:
        yield client


async def test_health_and_openapi_are_served(client):
    assert (await client.get("/health")).json() == {"status": "ok"}
    assert (await client.get("/schema/openapi.json")).json()["openapi"].startswith("3.1")


async def test_a_commit_refused_by_a_deferred_constraint_is_an_error_and_not_201(client):
    assert (await client.post("/promises", json={"promise": 1})).status_code == 201
    again = await client.post("/promises", json={"promise": 1})
    assert again.status_code == 500
    assert again.json()["code"] == "server_fault"
    assert (await client.get("/promises")).json() == {"count": 1}


async def test_a_refusal_is_a_problem_in_both_languages_and_rolls_back(client):
    refused = await client.post("/promises", json={"promise": 13})
    assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
    assert refused.json() == {
        "type": "urn:loyalty:problem:till_is_shut",
        "title": "Till 3 is shut.",
        "title_zh": "收银台 3 已关闭。",
        "status": 409,
        "code": "till_is_shut",
        "facts": {"till": 3},
    }
    assert (await client.get("/promises")).json() == {"count": 0}


@pytest.mark.parametrize("body", [{"promise": -1}, {"promise": 1, "extra": 2}, {}, {"promise": "x"}])
async def test_a_body_that_does_not_fit_is_named_by_field(client, body):
    refused = await client.post("/promises", json=body)
    assert refused.status_code == 400
    assert refused.json()["code"] == "request_not_understood"


async def test_unknown_paths_and_methods_are_problems(client):
    assert (await client.get("/nowhere")).json()["code"] == "not_found"
    assert (await client.delete("/promises")).json()["code"] == "method_not_offered"


async def test_a_fault_tells_the_caller_a_number_and_the_log_no_message(client, caplog):
    broken = await client.post("/promises", json={"promise": 14})
    assert broken.status_code == 500
    assert "secret" not in broken.text
    logged = caplog.text
    assert broken.json()["facts"]["incident"] in logged
    assert "ValueError" in logged
    assert "secret" not in logged


async def test_a_database_refuses_keys_it_was_not_written_with(client, settings, tmp_path):
    other = create_app(Settings(database_url=settings.database_url, data_dir=settings.data_dir, keys_dir=tmp_path / "others"))
    with pytest.raises(ExceptionGroup) as refused:
        async with AsyncTestClient(other):
            pass
    assert refused.group_contains(CryptoError)
