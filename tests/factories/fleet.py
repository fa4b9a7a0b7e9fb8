"""A company with a fleet, on a small chain: an organisation, its one account with a pool, and cards as many as a test wants."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

from sqlalchemy import text

from loyalty.customers.model import CustomerKind
from loyalty.fleet.operations.bindings import bind_card
from loyalty.fleet.operations.companies import CompanySettings, make_company
from loyalty.fleet.operations.vehicles import VehicleFacts, add_vehicle
from loyalty.ledger.model import AccountKind
from loyalty.ledger.operations import open_account

from .world import SYSTEM, TestCard, World, give_card, load


@dataclass
class Fleet:
    """A company as a test holds it."""

    company_id: UUID
    account_id: UUID
    world: World
    name: str
    cards: list[TestCard] = field(default_factory=list)

    @property
    def chains(self) -> list[UUID]:
        """The chains of its cards; a first card's chain has its id."""
        return [card.card_id for card in self.cards]


async def make_fleet(
    session,
    world: World,
    *,
    name: str = "钱塘物流有限公司",
    pool_minor: int = 1_000_000,
    cards: int = 0,
    settings: CompanySettings | None = None,
) -> Fleet:
    """Make an organisation with an account, `pool_minor` in it, a fleet, and active company cards with PIN 1357."""
    now = world.now
    company_id = uuid4()
    await session.execute(
        text(
            "INSERT INTO customers (customer_id, kind, name, name_key, locale, country, status, created_at) "
            "VALUES (:id, :kind, :name, :key, 'zh_CN', 'CN', 'active', :now)"
        ),
        {"id": company_id, "kind": CustomerKind.ORGANISATION.value, "name": name, "key": name.lower(), "now": now},
    )
    account_id = await open_account(
        session,
        kind=AccountKind.COMPANY,
        currency=world.currency,
        customer_id=company_id,
        card_product_id=world.card_product_ids["company"],
        now=now,
    )
    if pool_minor:
        await load(session, world, account_id, pool_minor)
    await make_company(session, customer_id=company_id, account_id=account_id, settings=settings, actor=SYSTEM, now=now)
    fleet = Fleet(company_id, account_id, world, name)
    for _ in range(cards):
        await give_fleet_card(session, fleet)
    return fleet


async def give_fleet_card(session, fleet: Fleet, *, kind: str = "company") -> TestCard:
    """Give the company one more active card."""
    card = await give_card(session, fleet.world, kind=kind, account_id=fleet.account_id)
    await session.execute(
        text("UPDATE cards SET customer_id = :company WHERE card_id = :card"), {"company": fleet.company_id, "card": card.card_id}
    )
    fleet.cards.append(card)
    return card


async def give_vehicle(session, fleet: Fleet, *, now, **facts) -> UUID:
    """Give the company a truck (what `facts` say of it), and the truck the company's first card."""
    told = VehicleFacts(**{"plate": "浙A12345", "type": "truck", "tank_milli": 600_000, "product_code": "92"} | facts)
    made = await add_vehicle(session, company_id=fleet.company_id, facts=told, actor=SYSTEM, now=now)
    await bind_card(session, company_id=fleet.company_id, chain_id=fleet.chains[0], vehicle_id=made.vehicle_id, actor=SYSTEM, now=now)
    return made.vehicle_id
