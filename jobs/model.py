"""What the scheduler remembers."""

from datetime import datetime

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class JobRun(Base):
    """One job for one business period: begun, finished once, or failed and tried again."""

    __tablename__ = "job_runs"

    job: Mapped[str] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(Integer)
    done: Mapped[int | None]
    """How many things it did; what a thing is, the job says."""
    error: Mapped[str | None]
    """The kind of the last failure; never its message, which may hold a value."""
