"""What roles and lines are called in the partners' portal."""

from collections.abc import Mapping
from typing import Final

from loyalty.identity.model_partner import PartnerRole
from loyalty.web.i18n import N_
from partners.offline_rules import OfflineCode

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
OFFLINE: Final[Mapping[str, str]] = {
    OfflineCode.BOOKED: N_("booked"),
    OfflineCode.PARTLY_USED: N_("booked for what was left; the rest was used before"),
    OfflineCode.DOUBLE: N_("It was used before."),
    OfflineCode.CANCELLED: N_("It was taken back before."),
    OfflineCode.LIMIT: N_("What the agreement allows was used up."),
    OfflineCode.TAMPERED: N_("This is no code of ours. Offline the square code on the customer's phone is needed."),
    OfflineCode.UNKNOWN_KEY: N_("This code cannot be checked. Let the customer load it anew, or redeem it online."),
    OfflineCode.EXPIRED: N_("This code is too old. The customer loads it anew."),
    OfflineCode.FOREIGN_PARTNER: N_("It is for another merchant."),
    OfflineCode.FOREIGN_OUTLET: N_("It is for another outlet."),
    OfflineCode.REPLAYED: N_("It was redeemed here before."),
    OfflineCode.TIME_NOT_SOUND: N_("The phone's clock was wrong."),
    OfflineCode.AMOUNT_NOT_SOUND: N_("The amount cannot be so: more than nothing, no more than is left on it."),
    OfflineCode.NOT_OFFLINE: N_("It is redeemed online only."),
    OfflineCode.NOT_HONOURED: N_("It is not good at this outlet."),
    OfflineCode.KEY_REUSED: N_("Something else was sent under the same key."),
    "no_lease": N_("This phone is not ready to work offline: nothing is agreed, or another phone of this outlet is."),
    "no_crypto": N_("This browser cannot check codes by itself: it redeems online only."),
    "old_list": N_("The list of used vouchers on this phone is too old. Load it with a network first."),
    "budget": N_("What this outlet may redeem offline is used up. It goes on when the network is back."),
}
"""What became of a use offline, and why a phone does not honour a code."""
