"""The office's first page: does it balance, and what needs me."""

from litestar import get
from litestar.di import NamedDependency

from loyalty.web.office.desk import Desk, Page


@get("/")
async def home(desk: NamedDependency[Desk]) -> Page:
    """Show what needs attention."""
    return await desk.page(desk.gettext("Home"))


handlers = [home]
