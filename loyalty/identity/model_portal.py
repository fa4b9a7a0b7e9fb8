"""Users of companies: who may come into the fleet portal, and who was asked to. Secrets stand here only hashed or sealed."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column, synonym

from loyalty.db import Base, one_of
from loyalty.identity.model import LogInFacts


class PortalRole(StrEnum):
    """What somebody is within their company."""

    OWNER = "owner"
    FLEET_MANAGER = "fleet_manager"
    FINANCE = "finance"
    DEPARTMENT_HEAD = "department_head"
    """Sees one department and those below it."""
    CUSTODIAN = "custodian"
    """Keeps cards, lends them and takes them back."""
    VIEWER = "viewer"


class PortalUser(LogInFacts, Base):
    """A company's user; the log-in name is an e-mail address in lower case, good for one company."""

    __tablename__ = "portal_users"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[PortalRole]
    department_id: Mapped[UUID | None] = mapped_column(ForeignKey("departments.department_id"))
    """Whose head this is; None for every other role."""
    locale: Mapped[str] = mapped_column(Text)
    invited_by: Mapped[str] = mapped_column(Text)
    """Kind and id of the actor."""
    created_at: Mapped[datetime]

    tenant_id: Mapped[UUID] = synonym("company_id")
    place_id: Mapped[UUID | None] = synonym("department_id")

    __table_args__ = (
        one_of("role", PortalRole),
        CheckConstraint("(role = 'department_head') = (department_id IS NOT NULL)", name="department"),
        CheckConstraint("totp_confirmed_at IS NULL OR totp_secret IS NOT NULL", name="totp"),
        CheckConstraint("log_in_name = lower(log_in_name)", name="log_in_name"),
        Index("ux_portal_users_log_in_name", "log_in_name", unique=True),
        Index("ix_portal_users_company_id", "company_id", "user_id"),
    )

    @property
    def person_id(self) -> UUID:
        """Whose log-in it is."""
        return self.user_id


class PortalRecoveryCode(Base):
    """One of the codes that stand in for a lost second factor; SHA-256, once each."""

    __tablename__ = "portal_recovery_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("portal_users.user_id"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(primary_key=True)
    made_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class PortalInvitation(Base):
    """Somebody asked into a company's portal. The link holds 128 random bits or more, this row their SHA-256; good once, for seven days."""

    __tablename__ = "portal_invitations"

    invitation_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    token_hash: Mapped[bytes]
    email: Mapped[str] = mapped_column(Text)
    role: Mapped[PortalRole]
    department_id: Mapped[UUID | None] = mapped_column(ForeignKey("departments.department_id"))
    invited_by: Mapped[str] = mapped_column(Text)
    invited_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("portal_users.user_id"))
    """Who came of it."""
    withdrawn_at: Mapped[datetime | None]

    tenant_id: Mapped[UUID] = synonym("company_id")
    place_id: Mapped[UUID | None] = synonym("department_id")

    __table_args__ = (
        one_of("role", PortalRole),
        CheckConstraint("(role = 'department_head') = (department_id IS NOT NULL)", name="department"),
        CheckConstraint("email = lower(email)", name="email"),
        CheckConstraint("(accepted_at IS NULL) = (user_id IS NULL)", name="accepted"),
        CheckConstraint("accepted_at IS NULL OR withdrawn_at IS NULL", name="end"),
        Index("ux_portal_invitations_token_hash", "token_hash", unique=True),
        Index("ix_portal_invitations_company_id", "company_id", "invitation_id"),
        # One open invitation an address and company: a second one takes the first one's place.
        Index(
            "ux_portal_invitations_open",
            "company_id",
            "email",
            unique=True,
            postgresql_where=text("accepted_at IS NULL AND withdrawn_at IS NULL"),
        ),
    )
