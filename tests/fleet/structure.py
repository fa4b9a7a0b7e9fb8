"""Parts of a company as tests add them."""

from loyalty.fleet.operations.departments import DepartmentFacts, add_department
from loyalty.fleet.operations.drivers import add_driver
from loyalty.fleet.operations.vehicles import add_vehicle
from loyalty.fleet.rules import DriverFacts, VehicleFacts
from tests.factories.world import SYSTEM


async def department(session, fleet, now, name, parent_id=None):
    facts = DepartmentFacts(name=name, parent_id=parent_id)
    return await add_department(session, company_id=fleet.company_id, facts=facts, actor=SYSTEM, now=now)


async def vehicle(session, fleet, now, plate="浙A12345", **more):
    facts = VehicleFacts(plate=plate, **more)
    return (await add_vehicle(session, company_id=fleet.company_id, facts=facts, actor=SYSTEM, now=now)).vehicle_id


async def driver(session, fleet, now, number="101", name="王强", **more):
    facts = DriverFacts(number=number, name=name, **more)
    return await add_driver(session, company_id=fleet.company_id, facts=facts, actor=SYSTEM, now=now)
