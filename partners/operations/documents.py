"""Papers of an alliance: judged by their bytes, sealed, each once a partner."""

import hashlib
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.crypto import Purpose, seal
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.media import Media, media_of
from loyalty.topups.operations.traces import staff_of
from partners.model import PartnerDocument

from .alliances import PartnerNotSound, lock_partner

DOCUMENT_BYTES_MAX: Final = 10_000_000
DOCUMENT_KINDS: Final = (Media.PDF, Media.JPEG, Media.PNG)
NAME_MAX: Final = 120


class DocumentNotRead(Refusal):
    """None of what is kept by its content, whatever its name says, or too large."""

    status = 422
    zh = "文件须为 10 MB 以内的 PDF、JPEG 或 PNG。"
    en = "A document is a PDF, JPEG or PNG of at most 10 MB."
    next_zh = "请另存为 PDF 或重新扫描后再上传。"
    next_en = "Save it as a PDF, or scan it again."


class DocumentKnown(Refusal):
    """The same bytes are the same paper."""

    status = 409
    zh = "该文件已存为“{name}”。"
    en = "This very file is kept already, as “{name}”."
    next_zh = "无需重复上传；如内容不同，请核对所选文件。"
    next_en = "There is nothing to do; if another one was meant, check which file was chosen."


def judged(content: bytes) -> Media:
    """Say what a paper is by its bytes, whatever its name says.

    :raises DocumentNotRead: if it is none of `DOCUMENT_KINDS`, or too large
    """
    media = media_of(content)
    if media is None or media not in DOCUMENT_KINDS or len(content) > DOCUMENT_BYTES_MAX:
        raise DocumentNotRead
    return media


async def add_document(session: AsyncSession, *, partner_id: UUID, name: str, content: bytes, actor: Actor, now: datetime) -> UUID:
    """Keep a signed paper of an alliance, sealed, known by the SHA-256 of its bytes.

    :raises PartnerNotFound: if there is no such partner
    :raises PartnerNotSound: if it has no name, or one that is too long
    :raises DocumentNotRead: if it is none of `DOCUMENT_KINDS` by its content, or too large
    :raises DocumentKnown: if the partner has the same bytes already
    """
    await lock_partner(session, partner_id=partner_id)
    if not 0 < len(name.strip()) <= NAME_MAX:
        raise PartnerNotSound(field="name")
    media = judged(content)
    digest = hashlib.sha256(content).digest()
    known = select(PartnerDocument.name).where(PartnerDocument.partner_id == partner_id, PartnerDocument.digest == digest)
    earlier = await session.scalar(known)
    if earlier is not None:
        raise DocumentKnown(name=earlier)
    document_id = uuid7(now)
    made = PartnerDocument(
        document_id=document_id,
        partner_id=partner_id,
        name=name.strip(),
        media_type=media.value,
        size_bytes=len(content),
        digest=digest,
        content=seal(Purpose.DOCUMENT, table="partner_documents", column="content", row_id=document_id, plaintext=content),
        made_by=staff_of(actor),
        made_at=now,
    )
    session.add(made)
    await session.flush()
    facts = {"document": document_id, "name": made.name, "digest": digest.hex()}
    await audit.record(session, actor=actor, action="partners.document_added", subject=("partner", partner_id), facts=facts, now=now)
    return document_id
