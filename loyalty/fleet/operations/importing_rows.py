"""A row of a file as it was judged: what is common to all lists."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from loyalty.fleet.sheets import Cells, RowFault, RowResult, RowState

_SHOWN = {"department_id": "department", "vehicle_id": "plate", "driver_id": "driver", "plate_key": "plate"}
"""Which column shows a field whose name is another."""


@dataclass(slots=True)
class Judged:
    """A row: whom it is about, the row that stands (if any), what it shall be, and what changes (name → [before, after])."""

    cells: Cells
    key: str
    row: Any = None
    sound: Any = None
    changes: dict[str, list[Any]] = field(default_factory=dict)
    state: RowState = RowState.ERROR
    warnings: tuple[RowFault, ...] = ()


def results(judged: Sequence[Judged]) -> list[RowResult]:
    """Say of each row what it does, in the file's own words."""
    return [
        RowResult(
            number=one.cells.number,
            state=one.state,
            key=one.key,
            changes=_changed(one) if one.state is RowState.CHANGE else (),
            faults=tuple(one.cells.faults),
            warnings=one.warnings,
        )
        for one in judged
    ]


def _changed(one: Judged) -> tuple[str, ...]:
    columns = (_SHOWN.get(name, name) for name in one.changes)
    return tuple(dict.fromkeys(one.cells.names.get(column, column) for column in columns))
