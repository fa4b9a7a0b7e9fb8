"""A company's system is told what happened: signed, once, tried again, and never at an address inside."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from jobs.webhooks import Network, send, send_all
from loyalty.crypto import FileKeyProvider, open_keyring, use_keyring
from loyalty.fleet.model_webhooks import DELIVERY_MOVES, CompanyWebhook, DeliveryStatus, WebhookDelivery, WebhookEvent
from loyalty.fleet.operations.webhooks import Message, WebhookNotAllowed, add_webhook, claim, note_answers, send_again, tell
from loyalty.fleet.webhook_rules import WAITS, is_public, may_go_to, signature
from loyalty.ids import uuid7
from tests.factories.fleet import make_fleet
from tests.factories.world import SYSTEM


@pytest.fixture
def keys(tmp_path, now):
    use_keyring(open_keyring(FileKeyProvider(tmp_path / "keys"), expected_fingerprint=None, now=now))
    yield
    use_keyring(None)


@pytest.fixture
async def fleet(session, world, keys):
    return await make_fleet(session, world, cards=1)


class System:
    """A company's system on this machine: it keeps what it is told and answers as it is asked to."""

    def __init__(self, folder) -> None:
        self.answer, self.heard = 200, []
        key = ec.generate_private_key(ec.SECP256R1())
        name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), datetime.now(UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        hidden = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.file = folder / "system.pem"
        self.file.write_bytes(pem + hidden)

    async def __aenter__(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file)
        self.server = await asyncio.start_server(self._hear, "127.0.0.1", 0, ssl=context)
        self.url = f"https://localhost:{self.server.sockets[0].getsockname()[1]}/told"
        self.trust = ssl.create_default_context(cafile=str(self.file))
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _hear(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        self.heard.append((headers, (await reader.readexactly(int(headers["content-length"]))).decode()))
        writer.write(f"HTTP/1.1 {self.answer} X\r\nContent-Length: 0\r\nLocation: https://localhost/\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


async def added(session, fleet, now, url="https://erp.example.com/told", events=(WebhookEvent.FINDING_OPENED,)):
    secret = await add_webhook(session, company_id=fleet.company_id, url=url, events=events, actor=SYSTEM, now=now)
    return secret, (await session.scalars(select(CompanyWebhook).order_by(CompanyWebhook.webhook_id.desc()))).first()


async def only(session):
    return (await session.scalars(select(WebhookDelivery).execution_options(populate_existing=True))).one()


@pytest.mark.parametrize(
    "url",
    [
        "http://erp.example.com",
        "https://10.0.0.1/",
        "https://127.0.0.1",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://localhost",
        "https://db.internal/",
        "https://2130706433/",
        "https://me@erp.example.com/",
        "https://169.254.169.254/latest",
        "https://",
        "x",
    ],
)
async def test_an_address_inside_is_refused_when_it_is_given(session, fleet, now, url):
    assert not may_go_to(url)
    with pytest.raises(WebhookNotAllowed):
        await added(session, fleet, now, url)


def test_only_addresses_of_the_open_internet_are_gone_to():
    inside = [
        "10.1.2.3",
        "192.168.0.1",
        "100.64.0.1",
        "fe80::1%eth0",
        "fc00::1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "224.0.0.1",
        "",
    ]
    assert [one for one in inside if is_public(one)] == []
    assert all(map(is_public, ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"]))


async def test_what_happened_is_told_once_and_only_to_who_asked(session, world, fleet, now):
    other = await make_fleet(session, world, name="甬江运输", cards=1)
    await added(session, fleet, now)
    subject = uuid7(now)
    news = [(fleet.company_id, subject, {"kind": "too_soon"}), (other.company_id, uuid7(now), {})]
    for _ in range(2):
        await tell(session, event=WebhookEvent.FINDING_OPENED, news=news, now=now)
        await tell(session, event=WebhookEvent.FILL_BOOKED, news=news, now=now)
    told = await only(session)
    assert told.company_id == fleet.company_id
    assert json.loads(told.body)["data"] == {"id": str(subject), "kind": "too_soon"}


async def test_a_message_that_is_not_taken_is_tried_again_given_up_and_sent_again_by_hand(session, fleet, now):
    await added(session, fleet, now)
    await tell(session, event=WebhookEvent.FINDING_OPENED, news=[(fleet.company_id, uuid7(now), {})], now=now)
    at = now
    for wait in (*WAITS, None):
        (message,) = await claim(session, now=at)
        assert await claim(session, now=at) == [], "a claimed message is its sender's"
        await note_answers(session, answers={message.delivery_id: 503}, now=at)
        if wait is not None:
            assert await claim(session, now=at + wait - timedelta(seconds=1)) == []
            at += wait
    dead = await only(session)
    assert (dead.status, dead.answered) == (DeliveryStatus.DEAD, 503)
    await send_again(session, company_id=fleet.company_id, delivery_id=dead.delivery_id, now=at)
    (message,) = await claim(session, now=at)
    assert await note_answers(session, answers={message.delivery_id: 204}, now=at) == 1
    assert (await only(session)).status is DeliveryStatus.SENT
    assert set(DELIVERY_MOVES) == set(DeliveryStatus)


def test_the_signature_is_that_of_the_published_example():
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = '{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(secret, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", at=1614265330, body=body) == expected


async def test_a_real_system_gets_it_signed_and_no_inside_one_is_reached(tmp_path, keys):
    async with System(tmp_path) as system:
        message = Message(uuid7(datetime.now(UTC)), system.url, b"s" * 32, '{"type":"test"}')
        open_to, shut = Network(inside=True, trust=system.trust), Network(trust=system.trust)
        async with httpx.AsyncClient(verify=system.trust, trust_env=False) as client:
            assert await send(client, shut, message) is None
            assert system.heard == []
            assert await send(client, open_to, message) == 200
            system.answer = 302
            assert await send(client, open_to, message) == 302
        headers, body = system.heard[0]
        assert len(system.heard) == 2, "a redirect is not followed"
        said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
        assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(b"s" * 32, said, hashlib.sha256)).decode()
        assert headers["host"].startswith("localhost:")


async def test_one_odd_address_does_not_keep_the_others_messages(tmp_path, keys):
    async with System(tmp_path) as system:
        odd, good = (Message(uuid7(datetime.now(UTC)), url, b"s" * 32, "{}") for url in (f"https://{'x' * 80}.example.com/", system.url))
        answers = await send_all(Network(inside=True, trust=system.trust), [odd, good])
        assert answers == {odd.delivery_id: None, good.delivery_id: 200}
