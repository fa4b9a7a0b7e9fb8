"""Who owns the accounts that lists show."""

from collections.abc import Sequence
from uuid import UUID

from loyalty.customers import queries as customers
from loyalty.ledger.queries import get_account
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk
from loyalty.web.office.parts import Cell


async def owners(desk: Desk, account_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return who owns accounts; a bearer's account is named by its end."""
    found = {}
    for account_id in set(account_ids):
        account = await get_account(desk.session, account_id=account_id)
        found[account_id] = account.customer_id
    names = await customers.names_of(desk.session, customer_ids=[one for one in found.values() if one])
    return {
        account_id: names.get(customer_id, "—") if customer_id else desk.gettext("Account %(end)s", end=str(account_id)[-6:])
        for account_id, customer_id in found.items()
    }


def account_cell(desk: Desk, account_id: UUID, names: dict[UUID, str]) -> Cell:
    return cells.link(desk, f"/office/accounts/{account_id}", names.get(account_id, "—"))
