"""Fills that are worth a question: pure. A finding is evidence with a number beside what is normal, never an accusation.

Each detector compares one fill with the vehicle's own past (what it was *before* this fill) and falls back to what is said of the vehicle.
A finding that people call false raises the vehicle's threshold for its kind: `factors` (1.0: as everybody's) stretch what is allowed.
(Domain notes, "Company fuel rules": fill above tank, two fills in too short a time or distance, wrong grade, off-route station, weekend or
night fills, litres per 100 km off the vehicle's own norm or the class norm.)
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from statistics import median
from typing import Any, Final, NamedTuple
from uuid import UUID


class Kind(StrEnum):
    """What looks odd."""

    ABOVE_TANK = "above_tank"
    TOO_SOON = "too_soon"
    TOO_CLOSE = "too_close"
    WRONG_GRADE = "wrong_grade"
    OFF_ROUTE = "off_route"
    ODD_HOURS = "odd_hours"
    CONSUMPTION = "consumption"
    OTHER_PLATE = "other_plate"


class Severity(StrEnum):
    """How far from normal."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class FillSeen(NamedTuple):
    """A fill as the detectors see it. `at` is the station's local time; `odometer_km` only where it holds."""

    sale_id: UUID
    at: datetime
    station: UUID
    district: UUID
    product: str
    litres_milli: int
    odometer_km: int | None = None
    plate_key: str | None = None
    rest_day: bool = False


class VehicleSeen(NamedTuple):
    """What is said of a vehicle; None where it is not."""

    tank_milli: int | None = None
    product: str | None = None
    norm_milli: int | None = None
    """Thousandths of a litre per 100 km: its own, else its class's."""
    plate_key: str | None = None
    factors: Mapping[Kind, float] = {}


class Finding(NamedTuple):
    """One fill, what is odd about it, and the figures that say so (whole units of the evidence's names)."""

    sale_id: UUID
    kind: Kind
    severity: Severity
    evidence: dict[str, Any]


TANK_TOLERANCE: Final = 1.05
"""Tanks take a little more than is written, necks and pumps differ."""
SOON_HOURS: Final = 6
HOP_HOURS: Final = 1
"""Two stations within this time are worth a question however little was taken: cans are filled so (found in real receipts)."""
USUAL_FILLS: Final = 12
"""So many fills are a habit; before that nothing is unusual."""
USUAL_SHARE: Final = 0.06
"""What happened in at most this share of fills is unusual."""
WINDOW_FILLS: Final = 8
"""Over so many fills in a row litres per 100 km are reckoned: one tank says little."""
CONSUMPTION_RATIO: Final = 1.25
_NIGHT: Final = frozenset({22, 23, 0, 1, 2, 3, 4})
_PAST: Final = 60


class Past:
    """What a vehicle did before the fill in hand, as far as the detectors ask."""

    def __init__(self) -> None:
        self.fills: deque[FillSeen] = deque(maxlen=_PAST)
        self.rates: deque[float] = deque(maxlen=24)
        """Litres per 100 km of earlier windows, in thousandths."""
        self.drinks = False
        """The fill before was one of a run that took too much: a run is told once."""

    @property
    def last(self) -> FillSeen | None:
        """Return the fill before."""
        return self.fills[-1] if self.fills else None

    def share(self, what: Callable[[FillSeen], bool]) -> float:
        """Return in what share of the past fills something was so."""
        return sum(map(what, self.fills)) / len(self.fills) if self.fills else 0.0


def detect(vehicle: VehicleSeen, fills: Iterable[FillSeen], *, past: Past | None = None) -> list[Finding]:
    """Judge a vehicle's fills in order of time, each by what was known before it; `past` goes on from an earlier run."""
    known = Past() if past is None else past
    found: list[Finding] = []
    for fill in fills:
        for detector in _DETECTORS:
            finding = detector(vehicle, fill, known)
            if finding is not None:
                found.append(finding)
        rate = _rate(known, fill)
        odd = known.drinks or any(one.sale_id == fill.sale_id and one.kind is Kind.TOO_CLOSE for one in found[-len(_DETECTORS) :])
        known.fills.append(fill)
        if rate is not None and not odd:
            known.rates.append(rate)
    return found


def _factor(vehicle: VehicleSeen, kind: Kind) -> float:
    return vehicle.factors.get(kind, 1.0)


def _above_tank(vehicle: VehicleSeen, fill: FillSeen, _: Past) -> Finding | None:
    if vehicle.tank_milli is None or fill.litres_milli <= vehicle.tank_milli * TANK_TOLERANCE * _factor(vehicle, Kind.ABOVE_TANK):
        return None
    ratio = fill.litres_milli / vehicle.tank_milli
    severity = Severity.HIGH if ratio > 1.2 else Severity.MEDIUM
    return Finding(fill.sale_id, Kind.ABOVE_TANK, severity, {"litres_milli": fill.litres_milli, "tank_milli": vehicle.tank_milli})


def _too_soon(vehicle: VehicleSeen, fill: FillSeen, past: Past) -> Finding | None:
    """Two fills within hours that together are more than the tank and what could be driven between them; or at two stations within one."""
    last = past.last
    if last is None:
        return None
    hours = (fill.at - last.at).total_seconds() / 3600
    if hours * _factor(vehicle, Kind.TOO_SOON) >= SOON_HOURS:
        return None
    driven = hours * 90 * (vehicle.norm_milli or 30_000) / 100
    room = vehicle.tank_milli or 2 * median(one.litres_milli for one in past.fills)
    both = fill.litres_milli + last.litres_milli
    too_much = both > room * TANK_TOLERANCE + driven
    hops = hours * _factor(vehicle, Kind.TOO_SOON) < HOP_HOURS and fill.station != last.station
    if not too_much and not hops:
        return None
    facts: dict[str, Any] = {"minutes": round(hours * 60), "litres_milli": fill.litres_milli, "before_milli": last.litres_milli}
    facts |= {"before": str(last.sale_id)}
    severity = Severity.LOW if not too_much else Severity.HIGH if hours < 1 else Severity.MEDIUM
    return Finding(fill.sale_id, Kind.TOO_SOON, severity, facts)


def _too_close(vehicle: VehicleSeen, fill: FillSeen, past: Past) -> Finding | None:
    """Far more fuel than the way since the last fill can have burnt, and than was room in the tank after it."""
    last = past.last
    if last is None or fill.odometer_km is None or last.odometer_km is None or vehicle.norm_milli is None:
        return None
    km = fill.odometer_km - last.odometer_km
    burnt = km * vehicle.norm_milli / 100
    usual = median(one.litres_milli for one in past.fills)
    room = max(usual - last.litres_milli, 0) + 0.25 * usual
    if km < 0 or fill.litres_milli <= (burnt * 1.5 + room) * _factor(vehicle, Kind.TOO_CLOSE) or fill.litres_milli < 0.4 * usual:
        return None
    facts = {"km": km, "litres_milli": fill.litres_milli, "explained_milli": round(burnt), "before": str(last.sale_id)}
    return Finding(fill.sale_id, Kind.TOO_CLOSE, Severity.HIGH if burnt * 3 < fill.litres_milli else Severity.MEDIUM, facts)


def _wrong_grade(vehicle: VehicleSeen, fill: FillSeen, _: Past) -> Finding | None:
    if vehicle.product is None or fill.product == vehicle.product or (_is_diesel(vehicle.product) and _is_diesel(fill.product)):
        return None
    crossed = _is_diesel(vehicle.product) != _is_diesel(fill.product)
    facts = {"product": fill.product, "takes": vehicle.product}
    return Finding(fill.sale_id, Kind.WRONG_GRADE, Severity.HIGH if crossed else Severity.LOW, facts)


def _is_diesel(product: str) -> bool:
    """Diesel's grades are names of winters (0, -10, -20, -35): a truck takes what the season asks."""
    return product.lstrip("-").isdigit() and int(product) <= 0


def _off_route(vehicle: VehicleSeen, fill: FillSeen, past: Past) -> Finding | None:
    if len(past.fills) < USUAL_FILLS:
        return None
    share = past.share(lambda one: one.district == fill.district)
    if share * _factor(vehicle, Kind.OFF_ROUTE) > USUAL_SHARE / 2 or past.share(lambda one: one.station == fill.station) > 0:
        return None
    usual = [str(station) for station, _ in Counter(one.station for one in past.fills).most_common(3)]
    return Finding(fill.sale_id, Kind.OFF_ROUTE, Severity.LOW, {"station": str(fill.station), "usual": usual, "fills": len(past.fills)})


def _odd_hours(vehicle: VehicleSeen, fill: FillSeen, past: Past) -> Finding | None:
    at_night = _at_night(fill)
    if not (at_night or fill.rest_day) or len(past.fills) < (USUAL_FILLS if at_night else 2 * USUAL_FILLS):
        return None
    share = past.share(_at_night if at_night else _on_a_rest_day)
    # A night is odd where nights are rare; a rest day only where there never was one: people do work on Saturdays now and then.
    if share > (USUAL_SHARE if at_night else 0) * _factor(vehicle, Kind.ODD_HOURS) or (share and not at_night):
        return None
    facts = {"hour": fill.at.hour, "rest_day": fill.rest_day, "share_percent": round(share * 100), "fills": len(past.fills)}
    return Finding(fill.sale_id, Kind.ODD_HOURS, Severity.MEDIUM if at_night else Severity.LOW, facts)


def _at_night(fill: FillSeen) -> bool:
    return fill.at.hour in _NIGHT


def _on_a_rest_day(fill: FillSeen) -> bool:
    return fill.rest_day


def _rate(past: Past, fill: FillSeen) -> float | None:
    """Return litres per 100 km (thousandths) over the last fills and this one, None where the way is not known."""
    window = [*list(past.fills)[-WINDOW_FILLS:], fill]
    if len(window) <= WINDOW_FILLS or window[0].odometer_km is None or fill.odometer_km is None:
        return None
    km = fill.odometer_km - window[0].odometer_km
    return None if km < 100 else sum(one.litres_milli for one in window[1:]) * 100 / km


def _consumption(vehicle: VehicleSeen, fill: FillSeen, past: Past) -> Finding | None:
    """Litres per 100 km over several fills against the vehicle's own past, else what is said of it or its class."""
    rate = _rate(past, fill)
    own = median(past.rates) if len(past.rates) >= 6 else None
    norm = own or vehicle.norm_milli
    if rate is None or not norm:
        return None
    spread = median(abs(one - own) for one in past.rates) * 4 if own is not None else 0
    allowed = max(norm * (1 + (CONSUMPTION_RATIO - 1) * _factor(vehicle, Kind.CONSUMPTION)), norm + spread)
    told, past.drinks = past.drinks, rate > allowed
    if told or not past.drinks:
        return None
    facts = {"per_100_km_milli": round(rate), "norm_milli": round(norm), "own": own is not None, "fills": WINDOW_FILLS}
    return Finding(fill.sale_id, Kind.CONSUMPTION, Severity.HIGH if rate > norm * 1.5 else Severity.MEDIUM, facts)


def _other_plate(vehicle: VehicleSeen, fill: FillSeen, _: Past) -> Finding | None:
    if fill.plate_key is None or vehicle.plate_key is None or fill.plate_key == vehicle.plate_key:
        return None
    return Finding(fill.sale_id, Kind.OTHER_PLATE, Severity.HIGH, {"said": fill.plate_key, "is": vehicle.plate_key})


_DETECTORS: Final[Sequence[Callable[[VehicleSeen, FillSeen, Past], Finding | None]]] = (
    _above_tank,
    _too_soon,
    _too_close,
    _wrong_grade,
    _off_route,
    _odd_hours,
    _consumption,
    _other_plate,
)
