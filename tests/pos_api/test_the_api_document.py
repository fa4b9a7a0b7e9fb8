"""The API document: complete, with examples that decode, and a server that keeps to it whatever is thrown at it."""

import asyncio
import warnings
from typing import Any
from uuid import uuid4

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from loyalty import clock
from loyalty.pos_api.examples import EXAMPLES
from loyalty.signing import sign_request

UNSIGNED = {"POST /v1/terminals/enrolment", "POST /v1/terminals/sessions"}
EXAMPLES_EACH = 12


@pytest.fixture
async def document(site) -> dict[str, Any]:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{site.base_url}/schema/openapi.json")).json()


def operations(document):
    for path, item in document["paths"].items():
        if path.startswith("/v1/"):
            for method, operation in item.items():
                yield f"{method.upper()} {path}", operation


async def test_every_operation_is_described_in_both_languages_with_an_example(document):
    assert document["openapi"].startswith("3.1")
    names = dict(operations(document))
    assert {"POST /v1/authorizations", "POST /v1/authorizations/{authorization}/completions", "POST /v1/sales"} <= set(names)
    for name, operation in names.items():
        assert " / " in operation["summary"], f"{name} is named in both languages"
        assert operation["description"], name
        if name not in UNSIGNED:
            assert operation["security"] == [{"daySession": []}], name
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        assert not body or body.get("examples") or body["schema"].get("examples"), f"{name} shows what is sent"
    assert set(EXAMPLES) <= set(names), "an example belongs to an operation"


async def test_every_example_keeps_to_its_schema(document):
    for name, (asked, said) in EXAMPLES.items():
        operation = dict(operations(document))[name]
        if asked is not None:
            check(asked, operation["requestBody"]["content"]["application/json"]["schema"], document, name)
        if said is not None:
            check(said, operation["responses"]["200"]["content"]["application/json"]["schema"], document, name)


def check(value: Any, schema: dict[str, Any], document: dict[str, Any], name: str) -> None:
    whole = schema | {"components": document["components"]}
    faults = [fault.message for fault in jsonschema_rs.Draft202012Validator(whole).iter_errors(value)]
    assert not faults, f"{name}: {faults}"


async def test_unsigned_requests_get_401_and_signed_ones_never_a_fault(site, document, till):
    session = await till.session()
    session_id = till._session_id

    def signed(method: str, path: str, query: str, body: bytes) -> dict[str, str]:
        return sign_request(
            method=method,
            path=path,
            query=query,
            body=body,
            idempotency_key=str(uuid4()),
            key_id=session_id,
            mac_key=session.mac_key,
            now=clock.real_now(),
        )

    faults = await asyncio.to_thread(throw_everything, site.base_url, document, signed)
    assert faults == []


def throw_everything(base_url: str, document: dict[str, Any], signed) -> list[str]:
    """Send what schemathesis makes of each operation, unsigned and signed; return what went wrong."""
    schema = schemathesis.openapi.from_dict(document)
    faults: list[str] = []
    with httpx.Client(base_url=base_url, timeout=120) as client:
        for result in schema.get_all_operations():
            operation = result.ok()
            # Closing the session would end the test's own.
            if operation.path.startswith("/v1/") and operation.method.upper() != "DELETE":
                throw(operation, client, signed, faults)
    return faults


def throw(operation, client: httpx.Client, signed, faults: list[str]) -> None:
    name = f"{operation.method.upper()} {operation.path}"

    @settings(
        max_examples=EXAMPLES_EACH,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def send(case) -> None:
        made = case.as_transport_kwargs(base_url=str(client.base_url))
        request = client.build_request(
            made["method"], made["url"], params=made.get("params"), json=made.get("json"), content=made.get("data")
        )
        body = request.read()
        path, _, query = request.url.raw_path.decode().partition("?")
        bare = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        reply = client.request(request.method, str(request.url), content=body, headers=bare)
        if reply.status_code >= 500 or (name not in UNSIGNED and reply.status_code != 401):
            faults.append(f"{name} unsigned: {reply.status_code}")
        if name in UNSIGNED:
            return
        reply = client.request(request.method, str(request.url), content=body, headers=bare | signed(request.method, path, query, body))
        if reply.status_code >= 500 or reply.status_code == 401:
            faults.append(f"{name} signed: {reply.status_code} {reply.text[:300]} for {body[:300]!r}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        send()
