"""What roles and lines are called in the partners' portal."""

from collections.abc import Mapping
from typing import Final

from loyalty.identity.model_partner import PartnerRole
from loyalty.web.i18n import N_

ROLE: Final[Mapping[PartnerRole, str]] = {
    PartnerRole.OWNER: N_("Owner"),
    PartnerRole.FINANCE: N_("Finance"),
    PartnerRole.CLERK: N_("Employee"),
}
ROLE_MAY: Final[Mapping[PartnerRole, str]] = {
    PartnerRole.OWNER: N_("redeems at every outlet, reads the book, lets others in"),
    PartnerRole.FINANCE: N_("reads the book and the statements, disputes a line"),
    PartnerRole.CLERK: N_("redeems at one outlet, and lets it pause"),
}
WHY_PAUSED: Final[tuple[str, ...]] = (N_("Rain"), N_("The yard is full"), N_("Machine out of order"), N_("Break"), N_("Closing early"))
"""What an outlet pauses for, as customers read it; anything else is typed."""
