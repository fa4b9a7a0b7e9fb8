"""The ordinary routes of the POS API. The hot ones (authorisation, completion, sale) are in `loyalty.authorizations.hot_api`."""

from litestar.types import ControllerRouterHandler

from loyalty.identity.api import terminal_router
from loyalty.stations.operations import record_heartbeat

handlers: list[ControllerRouterHandler] = [terminal_router(record_heartbeat)]
"""What the composition root mounts."""
