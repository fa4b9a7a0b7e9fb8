"""Who may do what in a company's portal: roles to permissions. Plain values in and out."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from loyalty.audit.model import Actor, ActorKind
from loyalty.errors import NotAllowed

from .model_portal import PortalRole
from .rules import StepUpNeeded


class NotAllowedInCompany(NotAllowed):
    """The company did not give this role that right."""

    next_zh = "请联系本企业的管理员。"
    next_en = "Ask your company's owner."


class FleetPermission(StrEnum):
    """What may be done in a company's portal."""

    READ = "read"
    EDIT_STRUCTURE = "edit_structure"
    """Departments, vehicles, drivers, and whose a card is."""
    STOP_CARDS = "stop_cards"
    """Suspend a card and let it live again, report it lost."""
    EDIT_LIMITS = "edit_limits"
    UNLOCK_DRIVERS = "unlock_drivers"
    """Let a PIN be tried again that three wrong tries locked: a driver's, or a card's."""
    RELEASE_LIMITS = "release_limits"
    """Let one fill go beyond its limits, once: also the answer to a pump that asks."""
    REQUEST_ALLOCATION = "request_allocation"
    APPROVE_DEPARTMENT = "approve_department"
    APPROVE_COMPANY = "approve_company"
    BORROW_CARDS = "borrow_cards"
    """Ask for a card that a custodian keeps."""
    LEND_CARDS = "lend_cards"
    """Keep cards; approve, hand out and take back; permit one use."""
    MOVE_MONEY = "move_money"
    """Between the pool and the cards."""
    DISPUTE = "dispute"
    FILE_CASH = "file_cash"
    """Say that a vehicle was, or has to be, fuelled for cash."""
    APPROVE_CASH = "approve_cash"
    """Decide about what somebody else filed, and pay it back."""
    READ_STATEMENTS = "read_statements"
    READ_GROUP = "read_group"
    """The sums of the companies below this one."""
    INVOICES = "invoices"
    """Ask for VAT invoices and keep the titles they are made out to."""
    MANAGE_PEOPLE = "manage_people"
    SETTINGS = "settings"
    API_KEYS = "api_keys"


_P = FleetPermission
FLEET_PERMISSIONS: Final[Mapping[PortalRole, frozenset[FleetPermission]]] = {
    PortalRole.OWNER: frozenset(FleetPermission),
    PortalRole.FLEET_MANAGER: frozenset(
        {
            _P.READ,
            _P.EDIT_STRUCTURE,
            _P.STOP_CARDS,
            _P.EDIT_LIMITS,
            _P.UNLOCK_DRIVERS,
            _P.RELEASE_LIMITS,
            _P.REQUEST_ALLOCATION,
            _P.APPROVE_DEPARTMENT,
            _P.BORROW_CARDS,
            _P.LEND_CARDS,
            _P.DISPUTE,
            _P.FILE_CASH,
            _P.APPROVE_CASH,
            _P.READ_STATEMENTS,
            _P.READ_GROUP,
        }
    ),
    # Whoever moves the money approves what others asked for, and neither edits vehicles nor asks for more.
    PortalRole.FINANCE: frozenset(
        {
            _P.READ,
            _P.APPROVE_COMPANY,
            _P.BORROW_CARDS,
            _P.MOVE_MONEY,
            _P.DISPUTE,
            _P.APPROVE_CASH,
            _P.READ_STATEMENTS,
            _P.READ_GROUP,
            _P.INVOICES,
        }
    ),
    # The head's own department's statements: pages cut them to it.
    PortalRole.DEPARTMENT_HEAD: frozenset(
        {
            _P.READ,
            _P.STOP_CARDS,
            _P.RELEASE_LIMITS,
            _P.REQUEST_ALLOCATION,
            _P.APPROVE_DEPARTMENT,
            _P.BORROW_CARDS,
            _P.LEND_CARDS,
            _P.DISPUTE,
            _P.FILE_CASH,
            _P.READ_STATEMENTS,
        }
    ),
    # A custodian permits a use with the card in hand, and changes no limit.
    PortalRole.CUSTODIAN: frozenset({_P.READ, _P.BORROW_CARDS, _P.LEND_CARDS}),
    PortalRole.VIEWER: frozenset({_P.READ, _P.READ_STATEMENTS, _P.READ_GROUP}),
}

FLEET_STEP_UP: Final = frozenset({_P.UNLOCK_DRIVERS, _P.MOVE_MONEY, _P.MANAGE_PEOPLE, _P.SETTINGS, _P.API_KEYS})
"""Money, roles and keys: a second factor within the last minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalPrincipal:
    """A signed-in user of a company, as one request sees them."""

    user_id: UUID
    company_id: UUID
    name: str
    email: str
    role: PortalRole
    department_id: UUID | None
    """Whose head this is: they see it and what is below it."""
    session_id: UUID
    locale: str
    fresh: bool
    """A step-up lies within the last minutes."""
    address: str | None = None
    user_agent: str | None = None

    @property
    def tenant_id(self) -> UUID:
        """Whose it is."""
        return self.company_id

    @property
    def actor(self) -> Actor:
        """Who the trail names."""
        return Actor(ActorKind.COMPANY_USER, self.user_id, self.address, self.user_agent)


def fleet_may(principal: PortalPrincipal, permission: FleetPermission) -> bool:
    """Say whether a page should offer it: the role only, since a step-up can still be asked for."""
    return permission in FLEET_PERMISSIONS[principal.role]


def fleet_require(principal: PortalPrincipal, permission: FleetPermission) -> None:
    """Let the principal do it, or refuse.

    :raises NotAllowedInCompany: if the role may not
    :raises StepUpNeeded: if it asks for a second factor within the last minutes
    """
    if not fleet_may(principal, permission):
        raise NotAllowedInCompany(permission=permission.value)
    if permission in FLEET_STEP_UP and not principal.fresh:
        raise StepUpNeeded(permission=permission.value)
