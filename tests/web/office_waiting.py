"""What waits on the office's desk of a chain, and what was closed: a day with a difference, a purchase, two closures, two newcomers."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text

from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.chain_rules import DifferenceKind
from loyalty.cards import operations as cards
from loyalty.clock import local_date
from loyalty.customers import operations as customers
from loyalty.customers.model import CustomerKind, IdentifierType
from loyalty.identity import operations as identity
from loyalty.policy import load_policy
from loyalty.stations.operations import close_day
from loyalty.topups import operations as topups
from loyalty.topups.model import ClosureReason, Party, PayoutMethod, Tender
from tests.web.office_chain import BANK, PIN, Chain


async def leave_on_the_desk(session, chain: Chain, *, now: datetime) -> None:
    """Make what is left for the office to see and to decide, and name it in the chain's ids."""
    policy, actor = load_policy("cn-single-purpose"), Actor(ActorKind.STAFF, chain.people["cashier"])
    await _day(session, chain, now)
    bought = await topups.purchase(
        session,
        policy=policy,
        items=[
            topups.Item(account_id=chain.ids[f"{card}-account"], amount_minor=200_000, card_id=chain.ids[card])
            for card in ("firm-main", "firm-truck")
        ],
        buyer=topups.Buyer(party=Party.ORGANISATION, customer_id=chain.ids["firm"]),
        agent=topups.Declared(
            party=Party.PERSON, name="吴刚", id_type=IdentifierType.PASSPORT, id_number="E87654321", contact="13700137000"
        ),
        tender=Tender.BANK_TRANSFER,
        bank=BANK,
        station_id=chain.stations[0],
        actor=actor,
        event_at=now - timedelta(hours=1),
        now=now - timedelta(hours=1),
    )
    chain.ids["purchase"] = bought.purchase.purchase_id
    for number, key in enumerate(("closure", "approved"), 1):
        chain.ids[key] = await _closure(session, chain, f"周静{number}", f"E1111111{number}", now=now)
    finance = Actor(ActorKind.STAFF, chain.people["finance"])
    await topups.approve_closure(session, policy=policy, closure_id=chain.ids["approved"], actor=finance, now=now)
    found = (await session.execute(text("SELECT suggestion_id FROM merge_suggestions LIMIT 1"))).scalar_one()
    price = "SELECT price_id FROM station_prices WHERE effective_from > :now AND withdrawn_at IS NULL LIMIT 1"
    chain.ids |= {"suggestion": found, "price": (await session.execute(text(price), {"now": now})).scalar_one()}
    chain.ids["day"] = local_date(now, "Asia/Shanghai") - timedelta(days=3)
    failed = "INSERT INTO job_runs VALUES ('checks', :day, :now, NULL, 1, NULL, 'jobs.checks.BooksBroken')"
    await session.execute(text(failed), {"day": str(chain.ids["day"]), "now": now})
    for language in ("zh", "en"):
        chain.people[f"hired-{language}"] = await identity.hire(session, employee_number=f"E02{language}", name="何晓雨", now=now)


async def _closure(session, chain: Chain, name: str, passport: str, *, now: datetime) -> UUID:
    """Let somebody with ¥1,500 on a card ask for them, more than one person alone may give."""
    policy, actor = load_policy("cn-single-purpose"), Actor(ActorKind.STAFF, chain.people["cashier"])
    station_id, began = chain.stations[0], now - timedelta(days=5)
    facts = customers.CustomerFacts(kind=CustomerKind.PERSON, name=name)
    customer_id = await customers.add_customer(session, facts=facts, actor=actor, now=began)
    added = await customers.add_identifier(
        session, customer_id=customer_id, type=IdentifierType.PASSPORT, value=passport, actor=actor, now=began
    )
    await customers.verify_identifier(session, identifier_id=added.identifier_id, staff_id=chain.people["station"], actor=actor, now=began)
    product_id = chain.world.card_product_ids["personal"]
    blank = "SELECT card_id FROM cards WHERE status = 0 AND product_id = :product AND station_id = :station LIMIT 1"
    card_id = (await session.execute(text(blank), {"product": product_id, "station": station_id})).scalar_one()
    known = {"station_id": station_id, "actor": actor, "now": began}
    await cards.issue_card(session, card_id=card_id, customer_id=customer_id, developed=cards.Developed(), policy=policy, **known)
    card = await cards.activate_card(session, card_id=card_id, pin=PIN, **known)
    await topups.load(
        session,
        policy=policy,
        account_id=card.account_id,
        card_id=card_id,
        amount_minor=150_000,
        tender=Tender.WECHAT,
        reference=f"W{uuid4().hex[:12]}",
        terminal_id=chain.world.terminal_ids[0],
        event_at=began,
        **known,
    )
    made = await topups.request_closure(
        session,
        policy=policy,
        account_id=card.account_id,
        reason=ClosureReason.MOVED_AWAY,
        method=PayoutMethod.BANK,
        payee=topups.Payee(name=name, bank="工商银行", account="6222021202031234567"),
        station_id=station_id,
        actor=actor,
        now=now - timedelta(hours=1),
    )
    return made.closure_id


async def _day(session, chain: Chain, now: datetime) -> None:
    """Close a day on which a till knew of a sale that the books have not, and its close was not signed."""
    totals = {
        "tenders": [{"tender": "cash", "taken_minor": 27_358, "returned_minor": 0, "count": 2}],
        "products": [{"product_code": "92", "quantity_milli": 44_000, "amount_minor": 34_716, "count": 2}],
    }
    sums = {"sales_minor": 34_716, "refunds_minor": 0, "topups_minor": 20_000, "fees_minor": 0}
    differences = [
        {"kind": DifferenceKind.MISSING_AT_HOST.value, "sequence": 117, "operation": "sale", "terminal_minor": 7_890},
        {"kind": DifferenceKind.AMOUNT_DIFFERS.value, "sequence": 121, "operation": "sale", "terminal_minor": 5_000, "host_minor": 5_500},
        {"kind": DifferenceKind.SIGNATURE.value},
    ]
    shift = {"shift_id": str(uuid4()), "terminal_id": str(chain.world.terminal_ids[0]), "over_short_minor": -150}
    shift |= {"totals": totals | sums, "signature_good": False, "differences": differences}
    await close_day(
        session,
        station_id=chain.stations[0],
        day=local_date(now, "Asia/Shanghai") - timedelta(days=3),
        totals=sums | {"over_short_minor": -150, "shifts": [shift]},
        actor=Actor(ActorKind.STAFF, chain.people["station"]),
        now=now,
    )
