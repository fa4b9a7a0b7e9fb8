"""Questions about a card, answered without holding or writing anything but a counted PIN try."""

from datetime import datetime
from typing import Annotated, Any, TypeVar

from litestar import Request, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta, Struct

from loyalty.authorizations.answers import BalanceAnswer, QuoteAnswer
from loyalty.authorizations.callers import Caller
from loyalty.authorizations.hot_api import present
from loyalty.authorizations.operations import quotes
from loyalty.authorizations.rules import Presented
from loyalty.authorizations.wire import Credential, Said
from loyalty.cards.queries import find_by_index
from loyalty.db import transaction
from loyalty.rewards.queries.points import points_of

from .calling import key_of

_TAG = ["at the pump"]
S = TypeVar("S", bound=Said)


class QuoteRequest(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A card, and what it would take: one product, or none for every fuel that has a price here."""

    card: Credential
    product: Annotated[str, Meta(min_length=1, max_length=32)] | None = None
    plate: Annotated[str, Meta(max_length=16)] | None = None


class BalanceRequest(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A card presented whole: with its PIN, its check value, or as a dynamic code."""

    card: Credential


@post("/quotes", summary="What this card may take here and now / 可加多少", tags=_TAG, status_code=200)
async def quote(
    data: JSONBody[QuoteRequest],
    request: Request[Any, Any, Any],
    state: State,
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> QuoteAnswer:
    """The pump's own decision with nothing written: no hold; 0 is an answer, and the binding limit is named. A PIN given is a try."""
    presented, index = present(data.card, caller, key_of(caller))
    refused = await _pin_refused(state, caller, presented, index, now)
    if refused is not None:
        return _declined(QuoteAnswer(outcome="declined"), refused)
    async with transaction(request.app.state.sessions) as session:
        return await quotes.quote(
            session,
            snapshot=state.pump.snapshot,
            place=caller.place,
            number_index=index,
            product=data.product,
            plate=data.plate,
            now=now,
        )


@post("/balances", summary="What is on a card / 查询余额", tags=_TAG, status_code=200)
async def balance(
    data: JSONBody[BalanceRequest],
    request: Request[Any, Any, Any],
    state: State,
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> BalanceAnswer:
    """To whoever presented the card whole, never for a company's pool. A wrong PIN counts."""
    presented, index = present(data.card, caller, key_of(caller))
    refused = await _pin_refused(state, caller, presented, index, now)
    if refused is not None:
        return _declined(BalanceAnswer(outcome="declined"), refused)
    async with transaction(request.app.state.sessions) as session:
        answer = await quotes.balance(
            session,
            place=caller.place,
            number_index=index,
            credential=data.card,
            presented=presented,
            snapshot=state.pump.snapshot,
            now=now,
        )
        if answer.outcome == "balance":
            card = await find_by_index(session, index=index)
            held = await points_of(session, account_ids=[card.account_id], now=now)
            answer.points, answer.points_pending, answer.points_owed = held.available, held.pending, held.owed
    return answer


async def _pin_refused(state: State, caller: Caller, presented: Presented, index: bytes, now: datetime) -> Said | None:
    """Try the PIN where one was given, in a transaction of its own."""
    if presented.pin is None:
        return None
    return await quotes.pin_refusal(
        state.sessions,
        number_index=index,
        pin=presented.pin,
        terminal_id=caller.place.terminal_id,
        station_id=caller.place.station_id,
        now=now,
    )


def _declined(answer: S, refused: Said) -> S:
    for name in refused.__struct_fields__:
        setattr(answer, name, getattr(refused, name))
    return answer
