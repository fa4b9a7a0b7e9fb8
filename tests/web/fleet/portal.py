"""The fleet portal without a browser: the real application in this process, two companies, a signed-in client per person."""

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.model_invoicing import GOODS, InvoicePot
from loyalty.clock import local_date
from loyalty.crypto import totp_code
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.fleet.allocation_rules import Span, instants, span_of
from loyalty.fleet.allocation_rules import before as span_before
from loyalty.fleet.detecting import Kind, Severity
from loyalty.fleet.model_allocations import AllocationKind, AllocationRequest, AllocationRun, RequestStatus, RunStatus
from loyalty.fleet.model_approvals import Approval, ApprovalStatus
from loyalty.fleet.model_cash import CashReason
from loyalty.fleet.model_fills import Doubt, OdometerReading, ReadingSource, ReadingStatus
from loyalty.fleet.model_findings import Disposition, MisuseFinding
from loyalty.fleet.model_webhooks import WebhookEvent
from loyalty.fleet.operations.api_keys import make_api_key
from loyalty.fleet.operations.bindings import bind_card
from loyalty.fleet.operations.cash import Receipt, Taken, file_cash_fill
from loyalty.fleet.operations.companies import join_group
from loyalty.fleet.operations.custody import keep_cards
from loyalty.fleet.operations.departments import DepartmentFacts, add_department
from loyalty.fleet.operations.drivers import add_driver
from loyalty.fleet.operations.loans import Trip, ask_loan
from loyalty.fleet.operations.vehicles import add_vehicle
from loyalty.fleet.operations.webhooks import add_webhook, tell_test
from loyalty.fleet.queries.api import api_keys_of
from loyalty.fleet.queries.webhooks import list_deliveries, webhooks_of
from loyalty.fleet.rules import DriverFacts, VehicleFacts
from loyalty.identity import operations as identity
from loyalty.identity.model_portal import PortalRole
from loyalty.ids import uuid7, uuid7_floor
from loyalty.installation import open_keys
from loyalty.ledger.operations import make_partitions
from loyalty.limits.model import ChangeKind, LimitKind, Window
from loyalty.limits.operations import NewChange, NewLimit, NewOrder, add_change, add_limit, add_orders, make_profile, release
from loyalty.main import create_app
from loyalty.settings import Settings
from loyalty.statements.model_companies import CompanyPeriod
from loyalty.statements.model_invoices import InvoiceLine, InvoiceRequest, InvoiceStatus
from loyalty.statements.operations.invoices import TitleFacts, add_title
from loyalty.statements.rules import Figures, Money, Totals, totals_json
from tests.factories.fleet import make_fleet
from tests.factories.photos import photo
from tests.factories.world import World, make_world

PASSWORD = "seven quiet rivers meet"
SECRET = b"12345678901234567890"
SYSTEM = Actor(ActorKind.SYSTEM, "tests")
_FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')


def code_now(moment: datetime | None = None) -> str:
    return totp_code(SECRET, now=moment or datetime.now(UTC))


@dataclass
class Firm:
    """A company, its people and what it has."""

    company_id: UUID
    account_id: UUID
    ids: dict[str, UUID | str] = field(default_factory=dict)


@dataclass
class Browser:
    """One person's browser."""

    client: httpx.AsyncClient

    async def get(self, path: str, **headers: str):
        return await self.client.get(path, headers=headers, follow_redirects=False)

    async def fields(self, path: str) -> dict[str, str]:
        page = await self.get(path)
        assert page.status_code == 200, (path, page.status_code, page.text[:300])
        return dict(_FIELD.findall(page.text))

    async def send(self, page: str, data: dict[str, Any], *, to: str = "", **headers: str):
        """Open a page and send its form."""
        return await self.client.post(to or page, data=await self.fields(page) | data, headers=headers, follow_redirects=False)

    async def log_in(self, email: str, *, later: timedelta = timedelta(0)) -> None:
        answer = await self.send("/fleet/log-in", {"name": email, "password": PASSWORD})
        assert (answer.status_code, answer.headers["location"]) == (303, "/fleet/log-in/code"), answer.text[:500]
        answer = await self.send("/fleet/log-in/code", {"code": code_now(datetime.now(UTC) + later)})
        assert (answer.status_code, answer.headers["location"]) == (303, "/fleet"), answer.text[:500]


@dataclass
class Portal:
    """The application, its companies, and who is signed in."""

    app: Any
    sessions: Any
    firms: dict[str, Firm]
    world: World
    browsers: dict[str, Browser] = field(default_factory=dict)

    def stranger(self) -> Browser:
        return Browser(httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://testserver.local"))

    async def at(self, firm: str, role: str) -> Browser:
        """Return a role's signed-in browser at a company, the same one each time."""
        email = f"{role}@{firm}.example"
        if email not in self.browsers:
            browser = self.stranger()
            await browser.log_in(email)
            self.browsers[email] = browser
        return self.browsers[email]


async def fill_firm(session, world: World, key: str, name: str, plate: str) -> Firm:
    """Make a company with a user of every role, two departments, and a vehicle, a driver and a card in each."""
    fleet = await make_fleet(session, world, name=name, cards=2)
    firm = Firm(fleet.company_id, fleet.account_id)
    known = {"company_id": firm.company_id, "actor": SYSTEM, "now": world.now}
    for place, letter in enumerate(("north", "south")):
        room = await add_department(session, facts=DepartmentFacts(name=letter), **known)
        vehicle = await add_vehicle(session, facts=VehicleFacts(plate=f"{plate}{place}", department_id=room), **known)
        driver = await add_driver(session, facts=DriverFacts(number=f"10{place}", name=f"司机{place}", department_id=room), **known)
        chain = fleet.chains[place]
        await bind_card(session, chain_id=chain, vehicle_id=vehicle.vehicle_id, driver_id=driver, department_id=room, **known)
        firm.ids |= {f"{letter}-room": room, f"{letter}-vehicle": vehicle.vehicle_id, f"{letter}-driver": driver, f"{letter}-card": chain}
    firm.ids |= await fill_allocation(session, fleet, firm, world.now)
    firm.ids |= await fill_watch(session, fleet, firm, world)
    firm.ids |= await fill_dispute(session, fleet, firm, world)
    firm.ids |= await fill_cash(session, firm, world)
    span = span_of(local_date(world.now, "Asia/Shanghai"), period_day=26)
    firm.ids |= {"part": "vehicle", "statement": f"{span.first.isoformat()}.pdf"}
    firm.ids |= await fill_invoice(session, firm, span_before(span), world.now)
    for role in PortalRole:
        firm.ids[role.value] = await identity.make_portal_user(
            session,
            email=f"{role.value}@{key}.example",
            name=f"{name[:2]} {role.value}",
            password=PASSWORD,
            totp_secret=SECRET,
            role=role,
            department_id=firm.ids["north-room"] if role is PortalRole.DEPARTMENT_HEAD else None,
            **known,
        )
    firm.ids["loan"] = await fill_custody(session, firm, world.now)
    await make_api_key(session, name="ERP", may_order=False, **known)
    keys = await api_keys_of(session, company_id=firm.company_id)
    firm.ids["key"] = keys[0].key_id
    await add_webhook(session, url="https://erp.example.com/told", events=list(WebhookEvent), **known)
    firm.ids["webhook"] = (await webhooks_of(session, company_id=firm.company_id))[0].webhook_id
    await tell_test(session, company_id=firm.company_id, webhook_id=firm.ids["webhook"], now=world.now)
    firm.ids["message"] = (await list_deliveries(session, company_id=firm.company_id)).rows[0].delivery_id
    token = await identity.invite(session, email=f"guest@{key}.example", role=PortalRole.VIEWER, **known | {"now": datetime.now(UTC)})
    del token
    firm.ids["invitation"] = await session.scalar(
        text("SELECT invitation_id FROM portal_invitations WHERE company_id = :company"), {"company": firm.company_id}
    )
    return firm


async def fill_watch(session, fleet, firm: Firm, world) -> dict[str, UUID | str]:
    """Give a company an asking that waits, a finding that is open, and a limit."""
    now = world.now
    made: dict[str, UUID | str] = {"approval": uuid7(now), "finding": uuid7(now), "level": "card"}
    limit = NewLimit(kind=LimitKind.QUANTITY, window=Window.DAY, value=500_000)
    made["limit"] = await add_limit(session, subject_id=fleet.chains[0], limit=limit, actor=SYSTEM, now=now)
    later = {"valid_from": now, "valid_to": now + timedelta(days=3)}
    change = NewChange(ChangeKind.MORE, **later, percent=20, reason="harvest")
    whose = {"company_id": fleet.company_id, "actor": SYSTEM, "now": now}
    made["change"] = await add_change(session, subject_id=fleet.chains[0], change=change, **whose)
    order = NewOrder("WO-1", now, now + timedelta(days=3), quantity_milli=50_000)
    (made["order"],) = await add_orders(session, account_id=fleet.account_id, orders=[order], **whose)
    made["release"] = await release(
        session,
        chain_id=fleet.chains[0],
        limits=["permit"],
        until=now + timedelta(hours=8),
        once=True,
        reason="trip",
        actor=SYSTEM,
        now=now,
    )
    made["profile"] = await make_profile(session, company_id=firm.company_id, name="夜班", actor=SYSTEM, now=now)
    made["reading"] = uuid7(now)
    session.add(
        OdometerReading(
            reading_id=made["reading"],
            company_id=firm.company_id,
            vehicle_id=firm.ids["north-vehicle"],
            km=52_000,
            read_at=now,
            source=ReadingSource.PORTAL,
            status=ReadingStatus.DOUBTFUL,
            doubt=Doubt.TOO_FAR,
            by_kind="system",
            by_id="tests",
            made_at=now,
        )
    )
    known = {"company_id": firm.company_id, "account_id": firm.account_id}
    wait = {"asked_at": now, "deputy_at": now + timedelta(minutes=3), "decide_at": now + timedelta(minutes=30)}
    session.add(
        Approval(
            approval_id=made["approval"],
            authorization_id=uuid7(now),
            chain_id=fleet.chains[0],
            card_id=fleet.chains[0],
            station_id=world.station_id,
            limit="vehicle.day.quantity",
            asked_milli=350_000,
            status=ApprovalStatus.ASKED,
            **known,
            **wait,
        )
    )
    session.add(
        MisuseFinding(
            finding_id=made["finding"],
            vehicle_id=firm.ids["north-vehicle"],
            sale_id=uuid7(now),
            kind=Kind.ABOVE_TANK,
            severity=Severity.MEDIUM,
            evidence={"litres_milli": 66_000, "tank_milli": 60_000},
            event_at=now,
            found_at=now,
            disposition=Disposition.OPEN,
            **known,
        )
    )
    await session.flush()
    return made


async def fill_custody(session, firm: Firm, now: datetime) -> UUID:
    """Let the company's custodian keep both cards; the fleet manager asks for the first one."""
    keeper, asker = (firm.ids[role] for role in ("custodian", "fleet_manager"))
    cards = [firm.ids["north-card"], firm.ids["south-card"]]
    await keep_cards(session, company_id=firm.company_id, chain_ids=cards, keeper_id=keeper, actor=SYSTEM, now=now)
    trip = Trip(firm.ids["north-driver"], "嘉兴", "送货", now, now + timedelta(days=2))
    by = Actor(ActorKind.COMPANY_USER, asker)
    return await ask_loan(session, company_id=firm.company_id, chain_id=cards[0], trip=trip, actor=by, now=now)


async def fill_invoice(session, firm: Firm, span: Span, now: datetime) -> dict[str, UUID]:
    """Give a company a closed period, a title, and an invoice that was asked for, as rows."""
    begin, end = instants(span, "Asia/Shanghai")
    nought = Money(opening_minor=0, loads_minor=0, spent_minor=0, refunded_minor=0, other_minor=0, closing_minor=0)
    kept = {"totals": totals_json(Totals(figures=Figures(), refunds=0, money=nought)), "digest": bytes(32), "fills": 0, "refunds": 0}
    period = {"first_day": span.first, "end_day": span.end, "begins_at": begin, "ends_at": end, "closed_at": now, "by": "tests"}
    session.add(CompanyPeriod(company_id=firm.company_id, **period, **kept))
    facts = TitleFacts(name="抬头", tax_number="9144030071526726XG")
    title = await add_title(session, company_id=firm.company_id, facts=facts, actor=SYSTEM, now=now)
    invoice = uuid7(now)
    known = {"company_id": firm.company_id, "title_id": title, "first_day": span.first, "currency": "CNY", "title": "抬头"}
    blank = dict.fromkeys(("address", "telephone", "bank", "bank_account"), "")
    asked = {"requested_by": "tests", "requested_at": now, "status": InvoiceStatus.REQUESTED, "amount_minor": 100, "tax_number": "X"}
    session.add(InvoiceRequest(invoice_id=invoice, **known, **blank, **asked))
    pot = {"bonus_minor": 0, "owed_minor": 0, "refunded_minor": 0, "over_minor": 0, "quantity_milli": 50_000}
    session.add(
        InvoicePot(
            account_id=firm.account_id,
            first_id=uuid7_floor(begin),
            last_id=uuid7_floor(end),
            product_id=GOODS,
            paid_minor=30_000,
            invoiced_minor=100,
            **pot,
        )
    )
    await session.flush()
    session.add(InvoiceLine(invoice_id=invoice, product_id=GOODS, company_id=firm.company_id, amount_minor=100, quantity_milli=0))
    await session.flush()
    return {"invoice": invoice, "title": title}


async def fill_cash(session, firm: Firm, world) -> dict[str, UUID]:
    """Give a company a cash fill with its receipt, which waits for approval."""
    taken = Taken(world.now - timedelta(hours=3), None, "路边站", world.product_ids["92"], 30_000, 24_000, 51_000)
    whose = {"company_id": firm.company_id, "vehicle_id": firm.ids["north-vehicle"], "driver_id": firm.ids["north-driver"]}
    receipt = Receipt(photo("north"), "另一块")
    said = {"reason": CashReason.NO_CARD_SERVICE, "comment": "刷卡机故障", "actor": SYSTEM, "now": world.now}
    return {"cash": await file_cash_fill(session, **whose, taken=taken, receipt=receipt, **said)}


async def fill_dispute(session, fleet, firm: Firm, world) -> dict[str, UUID]:
    """Give a company a fill of a hundred days ago that it disputes, as records: no money moves, and what is used now is as it was."""
    then = world.now - timedelta(days=100)
    made = {"sale": uuid7(world.now), "dispute": uuid7(world.now)}
    facts = {
        "account": firm.account_id,
        "sale": made["sale"],
        "chain": fleet.chains[0],
        "terminal": world.terminal_ids[0],
        "now": then,
    }
    facts |= {"station": world.station_id, "product": world.product_ids["92"], "company": firm.company_id}
    facts |= {"vehicle": firm.ids["north-vehicle"], "room": firm.ids["north-room"], "dispute": made["dispute"]}
    for sentence in _DISPUTED:
        await session.execute(text(sentence), {name: value for name, value in facts.items() if f":{name}" in sentence})
    return made


_DISPUTED = (
    """
    INSERT INTO sales (account_id, sale_id, card_id, chain_id, terminal_id, station_id, flow, product_id, quantity_milli, unit_price_e4,
        gross_minor, discount_minor, card_minor, currency, flags, status, refunded_minor, event_at, booked_at, business_day, period)
    VALUES (:account, :sale, :chain, :chain, :terminal, :station, 1, :product, 50000, 78900, 39450, 0, 39450, 'CNY', 0, 1, 0, :now, :now,
        CAST(:now AS timestamptz)::date, 202609)
    """,
    """
    INSERT INTO fleet_fills (account_id, sale_id, company_id, chain_id, card_id, vehicle_id, department_id, station_id, product_id, day,
        event_at, booked_at, quantity_milli, unit_price_e4, gross_minor, discount_minor, card_minor, flags, back_milli, back_gross_minor,
        back_discount_minor, back_card_minor)
    VALUES (:account, :sale, :company, :chain, :chain, :vehicle, :room, :station, :product, CAST(:now AS timestamptz)::date, :now, :now,
        50000, 78900, 39450, 0, 39450, 0, 0, 0, 0, 0)
    """,
    """
    INSERT INTO fill_disputes (dispute_id, company_id, account_id, sale_id, station_id, reason, comment, wanted_minor, currency, status,
        opened_at, opened_by, answer_by)
    VALUES (:dispute, :company, :account, :sale, :station, 'wrong_litres', '30 L', 39450, 'CNY', 'opened', :now, 'tests',
        CAST(:now AS timestamptz) + interval '3 days')
    """,
)


async def fill_allocation(session, fleet, firm: Firm, now: datetime) -> dict[str, UUID]:
    """Give a company an early request and a run that loads, as rows: for the walk over addresses."""
    made = {"request": uuid7(now), "run": uuid7(now)}
    known = {"company_id": firm.company_id, "kind": AllocationKind.EARLY, "created_at": now}
    known |= {"period_from": date(2026, 9, 26), "period_to": date(2026, 10, 26)}
    request = {"chain_id": fleet.chains[0], "department_id": firm.ids["north-room"], "status": RequestStatus.REQUESTED, "updated_at": now}
    request |= {"proposal_minor": 0, "basis": {}, "wanted_minor": 100, "reason": "", "checks": [], "note": ""}
    run = dict.fromkeys(("loaded", "refused", "amount_minor", "loaded_minor", "gathered_minor"), 0)
    session.add(AllocationRequest(request_id=made["request"], **known, **request))
    session.add(AllocationRun(run_id=made["run"], lines=1, status=RunStatus.LOADING, **known, **run))
    await session.flush()
    return made


@asynccontextmanager
async def opened_portal(url: str, folder):
    """Fill a database with two companies and serve it within this process."""
    settings = Settings.from_environment(
        {"DATABASE_URL": url, "LOYALTY_DATA": str(folder / "data"), "LOYALTY_KEYS": str(folder / "keys"), "LOYALTY_LOG_LEVEL": "error"}
    )
    now = datetime.now(UTC) - timedelta(minutes=2)
    owner = make_engine(url)
    async with transaction(make_sessions(owner)) as session:
        await make_partitions(session, now=now, months_back=2)
    await owner.dispose()
    engine = make_engine(url, role="loyalty_hot")
    sessions = make_sessions(engine)
    await open_keys(settings, engine, now=now)
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
        firms = {
            "ours": await fill_firm(session, world, "ours", "钱塘物流有限公司", "浙A1234"),
            "theirs": await fill_firm(session, world, "theirs", "长江货运有限公司", "沪B5678"),
        }
        for name, firm in (("钱塘冷链有限公司", "ours"), ("长江冷链有限公司", "theirs")):
            below = await make_fleet(session, world, name=name, cards=1)
            parent = firms[firm].company_id
            await join_group(session, company_id=below.company_id, parent_id=parent, actor=SYSTEM, now=world.now)
    app = create_app(settings)
    async with app.lifespan():
        yield Portal(app, sessions, firms, world)
    await engine.dispose()
