"""Signed tokens online and offline, stop lists, and the chain of a terminal's records."""

from datetime import date, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loyalty.crypto import (
    BreakKind,
    ChainBreak,
    ChainRecord,
    Purpose,
    TokenError,
    TokenFault,
    b64url,
    canonical_json,
    chain_breaks,
    chain_genesis,
    chain_head,
    chain_signature_is_good,
    enrolment_public_key,
    framed,
    issue_token,
    new_enrolment_key,
    public_keys,
    read_signed_token,
    read_token,
    record_hash,
    sign,
    sign_chain,
    signature_is_good,
    stop_list_day_key,
    stop_list_entry,
    unb64url,
    use_keyring,
)
from loyalty.ids import uuid7

from .conftest import NOW

quick = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SOON = NOW + timedelta(seconds=120)
BOTH = [Purpose.QR_TOKEN, Purpose.OFFLINE_DOCUMENT]
TERMINAL = uuid7(NOW)


class Payment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fill_id: str
    amount_minor: int


PAYMENT = Payment("fill-1", 30_000)


def fault_of(purpose, token, now=NOW):
    with pytest.raises(TokenError) as caught:
        read_token(purpose, token, now=now, payload=Payment)
    return caught.value.fault


@pytest.mark.parametrize("purpose", BOTH)
def test_a_token_is_read_until_it_expires(keys, purpose):
    token = issue_token(purpose, PAYMENT, expires_at=SOON)
    assert read_token(purpose, token, now=SOON - timedelta(microseconds=1), payload=Payment) == PAYMENT
    assert fault_of(purpose, token, SOON) is TokenFault.EXPIRED


@pytest.mark.parametrize("purpose", BOTH)
def test_a_token_of_one_purpose_is_nothing_under_another(keys, purpose):
    token = issue_token(purpose, PAYMENT, expires_at=SOON)
    other = {Purpose.QR_TOKEN: Purpose.RECEIPT_TOKEN, Purpose.OFFLINE_DOCUMENT: Purpose.VOUCHER}[purpose]
    assert fault_of(other, token) is TokenFault.UNKNOWN_KEY


@pytest.mark.parametrize("purpose", BOTH)
def test_a_payload_of_another_shape_is_malformed(keys, purpose):
    assert fault_of(purpose, issue_token(purpose, {"amount_minor": 1}, expires_at=SOON)) is TokenFault.MALFORMED


@quick
@given(data=st.data(), purpose=st.sampled_from(BOTH))
def test_any_flipped_bit_of_a_token_is_noticed(keys, data, purpose):
    raw = bytearray(unb64url(issue_token(purpose, PAYMENT, expires_at=SOON)))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    assert fault_of(purpose, b64url(bytes(raw))) in {TokenFault.MISMATCH, TokenFault.UNKNOWN_KEY, TokenFault.MALFORMED}


@quick
@given(junk=st.one_of(st.text(max_size=120), st.binary(max_size=120).map(b64url)), purpose=st.sampled_from(BOTH))
def test_junk_is_no_token(keys, junk, purpose):
    assert fault_of(purpose, junk) in {TokenFault.MALFORMED, TokenFault.UNKNOWN_KEY, TokenFault.MISMATCH}


def test_a_signed_token_is_read_offline_and_after_a_rotation(own_keys):
    token = issue_token(Purpose.OFFLINE_DOCUMENT, PAYMENT, expires_at=SOON)
    own_keys.rotate(Purpose.OFFLINE_DOCUMENT, now=NOW)
    known = public_keys(Purpose.OFFLINE_DOCUMENT)
    assert len(known) == 2
    use_keyring(None)
    assert read_signed_token(Purpose.OFFLINE_DOCUMENT, token, public_keys=known, now=NOW, payload=Payment) == PAYMENT


def test_a_detached_signature_is_bound_to_its_topic(keys):
    known = public_keys(Purpose.AUDIT)
    signature = sign(Purpose.AUDIT, "merkle root", b"root")
    assert signature_is_good(Purpose.AUDIT, "merkle root", b"root", signature, public_keys=known)
    assert not signature_is_good(Purpose.AUDIT, "other", b"root", signature, public_keys=known)
    assert not signature_is_good(Purpose.AUDIT, "merkle root", b"toor", signature, public_keys=known)
    assert not signature_is_good(Purpose.AUDIT, "merkle root", b"root", b"", public_keys=known)
    assert not signature_is_good(Purpose.AUDIT, "merkle root", b"root", signature, public_keys=public_keys(Purpose.ISSUER))


def test_a_stop_list_entry_needs_the_day_key(keys):
    today, tomorrow = stop_list_day_key(date(2026, 9, 24)), stop_list_day_key(date(2026, 9, 25))
    assert len(stop_list_entry(today, "6222021234567890")) == 16
    assert stop_list_entry(today, "6222021234567890") == stop_list_entry(today, "6222021234567890")
    assert stop_list_entry(today, "6222021234567890") != stop_list_entry(tomorrow, "6222021234567890")


def test_json_that_is_signed_has_one_form():
    assert canonical_json({"b": 1, "a": "卡"}) == '{"a":"卡","b":1}'.encode() == canonical_json({"a": "卡", "b": 1})


@quick
@given(one=st.lists(st.binary(max_size=6), max_size=4), other=st.lists(st.binary(max_size=6), max_size=4))
def test_framing_has_one_reading(one, other):
    assert (framed(*one) == framed(*other)) is (one == other)


@quick
@given(data=st.binary(max_size=40))
def test_base64url_has_one_spelling(data):
    assert unb64url(b64url(data)) == data


@pytest.mark.parametrize("text", ["AB", "A", "A===", "A-+B", "卡", "QUI=", "QU I"])
def test_another_spelling_of_base64url_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        unb64url(text)


def chain(count, epoch=1, start=1, previous=None):
    previous = chain_genesis(TERMINAL, epoch) if previous is None else previous
    made = []
    for sequence in range(start, start + count):
        own = record_hash(canonical_json({"record": {"sequence": sequence, "previous": previous.hex()}, "epoch": epoch}))
        made.append(ChainRecord(epoch, sequence, previous, own))
        previous = own
    return made


def breaks(records, last=None, announced=None):
    return chain_breaks(records, terminal_id=TERMINAL, last=last, announced=announced)


def test_a_whole_chain_has_no_break_in_whatever_order_it_came():
    records = chain(6)
    assert breaks(reversed(records), announced=(1, 6)) == []
    assert breaks(records[3:], last=records[2]) == []
    assert breaks([*records, *chain(3, epoch=2)]) == []
    assert breaks([*records, records[2]]) == []
    assert breaks([]) == []


def test_lost_records_show_at_the_beginning_in_the_middle_and_at_the_end():
    records = chain(9)
    assert breaks(records[2:]) == [ChainBreak(BreakKind.MISSING, 1, 1, 2)]
    assert breaks(records[:3] + records[5:]) == [ChainBreak(BreakKind.MISSING, 1, 4, 2)]
    assert breaks(records[:7], announced=(1, 9)) == [ChainBreak(BreakKind.MISSING, 1, 8, 2)]
    assert breaks([], announced=(1, 2)) == [ChainBreak(BreakKind.MISSING, 1, 1, 2)]


def test_a_doctored_record_shows():
    records = chain(4)
    doctored = ChainRecord(1, 2, records[1].previous, record_hash(b"another amount"))
    assert breaks([records[0], doctored, *records[2:]]) == [ChainBreak(BreakKind.UNLINKED, 1, 3)]
    assert breaks([*records, doctored]) == [ChainBreak(BreakKind.FORKED, 1, 2)]
    assert breaks(chain(2, previous=bytes(32))) == [ChainBreak(BreakKind.UNLINKED, 1, 1)]


@quick
@given(data=st.data(), count=st.integers(1, 8))
def test_the_head_covers_every_record(data, count):
    records = chain(count)
    start = chain_genesis(TERMINAL, 1)
    head = chain_head(start, records)
    assert head == chain_head(chain_head(start, records[:1]), records[1:]) == chain_head(start, reversed(records))
    at = data.draw(st.integers(0, count - 1))
    assert chain_head(start, records[:at] + records[at + 1 :]) != head
    changed = ChainRecord(1, records[at].sequence, records[at].previous, bytes(32))
    assert chain_head(start, [*records[:at], changed, *records[at + 1 :]]) != head


def test_the_shift_close_signs_the_chain():
    device = new_enrolment_key()
    close = {"terminal_id": TERMINAL, "epoch": 1, "last_sequence": 4, "head": chain_head(chain_genesis(TERMINAL, 1), chain(4))}
    signature = sign_chain(device, **close)
    assert chain_signature_is_good(enrolment_public_key(device), signature, **close)
    for change in ({"epoch": 2}, {"last_sequence": 5}, {"head": bytes(32)}, {"terminal_id": uuid7(NOW)}):
        assert not chain_signature_is_good(enrolment_public_key(device), signature, **(close | change))
    assert not chain_signature_is_good(enrolment_public_key(Ed25519PrivateKey.generate()), signature, **close)
