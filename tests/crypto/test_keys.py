"""Making, refusing, rotating and destroying keys."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loyalty.crypto import (
    CryptoError,
    FileKeyProvider,
    KeysExposedError,
    KeysMissingError,
    KeyState,
    Purpose,
    UnknownKeyError,
    Use,
    WrongKeysError,
    blind_index,
    keyring,
    needs_rotation,
    open_,
    open_keyring,
    pin_matches,
    pin_verifier,
    reseal,
    seal,
    use_keyring,
)
from loyalty.ids import uuid7

from .conftest import NOW


def opened(folder, expected=None):
    return open_keyring(FileKeyProvider(folder), expected_fingerprint=expected, now=NOW)


def test_keys_are_made_once_and_only_their_owner_reads_them(tmp_path):
    folder = tmp_path / "keys"
    first = opened(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {"kek": 0o600, "data-keys.json": 0o600, ".lock": 0o600}
    assert opened(folder, first.fingerprint).fingerprint == first.fingerprint
    assert {purpose for purpose in Purpose if first.active(purpose).state is KeyState.ACTIVE} == set(Purpose)


def test_starts_at_the_same_time_make_one_key_set(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        fingerprints = {ring.fingerprint for ring in pool.map(lambda _: opened(tmp_path / "keys"), range(16))}
    assert len(fingerprints) == 1


def test_a_first_start_cut_short_is_taken_up_again(tmp_path):
    folder = tmp_path / "keys"
    opened(folder)
    (folder / "data-keys.json").unlink()
    assert opened(folder).fingerprint


def test_another_key_set_is_refused(tmp_path):
    opened(tmp_path / "a")
    with pytest.raises(WrongKeysError, match="restore the right key folder"):
        opened(tmp_path / "a", opened(tmp_path / "b").fingerprint)


def test_missing_keys_are_never_made_anew_for_a_database_that_had_some(tmp_path):
    fingerprint = opened(tmp_path / "keys").fingerprint
    with pytest.raises(KeysMissingError):
        opened(tmp_path / "elsewhere", fingerprint)
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "keys" / "data-keys.json").unlink()
    with pytest.raises(KeysMissingError):
        opened(tmp_path / "keys", fingerprint)


def test_a_missing_or_foreign_kek_is_refused(tmp_path):
    opened(tmp_path / "keys")
    kek = tmp_path / "keys" / "kek"
    kek.write_bytes(bytes(32))
    with pytest.raises(WrongKeysError, match="do not open"):
        opened(tmp_path / "keys")
    kek.write_bytes(b"short")
    with pytest.raises(WrongKeysError, match="damaged"):
        opened(tmp_path / "keys")
    kek.unlink()
    with pytest.raises(KeysMissingError, match="kek is missing"):
        opened(tmp_path / "keys")


@pytest.mark.parametrize("name", [".", "kek", "data-keys.json"])
@pytest.mark.parametrize("bit", [0o040, 0o004, 0o020, 0o002])
def test_files_that_others_may_reach_are_refused(tmp_path, name, bit):
    opened(tmp_path / "keys")
    path = tmp_path / "keys" / name
    path.chmod(path.stat().st_mode | bit)
    with pytest.raises(KeysExposedError, match="chmod"):
        opened(tmp_path / "keys")


def test_a_link_in_place_of_a_key_is_refused(tmp_path):
    opened(tmp_path / "keys")
    kek = tmp_path / "keys" / "kek"
    kek.rename(tmp_path / "kek")
    kek.symlink_to(tmp_path / "kek")
    with pytest.raises(KeysExposedError, match="symbolic link"):
        opened(tmp_path / "keys")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_key_is_refused(tmp_path):
    opened(tmp_path / "keys")
    os.chown(tmp_path / "keys" / "kek", 65534, 65534)
    with pytest.raises(KeysExposedError, match="another user"):
        opened(tmp_path / "keys")


def test_keys_inside_the_data_folder_are_refused(tmp_path):
    with pytest.raises(KeysExposedError, match="data folder"):
        FileKeyProvider(tmp_path / "data" / "keys", data_folder=tmp_path / "data")


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 9, "keys": []}'])
def test_a_damaged_manifest_is_refused(tmp_path, content):
    opened(tmp_path / "keys")
    (tmp_path / "keys" / "data-keys.json").write_bytes(content)
    with pytest.raises(WrongKeysError):
        opened(tmp_path / "keys")


def test_a_wrapped_key_cannot_change_its_purpose(tmp_path):
    opened(tmp_path / "keys")
    manifest = tmp_path / "keys" / "data-keys.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"purpose":"contact"', b'"purpose":"x"').replace(b'"id_document"', b'"contact"'))
    with pytest.raises(WrongKeysError, match="do not open"):
        opened(tmp_path / "keys")


def test_a_later_release_adds_the_keys_it_needs_and_keeps_those_it_does_not_know(tmp_path):
    before = opened(tmp_path / "keys")
    manifest = tmp_path / "keys" / "data-keys.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"purpose":"voucher"', b'"purpose":"of_a_newer_release"'))
    after = opened(tmp_path / "keys", before.fingerprint)
    assert after.active(Purpose.VOUCHER).key_id > max(before.active(purpose).key_id for purpose in Purpose)
    assert b"of_a_newer_release" in manifest.read_bytes()


def test_rotation_keeps_old_values_readable_until_they_are_re_encrypted_and_the_key_destroyed(own_keys):
    place = {"table": "contacts", "column": "phone", "row_id": uuid7(NOW)}
    old = seal(Purpose.CONTACT, **place, plaintext=b"13800138000")
    old_id = own_keys.active(Purpose.CONTACT).key_id
    fingerprint = own_keys.fingerprint
    assert not needs_rotation(Purpose.CONTACT, old)
    with pytest.raises(CryptoError, match="decrypt-only"):
        own_keys.destroy(old_id)

    new_id = own_keys.rotate(Purpose.CONTACT, now=NOW)
    assert own_keys.find(Purpose.CONTACT, old_id).state is KeyState.DECRYPT_ONLY
    assert needs_rotation(Purpose.CONTACT, old)
    new = reseal(Purpose.CONTACT, **place, envelope=old)
    assert not needs_rotation(Purpose.CONTACT, new)
    assert open_(Purpose.CONTACT, **place, envelope=old) == open_(Purpose.CONTACT, **place, envelope=new) == b"13800138000"

    own_keys.destroy(old_id)
    assert own_keys.active(Purpose.CONTACT).key_id == new_id
    assert own_keys.fingerprint == fingerprint
    with pytest.raises(UnknownKeyError):
        open_(Purpose.CONTACT, **place, envelope=old)


def test_another_process_opens_what_the_new_key_sealed(own_keys, tmp_path):
    other = opened(tmp_path / "keys", own_keys.fingerprint)
    own_keys.rotate(Purpose.CONTACT, now=NOW)
    sealed = seal(Purpose.CONTACT, table="contacts", column="phone", row_id=1, plaintext=b"x")
    use_keyring(other)
    assert open_(Purpose.CONTACT, table="contacts", column="phone", row_id=1, envelope=sealed) == b"x"


@pytest.mark.parametrize("purpose", [purpose for purpose in Purpose if not purpose.rotates])
def test_what_is_compared_for_ever_does_not_rotate(own_keys, purpose):
    with pytest.raises(CryptoError, match="cannot rotate"):
        own_keys.rotate(purpose, now=NOW)


def test_a_pin_set_before_a_rotation_still_matches(own_keys):
    card = uuid7(NOW)
    stored = pin_verifier(card_id=card, generation=1, pin="123456")
    own_keys.rotate(Purpose.PIN, now=NOW)
    assert pin_matches(stored, card_id=card, generation=1, pin="123456")
    assert not pin_matches(stored, card_id=card, generation=1, pin="123457")
    assert pin_verifier(card_id=card, generation=1, pin="123456") != stored


def test_a_manifest_that_disappears_is_noticed(own_keys, tmp_path):
    (tmp_path / "keys" / "data-keys.json").unlink()
    with pytest.raises(KeysMissingError):
        own_keys.find(Purpose.CONTACT, 60_000)
    with pytest.raises(KeysMissingError):
        own_keys.rotate(Purpose.CONTACT, now=NOW)


def test_without_keys_nothing_is_sealed():
    use_keyring(None)
    with pytest.raises(KeysMissingError):
        keyring()
    with pytest.raises(KeysMissingError):
        blind_index(Purpose.INDEX_PHONE, "13800138000")


def test_every_purpose_has_one_use():
    assert Purpose.CARD_NUMBER.use is Use.SEAL
    assert Purpose.INDEX_CARD_NUMBER.use is Use.INDEX
    assert Purpose.PIN.use is Use.MAC
    assert Purpose.ISSUER.use is Use.SIGN
    assert Purpose.PIN_TRANSPORT.use is Use.AGREE
    assert {purpose.use for purpose in Purpose if purpose.name.startswith("INDEX_")} == {Use.INDEX}


def test_nothing_that_holds_a_key_prints_it(own_keys, tmp_path):
    secret = own_keys.active(Purpose.PIN)._secret
    shown = repr(own_keys) + repr(own_keys.active(Purpose.PIN)) + repr(FileKeyProvider(tmp_path / "keys"))
    for form in (secret.hex(), repr(secret), str(secret)):
        assert form not in shown
    assert secret not in Path(tmp_path / "keys" / "data-keys.json").read_bytes()
