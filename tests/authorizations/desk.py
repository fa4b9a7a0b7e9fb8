"""How the tests of the pump's other operations talk to them: each in a transaction of its own, as at the edge."""

import uuid

import msgspec
from sqlalchemy import text

from loyalty.authorizations.dedupe import once
from loyalty.authorizations.model import Operation
from loyalty.authorizations.operations.refunds import refund_sale
from loyalty.authorizations.operations.reversals import reverse
from loyalty.authorizations.wire import parse_reference
from loyalty.crypto import request_fingerprint
from loyalty.db import transaction
from loyalty.ledger.queries import purses_of
from loyalty.policy import load_policy

POLICY = load_policy("cn-single-purpose")


def said(answer: bytes) -> dict:
    return msgspec.json.decode(answer)


def place(bench, terminal: int = 0):
    return bench.snapshot.places[bench.world.terminal_ids[terminal]]


async def purses(bench, account_id) -> dict[int, tuple[int, int]]:
    """Return balance and hold by purse kind, the purses of a kind summed."""
    sums: dict[int, tuple[int, int]] = {}
    async with transaction(bench.sessions) as session:
        for purse in await purses_of(session, account_id=account_id):
            before = sums.get(purse.kind, (0, 0))
            sums[purse.kind] = (before[0] + purse.balance_minor, before[1] + purse.held_minor)
    return sums


async def rows(bench, sentence: str, **facts) -> list[dict]:
    async with transaction(bench.sessions) as session:
        return [dict(row) for row in (await session.execute(text(sentence), facts)).mappings()]


async def counters(bench, card) -> list[tuple[int, int, int]]:
    found = await rows(
        bench, "SELECT amount_minor, quantity_milli, count FROM limit_counters WHERE subject_id = :id ORDER BY start", id=card.card_id
    )
    return [(row["amount_minor"], row["quantity_milli"], row["count"]) for row in found]


async def reverse_key(bench, original_key: uuid.UUID, *, key: uuid.UUID | None = None, **fields) -> bytes:
    return await once(
        bench.sessions,
        terminal_id=place(bench).terminal_id,
        key=key or uuid.uuid4(),
        operation=Operation.REVERSE,
        fingerprint=request_fingerprint(original_key.bytes)[:16],
        perform=lambda session: reverse(
            session, place=place(bench), original_key=original_key, policy=POLICY, reason="no answer in time", now=bench.now(), **fields
        ),
        now=bench.now(),
    )


async def refund(bench, sale: str, **fields):
    both = parse_reference(sale)
    assert both is not None
    async with transaction(bench.sessions) as session:
        done = await refund_sale(
            session,
            **{
                "account_id": both[0],
                "sale_id": both[1],
                "place": place(bench),
                "policy": POLICY,
                "reason": "customer",
                "staff_id": None,
                "now": bench.now(),
            }
            | fields,
        )
    return done.answer


async def books_balance(bench) -> None:
    """Every purse equals its transfers, every hold an open authorisation's, and no refund passes its sale."""
    differing = await rows(
        bench,
        """
        SELECT p.purse_id, p.balance_minor FROM purses p
        LEFT JOIN transfers t ON t.account_id = p.account_id AND p.purse_id IN (t.debit_id, t.credit_id)
        GROUP BY p.account_id, p.purse_id, p.balance_minor
        HAVING p.balance_minor <> coalesce(sum(CASE WHEN t.credit_id = p.purse_id THEN t.amount_minor ELSE -t.amount_minor END), 0)
        """,
    )
    assert differing == []
    held = await rows(
        bench,
        """
        SELECT p.purse_id FROM purses p
        LEFT JOIN (
            SELECT a.account_id, h.purse, sum(h.held) AS held FROM authorizations a, unnest(a.hold_purses, a.hold_minors) h(purse, held)
            WHERE a.status IN (1, 2, 5, 9) GROUP BY 1, 2
        ) a ON a.account_id = p.account_id AND a.purse = p.purse_id
        WHERE p.held_minor <> coalesce(a.held, 0)
        """,
    )
    assert held == []
    refunds = await rows(
        bench,
        """
        SELECT s.sale_id FROM sales s LEFT JOIN (
            SELECT account_id, sale_id, sum(gross_minor) AS gross, sum(quantity_milli) AS quantity FROM refunds GROUP BY 1, 2
        ) r ON r.account_id = s.account_id AND r.sale_id = s.sale_id
        WHERE s.refunded_minor <> coalesce(r.gross, 0) OR coalesce(r.quantity, 0) > s.quantity_milli
        """,
    )
    assert refunds == []
