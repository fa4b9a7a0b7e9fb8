"""The forms of a feed and of what customers are asked."""

from datetime import time
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.customers.operations import Wording, word_consent
from loyalty.customers.queries import wording_versions
from loyalty.errors import NotFound
from loyalty.identity.rules import Permission
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import area, chips, field, hidden, said, select
from loyalty.web.office.parts import Act, Field, Text
from partners.model_feeds import FeedChannel, FeedColumn, Rhythm
from partners.operations.feeds import FeedFacts, propose_feed
from partners.queries.alliances import PartnerView
from partners.queries.feeds import FeedView, get_feed
from partners.web.office.common import allowed, crumbs_of, name_of, offered
from partners.web.office.feed_words import CHANNEL, COLUMN, RHYTHM, WEEKDAYS
from partners.web.office.feeds import benefits_with_purpose, feeds_base

_USUAL = (FeedColumn.NAME, FeedColumn.DOCUMENT_TYPE, FeedColumn.DOCUMENT_NUMBER, FeedColumn.COVER, FeedColumn.VALID_UNTIL)


@get("/partners/{partner_id:uuid}/feeds/new")
async def ask_new(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Ask what leaves, of whom, when, by which way, for whose key."""
    return await _ask(desk, partner_id, None)


@get("/partners/{partner_id:uuid}/feeds/{feed_id:uuid}/edit")
async def ask_change(desk: NamedDependency[Desk], partner_id: FromPath[UUID], feed_id: FromPath[UUID]) -> Page:
    """Ask the same of a feed that is there, as it is."""
    return await _ask(desk, partner_id, feed_id)


async def _ask(desk: Desk, partner_id: UUID, feed_id: UUID | None) -> Page:
    one = await offered(desk, partner_id)
    _ = desk.gettext
    shown = None if feed_id is None else await get_feed(desk.session, partner_id=partner_id, feed_id=feed_id)
    title = _("New feed") if shown is None else _("Change the feed")
    back = feeds_base(partner_id) if shown is None else f"{feeds_base(partner_id)}/{shown.feed_id}"
    crumbs = crumbs_of(desk, one, (_("Data to the partner"), feeds_base(partner_id)), (title, ""))
    note = _("A second person agrees before anything leaves. The slip's number is always in it; choose what the partner cannot do without.")
    fields = await _fields(desk, one, shown)
    return await desk.ask(title, fields, submit=_("Propose"), note=note, back=back, crumbs=crumbs, columns=True)


async def _fields(desk: Desk, one: PartnerView, shown: FeedView | None) -> list[Field]:
    _ = desk.gettext
    benefits = await benefits_with_purpose(desk, one.partner_id)
    if shown is None:
        benefit = select("benefit", _("Benefit"), [(code, desk.either(each.name_zh, each.name_en)) for code, each in benefits.items()])
    else:
        benefit = hidden("benefit", shown.benefit)
    columns = [each.value for each in (_USUAL if shown is None else shown.columns)]
    rhythm = Rhythm.WEEKLY if shown is None else shown.rhythm
    channel = FeedChannel.DOWNLOAD if shown is None else shown.channel
    key_help = _("Begins with age1. The partner makes it with age-keygen and keeps the other half; we cannot open what we send.")
    return [
        benefit,
        chips(
            "columns", _("What leaves of each person"), [(each.value, _(label)) for each, label in COLUMN.items()], many=True, value=columns
        ),
        chips("rhythm", _("How often"), [(each.value, _(label)) for each, (label, _tone) in RHYTHM.items()], value=rhythm.value),
        select(
            "weekday",
            _("Day of the week"),
            [(str(number), _(label)) for number, label in enumerate(WEEKDAYS, 1)],
            value=str(1 if shown is None else shown.weekday),
            help=_("Of a weekly one"),
        ),
        field(
            "month_day",
            _("Day of the month"),
            type="number",
            value=str(1 if shown is None else shown.month_day),
            help=_("Of a monthly one, 1 to 28"),
        ),
        field("at", _("Time"), type="time", value=f"{time(9) if shown is None else shown.at:%H:%M}", help=one.zone),
        chips("channel", _("Way"), [(each.value, _(label)) for each, (label, _tone) in CHANNEL.items()], value=channel.value),
        field("mail_to", _("Mail address"), type="email", required=False, value=(shown and shown.mail_to) or "", help=_("As a mail")),
        field(
            "webhook_url",
            _("Address of their system"),
            type="url",
            required=False,
            value=(shown and shown.webhook_url) or "",
            help=_("https, signed as Standard Webhooks says"),
        ),
        area("recipient", _("The partner's public key"), value="" if shown is None else shown.recipient, rows=2, help=key_help),
    ]


@post("/partners/{partner_id:uuid}/feeds/new", status_code=303)
async def propose(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Propose a feed."""
    return await _propose(desk, partner_id, None)


@post("/partners/{partner_id:uuid}/feeds/{feed_id:uuid}/edit", status_code=303)
async def change(desk: NamedDependency[Desk], partner_id: FromPath[UUID], feed_id: FromPath[UUID]) -> Page:
    """Propose another shape of a feed."""
    return await _propose(desk, partner_id, feed_id)


async def _propose(desk: Desk, partner_id: UUID, feed_id: UUID | None) -> Page:
    """Propose it; a new address of a system shows its secret once."""
    one = await allowed(desk, partner_id)
    _ = desk.gettext
    form = desk.form
    ticked = form.many("columns")
    at = form.clock_time("at", _("Time"))
    facts: dict[str, Any] = {
        "benefit": form.text("benefit", _("Benefit")),
        "columns": [each for each in FeedColumn if each.value in ticked],
        "rhythm": form.choice("rhythm", _("How often"), Rhythm, Rhythm.WEEKLY),
        "weekday": form.whole("weekday", _("Day of the week"), low=1, high=7),
        "month_day": form.whole("month_day", _("Day of the month"), low=1, high=28),
        "channel": form.choice("channel", _("Way"), FeedChannel, FeedChannel.DOWNLOAD),
        "mail_to": form.text("mail_to", _("Mail address"), required=False, longest=200) or None,
        "webhook_url": form.text("webhook_url", _("Address of their system"), required=False) or None,
        "recipient": form.text("recipient", _("The partner's public key"), longest=100),
    }
    if not facts["columns"]:
        form.fault("columns", _("What leaves of each person"), _("is needed"))
    form.check()
    assert at is not None
    made = await propose_feed(
        desk.session, partner_id=partner_id, feed_id=feed_id, facts=FeedFacts(**facts, at=at), actor=desk.actor, now=desk.now
    )
    to = f"{feeds_base(partner_id)}/{made.feed_id}"
    if not made.secret:
        return await desk.done(to, _("Proposed"))
    shown = Text(
        title=str(facts["webhook_url"]),
        note=_("Shown only now"),
        lines=[Markup('<span class="mono">{}</span>').format(made.secret)],
        acts=[Act(_("Kept safely, go on"), to)],
    )
    title = _("The secret")
    return await desk.shown(title, [shown], crumbs=crumbs_of(desk, one, (_("Data to the partner"), to), (title, "")), instead=True)


@get("/partners/{partner_id:uuid}/feeds/wording")
async def ask_wording(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Ask for the words in which customers are asked from now on."""
    one = await offered(desk, partner_id)
    _ = desk.gettext
    purpose = await _purpose(desk, partner_id, desk.query.raw("benefit"))
    before = next(iter(await wording_versions(desk.session, purpose=purpose, recipient=one.code)), None)
    fields = [
        hidden("benefit", desk.query.raw("benefit")),
        said(_("What goes to whom, what for, how long, and that it can be withdrawn at any time on one's own page or at any station.")),
        field("title_zh", _("Title in Chinese"), value="" if before is None else before.title_zh, autofocus=True),
        area("text_zh", _("Text in Chinese"), value="" if before is None else before.text_zh, rows=5),
        field("title_en", _("Title in English"), value="" if before is None else before.title_en),
        area("text_en", _("Text in English"), value="" if before is None else before.text_en, rows=5),
    ]
    title = _("What customers are asked: %(purpose)s", purpose=purpose)
    note = _("Consents that were given stay good for the words that were read then; this version is asked from now on.")
    crumbs = crumbs_of(desk, one, (_("Data to the partner"), feeds_base(partner_id)), (title, ""))
    action = f"{feeds_base(partner_id)}/wording"
    return await desk.ask(
        title,
        fields,
        submit=_("Ask it like this"),
        action=action,
        note=note,
        back=feeds_base(partner_id),
        crumbs=crumbs,
        sub=name_of(desk, one),
    )


@post("/partners/{partner_id:uuid}/feeds/wording", status_code=303)
async def keep_wording(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Keep the next version."""
    one = await allowed(desk, partner_id)
    _ = desk.gettext
    form = desk.form
    purpose = await _purpose(desk, partner_id, form.raw("benefit"))
    words: dict[str, Any] = {
        "title_zh": form.text("title_zh", _("Title in Chinese"), longest=80),
        "title_en": form.text("title_en", _("Title in English"), longest=80),
        "text_zh": form.text("text_zh", _("Text in Chinese"), longest=2_000),
        "text_en": form.text("text_en", _("Text in English"), longest=2_000),
    }
    form.check()
    await word_consent(desk.session, purpose=purpose, recipient=one.code, wording=Wording(**words), actor=desk.actor, now=desk.now)
    return await desk.done(feeds_base(partner_id), _("Asked like this from now on"))


async def _purpose(desk: Desk, partner_id: UUID, benefit: str) -> str:
    """Return the purpose of a benefit of the partner's.

    :raises NotFound: if it has none
    """
    desk.offer(Permission.EDIT_ALLIANCES)
    found = (await benefits_with_purpose(desk, partner_id)).get(benefit)
    if found is None or not found.purpose:
        raise NotFound
    return found.purpose


handlers = [ask_new, ask_change, propose, change, ask_wording, keep_wording]
