"""Who comes into the demo company's portal: one of each kind that decides something."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.fleet.model_reports import ReportFiles
from loyalty.fleet.operations.reports import subscribe
from loyalty.fleet.queries.companies import get_company
from loyalty.fleet.queries.departments import departments_of
from loyalty.identity.model_portal import PortalRole
from loyalty.identity.operations import make_portal_user

from .secrets import LogIns, OfficeLogIn, new_password, new_second_factor

DEMO: Final = Actor(ActorKind.SYSTEM, "demo")
PEOPLE: Final = (
    ("owner@qiantang.example", "沈国强", PortalRole.OWNER, "owner 管理员"),
    ("fleet@qiantang.example", "何敏", PortalRole.FLEET_MANAGER, "fleet manager 车队主管"),
    ("finance@qiantang.example", "徐芳", PortalRole.FINANCE, "finance 财务"),
    ("cards@qiantang.example", "蒋丽华", PortalRole.CUSTODIAN, "custodian 油卡保管人"),
    ("head@qiantang.example", "董伟", PortalRole.DEPARTMENT_HEAD, "department head 部门负责人"),
)


async def let_in(session: AsyncSession, *, company_id: UUID, log_ins: LogIns, now: datetime) -> dict[PortalRole, Actor]:
    """Give the demo's first company its people and return who acts in which role; `log_ins` gets every secret that was drawn."""
    people: dict[PortalRole, Actor] = {}
    rooms = await departments_of(session, company_id=company_id)
    for email, name, role, said in PEOPLE:
        heads = role is PortalRole.DEPARTMENT_HEAD
        if heads and not rooms:
            continue
        password = new_password()
        raw, shown = new_second_factor()
        user_id = await make_portal_user(
            session,
            company_id=company_id,
            email=email,
            name=name,
            password=password,
            totp_secret=raw,
            role=role,
            department_id=rooms[0].department_id if heads else None,
            actor=DEMO,
            now=now,
        )
        log_ins.fleet.append(OfficeLogIn(email, name, f"{name}, {said}", password, shown))
        people[role] = Actor(ActorKind.COMPANY_USER, user_id)
    return people


async def want_reports(session: AsyncSession, *, company_id: UUID, people: Mapping[PortalRole, Actor], since: datetime) -> None:
    """Let the owner and finance get their mails, as they chose when the chain opened: the first is in the outbox on a Monday."""
    company = await get_company(session, company_id=company_id)
    for role in (PortalRole.OWNER, PortalRole.FINANCE):
        who = people[role]
        await subscribe(
            session,
            user_id=UUID(str(who.actor_id)),
            company=company,
            at_close=ReportFiles.PDF,
            weekly=True,
            locale="zh_CN",
            actor=who,
            now=since,
        )
