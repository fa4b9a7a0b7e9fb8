"""The real thing under simulation: a cloned database, two lanes, the cold operations, each in a transaction of its own as at the edge."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.dedupe import Outcome, once
from loyalty.authorizations.hot import HotRequest
from loyalty.authorizations.model import Operation
from loyalty.authorizations.operations.holds import expire_holds, report_nozzle_not_lifted
from loyalty.authorizations.operations.refunds import refund_sale
from loyalty.authorizations.operations.reversals import reverse
from loyalty.authorizations.rules import Presented
from loyalty.authorizations.wire import (
    AuthorizationRequest,
    CompletionRequest,
    Credential,
    FuelLine,
    SaleRequest,
    ShopLine,
    Tender,
    parse_reference,
)
from loyalty.authorizations.worker import Pump
from loyalty.checks.model import Scope
from loyalty.checks.running import examine_database
from loyalty.crypto import request_fingerprint
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.identity.model import Staff, StaffStatus
from loyalty.limits.model import LimitKind, Window
from loyalty.limits.operations import NewLimit, replace_limits
from loyalty.policy import load_policy
from loyalty.topups.operations import load as load_account
from tests.factories.rules import litre_off
from tests.factories.world import PIN, TestCard, World, give_card, make_world

GENERIC = load_policy("generic")
RATE_E4 = 2_000
DAY_AMOUNT, DAY_COUNT, FILL_MILLI = 60_000, 4, 50_000
BALANCES = {"personal": 100_000, "limited": 300_000, "anonymous": 40_000, "company": 90_000}


class Population:
    """What every example starts with: ids only, so that clones share it."""

    def __init__(self, world: World, cards: dict[str, TestCard], staff: Actor) -> None:
        self.world = world
        self.cards = cards
        self.staff = staff


async def populate(url: str, now: datetime) -> Population:
    """Make the chain, four accounts with five cards, a discount term, one card's limits; nobody stays connected."""
    engine = make_engine(url, role="loyalty_hot")
    staff_id = uuid.uuid4()
    async with transaction(make_sessions(engine)) as session:
        world = await make_world(session, now=now)
        session.add(Staff(staff_id=staff_id, employee_number="1", name="班长", status=StaffStatus.ACTIVE, locale="zh_CN", hired_at=now))
        await session.flush()
        staff = Actor(ActorKind.STAFF, staff_id)
        cards = {}
        for name, balance in BALANCES.items():
            kind = "personal" if name == "limited" else name
            cards[name] = await give_card(session, world, kind=kind, balance_minor=balance)
        cards["second"] = await give_card(session, world, kind="company", account_id=cards["company"].account_id)
        await litre_off(session, rate_e4=RATE_E4, now=now - timedelta(days=1))
        limits = [
            NewLimit(kind=LimitKind.AMOUNT, window=Window.DAY, value=DAY_AMOUNT),
            NewLimit(kind=LimitKind.COUNT, window=Window.DAY, value=DAY_COUNT),
            NewLimit(kind=LimitKind.QUANTITY, window=Window.TRANSACTION, value=FILL_MILLI),
        ]
        await replace_limits(session, subject_id=cards["limited"].card_id, limits=limits, actor=staff, now=now)
    await engine.dispose()
    return Population(world, cards, staff)


class House(Pump):
    """One running service on one database."""

    def __init__(self, url: str, people: Population) -> None:
        self.engine = make_engine(url, role="loyalty_hot", pool_size=3, max_overflow=60)
        super().__init__(url, make_sessions(self.engine))
        self.url = url
        self.people = people
        self.world = people.world
        self.time = people.world.now
        self.reader: asyncpg.Connection | None = None

    def now(self) -> datetime:
        return self.time

    async def start(self) -> None:
        await super().start()
        self.reader = await asyncpg.connect(self.url)

    async def stop(self) -> None:
        await super().stop()
        assert self.reader is not None
        await self.reader.close()
        await self.engine.dispose()

    # Hot

    async def _submit(self, operation: Operation, body: Any, key: uuid.UUID, terminal: int, **where: Any) -> bytes:
        request = HotRequest(
            operation,
            body,
            place=self.snapshot.places[self.world.terminal_ids[terminal]],
            key=key,
            fingerprint=request_fingerprint(repr(body).encode())[:16],
            **where,
        )
        return await (self.completions if operation is Operation.COMPLETE else self.cards).submit(request)

    def authorise(self, card: TestCard, *, key: uuid.UUID, pin: str = PIN, terminal: int = 0, **wanted: Any) -> Awaitable[bytes]:
        body = AuthorizationRequest(card=Credential(number=card.number, pin="sealed"), product="92", **wanted)
        return self._submit(Operation.AUTHORISE, body, key, terminal, number_index=card.index, presented=Presented(pin=pin))

    def sell(
        self,
        card: TestCard,
        *,
        key: uuid.UUID,
        milli: int,
        price: int,
        amount: int,
        shop: int = 0,
        tenders: tuple[tuple[str, int], ...] = (),
        pin: str = PIN,
    ) -> Awaitable[bytes]:
        body = SaleRequest(
            card=Credential(number=card.number, pin="sealed"),
            fuel=FuelLine(product="92", quantity_milli=milli, unit_price_e4=price, amount_minor=amount, nozzle=3),
            shop=[ShopLine(product="wash", amount_minor=shop)] if shop else [],
            tenders=[Tender(tender=name, amount_minor=amount) for name, amount in tenders],
        )
        return self._submit(Operation.SALE, body, key, 0, number_index=card.index, presented=Presented(pin=pin))

    def complete(self, authorization: str, *, key: uuid.UUID, milli: int, price: int, amount: int, final: bool = True) -> Awaitable[bytes]:
        both = parse_reference(authorization)
        assert both is not None
        body = CompletionRequest(quantity_milli=milli, unit_price_e4=price, amount_minor=amount, final=final)
        return self._submit(Operation.COMPLETE, body, key, 0, account_id=both[0], authorization_id=both[1])

    # Cold

    async def perform(self, work: Callable[..., Awaitable[Any]]) -> Any:
        async with transaction(self.sessions) as session:
            return await work(session)

    async def once(self, operation: Operation, key: uuid.UUID, content: bytes, perform: Callable[..., Awaitable[Outcome]]) -> bytes:
        return await once(
            self.sessions,
            terminal_id=self.world.terminal_ids[0],
            key=key,
            operation=operation,
            fingerprint=request_fingerprint(content)[:16],
            perform=perform,
            now=self.now(),
        )

    async def reverse(self, original: uuid.UUID, *, key: uuid.UUID) -> bytes:
        place = self.snapshot.places[self.world.terminal_ids[0]]

        async def perform(session):
            staff_id = self.people.staff.staff_id
            return await reverse(
                session, place=place, original_key=original, policy=GENERIC, reason="no answer", staff_id=staff_id, now=self.now()
            )

        return await self.once(Operation.REVERSE, key, original.bytes, perform)

    async def refund(self, sale: str, *, key: uuid.UUID, gross: int | None) -> bytes:
        both = parse_reference(sale)
        assert both is not None
        place = self.snapshot.places[self.world.terminal_ids[0]]

        async def perform(session):
            done = await refund_sale(
                session,
                account_id=both[0],
                sale_id=both[1],
                place=place,
                policy=GENERIC,
                reason="customer",
                staff_id=None,
                gross_minor=gross,
                now=self.now(),
            )
            return Outcome.of(done.account_id, done.refund_id, done.answer)

        return await self.once(Operation.REFUND, key, f"{sale}:{gross}".encode(), perform)

    async def nozzle(self, authorization: str, *, key: uuid.UUID) -> bytes:
        both = parse_reference(authorization)
        assert both is not None
        place = self.snapshot.places[self.world.terminal_ids[0]]
        return await self.once(
            Operation.NOZZLE,
            key,
            authorization.encode(),
            lambda session: report_nozzle_not_lifted(session, account_id=both[0], authorization_id=both[1], place=place, now=self.now()),
        )

    async def expire(self) -> int:
        return await self.perform(lambda session: expire_holds(session, now=self.now()))

    async def top_up(self, card: TestCard, *, key: uuid.UUID, tender: Any, amount: int, bonus: Any = None) -> bytes:
        async def perform(session):
            made = await load_account(
                session,
                policy=GENERIC,
                account_id=card.account_id,
                amount_minor=amount,
                tender=tender,
                bonus=bonus,
                station_id=self.world.station_id,
                terminal_id=self.world.terminal_ids[0],
                actor=self.people.staff,
                event_at=self.now(),
                now=self.now(),
            )
            return Outcome(
                made.account_id, made.topup_id, msgspec.json.encode({"topup_id": made.topup_id, "settled_minor": made.settled_minor})
            )

        return await self.once(Operation.TOPUP, key, f"{card.number}:{amount}:{bonus}".encode(), perform)

    # Looking

    async def rows(self, sentence: str, *facts: Any) -> list[dict]:
        assert self.reader is not None
        return [dict(row) for row in await self.reader.fetch(sentence, *facts)]


async def race(*work: Awaitable[Any]) -> list[Any]:
    """Do all at once; what was refused comes back as its exception."""
    return await asyncio.gather(*work, return_exceptions=True)


UNBALANCED = """
SELECT 'purse' AS what, p.purse_id AS id FROM purses p LEFT JOIN (
    SELECT account_id, purse, sum(amount) AS moved FROM (
        SELECT account_id, credit_id AS purse, amount_minor AS amount FROM transfers
        UNION ALL SELECT account_id, debit_id, -amount_minor FROM transfers
    ) legs GROUP BY 1, 2
) t ON t.account_id = p.account_id AND t.purse = p.purse_id
WHERE p.balance_minor <> coalesce(t.moved, 0)
UNION ALL
SELECT 'hold', p.purse_id FROM purses p LEFT JOIN (
    SELECT account_id, purse, sum(held) AS held FROM (
        SELECT a.account_id, h.purse, h.held FROM authorizations a, unnest(a.hold_purses, a.hold_minors) h(purse, held)
        WHERE a.status IN (1, 2, 5, 9)
        UNION ALL
        SELECT f.account_id, (h->>0)::uuid, (h->>1)::bigint FROM freezes f, jsonb_array_elements(f.holds) h WHERE f.status = 'active'
    ) x GROUP BY 1, 2
) h ON h.account_id = p.account_id AND h.purse = p.purse_id
WHERE p.held_minor <> coalesce(h.held, 0)
UNION ALL
SELECT 'funds', purse_id FROM purses
WHERE CASE WHEN kind = 4 THEN balance_minor > 0 ELSE held_minor < 0 OR held_minor > balance_minor + credit_limit_minor END
UNION ALL
SELECT 'house', x.id FROM (SELECT debit_id AS id FROM transfers UNION SELECT credit_id FROM transfers) x
WHERE NOT EXISTS (SELECT FROM house_accounts h WHERE h.house_id = x.id) AND NOT EXISTS (SELECT FROM purses p WHERE p.purse_id = x.id)
UNION ALL
SELECT 'refund', s.sale_id FROM sales s LEFT JOIN (
    SELECT account_id, sale_id, sum(gross_minor) AS gross, sum(quantity_milli) AS milli FROM refunds GROUP BY 1, 2
) r USING (account_id, sale_id)
WHERE s.refunded_minor <> coalesce(r.gross, 0) OR coalesce(r.milli, 0) > s.quantity_milli
UNION ALL
SELECT 'effect', r.subject_id FROM requests r WHERE r.operation IN (2, 3) AND r.answer LIKE convert_to('%"sale":%', 'UTF8')
    AND NOT EXISTS (SELECT FROM sales s WHERE s.account_id = r.account_id AND s.sale_id = r.subject_id)
UNION ALL
SELECT 'unanswered', s.sale_id FROM sales s
WHERE NOT EXISTS (SELECT FROM requests r WHERE r.account_id = s.account_id AND r.subject_id = s.sale_id)
UNION ALL
SELECT 'twice', subject_id FROM requests WHERE operation IN (1, 2, 3, 6) GROUP BY subject_id HAVING count(*) > 1
UNION ALL
SELECT 'dispense', a.authorization_id FROM authorizations a JOIN unresolved_dispenses u USING (account_id, authorization_id)
WHERE u.resolved_at IS NULL AND a.status IN (3, 4, 6, 7, 8)
"""
"""Every row that breaks an invariant of the ledger, and which: a query of the tests' own, beside `loyalty check`."""


async def broken(house: House) -> list[tuple[str, uuid.UUID]]:
    return [(row["what"], row["id"]) for row in await house.rows(UNBALANCED)]


async def breaches(url: str, now: datetime) -> list[tuple[str, Any]]:
    """What `loyalty check` finds, all of its checks."""
    found = [result async for result in examine_database(url, Scope(now=now))]
    assert len(found) > 20
    return [(result.check.code, result.found.rows) for result in found if result.breaks]
