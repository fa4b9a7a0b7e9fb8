"""Points at the till: what they buy out of this station's stock, buying it, taking it back."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.callers import Caller
from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.hot_api import present
from loyalty.authorizations.model import Operation
from loyalty.authorizations.operations.showing import judge_holder
from loyalty.authorizations.wire import Credential, Said, parse_reference, reference
from loyalty.cards.model import Card
from loyalty.db import transaction
from loyalty.identity.rules import Permission
from loyalty.ids import NOBODY
from loyalty.ledger.queries import get_account
from loyalty.policy import Policy
from loyalty.rewards.operations import redeeming
from loyalty.rewards.operations.points import RedemptionNotFound
from loyalty.rewards.queries.gifts import get_gift
from loyalty.rewards.queries.redeeming import Bought, PricedGift, gifts_for_points, points_of_card
from loyalty.stations.queries import running_shift

from .calling import ShiftNeeded, StaffCredential, identify, key_of, serving
from .wire import Happened, Reason, Recorded
from .writing import did, perform_once

_TAG = ["points"]
_Points = Annotated[int, Meta(ge=0, le=10**13, description="Points")]


class PointsOffers(Struct):
    """What points buy here now, the cheapest first. A catalogue's price holds as it stands: the profile's step does not round it."""

    rows: list[PricedGift]
    month_max: int | None
    """How many points an account may redeem in a month; None: any number."""


class RedemptionRequest(Happened, frozen=True, kw_only=True):
    """Buy so many pieces of a gift. With the customer's `signature` it is handed over, else set aside here."""

    card: Credential
    gift: Annotated[str, Meta(min_length=1, max_length=48, description="The catalogue's code")]
    pieces: Annotated[int, Meta(ge=1, le=1000)] = 1
    signature: Annotated[str, Meta(max_length=90_000, description="The `d` of an SVG path, or a PNG as a data URL of at most 64 KiB")] = ""


class RedemptionReversal(Recorded, frozen=True, kw_only=True):
    """Take a redemption back; `approver` where it was made before this shift. `restock`: the gift can be handed out again."""

    reason: Reason
    restock: bool = True
    approver: StaffCredential | None = None


class RedemptionAnswer(Said, omit_defaults=True, kw_only=True):
    """A redemption. `outcome`: redeemed, returned, more_data, declined."""

    redemption: str | None = None
    gift: str | None = None
    name_zh: str | None = None
    name_en: str | None = None
    pieces: int = 0
    points: _Points = 0
    status: str | None = None
    """The gift's: handed_out, reserved (set aside here), returned, cancelled."""
    reserved_until: datetime | None = None
    points_after: _Points | None = None
    booked_at: datetime | None = None


@get("/points-offers", summary="What points buy at this station / 本站积分可兑换", tags=_TAG)
async def points_offers(request: Request[Any, Any, Any], caller: NamedDependency[Caller], policy: NamedDependency[Policy]) -> PointsOffers:
    """Gifts of this station's own stock that nobody is promised, by the catalogue's steps."""
    rules = policy.for_currency(caller.place.currency).points
    async with transaction(request.app.state.sessions) as session:
        rows = await gifts_for_points(session, station_id=caller.place.station_id)
    return PointsOffers(rows, rules.month_max)


@post("/points-redemptions", summary="Spend points on a gift / 积分兑换", tags=_TAG, status_code=200)
async def redeem_points(
    data: JSONBody[RedemptionRequest],
    request: Request[Any, Any, Any],
    state: State,
    caller: NamedDependency[Caller],
    policy: NamedDependency[Policy],
    now: NamedDependency[datetime],
) -> Response[RedemptionAnswer]:
    """The holder shows the card whole: a number alone never spends. A wrong PIN is an answer, and counts."""
    presented, index = present(data.card, caller, key_of(caller))

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.SELL)
        shown = await judge_holder(
            session,
            snapshot=state.pump.snapshot,
            place=caller.place,
            number_index=index,
            credential=data.card,
            presented=presented,
            actor=actor,
            now=now,
        )
        if shown.refused is not None or shown.card is None:
            return _declined(shown.refused, shown.card)
        made = await redeeming.redeem(
            session,
            account_id=shown.card.account_id,
            card_id=shown.card.card_id,
            gift=data.gift,
            pieces=data.pieces,
            signature=data.signature,
            station_id=caller.place.station_id,
            terminal_id=caller.place.terminal_id,
            policy=policy,
            zone=state.settings.zone,
            actor=actor,
            now=now,
        )
        return await _did(session, "redeemed", made, shown.card, now)

    return await perform_once(request, caller, Operation.OTHER, data.record, perform)


@post("/points-redemptions/{redemption:str}/reversal", summary="Take a redemption back / 撤销积分兑换", tags=_TAG, status_code=200)
async def reverse_redemption(
    redemption: FromPath[str],
    data: JSONBody[RedemptionReversal],
    request: Request[Any, Any, Any],
    state: State,
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> Response[RedemptionAnswer]:
    """Within the shift its cashier does it, afterwards with a second person: the gift comes back, the points to the lots they came from."""
    both = parse_reference(redemption)
    if both is None:
        raise RedemptionNotFound
    approver = None if data.approver is None else await identify(state, caller, data.approver, Permission.APPROVE_ON_SCREEN)

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.REFUND_SALE)
        shift = await running_shift(session, terminal_id=caller.place.terminal_id)
        if shift is None:
            raise ShiftNeeded
        undone = await redeeming.undo(
            session,
            account_id=both[0],
            redemption_id=both[1],
            station_id=caller.place.station_id,
            shift_since=shift.opened_at,
            approved_by=approver,
            restock=data.restock,
            reason=data.reason,
            actor=actor,
            now=now,
        )
        return await _did(session, "returned", undone, None, now)

    return await perform_once(request, caller, Operation.OTHER, data.record, perform)


def _declined(refused: Said | None, card: Card | None) -> Outcome:
    assert refused is not None, "an unknown card is refused in words"
    answer = RedemptionAnswer(**{name: getattr(refused, name) for name in refused.__struct_fields__})
    if card is None:
        return did(answer, subject_id=NOBODY)
    return did(answer, subject_id=card.card_id, account_id=card.account_id)


async def _did(session: AsyncSession, outcome: str, bought: Bought, card: Card | None, now: datetime) -> Outcome:
    made, right = bought
    answer = RedemptionAnswer(
        outcome=outcome,
        card=None if card is None else card.number_tail,
        redemption=reference(made.account_id, made.redemption_id),
        points=made.points,
        booked_at=made.returned_at or made.spent_at,
    )
    if right is not None:
        gift = await get_gift(session, code=right.code)
        answer.gift, answer.name_zh, answer.name_en = gift.code, gift.name_zh, gift.name_en
        answer.pieces, answer.status, answer.reserved_until = right.pieces, right.status.value, right.reserved_until
    if made.card_id is not None:
        account = await get_account(session, account_id=made.account_id)
        answer.points_after = (await points_of_card(session, account=account, card_id=made.card_id, now=now)).available
    return did(answer, subject_id=made.redemption_id, account_id=made.account_id)
