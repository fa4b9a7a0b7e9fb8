"""The address of a list is its state: filters, sort and cursor stand in the query, so that a view can be kept, shared and exported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Column:
    """A column's head: `kind` is `text` or `num`; `sort` the name the list is ordered by, empty where it is not."""

    label: str
    kind: str = "text"
    sort: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """One list as its reader sees it now; `sort` is `name` or `-name` for descending, as in `loyalty.paging.keys_for`."""

    path: str
    sort: str
    filters: Mapping[str, str] = field(default_factory=dict)

    def href(self, **changes: str | None) -> str:
        """Return the address of this view with some parameters changed or, by None or "", dropped."""
        params = {name: value for name, value in ({"sort": self.sort} | dict(self.filters) | changes).items() if value}
        return f"{self.path}?{urlencode(params)}" if params else self.path

    def sort_href(self, name: str) -> str:
        """Return the address that sorts by `name`, the other way round if it already does; a cursor belongs to one order."""
        return self.href(sort=f"-{name}" if self.sort == name else name, cursor=None)

    def direction(self, name: str) -> str:
        """Return the `aria-sort` of a column."""
        return {name: "ascending", f"-{name}": "descending"}.get(self.sort, "none")

    def page_href(self, cursor: str | None) -> str | None:
        """Return the address of a neighbouring page, None where there is none."""
        return None if cursor is None else self.href(cursor=cursor)

    def export_href(self, suffix: str) -> str:
        """Return the address that exports exactly this view: `xlsx` or `csv`."""
        params = self.href(cursor=None).removeprefix(self.path)
        return f"{self.path}.{suffix}{params}"

    def hidden(self, shown: Sequence[str]) -> dict[str, str]:
        """Return the parameters which a filter form must carry along besides the fields `shown`."""
        return {name: value for name, value in ({"sort": self.sort} | dict(self.filters)).items() if value and name not in shown}
