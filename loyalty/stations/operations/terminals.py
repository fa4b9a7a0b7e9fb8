"""Terminals: logical tills, their caps, their status and heartbeat. Keys and sessions live in the identity room."""

from datetime import datetime

import msgspec
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.operations import Actor, record
from loyalty.errors import Refusal
from loyalty.ids import StationId, TerminalId, uuid7
from loyalty.revisions import Kind, bump
from loyalty.stations.model import TERMINAL_MOVES, Terminal, TerminalEvent, TerminalKind, TerminalStatus
from loyalty.stations.queries.places import get_station_for_update
from loyalty.stations.queries.terminals import get_terminal_for_update


class CodeTaken(Refusal):
    """Another till of the station has this code."""

    zh = "本站已有编号为 {code} 的终端。"
    en = "This station already has a terminal {code}."
    next_zh = "请换一个编号，或重新登记原终端。"
    next_en = "Choose another code, or enrol the existing terminal again."


class TerminalCannotMove(Refusal):
    """The terminal's present status does not lead there."""

    zh = "终端状态为 {status}，不能改为 {to}。"
    en = "The terminal is {status}; it cannot become {to}."
    next_zh = "请刷新后查看当前状态。"
    next_en = "Reload to see its present status."


class TerminalCaps(msgspec.Struct, frozen=True, kw_only=True):
    """What a till may take, in minor units of the station's currency; None is no cap of its own."""

    amount_per_transaction_max_minor: int | None = None
    offline_amount_max_minor: int | None = None


async def add_terminal(
    session: AsyncSession,
    *,
    station_id: StationId,
    code: str,
    kind: TerminalKind,
    caps: TerminalCaps | None = None,
    actor: Actor,
    now: datetime,
) -> Terminal:
    """Add a till to a station; it can do nothing until a device is enrolled for it.

    :raises StationNotFound: if there is no such station
    :raises CodeTaken: if the station has a till of that code
    """
    await get_station_for_update(session, station_id=station_id)
    if await session.scalar(select(Terminal.terminal_id).where(Terminal.station_id == station_id, Terminal.code == code)):
        raise CodeTaken(code=code)
    caps = caps or TerminalCaps()
    terminal = Terminal(
        terminal_id=uuid7(now),
        station_id=station_id,
        code=code,
        kind=kind,
        status=TerminalStatus.ACTIVE,
        created_at=now,
        **msgspec.structs.asdict(caps),
    )
    session.add(terminal)
    await session.flush()
    _append(session, terminal, "added", actor, now)
    await bump(session, Kind.TERMINAL)
    facts = {"code": code, "kind": kind, **msgspec.structs.asdict(caps)}
    await _record(session, terminal, "stations.terminal_added", facts, actor=actor, now=now)
    return terminal


async def change_terminal_caps(
    session: AsyncSession, *, terminal_id: TerminalId, caps: TerminalCaps, actor: Actor, now: datetime
) -> Terminal:
    """Give a till other caps, from the next decision on.

    :raises TerminalNotFound: if there is no such terminal
    """
    terminal = await get_terminal_for_update(session, terminal_id=terminal_id)
    terminal.amount_per_transaction_max_minor = caps.amount_per_transaction_max_minor
    terminal.offline_amount_max_minor = caps.offline_amount_max_minor
    await bump(session, Kind.TERMINAL)
    await _record(session, terminal, "stations.terminal_caps_changed", msgspec.structs.asdict(caps), actor=actor, now=now)
    return terminal


async def move_terminal(
    session: AsyncSession, *, terminal_id: TerminalId, to: TerminalStatus, reason: str, actor: Actor, now: datetime
) -> Terminal:
    """Quarantine, revoke or take back a till, at once: the revision makes every worker look again.

    What it still reports is booked and flagged. Closing its sessions and keys is the identity room's part.

    :raises TerminalNotFound: if there is no such terminal
    :raises TerminalCannotMove: if its present status does not lead there
    """
    terminal = await get_terminal_for_update(session, terminal_id=terminal_id)
    if to not in TERMINAL_MOVES[terminal.status]:
        raise TerminalCannotMove(terminal=terminal.code, status=terminal.status, to=to)
    before, terminal.status = terminal.status, to
    _append(session, terminal, reason, actor, now)
    await bump(session, Kind.TERMINAL)
    await _record(session, terminal, "stations.terminal_moved", {"from": before, "to": to, "reason": reason}, actor=actor, now=now)
    return terminal


async def record_heartbeat(session: AsyncSession, *, terminal_id: TerminalId, software: str | None, now: datetime) -> bool:
    """Note that a till was heard; False where a later beat is already noted. No revision: nothing at the pump depends on it."""
    values: dict[str, object] = {"last_heartbeat_at": now} if software is None else {"last_heartbeat_at": now, "software": software}
    heard = await session.execute(
        update(Terminal)
        .where(Terminal.terminal_id == terminal_id, or_(Terminal.last_heartbeat_at.is_(None), Terminal.last_heartbeat_at < now))
        .values(values)
        .returning(Terminal.terminal_id)
    )
    return heard.first() is not None


def _append(session: AsyncSession, terminal: Terminal, reason: str, actor: Actor, now: datetime) -> None:
    session.add(
        TerminalEvent(
            event_id=uuid7(now),
            terminal_id=terminal.terminal_id,
            moved_to=terminal.status,
            happened_at=now,
            staff_id=actor.staff_id,
            reason=reason,
        )
    )


async def _record(session: AsyncSession, terminal: Terminal, action: str, facts: dict[str, object], *, actor: Actor, now: datetime) -> None:
    await record(
        session,
        actor=actor,
        action=action,
        subject=("terminal", terminal.terminal_id),
        station_id=terminal.station_id,
        facts=facts,
        now=now,
    )
