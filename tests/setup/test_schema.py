"""The migrations and the rooms' declarations say the same."""

from loyalty import schema


async def test_the_migrated_database_is_what_the_rooms_declare(database_url):
    await schema.compare(database_url)


async def test_migrating_twice_changes_nothing(database_url):
    await schema.migrate(database_url)
