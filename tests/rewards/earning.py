"""Sales that granted something, written as the pump writes them, under a rulebook that was really published."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.model import Refund, Sale
from loyalty.customers.model import Customer, CustomerKind, CustomerStatus
from loyalty.ids import uuid7
from loyalty.pricing.document import Bonus, Document, Funder, Give, Points, PointsTimes, Rounding, Rule
from loyalty.pricing.operations.publishing import publish
from tests.factories.world import World

ZONE = "Asia/Shanghai"
HEAD = (Funder(funder="head-office"),)
SHARED = (Funder(funder="head-office", parts=2), Funder(funder="station"), Funder(funder="oil-co", parts=2))


def rule(code: str, effect, funders=HEAD, **more) -> Rule:
    return Rule(code=code, name_zh=code, name_en=code, effect=effect, funders=funders, **more)


RULES = (
    rule("litre", Points(points=1, per_quantity_milli=1000, expires_months=24), SHARED),
    rule("slow", Points(points=1, per_minor=100, pending_days=7, expires_months=12, rounding=Rounding.YEAR)),
    rule("rolling", Points(points=5, expires_months=1, rounding=Rounding.DAY)),
    rule("for-ever", Points(points=5)),
    rule("double", PointsTimes(basis_points=20_000), priority=200),
    rule("back", Bonus(amount_minor=500, expires_days=30), SHARED),
    rule("cup", Give(what="gift", item="cup")),
)


async def publish_rules(session: AsyncSession, *, now: datetime, rules=RULES) -> int:
    return await publish(session, document=Document(rules=tuple(rules)), note="tests", now=now - timedelta(days=1))


def benefit(book: int, code: str, kind: str, given: int, *, funders=(("head-office", 1),), **more) -> dict[str, object]:
    named = {"name_zh": code, "name_en": code}
    return {"rule": code, "revision": book, "kind": kind, "base_minor": 0, "wanted": given, "given": given} | {
        "funders": [list(one) for one in funders],
        **named,
        **more,
    }


async def sold(
    session: AsyncSession,
    world: World,
    account_id: UUID,
    book: int,
    benefits,
    *,
    at: datetime,
    amount_minor: int = 10_000,
    litres_milli: int = 30_000,
    event_at: datetime | None = None,
    card_id: UUID | None = None,
    product: str | None = "92",
) -> UUID:
    """Write a sale that granted `benefits`."""
    sale_id = uuid7(at)
    await session.execute(
        insert(Sale).values(
            account_id=account_id,
            sale_id=sale_id,
            card_id=card_id,
            terminal_id=world.terminal_ids[0],
            station_id=world.station_id,
            flow=1,
            product_id=None if product is None else world.product_ids[product],
            quantity_milli=litres_milli,
            unit_price_e4=78_900,
            gross_minor=amount_minor,
            discount_minor=0,
            card_minor=amount_minor,
            currency="CNY",
            detail={"book": book, "benefits": list(benefits)} if benefits else None,
            flags=0,
            status=1,
            refunded_minor=0,
            event_at=event_at or at,
            booked_at=at,
            business_day=date(2026, 9, 24),
            period=202609,
        )
    )
    return sale_id


async def refunded(session: AsyncSession, world: World, account_id: UUID, sale_id: UUID, benefits, *, at: datetime) -> UUID:
    """Write a refund that takes `[[rule, kind, amount], …]` back."""
    refund_id = uuid7(at)
    await session.execute(
        insert(Refund).values(
            account_id=account_id,
            refund_id=refund_id,
            sale_id=sale_id,
            void=False,
            gross_minor=1_000,
            discount_minor=0,
            card_minor=1_000,
            quantity_milli=0,
            benefits=[list(one) for one in benefits],
            reason="tests",
            terminal_id=world.terminal_ids[0],
            station_id=world.station_id,
            event_at=at,
            booked_at=at,
            business_day=date(2026, 9, 24),
        )
    )
    return refund_id


async def new_customer(
    session: AsyncSession, now: datetime, name: str, *, merged_into: UUID | None = None, kind=CustomerKind.PERSON
) -> UUID:
    customer_id = uuid7(now)
    await session.execute(
        insert(Customer).values(
            customer_id=customer_id,
            kind=kind,
            name=name,
            name_key=name,
            locale="zh_CN",
            country="CN",
            status=CustomerStatus.ACTIVE if merged_into is None else CustomerStatus.MERGED,
            merged_into=merged_into,
            created_at=now,
        )
    )
    return customer_id
