"""Who may do what at a partner: roles to permissions. Plain values in and out."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from loyalty.audit.model import Actor, ActorKind
from loyalty.errors import NotAllowed

from .model_partner import PartnerRole
from .rules import StepUpNeeded


class NotAllowedAtPartner(NotAllowed):
    """The partner did not give this role that right."""

    next_zh = "请联系本商户的负责人。"
    next_en = "Ask your shop's owner."


class PartnerPermission(StrEnum):
    """What may be done in a partner's portal."""

    REDEEM = "redeem"
    """Judge a code, redeem it, book a member's sale, undo one's outlet's."""
    PAUSE = "pause"
    """Let an outlet rest, and serve again."""
    READ_LINES = "read_lines"
    """The partner's book, and the report by employee."""
    SETTLEMENT = "settlement"
    """Statements, invoices, payment dates; dispute a line."""
    MANAGE_PEOPLE = "manage_people"
    API_KEYS = "api_keys"
    """Let the partner's own tills in."""


_P = PartnerPermission
PARTNER_PERMISSIONS: Final[Mapping[PartnerRole, frozenset[PartnerPermission]]] = {
    PartnerRole.OWNER: frozenset(PartnerPermission),
    PartnerRole.FINANCE: frozenset({_P.READ_LINES, _P.SETTLEMENT}),
    PartnerRole.CLERK: frozenset({_P.REDEEM, _P.PAUSE}),
}

PARTNER_STEP_UP: Final = frozenset({_P.MANAGE_PEOPLE, _P.API_KEYS})
"""Roles and keys: a second factor within the last minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerPrincipal:
    """A signed-in user of a partner, as one request sees them."""

    user_id: UUID
    partner_id: UUID
    name: str
    email: str | None
    """None: a clerk's."""
    role: PartnerRole
    outlet_id: UUID | None
    """The one outlet that a clerk serves at; None: every outlet of the partner."""
    session_id: UUID
    locale: str
    fresh: bool
    """A step-up lies within the last minutes."""
    address: str | None = None
    user_agent: str | None = None

    @property
    def tenant_id(self) -> UUID:
        """Whose it is."""
        return self.partner_id

    @property
    def actor(self) -> Actor:
        """Who the trail names."""
        return Actor(ActorKind.PARTNER, self.user_id, self.address, self.user_agent)


def partner_may(principal: PartnerPrincipal, permission: PartnerPermission) -> bool:
    """Say whether a page should offer it: the role only, since a step-up can still be asked for."""
    return permission in PARTNER_PERMISSIONS[principal.role]


def partner_require(principal: PartnerPrincipal, permission: PartnerPermission) -> None:
    """Let the principal do it, or refuse.

    :raises NotAllowedAtPartner: if the role may not
    :raises StepUpNeeded: if it asks for a second factor within the last minutes
    """
    if not partner_may(principal, permission):
        raise NotAllowedAtPartner(permission=permission.value)
    if permission in PARTNER_STEP_UP and not principal.fresh:
        raise StepUpNeeded(permission=permission.value)
