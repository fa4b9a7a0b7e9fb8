"""What leaves the house: what was sent, what waits, what came to nothing; and, where no mail server is set, what it says."""

import email
import email.policy
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response

from loyalty.audit import operations as audit
from loyalty.errors import NotFound
from loyalty.identity.rules import Permission
from loyalty.outbox import MESSAGE_MOVES, Channel, MessageStatus, MessageView, get_message, list_messages, payload_of, send_again
from loyalty.paging import Page as Found
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import word_filter
from loyalty.web.office.parts import Act, Cell, Facts, Part, Rows, Said, Text
from loyalty.web.rendering import document

PATH: Final = "/office/outbox"
_MAY: Final = Permission.MANAGE_OUTBOX
STATUS: Final = {
    MessageStatus.WAITING: (N_("To be sent"), "warn"),
    MessageStatus.SENDING: (N_("Being sent"), "warn"),
    MessageStatus.SENT: (N_("Sent"), "good"),
    MessageStatus.CAPTURED: (N_("Kept here"), ""),
    MessageStatus.UNCERTAIN: (N_("May have left"), "bad"),
    MessageStatus.DEAD: (N_("Given up"), "bad"),
}
ABOUT: Final = {
    "fleet.report.week": N_("A company's week"),
    "fleet.report.period": N_("A company's statement"),
    "partners.feed": N_("A partner's list"),
}


@get(three("/outbox"))
async def outbox(desk: NamedDependency[Desk]) -> Any:
    """List what leaves the house, the latest first."""
    desk.require(_MAY)
    _ = desk.gettext
    listing = desk.listing(PATH, "", ["status"])
    status = desk.query.maybe("status", MessageStatus)

    async def fetch(cursor: str | None, limit: int) -> Found[MessageView]:
        return await list_messages(desk.session, statuses=() if status is None else (status,), cursor=cursor, limit=limit)

    async def rows(found: Sequence[MessageView]) -> list[list[Cell]]:
        return [
            [
                cells.when(desk, one.made_at),
                cells.text(_(ABOUT[one.about]) if one.about in ABOUT else one.about),
                cells.text(one.recipient_shown),
                cells.tag(desk, one.status, STATUS),
                cells.count(desk, one.attempts),
                cells.text(_("No mail server is set") if one.status is MessageStatus.CAPTURED else one.error),
                Cell(_acts(desk, one), ""),
            ]
            for one in found
        ]

    top: list[Part] = []
    if desk.request.app.state.settings.smtp_url is None:
        kept = _("Mail is kept here and not sent. Whoever runs the service sets LOYALTY_SMTP; what is kept may then be sent from here.")
        top.append(Said(title=_("No mail server is set"), then=kept))
    heads = [Column(_("Made")), Column(_("What it is")), Column(_("To whom")), Column(_("Status"))]
    return await show(
        desk,
        List(
            title=_("Outgoing mail"),
            listing=listing,
            columns=[*heads, Column(_("Tries"), "num"), Column(_("Why not")), Column("")],
            fetch=fetch,
            rows=rows,
            filters=[word_filter(desk, "status", _("Status"), STATUS, listing)],
            empty=_("Nothing leaves the house yet"),
            empty_then=_("Companies' people choose reports in their portal; they stand here as soon as one is due."),
            name="outbox",
            top=top,
        ),
    )


def _acts(desk: Desk, one: MessageView) -> Any:
    _ = desk.gettext
    if one.status is MessageStatus.CAPTURED and one.channel is Channel.MAIL:
        return desk.link(f"{PATH}/{one.message_id}", _("Show"))
    if MessageStatus.WAITING in MESSAGE_MOVES[one.status] and one.status is not MessageStatus.SENDING:
        return desk.link(f"{PATH}/{one.message_id}/again", _("Send again"))
    return ""


async def _mail(desk: Desk, message_id: UUID) -> EmailMessage:
    """Return a kept mail; the trail says who read it."""
    desk.require(_MAY)
    payload = await payload_of(desk.session, message_id=message_id)
    subject = ("outbox_message", message_id)
    await audit.record(desk.session, actor=desk.actor, action="outbox.message_read", subject=subject, facts={}, now=desk.now)
    return email.message_from_bytes(payload, policy=email.policy.default)


@get("/outbox/{message_id:uuid}")
async def message(desk: NamedDependency[Desk], message_id: FromPath[UUID]) -> Page:
    """Show what a kept mail says, with its files."""
    mail = await _mail(desk, message_id)
    _ = desk.gettext
    said = mail.get_body(("plain",))
    files = [
        [
            cells.link(desk, f"{PATH}/{message_id}/files/{place}", one.get_filename() or "—"),
            cells.text(one.get_content_type()),
            cells.count(desk, len(one.get_content())),
        ]
        for place, one in enumerate(mail.iter_attachments())
    ]
    main: list[Part] = [Text(title=_("What it says"), lines=said.get_content().splitlines() if said else [])]
    if files:
        columns = [Column(_("File")), Column(_("Kind")), Column(_("Bytes"), "num")]
        main.append(Rows(title=_("Files"), columns=columns, rows=files, empty=""))
    return await desk.page(
        str(mail["Subject"]),
        crumbs=[(_("Outgoing mail"), PATH), (str(mail["Subject"]), "")],
        acts=[Act(_("Send it"), f"{PATH}/{message_id}/again")] if desk.request.app.state.settings.smtp_url else [],
        main=main,
        aside=[
            Facts(
                title=_("This mail"),
                pairs=[(_("From"), str(mail["From"])), (_("To"), str(mail["To"])), (_("Date"), desk.f.instant(mail["Date"].datetime))],
            )
        ],
    )


@get("/outbox/{message_id:uuid}/files/{place:int}")
async def file(desk: NamedDependency[Desk], message_id: FromPath[UUID], place: FromPath[int]) -> Response[bytes]:
    """Send one file of a kept mail."""
    mail = await _mail(desk, message_id)
    found = dict(enumerate(mail.iter_attachments())).get(place)
    if found is None:
        raise NotFound
    return document(found.get_content(), media_type=found.get_content_type(), filename=found.get_filename() or "file")


@get("/outbox/{message_id:uuid}/again")
async def ask_again(desk: NamedDependency[Desk], message_id: FromPath[UUID]) -> Page:
    """Ask once: the recipient may get it twice."""
    desk.require(_MAY)
    _ = desk.gettext
    crumbs = [(_("Outgoing mail"), PATH), (_("Send again"), "")]
    one = await get_message(desk.session, message_id=message_id)
    note = _("To %(whom)s. If it had left after all, they get it twice.", whom=one.recipient_shown)
    return await desk.ask(_("Send this message again?"), [], submit=_("Send again"), note=note, back=PATH, crumbs=crumbs)


@post("/outbox/{message_id:uuid}/again", status_code=303)
async def again(desk: NamedDependency[Desk], message_id: FromPath[UUID]) -> Page:
    """Let it be sent once more."""
    desk.require(_MAY)
    for guard in getattr(desk.request.app.state, "resend_guards", ()):
        await guard(desk.session, message_id=message_id, now=desk.now)
    await send_again(desk.session, message_id=message_id, now=desk.now)
    subject = ("outbox_message", message_id)
    await audit.record(desk.session, actor=desk.actor, action="outbox.message_sent_again", subject=subject, facts={}, now=desk.now)
    return await desk.done(PATH, desk.gettext("It is sent within a minute"))


handlers = [outbox, message, file, ask_again, again]
