"""Papers of an alliance: what there is, without their content; one opened."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.crypto import Purpose, open_
from loyalty.errors import NotFound
from loyalty.media import Media
from loyalty.paging import all_as
from partners.model import PartnerDocument


class DocumentNotFound(NotFound):
    """Unknown, or another partner's."""

    zh = "没有找到该文件。"
    en = "There is no such document."


class DocumentView(msgspec.Struct, frozen=True):
    """One paper, without its content."""

    document_id: UUID
    name: str
    media_type: str
    size_bytes: int
    digest: bytes
    made_by: UUID
    made_at: datetime


_DOCUMENT: Final = [getattr(PartnerDocument, name) for name in DocumentView.__struct_fields__]


async def documents_of(session: AsyncSession, *, partner_id: UUID) -> list[DocumentView]:
    """Return a partner's papers, the latest first; their content is not read."""
    wanted = select(*_DOCUMENT).where(PartnerDocument.partner_id == partner_id).order_by(PartnerDocument.document_id.desc())
    return await all_as(session, DocumentView, wanted)


async def open_document(session: AsyncSession, *, partner_id: UUID, document_id: UUID) -> tuple[Media, bytes]:
    """Return a paper's kind and content.

    :raises DocumentNotFound: if it is none of the partner's
    """
    one = PartnerDocument
    wanted = select(one.media_type, one.content).where(one.document_id == document_id, one.partner_id == partner_id)
    found = (await session.execute(wanted)).first()
    if found is None:
        raise DocumentNotFound(document=document_id)
    content = open_(Purpose.DOCUMENT, table="partner_documents", column="content", row_id=document_id, envelope=found.content)
    return Media(found.media_type), content
