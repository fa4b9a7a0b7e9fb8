"""Keys: one data key per purpose, wrapped by a key-encryption key that a provider holds.

A keyring is the process's view of all data keys. Every key has a number (its key id) that is unique over all purposes and stands in what
the key protects; its life is active → decrypt-only → destroyed. A number that is unknown, destroyed, or belongs to another purpose fails
closed.
"""

import hmac
import secrets
from collections.abc import Callable, Hashable
from datetime import datetime
from enum import Enum, StrEnum
from functools import cached_property
from typing import Final, Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from loyalty.crypto.encoding import framed
from loyalty.crypto.self_test import known_answer_test

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 2
_MANIFEST_VERSION: Final = 1


class CryptoError(Exception):
    """Something protected could not be protected, opened or believed. Never carries a secret or a plaintext."""


class KeysMissingError(CryptoError):
    """The key files are not there although the database was written with some."""


class WrongKeysError(CryptoError):
    """These are not the keys the database was written with, or they do not open under their key-encryption key."""


class UnknownKeyError(CryptoError):
    """A key id that this keyring does not hold, holds for another purpose, or has destroyed."""


class Use(Enum):
    """What a key may do; a purpose has exactly one use."""

    SEAL = "AES-256-GCM"
    INDEX = "HMAC-SHA-256, stored for look-up"
    MAC = "HMAC-SHA-256"
    SIGN = "Ed25519"
    AGREE = "X25519, HPKE"


class Purpose(StrEnum):
    """What a key is for. A new member gets its key at the next start."""

    IDENTITY = "identity"
    """Never used for data: names the key set, so that a database can refuse another one."""

    CARD_NUMBER = "card_number"
    ID_DOCUMENT = "id_document"
    PERSON_NAME = "person_name"
    CONTACT = "contact"
    BANK_ACCOUNT = "bank_account"
    SESSION_KEY = "session_key"
    TOTP_SECRET = "totp_secret"  # noqa: S105 - the name of a purpose, not a secret
    WEBHOOK_SECRET = "webhook_secret"  # noqa: S105 - the name of a purpose, not a secret
    VOUCHER_CODE = "voucher_code"
    SIGNATURE = "signature"
    """What somebody drew to say that they received a thing."""
    DOCUMENT = "document"
    """A photo or a paper that somebody handed in."""

    INDEX_CARD_NUMBER = "index_card_number"
    INDEX_ID_DOCUMENT = "index_id_document"
    INDEX_PERSON_NAME = "index_person_name"
    INDEX_PHONE = "index_phone"
    INDEX_EMAIL = "index_email"
    INDEX_BANK_ACCOUNT = "index_bank_account"
    INDEX_VOUCHER_CODE = "index_voucher_code"

    PIN = "pin"
    FINGERPRINT = "fingerprint"
    STOP_LIST = "stop_list"
    QR_TOKEN = "qr_token"  # noqa: S105 - the name of a purpose, not a secret
    RECEIPT_TOKEN = "receipt_token"  # noqa: S105 - the name of a purpose, not a secret
    COOKIE = "cookie"
    CSRF = "csrf"

    ISSUER = "issuer"
    """Signs the issuer's half of a terminal's day session."""
    OFFLINE_DOCUMENT = "offline_document"
    """Signs stop lists and offline profiles."""
    VOUCHER = "voucher"
    AUDIT = "audit"

    PIN_TRANSPORT = "pin_transport"

    @property
    def use(self) -> Use:
        """The one thing a key of this purpose may do."""
        return _USE[self]

    @property
    def rotates(self) -> bool:
        """Whether a new key may take over.

        Not for what is compared for ever as bytes: indexes, request fingerprints, and the identity of the key set. Their rotation would
        be a migration that rewrites the columns.
        """
        return self.use is not Use.INDEX and self not in {Purpose.IDENTITY, Purpose.FINGERPRINT}


_SEALED = (
    Purpose.CARD_NUMBER,
    Purpose.ID_DOCUMENT,
    Purpose.PERSON_NAME,
    Purpose.CONTACT,
    Purpose.BANK_ACCOUNT,
    Purpose.SESSION_KEY,
    Purpose.TOTP_SECRET,
    Purpose.WEBHOOK_SECRET,
    Purpose.VOUCHER_CODE,
    Purpose.SIGNATURE,
    Purpose.DOCUMENT,
)
_SIGNED = (Purpose.ISSUER, Purpose.OFFLINE_DOCUMENT, Purpose.VOUCHER, Purpose.AUDIT)
_USE: Final[dict[Purpose, Use]] = (
    dict.fromkeys(Purpose, Use.MAC)
    | {purpose: Use.INDEX for purpose in Purpose if purpose.value.startswith("index_")}
    | dict.fromkeys(_SEALED, Use.SEAL)
    | dict.fromkeys(_SIGNED, Use.SIGN)
    | {Purpose.PIN_TRANSPORT: Use.AGREE}
)


class KeyState(StrEnum):
    """A data key's life."""

    ACTIVE = "active"
    DECRYPT_ONLY = "decrypt_only"
    DESTROYED = "destroyed"


class KeyProvider(Protocol):
    """Who holds the key-encryption key and the manifest of wrapped data keys: files by default, PKCS#11 or a KMS by the same four verbs."""

    def read(self) -> bytes | None:
        """Return the manifest, None where there is none yet."""

    def stamp(self) -> Hashable:
        """Return a value that differs after every change of the manifest; cheap, called when a key id is unknown."""

    def update(self, edit: Callable[[bytes | None], bytes]) -> bytes:
        """Replace the manifest by `edit(manifest)` under an exclusive lock, durably, and return what stands now."""

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """Encrypt a data key under the key-encryption key, bound to `context`."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key.

        :raises WrongKeysError: if it was wrapped under another key or for another context
        """


class _Entry(msgspec.Struct, frozen=True):
    key_id: int
    purpose: str
    state: KeyState
    made_at: datetime
    wrapped: bytes | None


class _Manifest(msgspec.Struct, frozen=True):
    version: int
    keys: tuple[_Entry, ...]


class Mac:
    """HMAC-SHA-256 under one key, whose padded halves are hashed once: half of what a call from the key itself costs."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        self._keyed = HMAC(key, SHA256())

    def __call__(self, message: bytes) -> bytes:
        """Return the 32 bytes that authenticate `message`."""
        made = self._keyed.copy()
        made.update(message)
        return made.finalize()


class DataKey:
    """One unwrapped data key. Its secret never prints."""

    __slots__ = ("__dict__", "_secret", "key_id", "prefix", "purpose", "state")

    def __init__(self, key_id: int, purpose: Purpose, state: KeyState, secret: bytes) -> None:
        self.key_id = key_id
        self.prefix = key_id.to_bytes(KEY_ID_BYTES, "big")
        self.purpose = purpose
        self.state = state
        self._secret = secret

    def __repr__(self) -> str:
        return f"<DataKey {self.key_id} {self.purpose} {self.state}>"

    @cached_property
    def cipher(self) -> AESGCM:
        """AES-256-GCM under this key."""
        assert self.purpose.use is Use.SEAL, "this key does not encrypt"
        return AESGCM(self._secret)

    @cached_property
    def signer(self) -> Ed25519PrivateKey:
        """Ed25519 with this key as its seed."""
        assert self.purpose.use is Use.SIGN, "this key does not sign"
        return Ed25519PrivateKey.from_private_bytes(self._secret)

    @cached_property
    def agreement(self) -> X25519PrivateKey:
        """X25519 with this key as its private scalar."""
        assert self.purpose.use is Use.AGREE, "this key does not agree"
        return X25519PrivateKey.from_private_bytes(self._secret)

    @cached_property
    def mac(self) -> Mac:
        """HMAC-SHA-256 under this key: a message in, 32 bytes out."""
        assert self.purpose.use in {Use.MAC, Use.INDEX}, "this key does not authenticate"
        return Mac(self._secret)


class Keyring:
    """All data keys of one installation, unwrapped, by purpose and by key id."""

    def __init__(self, provider: KeyProvider, manifest: bytes) -> None:
        self._provider = provider
        self._stamp: Hashable = None
        self._by_id: dict[int, DataKey] = {}
        self._active: dict[Purpose, DataKey] = {}
        self._adopt(manifest)

    def __repr__(self) -> str:
        return f"<Keyring {self.fingerprint} of {len(self._by_id)} keys>"

    @cached_property
    def fingerprint(self) -> str:
        """Name this key set in 32 hexadecimal characters; it survives rotation and tells nothing about the keys."""
        return self.active(Purpose.IDENTITY).mac(b"loyalty key set fingerprint v1")[:16].hex()

    def active(self, purpose: Purpose) -> DataKey:
        """Return the key that protects new data of `purpose`."""
        return self._active[purpose]

    def find(self, purpose: Purpose, key_id: int) -> DataKey:
        """Return the key `key_id`, active or decrypt-only; another process's rotation is picked up here.

        :raises UnknownKeyError: if there is none for this purpose
        """
        key = self._by_id.get(key_id)
        if key is None and self._provider.stamp() != self._stamp:
            self.reload()
            key = self._by_id.get(key_id)
        if key is None or key.purpose is not purpose:
            raise UnknownKeyError(f"no {purpose} key {key_id}: it is unknown, destroyed, or of another purpose")
        return key

    def live(self, purpose: Purpose) -> list[DataKey]:
        """Return the keys of `purpose` that still open or verify, by key id."""
        return [key for _, key in sorted(self._by_id.items()) if key.purpose is purpose]

    def reload(self) -> None:
        """Read the manifest again.

        :raises KeysMissingError: if it is gone
        """
        manifest = self._provider.read()
        if manifest is None:
            raise KeysMissingError("the data keys are gone; restore the key folder from its backup")
        self._adopt(manifest)

    def rotate(self, purpose: Purpose, *, now: datetime) -> int:
        """Make a new active key for `purpose`; the present one becomes decrypt-only. Returns the new key id.

        Other processes open what the new key sealed at once, and seal with it after their `reload` or restart; re-encrypt after that.

        :raises CryptoError: if data of this purpose is compared for ever as bytes
        """
        if not purpose.rotates:
            raise CryptoError(f"the {purpose} key cannot rotate: its values are compared for ever")

        def edit(manifest: _Manifest) -> _Manifest:
            retired = [
                msgspec.structs.replace(entry, state=KeyState.DECRYPT_ONLY)
                if entry.purpose == purpose and entry.state is KeyState.ACTIVE
                else entry
                for entry in manifest.keys
            ]
            return _Manifest(_MANIFEST_VERSION, (*retired, _new_entry(self._provider, purpose, _next_id(manifest), now)))

        self._edit(edit)
        return self.active(purpose).key_id

    def destroy(self, key_id: int) -> None:
        """Forget a decrypt-only key for good: whatever it still protects cannot be opened again.

        :raises CryptoError: if the key is not decrypt-only
        """

        def edit(manifest: _Manifest) -> _Manifest:
            if not any(entry.key_id == key_id and entry.state is KeyState.DECRYPT_ONLY for entry in manifest.keys):
                raise CryptoError(f"key {key_id} is not decrypt-only: rotate its purpose and re-encrypt first")
            return _Manifest(
                _MANIFEST_VERSION,
                tuple(
                    msgspec.structs.replace(entry, state=KeyState.DESTROYED, wrapped=None) if entry.key_id == key_id else entry
                    for entry in manifest.keys
                ),
            )

        self._edit(edit)

    def _edit(self, edit: Callable[[_Manifest], _Manifest]) -> None:
        def edit_bytes(manifest: bytes | None) -> bytes:
            if manifest is None:
                raise KeysMissingError("the data keys are gone; restore the key folder from its backup")
            return msgspec.json.encode(edit(_decode(manifest)))

        self._adopt(self._provider.update(edit_bytes))

    def _adopt(self, manifest: bytes) -> None:
        stamp = self._provider.stamp()
        by_id: dict[int, DataKey] = {}
        for entry in _decode(manifest).keys:
            # A purpose this release does not know is a newer release's: its key stays in the manifest, unused.
            if entry.wrapped is None or entry.purpose not in _KNOWN:
                continue
            secret = self._provider.unwrap(entry.wrapped, _context(entry.purpose, entry.key_id))
            by_id[entry.key_id] = DataKey(entry.key_id, Purpose(entry.purpose), entry.state, secret)
        active = {key.purpose: key for key in by_id.values() if key.state is KeyState.ACTIVE}
        if missing := set(Purpose) - set(active):
            raise WrongKeysError(f"no active key for: {', '.join(sorted(missing))}")
        self._by_id, self._active, self._stamp = by_id, active, stamp


_KNOWN: Final = frozenset(purpose.value for purpose in Purpose)


def open_keyring(provider: KeyProvider, *, expected_fingerprint: str | None, now: datetime) -> Keyring:
    """Return the installation's keyring after the known-answer test; make the keys where there are none and none are expected.

    `expected_fingerprint` is what the database stored; None means a database without one, whose caller stores `Keyring.fingerprint`.

    :raises SelfTestError: if a primitive gives a wrong answer
    :raises KeysMissingError: if the database was written with keys and there are none here
    :raises WrongKeysError: if these are other keys
    """
    known_answer_test()
    manifest = provider.read()
    if manifest is None and expected_fingerprint is not None:
        raise KeysMissingError("the database was written with keys that are not here; restore the key folder from its backup")
    if manifest is None or _purposes_without_key(_decode(manifest)):
        manifest = provider.update(lambda present: _complete(provider, present, now))
    keyring = Keyring(provider, manifest)
    if expected_fingerprint is not None and not hmac.compare_digest(keyring.fingerprint, expected_fingerprint):
        raise WrongKeysError(
            f"the database was written with keys {expected_fingerprint}, here are keys {keyring.fingerprint}; restore the right key folder"
        )
    return keyring


def _decode(manifest: bytes) -> _Manifest:
    try:
        decoded = msgspec.json.decode(manifest, type=_Manifest)
    except msgspec.DecodeError:
        raise WrongKeysError("the file of data keys is damaged; restore the key folder from its backup") from None
    if decoded.version != _MANIFEST_VERSION:
        raise WrongKeysError(f"the file of data keys has version {decoded.version}, this release reads {_MANIFEST_VERSION}")
    return decoded


def _purposes_without_key(manifest: _Manifest) -> list[Purpose]:
    present = {entry.purpose for entry in manifest.keys if entry.state is KeyState.ACTIVE}
    return [purpose for purpose in Purpose if purpose not in present]


def _complete(provider: KeyProvider, present: bytes | None, now: datetime) -> bytes:
    manifest = _Manifest(_MANIFEST_VERSION, ()) if present is None else _decode(present)
    for purpose in _purposes_without_key(manifest):
        manifest = _Manifest(_MANIFEST_VERSION, (*manifest.keys, _new_entry(provider, purpose, _next_id(manifest), now)))
    return msgspec.json.encode(manifest)


def _next_id(manifest: _Manifest) -> int:
    return 1 + max((entry.key_id for entry in manifest.keys), default=0)


def _new_entry(provider: KeyProvider, purpose: Purpose, key_id: int, now: datetime) -> _Entry:
    wrapped = provider.wrap(secrets.token_bytes(KEY_BYTES), _context(purpose, key_id))
    return _Entry(key_id=key_id, purpose=purpose.value, state=KeyState.ACTIVE, made_at=now, wrapped=wrapped)


def _context(purpose: str, key_id: int) -> bytes:
    return framed(b"loyalty data key v1", purpose.encode(), key_id.to_bytes(KEY_ID_BYTES, "big"))


_installed: Keyring | None = None


def use_keyring(keyring: Keyring | None) -> None:
    """Make `keyring` the one this process works with; only a composition root or a test fixture calls this."""
    global _installed  # noqa: PLW0603 - one key set a process, as there is one clock
    _installed = keyring


def keyring() -> Keyring:
    """Return this process's keyring.

    :raises KeysMissingError: if none was opened
    """
    if _installed is None:
        raise KeysMissingError("no keys were opened in this process")
    return _installed
