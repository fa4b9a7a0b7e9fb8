"""Papers of an alliance: handed in, listed with what they are known by, fetched."""

from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response
from markupsafe import Markup

from loyalty.identity.rules import Permission
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import field, file
from loyalty.web.office.parts import Act, Cell, Rows
from loyalty.web.rendering import document
from partners.operations.documents import DOCUMENT_BYTES_MAX, DOCUMENT_KINDS, NAME_MAX, add_document
from partners.queries.alliances import PartnerView, get_partner
from partners.queries.documents import DocumentView, documents_of, open_document
from partners.web.office.common import allowed, base_of, crumbs_of, offered

_ACCEPT: Final = ".pdf,.jpg,.jpeg,.png"
_KIB: Final = 1024


async def documents_part(desk: Desk, one: PartnerView) -> Rows:
    """Return the partner's papers; each is known by its digest."""
    _ = desk.gettext
    found = await documents_of(desk.session, partner_id=one.partner_id)
    names = await lookups.people(desk, [each.made_by for each in found])
    edits = desk.may(Permission.EDIT_ALLIANCES)
    return Rows(
        title=_("Signed papers"),
        columns=[Column(_("Name")), Column(_("Size"), "num"), Column("SHA-256"), Column(_("Kept since")), Column(_("By"))],
        rows=[
            [
                cells.link(desk, f"{base_of(one.partner_id)}/documents/{each.document_id}", each.name),
                cells.text(_size(desk, each.size_bytes)),
                _digest(each),
                cells.when(desk, each.made_at),
                cells.text(names.get(each.made_by)),
            ]
            for each in found
        ],
        empty=_("None yet: the signed agreement, licences, certificates."),
        acts=[Act(_("Add a paper"), f"{base_of(one.partner_id)}/documents/new")] if edits else [],
        id="documents",
    )


def _size(desk: Desk, size_bytes: int) -> str:
    return f"{desk.f.count(-(-size_bytes // _KIB))} KB"


def _digest(one: DocumentView) -> Cell:
    """Show the digest's beginning, the whole of it behind: to be compared with that of the paper at hand."""
    whole = one.digest.hex()
    return Cell(Markup('<span class="mono small" title="{}">{}…</span>').format(whole, whole[:16]), whole)


@get("/partners/{partner_id:uuid}/documents/new")
async def new_document(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Ask for the file."""
    one = await offered(desk, partner_id)
    _ = desk.gettext
    title = _("Add a paper")
    size = _("PDF, JPEG or PNG, at most %(size)s MB", size=DOCUMENT_BYTES_MAX // 1_000_000)
    fields = [
        field("name", _("Name of the document"), placeholder=_("Agreement 2026, signed"), autofocus=True),
        file("file", _("File"), accept=_ACCEPT, help=size),
    ]
    crumbs = crumbs_of(desk, one, (title, ""))
    note = _("It is kept sealed, and never changed; the same file is kept once.")
    return await desk.ask(title, fields, submit=_("Keep it"), note=note, back=base_of(partner_id), crumbs=crumbs, upload=True)


@post("/partners/{partner_id:uuid}/documents/new", status_code=303)
async def keep_document(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Keep it."""
    await allowed(desk, partner_id)
    _ = desk.gettext
    name = desk.form.text("name", _("Name of the document"), longest=NAME_MAX)
    _filename, content = await desk.form.file("file", _("File"), largest=DOCUMENT_BYTES_MAX, kinds=DOCUMENT_KINDS)
    desk.form.check()
    await add_document(desk.session, partner_id=partner_id, name=name, content=content, actor=desk.actor, now=desk.now)
    return await desk.done(f"{base_of(partner_id)}#documents", _("Kept"))


@get("/partners/{partner_id:uuid}/documents/{document_id:uuid}")
async def fetch_document(desk: NamedDependency[Desk], partner_id: FromPath[UUID], document_id: FromPath[UUID]) -> Response[bytes]:
    """Send a paper as what it was found to be, to be kept, not to be opened as a page of ours."""
    desk.require(Permission.READ_ALLIANCES)
    one: PartnerView = await get_partner(desk.session, partner_id=partner_id)
    media, content = await open_document(desk.session, partner_id=partner_id, document_id=document_id)
    return document(content, media_type=media.value, filename=f"{one.code}-{str(document_id)[-8:]}.{media.ending}")


handlers = [new_document, keep_document, fetch_document]
