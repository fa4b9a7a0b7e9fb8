"""A basket tried under a rulebook, over JSON: what a rule's editor shows beside it, and what anybody may ask of what is live."""

from typing import Annotated, Any, Final

from litestar import Router, post
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody
from msgspec import Meta, Struct

from loyalty import problems
from loyalty.errors import Refusal
from loyalty.identity.rules import Permission
from loyalty.pricing.document import Document
from loyalty.pricing.queries.simulating import simulate_basket
from loyalty.pricing.simulating import Asked, Simulated

from .desk import Desk
from .rules_api import on_fault, on_refusal, provide_clerk


class Question(Struct, forbid_unknown_fields=True):
    """`document`: one that is being written; else `book`: a rulebook by number; else what is live at the basket's instant."""

    basket: Asked
    book: Annotated[int, Meta(ge=1)] | None = None
    document: Document | None = None


@post("/", summary="Try a basket under a rulebook / 试算一笔交易", status_code=200)
async def simulate(desk: NamedDependency[Desk], data: JSONBody[Question]) -> Simulated:
    """At any instant, also without some rules. Nothing is counted, set aside or booked."""
    desk.require(Permission.READ_CARDS)
    return await simulate_basket(desk.session, asked=data.basket, number=data.book, document=data.document)


_PROBLEMS: Final[Any] = problems.exception_handlers() | {Refusal: on_refusal, Exception: on_fault}  # type: ignore[operator]

simulations_api = Router(
    path="/office/api/simulations",
    route_handlers=[simulate],
    dependencies={"desk": Provide(provide_clerk)},
    exception_handlers=_PROBLEMS,
    security=[{"officeSession": list[str]()}],
    tags=["rulebooks"],
)
