"""A dispute in words, for the company's portal and the issuer's office."""

from collections.abc import Mapping
from typing import Any, Final

from loyalty.fleet.model_disputes import DisputeReason, DisputeStatus
from loyalty.fleet.queries.disputes import DisputeView
from loyalty.web.desk import PageDesk
from loyalty.web.fleet.labels import Toned
from loyalty.web.i18n import N_
from loyalty.web.office.parts import Facts

DISPUTE: Final[Mapping[DisputeStatus, Toned]] = {
    DisputeStatus.OPENED: (N_("With the station"), "warn"),
    DisputeStatus.ANSWERED: (N_("To be decided"), "warn"),
    DisputeStatus.APPROVED: (N_("Approved"), "good"),
    DisputeStatus.REJECTED: (N_("Rejected"), "bad"),
    DisputeStatus.WITHDRAWN: (N_("Withdrawn"), ""),
}
REASON: Final[Mapping[DisputeReason, str]] = {
    DisputeReason.NOT_OURS: N_("Not our vehicle"),
    DisputeReason.WRONG_LITRES: N_("Wrong litres"),
    DisputeReason.WRONG_AMOUNT: N_("Wrong amount"),
    DisputeReason.WRONG_GRADE: N_("Wrong grade"),
    DisputeReason.TWICE: N_("Booked twice"),
    DisputeReason.OTHER: N_("Something else"),
}


def dispute_steps(desk: PageDesk, one: DisputeView) -> Facts:
    """Return who said what, in order."""
    _, f = desk.gettext, desk.f
    pairs: list[tuple[str, Any]] = [(f"{f.when(one.opened_at)} · {_('The company')}", one.comment)]
    if one.answered_at is not None:
        agrees = _("agrees") if one.agrees else _("disagrees")
        pairs.append((f"{f.when(one.answered_at)} · {_('Station')}", f"{agrees}: {one.answer}"))
    if one.decided_at is not None:
        given = "" if one.given_minor is None else _("%(amount)s given back. ", amount=f.money(one.given_minor, one.currency))
        pairs.append((f"{f.when(one.decided_at)} · {_('The issuer')}", f"{given}{one.decision}"))
    note = _("The station has until %(day)s to answer.", day=f.when(one.answer_by)) if one.status is DisputeStatus.OPENED else ""
    return Facts(title=_("What was said"), pairs=pairs, note=note)
