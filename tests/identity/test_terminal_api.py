"""Tills over HTTP: enrol, open the day, beat, close; and the same answer to everything that is not good."""

import base64

import httpx
import pytest
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from sqlalchemy import select, text

from loyalty import clock
from loyalty.crypto import enrolment_public_key, new_code, new_enrolment_key, open_session_client, prove_enrolment_key
from loyalty.crypto.day_sessions import SessionAnswer
from loyalty.db import transaction
from loyalty.identity import operations
from loyalty.identity.api import terminal_router
from loyalty.identity.model_terminals import EnrolmentUse
from loyalty.main import provide_session
from loyalty.problems import exception_handlers
from loyalty.signing import sign_request
from loyalty.stations.model import Terminal
from loyalty.stations.operations.terminals import record_heartbeat

from .conftest import make_places


@pytest.fixture
async def client(sessions):
    async def now():
        return clock.business_now()

    app = Litestar(
        route_handlers=[terminal_router(record_heartbeat)],
        dependencies={"session": Provide(provide_session), "now": Provide(now)},
        exception_handlers=exception_handlers(),
        openapi_config=OpenAPIConfig(title="tills", version="1"),
        state=State({"sessions": sessions}),
    )
    # Not Litestar's test client: that one runs the application on a loop of its own, and the engine belongs to ours.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://till") as client:
        yield client


@pytest.fixture
async def chain(sessions):
    async with transaction(sessions) as session:
        return await make_places(session, clock.real_now())


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def enrolment(code: str, key, proof_by=None) -> dict[str, str]:
    return {"code": code, "public_key": b64(enrolment_public_key(key)), "proof": b64(prove_enrolment_key(proof_by or key, code))}


async def issue(sessions, terminal_id) -> str:
    async with transaction(sessions) as session:
        code, _ = await operations.issue_enrolment_code(session, terminal_id=terminal_id, use=EnrolmentUse.KEY, now=clock.real_now())
    return code


async def test_a_till_enrols_opens_its_day_beats_and_closes(client, sessions, chain):
    key = new_enrolment_key()
    enrolled = await client.post("/v1/terminals/enrolment", json=enrolment(await issue(sessions, chain.terminals[0]), key))
    assert enrolled.status_code == 201, enrolled.text
    till = enrolled.json()
    assert (till["terminal_id"], till["epoch"]) == (str(chain.terminals[0]), 1)

    now = clock.real_now()
    pending = open_session_client(terminal_id=chain.terminals[0], epoch=1, enrolment_key=key, now=now)
    sent = {
        "terminal_id": str(pending.opening.terminal_id),
        "epoch": 1,
        "opened_at": pending.opening.opened_at,
        "public_key": b64(pending.opening.public_key),
        "signature": b64(pending.opening.signature),
    }
    opened = await client.post("/v1/terminals/sessions", json=sent)
    assert opened.status_code == 201, opened.text
    answer = httpx_struct(opened)
    keys = pending.finish(answer, issuer_keys={int(number): base64.b64decode(raw) for number, raw in till["issuer_keys"].items()})
    assert (await client.post("/v1/terminals/sessions", json=sent)).json()["code"] == "session_not_opened"

    def signed(method: str, path: str, body: bytes = b"", mac_key: bytes = keys.mac_key) -> dict[str, str]:
        return sign_request(
            method=method, path=path, body=body, idempotency_key="beat-1", key_id=answer.session_id, mac_key=mac_key, now=clock.real_now()
        )

    beat, path = b'{"software":"pos 1.0"}', "/v1/terminals/heartbeat"
    heard = await client.post(path, content=beat, headers=signed("POST", path, beat))
    assert heard.status_code == 200, heard.text
    assert set(heard.json()["revisions"]) == {"reference", "price", "rule", "terminal", "period"}
    async with transaction(sessions) as session:
        row = await session.get_one(Terminal, chain.terminals[0])
        assert row.software == "pos 1.0"
        assert row.last_heartbeat_at is not None

    for headers in ({}, signed("POST", path, b"{}"), signed("POST", path, beat, b"k" * 32), signed("PUT", path, beat)):
        refused = await client.post(path, content=beat, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "terminal_not_recognised")

    end = "/v1/terminals/sessions/current"
    assert (await client.delete(end, headers=signed("DELETE", end))).status_code == 204
    assert (await client.post(path, content=beat, headers=signed("POST", path, beat))).status_code == 401


def httpx_struct(response: httpx.Response) -> SessionAnswer:
    body = response.json()
    return SessionAnswer(
        session_id=body["session_id"],
        expires_at=body["expires_at"],
        public_key=base64.b64decode(body["public_key"]),
        issuer_key_id=body["issuer_key_id"],
        signature=base64.b64decode(body["signature"]),
    )


async def test_a_wrong_code_is_refused_and_its_count_is_committed(client, sessions, chain):
    key, other = new_enrolment_key(), new_enrolment_key()
    code = await issue(sessions, chain.terminals[0])
    answers = [
        await client.post("/v1/terminals/enrolment", json=enrolment(new_code(), key)),
        await client.post("/v1/terminals/enrolment", json=enrolment("not-a-code", key)),
        await client.post("/v1/terminals/enrolment", json=enrolment(code, key, proof_by=other)),
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["code"] == "enrolment_refused"
    async with transaction(sessions) as session:
        assert list(await session.scalars(text("SELECT failures FROM attempts WHERE kind = 'enrolment'"))) == [1]
        assert list(await session.scalars(select(Terminal.status).where(Terminal.terminal_id == chain.terminals[0]))) == ["active"]


async def test_unknown_fields_are_refused(client):
    for path, body in (
        ("/v1/terminals/enrolment", enrolment(new_code(), new_enrolment_key()) | {"role": "admin"}),
        ("/v1/terminals/sessions", {"terminal_id": "x"}),
    ):
        refused = await client.post(path, json=body)
        assert refused.status_code == 400
        assert refused.headers["content-type"] == "application/problem+json"


async def test_the_description_holds_summaries_and_examples_in_both_languages(client):
    document = (await client.get("/schema/openapi.json")).json()
    for path in ("enrolment", "sessions", "heartbeat"):
        operation = document["paths"][f"/v1/terminals/{path}"]["post"]
        assert " / " in operation["summary"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schema["examples"]
