"""What the demo's insurer gets: who was asked, lists on Mondays, a withdrawal and its removal; and a file that a partner sent."""

import csv
import io
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto.age import new_identity
from loyalty.customers.model import ConsentChannel, Customer, CustomerKind, CustomerStatus
from loyalty.customers.operations import Wording, declare_consent, word_consent
from loyalty.demo.chain import Chain
from loyalty.demo.secrets import LogIns
from loyalty.ids import CustomerId
from loyalty.ledger.model import Account
from loyalty.money import decimal_text
from loyalty.rewards.operations.vouchers import VoucherWish, issue_many
from partners.demo import INSURER, SLIP, WASH
from partners.model_feeds import FeedColumn, FeedStatus
from partners.model_inbound import Compared
from partners.model_lines import LineKind, PartnerLine
from partners.operations.feed_runs import run_due, send_now
from partners.operations.feeds import FeedFacts, decide_feed, propose_feed
from partners.operations.inbound import About, Mapping, take_file
from partners.queries.alliances import get_partner, list_partners
from partners.queries.feeds import get_feed
from partners.queries.registrations import versions_with

SYSTEM: Final = Actor(ActorKind.SYSTEM, "demo")
_HOLDERS: Final = 14
_SILENT: Final = 5
"""Every so manieth says nothing."""
_COLUMNS: Final = (FeedColumn.NAME, FeedColumn.DOCUMENT_TYPE, FeedColumn.DOCUMENT_NUMBER, FeedColumn.COVER, FeedColumn.VALID_UNTIL)
_SENDER: Final = "demo@example.com"


async def feed_insurer(
    session: AsyncSession, *, partner_id: UUID, benefit: str, office: Actor, finance: Actor, began: datetime, now: datetime
) -> str:
    """Give some holders a claim slip, ask them, and let lists leave until now; return the partner's secret key.

    The benefit's agreement and voucher kind are there, and the alliance is active.
    """
    partner = await get_partner(session, partner_id=partner_id)
    found = [each for _standing, each in await versions_with(session, partner_id=partner_id, benefit=benefit) if each is not None]
    kind, purpose = found[-1].voucher_kind or "", found[-1].purpose or ""
    wording = Wording(
        title_zh=f"意外险登记（{partner.name_zh}）",
        title_en=f"Accident insurance: {partner.name_en}",
        text_zh=f"同意将姓名、证件类型和号码提供给{partner.name_zh}，仅用于登记随卡赠送的意外险。可随时在本页或任一油站撤回，撤回后通知对方移除。",
        text_en=f"My name and document go to {partner.name_en}, only to register the insurance that came with the card. "
        "I may withdraw here or at any station at any time; they are then told to remove me.",
    )
    version = await word_consent(session, purpose=purpose, recipient=partner.code, wording=wording, actor=office, now=began)
    holders = await _holders(session)
    opened = began + timedelta(hours=2)
    wishes = [VoucherWish(kind, "demo", str(customer), customer_id=customer, account_id=account) for customer, account in holders]
    await issue_many(session, wishes=wishes, actor=SYSTEM, now=opened)

    async def says(customer_id: UUID, *, granted: bool, at: datetime, channel: ConsentChannel, evidence: str) -> None:
        await declare_consent(
            session,
            customer_id=CustomerId(customer_id),
            purpose=purpose,
            recipient=partner.code,
            wording=version,
            granted=granted,
            evidence=evidence,
            channel=channel,
            actor=office,
            now=at,
        )

    for place, (customer, _account) in enumerate(holders[:-2]):
        if place % _SILENT != _SILENT - 1:
            await says(customer, granted=True, at=opened, channel=ConsentChannel.COUNTER, evidence=f"开卡登记表 {1_001 + place}")
    identity, recipient = new_identity()
    facts = FeedFacts(benefit=benefit, columns=_COLUMNS, recipient=recipient)
    made = await propose_feed(session, partner_id=partner_id, facts=facts, actor=office, now=opened)
    feed_id, first_list = made.feed_id, opened + timedelta(minutes=10)
    await decide_feed(session, partner_id=partner_id, feed_id=feed_id, to=FeedStatus.ACTIVE, actor=finance, now=opened)
    await send_now(session, partner_id=partner_id, feed_id=feed_id, whole=False, sender=_SENDER, actor=office, now=first_list)
    await says(holders[0][0], granted=False, at=first_list + timedelta(hours=3), channel=ConsentChannel.OWN_PAGE, evidence="/me/consents")
    while (due := (await get_feed(session, partner_id=partner_id, feed_id=feed_id)).next_due) is not None and due <= now:
        await run_due(session, feed_id=feed_id, sender=_SENDER, actor=SYSTEM, now=due)
    for customer, _account in holders[-2:]:
        await says(customer, granted=True, at=now, channel=ConsentChannel.COUNTER, evidence="补签登记表")
    return identity


async def _holders(session: AsyncSession) -> list[tuple[UUID, UUID]]:
    one = Customer
    people = (
        select(one.customer_id, Account.account_id)
        .join(Account, Account.customer_id == one.customer_id)
        .where(one.kind == CustomerKind.PERSON, one.status == CustomerStatus.ACTIVE)
        .order_by(one.customer_id, Account.account_id)
    )
    first: dict[UUID, UUID] = {}
    for customer_id, account_id in await session.execute(people):
        first.setdefault(customer_id, account_id)
    return list(first.items())[:_HOLDERS]


async def answer_with_file(session: AsyncSession, *, partner_id: UUID, actor: Actor, now: datetime) -> UUID | None:
    """Take in a file as this partner would send it: one amount differs, one line is missing, one is not ours; None without lines."""
    partner = await get_partner(session, partner_id=partner_id)
    one, zone = PartnerLine, ZoneInfo(partner.zone)
    kinds = (LineKind.REDEMPTION, LineKind.SALE)
    wanted = select(one.reference, one.gross_minor, one.event_at).where(one.partner_id == partner_id, one.kind.in_(kinds))
    lines = list(await session.execute(wanted.order_by(one.number)))
    if not lines:
        return None
    rows = [(reference, gross_minor, at.astimezone(zone)) for reference, gross_minor, at in lines]
    reference, gross_minor, at = rows[0]
    rows[0] = (reference, gross_minor + 500, at)
    rows = [*rows[:-1], ("•••• 9999", 3_800, at)] if len(rows) > 1 else rows
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["凭证", "金额", "时间", "流水号", "状态"])
    for place, (reference, gross_minor, at) in enumerate(rows, 1):
        writer.writerow([reference, decimal_text(gross_minor, partner.currency), f"{at:%Y-%m-%d %H:%M:%S}", f"P{place:05}", "完成"])
    mapping = Mapping(
        reference="凭证", amount="金额", at="时间", theirs="流水号", state="状态", cancelled="已撤销", compared=Compared.GROSS
    )
    first, end = min(at.date() for _reference, _gross, at in rows), clock.local_date(now, partner.zone) + timedelta(days=1)
    about = About(first_day=first, end_day=end, zone=partner.zone, mapping=mapping)
    name = f"{partner.code}-{first:%Y%m}.csv"
    return await take_file(session, partner_id=partner_id, name=name, data=out.getvalue().encode(), about=about, actor=actor, now=now)


async def send_lists(session: AsyncSession, chain: Chain, _log_ins: LogIns, now: datetime) -> None:
    """Let the demo's insurer get its lists, and the car wash answer with a file; their alliances are there."""
    office, finance = chain.person("office"), chain.person("finance")
    for one in (await list_partners(session)).rows:
        if one.code == INSURER:
            both = {"office": office, "finance": finance}
            await feed_insurer(session, partner_id=one.partner_id, benefit=SLIP.code, **both, began=chain.began, now=now)
        elif one.code == WASH:
            await answer_with_file(session, partner_id=one.partner_id, actor=office, now=now)
