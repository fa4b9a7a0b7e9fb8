"""Customers and staff as the room's tests want them: a row each."""

from uuid import UUID, uuid4

from sqlalchemy import insert

from loyalty.audit.model import Actor, ActorKind
from loyalty.customers.model import Customer, CustomerKind, CustomerStatus
from loyalty.identity.model import Staff, StaffStatus


async def new_customer(session, now, *, name="李明", **more) -> UUID:
    values = {
        "customer_id": uuid4(),
        "kind": CustomerKind.PERSON,
        "name": name,
        "name_key": name,
        "locale": "zh_CN",
        "country": "CN",
        "status": CustomerStatus.ACTIVE,
        "created_at": now,
    } | more
    await session.execute(insert(Customer).values(values))
    return values["customer_id"]


async def hire(session, now, name="王芳") -> Actor:
    staff_id = uuid4()
    await session.execute(
        insert(Staff).values(
            staff_id=staff_id, employee_number=str(staff_id)[:8], name=name, status=StaffStatus.ACTIVE, locale="zh_CN", hired_at=now
        )
    )
    return Actor(ActorKind.STAFF, staff_id)
