"""A small chain: two districts of one region, three stations with a till each; and people to work there."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.crypto import FileKeyProvider, Keyring, open_keyring, passwords, totp_code, use_keyring
from loyalty.identity import operations
from loyalty.identity.model import Portal, Role, ScopeKind, StaffRole
from loyalty.identity.model_terminals import EnrolmentUse
from loyalty.identity.operations import DeviceEnrolment, LogIn
from loyalty.identity.rules import Principal
from loyalty.ids import StaffId, uuid7
from loyalty.stations.model import District, LegalEntity, Region, Station, StationStatus, Terminal, TerminalKind, TerminalStatus
from tests.conftest import NOW

PASSWORD = "correct horse battery staple"
TOTP_SECRET = b"12345678901234567890"
PIN = "260715"
CARD = "9000 0123 4567 8904"


@pytest.fixture(scope="session")
def key_set(tmp_path_factory) -> Keyring:
    return open_keyring(FileKeyProvider(tmp_path_factory.mktemp("secret") / "keys"), expected_fingerprint=None, now=NOW)


@pytest.fixture(autouse=True)
def keys(key_set) -> Iterator[Keyring]:
    use_keyring(key_set)
    yield key_set
    use_keyring(None)


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch) -> None:
    """Argon2id at a thousandth of its cost: real hashes, found out in the rooms' tests of their meaning and not of their price."""
    prefix = "$argon2id$v=19$m=64,t=1,p=1$"
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "ITERATIONS", 1)
    monkeypatch.setattr(passwords, "_NOBODY", passwords._NOBODY.replace(passwords._PREFIX, prefix))
    monkeypatch.setattr(passwords, "_PREFIX", prefix)


@dataclass(frozen=True)
class Places:
    region: UUID
    districts: tuple[UUID, UUID]
    stations: tuple[UUID, UUID, UUID]
    """Two in the first district, one in the second."""
    terminals: tuple[UUID, UUID, UUID]


async def make_places(session: AsyncSession, now: datetime = NOW) -> Places:
    entity = LegalEntity(entity_id=uuid7(now), code="E", name_zh="甲", name_en="A", currency="CNY", created_at=now)
    region = Region(region_id=uuid7(now), code="R", name_zh="南", name_en="South", created_at=now)
    session.add_all([entity, region])
    await session.flush()
    districts = [
        District(district_id=uuid7(now), region_id=region.region_id, code=code, name_zh=code, name_en=code, created_at=now) for code in "DE"
    ]
    session.add_all(districts)
    await session.flush()
    stations = [_station(number, entity, districts[number // 2], now) for number in range(3)]
    session.add_all(stations)
    await session.flush()
    terminals = [
        Terminal(
            terminal_id=uuid7(now),
            station_id=station.station_id,
            code="1",
            kind=TerminalKind.COUNTER,
            status=TerminalStatus.ACTIVE,
            created_at=now,
        )
        for station in stations
    ]
    session.add_all(terminals)
    await session.flush()
    return Places(
        region.region_id,
        tuple(district.district_id for district in districts),
        tuple(station.station_id for station in stations),
        tuple(terminal.terminal_id for terminal in terminals),
    )


def _station(number: int, entity: LegalEntity, district: District, now: datetime) -> Station:
    return Station(
        station_id=uuid7(now),
        code=f"S{number}",
        name_zh=f"站{number}",
        name_en=f"Station {number}",
        entity_id=entity.entity_id,
        district_id=district.district_id,
        country="CN",
        zone="Asia/Shanghai",
        currency="CNY",
        address="",
        phone="",
        may_issue=True,
        may_load=True,
        may_invoice=True,
        status=StationStatus.OPEN,
        created_at=now,
    )


@pytest.fixture
async def places(session) -> Places:
    return await make_places(session)


class People:
    """Hires people into a session's database."""

    def __init__(self, session: AsyncSession, places: Places) -> None:
        self.session, self.places = session, places
        self._hired = 0

    async def hire(self, *roles: tuple[Role, ScopeKind, UUID | None], home: UUID | None = None) -> StaffId:
        self._hired += 1
        staff_id = await operations.hire(
            self.session, employee_number=f"N{self._hired:03}", name=f"员工{self._hired}", home_station_id=home, now=NOW
        )
        for role, scope, scope_id in roles:
            await operations.grant_role(self.session, staff_id=staff_id, role=role, scope=scope, scope_id=scope_id, now=NOW)
        return staff_id

    async def at_station(self, role: Role = Role.CASHIER, station: int = 0, *, card: str = CARD, pin: str = PIN) -> StaffId:
        """Hire somebody with a card for one station."""
        station_id = self.places.stations[station]
        staff_id = await self.hire((role, ScopeKind.STATION, station_id), home=station_id)
        await operations.issue_staff_card(self.session, staff_id=staff_id, card_number=card, now=NOW)
        await operations.set_staff_pin(self.session, staff_id=staff_id, pin=pin, now=NOW)
        return staff_id

    async def in_office(self, *roles: Role, name: str = "wang.li", must_change: bool = False) -> StaffId:
        """Hire somebody with a log-in, a known authenticator, and roles everywhere."""
        staff_id = await self.hire(*[(role, ScopeKind.ALL, None) for role in roles])
        await operations.create_user(self.session, staff_id=staff_id, log_in_name=name, password=PASSWORD, must_change=must_change, now=NOW)
        await operations.set_totp(self.session, staff_id=staff_id, secret=TOTP_SECRET, now=NOW)
        return staff_id

    async def log_in(self, name: str = "wang.li", now: datetime = NOW) -> LogIn:
        begun = await operations.start_log_in(self.session, name=name, password=PASSWORD, now=now)
        assert begun.token is not None
        return await operations.verify_totp(self.session, token=begun.token, code=totp_code(TOTP_SECRET, now=now), now=now)

    async def principal(self, *roles: Role, name: str = "zhao.min", now: datetime = NOW) -> Principal:
        """Hire somebody for the office, log them in, and return them as a request sees them."""
        await self.in_office(*roles, name=name)
        done = await self.log_in(name, now)
        return await operations.resume(self.session, token=done.token, portal=Portal.OFFICE, now=now)

    async def device(self, terminal: int = 0, now: datetime = NOW) -> DeviceEnrolment:
        """Make a browser a till."""
        code, _ = await operations.issue_enrolment_code(
            self.session, terminal_id=self.places.terminals[terminal], use=EnrolmentUse.BROWSER, now=now
        )
        device = await operations.redeem_browser_code(self.session, code=code, now=now)
        assert device is not None
        return device


@pytest.fixture
def people(session, places) -> People:
    return People(session, places)


def later(**amount: int) -> datetime:
    return NOW + timedelta(**amount)


async def actions(session: AsyncSession) -> list[str]:
    return list(await session.scalars(text("SELECT action FROM audit_entries ORDER BY entry_id")))


async def roles_of(session: AsyncSession, staff_id: UUID) -> list[StaffRole]:
    return list(await session.scalars(select(StaffRole).where(StaffRole.staff_id == staff_id)))
