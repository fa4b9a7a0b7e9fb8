"""The hot operations as ordinary handlers: the same structs, the same answer, described for the API document.

A web process answers these paths before Litestar sees them (`loyalty.authorizations.hot_api`); here they stand so that the document is
generated from what is really decoded, and so that they work wherever only the Litestar application is mounted.
"""

from typing import Any

from litestar import Request, Response, post
from litestar.params import FromPath, JSONBody

from loyalty.authorizations.hot_api import HotRoutes, raw_path
from loyalty.authorizations.wire import AuthorizationAnswer, AuthorizationRequest, CompletionRequest, SaleAnswer, SaleRequest

from .writing import stored

_TAG = ["at the pump"]


@post("/authorizations", summary="Authorise before fuel flows / 预授权", tags=_TAG, status_code=200)
async def authorize(data: JSONBody[AuthorizationRequest], request: Request[Any, Any, Any]) -> Response[AuthorizationAnswer]:  # noqa: ARG001 - decoded once more where it is answered
    """Preset, or card at the pump. `outcome` is approved, partial, pending_review, more_data or declined; a retry with the key repeats it.

    A partial approval is the least of what limits, terminal and funds allow. What is approved freezes the discounts, never the fuel price.
    """
    return await _hot(request)


@post("/authorizations/{authorization:str}/completions", summary="Report what was dispensed / 加油完成", tags=_TAG, status_code=200)
async def complete(
    authorization: FromPath[str],  # noqa: ARG001 - read from the path where it is answered
    data: JSONBody[CompletionRequest],  # noqa: ARG001 - as above
    request: Request[Any, Any, Any],
) -> Response[SaleAnswer]:
    """Always booked: the fuel is in the tank. Above the approval it comes from the account, the rest is owed, and flagged."""
    return await _hot(request)


@post("/sales", summary="Sell in one step / 一步销售", tags=_TAG, status_code=200)
async def sell(data: JSONBody[SaleRequest], request: Request[Any, Any, Any]) -> Response[SaleAnswer]:  # noqa: ARG001 - as above
    """Pay after filling (the default flow), shop lines, or both. Other tenders may pay a part; only the card's share touches a purse."""
    return await _hot(request)


async def _hot(request: Request[Any, Any, Any]) -> Response[Any]:
    scope: Any = request.scope
    routes = HotRoutes(request.app.state.pump)
    return stored(await routes.answer(scope["path"], await request.body(), raw_path(scope), scope["query_string"], scope["headers"]))
