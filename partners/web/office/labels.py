"""What the enums of alliances are called on pages, and in which tone."""

from collections.abc import Mapping
from typing import Final

from loyalty.web.i18n import N_
from partners.model import AgreementStatus, Category, OutletStatus, PartnerStatus
from partners.model_lines import LineKind
from partners.rules import BenefitKind, Mode

Toned = tuple[str, str]

CATEGORY: Final[Mapping[Category, Toned]] = {
    Category.INSURANCE: (N_("Insurance"), ""),
    Category.REPAIR: (N_("Repair"), ""),
    Category.WASH: (N_("Car wash"), ""),
    Category.FOOD: (N_("Restaurant"), ""),
    Category.RETAIL: (N_("Retail shop"), ""),
    Category.TRAVEL: (N_("Travel"), ""),
    Category.OTHER: (N_("Other"), ""),
}
STATUS: Final[Mapping[PartnerStatus, Toned]] = {
    PartnerStatus.PROSPECTIVE: (N_("Prospective"), "info"),
    PartnerStatus.ACTIVE: (N_("Allied"), "good"),
    PartnerStatus.SUSPENDED: (N_("Suspended"), "warn"),
    PartnerStatus.ENDED: (N_("Ended"), ""),
}
OUTLET: Final[Mapping[OutletStatus, Toned]] = {
    OutletStatus.OPEN: (N_("Serving"), "good"),
    OutletStatus.PAUSED: (N_("Paused"), "warn"),
    OutletStatus.CLOSED: (N_("Shut"), ""),
}
AGREEMENT: Final[Mapping[AgreementStatus, Toned]] = {
    AgreementStatus.DRAFT: (N_("Draft"), "info"),
    AgreementStatus.SUBMITTED: (N_("Waits for approval"), "warn"),
    AgreementStatus.APPROVED: (N_("Approved"), "good"),
    AgreementStatus.REJECTED: (N_("Rejected"), "bad"),
    AgreementStatus.WITHDRAWN: (N_("Withdrawn"), ""),
}
BENEFIT: Final[Mapping[BenefitKind, Toned]] = {
    BenefitKind.DISCOUNT: (N_("Discount"), ""),
    BenefitKind.VOUCHER: (N_("Voucher"), ""),
    BenefitKind.POINTS: (N_("Earns points"), ""),
    BenefitKind.POINTS_SPENT: (N_("Pays with points"), ""),
    BenefitKind.JOINT: (N_("Joint promotion"), ""),
    BenefitKind.INSURANCE: (N_("Insurance"), ""),
    BenefitKind.SERVICE: (N_("Free service"), ""),
    BenefitKind.MEMBERSHIP: (N_("Membership"), ""),
}
MODE: Final[Mapping[Mode, Toned]] = {
    Mode.POST_PAID: (N_("Afterwards, by the month's statement"), ""),
    Mode.PRE_PAID: (N_("Out of a block paid in advance"), ""),
}
LINE: Final[Mapping[LineKind, Toned]] = {
    LineKind.REDEMPTION: (N_("Redemption"), "good"),
    LineKind.ROLLBACK: (N_("Undone"), "warn"),
    LineKind.SALE: (N_("Sale"), ""),
    LineKind.BLOCK: (N_("Block paid in advance"), "info"),
    LineKind.ADJUSTMENT: (N_("Adjustment"), "info"),
    LineKind.PAYMENT: (N_("Payment"), "info"),
    LineKind.DIFFERENCE: (N_("Invoice's difference"), "info"),
    LineKind.OFFLINE_LOSS: (N_("Offline loss"), "warn"),
}
