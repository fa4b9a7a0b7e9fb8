"""Users of partners: who may come into the partner portal, and who was asked to. Secrets stand here only hashed or sealed."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column, synonym

from loyalty.db import Base, one_of
from loyalty.identity.model import LogInFacts


class PartnerRole(StrEnum):
    """What somebody is at a partner."""

    OWNER = "owner"
    FINANCE = "finance"
    CLERK = "clerk"
    """Redeems at one outlet, on one phone: no mailbox is asked of them."""


class PartnerUser(LogInFacts, Base):
    """A partner's user. Owners and finance log in with an e-mail address; a clerk with a PIN, and only on the phone that took the link.

    A clerk's log-in name is their id, which nobody types, and the password their PIN: it is judged only together with the phone.
    """

    __tablename__ = "partner_users"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[PartnerRole]
    outlet_id: Mapped[UUID | None] = mapped_column(ForeignKey("partner_outlets.outlet_id"))
    """Where a clerk serves; None for every other role."""
    phone_hash: Mapped[bytes | None]
    """SHA-256 of the secret that the clerk's phone keeps."""
    locale: Mapped[str] = mapped_column(Text)
    invited_by: Mapped[str] = mapped_column(Text)
    """Kind and id of the actor."""
    created_at: Mapped[datetime]

    tenant_id: Mapped[UUID] = synonym("partner_id")
    place_id: Mapped[UUID | None] = synonym("outlet_id")

    __table_args__ = (
        one_of("role", PartnerRole),
        CheckConstraint("(role = 'clerk') = (outlet_id IS NOT NULL) AND (phone_hash IS NULL OR role = 'clerk')", name="clerk"),
        CheckConstraint("totp_confirmed_at IS NULL OR (totp_secret IS NOT NULL AND role <> 'clerk')", name="totp"),
        CheckConstraint("log_in_name = lower(log_in_name)", name="log_in_name"),
        Index("ux_partner_users_log_in_name", "log_in_name", unique=True),
        Index("ux_partner_users_phone_hash", "phone_hash", unique=True),
        Index("ix_partner_users_partner_id", "partner_id", "user_id"),
    )

    @property
    def person_id(self) -> UUID:
        """Whose log-in it is."""
        return self.user_id


class PartnerRecoveryCode(Base):
    """One of the codes that stand in for a lost second factor; SHA-256, once each."""

    __tablename__ = "partner_recovery_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("partner_users.user_id"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(primary_key=True)
    made_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class PartnerInvitation(Base):
    """Somebody asked into a partner's portal: by mail, or, a clerk, by a link that the phone takes. Good once, for seven days."""

    __tablename__ = "partner_invitations"

    invitation_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    token_hash: Mapped[bytes]
    email: Mapped[str | None] = mapped_column(Text)
    """None: a clerk's."""
    name: Mapped[str | None] = mapped_column(Text)
    """The clerk's, as the owner wrote it."""
    role: Mapped[PartnerRole]
    outlet_id: Mapped[UUID | None] = mapped_column(ForeignKey("partner_outlets.outlet_id"))
    invited_by: Mapped[str] = mapped_column(Text)
    invited_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("partner_users.user_id"))
    """Who came of it; of a clerk who gets another phone, who it is for."""
    withdrawn_at: Mapped[datetime | None]

    tenant_id: Mapped[UUID] = synonym("partner_id")
    place_id: Mapped[UUID | None] = synonym("outlet_id")

    __table_args__ = (
        one_of("role", PartnerRole),
        CheckConstraint("(role = 'clerk') = (outlet_id IS NOT NULL)", name="clerk"),
        CheckConstraint("(role = 'clerk') = (email IS NULL) AND (role = 'clerk') = (name IS NOT NULL)", name="named"),
        CheckConstraint("email = lower(email)", name="email"),
        CheckConstraint("accepted_at IS NULL OR (user_id IS NOT NULL AND withdrawn_at IS NULL)", name="end"),
        Index("ux_partner_invitations_token_hash", "token_hash", unique=True),
        Index("ix_partner_invitations_partner_id", "partner_id", "invitation_id"),
        Index(
            "ux_partner_invitations_open",
            "partner_id",
            "email",
            unique=True,
            postgresql_where=text("email IS NOT NULL AND accepted_at IS NULL AND withdrawn_at IS NULL"),
        ),
    )
