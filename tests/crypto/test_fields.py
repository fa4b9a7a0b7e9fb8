"""Sealed columns: what opens, and above all what does not."""

from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loyalty.crypto import (
    ENVELOPE_OVERHEAD,
    BrokenEnvelopeError,
    Purpose,
    UnknownKeyError,
    blind_index,
    key_id_of,
    open_,
    open_text,
    request_fingerprint,
    same_bytes,
    seal,
    seal_text,
)

quick = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
places = st.tuples(
    st.sampled_from(["cards", "customers", "card"]),
    st.sampled_from(["number", "s_number", "phone"]),
    st.one_of(st.uuids(), st.integers(0, 2**63), st.text(max_size=20)),
)


def sealed_at(place, plaintext, purpose=Purpose.CARD_NUMBER):
    table, column, row_id = place
    return seal(purpose, table=table, column=column, row_id=row_id, plaintext=plaintext)


def opened_at(place, envelope, purpose=Purpose.CARD_NUMBER):
    table, column, row_id = place
    return open_(purpose, table=table, column=column, row_id=row_id, envelope=envelope)


@quick
@given(place=places, plaintext=st.binary(max_size=200))
def test_a_value_opens_in_its_own_place(keys, place, plaintext):
    envelope = sealed_at(place, plaintext)
    assert len(envelope) == len(plaintext) + ENVELOPE_OVERHEAD
    assert key_id_of(envelope) == keys.active(Purpose.CARD_NUMBER).key_id
    assert opened_at(place, envelope) == plaintext
    assert sealed_at(place, plaintext) != envelope


def _row_bytes(row_id):
    return row_id.bytes if isinstance(row_id, UUID) else str(row_id).encode()


@quick
@given(one=places, other=places)
def test_a_value_moved_to_another_row_column_or_table_does_not_open(keys, one, other):
    envelope = sealed_at(one, b"6222020000000000")
    if (one[:2], _row_bytes(one[2])) != (other[:2], _row_bytes(other[2])):
        with pytest.raises(BrokenEnvelopeError):
            opened_at(other, envelope)


@quick
@given(data=st.data(), plaintext=st.binary(min_size=1, max_size=40))
def test_any_flipped_bit_is_noticed(keys, data, plaintext):
    envelope = bytearray(sealed_at(("cards", "number", 1), plaintext))
    bit = data.draw(st.integers(0, len(envelope) * 8 - 1))
    envelope[bit // 8] ^= 1 << bit % 8
    with pytest.raises((BrokenEnvelopeError, UnknownKeyError)):
        opened_at(("cards", "number", 1), bytes(envelope))


@quick
@given(junk=st.binary(max_size=60))
def test_junk_is_refused(keys, junk):
    with pytest.raises((BrokenEnvelopeError, UnknownKeyError)):
        opened_at(("cards", "number", 1), junk)


def test_one_purpose_does_not_open_another_purposes_value(keys):
    envelope = sealed_at(("cards", "number", 1), b"x")
    with pytest.raises(UnknownKeyError):
        opened_at(("cards", "number", 1), envelope, Purpose.CONTACT)


def test_text_keeps_its_characters(keys):
    place = {"table": "customers", "column": "name", "row_id": UUID(int=7)}
    assert (
        open_text(Purpose.PERSON_NAME, **place, envelope=seal_text(Purpose.PERSON_NAME, **place, plaintext="欧阳 Dvořák")) == "欧阳 Dvořák"
    )


def test_a_blind_index_is_stable_and_differs_by_purpose(keys):
    index = blind_index(Purpose.INDEX_PHONE, "+8613800138000")
    assert len(index) == 32
    assert same_bytes(index, blind_index(Purpose.INDEX_PHONE, "+8613800138000"))
    assert index != blind_index(Purpose.INDEX_EMAIL, "+8613800138000")
    assert index != blind_index(Purpose.INDEX_PHONE, "+8613800138001")


def test_a_request_fingerprint_is_keyed(keys):
    assert len(request_fingerprint(b"{}")) == 32
    assert request_fingerprint(b"{}") == request_fingerprint(b"{}") != request_fingerprint(b"{ }")


def test_a_failure_says_where_and_nothing_else(keys):
    envelope = sealed_at(("cards", "number", 1), b"6222020000000000")
    with pytest.raises(BrokenEnvelopeError) as caught:
        opened_at(("cards", "number", 2), envelope)
    assert str(caught.value) == "cards.number: an envelope was changed or moved"
    assert caught.value.__suppress_context__
