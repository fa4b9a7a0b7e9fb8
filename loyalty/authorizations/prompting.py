"""What is said with a company's card: a second identity, an odometer, an order, a permit. Pure, on one read's facts.

What is missing is asked for in one list; a wrong field is marked without telling the right value. A driver's tries are counted by the same
batch that answers, before the answer leaves.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from loyalty.crypto import DRIVER_PIN, pin_matches
from loyalty.limits.levels import PERMIT, Above
from loyalty.limits.model import Needs, OrderStatus
from loyalty.limits.presented import OrderFacts, PumpDriver, can_be

from . import levelling
from .decision import Decision
from .facts import CardFacts, Place
from .model import Flag
from .reasons import Reason
from .rules import PIN_TRIES, Presented, Refused, ShownDriverCard
from .wire import AuthorizationRequest, SaleRequest

_DRIVES: Final = "active"
_STANDS: Final = frozenset({OrderStatus.OPEN.value, OrderStatus.USED.value})
"""Whether it is used up its counter says; the status follows later."""
_STOOD: Final = _STANDS | {OrderStatus.EXPIRED.value}
"""What is told afterwards may have happened while it still stood."""
_FLAG_ODOMETER: Final = int(Flag.ODOMETER)


def needs_of(card: CardFacts) -> Needs:
    """Return what must be said or shown with a card, at whatever level it is asked for."""
    if card.above is None:
        return Needs(0)
    return card.above.needs if card.limits is None else card.above.needs | card.limits.needs


def fields_of(needs: Needs) -> list[str]:
    """Return the names of the fields that a request must carry for it."""
    return [
        field
        for need, field in (
            (Needs.DRIVER, "driver_number"),
            (Needs.DRIVER, "driver_pin"),
            (Needs.ODOMETER, "odometer_km"),
            (Needs.PLATE, "plate"),
        )
        if need in needs
    ]


def said_with(
    decision: Decision, card: CardFacts, request: AuthorizationRequest | SaleRequest, presented: Presented, local: datetime
) -> tuple[CardFacts, Refused | None]:
    """Judge what was said with a card; return it as it stands with that (its driver's limits over it), and the refusal if there is one."""
    above = card.above
    if above is None:
        if request.order_number is not None:
            return card, Refused(Reason.ORDER_UNKNOWN, needs=["order_number"])
        return card, None
    needs = needs_of(card)
    missing = [] if presented.quotes else _missing(request, needs)
    if missing:
        second = set(missing) <= {"driver_number", "driver_pin"}
        return card, Refused(Reason.DRIVER_NEEDED if second else Reason.MORE_NEEDED, needs=missing)
    refused = _driver_refuses(decision, card, above, request, presented, needs, local)
    if refused is None:
        refused = _order_refuses(above, request.order_number, card.chain_id, local)
    if refused is None:
        refused = _odometer_refuses(decision, card, above, request, needs, local)
    if refused is None and Needs.PERMIT in needs and not presented.quotes and not above.permits(local):
        refused = Refused(Reason.PERMIT_NEEDED, limit=PERMIT, may_ask=True)
    if above.driver is not None and refused is None:
        card = card._replace(above=above.driven_by(above.driver.driver_id))
    return card, refused


def _missing(request: AuthorizationRequest | SaleRequest, needs: Needs) -> list[str]:
    """Return the fields that the request lacks. A card that may prove itself is looked at before its driver's PIN is asked for."""
    said, shown = request.driver_number is not None, request.driver_card
    wanted = fields_of(needs)
    if (said or shown is not None) and "driver_pin" not in wanted:
        wanted.append("driver_pin")
    instead = set() if shown is None else {"driver_number"} | ({"driver_pin"} if shown.may_prove_itself else set())
    return [field for field in wanted if field not in instead and getattr(request, field) is None]


def told_with(
    decision: Decision,
    card: CardFacts | None,
    *,
    driver_number: str | None,
    driver_card: str | None,
    order_number: str | None,
    product_code: str | None,
    place: Place,
    local: datetime,
) -> tuple[CardFacts | None, dict[str, Any]]:
    """Take what was said at a fill that has happened, of which nothing is refused: what cannot be is flagged, and kept as it was said.

    A driver who is known counts, whether or not they may drive. An order counts where it stood at that time and is for this fill. Return
    the card as it stands with that, and what is kept as said.
    """
    kept: dict[str, Any] = {}
    above = None if card is None else card.above
    if driver_number is not None or driver_card is not None:
        driver = None if card is None or above is None else _driver_of(card, above)
        if card is None or above is None or driver is None:
            kept |= kept_of_nobody(driver_number, driver_card)
        else:
            decision.prompts = (decision.prompts or {}) | {levelling.DRIVER: str(driver.driver_id)}
            above = above.driven_by(driver.driver_id)
        if card is None or driver is None or not _may_drive(driver, card, above, local):
            decision.flags |= Flag.DRIVER
    if order_number is not None:
        order = None if above is None else above.order
        if (
            card is None
            or above is None
            or order is None
            or not order.is_for(product_code, place.station_id)
            or _order_refuses(above, order_number, card.chain_id, local, stands=_STOOD) is not None
        ):
            kept["order_number"] = order_number
            decision.flags |= Flag.ORDER
            above = None if above is None else above.without_order()
    return card if card is None else card._replace(above=above), kept


def kept_of_nobody(driver_number: str | None, driver_card: str | None) -> dict[str, str]:
    """Return what is kept of a driver who is nobody: the number as it was typed, of a card its last four digits."""
    if driver_card is not None:
        return {"driver_card_tail": driver_card[-4:]}
    return {} if driver_number is None else {"driver_number": driver_number}


def _driver_of(card: CardFacts, above: Above) -> PumpDriver | None:
    """Return who was named; nobody where the card that pays was shown a second time."""
    shown = above.driver_card
    return None if shown is not None and shown.card_id == card.card_id else above.driver


def _may_drive(driver: PumpDriver, card: CardFacts, above: Above | None, local: datetime) -> bool:
    """Say whether a driver drives, with this card, and showed a card that lives where they showed one."""
    if above is None or driver.status != _DRIVES:
        return False
    if above.driver_card is not None and not ShownDriverCard(b"").is_of(above.driver_card, local.date()):
        return False
    return Needs.RELATED not in needs_of(card) or _is_related(driver, above)


def _driver_refuses(
    decision: Decision,
    card: CardFacts,
    above: Above,
    request: AuthorizationRequest | SaleRequest,
    presented: Presented,
    needs: Needs,
    local: datetime,
) -> Refused | None:
    """Judge the second identity; three wrong PINs in a row lock it, at whatever pump and with whatever card.

    A card that cannot be the driver's is nobody's, whatever is wrong with it: another company's, a vehicle's, the one that pays, one that
    does not live, one whose check value or code does not fit.
    """
    if request.driver_number is None and request.driver_card is None:
        return None
    by = "driver_number" if request.driver_card is None else "driver_card"
    driver = _driver_of(card, above)
    shown, known = presented.driver_card, above.driver_card
    wrong = shown is not None and (known is None or not shown.is_of(known, local.date()))
    if driver is None or driver.status != _DRIVES or wrong:
        return Refused(Reason.DRIVER_UNKNOWN, needs=[by])
    if Needs.RELATED in needs and not _is_related(driver, above):
        return Refused(Reason.DRIVER_NOT_RELATED, needs=[by])
    if request.driver_pin is None:
        # Asked for before, but of a card that may prove itself.
        if driver.pin_tries >= PIN_TRIES:
            return Refused(Reason.DRIVER_PIN_LOCKED)
        if shown is None or known is None or not shown.proves(known):
            return Refused(Reason.DRIVER_NEEDED, needs=["driver_pin"])
        decision.prompts = (decision.prompts or {}) | {levelling.DRIVER: str(driver.driver_id)}
        return None
    if presented.driver_pin_unreadable or presented.driver_pin is None:
        return Refused(Reason.DRIVER_PIN_UNREADABLE, needs=["driver_pin"])
    if driver.pin_verifier is None:
        return Refused(Reason.DRIVER_PIN_NOT_SET)
    refused, tries = _pin_judged(driver, presented.driver_pin)
    decision.driver = driver.driver_id, driver.pin_generation, driver.pin_tries, tries
    decision.prompts = (decision.prompts or {}) | {levelling.DRIVER: str(driver.driver_id)}
    return refused


def _pin_judged(driver: PumpDriver, pin: str) -> tuple[Refused | None, int | None]:
    """Return the refusal, and the tries from now on where they change."""
    assert driver.pin_verifier is not None, "asked before"
    if driver.pin_tries >= PIN_TRIES:
        return Refused(Reason.DRIVER_PIN_LOCKED), None
    if pin_matches(driver.pin_verifier, card_id=driver.driver_id, generation=driver.pin_generation, pin=pin, label=DRIVER_PIN):
        return None, (0 if driver.pin_tries else None)
    tries = driver.pin_tries + 1
    if tries >= PIN_TRIES:
        return Refused(Reason.DRIVER_PIN_LOCKED), tries
    return Refused(Reason.DRIVER_PIN_WRONG, remaining_text=str(PIN_TRIES - tries), needs=["driver_pin"]), tries


def _is_related(driver: PumpDriver, above: Above) -> bool:
    """Say whether a driver is the card's own, or of a department over it."""
    return driver.is_bound or (driver.department_id is not None and driver.department_id in above.subjects)


def _order_refuses(
    above: Above, number: str | None, chain_id: UUID, local: datetime, *, stands: Collection[str] = _STANDS
) -> Refused | None:
    """Judge the order that was named; station and product are judged with the limits."""
    if number is None:
        return None
    order: OrderFacts | None = above.order
    if order is None:
        return Refused(Reason.ORDER_UNKNOWN, needs=["order_number"])
    if order.chain_id not in {None, chain_id} or (order.vehicle_id is not None and order.vehicle_id not in above.subjects):
        return Refused(Reason.ORDER_DIFFERS, limit="order")
    if order.status not in stands or not order.valid_from <= local < order.valid_until:
        return Refused(Reason.ORDER_EXPIRED, limit="order")
    return Refused(Reason.ORDER_USED, limit="order", remaining_minor=0, remaining_milli=0) if order.is_used else None


def _odometer_refuses(
    decision: Decision, card: CardFacts, above: Above, request: AuthorizationRequest | SaleRequest, needs: Needs, local: datetime
) -> Refused | None:
    """Ask once more for a reading that cannot be; said again it is taken and flagged, unless a limit blocks it."""
    if request.odometer_km is None or can_be(above.odometer, km=request.odometer_km, at=local):
        return None
    limits = [one.limits for one in above.levels if one.limits is not None] + ([] if card.limits is None else [card.limits])
    if Needs.ODOMETER not in needs and not any(one.odometer for one in limits):
        return None
    above.doubtful = True
    if request.continues is None:
        return Refused(Reason.ODOMETER_ODD, needs=["odometer_km"])
    decision.flags |= _FLAG_ODOMETER
    return None
