"""The kernel's own tables."""

from datetime import datetime

from sqlalchemy import CheckConstraint, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class Revision(Base):
    """One counter a kind of reference data (`loyalty.revisions`)."""

    __tablename__ = "revisions"

    kind: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int]


class Installation(Base):
    """The one row that says which keys this database was written with."""

    __tablename__ = "installation"

    installation: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    keys_fingerprint: Mapped[str]
    installed_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("installation = 1", name="single"),)
