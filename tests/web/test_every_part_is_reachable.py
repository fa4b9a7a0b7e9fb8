"""Whatever a rulebook can say is said by the pages and by the API too: each part, sent as a browser sends its form, comes back whole."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html.parser import HTMLParser

import msgspec
import pytest

from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.pricing.document import Document
from loyalty.pricing.faults import faults_of
from loyalty.pricing.merging import ordered
from loyalty.pricing.queries.known import known_codes
from loyalty.rewards.model_vouchers import ValueType
from loyalty.rewards.operations.gift_stock import GiftFacts, put_gift
from loyalty.rewards.operations.tiers import TierFacts, put_tier
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from tests.factories.world import SYSTEM
from tests.pricing.whole import SET_BY_US, WHOLE, choices, structs
from tests.web.office_desk import Desk, Office, opened_office

API = "/office/api/rulebooks"
PAGES = "/office/rules"
SECTIONS = {"rules": "rule", "groups": "group", "budgets": "budget", "campaigns": "campaign"}


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory) -> AsyncIterator[Office]:
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office"), with_sales=False) as office:
        now, named = datetime.now(UTC), {"name_zh": "名", "name_en": "Name"}
        async with transaction(office.sessions) as session:
            await put_tier(session, code="gold", facts=TierFacts(**named, rank=1), actor=SYSTEM, now=now)
            await put_gift(session, code="cup", facts=GiftFacts(**named, zone="Asia/Shanghai"), actor=SYSTEM, now=now)
            wash = KindFacts(**named, value_type=ValueType.SERVICE, item="wash", zone="Asia/Shanghai")
            await put_kind(session, code="fifty", facts=wash, actor=SYSTEM, now=now)
        yield office
        for desk in office.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


@pytest.fixture
async def desk(office) -> Desk:
    return await office.at("office")


async def api(desk: Desk, method: str, path: str, body=None):
    answer = await desk.client.request(method, f"{API}{path}", json=body, headers={"x-csrf-token": desk.client.cookies.get("office-form")})
    assert answer.status_code in (200, 201), (path, answer.status_code, answer.text[:800])
    return answer


async def drafted(desk: Desk, document: Document | None = None) -> int:
    made = (await api(desk, "POST", "", {"empty": True})).json()
    if document is not None:
        await api(desk, "PUT", f"/{made['number']}/document", {"version": made["version"], "document": msgspec.to_builtins(document)})
    return int(made["number"])


async def kept(desk: Desk, number: int) -> tuple[Document, int]:
    found = (await api(desk, "GET", f"/{number}")).json()
    return msgspec.convert(found["document"], Document), found["book"]["version"]


async def test_the_rulebook_that_says_everything_may_go_live(office):
    async with transaction(office.sessions) as session:
        assert [(fault.part, fault.code, fault.field, fault.fault) for fault in faults_of(WHOLE, await known_codes(session))] == []


async def test_the_api_takes_and_gives_back_everything(desk):
    number = await drafted(desk, WHOLE)
    assert ordered((await kept(desk, number))[0]) == ordered(WHOLE)
    number, version = await drafted(desk), 1
    for section, name in SECTIONS.items():
        for part in getattr(WHOLE, section):
            body = {"version": version, name: msgspec.to_builtins(part)}
            version = (await api(desk, "PUT", f"/{number}/{section}/{part.code}", body)).json()["version"]
    in_parts = msgspec.structs.replace(WHOLE, currency=Document().currency, own_funders=Document().own_funders)
    assert ordered((await kept(desk, number))[0]) == ordered(in_parts)


async def test_the_file_of_the_api_is_taken_by_the_page(desk):
    text = (await api(desk, "GET", f"/{await drafted(desk, WHOLE)}/file")).text
    fields = await desk.fields(f"{PAGES}/import")
    answer = await desk.client.post(f"{PAGES}/import", data=fields, files={"file": ("rules.toml", text.encode())}, follow_redirects=False)
    assert answer.status_code == 303, answer.text[:600]
    document, _ = await kept(desk, int(answer.headers["location"].split("/")[3].partition("#")[0]))
    assert ordered(document) == ordered(WHOLE)


async def test_the_api_document_describes_every_field_and_every_choice(office):
    schemas = (await office.stranger().client.get("/schema/openapi.json")).json()["components"]["schemas"]
    for one in structs():
        fields = set(schemas[one.__name__]["properties"]) - {"kind"}
        assert fields == set(one.__struct_fields__), one.__name__
    for name, kind in choices().items():
        assert schemas[name]["enum"] == [member.value for member in kind], name


class Sent(HTMLParser):
    """What a browser sends of the form of one address: every field that has a name and is not left unticked."""

    def __init__(self, page: str, action: str) -> None:
        super().__init__()
        self.action, self.fields, self.within = action, {}, False
        self.select: tuple[str, list[str], list[str]] | None = None
        self.area = ""
        self.feed(page)

    def put(self, name: str, value: str) -> None:
        self.fields.setdefault(name, []).append(value)

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        if tag == "form":
            self.within = said.get("action") == self.action and said.get("method") == "post"
        if not self.within or "disabled" in said:
            return
        name = said.get("name")
        if tag == "input" and name:
            if said.get("type") not in ("checkbox", "radio") or "checked" in said:
                self.put(name, said.get("value", ""))
        elif tag == "select":
            self.select = (name, [], [])
        elif tag == "option" and self.select:
            self.select[2 if "selected" in said else 1].append(said["value"])
        elif tag == "textarea":
            self.area = name
            self.put(name, "")

    def handle_data(self, data):
        if self.area:
            self.fields[self.area][-1] += data

    def handle_endtag(self, tag):
        if tag == "form":
            self.within = False
        elif tag == "select" and self.select:
            name, others, chosen = self.select
            for value in chosen or others[:1]:
                self.put(name, value)
            self.select = None
        elif tag == "textarea":
            self.area = ""


async def send_form(desk: Desk, path: str, *, to: str = "", more: dict | None = None):
    page = await desk.get(path)
    assert page.status_code == 200, (path, page.status_code)
    fields = Sent(page.text, path).fields
    assert fields, path
    return await desk.client.post(to or path, data=fields | (more or {}), follow_redirects=False)


@pytest.mark.parametrize("section", SECTIONS)
async def test_a_page_shows_each_part_and_sends_it_back_whole(desk, section):
    number = await drafted(desk, WHOLE)
    for part in getattr(WHOLE, section):
        answer = await send_form(desk, f"{PAGES}/{number}/{section}/{part.code}")
        assert answer.status_code == 303, (part.code, answer.text[-3000:])
        found = {one.code: one for one in getattr((await kept(desk, number))[0], section)}
        assert found[part.code] == part


@pytest.mark.parametrize("section", SECTIONS)
async def test_a_page_makes_each_part_anew(desk, section):
    """In a draft without any of its section: what its form in another says."""
    number = await drafted(desk, WHOLE)
    other = await drafted(desk, msgspec.structs.replace(WHOLE, **{section: ()}))
    for part in getattr(WHOLE, section):
        page = f"{PAGES}/{number}/{section}/{part.code}"
        fields = Sent((await desk.get(page)).text, page).fields
        fields |= {"code": [part.code], "version": [str((await kept(desk, other))[1])]}
        answer = await desk.client.post(f"{PAGES}/{other}/{section}/new", data=fields, follow_redirects=False)
        assert answer.status_code == 303, (part.code, answer.text[-3000:])
        found = {one.code: one for one in getattr((await kept(desk, other))[0], section)}
        assert found[part.code] == part


async def test_what_the_rulebook_says_of_itself_has_its_page(desk):
    number = await drafted(desk, WHOLE)
    path = f"{PAGES}/{number}/head"
    assert f'href="{path}"' in (await desk.get(f"{PAGES}/{number}")).text
    assert (await send_form(desk, path)).status_code == 303
    assert ordered((await kept(desk, number))[0]) == ordered(WHOLE)
    more = {"currency": "CNY", "own_funders": "head-office"}
    assert (await send_form(desk, path, more=more)).status_code == 303
    document, _ = await kept(desk, number)
    assert (document.currency, document.own_funders, ordered(document).rules) == ("CNY", ("head-office",), ordered(WHOLE).rules)
    for wrong in ({"currency": "yuan"}, {"currency": "XXX"}, {"own_funders": "a, a"}):
        assert (await send_form(desk, path, more=wrong)).status_code == 422, wrong


def test_only_a_rules_revision_is_nobodys_to_write():
    assert [*SET_BY_US] == ["Rule.revision"]
