"""What is asked and what is odd, in words."""

from collections.abc import Mapping
from typing import Final

from loyalty.fleet.detecting import Kind, Severity
from loyalty.fleet.model_approvals import ApprovalStatus, DecidedBy
from loyalty.fleet.model_findings import Disposition
from loyalty.web.fleet.labels import Toned
from loyalty.web.i18n import N_

APPROVAL: Final[Mapping[ApprovalStatus, Toned]] = {
    ApprovalStatus.ASKED: (N_("Waits for an answer"), "warn"),
    ApprovalStatus.APPROVED: (N_("Let pass"), "good"),
    ApprovalStatus.REFUSED: (N_("Refused"), "bad"),
}
DECIDED_BY: Final[Mapping[DecidedBy, str]] = {
    DecidedBy.MANAGER: N_("The manager"),
    DecidedBy.DEPUTY: N_("A deputy"),
    DecidedBy.POLICY: N_("The company's setting: nobody answered in time"),
}
KIND: Final[Mapping[Kind, Toned]] = {
    Kind.ABOVE_TANK: (N_("More than the tank holds"), ""),
    Kind.TOO_SOON: (N_("Two fills in too short a time"), ""),
    Kind.TOO_CLOSE: (N_("More fuel than the way explains"), ""),
    Kind.WRONG_GRADE: (N_("Not this vehicle's fuel"), ""),
    Kind.OFF_ROUTE: (N_("A station far from its usual ones"), ""),
    Kind.ODD_HOURS: (N_("At night or on a rest day"), ""),
    Kind.CONSUMPTION: (N_("Drinks more than it used to"), ""),
    Kind.OTHER_PLATE: (N_("Another plate was said"), ""),
}
SEVERITY: Final[Mapping[Severity, Toned]] = {
    Severity.LOW: (N_("Slight"), ""),
    Severity.MEDIUM: (N_("Distinct"), "warn"),
    Severity.HIGH: (N_("Strong"), "bad"),
}
DISPOSITION: Final[Mapping[Disposition, Toned]] = {
    Disposition.OPEN: (N_("To be looked at"), "warn"),
    Disposition.EXPLAINED: (N_("Explained"), "good"),
    Disposition.CONFIRMED: (N_("Confirmed"), "bad"),
    Disposition.FALSE: (N_("Nothing odd"), ""),
}
EVIDENCE: Final[Mapping[str, str]] = {
    "litres_milli": N_("This fill"),
    "tank_milli": N_("The tank holds"),
    "minutes": N_("Minutes since the fill before"),
    "before_milli": N_("The fill before"),
    "km": N_("Kilometres since the fill before"),
    "explained_milli": N_("What the way explains"),
    "product": N_("Fuelled"),
    "takes": N_("The vehicle takes"),
    "hour": N_("Hour"),
    "share_percent": N_("Its fills at such a time, in percent"),
    "fills": N_("Fills it is compared with"),
    "per_100_km_milli": N_("Litres per 100 km"),
    "norm_milli": N_("Normal for it"),
    "said": N_("Said at the pump"),
    "is": N_("Its plate"),
}
"""What a detector's figures are called; those that are not named here (ids) are not shown."""
