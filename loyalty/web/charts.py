"""Geometry of charts: integers in, plain values for the macros of `chart` out. Horizontal places are percentages, so that a chart fits
every width without its text being stretched.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

HEIGHT, TOP, FOOT = 208, 14, 26


@dataclass(frozen=True, slots=True)
class Series:
    """One row of figures, one a label; `mark` is its look: 1 to 5, `before` (pale, the past) or `bad`."""

    name: str
    values: Sequence[int]
    mark: str = "1"


@dataclass(frozen=True, slots=True)
class Bar:
    x: str
    y: int
    width: str
    height: int
    mark: str
    round: bool


@dataclass(frozen=True, slots=True)
class Line:
    points: str
    mark: str
    area: str


@dataclass(frozen=True, slots=True)
class Slot:
    """The strip above one label: it answers the pointer with its figures."""

    x: str
    width: str
    middle: str
    label: str
    thin: bool
    """Left out on a narrow screen."""
    says: str


@dataclass(frozen=True, slots=True)
class Rank:
    """One name of a ranking with its bars: mark, share of the longest bar, figure in words."""

    name: str
    bars: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What `chart.figure` draws."""

    title: str
    label_head: str
    names: Sequence[str]
    legend: Sequence[tuple[str, str]]
    table: Sequence[tuple[str, Sequence[str]]]
    ticks: Sequence[tuple[int, str]]
    slots: Sequence[Slot]
    bars: Sequence[Bar] = ()
    lines: Sequence[Line] = ()
    limit: tuple[int, str] | None = None
    ranks: Sequence[Rank] = ()
    gutter: int = 48
    height: int = HEIGHT
    base: int = HEIGHT - FOOT


@dataclass(frozen=True, slots=True)
class _Ground:
    """The scale and the words that all kinds of chart share."""

    title: str
    label_head: str
    labels: Sequence[str]
    series: Sequence[Series]
    text: Callable[[int], str]
    tick_text: Callable[[int], str]
    ceiling: int
    limit: tuple[int, str] | None
    step: int = field(default=1)

    def y(self, value: int) -> int:
        base = HEIGHT - FOOT
        return base - (max(value, 0) * (base - TOP) + self.ceiling // 2) // self.ceiling

    def chart(self, *, bars: Sequence[Bar] = (), lines: Sequence[Line] = ()) -> Chart:
        ticks = [(self.y(value), self.tick_text(value)) for value in range(0, self.ceiling + 1, self.step)]
        return Chart(
            title=self.title,
            label_head=self.label_head,
            names=[one.name for one in self.series],
            legend=[(one.name, one.mark) for one in self.series] if len(self.series) > 1 else [],
            table=[(label, [self.text(one.values[index]) for one in self.series]) for index, label in enumerate(self.labels)],
            ticks=ticks,
            slots=self._slots(),
            bars=bars,
            lines=lines,
            limit=None if self.limit is None else (self.y(self.limit[0]), self.limit[1]),
            gutter=16 + 7 * max(_width(text) for _, text in ticks),
        )

    def _slots(self) -> list[Slot]:
        count = len(self.labels)
        every, thin_every = -(-count // 12), -(-count // 6)
        return [
            Slot(
                _percent(index, count),
                _percent(1, count),
                _percent(2 * index + 1, 2 * count),
                label if index % every == 0 else "",
                index % max(thin_every, every) != 0,
                " · ".join([label, *(f"{one.name} {self.text(one.values[index])}" for one in self.series)]),
            )
            for index, label in enumerate(self.labels)
        ]


def bar_chart(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    text: Callable[[int], str],
    label_head: str,
    tick_text: Callable[[int], str] | None = None,
    limit: tuple[int, str] | None = None,
) -> Chart:
    """Draw bars side by side: one group a label, one bar a series. Negative figures stand at zero; the table says them.

    `text` writes a figure with its unit, `tick_text` the same for the axis (default: `text`); `limit` is a level and its name.
    """
    ground = _ground(title, labels, series, text, label_head, tick_text, limit, _highest(series))
    count, wide = len(labels), len(series)
    bars = []
    for position, one in enumerate(series):
        for index, value in enumerate(one.values):
            y = ground.y(value)
            # A group takes seven tenths of its strip.
            left = 20 * wide * index + 3 * wide + 14 * position
            bars.append(Bar(_percent(left, 20 * wide * count), y, _percent(13, 20 * wide * count), HEIGHT - FOOT - y, one.mark, round=True))
    return ground.chart(bars=bars)


def stacked_chart(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    text: Callable[[int], str],
    label_head: str,
    tick_text: Callable[[int], str] | None = None,
    limit: tuple[int, str] | None = None,
) -> Chart:
    """Draw one bar a label, the series' parts (none negative) on top of each other."""
    sums = [sum(one.values[index] for one in series) for index in range(len(labels))]
    ground = _ground(title, labels, series, text, label_head, tick_text, limit, max(sums, default=0))
    count = len(labels)
    bars = []
    for index in range(count):
        below = 0
        for one in series:
            low, high = ground.y(below), ground.y(below + one.values[index])
            below += one.values[index]
            if low > high:
                # A hairline of ground between the parts tells them apart without colour.
                height = max(low - high - (below != one.values[index]), 1)
                bars.append(Bar(_percent(20 * index + 4, 20 * count), high, _percent(12, 20 * count), height, one.mark, round=False))
    return ground.chart(bars=bars)


def line_chart(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    text: Callable[[int], str],
    label_head: str,
    tick_text: Callable[[int], str] | None = None,
    limit: tuple[int, str] | None = None,
    area: bool = False,
) -> Chart:
    """Draw a line a series; `area` fills below the first."""
    ground = _ground(title, labels, series, text, label_head, tick_text, limit, _highest(series))
    count, base = len(labels), HEIGHT - FOOT
    lines = []
    for position, one in enumerate(series):
        places = [((20000 * index + 10000) // (2 * count), ground.y(value)) for index, value in enumerate(one.values)]
        points = " ".join(f"{x},{y}" for x, y in places)
        fill = f"{places[0][0]},{base} {points} {places[-1][0]},{base}" if area and position == 0 and places else ""
        lines.append(Line(points, one.mark, fill))
    return ground.chart(lines=lines)


def ranked_chart(title: str, labels: Sequence[str], series: Sequence[Series], *, text: Callable[[int], str], label_head: str) -> Chart:
    """Draw lying bars, one a series below each label: for names, which stand beside each other only where there is room for them."""
    highest = _highest(series)
    ground = _ground(title, labels, series, text, label_head, None, None, highest)
    ranks = [
        Rank(
            label,
            [(one.mark, _percent(max(one.values[index], 0), max(highest, 1)), text(one.values[index])) for one in series],
        )
        for index, label in enumerate(labels)
    ]
    return replace(ground.chart(), ranks=ranks)


def sparkline(values: Sequence[int]) -> str:
    """Return the points of a line in a 100 × 24 field, lowest value at the bottom."""
    low, high = min(values, default=0), max(values, default=0)
    span = max(high - low, 1)
    last = max(len(values) - 1, 1)
    return " ".join(f"{100 * index // last},{21 - (value - low) * 18 // span}" for index, value in enumerate(values))


def _highest(series: Sequence[Series]) -> int:
    return max((value for one in series for value in one.values), default=0)


def _ground(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    text: Callable[[int], str],
    label_head: str,
    tick_text: Callable[[int], str] | None,
    limit: tuple[int, str] | None,
    highest: int,
) -> _Ground:
    assert all(len(one.values) == len(labels) for one in series), "every series has one figure a label"
    step = _step(max(highest, limit[0] if limit else 0))
    ceiling = -(-max(highest, limit[0] if limit else 0, 1) // step) * step
    return _Ground(title, label_head, labels, series, text, tick_text or text, ceiling, limit, step)


def _step(highest: int) -> int:
    """Return a round step, 1, 2, 2.5 or 5 times a power of ten, that makes at most four of `highest`."""
    power = 1
    while True:
        for factor, divisor in ((1, 1), (2, 1), (5, 2), (5, 1)):
            step = power * factor // divisor
            if step and step * 4 >= highest and power * factor % divisor == 0:
                return step
        power *= 10


def _percent(part: int, whole: int) -> str:
    """Write a share as a percentage with three decimals."""
    thousandths = part * 100_000 // max(whole, 1)
    return f"{thousandths // 1000}.{thousandths % 1000:03d}%"


def _width(text: str) -> int:
    """Return how many Latin letters wide a text is; a Chinese character is two."""
    return sum(1 if character.isascii() else 2 for character in text)
