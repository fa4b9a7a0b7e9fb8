"""The primitives, called as this package calls them, against RFC and Wycheproof vectors."""

import hmac
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from loyalty.crypto import known_answer_test, matching_totp_step, totp_code
from loyalty.crypto import self_test as self_test_module

from .conftest import records, wycheproof


def test_every_primitive_knows_its_answer():
    known_answer_test()


@pytest.mark.parametrize("index", range(len(self_test_module._ANSWERS)))
def test_a_wrong_answer_stops_the_start(monkeypatch, index):
    answers = list(self_test_module._ANSWERS)
    name, _, answer = answers[index]
    answers[index] = (name, lambda: b"wrong", answer)
    monkeypatch.setattr(self_test_module, "_ANSWERS", tuple(answers))
    with pytest.raises(self_test_module.SelfTestError, match=name):
        known_answer_test()


def test_aes_256_gcm_wycheproof():
    seen = 0
    for group, case in wycheproof("wycheproof_aes_gcm_test.json"):
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue
        key, nonce, aad, message, sealed = (bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "msg", "ct"))
        sealed += bytes.fromhex(case["tag"])
        seen += 1
        if case["result"] == "invalid":
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(nonce, sealed, aad)
        else:
            assert AESGCM(key).encrypt(nonce, message, aad) == sealed
            assert AESGCM(key).decrypt(nonce, sealed, aad) == message
    assert seen > 50


def test_hmac_sha256_wycheproof():
    for group, case in wycheproof("wycheproof_hmac_sha256_test.json"):
        made = hmac.digest(bytes.fromhex(case["key"]), bytes.fromhex(case["msg"]), "sha256")[: group["tagSize"] // 8]
        assert hmac.compare_digest(made, bytes.fromhex(case["tag"])) is (case["result"] == "valid"), case["tcId"]


def test_hkdf_sha256_wycheproof():
    for _, case in wycheproof("wycheproof_hkdf_sha256_test.json"):
        salt, info, material = (bytes.fromhex(case[name]) for name in ("salt", "info", "ikm"))
        if case["result"] == "invalid":
            with pytest.raises(ValueError, match="derive"):
                HKDF(SHA256(), case["size"], salt, info).derive(material)
        else:
            assert HKDF(SHA256(), case["size"], salt, info).derive(material).hex() == case["okm"]


def test_hkdf_rfc_5869():
    cases = records("KDF_rfc-5869-HKDF-SHA256.txt", "OKM")
    assert len(cases) == 3
    for case in cases:
        salt, info, material = (bytes.fromhex(case[name]) for name in ("salt", "info", "IKM"))
        assert HKDF(SHA256(), int(case["L"]), salt, info).derive(material).hex() == case["OKM"]


def test_hmac_rfc_4231():
    cases = records("HMAC_rfc-4231-sha256.txt", "MD")
    assert len(cases) >= 6
    for case in cases:
        assert hmac.digest(bytes.fromhex(case["Key"]), bytes.fromhex(case["Msg"]), "sha256").hex() == case["MD"]


def test_hotp_rfc_4226():
    cases = records("twofactor_rfc-4226.txt", "SECRET")
    assert len(cases) == 10
    for case in cases:
        shown_at = datetime.fromtimestamp(int(case["COUNTER"]) * 30, UTC)
        assert totp_code(case["SECRET"].encode(), now=shown_at) == case["HOTP"]


def test_totp_rfc_6238():
    cases = [case for case in records("twofactor_rfc-6238.txt", "SECRET") if case["MODE"] == "SHA1"]
    assert len(cases) == 6
    for case in cases:
        # The RFC shows eight digits; six are the same number's last six.
        now, secret, code = datetime.fromtimestamp(int(case["TIME"]), UTC), case["SECRET"].encode(), case["TOTP"][-6:]
        assert totp_code(secret, now=now) == code
        assert matching_totp_step(secret, code, now=now, last_step=None) == int(case["TIME"]) // 30
