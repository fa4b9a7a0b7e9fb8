"""Keys and database belong together: the database holds the keys' fingerprint and refuses any others."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.crypto import FileKeyProvider, Keyring, open_keyring, use_keyring
from loyalty.model import Installation
from loyalty.settings import Settings


async def open_keys(settings: Settings, engine: AsyncEngine, *, now: datetime) -> Keyring:
    """Open this installation's keys and make this process work with them; a new database takes the fingerprint of the keys it finds.

    Two processes that start together agree: one makes the keys under the key folder's lock, one stores the fingerprint, both compare.

    :raises loyalty.crypto.CryptoError: if keys are missing, exposed or not the ones this database was written with
    """
    provider = FileKeyProvider(settings.keys_dir, data_folder=settings.data_dir)
    stored = select(Installation.keys_fingerprint)
    async with engine.begin() as connection:
        expected = await connection.scalar(stored)
        keyring = open_keyring(provider, expected_fingerprint=expected, now=now)
        if expected is None:
            row = {"installation": 1, "keys_fingerprint": keyring.fingerprint, "installed_at": now}
            await connection.execute(insert(Installation).values(row).on_conflict_do_nothing())
            keyring = open_keyring(provider, expected_fingerprint=await connection.scalar(stored), now=now)
    use_keyring(keyring)
    return keyring
