"""The partners' portal under /partner, and how what goes wrong there is said."""

from litestar import Router
from litestar.di import Provide

from partners.web.partner import api_keys, book, log_in, offline, outlets, people, redeem, statements, today
from partners.web.partner.desk import DOOR, provide_partner
from partners.web.partner.frame import HOME

_PAGES = (log_in, redeem, offline, today, book, statements, outlets, people, api_keys)

partner_portal = Router(
    path=HOME,
    route_handlers=[handler for module in _PAGES for handler in module.handlers],
    dependencies={"partner": Provide(provide_partner)},
    exception_handlers=DOOR.handlers(),
    include_in_schema=False,
)
