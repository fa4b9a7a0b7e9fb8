"""The room's protected columns: how each is sealed, indexed and opened. Nothing else in the room touches a key."""

from dataclasses import dataclass
from uuid import UUID

from loyalty.crypto import Purpose, blind_index, open_text, seal_text


@dataclass(frozen=True, slots=True)
class Protected:
    """A value as its row keeps it."""

    sealed: bytes
    index: bytes
    tail: str


def protect_phone(e164: str, *, table: str, row_id: UUID) -> Protected:
    """Seal a phone number for `phone_sealed` of one row."""
    sealed = seal_text(Purpose.CONTACT, table=table, column="phone_sealed", row_id=row_id, plaintext=e164)
    return Protected(sealed, phone_index(e164), e164[-4:])


def open_phone(sealed: bytes | None, *, table: str, row_id: UUID) -> str | None:
    """Return the E.164 number of one row, None where there is none."""
    return None if sealed is None else open_text(Purpose.CONTACT, table=table, column="phone_sealed", row_id=row_id, envelope=sealed)


def phone_index(e164: str) -> bytes:
    """Return what a phone number is found by."""
    return blind_index(Purpose.INDEX_PHONE, e164)


def protect_email(email: str | None, *, table: str, row_id: UUID) -> bytes | None:
    """Seal a mail address for `email_sealed` of one row."""
    return None if email is None else seal_text(Purpose.CONTACT, table=table, column="email_sealed", row_id=row_id, plaintext=email)


def open_email(sealed: bytes | None, *, table: str, row_id: UUID) -> str | None:
    """Return the mail address of one row, None where there is none."""
    return None if sealed is None else open_text(Purpose.CONTACT, table=table, column="email_sealed", row_id=row_id, envelope=sealed)


def protect_document(value: str, *, identifier_id: UUID) -> Protected:
    """Seal a document number for one row of `customer_identifiers`."""
    sealed = seal_text(Purpose.ID_DOCUMENT, table="customer_identifiers", column="value_sealed", row_id=identifier_id, plaintext=value)
    return Protected(sealed, document_index(value), value[-4:])


def open_document(sealed: bytes, *, identifier_id: UUID) -> str:
    """Return the number of one row of `customer_identifiers`: only for a logged view."""
    return open_text(Purpose.ID_DOCUMENT, table="customer_identifiers", column="value_sealed", row_id=identifier_id, envelope=sealed)


def document_index(value: str) -> bytes:
    """Return what a document number, of whatever type, is found by."""
    return blind_index(Purpose.INDEX_ID_DOCUMENT, value)


def protect_bank_account(number: str, *, bank_account_id: UUID) -> Protected:
    """Seal an account number for one row of `customer_bank_accounts`."""
    sealed = seal_text(
        Purpose.BANK_ACCOUNT, table="customer_bank_accounts", column="account_sealed", row_id=bank_account_id, plaintext=number
    )
    return Protected(sealed, bank_account_index(number), number[-4:])


def open_bank_account(sealed: bytes, *, bank_account_id: UUID) -> str:
    """Return the number of one row of `customer_bank_accounts`: for a payment."""
    return open_text(Purpose.BANK_ACCOUNT, table="customer_bank_accounts", column="account_sealed", row_id=bank_account_id, envelope=sealed)


def bank_account_index(number: str) -> bytes:
    """Return what a bank account is found by."""
    return blind_index(Purpose.INDEX_BANK_ACCOUNT, number)
