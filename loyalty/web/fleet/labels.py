"""What the members of enums are called in the fleet portal, and in which tone tags show them."""

from collections.abc import Mapping
from typing import Final

from loyalty.fleet.model import CompanyMode, DriverStatus, Ownership, SilencePolicy, UnusedMode, VehicleStatus, WorkdayMode
from loyalty.fleet.operations.importing import SheetKind
from loyalty.fleet.sheets import RowState
from loyalty.identity.model_portal import PortalRole
from loyalty.web.i18n import N_

Toned = tuple[str, str]

ROLE: Final[Mapping[PortalRole, str]] = {
    PortalRole.OWNER: N_("Owner"),
    PortalRole.FLEET_MANAGER: N_("Fleet manager"),
    PortalRole.FINANCE: N_("Finance"),
    PortalRole.DEPARTMENT_HEAD: N_("Department head"),
    PortalRole.CUSTODIAN: N_("Custodian"),
    PortalRole.VIEWER: N_("Viewer"),
}
ROLE_MAY: Final[Mapping[PortalRole, str]] = {
    PortalRole.OWNER: N_("Everything, people and settings included"),
    PortalRole.FLEET_MANAGER: N_("Vehicles, drivers, cards, limits; asks for allocations"),
    PortalRole.FINANCE: N_("Approves allocations and moves money"),
    PortalRole.DEPARTMENT_HEAD: N_("Sees one department and approves for it"),
    PortalRole.CUSTODIAN: N_("Keeps cards, lends them and takes them back; permits a use"),
    PortalRole.VIEWER: N_("Looks, and changes nothing"),
}
MODE: Final[Mapping[CompanyMode, str]] = {
    CompanyMode.POOLED: N_("One pool: cards draw on it within their limits"),
    CompanyMode.ALLOCATED: N_("Allocated: money is moved to the cards first"),
    CompanyMode.MIXED: N_("Mixed: the card's own money first, then the pool"),
}
WORKDAY: Final[Mapping[WorkdayMode, str]] = {
    WorkdayMode.FOLLOWING: N_("The next workday"),
    WorkdayMode.PRECEDING: N_("The workday before"),
}
UNUSED: Final[Mapping[UnusedMode, str]] = {
    UnusedMode.KEPT: N_("Stays on the card"),
    UnusedMode.GATHERED: N_("Goes back to the pool"),
    UnusedMode.CAPPED: N_("The next allocation fills up to the approved amount"),
}
SILENCE: Final[Mapping[SilencePolicy, str]] = {
    SilencePolicy.REFUSE: N_("It is refused"),
    SilencePolicy.APPROVE: N_("It is approved"),
}
OWNERSHIP: Final[Mapping[Ownership, str]] = {
    Ownership.COMPANY: N_("The company's"),
    Ownership.PRIVATE: N_("Private, in company use"),
    Ownership.ISSUER: N_("The chain's own"),
}
VEHICLE: Final[Mapping[VehicleStatus, Toned]] = {
    VehicleStatus.ACTIVE: (N_("In use"), "good"),
    VehicleStatus.IN_REPAIR: (N_("In repair"), "warn"),
    VehicleStatus.CLOSED: (N_("No longer used"), ""),
}
DRIVER: Final[Mapping[DriverStatus, Toned]] = {
    DriverStatus.ACTIVE: (N_("Drives"), "good"),
    DriverStatus.AWAY: (N_("Away"), "warn"),
    DriverStatus.LEFT: (N_("Left"), ""),
}
SHEET: Final[Mapping[SheetKind, str]] = {
    SheetKind.VEHICLES: N_("Vehicles"),
    SheetKind.DRIVERS: N_("Drivers"),
    SheetKind.BINDINGS: N_("Cards"),
}
ROW: Final[Mapping[RowState, Toned]] = {
    RowState.NEW: (N_("New row"), "good"),
    RowState.CHANGE: (N_("Differs"), "info"),
    RowState.SAME: (N_("As it is"), ""),
    RowState.ERROR: (N_("Faulty"), "bad"),
}
