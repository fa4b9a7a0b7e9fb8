"""What stories look at."""

import uuid

import msgspec

from tests.factories.world import TestCard
from tests.simulation.house import House


def said(answer: bytes) -> dict:
    return msgspec.json.decode(answer)


def key() -> uuid.UUID:
    return uuid.uuid4()


async def money(house: House, card: TestCard) -> dict[str, tuple[int, int]]:
    """Return balance and hold of each kind of purse of the card's account."""
    rows = await house.rows(
        "SELECT kind, sum(balance_minor)::bigint AS balance, sum(held_minor)::bigint AS held FROM purses WHERE account_id = $1 GROUP BY 1",
        card.account_id,
    )
    names = {1: "principal", 2: "bonus", 3: "points", 4: "receivable"}
    return {names[row["kind"]]: (row["balance"], row["held"]) for row in rows}


async def counted(house: House, card: TestCard) -> dict[str, tuple[int, int, int]]:
    """Return money, litres and fills by station-local day."""
    rows = await house.rows("SELECT start, amount_minor, quantity_milli, count FROM limit_counters WHERE subject_id = $1", card.card_id)
    return {row["start"].isoformat(): (row["amount_minor"], row["quantity_milli"], row["count"]) for row in rows}


async def houses(house: House) -> dict[str, int]:
    """Return the sums of the house accounts by code and reference's last part."""
    rows = await house.rows(
        "SELECT h.code || ':' || regexp_replace(h.reference, '^.*:', '') AS name,"
        " sum(CASE WHEN t.credit_id = h.house_id THEN t.amount_minor ELSE -t.amount_minor END)::bigint AS total"
        " FROM transfers t JOIN house_accounts h ON h.house_id IN (t.debit_id, t.credit_id) GROUP BY 1"
    )
    return {row["name"]: row["total"] for row in rows}
