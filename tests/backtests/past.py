"""Sales that lie in the past, written as the pump leaves them, and a backtest over them."""

import time
from datetime import timedelta
from uuid import UUID

import msgspec
from sqlalchemy import text

from loyalty.audit.model import Actor, ActorKind
from loyalty.backtests.operations import backtests
from loyalty.backtests.operations.running import Edge, run
from loyalty.backtests.queries.backtests import get_backtest
from loyalty.db import Sessions, transaction
from loyalty.ids import uuid7
from loyalty.ledger.operations import open_account
from loyalty.money import line_amount
from loyalty.pricing.document import Document, Funder, Rule
from loyalty.pricing.operations import drafts
from tests.factories.world import World

BY_COMMAND = Actor(ActorKind.SYSTEM, "tests")
PRICE = 80_000
HEAD = (Funder(funder="head-office"),)


def rule(code, effect, **more) -> Rule:
    return Rule(code=code, name_zh=code, name_en=code, effect=effect, **({"funders": HEAD} | more))


class Past:
    """A chain and its sales."""

    def __init__(self, url: str, sessions: Sessions, world: World) -> None:
        self.url = url
        self.sessions = sessions
        self.world = world
        self.now = world.now
        self.people: dict[str, tuple[UUID, UUID]] = {}

    async def person(self, name: str, *, kind="personal", customer=None, **facts) -> None:
        """Give somebody an account and a card; with `customer`, of that identity and its facts."""
        async with transaction(self.sessions) as session:
            if customer is not None:
                await session.execute(
                    text(
                        "INSERT INTO customers (customer_id, kind, name, name_key, locale, country, status, segment, created_at)"
                        " VALUES (:id, 'person', :name, :name, 'zh-CN', 'CN', 'active', :segment, :now) ON CONFLICT DO NOTHING"
                    ),
                    {"id": customer, "name": name, "segment": facts.get("segment"), "now": self.now},
                )
                if "tier" in facts:
                    await session.execute(
                        text("INSERT INTO standings (customer_id, tier, changed_at) VALUES (:id, :tier, :now)"),
                        {"id": customer, "tier": facts["tier"], "now": self.now},
                    )
            product = self.world.card_product_ids[kind]
            account = await open_account(
                session, kind=kind, currency="CNY", customer_id=customer, card_product_id=product, now=self.now - timedelta(days=60)
            )
            card = uuid7(self.now)
            await session.execute(
                text(
                    "INSERT INTO cards (card_id, account_id, number_index, number_sealed, number_bin, number_tail, product_id, status,"
                    " version, pin_generation, pin_tries, chain_id, bearer, is_main, created_at)"
                    " VALUES (:card, :account, :index, '', '8810', '0000', :product, 2, 1, 1, 0, :card, false, false, :now)"
                ),
                {"card": card, "account": account, "index": card.bytes, "product": product, "now": self.now},
            )
        self.people[name] = (account, card)

    async def sold(self, name: str, *, ago: timedelta, milli=0, product="92", live=0, lines=(), tenders=(), status=1, detail=None) -> UUID:
        """Write one sale: fuel at ¥8.00 a litre, articles as (product, pieces, fen), what the live rules took off."""
        account, card = self.people[name]
        at = self.now - ago
        fuel = line_amount(milli, PRICE)
        kept = dict(detail or {})
        if lines:
            kept["lines"] = [{"product": code, "quantity_milli": pieces * 1000, "amount_minor": fen} for code, pieces, fen in lines]
        if tenders:
            kept["tenders"] = [{"tender": tender, "amount_minor": 100, "reference": None} for tender in tenders]
        gross = fuel + sum(fen for _, _, fen in lines)
        sale_id = uuid7(at)
        async with transaction(self.sessions) as session:
            await session.execute(
                text(
                    "INSERT INTO sales (account_id, sale_id, card_id, chain_id, terminal_id, station_id, flow, product_id, quantity_milli,"
                    " unit_price_e4, gross_minor, discount_minor, card_minor, currency, detail, flags, status, refunded_minor, event_at,"
                    " booked_at, business_day, period) VALUES (:account, :sale, :card, :card, :till, :station, :flow, :product, :milli,"
                    " :price, :gross, :live, :card_minor, 'CNY', CAST(:detail AS jsonb), 0, :status, 0, :at, :at, :day, 202609)"
                ),
                {
                    "account": account,
                    "sale": sale_id,
                    "card": card,
                    "till": self.world.terminal_ids[0],
                    "station": self.world.station_id,
                    "flow": 1 if milli else 4,
                    "product": self.world.product_ids[product] if milli else None,
                    "milli": milli,
                    "price": PRICE if milli else 0,
                    "gross": gross,
                    "live": live,
                    "card_minor": gross - live,
                    "detail": msgspec.json.encode(kept).decode() if kept else None,
                    "status": status,
                    "at": at,
                    "day": at.date(),
                },
            )
        return sale_id

    async def draft(self, *rules: Rule, **more) -> int:
        """Draft a rulebook of these rules; return its number."""
        async with transaction(self.sessions) as session:
            number = await drafts.start_draft(session, empty=True, note="tests", actor=BY_COMMAND, now=self.now)
            document = Document(rules=rules, **more)
            await drafts.replace_document(session, number=number, version=1, document=document, actor=BY_COMMAND, now=self.now)
        return number

    async def ask(self, number: int, *, days=30) -> UUID:
        async with transaction(self.sessions) as session:
            return await backtests.ask(
                session, number=number, since=self.now - timedelta(days=days), until=self.now, actor=BY_COMMAND, now=self.now
            )

    async def replayed(self, number: int, *, workers=0, days=30, edge=None):
        """Backtest a rulebook and return its view."""
        identity = await self.ask(number, days=days)
        async with transaction(self.sessions) as session:
            taken = await backtests.take(session, backtest_id=identity, now=self.now)
        await run(self.sessions, dsn=self.url, backtest=taken, workers=workers, edge=edge or Edge(lambda: self.now, time.perf_counter))
        async with transaction(self.sessions) as session:
            return await get_backtest(session, backtest_id=identity)

    async def report(self, number: int, **more):
        return (await self.replayed(number, **more)).report


def lines_of(report) -> dict[str, tuple[int, int, int]]:
    """Return each rule of the draft: times, wanted, given."""
    return {line.rule: (line.times, line.wanted, line.given) for line in report.draft.rules}


def borne_by(side) -> dict[str, int]:
    return {line.funder: line.amount for line in side.funders if line.kind == "discount"}


__all__ = ["BY_COMMAND", "HEAD", "PRICE", "Past", "borne_by", "lines_of", "rule"]
