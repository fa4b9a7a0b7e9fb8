"""Which vehicle, driver or department a card belongs to. A binding is a period, `[since, until)`: it is ended, never rewritten.

Whatever changes them, the pump's own copy of them, under whose limits a card stands, is told in the same transaction.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.cards.model import LIVING, Card
from loyalty.cards.queries import CardNotFound
from loyalty.errors import Refusal
from loyalty.fleet.model import CardBinding, Company, Driver, DriverStatus, Ownership, Vehicle, VehicleStatus
from loyalty.fleet.queries.bindings import BindingView, among, cards_of_company, standing_bindings
from loyalty.fleet.queries.companies import lock_company
from loyalty.fleet.queries.departments import get_department, parents_of
from loyalty.fleet.queries.drivers import get_driver_row
from loyalty.fleet.queries.vehicles import get_vehicle_row
from loyalty.fleet.rules import upwards
from loyalty.limits import operations as limits
from loyalty.limits.model import LimitChain

from .stops import RecallReason, recall

NO_MOVES: Mapping[UUID, tuple[UUID | None, UUID | None]] = {}
CHUNK = 5_000
"""How many cards one statement changes."""


class NothingToBindTo(Refusal):
    """A binding names at least one."""

    status = 422
    zh = "请指定车辆、驾驶员或部门。"
    en = "Name a vehicle, a driver or a department."
    next_zh = "如需解除绑定，请使用“解除绑定”。"
    next_en = "To take a card from all of them, unbind it."


class VehicleHasItsCard(Refusal):
    """One vehicle, one card (domain notes, company fuel rules)."""

    zh = "车辆 {plate} 已绑定另一张卡，一车一卡。"
    en = "Vehicle {plate} has another card; one vehicle has one card."
    next_zh = "请先解除原卡绑定，或确认该车需要多张卡。"
    next_en = "Unbind the other card first, or say that this vehicle needs several."


class VehicleNotInUse(Refusal):
    """A closed vehicle has no card."""

    zh = "车辆 {plate} 已停用，不能绑定卡。"
    en = "Vehicle {plate} is closed and cannot have a card."
    next_zh = "请先恢复该车辆。"
    next_en = "Reopen the vehicle first."


class DriverNotHere(Refusal):
    """A driver who is away for long, or has left, has no card."""

    zh = "驾驶员 {number} 已外派或离职，不能绑定卡。"
    en = "Driver {number} is away or has left and cannot have a card."
    next_zh = "请先恢复该驾驶员。"
    next_en = "Bring the driver back first."


class CardNotBound(Refusal):
    """There is nothing to end."""

    zh = "该卡没有绑定。"
    en = "The card is bound to nothing."


class Binding(NamedTuple):
    """To whom a chain shall belong; to nobody where all three are None."""

    chain_id: UUID
    vehicle_id: UUID | None = None
    driver_id: UUID | None = None
    department_id: UUID | None = None

    @property
    def stands(self) -> bool:
        """Say whether it binds to anybody."""
        return self[1:] != (None, None, None)


async def bind_card(
    session: AsyncSession,
    *,
    company_id: UUID,
    chain_id: UUID,
    vehicle_id: UUID | None = None,
    driver_id: UUID | None = None,
    department_id: UUID | None = None,
    another: bool = False,
    actor: Actor,
    now: datetime,
) -> None:
    """Bind a chain of cards from now on to a vehicle, a driver, a department, or several of them; what it was bound to ends.

    Without a department the vehicle's answers for it, else the driver's. `another`: the vehicle may have several cards. Binding it as it is
    bound already does nothing.

    :raises CompanyNotFound: if there is no such company
    :raises NothingToBindTo: if none is named
    :raises CardNotFound: if the company has no living card of this chain
    :raises VehicleNotFound: if the vehicle is none of the company's
    :raises VehicleNotInUse: if it is closed
    :raises VehicleHasItsCard: if it has another card
    :raises DriverNotFound: if the driver is none of the company's
    :raises DriverNotHere: if they are away or have left
    :raises DepartmentNotFound: if the department is none of the company's, or closed
    :raises AccountNotOpen: if the driver's private vehicle has a card to be recalled, and the company's account is closed
    """
    company = await lock_company(session, company_id=company_id)
    if vehicle_id is None and driver_id is None and department_id is None:
        raise NothingToBindTo
    await _require_cards(session, company_id, [chain_id])
    answers = None
    if department_id is not None:
        answers = (await get_department(session, company_id=company_id, department_id=department_id)).department_id
    if vehicle_id is not None:
        vehicle = await get_vehicle_row(session, company_id=company_id, vehicle_id=vehicle_id)
        if vehicle.status is VehicleStatus.CLOSED:
            raise VehicleNotInUse(plate=vehicle.plate)
        others = await standing_bindings(session, company_id=company_id, vehicle_ids=[vehicle_id])
        if not another and any(one.chain_id != chain_id for one in others):
            raise VehicleHasItsCard(plate=vehicle.plate)
        answers = answers or vehicle.department_id
    if driver_id is not None:
        driver = await get_driver_row(session, company_id=company_id, driver_id=driver_id)
        if driver.status is not DriverStatus.ACTIVE:
            raise DriverNotHere(number=driver.number)
        answers = answers or driver.department_id
    wanted = Binding(chain_id, vehicle_id, driver_id, answers)
    await put_bindings(session, company=company, wanted=[wanted], actor=actor, now=now)
    await recall_private(session, company=company, bound=[wanted], actor=actor, now=now)


async def unbind_card(session: AsyncSession, *, company_id: UUID, chain_id: UUID, actor: Actor, now: datetime) -> None:
    """End what a chain of cards is bound to. It stays the company's, under the company's own limits and its card's.

    :raises CompanyNotFound: if there is no such company
    :raises CardNotFound: if the company never had such a card
    :raises CardNotBound: if it is bound to nothing
    """
    company = await lock_company(session, company_id=company_id)
    if not await standing_bindings(session, company_id=company_id, chain_ids=[chain_id]):
        await _require_cards(session, company_id, [chain_id])
        raise CardNotBound(chain=chain_id)
    await put_bindings(session, company=company, wanted=[Binding(chain_id)], actor=actor, now=now)


async def put_bindings(
    session: AsyncSession, *, company: Company, wanted: Sequence[Binding], actor: Actor, now: datetime, told_at_once: bool = True
) -> int:
    """Let chains of a locked company belong to whom `wanted` says, set-based; return how many changed. The caller has checked them.

    `told_at_once` False leaves the trail to the caller: a list of thousands is one act.
    """
    chains = [one.chain_id for one in wanted]
    standing = {one.chain_id: one for one in await standing_bindings(session, company_id=company.company_id, chain_ids=chains)}
    changed = [one for one in wanted if _differs(one, standing.get(one.chain_id))]
    if not changed:
        return 0
    await _end(session, company.company_id, [one.chain_id for one in changed if one.chain_id in standing], now)
    rows = [
        {
            "chain_id": one.chain_id,
            "since": now,
            "until": None,
            "company_id": company.company_id,
            "vehicle_id": one.vehicle_id,
            "driver_id": one.driver_id,
            "department_id": one.department_id,
            "bound_by_kind": actor.kind.value,
            "bound_by_id": str(actor.actor_id),
        }
        for one in changed
        if one.stands
    ]
    if rows:
        await session.execute(insert(CardBinding), rows)
    if told_at_once:
        for one in changed:
            await _record(session, company, one, actor, now)
    await _tell_limits(session, company=company, bindings=changed, actor=actor, now=now)
    return len(changed)


async def recall_private(session: AsyncSession, *, company: Company, bound: Sequence[Binding], actor: Actor, now: datetime) -> list[UUID]:
    """Recall the cards of private vehicles whose drivers have a company car by now; return their chains.

    `bound` is what was just bound. A private vehicle in company use has its card until a company car is assigned.
    """
    assigned = [one.driver_id for one in bound if one.driver_id is not None and one.vehicle_id is not None]
    if not assigned:
        return []
    with_car = (
        select(CardBinding.driver_id)
        .join(Vehicle, Vehicle.vehicle_id == CardBinding.vehicle_id)
        .where(
            CardBinding.company_id == company.company_id,
            CardBinding.until.is_(None),
            CardBinding.driver_id.in_(assigned),
            Vehicle.ownership == Ownership.COMPANY,
        )
    )
    private = (
        select(CardBinding.chain_id, Driver.name, Vehicle.plate)
        .join(Vehicle, Vehicle.vehicle_id == CardBinding.vehicle_id)
        .join(Driver, Driver.driver_id == CardBinding.driver_id)
        .where(
            CardBinding.company_id == company.company_id,
            CardBinding.until.is_(None),
            CardBinding.driver_id.in_(with_car),
            Vehicle.ownership == Ownership.PRIVATE,
        )
        .order_by(CardBinding.chain_id)
    )
    found = (await session.execute(private)).all()
    await put_bindings(session, company=company, wanted=[Binding(one.chain_id) for one in found], actor=actor, now=now)
    for one in found:
        who = f"{one.name} · {one.plate}"
        await recall(session, company=company, chain_ids=[one.chain_id], why=RecallReason.CAR, who=who, actor=actor, now=now)
    return [one.chain_id for one in found]


async def unbind(
    session: AsyncSession,
    *,
    company: Company,
    vehicle_id: UUID | None = None,
    driver_id: UUID | None = None,
    actor: Actor,
    now: datetime,
) -> list[UUID]:
    """Take a vehicle's cards from it, or a driver's: theirs alone end, and their private vehicle's; another vehicle's stay the vehicle's.

    Return the chains that ended.
    """
    if vehicle_id is not None:
        standing = await standing_bindings(session, company_id=company.company_id, vehicle_ids=[vehicle_id])
        wanted = [Binding(one.chain_id) for one in standing]
    else:
        assert driver_id is not None, "one of the two"
        standing = await standing_bindings(session, company_id=company.company_id, driver_ids=[driver_id])
        cars = [one.vehicle_id for one in standing if one.vehicle_id is not None]
        private = set(
            await session.scalars(select(Vehicle.vehicle_id).where(Vehicle.vehicle_id.in_(cars), Vehicle.ownership == Ownership.PRIVATE))
        )
        wanted = [
            Binding(one.chain_id)
            if one.vehicle_id is None or one.vehicle_id in private
            else Binding(one.chain_id, one.vehicle_id, None, one.department_id)
            for one in standing
        ]
    await put_bindings(session, company=company, wanted=wanted, actor=actor, now=now)
    return [one.chain_id for one in wanted if not one.stands]


async def follow_moves(
    session: AsyncSession,
    *,
    company: Company,
    vehicles: Mapping[UUID, tuple[UUID | None, UUID | None]] = NO_MOVES,
    drivers: Mapping[UUID, tuple[UUID | None, UUID | None]] = NO_MOVES,
    actor: Actor,
    now: datetime,
    told_at_once: bool = True,
) -> None:
    """Let the cards of vehicles or drivers follow them from one department to another, each given as (from, to).

    Cards that another department answers for by somebody's word stay there.
    """
    moved = [*vehicles, *drivers]
    if not moved:
        return
    statement = (
        select(CardBinding, Vehicle.department_id, Driver.department_id)
        .outerjoin(Vehicle, Vehicle.vehicle_id == CardBinding.vehicle_id)
        .outerjoin(Driver, Driver.driver_id == CardBinding.driver_id)
        .where(
            CardBinding.company_id == company.company_id,
            CardBinding.until.is_(None),
            among(CardBinding.vehicle_id, list(vehicles)) | among(CardBinding.driver_id, list(drivers)),
        )
    )
    wanted = []
    for row, vehicle_department, driver_department in await session.execute(statement):
        before = _before(vehicles, row.vehicle_id, vehicle_department) or _before(drivers, row.driver_id, driver_department)
        if row.department_id == before:
            wanted.append(Binding(row.chain_id, row.vehicle_id, row.driver_id, vehicle_department or driver_department))
    await put_bindings(session, company=company, wanted=wanted, actor=actor, now=now, told_at_once=told_at_once)


async def tell_departments(
    session: AsyncSession, *, company: Company, department_ids: Collection[UUID], actor: Actor, now: datetime
) -> None:
    """Tell the pump anew of the cards of departments that moved in the tree: other departments stand over them now."""
    standing = await standing_bindings(session, company_id=company.company_id, department_ids=department_ids)
    bindings = [Binding(one.chain_id, one.vehicle_id, one.driver_id, one.department_id) for one in standing]
    await _tell_limits(session, company=company, bindings=bindings, actor=actor, now=now)


async def tell_company(session: AsyncSession, *, company: Company, actor: Actor, now: datetime) -> int:
    """Tell the pump of every living card of a company, bound or not: all stand under its own limits. Return how many there are."""
    standing = {one.chain_id: one for one in await standing_bindings(session, company_id=company.company_id)}
    chains = sorted(await cards_of_company(session, company_id=company.company_id))
    bindings = [
        Binding(chain_id) if one is None else Binding(chain_id, one.vehicle_id, one.driver_id, one.department_id)
        for chain_id in chains
        for one in (standing.get(chain_id),)
    ]
    await _tell_limits(session, company=company, bindings=bindings, actor=actor, now=now)
    return len(bindings)


async def tell_new_cards(session: AsyncSession, *, actor: Actor, now: datetime) -> int:
    """Tell the pump of cards that were handed out after their company opened its fleet; return how many. A job calls it every minute."""
    told = LimitChain.chain_id == Card.chain_id
    statement = (
        select(Company, Card.chain_id)
        .join(Card, Card.account_id == Company.account_id)
        .outerjoin(LimitChain, told)
        .where(Card.status.in_(LIVING), LimitChain.chain_id.is_(None))
        .distinct()
        .order_by(Card.chain_id)
        .limit(CHUNK)
    )
    untold: dict[UUID, tuple[Company, list[Binding]]] = {}
    for company, chain_id in await session.execute(statement):
        untold.setdefault(company.company_id, (company, []))[1].append(Binding(chain_id))
    for company, bindings in untold.values():
        # Whoever binds one of them meanwhile holds the company's row, and what they said is then seen.
        await lock_company(session, company_id=company.company_id)
        standing = {one.chain_id: one for one in await standing_bindings(session, company_id=company.company_id)}
        bound = [
            one if said is None else Binding(one.chain_id, said.vehicle_id, said.driver_id, said.department_id)
            for one in bindings
            for said in (standing.get(one.chain_id),)
        ]
        await _tell_limits(session, company=company, bindings=bound, actor=actor, now=now)
    return sum(len(bindings) for _, bindings in untold.values())


async def _tell_limits(session: AsyncSession, *, company: Company, bindings: Sequence[Binding], actor: Actor, now: datetime) -> None:
    """Tell the limits room under whom chains stand: the company, departments from the nearest up, vehicle, driver."""
    parents = await parents_of(session, company_id=company.company_id)
    for start in range(0, len(bindings), CHUNK):
        over = [
            limits.Over(one.chain_id, upwards(parents, one.department_id), one.vehicle_id, one.driver_id)
            for one in bindings[start : start + CHUNK]
        ]
        await limits.set_chains(session, account_id=company.account_id, company_id=company.company_id, chains=over, actor=actor, now=now)


def _before(moves: Mapping[UUID, tuple[UUID | None, UUID | None]], one: UUID | None, present: UUID | None) -> UUID | None:
    """Return the department that somebody was in before the moves."""
    return moves[one][0] if one is not None and one in moves else present


def _differs(wanted: Binding, standing: BindingView | None) -> bool:
    if standing is None:
        return wanted.stands
    return any(getattr(wanted, name) != getattr(standing, name) for name in ("vehicle_id", "driver_id", "department_id"))


async def _end(session: AsyncSession, company_id: UUID, chains: Sequence[UUID], now: datetime) -> None:
    """End what stands; what began at this very instant never was."""
    if not chains:
        return
    mine = (CardBinding.company_id == company_id, among(CardBinding.chain_id, chains), CardBinding.until.is_(None))
    await session.execute(delete(CardBinding).where(*mine, CardBinding.since >= now))
    await session.execute(update(CardBinding).where(*mine).values(until=now))


async def _require_cards(session: AsyncSession, company_id: UUID, chains: Sequence[UUID]) -> None:
    known = await cards_of_company(session, company_id=company_id, chain_ids=chains)
    for chain_id in chains:
        if chain_id not in known:
            raise CardNotFound(card=chain_id)


async def _record(session: AsyncSession, company: Company, binding: Binding, actor: Actor, now: datetime) -> None:
    action = "fleet.card_bound" if binding.stands else "fleet.card_unbound"
    facts = {"company": company.company_id, "vehicle": binding.vehicle_id, "driver": binding.driver_id, "department": binding.department_id}
    await audit.record(session, actor=actor, action=action, subject=("card_chain", binding.chain_id), facts=facts, now=now)
