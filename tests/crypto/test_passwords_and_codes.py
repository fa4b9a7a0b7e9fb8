"""Passwords, one-time codes, typed codes, cookies, forms, card numbers."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.card_numbers import luhn_digit, luhn_is_right, masked_card_number, new_card_number, plain_card_number
from loyalty.crypto import (
    Purpose,
    csrf_matches,
    csrf_token,
    hash_password,
    matching_totp_step,
    new_code,
    new_token,
    new_totp_secret,
    password_needs_rehash,
    read_code,
    token_hash,
    totp_code,
    totp_uri,
    verify_password,
)

from .conftest import NOW

quick = settings(max_examples=60, deadline=None)


def test_a_password_is_hashed_in_phc_form_and_verified():
    stored = hash_password("正确的密码")
    assert stored.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert verify_password(stored, "正确的密码")
    assert not verify_password(stored, "wrong")
    assert not password_needs_rehash(stored)
    assert hash_password("正确的密码") != stored


def test_log_ins_in_parallel_all_succeed():
    with ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(hash_password, ["a", "b", "c", "d"]))
        assert all(pool.map(verify_password, stored, ["a", "b", "c", "d"]))


def test_an_unknown_user_is_refused_after_the_same_work():
    assert not verify_password(None, "anything")


def test_a_hash_with_older_costs_still_verifies_and_asks_to_be_renewed():
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    old = Argon2id(salt=b"s" * 16, length=32, iterations=1, lanes=1, memory_cost=64).derive_phc_encoded(b"old")
    assert verify_password(old, "old")
    assert password_needs_rehash(old)


def test_a_one_time_code_is_good_once_and_one_step_around():
    secret = new_totp_secret()
    code = totp_code(secret, now=NOW)
    step = matching_totp_step(secret, code, now=NOW, last_step=None)
    assert step == int(NOW.timestamp()) // 30
    assert matching_totp_step(secret, code, now=NOW, last_step=step - 1) == step
    assert matching_totp_step(secret, code, now=NOW, last_step=step) is None
    for late_s, allowed in ((-60, False), (-30, True), (30, True), (60, False)):
        assert (matching_totp_step(secret, code, now=NOW + timedelta(seconds=late_s), last_step=None) is not None) is allowed
    assert totp_uri(secret, account="zhang", issuer="Fuel").startswith("otpauth://totp/Fuel:zhang?")


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "１２３４５６"])
def test_what_is_no_one_time_code_matches_nothing(code):
    assert matching_totp_step(b"s" * 20, code, now=NOW, last_step=None) is None


@quick
@given(random=st.binary(min_size=17, max_size=17))
def test_a_code_survives_how_people_type_it(random):
    code = new_code(randbytes=lambda _: random)
    assert len(code) == 34
    assert read_code(code) == code
    sloppy = code.lower().replace("0", "o").replace("1", "l").replace("-", " ")
    assert read_code(f" {sloppy} ") == code


@quick
@given(random=st.binary(min_size=17, max_size=17), data=st.data())
def test_most_slips_are_caught(random, data):
    code = new_code(randbytes=lambda _: random)
    at = data.draw(st.integers(0, len(code) - 1).filter(lambda place: code[place] != "-"))
    other = data.draw(st.sampled_from("23456789ABCDEFGHJK").filter(lambda symbol: symbol != code[at]))
    slipped = read_code(code[:at] + other + code[at + 1 :])
    # One slip in 1,024 passes the check characters: then it is another code, never the same.
    assert slipped is None or slipped != code


@pytest.mark.parametrize("typed", ["", "ABCD", "UUUU-" * 7, "0000-0000-0000-0000-0000-0000-0000-0", "卡" * 28])
def test_what_is_no_code(typed):
    assert read_code(typed) is None


def test_tokens_are_long_and_stored_as_a_hash():
    token = new_token()
    assert len(token) == 43
    assert token != new_token()
    assert len(token_hash(token)) == 32
    assert token.encode() not in token_hash(token)


def test_a_form_belongs_to_its_browser_session(own_keys):
    field = csrf_token("session-a")
    assert csrf_matches("session-a", field)
    assert not csrf_matches("session-b", field)
    assert not csrf_matches("session-a", "卡")
    own_keys.rotate(Purpose.CSRF, now=NOW)
    assert csrf_matches("session-a", field)
    assert csrf_token("session-a") != field


@pytest.mark.parametrize(("payload", "digit"), [("7992739871", "3"), ("0", "0"), ("401288888888188", "1")])
def test_luhn_of_published_numbers(payload, digit):
    assert luhn_digit(payload) == digit
    assert luhn_is_right(payload + digit)


@quick
@given(bin_=st.text("0123456789", min_size=1, max_size=8), random=st.binary(min_size=32, max_size=32))
def test_card_numbers_have_their_prefix_length_and_check_digit(bin_, random):
    number = new_card_number(bin_, 19, randbytes=lambda _: random)
    assert len(number) == 19
    assert number.startswith(bin_)
    assert luhn_is_right(number)
    assert not luhn_is_right(number[:-1] + str((int(number[-1]) + 1) % 10))


@pytest.mark.parametrize(("bin_", "length"), [("622202", 16), ("6", 12)])
def test_at_least_ten_digits_are_random(bin_, length):
    if length - len(bin_) - 1 < 10:
        with pytest.raises(ValueError, match="ten"):
            new_card_number(bin_, length)
    else:
        assert len({new_card_number(bin_, length) for _ in range(50)}) == 50


@pytest.mark.parametrize(("bin_", "length"), [("622202", 15), ("622202", 20), ("6222020", 17)])
def test_lengths_that_leave_too_little_chance(bin_, length):
    if length - len(bin_) - 1 < 10 or length > 19:
        with pytest.raises(ValueError, match="ten"):
            new_card_number(bin_, length)


@pytest.mark.parametrize("bin_", ["", "62a", "６２"])
def test_a_prefix_that_is_no_number(bin_):
    with pytest.raises(ValueError, match="prefix"):
        new_card_number(bin_)


def test_a_number_is_shown_as_prefix_and_end():
    assert masked_card_number("6222021234567890") == "622202******7890"
    assert masked_card_number("12345678") == "******78"
    assert plain_card_number(" 6222 0212-3456 7890 ") == "6222021234567890"
    assert not luhn_is_right("")
