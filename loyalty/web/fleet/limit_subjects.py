"""Whose limits a page is about, by the level and the id in its address."""

from uuid import UUID

from loyalty.errors import NotFound
from loyalty.fleet.queries.departments import names_of
from loyalty.fleet.queries.drivers import get_driver
from loyalty.fleet.queries.vehicles import get_vehicle
from loyalty.limits.queries import list_profiles
from loyalty.web.fleet import queries
from loyalty.web.fleet.desk import FleetDesk


async def whose(fleet: FleetDesk, level: str, of: UUID) -> tuple[str, str, UUID]:
    """Return who a level's limits bind: the name, the page it is shown on, and the subject.

    :raises NotFound: if there is no such one in the company, or the reader does not see it
    """
    company = fleet.company_id
    if level == "company" and of == company and fleet.departments is None:
        return fleet.company.name, "/fleet/settings", of
    if level == "department":
        names = await names_of(fleet.session, company_id=company, department_ids=[of])
        fleet.within(of)
        if of in names:
            return names[of], "/fleet/departments", of
    if level == "vehicle":
        vehicle = await get_vehicle(fleet.session, company_id=company, vehicle_id=of)
        fleet.within(vehicle.department_id)
        return vehicle.plate, f"/fleet/vehicles/{of}", of
    if level == "driver":
        driver = await get_driver(fleet.session, company_id=company, driver_id=of)
        fleet.within(driver.department_id)
        return driver.name, f"/fleet/drivers/{of}", of
    if level == "card":
        card = await queries.get_company_card(fleet.session, account_id=fleet.company.account_id, card_id=of)
        if card is not None:
            fleet.within(card.department_id)
            return f"•••• {card.number_tail}", f"/fleet/cards/{of}", card.chain_id
    if level == "profile" and fleet.departments is None:
        for one in await list_profiles(fleet.session, company_id=company, profile_id=of):
            return one.name, "/fleet/profiles", of
    raise NotFound
