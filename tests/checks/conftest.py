"""Books with something of everything in them, made once by the real operations; each test breaks a row and has it undone."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.audit.operations import seal
from loyalty.authorizations.hot import HotRequest
from loyalty.authorizations.model import Operation
from loyalty.authorizations.operations.holds import expire_holds
from loyalty.authorizations.operations.refunds import refund_sale
from loyalty.authorizations.rules import Presented
from loyalty.authorizations.wire import AuthorizationRequest, CompletionRequest, Credential, FuelLine, SaleRequest, Tender, parse_reference
from loyalty.authorizations.worker import Pump
from loyalty.crypto import FileKeyProvider, Keyring, Purpose, open_keyring, public_keys, request_fingerprint, use_keyring
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.limits.operations import set_chain
from loyalty.policy import load_policy
from loyalty.pricing.document import Budget, Cap, Document, Fixed, Funder, Per, Rule
from loyalty.pricing.operations import publish
from loyalty.topups import operations as topups
from loyalty.topups.model import Tender as TopupTender
from tests.factories.fleet import make_fleet
from tests.factories.world import PIN, give_card, make_world

NOW = datetime(2026, 9, 24, 2, 15, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)


@pytest.fixture(scope="session")
def key_set(tmp_path_factory) -> Keyring:
    return open_keyring(FileKeyProvider(tmp_path_factory.mktemp("secret") / "keys"), expected_fingerprint=None, now=NOW)


@pytest.fixture(autouse=True)
def keys(key_set):
    use_keyring(key_set)
    yield key_set
    use_keyring(None)


class Books(Pump):
    """A database of its own, its world, and the rows that tests break."""

    def __init__(self, url: str, sessions) -> None:
        super().__init__(url, sessions)
        self.url = url
        self.at = YESTERDAY
        self.sequence = 0

    def now(self) -> datetime:
        return self.at

    def request(self, operation, body, card=None, **more) -> HotRequest:
        self.sequence += 1
        presented = {} if card is None else {"number_index": card.index, "presented": Presented(pin=PIN)}
        return HotRequest(
            operation,
            body,
            place=self.place,
            key=uuid.uuid4(),
            fingerprint=request_fingerprint(repr(body).encode())[:16],
            epoch=1,
            sequence=self.sequence,
            **presented,
            **more,
        )

    @property
    def place(self):
        return self.snapshot.places[self.world.terminal_ids[0]]

    async def sell(self, card, amount_minor, **fields):
        fuel = FuelLine(product="92", quantity_milli=amount_minor * 100_000 // 78_900, unit_price_e4=78_900, amount_minor=amount_minor)
        body = SaleRequest(card=Credential(number=card.number, pin="sealed"), fuel=fuel, **fields)
        return _said(await self.cards.submit(self.request(Operation.SALE, body, card)))

    async def authorise(self, card, amount_minor, pin=PIN):
        body = AuthorizationRequest(card=Credential(number=card.number, pin="sealed"), product="92", amount_minor=amount_minor)
        request = self.request(Operation.AUTHORISE, body, card)
        request.presented = Presented(pin=pin)
        return _said(await self.cards.submit(request))

    async def complete(self, authorization, amount_minor, *, final=True):
        body = CompletionRequest(
            quantity_milli=amount_minor * 100_000 // 78_900, unit_price_e4=78_900, amount_minor=amount_minor, final=final
        )
        account_id, authorization_id = parse_reference(authorization)
        request = self.request(Operation.COMPLETE, body, account_id=account_id, authorization_id=authorization_id)
        return _said(await self.completions.submit(request))


def _said(answer: bytes) -> dict:
    import msgspec

    return msgspec.json.decode(answer)


async def _keep(books: Books) -> None:
    """Two days at the counter: loads, sales, holds in every state, refunds, a void, a declined PIN, a day close, a sealed trail."""
    policy = load_policy("generic")
    cashier = Actor(ActorKind.SYSTEM, "tests")
    async with transaction(books.sessions) as session:
        books.world = await make_world(session, now=YESTERDAY)
        rule = Rule(
            code="fen",
            name_zh="一分",
            name_en="A fen",
            effect=Fixed(amount_minor=1),
            funders=(Funder(funder="head-office"),),
            caps=(Cap(per=Per.DAY, count=100),),
            budget="fen",
        )
        budget = Budget(code="fen", name_zh="一分", name_en="Fen", total=1_000)
        await publish(session, document=Document(rules=(rule,), budgets=(budget,)), note="test", now=YESTERDAY)
        books.card = await give_card(session, books.world, balance_minor=0)
        books.other = await give_card(session, books.world, balance_minor=0)
        fleet = await make_fleet(session, books.world, pool_minor=0, cards=1)
        books.pool = fleet.cards[0]
        await set_chain(
            session,
            chain_id=books.pool.card_id,
            account_id=fleet.account_id,
            company_id=fleet.company_id,
            actor=cashier,
            now=YESTERDAY,
        )
        for card, amount in ((books.card, 200_000), (books.other, 100_000), (books.pool, 300_000)):
            books.topup = await topups.load(
                session,
                policy=policy,
                account_id=card.account_id,
                amount_minor=amount,
                tender=TopupTender.CASH,
                actor=cashier,
                event_at=YESTERDAY,
                now=YESTERDAY,
                station_id=books.world.station_id,
                bonus=topups.Bonus(5_000, YESTERDAY + timedelta(days=90), "campaign") if card is books.card else None,
            )
    await books.reload()
    await books.cards.start()
    await books.completions.start()
    books.sale = parse_reference((await books.sell(books.card, 20_000))["sale"])
    mixed = parse_reference((await books.sell(books.other, 30_000, tenders=[Tender(tender="wechat", amount_minor=10_000)]))["sale"])
    void = parse_reference((await books.sell(books.other, 5_000))["sale"])
    await books.authorise(books.other, 1_000, pin="9999")
    part = await books.authorise(books.pool, 50_000)
    await books.complete(part["authorization"], 20_000, final=False)
    unresolved = await books.authorise(books.pool, 30_000)
    over = await books.authorise(books.other, 10_000)
    await books.complete(over["authorization"], 90_000)
    empty = await books.authorise(books.card, 10_000)
    await books.complete(empty["authorization"], 0)
    books.unresolved = parse_reference(unresolved["authorization"])
    books.at = NOW
    async with transaction(books.sessions) as session:
        await expire_holds(session, now=NOW)
        at = {"place": books.place, "policy": policy, "staff_id": None, "now": NOW}
        await refund_sale(session, account_id=mixed[0], sale_id=mixed[1], gross_minor=7_777, reason="part", void=False, **at)
        await refund_sale(session, account_id=void[0], sale_id=void[1], reason="wrong nozzle", **at)
    books.open = parse_reference((await books.authorise(books.card, 40_000))["authorization"])
    await books.sell(books.card, 1_234)
    await books.cards.stop()
    await books.completions.stop()
    async with transaction(books.sessions) as session:
        while await seal(session, now=NOW):
            pass


@pytest.fixture(scope="session")
async def books(databases, key_set) -> AsyncIterator[Books]:
    url = await databases.clone()
    engine = make_engine(url, role="loyalty_hot")
    use_keyring(key_set)
    made = Books(url, make_sessions(engine))
    try:
        await _keep(made)
    except BaseException:
        # Lanes that nobody stops would keep the loop from closing.
        for lane in (made.cards, made.completions):
            for task in (lane._task, lane._watch):
                if task is not None:
                    task.cancel()
        raise
    made.issuer_keys = public_keys(Purpose.AUDIT)
    use_keyring(None)
    yield made
    await engine.dispose()
    await databases.drop(url)


@pytest.fixture(scope="session")
async def owner(books):
    """Yield an engine of the owner: who may do what no part of the product may."""
    engine = make_engine(books.url, transaction_seconds=0)
    yield engine
    await engine.dispose()


@pytest.fixture
async def breaking(owner) -> AsyncIterator[AsyncSession]:
    """Yield a session of the owner whose damage is undone."""
    async with owner.connect() as connection:
        done = await connection.begin()
        async with AsyncSession(connection, expire_on_commit=False) as session:
            yield session
        await done.rollback()
