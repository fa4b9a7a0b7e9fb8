"""One feed: what it says of whom, what its next list would say, what can be done with it."""

from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.identity.rules import Permission
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.parts import Act, Facts, Part, Rows, Said
from partners.model_feeds import FEED_MOVES, FeedStatus
from partners.operations.feed_runs import preview, send_now
from partners.operations.feeds import decide_feed
from partners.queries.alliances import PartnerView, get_partner
from partners.queries.feeds import FeedView, get_feed
from partners.web.office.common import crumbs_of
from partners.web.office.feed_words import CHANNEL, COLUMN, FEED, RECORD
from partners.web.office.feeds import benefit_name, benefits_with_purpose, feeds_base, files_part, rhythm_said

_SHOWN: Final = 50
_FEED_PATH: Final = "/partners/{partner_id:uuid}/feeds/{feed_id:uuid}"
_MOVES: Final = {
    "approve": (FeedStatus.ACTIVE, N_("Let it run"), N_("From then on its lists leave by themselves at its instants.")),
    "resume": (FeedStatus.ACTIVE, N_("Let it run again"), N_("The next list says all that changed meanwhile.")),
    "pause": (FeedStatus.PAUSED, N_("Pause it"), N_("No list leaves, removals neither: the partner keeps what it has.")),
    "end": (FeedStatus.ENDED, N_("End it"), N_("No list ever leaves by it again. What the partner has is not taken back by this.")),
}
_SENDS: Final = {
    "send": (False, N_("Send what changed now"), N_("A list out of turn; the next instant stays.")),
    "send-all": (True, N_("Send everybody anew"), N_("For a partner that lost its list or has a new key: all who agree, each as new.")),
}


@get(_FEED_PATH)
async def feed(desk: NamedDependency[Desk], partner_id: FromPath[UUID], feed_id: FromPath[UUID]) -> Page:
    """Show a feed, its next list and its files."""
    desk.require(Permission.READ_ALLIANCES)
    one = await get_partner(desk.session, partner_id=partner_id)
    shown = await get_feed(desk.session, partner_id=partner_id, feed_id=feed_id)
    name = benefit_name(desk, await benefits_with_purpose(desk, partner_id), shown.benefit)
    main: list[Part] = [await _next_part(desk, one, shown)] if shown.status is not FeedStatus.ENDED else []
    return await desk.page(
        name,
        sub=rhythm_said(desk, shown),
        crumbs=crumbs_of(desk, one, (desk.gettext("Data to the partner"), feeds_base(partner_id)), (name, "")),
        tags=[cells.tag(desk, shown.status, FEED).show],
        acts=_acts(desk, shown),
        top=_needs(desk, shown),
        main=[*main, await files_part(desk, one, feed_id)],
        aside=[await _facts(desk, one, shown)],
    )


def _acts(desk: Desk, one: FeedView) -> list[Act | None]:
    _ = desk.gettext
    base = f"{feeds_base(one.partner_id)}/{one.feed_id}"
    acts: list[Act | None] = []
    if desk.may(Permission.EDIT_ALLIANCES) and one.status is not FeedStatus.ENDED:
        acts.append(Act(_("Change"), f"{base}/edit"))
        if one.status is FeedStatus.ACTIVE:
            acts += [Act(_(title), f"{base}/{act}") for act, (_whole, title, _meaning) in _SENDS.items()]
    for act, (to, title, _meaning) in _MOVES.items():
        fits = to in FEED_MOVES[one.status] and (act != "approve" or one.status is FeedStatus.PROPOSED)
        if fits and (act != "resume" or one.status is FeedStatus.PAUSED) and desk.may(_right(act)):
            acts.append(Act(_(title), f"{base}/{act}", primary=act == "approve", danger=act == "end"))
    return acts


def _right(act: str) -> Permission:
    return Permission.APPROVE_ALLIANCES if act == "approve" else Permission.EDIT_ALLIANCES


def _needs(desk: Desk, one: FeedView) -> list[Part]:
    _ = desk.gettext
    if one.status is not FeedStatus.PROPOSED:
        return []
    then = _("Compare the public key with the one the partner read out to you. Nothing leaves until a second person agrees.")
    return [Said(title=_("This feed waits for a second person"), then=then, tone="warn")]


async def _next_part(desk: Desk, one: PartnerView, shown: FeedView) -> Rows:
    """Return what the next list would say, were it made now: by slip and kind, never in more than the reader needs."""
    _ = desk.gettext
    said, nobody = await preview(desk.session, partner_id=one.partner_id, benefit=shown.benefit, columns=shown.columns, now=desk.now)
    totals = said.totals
    note = _(
        "%(new)s new · %(corrections)s corrections · %(removals)s removals · %(held_back)s held back without consent",
        new=desk.f.count(totals.new),
        corrections=desk.f.count(totals.corrections),
        removals=desk.f.count(totals.removals),
        held_back=desk.f.count(said.held_back),
    )
    if nobody:
        note += " · " + _("%(nobody)s vouchers of cards nobody is registered for", nobody=desk.f.count(nobody))
    lines = list(zip(said.records, said.names, strict=True))[:_SHOWN]
    return Rows(
        title=_("The next list, as it stands now"),
        note=note,
        columns=[Column(_("Slip")), Column(_("What")), Column(_("Customer")), Column(_("Cover"), "num")],
        rows=[
            [
                cells.text(slip),
                cells.tag(desk, record.kind, RECORD),
                cells.text(name),
                cells.money(desk, record.cover_minor or None, one.currency),
            ]
            for record, (slip, name) in lines
        ],
        empty=_("Nothing would change"),
        id="next",
    )


async def _facts(desk: Desk, one: PartnerView, shown: FeedView) -> Facts:
    _ = desk.gettext
    names = await lookups.people(desk, [shown.made_by, shown.decided_by])
    to = shown.mail_to or shown.webhook_url or "—"
    pairs: list[tuple[str, Any]] = [
        (_("Says"), ", ".join([_("Slip"), *(_(COLUMN[each]) for each in shown.columns)])),
        (_("How often"), rhythm_said(desk, shown)),
        (_("Time zone"), one.zone),
        (_("Next list"), "—" if shown.next_due is None else desk.f.instant(shown.next_due)),
        (_("Way"), _(CHANNEL[shown.channel][0])),
        (_("To"), to),
        (_("Public key"), Markup('<span class="mono small">{}</span>').format(shown.recipient)),
        (_("Proposed"), f"{names.get(shown.made_by, '—')} · {desk.f.when(shown.made_at)}"),
    ]
    if shown.decided_by is not None and shown.decided_at is not None:
        pairs.append((_("Agreed"), f"{names.get(shown.decided_by, '—')} · {desk.f.when(shown.decided_at)}"))
    return Facts(title=_("Feed"), pairs=pairs)


@get([f"{_FEED_PATH}/{act}" for act in (*_MOVES, *_SENDS)])
async def ask_act(desk: NamedDependency[Desk], partner_id: FromPath[UUID], feed_id: FromPath[UUID]) -> Page:
    """Ask once."""
    desk.offer(_right(desk.act))
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)
    shown = await get_feed(desk.session, partner_id=partner_id, feed_id=feed_id)
    _value, title, note = _MOVES[desk.act] if desk.act in _MOVES else _SENDS[desk.act]
    back = f"{feeds_base(partner_id)}/{feed_id}"
    crumbs = crumbs_of(desk, one, (_("Data to the partner"), feeds_base(partner_id)), (shown.benefit, back), (_(title), ""))
    top = [await _facts(desk, one, shown)] if desk.act == "approve" else []
    return await desk.ask(_(title), [], submit=_(title), danger=desk.act == "end", note=_(note), back=back, crumbs=crumbs, aside=top)


@post([f"{_FEED_PATH}/{act}" for act in _MOVES], status_code=303)
async def move(desk: NamedDependency[Desk], partner_id: FromPath[UUID], feed_id: FromPath[UUID]) -> Page:
    """Let a feed run, pause it, end it."""
    desk.require(_right(desk.act))
    to, _title, _note = _MOVES[desk.act]
    await decide_feed(desk.session, partner_id=partner_id, feed_id=feed_id, to=to, actor=desk.actor, now=desk.now)
    return await desk.done(f"{feeds_base(partner_id)}/{feed_id}", desk.gettext(FEED[to][0]))


@post([f"{_FEED_PATH}/{act}" for act in _SENDS], status_code=303)
async def send(desk: NamedDependency[Desk], partner_id: FromPath[UUID], feed_id: FromPath[UUID]) -> Page:
    """Make a list out of turn."""
    desk.require(Permission.EDIT_ALLIANCES)
    whole, _title, _note = _SENDS[desk.act]
    sender = desk.request.app.state.settings.mail_from
    of = {"partner_id": partner_id, "feed_id": feed_id}
    batch_id = await send_now(desk.session, **of, whole=whole, sender=sender, actor=desk.actor, now=desk.now)
    return await desk.done(f"{feeds_base(partner_id)}/files/{batch_id}", desk.gettext("The list is made"))


handlers = [feed, ask_act, move, send]
