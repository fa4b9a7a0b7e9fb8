"""Whoever reads about one company: all of it, or a department head's part."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.errors import NotFound
from loyalty.fleet.queries.companies import CompanyView
from loyalty.web.i18n import Language
from loyalty.web.voice import Voice


class FleetVoice(Voice):
    """Says a company's values to one of its people."""

    company: CompanyView
    departments: frozenset[UUID] | None
    """What is shown is cut to them: a department head's own and those below it; None is the whole company."""

    @property
    def company_id(self) -> UUID:
        """The tenant."""
        return self.company.company_id

    def reaches(self, department_id: UUID | None) -> bool:
        """Say whether the reader sees what a department answers for."""
        return self.departments is None or department_id in self.departments

    def within(self, department_id: UUID | None) -> None:
        """Let the reader see what a department answers for.

        :raises NotFound: if it is none of the reader's departments: the answer is as for what does not exist
        """
        if not self.reaches(department_id):
            raise NotFound


class FleetWriter(FleetVoice):
    """Writes to somebody who asked for nothing just now: a mail's reader."""

    def __init__(
        self, session: AsyncSession, words: Language, company: CompanyView, departments: frozenset[UUID] | None, now: datetime
    ) -> None:
        super().__init__(session, words, company.time_zone, now)
        self.company = company
        self.departments = departments
