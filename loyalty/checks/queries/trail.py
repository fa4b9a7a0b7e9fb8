"""Invariants 6 and 7: the audit chain is whole; protected columns open under their own row's associated data."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.queries import verify_chain
from loyalty.checks.model import Check, Found, Level, Row, Scope
from loyalty.crypto import CryptoError, Purpose, blind_index, open_

from .asking import found, proved_by

SAMPLE = 5_000
"""How many rows of a protected column are opened without `--all`: one costs some microseconds."""


class ProtectedColumn(NamedTuple):
    """A sealed column, the key of its row, and what is kept beside it: a blind index under another key, the last characters in clear."""

    table: str
    key: str
    column: str
    purpose: Purpose
    blind: str | None = None
    blind_purpose: Purpose | None = None
    tail: str | None = None


PROTECTED = (
    ProtectedColumn("cards", "card_id", "number_sealed", Purpose.CARD_NUMBER, "number_index", Purpose.INDEX_CARD_NUMBER, "number_tail"),
    ProtectedColumn("staff", "staff_id", "phone", Purpose.CONTACT, "phone_index", Purpose.INDEX_PHONE),
    ProtectedColumn("users", "staff_id", "totp_secret", Purpose.TOTP_SECRET),
    ProtectedColumn("portal_users", "user_id", "totp_secret", Purpose.TOTP_SECRET),
    ProtectedColumn("partner_users", "user_id", "totp_secret", Purpose.TOTP_SECRET),
    ProtectedColumn("drivers", "driver_id", "phone_sealed", Purpose.CONTACT),
    ProtectedColumn("terminal_sessions", "session_id", "sealed_keys", Purpose.SESSION_KEY),
    ProtectedColumn("customers", "customer_id", "phone_sealed", Purpose.CONTACT, "phone_index", Purpose.INDEX_PHONE, "phone_tail"),
    ProtectedColumn("customers", "customer_id", "email_sealed", Purpose.CONTACT),
    ProtectedColumn("customer_contacts", "contact_id", "phone_sealed", Purpose.CONTACT, "phone_index", Purpose.INDEX_PHONE, "phone_tail"),
    ProtectedColumn("customer_contacts", "contact_id", "email_sealed", Purpose.CONTACT),
    ProtectedColumn(
        "customer_identifiers", "identifier_id", "value_sealed", Purpose.ID_DOCUMENT, "value_index", Purpose.INDEX_ID_DOCUMENT, "tail"
    ),
    ProtectedColumn(
        "customer_bank_accounts",
        "bank_account_id",
        "account_sealed",
        Purpose.BANK_ACCOUNT,
        "account_index",
        Purpose.INDEX_BANK_ACCOUNT,
        "tail",
    ),
    ProtectedColumn("real_names", "record_id", "name_sealed", Purpose.PERSON_NAME),
    ProtectedColumn(
        "real_names", "record_id", "id_number_sealed", Purpose.ID_DOCUMENT, "id_number_index", Purpose.INDEX_ID_DOCUMENT, "id_tail"
    ),
    ProtectedColumn("real_names", "record_id", "contact_sealed", Purpose.CONTACT),
    ProtectedColumn("bank_payments", "topup_id", "payer_name_sealed", Purpose.PERSON_NAME),
    ProtectedColumn(
        "bank_payments",
        "topup_id",
        "payer_account_sealed",
        Purpose.BANK_ACCOUNT,
        "payer_account_index",
        Purpose.INDEX_BANK_ACCOUNT,
        "payer_account_tail",
    ),
    ProtectedColumn("account_closures", "closure_id", "payee_name_sealed", Purpose.PERSON_NAME),
    ProtectedColumn("account_closures", "closure_id", "payee_account_sealed", Purpose.BANK_ACCOUNT, tail="payee_account_tail"),
    ProtectedColumn("vouchers", "voucher_id", "code_sealed", Purpose.VOUCHER_CODE, "code_index", Purpose.INDEX_VOUCHER_CODE, "code_tail"),
    ProtectedColumn("gift_hand_outs", "entitlement_id", "signature_sealed", Purpose.SIGNATURE),
    ProtectedColumn("cash_receipts", "cash_fill_id", "content_sealed", Purpose.DOCUMENT),
    ProtectedColumn("partner_documents", "document_id", "content", Purpose.DOCUMENT),
    ProtectedColumn("partner_feeds", "feed_id", "webhook_secret", Purpose.WEBHOOK_SECRET),
    ProtectedColumn("partner_bank_accounts", "bank_account_id", "number_sealed", Purpose.BANK_ACCOUNT, tail="number_tail"),
    ProtectedColumn("partner_payment_runs", "run_id", "content", Purpose.DOCUMENT),
    ProtectedColumn("partner_files", "file_id", "content", Purpose.DOCUMENT),
)


async def _chain(session: AsyncSession, scope: Scope) -> Found:
    breaches = await verify_chain(session, issuer_keys=scope.issuer_keys, checkpoints=scope.checkpoints)
    return found([{"row": breach.row, "what": breach.what} for breach in breaches], scope)


CHAIN = Check(code="audit-chain", invariant=6, says="the audit chain is whole up to the last exported checkpoint", look=_chain)

UNSEALED = proved_by(
    """
    SELECT min(entry_id) AS first_entry_id, count(*) AS entries FROM audit_entries
    WHERE entry_id > (SELECT coalesce(max(last_id), 0) FROM audit_seals)
    HAVING min(at) < CAST(:now AS timestamptz) - interval '2 days'
    """,
    code="audit-unsealed",
    invariant=6,
    says="an entry of the trail is sealed within two days",
    level=Level.WARNING,
    timed=True,
)


def _opens(column: ProtectedColumn) -> Check:
    async def look(session: AsyncSession, scope: Scope) -> Found:
        rows: list[Row] = []
        for key, sealed, index, tail in await session.execute(text(await _statement(session, column, scope))):
            fault = _fault(column, key, bytes(sealed), index, tail)
            if fault:
                rows.append({column.key: str(key), "what": fault})
        return found(rows, scope)

    return Check(
        code=f"protected-{column.table}-{column.column}",
        invariant=7,
        says=f"{column.table}.{column.column} opens under its own row, and matches what is kept beside it",
        look=look,
    )


async def _statement(session: AsyncSession, column: ProtectedColumn, scope: Scope) -> str:
    """Read all rows, or of a large table a sample that is another one each time."""
    sample = ""
    if not scope.everything:
        rows = await session.scalar(text(f"SELECT count(*) FROM {column.table} WHERE {column.column} IS NOT NULL"))  # noqa: S608 - names of this file
        if rows is not None and rows > SAMPLE:
            sample = f"TABLESAMPLE BERNOULLI ({100 * SAMPLE / rows})"
    beside = ", ".join(name if name is not None else "NULL" for name in (column.blind, column.tail))
    return f"SELECT {column.key}, {column.column}, {beside} FROM {column.table} {sample} WHERE {column.column} IS NOT NULL"  # noqa: S608 - as above


def _fault(column: ProtectedColumn, key: UUID, sealed: bytes, index: bytes | None, tail: str | None) -> str:
    try:
        plain = open_(column.purpose, table=column.table, column=column.column, row_id=key, envelope=sealed)
    except CryptoError as error:
        return type(error).__name__
    if column.blind_purpose is not None and (index is None or blind_index(column.blind_purpose, plain.decode()) != bytes(index)):
        return "its blind index is another value's"
    if column.tail is not None and tail != plain.decode()[-4:]:
        return "its last characters are another value's"
    return ""


CHECKS = (CHAIN, UNSEALED, *(_opens(column) for column in PROTECTED))
