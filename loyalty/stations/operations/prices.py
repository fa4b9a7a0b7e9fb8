"""Publishing prices. They are ingested, never computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.operations import Actor, record
from loyalty.errors import NotFound, Refusal
from loyalty.ids import uuid7
from loyalty.revisions import Kind, bump, hold
from loyalty.stations.model import Product, Station, StationPrice
from loyalty.stations.rules import PUBLICATION_LEAD, KnownStation, NewPrice, PriceNote, PriceRow, Standing, judge_prices


class PriceNotFound(NotFound):
    """Unknown, or another tenant's."""


class PriceAlreadyInForce(Refusal):
    """Sales may have been made at it."""

    zh = "该价格已生效或即将生效，不能撤回。"
    en = "This price is in force, or about to be: it cannot be withdrawn."
    next_zh = "请发布一个新的价格。"
    next_en = "Publish a new price instead."


class PriceWithdrawn(Refusal):
    """It was withdrawn before."""

    zh = "该价格已撤回。"
    en = "This price was withdrawn before."
    next_zh = "请刷新价格表。"
    next_en = "Reload the price list."


@dataclass(frozen=True, slots=True)
class PriceImport:
    """What became of a price list: lines published, lines that stood already, and remarks by line."""

    published: int
    unchanged: int
    problems: list[PriceNote]
    warnings: list[PriceNote]


async def publish_prices(
    session: AsyncSession,
    *,
    rows: Sequence[PriceRow],
    actor: Actor,
    now: datetime,
    lead: timedelta = PUBLICATION_LEAD,
    jump_percent_max: int = 30,
    historical: bool = False,
    skip_problems: bool = False,
) -> PriceImport:
    """Publish a price list; the same list again changes nothing.

    One faulty line keeps the whole list back unless `skip_problems`: half a price change is worse than a late one. A product's first
    price at a station may start at any time; later ones at least `lead` ahead, except with `historical`, for prices taken over from
    another system. A price that differs by more than `jump_percent_max` from the one before it is published with a warning.
    """
    await hold(session, Kind.PRICE)
    stations = await _stations(session, {row.station_code for row in rows})
    products = await _products(session, {row.product_code for row in rows})
    standing = await _standing(session, {station.station_id for station in stations.values()}, set(products.values()))
    verdict = judge_prices(
        rows,
        stations=stations,
        products=products,
        standing=standing,
        earliest=None if historical else now + lead,
        jump_percent_max=jump_percent_max,
    )
    if not verdict.publish or (verdict.problems and not skip_problems):
        return PriceImport(0, verdict.unchanged, verdict.problems, verdict.warnings)
    await session.execute(insert(StationPrice), [_row(price, actor, now) for price in verdict.publish])
    await bump(session, Kind.PRICE)
    await record(
        session,
        actor=actor,
        action="stations.prices_published",
        subject=("prices", f"{len(verdict.publish)} rows"),
        facts={
            "published": len(verdict.publish),
            "unchanged": verdict.unchanged,
            "stations": len({price.station_id for price in verdict.publish}),
            "first_effect": min(price.effective_from for price in verdict.publish),
            "warned_lines": [note.line for note in verdict.warnings[:50]],
        },
        now=now,
    )
    return PriceImport(len(verdict.publish), verdict.unchanged, verdict.problems, verdict.warnings)


async def withdraw_price(session: AsyncSession, *, price_id: UUID, actor: Actor, now: datetime, lead: timedelta = PUBLICATION_LEAD) -> None:
    """Take back a price that was published by mistake, while it is still `lead` ahead.

    :raises PriceNotFound: if there is no such price
    :raises PriceWithdrawn: if it was withdrawn before
    :raises PriceAlreadyInForce: if it has, or is about to have, effect
    """
    await hold(session, Kind.PRICE)
    price = await session.get(StationPrice, price_id, with_for_update=True)
    if price is None:
        raise PriceNotFound
    if price.withdrawn_at is not None:
        raise PriceWithdrawn
    if price.effective_from < now + lead:
        raise PriceAlreadyInForce
    price.withdrawn_at, price.withdrawn_by = now, actor.staff_id
    await bump(session, Kind.PRICE)
    await record(
        session,
        actor=actor,
        action="stations.price_withdrawn",
        subject=("price", price_id),
        station_id=price.station_id,
        facts={"unit_price_e4": price.unit_price_e4, "effective_from": price.effective_from},
        now=now,
    )


def _row(price: NewPrice, actor: Actor, now: datetime) -> dict[str, object]:
    return {
        "price_id": uuid7(now),
        "station_id": price.station_id,
        "product_id": price.product_id,
        "unit_price_e4": price.unit_price_e4,
        "currency": price.currency,
        "effective_from": price.effective_from,
        "published_at": now,
        "published_by": actor.staff_id,
    }


async def _stations(session: AsyncSession, codes: set[str]) -> dict[str, KnownStation]:
    found = await session.execute(select(Station.code, Station.station_id, Station.currency).where(Station.code.in_(list(codes))))
    return {code: KnownStation(station_id, currency) for code, station_id, currency in found}


async def _products(session: AsyncSession, codes: set[str]) -> dict[str, UUID]:
    found = await session.execute(select(Product.code, Product.product_id).where(Product.code.in_(list(codes))))
    return {code: product_id for code, product_id in found}  # noqa: C416 - a Row is no pair for the type checker


async def _standing(session: AsyncSession, stations: set[UUID], products: set[UUID]) -> Standing:
    found = await session.execute(
        select(StationPrice.station_id, StationPrice.product_id, StationPrice.effective_from, StationPrice.unit_price_e4).where(
            StationPrice.station_id.in_(list(stations)), StationPrice.product_id.in_(list(products)), StationPrice.withdrawn_at.is_(None)
        )
    )
    standing: dict[tuple[UUID, UUID], dict[datetime, int]] = {}
    for station_id, product_id, effective_from, unit_price_e4 in found:
        standing.setdefault((station_id, product_id), {})[effective_from] = unit_price_e4
    return standing
