"""Keys in files: a folder of its own, apart from the data and its backups, that only the service's user can read.

The folder holds `kek` (the key-encryption key, 32 bytes) and `data-keys.json` (the wrapped data keys). Both are needed; either alone opens
nothing.
"""

import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from loyalty.crypto.keys import KEY_BYTES, CryptoError, KeysMissingError, WrongKeysError

_NONCE_BYTES: Final = 12
_OTHERS: Final = 0o077


class KeysExposedError(CryptoError):
    """A key file or its folder can be read or written by others, or lies where backups of the data would take it along."""


class FileKeyProvider:
    """The default `KeyProvider`: `folder` is made with mode 0700 and its files with 0600; anything wider is refused."""

    def __init__(self, folder: Path, *, data_folder: Path | None = None) -> None:
        """Name the folder; nothing is read yet.

        :raises KeysExposedError: if `folder` lies inside `data_folder`
        """
        self._folder = folder.resolve()
        if data_folder is not None and self._folder.is_relative_to(data_folder.resolve()):
            raise KeysExposedError(f"keys may not lie inside the data folder: {self._folder}")
        self._kek_file = self._folder / "kek"
        self._manifest_file = self._folder / "data-keys.json"
        self._kek: AESGCM | None = None

    def __repr__(self) -> str:
        return f"<FileKeyProvider {self._folder}>"

    def read(self) -> bytes | None:
        """Return the manifest, None where there is none.

        A `kek` alone is what a first start leaves that was cut short: whether data was ever written under lost data keys is for the
        database's fingerprint to say.

        :raises KeysMissingError: if the manifest is there without its `kek`
        :raises KeysExposedError: if others may read or write the folder or a file
        """
        if not self._manifest_file.exists():
            return None
        if not self._kek_file.exists():
            raise KeysMissingError(f"{self._kek_file} is missing; restore the key folder from its backup")
        return self._read_private(self._manifest_file)

    def stamp(self) -> Hashable:
        """Return the manifest file's identity: every change replaces the file."""
        try:
            found = self._manifest_file.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def update(self, edit: Callable[[bytes | None], bytes]) -> bytes:
        """Replace the manifest under the folder's lock; several processes that start together make the keys once.

        :raises KeysMissingError: if the manifest is there without its `kek`
        :raises KeysExposedError: if others may read or write the folder or a file
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            present = self.read()
            manifest = edit(present)
            if manifest != present:
                self._write_private(self._manifest_file, manifest)
            return manifest

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """Encrypt a data key: `nonce ‖ ciphertext ‖ tag`, AES-256-GCM under the key-encryption key, `context` as AAD."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._opened_kek(create=True).encrypt(nonce, data_key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key.

        :raises WrongKeysError: if it was wrapped under another key or for another context
        """
        try:
            return self._opened_kek(create=False).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise WrongKeysError(f"the data keys in {self._folder} do not open under their key-encryption key") from None

    def _opened_kek(self, *, create: bool) -> AESGCM:
        if self._kek is None:
            if create and not self._kek_file.exists():
                self._write_private(self._kek_file, secrets.token_bytes(KEY_BYTES))
            kek = self._read_private(self._kek_file)
            if len(kek) != KEY_BYTES:
                raise WrongKeysError(f"{self._kek_file} is damaged; restore the key folder from its backup")
            self._kek = AESGCM(kek)
        return self._kek

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._refuse_exposed(self._folder)
        handle = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _refuse_exposed(self, path: Path) -> None:
        found = path.stat(follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            raise KeysExposedError(f"{path} is a symbolic link; keys must be real files")
        if found.st_mode & _OTHERS:
            mode = "700" if stat.S_ISDIR(found.st_mode) else "600"
            raise KeysExposedError(f"others may reach {path}; run: chmod {mode} {path}")
        if found.st_uid not in {0, os.geteuid()}:
            raise KeysExposedError(f"{path} belongs to another user (uid {found.st_uid})")

    def _read_private(self, path: Path) -> bytes:
        self._refuse_exposed(self._folder)
        self._refuse_exposed(path)
        return path.read_bytes()

    def _write_private(self, path: Path, content: bytes) -> None:
        draft = path.with_name(f".{path.name}.new")
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
