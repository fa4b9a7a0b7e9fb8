"""The API document, completed: signatures, idempotency keys, problems, examples, closed request bodies.

Litestar generates the operations from the handlers and their structs; what is the same for all of them is added here, once.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin

from loyalty.authorizations.advising import Advice
from loyalty.authorizations.wire import SaleAnswer

from .examples import DECLINED, EXAMPLES, PROBLEM, UNSIGNED

Document = dict[str, Any]

DESCRIPTION: Final = """\
Fuel cards and stored value at the till. 加油卡与储值的终端接口。

**Amounts** are integers: `*_minor` minor units of the station's currency, `*_milli` thousandths of a unit (L, kg, m³, kWh, piece),
`unit_price_e4` ten-thousandths of a currency unit. **Unknown fields** of a request are refused; answers may gain fields.

**A decline is an answer** (200, `outcome`, `reason`, a sentence in Chinese and English, what remains). A refusal is a problem document
(RFC 9457) with a stable `code`: nothing happened. 503 means that the outcome is unknown: repeat with the same key.

**Idempotency.** Every POST carries `Idempotency-Key`, a UUID; the same key and body get the same bytes for ever, another body 422.

**Signature.** A till enrols an Ed25519 key once, opens a day session (X25519, both halves signed), and signs each request by HMAC-SHA-256
in RFC 9421's format over `"@method" "@path" "@query"`, for bodies also `"content-digest" "idempotency-key"`, `created` within 300 s. PINs
are sealed by AES-GCM under the same session, bound to card and key. `loyalty.pos_client` is the reference client.

**Chain.** A body may carry `record`: a sequence number and the hash of the record before. The shift close signs the chain and names
every transaction in which till and host differ.
"""

SECURITY_SCHEMES: Final = {
    "daySession": {
        "type": "apiKey",
        "in": "header",
        "name": "Signature",
        "description": 'RFC 9421 by HMAC-SHA-256 under the day session: `Signature-Input: pos=(…);created=…;keyid="<session id>";'
        'alg="hmac-sha256"` and `Signature: pos=:…:`. See the description above.',
    },
    "officeSession": {
        "type": "apiKey",
        "in": "cookie",
        "name": "office",
        "description": "The office's own session (over TLS `__Host-office`). A changing request also carries the token of the cookie "
        "`office-form` as the header `x-csrf-token`.",
    },
    "partnerKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key that a partner's owner makes in the partners' portal under *Interfaces*, for all or some of its outlets; it "
        "has a budget of requests a minute.",
    },
    "companyKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key that the company's owner makes in the fleet portal under *Interfaces*; it has a budget of requests a minute.",
    },
}

_BODY_HEADERS: Final = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "A UUID of the operation, kept for its retries / 幂等键",
        "schema": {"type": "string", "format": "uuid"},
    },
    {
        "name": "Content-Digest",
        "in": "header",
        "required": True,
        "description": "RFC 9530: `sha-256=:…:` of the body",
        "schema": {"type": "string"},
    },
]
_SIGNATURE_INPUT: Final = {
    "name": "Signature-Input",
    "in": "header",
    "required": True,
    "description": "RFC 9421: the components, `created`, `keyid`, `alg`",
    "schema": {"type": "string"},
}
_PROBLEM_REF: Final = {"$ref": "#/components/schemas/Problem"}


class CompletedJson(JsonRenderPlugin):
    """Renders the completed document at `/schema/openapi.json`."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: Document) -> bytes:
        """Complete what Litestar generated, then render it."""
        return super().render(request, complete(openapi_schema))


def complete(document: Document) -> Document:
    """Add to the generated document what all signed operations share; done twice, it changes nothing more."""
    if "daySession" in document.get("components", {}).get("securitySchemes", {}):
        return document
    components = document.setdefault("components", {})
    components["securitySchemes"] = SECURITY_SCHEMES
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = _problem_schema()
    document["info"]["description"] = DESCRIPTION
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict) and path.startswith("/v1/"):
                _complete(operation, f"{method.upper()} {path}", signed=bool(operation.get("security")))
            elif isinstance(operation, dict) and path.startswith("/office/api/"):
                operation["responses"].pop("400", None)
                operation["responses"]["4XX"] = _problem("Refused: nothing happened; `code` says why / 被拒绝，未发生任何变化", None)
    _describe_advices(schemas)
    _lengthen(schemas)
    for name in _request_schemas(document):
        schemas[name].setdefault("additionalProperties", False)
    return document


_SIGNED_ELSEWHERE: Final = {"DELETE /v1/terminals/sessions/current", "POST /v1/terminals/heartbeat"}
"""Operations of the identity room that check the signature themselves."""


def _complete(operation: Document, name: str, *, signed: bool) -> None:
    if name in _SIGNED_ELSEWHERE:
        operation["security"] = [{"daySession": []}]
        signed = True
    responses = operation["responses"]
    responses.pop("400", None)
    responses["4XX"] = _problem("Refused: nothing happened; `code` says why / 被拒绝，未发生任何变化", PROBLEM)
    responses["503"] = _problem("The outcome is unknown: repeat with the same key / 结果未知，请用同一幂等键重试", None)
    if signed:
        responses["401"] = _problem("Not signed by a live day session / 未由有效日会话签名", UNSIGNED)
        parameters = operation.setdefault("parameters", [])
        parameters.append(_SIGNATURE_INPUT)
        if "requestBody" in operation:
            parameters.extend(_BODY_HEADERS)
    asked, said = EXAMPLES.get(name, (None, None))
    if asked is not None:
        operation["requestBody"]["content"]["application/json"]["examples"] = {"request": {"value": asked}}
    if said is not None:
        shown = {"answer": {"value": said}}
        if "outcome" in said and said["outcome"] in {"approved", "booked"} and "card" in said and "taken" in said:
            shown["declined"] = {"value": DECLINED}
        responses["200"]["content"]["application/json"]["examples"] = shown


def _problem(description: str, example: Document | None) -> Document:
    content: Document = {"schema": _PROBLEM_REF}
    if example is not None:
        content["examples"] = {"problem": {"value": example}}
    return {"description": description, "content": {"application/problem+json": content}}


def _problem_schema() -> Document:
    text = {"type": "string"}
    return {
        "title": "Problem",
        "type": "object",
        "description": "RFC 9457, in both languages",
        "required": ["type", "title", "title_zh", "status", "code", "facts"],
        "properties": {
            "type": text | {"format": "uri"},
            "title": text | {"description": "What, why and what to do next, in English"},
            "title_zh": text | {"description": "The same in Chinese"},
            "status": {"type": "integer"},
            "code": text | {"description": "Stable; the last part of `type`"},
            "facts": {"type": "object", "description": "What fills the sentences"},
            "fields": {"type": "array", "items": {"type": "object"}, "description": "Which fields do not fit, and why"},
        },
    }


def _describe_advices(schemas: Document) -> None:
    """Describe the records of an advice batch, which are taken as raw bytes and decoded one by one."""
    _, described = msgspec.json.schema_components([Advice, SaleAnswer], ref_template="#/components/schemas/{name}")
    for name, schema in described.items():
        schemas.setdefault(name, schema)
    schemas["AdviceBatch"]["properties"]["records"]["items"] = {"$ref": "#/components/schemas/Advice"}
    schemas["AdviceResult"]["properties"]["answer"] = {"$ref": "#/components/schemas/SaleAnswer"}


_BASE64: Final = {32: 44, 64: 88}
"""Lengths of hashes, keys and signatures: as bytes, and as they travel."""


def _lengthen(node: Any) -> None:
    """Give binary members their length in base64: the structs count bytes, a document characters."""
    if isinstance(node, dict):
        length = node.get("minLength")
        if length in _BASE64 and node.get("maxLength") == length:
            node["minLength"] = node["maxLength"] = _BASE64[length]
            node["contentEncoding"] = "base64"
        for inner in node.values():
            _lengthen(inner)
    elif isinstance(node, list):
        for inner in node:
            _lengthen(inner)


def _request_schemas(document: Document) -> set[str]:
    """Return the schemas that request bodies are made of: unknown members of those are refused."""
    schemas = document["components"]["schemas"]
    waiting = [
        name
        for path, item in document["paths"].items()
        if path.startswith(("/v1/", "/office/api/"))
        for operation in item.values()
        if isinstance(operation, dict)
        for name in _references(operation.get("requestBody"))
    ]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found and schemas.get(name, {}).get("type") == "object":
            found.add(name)
            waiting.extend(_references(schemas[name]))
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str):
            yield reference.rpartition("/")[2]
        for inner in node.values():
            yield from _references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _references(inner)
