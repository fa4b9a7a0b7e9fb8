"""Cash fills in words: their status, their reason, what is to be said of a receipt."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from loyalty.fleet.model_cash import CashReason, CashStatus
from loyalty.fleet.operations.cash import RECEIPT_WITHIN
from loyalty.fleet.queries.cash import CashView
from loyalty.web.desk import PageDesk
from loyalty.web.fleet.labels import Toned
from loyalty.web.i18n import N_
from loyalty.web.office.parts import Facts

CASH: Final[Mapping[CashStatus, Toned]] = {
    CashStatus.FILED: (N_("To be approved"), "warn"),
    CashStatus.APPROVED: (N_("Approved"), "good"),
    CashStatus.REFUSED: (N_("Refused"), "bad"),
    CashStatus.REIMBURSED: (N_("Reimbursed"), "good"),
    CashStatus.WITHDRAWN: (N_("Withdrawn"), ""),
}
REASON: Final[Mapping[CashReason, str]] = {
    CashReason.NO_CARD_SERVICE: N_("Station takes no cards"),
    CashReason.CARD_LOST: N_("Card lost"),
    CashReason.EMERGENCY: N_("Emergency"),
    CashReason.OTHER: N_("Something else"),
}
_GONE: Final = {CashStatus.REFUSED, CashStatus.WITHDRAWN}


def is_overdue(one: CashView, now: datetime) -> bool:
    """Say whether the receipt of a fill that was approved beforehand should be there by now."""
    return one.status is CashStatus.APPROVED and one.receipt_at is None and one.event_at + RECEIPT_WITHIN < now


def receipt_word(one: CashView, now: datetime) -> Toned:
    """Return what a list says of the receipt."""
    if one.receipt_at is not None:
        return (N_("Plate differs"), "bad") if one.plate_differs else (N_("Handed in"), "good")
    if one.status in _GONE:
        return (N_("None"), "")
    return (N_("Overdue"), "bad") if is_overdue(one, now) else (N_("To come"), "")


def place_of(desk: PageDesk, one: CashView) -> str:
    """Say where it was."""
    return desk.words.either(one.station_zh, one.station_en or one.station_zh) if one.station_zh else one.place or "—"


def cash_steps(desk: PageDesk, one: CashView, names: Mapping[str, str]) -> Facts:
    """Return who did what, in order."""
    _, f = desk.gettext, desk.f

    def head(at: datetime | None, by: str | None) -> str:
        return f"{f.when(at)} · {names.get(by or '', by or '—')}"

    filed = _("Asked for beforehand") if one.asked_before else _("Filed with its receipt")
    pairs: list[tuple[str, Any]] = [(head(one.filed_at, one.filed_by), f"{filed}: {one.comment}" if one.comment else filed)]
    if one.asked_before and one.receipt_at is not None:
        pairs.append((head(one.receipt_at, one.receipt_by), _("Receipt handed in")))
    if one.decided_at is not None:
        verdict = _("Refused") if one.status is CashStatus.REFUSED else _("Approved")
        pairs.append((head(one.decided_at, one.decided_by), f"{verdict}: {one.decision}" if one.decision else verdict))
    if one.reimbursed_at is not None:
        pairs.append((head(one.reimbursed_at, one.reimbursed_by), _("Reimbursed")))
    return Facts(title=_("What was said"), pairs=pairs)
