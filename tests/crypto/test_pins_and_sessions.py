"""A terminal's day: it opens a session, sends PINs under it, and is told secrets."""

from datetime import timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loyalty.crypto import (
    VERIFIER_BYTES,
    Purpose,
    SealedPinError,
    SessionAnswer,
    SessionKeys,
    SessionOpening,
    SessionRefusedError,
    accept_session_server,
    enrolment_proof_is_good,
    enrolment_public_key,
    open_pin,
    open_session_client,
    pin_matches,
    pin_transport_key,
    pin_verifier,
    prove_enrolment_key,
    public_keys,
    seal_pin,
    seal_pin_hpke,
)
from loyalty.ids import uuid7

from .conftest import NOW

quick = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TERMINAL = uuid7(NOW)
DEVICE = Ed25519PrivateKey.from_private_bytes(b"\x11" * 32)
TONIGHT = NOW + timedelta(hours=20)
pins = st.text("0123456789", min_size=4, max_size=12)


def accept(opening, **changes):
    known = {
        "enrolled_key": enrolment_public_key(DEVICE),
        "enrolled_epoch": 3,
        "session_id": "ses-1",
        "expires_at": TONIGHT,
        "now": NOW,
    }
    return accept_session_server(opening, **(known | changes))


def begin(**changes):
    return open_session_client(**({"terminal_id": TERMINAL, "epoch": 3, "enrolment_key": DEVICE, "now": NOW} | changes))


@pytest.fixture
def session(keys):
    return accept(begin().opening)[0]


def test_both_sides_have_the_same_keys_and_every_session_its_own(keys):
    pending = begin()
    # Over JSON, as on the wire.
    opening = msgspec.json.decode(msgspec.json.encode(pending.opening), type=SessionOpening)
    server, answer = accept(opening)
    answer = msgspec.json.decode(msgspec.json.encode(answer), type=SessionAnswer)
    client = pending.finish(answer, issuer_keys=public_keys(Purpose.ISSUER))
    assert client.to_bytes() == server.to_bytes()
    assert client.expires_at == server.expires_at == TONIGHT
    assert len({client.mac_key, client._pin_key, client._answer_key}) == 3
    assert SessionKeys.from_bytes(server.to_bytes(), TONIGHT).to_bytes() == server.to_bytes()
    assert accept(begin().opening)[0].to_bytes() != server.to_bytes()


def test_the_exchange_is_a_function_of_its_randomness(keys):
    made = [accept(begin(ephemeral=b"\x21" * 32).opening, ephemeral=b"\x22" * 32)[0].to_bytes() for _ in range(2)]
    assert made[0] == made[1]


@pytest.mark.parametrize("late_s", [-301, 301])
def test_a_clock_too_far_off_is_refused(keys, late_s):
    accept(begin(now=NOW + timedelta(seconds=late_s - late_s // abs(late_s))).opening)
    with pytest.raises(SessionRefusedError, match="clock"):
        accept(begin(now=NOW + timedelta(seconds=late_s)).opening)


def test_another_devices_key_or_epoch_is_refused(keys):
    with pytest.raises(SessionRefusedError, match="not signed"):
        accept(begin(enrolment_key=Ed25519PrivateKey.generate()).opening)
    with pytest.raises(SessionRefusedError, match="enrolled again"):
        accept(begin(epoch=2).opening)
    with pytest.raises(SessionRefusedError, match="not signed"):
        accept(begin().opening, enrolled_key=b"no key")


@pytest.mark.parametrize(
    "change",
    [{"terminal_id": uuid7(NOW)}, {"opened_at": int(NOW.timestamp()) + 1}, {"public_key": b"\x09" * 32}, {"signature": bytes(64)}],
)
def test_a_changed_opening_is_refused(keys, change):
    with pytest.raises(SessionRefusedError):
        accept(msgspec.structs.replace(begin().opening, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"session_id": "ses-2"},
        {"expires_at": 4_000_000_000},
        {"public_key": b"\x09" * 32},
        {"issuer_key_id": 60_000},
        {"signature": bytes(64)},
    ],
)
def test_a_changed_answer_is_refused(keys, change):
    pending = begin()
    _, answer = accept(pending.opening)
    with pytest.raises(SessionRefusedError):
        pending.finish(msgspec.structs.replace(answer, **change), issuer_keys=public_keys(Purpose.ISSUER))


def test_the_answer_to_another_opening_is_refused(keys):
    _, answer = accept(begin().opening)
    with pytest.raises(SessionRefusedError):
        begin().finish(answer, issuer_keys=public_keys(Purpose.ISSUER))


@pytest.mark.parametrize("public_key", [bytes(32), b"\x01" + bytes(31), b"short"])
def test_a_key_of_low_order_is_refused(keys, public_key):
    pending = begin()
    signed = DEVICE.sign
    opening = msgspec.structs.replace(pending.opening, public_key=public_key)
    from loyalty.crypto.day_sessions import _opening_message

    opening = msgspec.structs.replace(opening, signature=signed(_opening_message(TERMINAL, 3, opening.opened_at, public_key)))
    with pytest.raises(SessionRefusedError, match="X25519"):
        accept(opening)


def test_numbers_out_of_range_do_not_decode():
    for epoch in (-1, 2**32):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(
                {"terminal_id": TERMINAL, "epoch": epoch, "opened_at": 1, "public_key": b"", "signature": b""}, type=SessionOpening
            )


def test_a_secret_is_told_to_one_session_only(keys, session):
    sealed = session.seal_answer("stop-list 2026-09-24", b"\x07" * 32)
    assert session.open_answer("stop-list 2026-09-24", sealed) == b"\x07" * 32
    with pytest.raises(SessionRefusedError):
        session.open_answer("stop-list 2026-09-25", sealed)
    with pytest.raises(SessionRefusedError):
        accept(begin().opening)[0].open_answer("stop-list 2026-09-24", sealed)


@quick
@given(pin=pins, card=st.text(max_size=19), key=st.text(max_size=40))
def test_a_pin_travels_and_its_length_does_not_show(keys, session, pin, card, key):
    sealed = seal_pin(session, card=card, request_key=key, pin=pin)
    assert len(sealed) == 58
    assert pin not in sealed
    assert open_pin(sealed, session=session, card=card, request_key=key) == pin
    key_id, transport = pin_transport_key()
    by_hpke = seal_pin_hpke(transport, key_id, card=card, request_key=key, pin=pin)
    assert open_pin(by_hpke, session=None, card=card, request_key=key) == pin


@pytest.mark.parametrize("form", ["session", "hpke"])
def test_a_pin_is_bound_to_its_card_and_request(keys, session, form):
    if form == "session":
        sealed = seal_pin(session, card="6222020000000000", request_key="k1", pin="123456")
    else:
        key_id, transport = pin_transport_key()
        sealed = seal_pin_hpke(transport, key_id, card="6222020000000000", request_key="k1", pin="123456")
    assert open_pin(sealed, session=session, card="6222020000000000", request_key="k1") == "123456"
    for card, key in (("6222020000000001", "k1"), ("6222020000000000", "k2"), ("6222020000000000k", "1")):
        with pytest.raises(SealedPinError):
            open_pin(sealed, session=session, card=card, request_key=key)


@quick
@given(data=st.data(), other=st.characters())
def test_a_changed_sealed_pin_is_refused(keys, session, data, other):
    # The seal is another one each time, so what is drawn must not hang on it.
    sealed = seal_pin(session, card="c", request_key="k", pin="123456")
    at = data.draw(st.integers(0, len(sealed) - 1))
    if other == sealed[at]:
        other = "!"  # is in no seal
    with pytest.raises(SealedPinError):
        open_pin(sealed[:at] + other + sealed[at + 1 :], session=session, card="c", request_key="k")


@quick
@given(
    junk=st.one_of(
        st.text(max_size=90), st.text(max_size=90).map(lambda text: "s1." + text), st.text("abc", max_size=90).map("h1.".__add__)
    )
)
def test_junk_is_no_sealed_pin(keys, session, junk):
    with pytest.raises(SealedPinError):
        open_pin(junk, session=session, card="c", request_key="k")


def test_a_pin_needs_its_own_session(keys, session):
    sealed = seal_pin(session, card="c", request_key="k", pin="123456")
    for other in (None, accept(begin().opening)[0]):
        with pytest.raises(SealedPinError):
            open_pin(sealed, session=other, card="c", request_key="k")


@pytest.mark.parametrize("pin", ["123", "1234567890123", "12a4", "１２３４", "", "²²²²"])
def test_what_is_no_pin_is_not_sealed(keys, session, pin):
    with pytest.raises(ValueError, match="digits"):
        seal_pin(session, card="c", request_key="k", pin=pin)


def test_a_sealed_block_that_holds_no_pin_is_refused(keys, session):
    from loyalty.crypto import b64url
    from loyalty.crypto.pins import _bound

    for block in (b"", bytes(13), b"\x04" + b"12a4".ljust(12, b"\0"), b"\x04" + b"1234".ljust(12, b"5"), b"\xff" + b"1" * 12):
        sealed = "s1." + b64url(bytes(12) + session.pin_cipher.encrypt(bytes(12), block, _bound("c", "k")))
        with pytest.raises(SealedPinError):
            open_pin(sealed, session=session, card="c", request_key="k")


@quick
@given(pin=pins, guess=pins, generation=st.integers(0, 2**31))
def test_a_verifier_is_bound_to_card_generation_and_pin(keys, pin, guess, generation):
    card, other = uuid7(NOW), uuid7(NOW)
    stored = pin_verifier(card_id=card, generation=generation, pin=pin)
    assert len(stored) == VERIFIER_BYTES
    assert stored == pin_verifier(card_id=card, generation=generation, pin=pin, like=stored)
    assert pin_matches(stored, card_id=card, generation=generation, pin=guess) is (guess == pin)
    assert not pin_matches(stored, card_id=other, generation=generation, pin=pin)
    assert not pin_matches(stored, card_id=card, generation=generation + 1, pin=pin)


def test_a_device_proves_that_it_holds_its_key():
    proof = prove_enrolment_key(DEVICE, "ABCD-EFGH")
    assert enrolment_proof_is_good(enrolment_public_key(DEVICE), proof, "ABCD-EFGH")
    assert not enrolment_proof_is_good(enrolment_public_key(DEVICE), proof, "ABCD-EFGJ")
    assert not enrolment_proof_is_good(b"none", proof, "ABCD-EFGH")


def test_a_session_never_prints_its_keys(keys, session):
    pending = begin(ephemeral=b"\x21" * 32)
    shown = repr(session) + repr(pending) + str(session)
    for secret in (session.mac_key, session._pin_key, session._answer_key, b"\x21" * 32):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
