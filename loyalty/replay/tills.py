"""The tills that replay: one a station, known again by the keys kept beside the installation's own; a counter a currency for the loads."""

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import httpx

from loyalty.audit.model import Actor, ActorKind
from loyalty.card_numbers import new_card_number
from loyalty.db import Sessions, transaction
from loyalty.identity.model import Role, ScopeKind
from loyalty.identity.model_terminals import EnrolmentUse
from loyalty.identity.operations import grant_role, hire, issue_enrolment_code, issue_staff_card, set_staff_pin
from loyalty.ids import StationId
from loyalty.importing.queries import Receipt
from loyalty.pos_client import FileStore, MemoryStore, ProblemError, Staff, Till
from loyalty.stations.model import TerminalKind
from loyalty.stations.operations import StationFacts, add_terminal, put_stations
from loyalty.stations.queries import find_station, find_terminal, get_station

ACTOR = Actor(ActorKind.SYSTEM, "replay")
TILL = "REPLAY"
_STAFF_BIN = "98100"


@dataclass
class Tills:
    """Enrolled tills by station, and the counters by currency."""

    by_station: dict[UUID, Till]
    counters: dict[str, Till]


async def make_tills(
    sessions: Sessions,
    http: httpx.AsyncClient,
    *,
    base_url: str,
    folder: Path,
    receipts: Sequence[Receipt],
    now: datetime,
    real_now: Callable[[], datetime],
    progress: Callable[[int, int], None],
) -> Tills:
    """Return a till for every station that a receipt names and a counter for every currency, enrolled where they are not yet.

    Identities persist: a till whose key is in `folder` keeps it; where the folder was lost the same till is enrolled anew, and its
    requests keep their keys and effects.
    """
    stations = dict.fromkeys(receipt.station_id for receipt in receipts)
    currencies = {receipt.currency: receipt for receipt in reversed(receipts)}
    counters = {currency: await _counter(sessions, receipt, now=now) for currency, receipt in sorted(currencies.items())}
    wanted = [*stations, *counters.values()]
    enrolled: dict[UUID, Till] = {}
    for done, station_id in enumerate(wanted, 1):
        enrolled[station_id] = await _till(sessions, http, base_url, folder, station_id, now=now, real_now=real_now)
        progress(done, len(wanted))
    cashier = await _cashier(sessions, folder, now=now)
    for station_id in counters.values():
        await _open_shift(enrolled[station_id], cashier)
    return Tills(
        {station_id: enrolled[station_id] for station_id in stations},
        {currency: enrolled[station_id] for currency, station_id in counters.items()},
    )


async def _till(
    sessions: Sessions,
    http: httpx.AsyncClient,
    base_url: str,
    folder: Path,
    station_id: UUID,
    *,
    now: datetime,
    real_now: Callable[[], datetime],
) -> Till:
    async with transaction(sessions) as session:
        terminal_id = await find_terminal(session, station_id=station_id, code=TILL)
        if terminal_id is None:
            terminal = await add_terminal(session, station_id=StationId(station_id), code=TILL, kind=TerminalKind.POS, actor=ACTOR, now=now)
            terminal_id = terminal.terminal_id
    store = FileStore(folder / f"{terminal_id}.json")
    state = store.load()
    if state is None:
        async with transaction(sessions) as session:
            code, _ = await issue_enrolment_code(session, terminal_id=terminal_id, use=EnrolmentUse.KEY, now=real_now())
        state = (await Till.enrol(base_url, code=code, store=store, http=http)).state
    # Every request here has a computed key and the same bytes each time, so nothing need be kept between them.
    return Till(MemoryStore(state), http=http)


async def _counter(sessions: Sessions, like: Receipt, *, now: datetime) -> UUID:
    """Return the station at which accounts of a currency are loaded, made like the first one that a receipt names."""
    code = f"{like.source}-counter-{like.currency}"
    async with transaction(sessions) as session:
        standing = await find_station(session, code=code)
        if standing is not None:
            return standing
        station = await get_station(session, station_id=like.station_id)
        facts = StationFacts(
            name_zh=f"{like.source} 充值柜台（{like.currency}）",
            name_en=f"{like.source} counter ({like.currency})",
            entity_id=station.entity_id,
            district_id=station.district_id,
            zone=station.zone,
            currency=like.currency,
            country=station.country,
            may_issue=False,
            may_invoice=False,
        )
        put = await put_stations(session, stations={code: facts}, actor=ACTOR, now=now)
        return put.ids[code]


async def _cashier(sessions: Sessions, folder: Path, *, now: datetime) -> Staff:
    """Return the cashier of the counters: hired once, card and PIN kept in the folder; a lost folder means another one."""
    file = folder / "cashier.json"
    if file.is_file():
        kept: Mapping[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return Staff(card=kept["card"], pin=kept["pin"])
    card = new_card_number(_STAFF_BIN, 16)
    async with transaction(sessions) as session:
        # A number is never given twice: a lost folder means another cashier.
        staff_id = await hire(session, employee_number=f"{TILL}-{secrets.token_hex(4)}", name="Replay", now=now)
        await grant_role(session, staff_id=staff_id, role=Role.CASHIER, scope=ScopeKind.ALL, now=now)
        await issue_staff_card(session, staff_id=staff_id, card_number=card, now=now)
        pin = _random_pin()
        await set_staff_pin(session, staff_id=staff_id, pin=pin, now=now)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        json.dump({"card": card, "pin": pin}, out)
    return Staff(card=card, pin=pin)


def _random_pin() -> str:
    """Return a PIN that no rule calls simple: its first two steps differ."""
    while True:
        pin = f"{secrets.randbelow(10**8):08d}"
        steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
        if len(steps) > 1:
            return pin


async def _open_shift(till: Till, cashier: Staff) -> None:
    """Open the counter's shift, unless one is running: a member of staff answers for a load."""
    try:
        await till.get("/v1/shifts/current")
    except ProblemError as problem:
        if problem.status != 404:
            raise
        await till.open_shift(cashier, opening_float_minor=0)
