"""Writing the pump's rows outside the hot path: ordinary operations under the hot path's lock order."""

from loyalty.authorizations.dedupe import KeyReused, Outcome, SequenceReused, idempotent, once, quarantine_forked

from .advices import ADVICES_MAX, AdviceContext, AdviceNotUnderstood, AdviceResult, book_advice, book_advices, suspense_account
from .fills import FillCannotMove, FillNotFound, FillReportedOtherwise, lock_fill, move_fill, record_fill, unlock_fill
from .holds import AuthorizationCannotMove, DispenseReported, expire_holds, report_nozzle_not_lifted
from .payments import (
    PaymentEnded,
    PaymentNotFound,
    PaymentResult,
    PaymentTaken,
    approve_payment,
    cancel_payment,
    expire_payments,
    find_payment,
    get_payment,
    make_payment_request,
)
from .quotes import balance, pin_refusal, quote
from .refunds import (
    NothingToRefund,
    Refunded,
    RefundExceedsSale,
    RefundLine,
    RefundLineUnknown,
    SaleNotFound,
    VoidNotPossible,
    refund_sale,
)
from .reversals import OriginalNotReversible, reverse
from .unresolved import EvidenceNeeded, NotUnresolved, PumpRecord, Resolved, complete_from_pump_record, release_dispense

__all__ = [
    "ADVICES_MAX",
    "AdviceContext",
    "AdviceNotUnderstood",
    "AdviceResult",
    "AuthorizationCannotMove",
    "DispenseReported",
    "EvidenceNeeded",
    "FillCannotMove",
    "FillNotFound",
    "FillReportedOtherwise",
    "KeyReused",
    "NotUnresolved",
    "NothingToRefund",
    "OriginalNotReversible",
    "Outcome",
    "PaymentEnded",
    "PaymentNotFound",
    "PaymentResult",
    "PaymentTaken",
    "PumpRecord",
    "RefundExceedsSale",
    "RefundLine",
    "RefundLineUnknown",
    "Refunded",
    "Resolved",
    "SaleNotFound",
    "SequenceReused",
    "VoidNotPossible",
    "approve_payment",
    "balance",
    "book_advice",
    "book_advices",
    "cancel_payment",
    "complete_from_pump_record",
    "expire_holds",
    "expire_payments",
    "find_payment",
    "get_payment",
    "idempotent",
    "lock_fill",
    "make_payment_request",
    "move_fill",
    "once",
    "pin_refusal",
    "quarantine_forked",
    "quote",
    "record_fill",
    "refund_sale",
    "release_dispense",
    "report_nozzle_not_lifted",
    "reverse",
    "suspense_account",
    "unlock_fill",
]
