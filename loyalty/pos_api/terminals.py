"""Where a till stands, what it may do, and what it takes with it for when the line is down."""

from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.di import NamedDependency
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.callers import Caller
from loyalty.cards.numbers import reveal_number
from loyalty.cards.queries import list_products, offline_profile, stopped_cards
from loyalty.clock import local_date
from loyalty.crypto import Purpose, issue_token, public_keys, stop_list_day_key, stop_list_entry
from loyalty.stations.queries import BoardLine, TerminalView, get_station, get_terminal, price_board, running_shift

PACKAGE_LIFE: Final = timedelta(days=7)
"""How long an offline package's signature counts; its figures shrink to nothing long before."""
FRESH_FOR: Final = timedelta(seconds=30)
"""How long a worker hands out the same stop list: it costs a decryption a card."""


class RunningShift(Struct, kw_only=True):
    """The shift on this till; blind: nothing about expected cash."""

    shift_id: UUID
    status: str
    cashier_id: UUID
    opened_at: datetime


class PlaceAnswer(Struct, kw_only=True):
    """Who and where this till is: station, caps, what is sold here and for how much, the running shift."""

    terminal: TerminalView
    epoch: int
    station_status: str
    may_issue: bool
    may_load: bool
    board: list[BoardLine]
    shift: RunningShift | None
    now: datetime
    """Business time, by which sales are dated."""


class StopList(Struct):
    """What the token `stop_list` carries: keyed hashes (16 bytes, base64) under the day key."""

    day: str
    entries: list[bytes]


class ProfileLine(Struct, kw_only=True):
    """What cards of one product may take offline: minor units, thousandths, times."""

    code: str
    number_bin: str
    allowed: bool
    fill_amount_minor: int
    fill_quantity_milli: int
    day_amount_minor: int
    day_quantity_milli: int
    day_count: int
    station_amount_minor: int
    shrink_percent_per_hour: int


class Profiles(Struct):
    """What the token `profiles` carries."""

    station_id: UUID
    terminal_max_minor: int | None
    products: list[ProfileLine]


class Secrets(Struct):
    """What is sealed for this till beside the tokens."""

    day_key: bytes
    public_keys: dict[str, bytes]


class OfflinePackage(Struct, kw_only=True):
    """Two documents signed by the issuer (Ed25519 tokens), and sealed under the day session what is needed to read them."""

    day: str
    stop_list: str
    profiles: str
    secrets: bytes
    """AES-GCM under the day session, topic `offline package <day>`: the day key, and the public keys of the two signatures."""


@get("/terminals/current", summary="Who and where this terminal is / 终端、油站与价格", tags=["terminals"])
async def place(caller: NamedDependency[Caller], session: NamedDependency[AsyncSession], now: NamedDependency[datetime]) -> PlaceAnswer:
    """Station, caps, products with the price in force and the next one published, the running shift."""
    terminal = await get_terminal(session, terminal_id=caller.place.terminal_id)
    station = await get_station(session, station_id=caller.place.station_id)
    shift = await running_shift(session, terminal_id=caller.place.terminal_id)
    return PlaceAnswer(
        terminal=terminal,
        epoch=caller.session.epoch,
        station_status=station.status.value,
        may_issue=station.may_issue,
        may_load=station.may_load,
        board=await price_board(session, station_id=caller.place.station_id, at=now),
        shift=None
        if shift is None
        else RunningShift(shift_id=shift.shift_id, status=shift.status.value, cashier_id=shift.cashier_id, opened_at=shift.opened_at),
        now=now,
    )


@get("/offline-package", summary="Stop list and offline profiles / 离线黑名单与额度", tags=["offline"])
async def offline_package(
    state: State, caller: NamedDependency[Caller], session: NamedDependency[AsyncSession], now: NamedDependency[datetime]
) -> OfflinePackage:
    """The stop list holds keyed hashes, useless without the day key, which is sealed for this till alone."""
    day = local_date(now, caller.place.zone)
    terminal = await get_terminal(session, terminal_id=caller.place.terminal_id)
    profiles = Profiles(
        station_id=caller.place.station_id,
        terminal_max_minor=terminal.offline_amount_max_minor,
        products=[
            ProfileLine(code=product.code, number_bin=product.number_bin, **offline_profile(product)._asdict())
            for product in await list_products(session, active_only=True)
        ],
    )
    secrets = Secrets(stop_list_day_key(day), {str(number): key for number, key in public_keys(Purpose.OFFLINE_DOCUMENT).items()})
    return OfflinePackage(
        day=day.isoformat(),
        stop_list=await _stop_list(session, state, day, now),
        profiles=issue_token(Purpose.OFFLINE_DOCUMENT, profiles, expires_at=now + PACKAGE_LIFE),
        secrets=caller.session.keys.seal_answer(f"offline package {day.isoformat()}", msgspec.json.encode(secrets)),
    )


async def _stop_list(session: AsyncSession, state: State, day: date, now: datetime) -> str:
    """Return the signed stop list of a day, a moment old at most."""
    known: tuple[date, datetime, str] | None = state.get("stop_list")
    if known is not None and known[0] == day and timedelta(0) <= now - known[1] < FRESH_FOR:
        return known[2]
    key = stop_list_day_key(day)
    entries = [
        stop_list_entry(key, reveal_number(card_id=card.card_id, sealed=card.number_sealed)) for card in await stopped_cards(session)
    ]
    token = issue_token(Purpose.OFFLINE_DOCUMENT, StopList(day.isoformat(), sorted(entries)), expires_at=now + PACKAGE_LIFE)
    state["stop_list"] = (day, now, token)
    return token
