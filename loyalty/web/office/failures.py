"""What the scheduler tried in vain."""

from typing import Final

from litestar import get
from litestar.di import NamedDependency

from loyalty.errors import NotAllowed
from loyalty.identity.rules import Permission
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.parts import Rows
from loyalty.web.office.queries import failed_jobs

PATH = "/office/failures"

JOBS: Final = {
    "checks": N_("Proof of the books"),
    "days": N_("Closing balances of the day"),
    "freezes": N_("Freezes that run out"),
    "holds": N_("Holds that run out"),
    "housekeeping": N_("Housekeeping"),
    "limits": N_("Limits that begin or end"),
    "partitions": N_("Room for the coming months"),
    "periods": N_("Accounting periods"),
    "trail": N_("Seals of the audit trail"),
}


def sees_failures(desk: Desk) -> bool:
    """Say whether the reader answers for the whole issuer, as the scheduler works for it."""
    return desk.may(Permission.READ_LEDGER) and desk.reachable(Permission.READ_LEDGER) is None


@get("/failures")
async def failures(desk: NamedDependency[Desk]) -> Page:
    """List the jobs that failed and have not been done since."""
    if not sees_failures(desk):
        raise NotAllowed
    _ = desk.gettext
    found = await failed_jobs(desk.session)
    table = Rows(
        title="",
        columns=[Column(_("Job")), Column(_("For")), Column(_("Last try")), Column(_("Tries"), "num"), Column(_("Kind of fault"))],
        rows=[
            [
                cells.text(_(JOBS[one.job]) if one.job in JOBS else one.job),
                cells.text(one.period),
                cells.when(desk, one.started_at),
                cells.count(desk, one.attempts),
                cells.text(one.error),
            ]
            for one in found
        ],
        empty=_("Every job has been done"),
        empty_then=_("What fails is tried again each time it is due, and stands here until it succeeds."),
    )
    sub = _("Each is tried again whenever it is due. Whoever runs the service finds the whole story in its log.")
    return await desk.page(_("Failed jobs"), sub=sub, crumbs=[(_("Home"), "/office"), (_("Failed jobs"), "")], main=[table])


handlers = [failures]
