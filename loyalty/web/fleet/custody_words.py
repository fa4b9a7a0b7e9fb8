"""A loan in words: its status, how late it is, and who did what."""

from collections.abc import Mapping
from typing import Final

from loyalty.fleet.model_custody import LoanStatus
from loyalty.fleet.queries.custody import LoanView
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.labels import Toned
from loyalty.web.fleet.queries import CardLine, Whereabouts
from loyalty.web.i18n import N_
from loyalty.web.office.lookups import happening
from loyalty.web.office.parts import Cell, Events

LOAN: Final[Mapping[LoanStatus, Toned]] = {
    LoanStatus.REQUESTED: (N_("Waits for approval"), "warn"),
    LoanStatus.APPROVED: (N_("Ready to be handed out"), "info"),
    LoanStatus.LENT: (N_("Lent"), "info"),
    LoanStatus.RETURNED: (N_("Returned"), "good"),
    LoanStatus.REFUSED: (N_("Refused"), "bad"),
    LoanStatus.WITHDRAWN: (N_("Withdrawn"), ""),
}
WHERE: Final[Mapping[Whereabouts, Toned]] = {
    Whereabouts.KEPT: (N_("With the custodian"), "good"),
    Whereabouts.OUT: (N_("Lent"), "info"),
    Whereabouts.OVERDUE: (N_("Overdue"), "bad"),
}
_SOON_S: Final = 4 * 3_600


def loan_cell(fleet: FleetDesk, one: LoanView) -> Cell:
    """Return a loan's status; of one that is out, how late it is, or that it is due soon."""
    _, f = fleet.gettext, fleet.f
    said, tone = LOAN[one.status]
    said = _(said)
    if one.status is LoanStatus.LENT:
        left = int((one.due_at - fleet.now).total_seconds())
        if left <= 0:
            said, tone = _("Overdue by %(time)s", time=f.duration(-left)), "bad"
        elif left <= _SOON_S:
            said, tone = _("Due in %(time)s", time=f.duration(left)), "warn"
    return Cell(fleet.tag(said, tone), said)


def where_cell(fleet: FleetDesk, one: CardLine) -> Cell:
    """Return where a card is: with its custodian, or with whom until when."""
    found = one.whereabouts(fleet.now)
    if found is None:
        return Cell("—", "")
    said, tone = WHERE[found]
    said = fleet.gettext(said)
    return Cell(fleet.tag(said, tone), said)


def steps(fleet: FleetDesk, one: LoanView) -> Events:
    """Return what was done with a loan and by whom, the latest last."""
    _ = fleet.gettext
    events = [happening(fleet, one.asked_at, _("Asked for"), [one.asker])]
    if one.decided_at is not None:
        refused = one.status is LoanStatus.REFUSED
        title, tone = (_("Refused"), "bad") if refused else (_("Approved"), "good")
        events.append(happening(fleet, one.decided_at, title, [one.decider or "", one.reason or ""], tone=tone))
    if one.lent_at is not None:
        events.append(happening(fleet, one.lent_at, _("Lent"), [one.lender or "", one.driver]))
    if one.is_overdue(fleet.now):
        events.append(happening(fleet, one.due_at, _("Due back"), [], tone="bad"))
    if one.returned_at is not None:
        late = one.returned_at > one.due_at
        notes = [one.receiver or "", _("late") if late else "", one.note or ""]
        events.append(happening(fleet, one.returned_at, _("Returned"), notes, tone="warn" if late else "good"))
    return Events(title=_("What happened"), events=events, empty="")
