"""Figures by mail: chosen in the portal, made once when they are due, cut to what their reader may see."""

import email
import email.policy
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select, text

from jobs import reports
from jobs.job import Context
from loyalty.db import transaction
from loyalty.outbox import Channel, OutboxMessage, claim
from loyalty.settings import Settings


async def tick(portal, now=None) -> int:
    settings = Settings.from_environment({"DATABASE_URL": "postgresql://unused", "LOYALTY_PUBLIC_URL": "https://cards.example"})
    return await reports.run(Context(portal.sessions, settings), now or datetime.now(UTC))


async def mails(portal) -> list[tuple[str, email.message.EmailMessage]]:
    async with transaction(portal.sessions) as session:
        taken = await claim(session, channel=Channel.MAIL, now=datetime.now(UTC) + timedelta(days=40))
        return [(one.recipient, email.message_from_bytes(one.payload, policy=email.policy.default)) for one in taken]


async def choose(portal, role: str, at_close: str, *, weekly: bool = False, **headers: str) -> None:
    browser = await portal.at("ours", role)
    chosen = {"at_close": at_close, **({"weekly": "1"} if weekly else {})}
    assert (await browser.send("/fleet/statements/mail", chosen, **headers)).status_code == 303


async def as_if_chosen_earlier(portal) -> None:
    async with transaction(portal.sessions) as session:
        await session.execute(text("UPDATE report_subscriptions SET period_sent = '2000-01-01', week_sent = week_sent - 7"))


async def test_nothing_of_what_was_over_when_it_was_chosen_is_sent(portal):
    await choose(portal, "owner", "pdf", weekly=True)
    assert await tick(portal) == 0
    shown = (await (await portal.at("ours", "owner")).get("/fleet/statements/mail")).text
    assert 'value="pdf" checked' in shown
    assert 'name="weekly" value="1" checked' in shown


async def test_a_closed_period_is_mailed_once_with_its_files_in_its_readers_language(portal):
    await choose(portal, "owner", "both", **{"Accept-Language": "en"})
    await choose(portal, "finance", "pdf", **{"Accept-Language": "zh-CN"})
    await choose(portal, "viewer", "none")
    await as_if_chosen_earlier(portal)
    assert await tick(portal) == 2
    assert await tick(portal) == 0
    found = dict(await mails(portal))
    assert set(found) == {"owner@ours.example", "finance@ours.example"}
    owner, finance = found["owner@ours.example"], found["finance@ours.example"]
    endings = [one.get_filename().rpartition(".")[2] for one in owner.iter_attachments()]
    assert endings == ["pdf", "xlsx"]
    assert next(owner.iter_attachments()).get_content().startswith(b"%PDF")
    assert "Statement" in owner["Subject"]
    assert "对账单" in finance["Subject"]
    said = owner.get_body(("plain",)).get_content()
    assert "https://cards.example/fleet/statements?period=" in said
    assert "https://cards.example/fleet/statements/mail" in said
    assert "Closing balance" in said
    assert "Closing balance" in owner.get_body(("html",)).get_content()


async def test_the_weeks_mail_comes_on_monday_morning_and_says_what_waits(portal):
    await choose(portal, "fleet_manager", "none", weekly=True, **{"Accept-Language": "en"})
    today = datetime.now(UTC)
    monday = datetime.combine(today.date() - timedelta(days=today.weekday()) + timedelta(days=7), datetime.min.time(), UTC)
    assert await tick(portal, monday - timedelta(hours=1, minutes=1)) == 0, "06:59 in Shanghai"
    assert await tick(portal, monday - timedelta(hours=1)) == 1
    assert await tick(portal, monday + timedelta(days=1)) == 0
    ((to, week),) = await mails(portal)
    assert to == "fleet_manager@ours.example"
    said = week.get_body(("plain",)).get_content()
    assert "Asked at the pump: 1 (waits for you)" in said
    assert not list(week.iter_attachments())


async def test_a_head_gets_the_department_and_who_left_gets_nothing(portal):
    await choose(portal, "department_head", "pdf")
    await choose(portal, "owner", "pdf")
    await as_if_chosen_earlier(portal)
    async with transaction(portal.sessions) as session:
        await session.execute(text("UPDATE portal_users SET disabled_at = now() WHERE log_in_name = 'owner@ours.example'"))
    assert await tick(portal) == 1
    ((to, head),) = await mails(portal)
    assert to == "department_head@ours.example"
    assert head["Subject"].startswith("north")


async def test_the_last_statement_comes_at_once_when_asked_for(portal):
    owner = await portal.at("ours", "owner")
    fields = await owner.fields("/fleet/statements/mail")
    sent = await owner.client.post("/fleet/statements/mail/now", data=fields, follow_redirects=False)
    assert sent.status_code == 303, sent.text[:500]
    async with transaction(portal.sessions) as session:
        row = (await session.scalars(select(OutboxMessage))).one()
        assert (row.about, row.recipient_shown) == ("fleet.report.period", "o•••@ours.example")
        assert row.company_id == portal.firms["ours"].company_id
    assert date.fromisoformat(row.once.split(":")[2])
