"""How alembic reaches the database: on the connection that loyalty.schema hands over, or on DATABASE_URL from the command line."""

import asyncio
import os

from alembic import context

from loyalty import schema


def main() -> None:
    """Run the wanted migrations on the connection given, each in its own transaction."""
    connection = context.config.attributes.get("connection")
    if connection is None:
        asyncio.run(schema.on_database(os.environ["DATABASE_URL"], run))
    else:
        run(connection)


def run(connection: schema.Connection) -> None:
    """Compare or migrate; partitions that are made at run time belong to no revision."""
    partitions = schema.partitions(connection)

    def is_ours(name: str | None, kind: str, parents: object) -> bool:  # noqa: ARG001 - alembic's signature
        return kind != "table" or name not in partitions

    context.configure(
        connection=connection,
        target_metadata=schema.all_tables(),
        include_name=is_ours,
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


main()
