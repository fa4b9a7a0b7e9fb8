"""A generated year of a fleet, with planted misuse: how many of the plants the detectors find, and how much of what they find was planted.

Honest vehicles are not tidy: they top up, drink more in winter, go on long trips, work some weekends, and are fuelled half. What people
call misuse is planted on top, a few of each kind a vehicle and year. Seeded: the same seed, the same year.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty.fleet.detecting import FillSeen, Kind, VehicleSeen, detect

_ZONE: Final = ZoneInfo("Asia/Shanghai")
_CLASSES: Final = (
    # type, tank l, norm l/100 km, km a day, product
    ("car", 55, 8.0, 90, "95"),
    ("van", 70, 11.0, 130, "92"),
    ("truck", 300, 28.0, 260, "0"),
    ("tractor", 600, 34.0, 420, "0"),
)


class Planted(NamedTuple):
    """One misuse, of which fill."""

    sale_id: UUID
    kind: Kind


class Year(NamedTuple):
    """A vehicle's year."""

    vehicle: VehicleSeen
    fills: list[FillSeen]
    planted: list[Planted]


class Score(NamedTuple):
    """Of one kind: how many were planted and how many of these were found; how many were found and how many of these a plant explains."""

    kind: Kind
    planted: int
    recognised: int
    found: int
    explained: int

    @property
    def precision(self) -> float:
        """Return how much of what was found a plant explains."""
        return self.explained / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Return how much of what was planted was found."""
        return self.recognised / self.planted if self.planted else 1.0


class _Road:
    """One vehicle on its way through the year."""

    def __init__(self, rng: random.Random, number: int) -> None:
        _, tank, norm, self.km_a_day, self.product = _CLASSES[number % len(_CLASSES)]
        self.rng, self.number = rng, number
        self.tank, self.norm = tank * 1000, norm * 1000 * rng.uniform(0.9, 1.1)
        self.districts = [UUID(int=number % 7 + 1), UUID(int=number % 5 + 20)]
        self.weekends = rng.random() < 0.15
        self.at = datetime(2025, 1, 2, 7, tzinfo=_ZONE)
        self.km, self.level = rng.randint(20_000, 300_000), self.tank * 0.8
        self.fills: list[FillSeen] = []
        self.planted: list[Planted] = []

    def vehicle(self) -> VehicleSeen:
        return VehicleSeen(self.tank, self.product, round(self.norm), f"A{self.number:05d}")

    def drive_a_day(self) -> None:
        """Drive, and fuel where the tank is low."""
        if self.at.isoweekday() > 5 and not self.weekends and self.rng.random() > 0.06:
            return
        km = max(5, round(self.rng.gauss(self.km_a_day, self.km_a_day * 0.35)))
        winter = 1.06 if self.at.month in {12, 1, 2} else 1.0
        burnt = km * self.norm / 100 * winter * self.rng.gauss(1, 0.06)
        while burnt > self.level - self.tank * 0.1:
            part = max(self.level - self.tank * 0.12, 0)
            self.km += round(km * part / burnt) if burnt else 0
            km -= round(km * part / burnt) if burnt else 0
            burnt -= part
            self.level -= part
            self.refuel()
        self.km += km
        self.level -= burnt
        if self.level < self.tank * self.rng.uniform(0.15, 0.4):
            self.refuel()

    def refuel(self) -> None:
        full = self.rng.random() < 0.8
        litres = (self.tank - self.level) * (self.rng.uniform(0.97, 1.0) if full else self.rng.uniform(0.4, 0.8))
        self.level += litres
        self.book(litres)

    def top_up(self, share: float) -> float:
        """Fill a share of what is free in the tank; return the litres."""
        litres = (self.tank - self.level) * share
        self.level += litres
        return litres

    def book(self, litres: float, **unusual: object) -> UUID:
        """Write a fill down at a usual hour and station, but for what is unusual."""
        rng = self.rng
        sale_id = UUID(int=rng.getrandbits(128))
        away = rng.random() < 0.01
        district = UUID(int=rng.randint(1, 7)) if away else rng.choice(self.districts)
        self.at = max(self.at + timedelta(minutes=1), self.at.replace(hour=rng.randint(7, 19), minute=rng.randint(0, 59)))
        facts: dict[str, object] = {
            "sale_id": sale_id,
            "at": self.at,
            "station": UUID(int=district.int * 100 + rng.randint(0, 3)),
            "district": district,
            "product": self.product,
            "litres_milli": round(litres),
            "odometer_km": None if rng.random() < 0.04 else self.km,
            "plate_key": f"A{self.number:05d}" if rng.random() < 0.9 else None,
        } | unusual
        facts["rest_day"] = facts["at"].isoweekday() > 5  # type: ignore[attr-defined]
        self.fills.append(FillSeen(**facts))  # type: ignore[arg-type]
        return sale_id

    def plant(self, kind: Kind) -> None:
        self.planted.append(Planted(_PLANTS[kind](self), kind))


def _above_tank(road: _Road) -> UUID:
    return road.book(road.tank * road.rng.uniform(1.15, 1.6))


def _too_soon(road: _Road) -> UUID:
    road.book(road.tank * road.rng.uniform(0.75, 0.95))
    road.level = road.tank
    road.at += timedelta(minutes=road.rng.randint(20, 150))
    return road.book(road.tank * road.rng.uniform(0.6, 0.9), at=road.at)


def _too_close(road: _Road) -> UUID:
    last = road.fills[-1]
    road.km = max(road.km, last.odometer_km or road.km) + road.rng.randint(3, 25)
    return road.book(road.tank * road.rng.uniform(0.65, 0.9), odometer_km=road.km)


def _wrong_grade(road: _Road) -> UUID:
    return road.book(road.top_up(0.9), product="92" if road.product in {"0", "95"} else "0")


def _off_route(road: _Road) -> UUID:
    far = UUID(int=900 + road.rng.randint(0, 5))
    return road.book(road.top_up(0.9), district=far, station=UUID(int=far.int * 100))


def _odd_hours(road: _Road) -> UUID:
    night = (road.at + timedelta(days=1)).replace(hour=road.rng.choice((23, 1, 2, 3)), minute=road.rng.randint(0, 59))
    road.at = night
    return road.book(road.top_up(0.9), at=night)


def _consumption(road: _Road) -> UUID:
    """Siphon: over several tanks half as much again goes than the way needs; the last of them is the one that must be told by then."""
    sale = road.fills[-1].sale_id
    for _ in range(6):
        km = round(road.tank * 0.5 / (road.norm * 1.6) * 100)
        road.km += km
        road.at += timedelta(days=2)
        sale = road.book(road.tank * 0.5)
    return sale


def _other_plate(road: _Road) -> UUID:
    return road.book(road.top_up(0.9), plate_key="B99999")


_REACH: Final = {Kind.CONSUMPTION: 9, Kind.TOO_CLOSE: 1, Kind.TOO_SOON: 1}
"""Over how many fills a misuse of a kind shows."""
_TAKEN: Final = frozenset({Kind.ABOVE_TANK, Kind.TOO_SOON, Kind.TOO_CLOSE, Kind.CONSUMPTION})
"""Where fuel went elsewhere: it is missing on the way."""
_PLANTS: Final[dict[Kind, Callable[[_Road], UUID]]] = {
    Kind.ABOVE_TANK: _above_tank,
    Kind.TOO_SOON: _too_soon,
    Kind.TOO_CLOSE: _too_close,
    Kind.WRONG_GRADE: _wrong_grade,
    Kind.OFF_ROUTE: _off_route,
    Kind.ODD_HOURS: _odd_hours,
    Kind.CONSUMPTION: _consumption,
    Kind.OTHER_PLATE: _other_plate,
}


def generate(seed: int, *, vehicles: int = 80, plants_a_vehicle: int = 4) -> list[Year]:
    """Generate a year of a fleet; plants begin when three months of habits are known."""
    rng = random.Random(seed)  # noqa: S311 - a generated year, not a secret
    years = []
    for number in range(vehicles):
        road = _Road(random.Random(rng.getrandbits(64)), number)  # noqa: S311 - as above
        end = datetime(2025, 12, 31, tzinfo=_ZONE)
        plants = sorted(
            (road.rng.randint(90, 355), road.rng.choice(list(Kind)) if place else list(Kind)[number % len(Kind)])
            for place in range(plants_a_vehicle)
        )
        began = road.at
        while road.at < end:
            road.drive_a_day()
            while plants and (road.at - began).days >= plants[0][0]:
                if road.fills:
                    road.plant(plants[0][1])
                del plants[0]
            road.at = (road.at + timedelta(days=1)).replace(hour=7, minute=0)
        years.append(Year(road.vehicle(), road.fills, road.planted))
    return years


def score(years: list[Year]) -> list[Score]:
    """Let the detectors judge the years.

    A finding is explained by a plant of its kind within the reach of the kind, by any plant of the same fill, and, where fuel went
    elsewhere, by that: it is missing on the way, before and after.
    """
    scores = []
    judged = [(year, detect(year.vehicle, year.fills), {fill.sale_id: at for at, fill in enumerate(year.fills)}) for year in years]
    for kind in Kind:
        reach = _REACH.get(kind, 0)
        planted = recognised = found = explained = 0
        for year, findings, at in judged:
            told = [at[one.sale_id] for one in findings if one.kind is kind]
            own = [at[one.sale_id] for one in year.planted if one.kind is kind]
            causes = own + [at[one.sale_id] for one in year.planted if reach and one.kind in _TAKEN]
            same = {at[one.sale_id] for one in year.planted}
            planted += len(own)
            recognised += sum(any(abs(place - other) <= reach for other in told) for place in own)
            found += len(told)
            explained += sum(place in same or any(abs(place - cause) <= reach for cause in causes) for place in told)
        scores.append(Score(kind, planted, recognised, found, explained))
    return scores


def report(seed: int = 1, *, vehicles: int = 80) -> str:
    """Return a table of kinds: planted, found, precision, recall."""
    years = generate(seed, vehicles=vehicles)
    lines = [f"{'kind':<14}{'planted':>9}{'found':>7}{'precision':>11}{'recall':>8}"]
    lines += [f"{one.kind:<14}{one.planted:>9}{one.found:>7}{one.precision:>11.2f}{one.recall:>8.2f}" for one in score(years)]
    fills = sum(len(year.fills) for year in years)
    return "\n".join([*lines, f"{vehicles} vehicles, {fills} fills, seed {seed}"])
