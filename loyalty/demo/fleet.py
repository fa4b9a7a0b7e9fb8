"""The demo's fleet: the first organisation manages its own departments, vehicles, drivers and cards."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.model import Card
from loyalty.cards.queries import cards_of_customer
from loyalty.customers.model import CustomerKind
from loyalty.customers.plates import vin_check_digit
from loyalty.customers.queries import CustomerFilter, list_customers
from loyalty.fleet.model import CompanyMode, DriverStatus, Ownership
from loyalty.fleet.model_credit import ProposalStatus
from loyalty.fleet.operations.bindings import bind_card
from loyalty.fleet.operations.companies import CompanySettings, join_group, make_company
from loyalty.fleet.operations.credit import decide_credit, propose_credit
from loyalty.fleet.operations.departments import DepartmentFacts, add_department
from loyalty.fleet.operations.drivers import add_driver, move_driver, set_driver_pin
from loyalty.fleet.operations.vehicles import add_vehicle, repair_vehicle
from loyalty.fleet.rules import DriverFacts, VehicleFacts
from loyalty.limits.levels import PERMIT
from loyalty.limits.model import ChangeKind
from loyalty.limits.operations import NewChange, NewOrder, add_change, add_orders, cancel_order, release
from loyalty.statements.operations.invoices import TitleFacts, add_title

from .chain import Chain
from .holders import ORGANISATIONS, first_km

DEPARTMENTS: Final = (("干线运输部", "CC-100", None), ("城市配送部", "CC-200", None), ("城配北区", "CC-210", 1), ("行政部", "CC-900", None))
"""Name, cost centre, and the place in this list of what it stands under."""


class _Class(NamedTuple):
    """Vehicles of one kind: how many, whose, and what is normal for them."""

    type: str
    vehicles: int
    department: int
    displacement_ml: int
    tank_milli: int
    norm_milli: int
    product_code: str


_CLASSES: Final = (
    _Class("tractor", 6, 0, 12_740, 800_000, 34_500, "0"),
    _Class("truck", 5, 0, 6_692, 400_000, 26_000, "0"),
    _Class("light_truck", 5, 1, 2_771, 120_000, 13_500, "0"),
    _Class("van", 4, 2, 1_498, 55_000, 8_200, "92"),
    _Class("car", 4, 3, 1_984, 66_000, 7_400, "95"),
)
_DRIVERS: Final = (
    "王建军",
    "李国强",
    "张海涛",
    "刘志远",
    "陈卫东",
    "杨光明",
    "黄永胜",
    "周庆华",
    "吴文斌",
    "徐立新",
    "孙长河",
    "马跃进",
    "朱红兵",
    "胡小军",
    "林晓峰",
    "郭永年",
    "何春生",
    "高建平",
    "罗世杰",
    "郑海燕",
)


async def make_fleet(session: AsyncSession, chain: Chain, *, pin: str, now: datetime) -> UUID:
    """Open the fleet of the first organisation and return the company's id. `pin` is every driver's, as it is every card's."""
    name = ORGANISATIONS[0][0]
    company_id, cards = await _company(session, chain, name, CompanyMode.MIXED)
    departments = await _departments(session, chain, company_id)
    # Vans and cars have cards: what they are entered with is what their first fills go on from.
    known = {16 + place: first_km(card.number_tail) for place, card in enumerate(cards[:4])}
    vehicles = await _vehicles(session, chain, company_id, departments, known)
    drivers = await _drivers(session, chain, company_id, departments, pin, now)
    # Their cards buy gasoline: vans and cars have them, one is a driver's alone, the last the office's.
    bound: list[tuple[UUID | None, UUID | None, UUID | None]] = [
        *((vehicle_id, driver_id, None) for vehicle_id, driver_id in zip(vehicles[16:20], drivers[12:16], strict=True)),
        (None, drivers[-2], None),
        (None, None, departments[3]),
    ]
    for card, (vehicle_id, driver_id, department_id) in zip(cards, bound, strict=False):
        await bind_card(
            session,
            company_id=company_id,
            chain_id=card.chain_id,
            vehicle_id=vehicle_id,
            driver_id=driver_id,
            department_id=department_id,
            actor=chain.person("office"),
            now=chain.began,
        )
    await repair_vehicle(
        session,
        company_id=company_id,
        vehicle_id=vehicles[1],
        substitute_id=vehicles[5],
        actor=chain.person("office"),
        reason="变速箱维修",
        now=now - timedelta(days=2),
    )
    await move_driver(
        session,
        company_id=company_id,
        driver_id=drivers[4],
        to=DriverStatus.AWAY,
        actor=chain.person("office"),
        reason="外派嘉兴项目",
        now=now - timedelta(days=3),
    )
    title = TitleFacts(
        name=name,
        tax_number="9144030071526726XG",
        address="杭州市萧山区市心北路 88 号",
        telephone="0571-82600000",
        bank="中国工商银行杭州萧山支行",
        bank_account="1202090309900012345",
    )
    await add_title(session, company_id=company_id, facts=title, actor=chain.person("office"), now=now)
    await _control(session, chain, company_id, cards[0].account_id, cards[0].chain_id, vehicles, now)
    await _below(session, chain, company_id, now)
    return company_id


async def _company(session: AsyncSession, chain: Chain, name: str, mode: CompanyMode) -> tuple[UUID, list[Card]]:
    """Let an organisation manage its own cards."""
    (customer,) = (await list_customers(session, by=CustomerFilter(kind=CustomerKind.ORGANISATION, name=name))).rows
    cards = sorted(await cards_of_customer(session, customer_id=customer.customer_id), key=lambda card: card.card_id)
    made = await make_company(
        session,
        customer_id=customer.customer_id,
        account_id=cards[0].account_id,
        settings=CompanySettings(mode=mode),
        actor=chain.person("office"),
        now=chain.began,
    )
    return made, cards


async def _below(session: AsyncSession, chain: Chain, company_id: UUID, now: datetime) -> None:
    """Put another company below the first: it fuels on account, as one of the office proposed and finance approved."""
    below, _cards = await _company(session, chain, ORGANISATIONS[3][0], CompanyMode.POOLED)
    await join_group(session, company_id=below, parent_id=company_id, actor=chain.person("office"), now=now)
    made = await propose_credit(
        session,
        company_id=below,
        limit_minor=5_000_000,
        terms_days=15,
        block_after_days=10,
        note="季度授信评审通过",
        actor=chain.person("office"),
        now=now,
    )
    to = ProposalStatus.APPROVED
    await decide_credit(session, proposal_id=made.proposal_id, to=to, actor=chain.person("finance"), now=now)


async def _control(
    session: AsyncSession, chain: Chain, company_id: UUID, account_id: UUID, chain_id: UUID, vehicles: list[UUID], now: datetime
) -> None:
    """Order fuel as the company's own system would, and let the first card take more for a fortnight, and once by a permit."""
    by = chain.person("office")
    orders = [
        NewOrder("DD2026-0901", now, now + timedelta(days=7), quantity_milli=300_000, product_code="0", vehicle_id=vehicles[0]),
        NewOrder("DD2026-0902", now, now + timedelta(days=7), amount_minor=80_000, keeps_rest=True, note="嘉兴项目"),
        NewOrder("DD2026-0903", now + timedelta(days=1), now + timedelta(days=8), quantity_milli=200_000, product_code="0"),
    ]
    made = await add_orders(session, company_id=company_id, account_id=account_id, orders=orders, actor=by, now=now)
    await cancel_order(session, company_id=company_id, order_id=made[2], reason="行程取消", actor=by, now=now)
    more = NewChange(ChangeKind.MORE, now, now + timedelta(days=14), percent=20, reason="旺季加班配送")
    await add_change(session, company_id=company_id, subject_id=chain_id, change=more, actor=by, now=now)
    until = now + timedelta(hours=8)
    await release(session, chain_id=chain_id, limits=[PERMIT], until=until, once=True, reason="夜间配送", actor=by, now=now)


async def _departments(session: AsyncSession, chain: Chain, company_id: UUID) -> list[UUID]:
    made: list[UUID] = []
    for name, cost_centre, above in DEPARTMENTS:
        facts = DepartmentFacts(name=name, cost_centre=cost_centre, parent_id=None if above is None else made[above])
        made.append(await add_department(session, company_id=company_id, facts=facts, actor=chain.person("office"), now=chain.began))
    return made


async def _vehicles(session: AsyncSession, chain: Chain, company_id: UUID, departments: list[UUID], known: Mapping[int, int]) -> list[UUID]:
    made: list[UUID] = []
    for kind in _CLASSES:
        for number in range(kind.vehicles):
            place = len(made)
            is_private = kind.type == "car" and number == kind.vehicles - 1
            facts = VehicleFacts(
                plate=f"浙A{'DFGHK'[place % 5]}{1000 + place * 373:04}",
                type=kind.type,
                vin=_vin(place),
                displacement_ml=kind.displacement_ml,
                tank_milli=kind.tank_milli,
                norm_milli=kind.norm_milli + 300 * number,
                product_code=kind.product_code,
                ownership=Ownership.PRIVATE if is_private else Ownership.COMPANY,
                fixed_amount_minor=80_000 if is_private else None,
                department_id=departments[kind.department],
                odometer_km=known.get(place, 18_000 + place * 7_431),
            )
            saved = await add_vehicle(session, company_id=company_id, facts=facts, actor=chain.person("office"), now=chain.began)
            made.append(saved.vehicle_id)
    return made


async def _drivers(session: AsyncSession, chain: Chain, company_id: UUID, departments: list[UUID], pin: str, now: datetime) -> list[UUID]:
    made: list[UUID] = []
    for place, name in enumerate(_DRIVERS):
        department = 0 if place < 9 else 1 if place < 12 else 2 if place < 17 else 3
        facts = DriverFacts(
            number=f"{101 + place}",
            name=name,
            phone=f"1386712{place:04}",
            licence_class="A2" if place < 6 else "B2" if place < 12 else "C1",
            # One's licence is about to end.
            licence_until=(now + timedelta(days=20)).date() if place == 7 else date(now.year + 1 + place % 5, place % 12 + 1, 15),
            department_id=departments[department],
        )
        driver_id = await add_driver(session, company_id=company_id, facts=facts, actor=chain.person("office"), now=chain.began)
        await set_driver_pin(session, company_id=company_id, driver_id=driver_id, pin=pin, actor=chain.person("office"), now=chain.began)
        made.append(driver_id)
    return made


def _vin(number: int) -> str:
    """Return a well-formed VIN of a maker that does not exist."""
    characters = f"LZZDEM000H2{number:06}"
    return characters[:8] + vin_check_digit(characters) + characters[9:]
