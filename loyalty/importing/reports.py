"""What a person reads after an import: a line for each row as CSV, and the control totals."""

import csv
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from loyalty.money import decimal_text
from loyalty.web.exports import neutral

from .running import Figures, Import, Outcome, Result

_HEAD: Final = ("line", "id", "outcome", "field", "code", "zh", "en")


class RowReport:
    """The report file: written as sets are committed, so that a killed run leaves what it did."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def open(self, *, goes_on: bool) -> None:
        """Start the file, or go on behind what a run that was cut off wrote."""
        goes_on = goes_on and self.path.is_file() and self.path.stat().st_size > 0
        self._file = self.path.open("a", encoding="utf-8", newline="") if goes_on else self.path.open("w", encoding="utf-8-sig", newline="")
        if not goes_on:
            csv.writer(self._file).writerow(_HEAD)

    def add(self, results: Iterable[Result]) -> None:
        """Write rows; what stood in the file never becomes a formula in the reader's spreadsheet."""
        assert self._file is not None, "opened when the import began"
        writer = csv.writer(self._file)
        for result in results:
            writer.writerow([result.line, neutral(result.legacy_id), result.outcome.value, *map(neutral, result[3:])])
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()


def report_path(source: Path, wanted: Path | None, *, dry_run: bool) -> Path:
    """Return where the row report goes: where it is wanted, beside the file, or here where that folder cannot be written."""
    if wanted is not None:
        return wanted
    name = f"{source.stem}.{'dry-run' if dry_run else 'import'}-report.csv"
    beside = source.with_name(name)
    try:
        with beside.open("a", encoding="utf-8"):
            return beside
    except OSError:
        return Path(name)


def totals_text(made: Import, *, dry_run: bool, seconds: float) -> str:
    """Return the control totals as a table."""
    figures = made.figures
    head = "Dry run: nothing was kept." if dry_run else "Imported."
    if made.resumed_after:
        head += f" Went on behind line {made.resumed_after:,} of a run that was cut off."
    lines = [head, f"{'read':<12}{figures.read:>10,}"]
    lines += [
        f"{outcome.value:<12}{figures.rows[outcome]:>10,}{_money(figures, outcome)}" for outcome in Outcome if figures.rows.get(outcome)
    ]
    lines.append(f"{figures.read / seconds:,.0f} rows/s" if seconds > 0 else "")
    return "\n".join(lines)


def _money(figures: Figures, outcome: Outcome) -> str:
    sums = figures.sums.get(outcome, {})
    return "".join(f"   {decimal_text(amount, currency):>14} {currency}" for currency, amount in sorted(sums.items()))
