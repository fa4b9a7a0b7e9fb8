"""What every page carries, and what the reader gets when something is refused."""

from typing import Any

import pytest
from litestar import Litestar, Request, Router, get, post
from litestar.response import Response
from litestar.testing import TestClient

from loyalty.errors import Refusal
from loyalty.web import csrf
from loyalty.web.assets import assets
from loyalty.web.listing import Listing
from loyalty.web.problems import page_handlers
from loyalty.web.rendering import CSP, redirect, render
from loyalty.web.routes import local_path, web_routes


class TillIsShut(Refusal):
    zh = "收银台 {till} 已关闭。"
    en = "Till {till} is shut."
    next_zh = "请换一个收银台。"
    next_en = "Use another till."


@get("/counter/refuse")
async def refuse() -> Response[str]:
    raise TillIsShut(till="<3>")


@post("/counter/refuse", status_code=200)
async def refuse_form() -> Response[str]:
    raise TillIsShut(till=3)


@get("/counter/break")
async def break_down() -> Response[str]:
    raise ValueError("a secret stands here")


@get("/counter/page")
async def page(request: Request[Any, Any, Any]) -> Response[str]:
    return render(
        request, "error.html", fragment="page", notice={"title": "<b>", "then": "", "tone": "warn"}, code="x", status=200, back="/"
    )


@post("/counter/done", status_code=303)
async def done(request: Request[Any, Any, Any]) -> Response[str]:
    return redirect(request, "/counter/page")


@pytest.fixture
def client():
    router = Router("/", route_handlers=[refuse, refuse_form, break_down, page, done], exception_handlers=page_handlers())
    app = Litestar(route_handlers=[*web_routes(demo=True), router], openapi_config=None)
    with TestClient(app, base_url="http://test.local", raise_server_exceptions=False) as client:
        yield client


def test_a_page_carries_the_policy_and_is_kept_by_nobody(client):
    headers = client.get("/design").headers
    assert headers["content-security-policy"] == CSP
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "HX-Request" in headers["vary"]
    assert "strict-transport-security" not in headers


@pytest.mark.parametrize("locale", ["zh_CN", "en"])
def test_the_page_of_all_pieces_obeys_its_own_policy(client, locale):
    html = client.get("/design", headers={"cookie": f"lang={locale}"}).text
    assert f'lang="{locale.replace("_", "-")}"' in html
    for forbidden in (" style=", "<style", " onclick=", " onload=", "javascript:", "<script>", "http://", " hx-on"):
        assert forbidden not in html.replace("http://www.w3.org", ""), forbidden


def test_the_page_of_all_pieces_is_for_demonstrations():
    with TestClient(Litestar(route_handlers=web_routes(demo=False), openapi_config=None)) as client:
        assert client.get("/design").status_code == 404


def test_htmx_gets_the_block_and_everybody_else_the_page(client):
    assert client.get("/counter/page").text.startswith("<!doctype html>")
    part = client.get("/counter/page", headers={"hx-request": "true"}).text
    assert "<html" not in part
    assert "&lt;b&gt;" in part
    for whole in ({"hx-boosted": "true"}, {"hx-history-restore-request": "true"}):
        assert client.get("/counter/page", headers={"hx-request": "true"} | whole).text.startswith("<!doctype html>")


def test_a_refusal_is_a_page_that_says_what_and_what_next(client):
    answer = client.get("/counter/refuse", headers={"accept-language": "en", "referer": "http://test.local/counter/page?q=1"})
    assert answer.status_code == 409
    assert "Till &lt;3&gt; is shut." in answer.text
    assert "Use another till." in answer.text
    assert 'href="/counter/page?q=1"' in answer.text
    assert "till_is_shut" in answer.text


def test_back_never_leads_to_another_site(client):
    answer = client.get("/counter/refuse", headers={"referer": "http://elsewhere.local/counter/page"})
    assert "elsewhere" not in answer.text
    assert 'href="/counter"' in answer.text


def test_a_refusal_under_htmx_is_a_notice_that_leaves_the_form_alone(client):
    answer = client.post("/counter/refuse", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-retarget"]) == (409, "#problem")
    assert "收银台 3 已关闭。" in answer.text
    assert "<html" not in answer.text


def test_a_fault_tells_its_number_and_no_secret(client):
    answer = client.get("/counter/break")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "server_fault" in answer.text


def test_after_a_post_the_reader_is_sent_on(client):
    assert client.post("/counter/done", follow_redirects=False).headers["location"] == "/counter/page"
    assert client.post("/counter/done", headers={"hx-request": "true"}).headers["hx-redirect"] == "/counter/page"


def test_static_files_are_kept_for_ever_under_their_hash(client):
    address = assets().url("app.css")
    answer = client.get(address, headers={"accept-encoding": "gzip"})
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    assert "--brand" in answer.text
    assert client.get(address, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    assert client.get("/static/old/app.css").headers["cache-control"] == "no-cache"
    assert client.get("/static/x/../../i18n.py").status_code == 404
    assert client.get("/static/x/nothing.css").status_code == 404


def test_choices_are_cookies_and_only_known_values_count(client):
    form = {"lang": "en", "theme": "dark", "density": "huge", "back": "/design?x=1"}
    answer = client.post("/preferences", data=form, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/design?x=1")
    cookies = answer.headers.get_list("set-cookie")
    assert {cookie.split(";")[0] for cookie in cookies} == {"lang=en", "theme=dark"}
    assert 'data-theme="dark"' in client.get("/design").text
    client.post("/preferences", data={"theme": "auto"}, follow_redirects=False)
    assert "data-theme" not in client.get("/design").text.split("<head>")[0]


@pytest.mark.parametrize("path", ["//elsewhere.local", "https://elsewhere.local", "/\\elsewhere.local", "", "javascript:1", "/a\r\nb"])
def test_no_switch_leads_away(path):
    assert local_path(path, "/home") == "/home"


def test_a_form_counts_only_with_its_own_token_from_our_own_page():
    token = csrf.session_token("secret")
    ours = {"origin": "https://pay.example", "sec-fetch-site": "same-origin"}
    csrf.check(sent=token, expected=token, headers=ours, host="pay.example")
    csrf.check(sent=token, expected=token, headers={}, host="pay.example")
    for sent, headers in (
        (None, ours),
        ("", ours),
        (csrf.session_token("other"), ours),
        (token, {"sec-fetch-site": "cross-site"}),
        (token, {"origin": "https://evil.example"}),
    ):
        with pytest.raises(csrf.FormNotOurs):
            csrf.check(sent=sent, expected=token, headers=headers, host="pay.example")
    with pytest.raises(csrf.FormNotOurs):
        csrf.check(sent="", expected="", headers=ours, host="pay.example")


def test_under_tls_a_secret_cookie_is_bound_to_its_host():
    header = csrf.cookie("session", "x", tls=True).to_header(header="")
    assert header.startswith("__Host-session=x")
    assert "Secure" in header
    assert "HttpOnly" in header
    assert csrf.cookie("session", "x", tls=False).key == "session"


def test_a_lists_address_is_its_state():
    listing = Listing("/office/cards", "-issued", {"status": "active", "q": ""})
    assert listing.href() == "/office/cards?sort=-issued&status=active"
    assert listing.sort_href("issued") == "/office/cards?sort=issued&status=active"
    assert listing.sort_href("number") == "/office/cards?sort=number&status=active"
    assert (listing.direction("issued"), listing.direction("number")) == ("descending", "none")
    assert listing.page_href("abc") == "/office/cards?sort=-issued&status=active&cursor=abc"
    assert listing.page_href(None) is None
    assert listing.export_href("xlsx") == "/office/cards.xlsx?sort=-issued&status=active"
    assert listing.hidden(["status"]) == {"sort": "-issued"}
