"""The ordinary routes of the POS API. The hot ones (authorisation, completion, sale) are in `loyalty.authorizations.hot_api`.

Two groups: what a trusted till may begin, and what any enrolled till may report, a quarantined one included, because it happened.
"""

from litestar import Router
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from loyalty.identity.api import terminal_router
from loyalty.stations.operations import record_heartbeat

from . import cards, terminals, topups
from .calling import provide_caller, provide_policy, signed, trusted

_DEPENDENCIES = {"caller": Provide(provide_caller), "policy": Provide(provide_policy)}

begun = Router(
    "/v1",
    guards=[trusted],
    dependencies=_DEPENDENCIES,
    opt={"signed": True},
    route_handlers=[
        terminals.place,
        terminals.offline_package,
        topups.top_up,
        topups.reverse_top_up,
        topups.purchase,
        topups.balance,
        cards.issue,
        cards.activate,
        cards.register,
        cards.change_pin,
        cards.reset_pin,
        cards.unlock_pin,
        cards.report_lost,
        cards.report_found,
        cards.replace,
    ],
)

reported = Router("/v1", guards=[signed], dependencies=_DEPENDENCIES, opt={"signed": True}, route_handlers=[])

handlers: list[ControllerRouterHandler] = [terminal_router(record_heartbeat), begun]
"""What the composition root mounts."""
