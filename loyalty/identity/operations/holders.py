"""Sessions of customers: the holder's own page and the fleet portal. How a customer proves who they are is those portals' matter."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import token_hash
from loyalty.identity.model import Portal, Stage, UserSession
from loyalty.identity.rules import SessionTerms
from loyalty.ids import CustomerId

from .sessions import TERMS, NotSignedIn, log_out, open_session


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A signed-in customer, as one request sees them."""

    customer_id: CustomerId
    portal: Portal
    session_id: UUID
    address: str | None = None
    user_agent: str | None = None

    @property
    def actor(self) -> Actor:
        """Who the trail names."""
        return Actor(ActorKind.CUSTOMER, self.customer_id, self.address, self.user_agent)


async def open_holder_session(
    session: AsyncSession,
    *,
    customer_id: UUID,
    portal: Portal,
    previous_token: str | None = None,
    address: str | None = None,
    user_agent: str | None = None,
    now: datetime,
    terms: SessionTerms = TERMS,
) -> str:
    """Begin a session of a customer who has just proved who they are, and return its cookie's token; the browser's former one ends."""
    assert portal in {Portal.ME, Portal.FLEET}, "customers have portals of their own"
    if previous_token is not None:
        await log_out(session, token=previous_token, now=now)
    token, _ = await open_session(
        session,
        customer_id=customer_id,
        portal=portal,
        stage=Stage.OPEN,
        expires_at=now + terms.longest,
        address=address,
        user_agent=user_agent,
        now=now,
    )
    return token


async def resume_holder(
    session: AsyncSession,
    *,
    token: str,
    portal: Portal,
    address: str | None = None,
    user_agent: str | None = None,
    now: datetime,
    terms: SessionTerms = TERMS,
) -> Holder:
    """Return the customer who makes this request. `now` is real time.

    :raises NotSignedIn: if the token is no open session of this portal
    """
    row = await session.scalar(
        select(UserSession)
        .where(
            UserSession.token_hash == token_hash(token),
            UserSession.portal == portal,
            UserSession.stage == Stage.OPEN,
            UserSession.ended_at.is_(None),
            UserSession.expires_at > now,
            UserSession.last_seen_at > now - terms.idle,
        )
        .execution_options(populate_existing=True)
    )
    if row is None or row.customer_id is None:
        raise NotSignedIn
    if row.last_seen_at <= now - terms.idle / 30:
        row.last_seen_at = now
        await session.flush()
    return Holder(customer_id=CustomerId(row.customer_id), portal=portal, session_id=row.session_id, address=address, user_agent=user_agent)
