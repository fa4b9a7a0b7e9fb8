"""Cursor pages: keyset pagination over any SELECT, the one pager of every list.

A page is asked for with the columns it is ordered by (the last of them unique), an opaque cursor and a limit. The cursor holds the ordered
columns' values of the row where the page begins or ends, so that rows inserted meanwhile neither repeat nor vanish, and the thousandth page
costs what the first did. A cursor is only a position: who may see what is decided by the SELECT.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Row, Select, and_, literal, or_, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from loyalty.errors import Refusal

PAGE_SIZE = 50
PAGE_SIZE_MAX = 200

T = TypeVar("T")
Column = ColumnElement[Any] | InstrumentedAttribute[Any]


class CursorNotUnderstood(Refusal):
    """Damaged, or made for a list in another order."""

    status = 400
    zh = "分页位置无效，可能来自另一种排序。"
    en = "This page position is not valid; it may come from another sort order."
    next_zh = "请从第一页重新开始。"
    next_en = "Start again at the first page."


class PageSizeOutOfRange(Refusal):
    """A page holds 1 to 200 rows."""

    status = 400
    zh = "每页行数须为 1 至 {max}，收到 {limit}。"
    en = "A page holds 1 to {max} rows; {limit} were asked for."
    next_zh = "请改小每页行数后重试。"
    next_en = "Ask for a smaller page."


class UnknownSort(Refusal):
    """The list cannot be ordered by that."""

    status = 400
    zh = "此列表不能按“{sort}”排序。可用：{known}。"
    en = 'This list cannot be sorted by "{sort}". It can be by: {known}.'
    next_zh = "请选择可用的列。"
    next_en = "Choose one of these."


@dataclass(frozen=True, slots=True)
class Key:
    """One column of the order. It must never be NULL (coalesce it); the last key of a list must be unique."""

    column: Column
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows in the list's order, with the cursors of the neighbouring pages; None where there is none."""

    rows: list[T]
    next: str | None
    previous: str | None


def keys_for(sort: str, sorts: Mapping[str, Column], *, unique: Column) -> list[Key]:
    """Read a sort as it stands in a URL, `name` or `-name` for descending, as keys ending in the `unique` column.

    :raises UnknownSort: if `sorts` has no such name
    """
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    if name not in sorts:
        raise UnknownSort(sort=name, known=", ".join(sorts))
    first = Key(sorts[name], descending)
    return [first] if sorts[name] is unique else [first, Key(unique, descending)]


async def all_as(session: AsyncSession, into: Callable[..., T], statement: Select[*tuple[Any, ...]]) -> list[T]:
    """Read a short list whole, each row made `into(*columns)`."""
    return [into(*row) for row in await session.execute(statement)]


async def one_as(session: AsyncSession, into: Callable[..., T], statement: Select[*tuple[Any, ...]]) -> T | None:
    """Read the first row, made `into(*columns)`; None where there is none."""
    row = (await session.execute(statement)).first()
    return None if row is None else into(*row)


async def page_as(
    session: AsyncSession,
    into: Callable[..., T],
    statement: Select[*tuple[Any, ...]],
    *,
    keys: Sequence[Key],
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[T]:
    """Read one page of a SELECT of several columns, each row made `into(*columns)`; raises like `page`."""
    found = await page_rows(session, statement, keys=keys, cursor=cursor, limit=limit)
    return Page(rows=[into(*tuple(row)[: -len(keys)]) for row in found.rows], next=found.next, previous=found.previous)


async def page(
    session: AsyncSession, statement: Select[T], *, keys: Sequence[Key], cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[T]:
    """Read one page of a SELECT of a single entity or column.

    :raises CursorNotUnderstood: if the cursor is damaged or was made for other keys
    :raises PageSizeOutOfRange: if `limit` is not 1 to 200
    """
    rows = await page_rows(session, statement, keys=keys, cursor=cursor, limit=limit)
    return Page(rows=[row[0] for row in rows.rows], next=rows.next, previous=rows.previous)


async def page_rows(
    session: AsyncSession, statement: Select[*tuple[Any, ...]], *, keys: Sequence[Key], cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[Row[*tuple[Any, ...]]]:
    """Read one page of a SELECT of several columns; each row carries the keys' values after its own columns.

    :raises CursorNotUnderstood: if the cursor is damaged or was made for other keys
    :raises PageSizeOutOfRange: if `limit` is not 1 to 200
    """
    if not 1 <= limit <= PAGE_SIZE_MAX:
        raise PageSizeOutOfRange(limit=limit, max=PAGE_SIZE_MAX)
    backwards, position = _read(cursor, keys) if cursor else (False, None)
    statement = statement.order_by(None).order_by(*(_ordering(key, reverse=backwards) for key in keys))
    statement = statement.add_columns(*(key.column.label(f"_key_{index}") for index, key in enumerate(keys)))
    if position is not None:
        statement = statement.where(_beyond(keys, position, reverse=backwards))
    # One row more than asked for tells whether the list goes on.
    found = list(await session.execute(statement.limit(limit + 1)))
    more = len(found) > limit
    rows = found[:limit]
    if backwards:
        rows.reverse()
    ends_after = more if not backwards else position is not None
    begins_before = more if backwards else position is not None
    return Page(
        rows=rows,
        next=_write(rows[-1], keys, backwards=False) if rows and ends_after else None,
        previous=_write(rows[0], keys, backwards=True) if rows and begins_before else None,
    )


def cut_branch(
    branch: Select[*tuple[Any, ...]], *, keys: Sequence[Key], cursor: str | None = None, limit: int = PAGE_SIZE
) -> Select[*tuple[Any, ...]]:
    """Cut one branch of a UNION ALL to what a page of the whole may need of it, so that each is read off its index.

    :param keys: the branch's own columns for the page's keys, labelled as they are
    :raises CursorNotUnderstood: as the page itself
    """
    backwards, position = _read(cursor, keys) if cursor else (False, None)
    branch = branch.order_by(*(_ordering(key, reverse=backwards) for key in keys))
    if position is not None:
        branch = branch.where(_beyond(keys, position, reverse=backwards))
    return branch.limit(limit + 1)


def _ordering(key: Key, *, reverse: bool) -> ColumnElement[Any]:
    return key.column.desc() if key.descending is not reverse else key.column.asc()


def _beyond(keys: Sequence[Key], position: Sequence[Any], *, reverse: bool) -> ColumnElement[bool]:
    """Say "comes after this position" for the keys' order, or before it."""
    falling = [key.descending is not reverse for key in keys]
    values = [literal(value, key.column.type) for key, value in zip(keys, position, strict=True)]
    if len(set(falling)) == 1:
        # A row comparison is one index condition.
        mine, theirs = tuple_(*(key.column for key in keys)), tuple_(*values)
        return mine < theirs if falling[0] else mine > theirs
    return or_(
        *(
            and_(
                *(keys[before].column == values[before] for before in range(index)),
                keys[index].column < values[index] if falling[index] else keys[index].column > values[index],
            )
            for index in range(len(keys))
        )
    )


def _shape(keys: Sequence[Key]) -> str:
    """Name the order, so that a cursor of another one is recognised."""
    return ",".join(f"{'-' if key.descending else ''}{getattr(key.column, 'key', None) or key.column}" for key in keys)


def _write(row: Row[*tuple[Any, ...]], keys: Sequence[Key], *, backwards: bool) -> str:
    values = list(row)[-len(keys) :]
    return base64.urlsafe_b64encode(msgspec.json.encode([_shape(keys), backwards, values])).rstrip(b"=").decode()


def _read(cursor: str, keys: Sequence[Key]) -> tuple[bool, list[Any]]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        shape, backwards, values = msgspec.json.decode(raw, type=tuple[str, bool, list[Any]])
        if shape != _shape(keys):
            raise CursorNotUnderstood
        return backwards, [msgspec.convert(value, key.column.type.python_type) for key, value in zip(keys, values, strict=True)]
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise CursorNotUnderstood from error
