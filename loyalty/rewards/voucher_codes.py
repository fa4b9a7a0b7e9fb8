"""A voucher's code as its row keeps it: sealed for its holder's page, found by a blind index, told by its last characters."""

from dataclasses import dataclass
from uuid import UUID

from loyalty.crypto import Purpose, blind_index, open_text, seal_text

from .voucher_rules import shown_code


@dataclass(frozen=True, slots=True)
class ProtectedCode:
    """A code as its row keeps it."""

    index: bytes
    sealed: bytes
    tail: str


def protect_code(code: str, *, voucher_id: UUID) -> ProtectedCode:
    """Seal and index a code in its one spelling for one row of `vouchers`."""
    sealed = seal_text(Purpose.VOUCHER_CODE, table="vouchers", column="code_sealed", row_id=voucher_id, plaintext=code)
    return ProtectedCode(code_index(code), sealed, code[-4:])


def code_index(code: str) -> bytes:
    """Return what a code is found by."""
    return blind_index(Purpose.INDEX_VOUCHER_CODE, code)


def open_code(sealed: bytes, *, voucher_id: UUID) -> str:
    """Return one voucher's code as it is shown: for its holder only."""
    plain = open_text(Purpose.VOUCHER_CODE, table="vouchers", column="code_sealed", row_id=voucher_id, envelope=sealed)
    return shown_code(plain)
