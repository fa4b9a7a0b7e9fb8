"""The office's pages of alliances under /office/partners: they look and behave as the rest of the office."""

from litestar import Router
from litestar.di import Provide

from loyalty.web.office.desk import DOOR, provide_desk
from partners.web.office import (
    agreements,
    disputes,
    documents,
    feed_edit,
    feed_files,
    feed_page,
    feeds,
    inbound,
    lines,
    notices,
    outlets,
    page,
    partners,
    payments,
    people,
    settlement,
    statements,
    terms_edit,
)

_PAGES = (
    partners,
    page,
    outlets,
    notices,
    documents,
    terms_edit,
    agreements,
    lines,
    feeds,
    feed_edit,
    feed_page,
    feed_files,
    inbound,
    people,
    statements,
    disputes,
    payments,
    settlement,
)

partners_office = Router(
    path="/office",
    route_handlers=[handler for module in _PAGES for handler in module.handlers],
    dependencies={"desk": Provide(provide_desk)},
    exception_handlers=DOOR.handlers(),
    include_in_schema=False,
)
