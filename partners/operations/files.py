"""Files of disputes and invoices: judged by their bytes, sealed, each once where it belongs."""

import hashlib
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.crypto import Purpose, seal
from loyalty.ids import uuid7
from partners.model_payment import PartnerFile
from partners.queries.settlement import DisputeNotFound, get_dispute

from .alliances import PartnerNotSound
from .documents import NAME_MAX, DocumentKnown, judged
from .settlement import DISPUTE_STANDS, DisputeCannotMove


class Paper(NamedTuple):
    """A file as it was handed in."""

    name: str
    content: bytes


async def add_evidence(session: AsyncSession, *, partner_id: UUID, dispute_id: UUID, paper: Paper, actor: Actor, now: datetime) -> UUID:
    """Keep what somebody of the partner or the issuer shows for a dispute that is not decided.

    :raises DisputeNotFound: if the partner has no such dispute
    :raises DisputeCannotMove: if it was decided
    :raises PartnerNotSound, DocumentNotRead, DocumentKnown: as for a signed paper
    """
    dispute = await get_dispute(session, dispute_id=dispute_id)
    if dispute.partner_id != partner_id:
        raise DisputeNotFound(dispute=dispute_id)
    if dispute.status not in DISPUTE_STANDS:
        raise DisputeCannotMove(status=dispute.status.value, to=dispute.status.value)
    return await keep_file(session, partner_id=partner_id, dispute_id=dispute_id, paper=paper, actor=actor, now=now)


async def keep_file(
    session: AsyncSession,
    *,
    partner_id: UUID,
    paper: Paper,
    actor: Actor,
    now: datetime,
    dispute_id: UUID | None = None,
    invoice_id: UUID | None = None,
) -> UUID:
    """Keep a file of the one dispute, or the one invoice, that the caller found to be the partner's.

    :raises PartnerNotSound: if it has no name, or one that is too long
    :raises DocumentNotRead: if it is none of what is kept by its content, or too large
    :raises DocumentKnown: if the same bytes are there already
    """
    name = paper.name.strip()
    if not 0 < len(name) <= NAME_MAX:
        raise PartnerNotSound(field="name")
    media, digest = judged(paper.content), hashlib.sha256(paper.content).digest()
    one = PartnerFile
    belongs = one.dispute_id == dispute_id if dispute_id is not None else one.invoice_id == invoice_id
    earlier = await session.scalar(select(one.name).where(one.partner_id == partner_id, belongs, one.digest == digest))
    if earlier is not None:
        raise DocumentKnown(name=earlier)
    file_id = uuid7(now)
    made = PartnerFile(
        file_id=file_id,
        partner_id=partner_id,
        dispute_id=dispute_id,
        invoice_id=invoice_id,
        name=name,
        media_type=media.value,
        size_bytes=len(paper.content),
        digest=digest,
        content=seal(Purpose.DOCUMENT, table="partner_files", column="content", row_id=file_id, plaintext=paper.content),
        made_by=f"{actor.kind.value}:{actor.actor_id}",
        made_at=now,
    )
    session.add(made)
    await session.flush()
    facts = {"file": file_id, "name": name, "digest": digest.hex()}
    await audit.record(session, actor=actor, action="partners.file_added", subject=("partner", partner_id), facts=facts, now=now)
    return file_id
