"""An insurer that gets its list on Monday, and people with claim slips: in a database of one's own, since the job commits."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import msgspec

from jobs import partner_feeds
from jobs.job import Context
from loyalty.audit.model import Actor
from loyalty.crypto.age import new_identity, open_sealed
from loyalty.customers.model import ConsentChannel, CustomerKind, IdentifierType
from loyalty.customers.operations import CustomerFacts, Wording, add_customer, add_identifier, declare_consent, word_consent
from loyalty.db import transaction
from loyalty.ledger.model import AccountKind
from loyalty.ledger.operations import open_account
from loyalty.rewards.model_vouchers import ValueType
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from loyalty.rewards.operations.vouchers import VoucherWish, issue
from loyalty.settings import Settings
from partners.feed_rules import read_file
from partners.model import AgreementStatus, Category, PartnerStatus
from partners.model_feeds import FeedColumn, FeedStatus
from partners.operations.agreements import decide_agreement, draft_agreement, submit_agreement
from partners.operations.alliances import PartnerFacts, add_partner, move_partner
from partners.operations.feeds import FeedFacts, decide_feed, propose_feed
from partners.queries.feeds import BatchView, file_of_batch, list_batches
from partners.rules import Terms
from tests.factories.world import make_world
from tests.partners.conftest import SLIP, TODAY
from tests.topups.conftest import hire

PURPOSE, CODE, KIND = "accident-insurance", "PICC-HZ", "claim-slip"
BENEFIT = msgspec.structs.replace(SLIP, voucher_kind=KIND)
MONDAY = datetime(2026, 9, 28, 1, tzinfo=UTC)
"""09:00 in Shanghai, the first after the tests' instant."""
COLUMNS = tuple(FeedColumn)
ASKED = Wording(
    title_zh="意外险登记",
    title_en="Accident insurance",
    text_zh="同意将姓名、证件号码和电话提供给平安财险，仅用于登记所赠意外险，可随时撤回。",
    text_en="My name, document and telephone go to the insurer to register the cover that came with the card. I may withdraw at any time.",
)


@dataclass
class Feeding:
    """The house: who works there, the partner, its feed, and its secret key."""

    sessions: Any
    maker: Actor
    checker: Actor
    partner_id: UUID
    feed_id: UUID
    identity: str
    secret: str
    world: Any
    people: dict[str, UUID] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def context(self) -> Context:
        return Context(self.sessions, Settings.from_environment({"DATABASE_URL": "postgresql://unused", **self.settings}))

    async def person(self, name: str, now: datetime, *, consents: bool | None = True, vouchers: int = 1) -> UUID:
        """Open a card for somebody, give them slips, and ask them."""
        async with transaction(self.sessions) as session:
            facts = CustomerFacts(kind=CustomerKind.PERSON, name=name, phone=f"1390013{9000 + len(self.people)}")
            made = await add_customer(session, facts=facts, actor=self.maker, now=now)
            document = f"E{10_000_000 + len(self.people)}"
            await add_identifier(session, customer_id=made, type=IdentifierType.PASSPORT, value=document, actor=self.maker, now=now)
            product = self.world.card_product_ids["personal"]
            kind = AccountKind.PERSONAL
            account = await open_account(session, kind=kind, currency="CNY", customer_id=made, card_product_id=product, now=now)
            for ordinal in range(vouchers):
                wish = VoucherWish(KIND, "office", name, account_id=account, plate="沪A12345", ordinal=ordinal)
                await issue(session, wish=wish, actor=self.maker, now=now)
        self.people[name] = made
        if consents is not None:
            await self.says(name, consents, now)
        return made

    async def says(self, name: str, granted: bool, now: datetime) -> None:
        async with transaction(self.sessions) as session:
            await declare_consent(
                session,
                customer_id=self.people[name],
                purpose=PURPOSE,
                recipient=CODE,
                granted=granted,
                evidence="form 7",
                wording=1,
                channel=ConsentChannel.COUNTER,
                station_id=self.world.station_id,
                actor=self.maker,
                now=now,
            )

    async def runs(self, now: datetime) -> int:
        """Let the job run."""
        return await partner_feeds.run(self.context, now)

    async def batches(self) -> list[BatchView]:
        async with transaction(self.sessions) as session:
            return list(reversed((await list_batches(session, partner_id=self.partner_id)).rows))

    async def read(self, batch: BatchView) -> list[list[str]]:
        """Open a file as the partner does, its control totals judged."""
        async with transaction(self.sessions) as session:
            return read_file(open_sealed(self.identity, await file_of_batch(session, batch_id=batch.batch_id)))

    async def told(self) -> list[list[tuple[str, ...]]]:
        """Return what each file said so far: of each line its kind and, where it is there, the name, sorted."""
        return [sorted((line[0], *line[2:3]) for line in (await self.read(batch))[2:]) for batch in await self.batches()]

    async def propose(self, now: datetime, **more: Any) -> None:
        """Change the feed, with the second person's yes."""
        _identity, other = new_identity()
        recipient = more.pop("recipient", None) or self.recipient or other
        facts = FeedFacts(**{"benefit": "claim-slip", "columns": COLUMNS, "recipient": recipient} | more)
        async with transaction(self.sessions) as session:
            ids = {"partner_id": self.partner_id, "feed_id": self.feed_id}
            self.secret = (await propose_feed(session, **ids, facts=facts, actor=self.maker, now=now)).secret or self.secret
            await decide_feed(session, **ids, to=FeedStatus.ACTIVE, actor=self.checker, now=now)

    recipient: str = ""


async def feeding_house(sessions, now: datetime, world: Any = None) -> Feeding:
    """Make an insurer with an agreement and a feed on Mondays at nine, in a world that is there or a new one."""
    identity, recipient = new_identity()
    async with transaction(sessions) as session:
        world = world or await make_world(session, now=now)
        maker, checker = await hire(session, "maker", now), await hire(session, "checker", now)
        kind = KindFacts(
            name_zh="意外险凭证",
            name_en="Claim slip",
            value_type=ValueType.PARTNER,
            zone="Asia/Shanghai",
            limit_total=500,
            plate_bound=True,
        )
        await put_kind(session, code=KIND, facts=kind, actor=maker, now=now)
        facts = PartnerFacts(code=CODE, name_zh="平安财险杭州", name_en="Ping'an Hangzhou", category=Category.INSURANCE)
        partner_id = await add_partner(session, facts=facts, actor=maker, now=now)
        terms = Terms(benefits=[BENEFIT], commission=4_000)
        of = {"partner_id": partner_id, "actor": maker, "now": now}
        made = await draft_agreement(session, **of, first_day=TODAY, end_day=None, terms=terms)
        await submit_agreement(session, agreement_id=made, actor=maker, now=now)
        await decide_agreement(session, agreement_id=made, to=AgreementStatus.APPROVED, today=TODAY, actor=checker, now=now)
        await move_partner(session, **of, to=PartnerStatus.ACTIVE, today=TODAY, reason="")
        await word_consent(session, purpose=PURPOSE, recipient=CODE, wording=ASKED, actor=maker, now=now)
        feed = FeedFacts(benefit="claim-slip", columns=COLUMNS, at=time(9), recipient=recipient)
        proposed = await propose_feed(session, **of, facts=feed)
        active = {"to": FeedStatus.ACTIVE, "actor": checker, "now": now}
        await decide_feed(session, partner_id=partner_id, feed_id=proposed.feed_id, **active)
    house = Feeding(sessions, maker, checker, partner_id, proposed.feed_id, identity, proposed.secret, world)
    house.recipient = recipient
    return house


__all__ = ["COLUMNS", "MONDAY", "Feeding", "date", "feeding_house", "timedelta"]
