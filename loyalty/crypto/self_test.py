"""The known-answer test at start-up: each primitive, called as this package calls it, on a published vector.

A broken build of the cryptography library, or of the machine under it, must stop the service before it seals what nobody can open.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class SelfTestError(Exception):
    """A primitive gave a wrong answer; nothing may be sealed or opened."""


def _aes_gcm() -> bytes:
    # McGrew and Viega, "The Galois/Counter Mode of Operation", test case 14.
    return AESGCM(bytes(32)).encrypt(bytes(12), bytes(16), None)


def _hmac() -> bytes:
    # RFC 4231, test case 2.
    return hmac.digest(b"Jefe", b"what do ya want for nothing?", "sha256")


def _sha256() -> bytes:
    # FIPS 180-4, the example "abc".
    return hashlib.sha256(b"abc").digest()


def _hkdf() -> bytes:
    # RFC 5869, A.1.
    return HKDF(SHA256(), 42, bytes(range(13)), bytes(range(0xF0, 0xFA))).derive(b"\x0b" * 22)


def _ed25519() -> bytes:
    # RFC 8032, 7.1, TEST 1.
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    return Ed25519PrivateKey.from_private_bytes(seed).sign(b"")


def _x25519() -> bytes:
    # RFC 7748, 6.1.
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    return X25519PrivateKey.from_private_bytes(alice).exchange(X25519PublicKey.from_public_bytes(bob))


def _argon2id() -> bytes:
    # The reference implementation's test suite, version 0x13, 2 passes, 256 KiB, one lane: more lanes use OpenSSL's thread pool, which
    # fails when several threads start at once.
    return Argon2id(salt=b"somesalt", length=32, iterations=2, lanes=1, memory_cost=256).derive(b"password")


_ANSWERS: Final[tuple[tuple[str, Callable[[], bytes], str], ...]] = (
    ("AES-256-GCM", _aes_gcm, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"),
    ("HMAC-SHA-256", _hmac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    ("SHA-256", _sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("HKDF-SHA-256", _hkdf, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"),
    (
        "Ed25519",
        _ed25519,
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    ("X25519", _x25519, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
    ("Argon2id", _argon2id, "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"),
)


def known_answer_test() -> None:
    """Run every primitive once, about a millisecond.

    :raises SelfTestError: naming the first that gives a wrong answer
    """
    for name, run, answer in _ANSWERS:
        if run().hex() != answer:
            raise SelfTestError(f"{name} gives a wrong answer on this machine; nothing was opened")
