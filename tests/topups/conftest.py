"""A station, three members of staff, a person, a company and a bearer, each with an account and a card; keys of the run."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select

from loyalty.audit.model import Actor, ActorKind, AuditEntry
from loyalty.crypto import FileKeyProvider, Purpose, blind_index, open_keyring, seal_text, use_keyring
from loyalty.customers.model import Customer, CustomerIdentifier, CustomerKind, CustomerStatus, IdentifierType
from loyalty.customers.rules import name_key
from loyalty.identity.model import Staff, StaffStatus
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import AccountKind, HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import Leg
from loyalty.ledger.queries import purses_of
from loyalty.ledger.rules import allocate, spendable
from loyalty.policy import load_policy
from loyalty.topups import operations
from loyalty.topups.model import Party, Tender
from tests.factories.world import give_card, make_world


@pytest.fixture(scope="session")
def key_set(tmp_path_factory):
    provider = FileKeyProvider(tmp_path_factory.mktemp("secret") / "keys")
    return open_keyring(provider, expected_fingerprint=None, now=datetime(2026, 9, 24, tzinfo=UTC))


@pytest.fixture(autouse=True)
def keys(key_set):
    use_keyring(key_set)
    yield key_set
    use_keyring(None)


@pytest.fixture(scope="session")
def policy():
    return load_policy("cn-single-purpose")


@pytest.fixture(scope="session")
def generic():
    return load_policy("generic")


BANK = operations.BankTransfer(
    payer_name="上海运输有限公司",
    payer_bank="工商银行",
    payer_account="6222 0212 3456 7890",
    payee_name="东方石油",
    payee_bank="建设银行",
    payee_account="3100 1234 5678",
)
LI_MING = operations.Declared(
    party=Party.PERSON, name="李明", id_type=IdentifierType.RESIDENT_ID, id_number="34052419800101001x", contact="13800138000"
)
AUNT = operations.Declared(party=Party.PERSON, name="王芳", id_type=IdentifierType.PASSPORT, id_number="E12345678", contact="13900139000")
FIRM = operations.Declared(
    party=Party.ORGANISATION, name="上海运输有限公司", id_type=IdentifierType.USCC, id_number="9144030071526726XG", contact="02155550000"
)


async def hire(session, name, now) -> Actor:
    staff_id = uuid4()
    await session.execute(
        insert(Staff).values(
            staff_id=staff_id, employee_number=f"{name}-{staff_id}"[:20], name=name, status=StaffStatus.ACTIVE, locale="zh_CN", hired_at=now
        )
    )
    return Actor(ActorKind.STAFF, staff_id)


async def new_customer(session, now, *, name, kind=CustomerKind.PERSON, document=None, verified_by=None) -> UUID:
    customer_id = uuid4()
    await session.execute(
        insert(Customer).values(
            customer_id=customer_id,
            kind=kind,
            name=name,
            name_key=name_key(name),
            locale="zh_CN",
            country="CN",
            status=CustomerStatus.ACTIVE,
            created_at=now,
        )
    )
    if verified_by is not None:
        identifier_id = uuid4()
        number = document or str(identifier_id)
        await session.execute(
            insert(CustomerIdentifier).values(
                identifier_id=identifier_id,
                customer_id=customer_id,
                type=IdentifierType.PASSPORT if kind is CustomerKind.PERSON else IdentifierType.USCC,
                country="CN",
                value_sealed=seal_text(
                    Purpose.ID_DOCUMENT, table="customer_identifiers", column="value_sealed", row_id=identifier_id, plaintext=number
                ),
                value_index=blind_index(Purpose.INDEX_ID_DOCUMENT, number),
                tail=number[-4:],
                warnings=[],
                added_at=now,
                verified_at=now,
                verified_by=verified_by,
            )
        )
    return customer_id


class Shop:
    """What the tests stand on; its methods are what a counter does."""

    def __init__(self, session, now, policy) -> None:
        self.session = session
        self.now = now
        self.policy = policy

    async def furnish(self):
        self.world = await make_world(self.session, now=self.now)
        self.station_id = self.world.station_id
        self.cashier = await hire(self.session, "cashier", self.now)
        self.manager = await hire(self.session, "manager", self.now)
        self.finance = await hire(self.session, "finance", self.now)
        self.person_id = await new_customer(self.session, self.now, name="李明", verified_by=self.cashier.actor_id)
        self.stranger_id = await new_customer(self.session, self.now, name="陈强")
        self.company_id = await new_customer(
            self.session, self.now, name="上海运输有限公司", kind=CustomerKind.ORGANISATION, verified_by=self.cashier.actor_id
        )
        self.personal = await self.account(AccountKind.PERSONAL, self.person_id)
        self.anonymous = await self.account(AccountKind.ANONYMOUS, None)
        self.company = await self.account(AccountKind.COMPANY, self.company_id)
        return self

    async def account(self, kind, customer_id, currency="CNY") -> UUID:
        return await ledger.open_account(
            self.session, kind=kind, currency=currency, customer_id=customer_id, card_product_id=None, now=self.now
        )

    async def card(self, account_id, kind="personal"):
        return await give_card(self.session, self.world, kind=kind, account_id=account_id)

    async def load(self, account_id, amount_minor, tender=Tender.CASH, **facts):
        facts = {
            "policy": self.policy,
            "actor": self.cashier,
            "event_at": facts.get("now", self.now),
            "now": self.now,
            "station_id": self.station_id,
        } | facts
        return await operations.load(self.session, account_id=account_id, amount_minor=amount_minor, tender=tender, **facts)

    async def spend(self, account_id, amount_minor, *, now) -> UUID:
        """Buy fuel: the purses in spend order, as a sale takes them."""
        purses = spendable(await purses_of(self.session, account_id=account_id), card_id=None, unit="CNY", now=now)
        sales = await ledger.ensure_house(self.session, code=HouseCode.SALES, currency="CNY", reference="S1", now=now)
        operation_id = uuid4()
        legs = [Leg(take.purse_id, sales, take.amount_minor, TransferKind.SALE, "CNY") for take in allocate(purses, amount_minor)]
        assert sum(leg.amount_minor for leg in legs) == amount_minor
        await ledger.post(self.session, account_id=account_id, legs=legs, operation_id=operation_id, event_at=now, now=now)
        return operation_id

    async def owe(self, account_id, amount_minor, *, now) -> None:
        """Take more fuel than there was money for."""
        receivable = await ledger.ensure_purse(self.session, account_id=account_id, kind=PurseKind.RECEIVABLE, unit="CNY", now=now)
        sales = await ledger.ensure_house(self.session, code=HouseCode.SALES, currency="CNY", reference="S1", now=now)
        leg = Leg(receivable, sales, amount_minor, TransferKind.SALE, "CNY")
        await ledger.post(self.session, account_id=account_id, legs=[leg], operation_id=uuid4(), event_at=now, now=now)

    async def balances(self, account_id) -> dict[str, int]:
        sums: dict[str, int] = {}
        for purse in await purses_of(self.session, account_id=account_id):
            kind = PurseKind(purse.kind).name.lower()
            sums[kind] = sums.get(kind, 0) + purse.balance_minor
        return sums

    async def audited(self, action) -> int:
        return await self.session.scalar(select(func.count()).select_from(AuditEntry).where(AuditEntry.action == action))


@pytest.fixture
async def shop(session, now, policy):
    return await Shop(session, now, policy).furnish()
