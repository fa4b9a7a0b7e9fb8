"""The POS API. The hot routes (authorisation, completion, sale) are answered in `loyalty.authorizations.hot_api`, described here.

Two groups: what a trusted till may begin, and what any enrolled till may report, a quarantined one included, because it happened.
"""

from litestar import Router
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from loyalty.identity.api import terminal_router
from loyalty.stations.operations import record_heartbeat

from . import advices, approvals, cards, fills, hot, lists, points, questions, sales, shifts, terminals, topups, vouchers
from .calling import provide_caller, provide_policy, signed, trusted

_DEPENDENCIES = {"caller": Provide(provide_caller), "policy": Provide(provide_policy)}
_SECURITY = [{"daySession": list[str]()}]

begun = Router(
    "/v1",
    guards=[trusted],
    dependencies=_DEPENDENCIES,
    opt={"signed": True},
    security=_SECURITY,
    route_handlers=[
        approvals.ask_company,
        cards.activate,
        cards.change_pin,
        cards.issue,
        cards.register,
        cards.replace,
        cards.report_found,
        cards.report_lost,
        cards.reset_pin,
        cards.unlock_pin,
        fills.request_payment,
        points.points_offers,
        points.redeem_points,
        points.reverse_redemption,
        vouchers.redeem_voucher,
        vouchers.use_voucher,
        vouchers.roll_back_voucher,
        questions.balance,
        questions.quote,
        sales.refund,
        shifts.open_,
        terminals.offline_package,
        terminals.place,
        topups.purchase,
        topups.quote_top_up,
        topups.refund_top_up,
        topups.reverse_top_up,
        topups.top_up,
    ],
)

reported = Router(
    "/v1",
    guards=[signed],
    dependencies=_DEPENDENCIES,
    opt={"signed": True},
    security=_SECURITY,
    route_handlers=[
        advices.report_advices,
        fills.cancel_payment_request,
        fills.close_fill,
        fills.payment_request,
        fills.report_fills,
        hot.authorize,
        hot.complete,
        hot.sell,
        lists.sale_whole,
        lists.sales,
        lists.unpaid_fills,
        lists.unresolved,
        sales.nozzle_not_lifted,
        sales.reverse_original,
        shifts.close,
        shifts.close_the_day,
        shifts.current,
        shifts.drop_cash,
    ],
)

handlers: list[ControllerRouterHandler] = [terminal_router(record_heartbeat), begun, reported]
"""What the composition root mounts."""
