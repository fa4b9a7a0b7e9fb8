"""The portal's routes under /fleet, and how what goes wrong there is said."""

from litestar import Router
from litestar.di import Provide

from loyalty.web.fleet import (
    allocation_moves,
    allocation_table,
    allocations,
    api_keys,
    approvals,
    cards,
    company,
    deputies,
    disputes,
    drivers,
    economy,
    fills,
    findings,
    home,
    invoices,
    limit_dates,
    limit_profiles,
    limits,
    log_in,
    odometers,
    orders,
    people,
    sheets,
    statements,
    stations,
    vehicles,
    webhooks,
)
from loyalty.web.fleet.desk import DOOR, HOME, provide_fleet

_PAGES = (
    log_in,
    home,
    vehicles,
    odometers,
    drivers,
    cards,
    fills,
    economy,
    stations,
    disputes,
    approvals,
    findings,
    limits,
    limit_dates,
    orders,
    limit_profiles,
    allocations,
    allocation_moves,
    allocation_table,
    sheets,
    statements,
    invoices,
    people,
    deputies,
    api_keys,
    webhooks,
    company,
)

fleet = Router(
    path=HOME,
    route_handlers=[handler for module in _PAGES for handler in module.handlers],
    dependencies={"fleet": Provide(provide_fleet)},
    exception_handlers=DOOR.handlers(),
    include_in_schema=False,
)
