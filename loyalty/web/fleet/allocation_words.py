"""What the statuses and codes of allocation are called."""

from collections.abc import Mapping
from typing import Final

from loyalty.fleet.model_allocations import Direction, RequestStatus
from loyalty.web.i18n import N_

REQUEST: Final[Mapping[RequestStatus, tuple[str, str]]] = {
    RequestStatus.DRAFT: (N_("Suggested"), ""),
    RequestStatus.REQUESTED: (N_("Asked for"), "info"),
    RequestStatus.DEPARTMENT_APPROVED: (N_("Department agreed"), "info"),
    RequestStatus.APPROVED: (N_("Approved"), "good"),
    RequestStatus.REFUSED: (N_("Refused"), "bad"),
    RequestStatus.LOADED: (N_("Loaded"), "good"),
    RequestStatus.FAILED: (N_("Failed"), "bad"),
    RequestStatus.WITHDRAWN: (N_("Withdrawn"), ""),
}
DIRECTION: Final[Mapping[Direction, tuple[str, str]]] = {
    Direction.ALLOCATED: (N_("Pool to card"), "good"),
    Direction.GATHERED: (N_("Card to pool"), "info"),
}
CODE: Final[Mapping[str, str]] = {
    "no_records": N_("no fuel records in the last period"),
    "no_odometer": N_("no odometer reading in the last period"),
    "card_stopped": N_("no usable card"),
    "vehicle_closed": N_("vehicle closed"),
    "nothing_wanted": N_("no amount"),
    "no_department": N_("no department answers for it"),
    "department_first": N_("the department has not agreed yet"),
    "four_eyes": N_("another person has to approve"),
    "over_cap": N_("the card would hold more than it may"),
    "insufficient_funds": N_("the pool was empty"),
    "account_closed": N_("the company's account is closed or frozen"),
    "full_already": N_("it held enough"),
    "draft": N_("Suggested"),
    "requested": N_("Asked for"),
    "department_approved": N_("Department agreed"),
    "approved": N_("Approved"),
    "refused": N_("Refused"),
    "loaded": N_("Loaded"),
    "failed": N_("Failed"),
    "withdrawn": N_("Withdrawn"),
}
