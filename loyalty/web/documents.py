"""What documents are called, on every portal."""

from collections.abc import Mapping
from typing import Final

from loyalty.customers.model import IdentifierType
from loyalty.web.i18n import N_

DOCUMENTS: Final[Mapping[IdentifierType, str]] = {
    IdentifierType.RESIDENT_ID: N_("Resident ID"),
    IdentifierType.PASSPORT: N_("Passport"),
    IdentifierType.HK_MACAU_PERMIT: N_("Hong Kong / Macau permit"),
    IdentifierType.TAIWAN_PERMIT: N_("Taiwan permit"),
    IdentifierType.FOREIGN_RESIDENCE: N_("Foreigner's residence permit"),
    IdentifierType.USCC: N_("Unified social credit code"),
    IdentifierType.TAX_NUMBER: N_("Tax number"),
}
