"""The demo's company agreements: two that the week is sold under, one with a surcharge at the port; one that waits for approval."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.customers.model import CustomerKind
from loyalty.customers.queries import CustomerFilter, list_customers
from loyalty.pricing.agreements import Kind, Line
from loyalty.pricing.operations.agreements import NewAgreement, approve_agreement, draft_agreement

from .chain import Chain
from .holders import ORGANISATIONS


async def agree(session: AsyncSession, chain: Chain, *, now: datetime) -> None:
    """Let head office and two companies agree on prices before the first fill, and a third be drafted today."""
    found = {one.name: one.customer_id for one in (await list_customers(session, by=CustomerFilter(kind=CustomerKind.ORGANISATION))).rows}
    maker, checker = chain.person("office"), chain.person("finance2")
    port = chain.stations["NB03"]
    lines = (
        (Line(kind=Kind.DISCOUNT, value_e4=3_500, product="0"), Line(kind=Kind.DISCOUNT, value_e4=2_000)),
        (Line(kind=Kind.DISCOUNT, value_e4=2_500), Line(kind=Kind.SURCHARGE, value_e4=1_000, station=port)),
        (Line(kind=Kind.PRICE, value_e4=73_500, product="0"), Line(kind=Kind.PRICE, value_e4=76_500, product="92")),
    )
    for place, ((name_zh, name_en, *_), agreed) in enumerate(zip(ORGANISATIONS, lines, strict=False)):
        is_draft = place == len(lines) - 1
        wanted = NewAgreement(
            code=f"company-{place + 1}",
            customer_id=found[name_zh],
            name_zh=f"{name_zh}协议价",
            name_en=f"{name_en}: agreed prices",
            currency="CNY",
            lowest_wins=place == 0,
            funder="head-office",
            lines=agreed,
            starts_at=now + timedelta(days=7) if is_draft else chain.began,
            ends_at=None if is_draft else now + timedelta(days=300),
        )
        made_at = now - timedelta(hours=2) if is_draft else chain.began
        made = await draft_agreement(session, agreement=wanted, after=0, actor=maker, now=made_at)
        if not is_draft:
            await approve_agreement(session, agreement_id=made, actor=checker, now=made_at)
