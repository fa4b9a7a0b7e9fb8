"""Both ends of a bank transfer, kept for every item."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.crypto import Purpose, blind_index, seal_text
from loyalty.customers.queries import is_own_bank_account
from loyalty.customers.rules import name_key
from loyalty.errors import Refusal
from loyalty.ledger.model import Account
from loyalty.policy import Policy
from loyalty.topups.model import BankPayment, Party, Topup
from loyalty.topups.queries import get_purchase_for_update, get_real_name, owner_of
from loyalty.topups.rules import party_of

from .real_names import declared_name


class BankAccountsNeeded(Refusal):
    """A transfer is recorded with both of its ends."""

    status = 422
    zh = "银行转账须登记付款账户与收款账户（依据 {rule}）。"
    en = "A bank transfer needs the payer's and the payee's account on record ({rule})."
    next_zh = "请补全户名、开户行和账号。"
    next_en = "Complete holder, bank and account number of both."


class PayerIsNotTheOrganisation(Refusal):
    """An organisation pays from its own account."""

    status = 422
    zh = "付款账户不在该单位名下（依据 {rule}）。"
    en = "The paying account is not in the organisation's name ({rule})."
    next_zh = "请由单位本身的账户付款，或先在客户资料中登记该账户。"
    next_en = "Let the organisation pay from its own account, or put that account on its record first."


class BankTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """Both ends of a transfer. Never shown by repr."""

    payer_name: str
    payer_bank: str
    payer_account: str
    payee_name: str
    payee_bank: str
    payee_account: str

    def __repr__(self) -> str:
        return "BankTransfer()"


class Paying(NamedTuple):
    """Whose account the money should come from."""

    party: Party
    customer_id: UUID | None
    name: str | None


async def paying_of(session: AsyncSession, topup: Topup, account: Account, now: datetime) -> Paying:
    """Return who pays a transfer that was asked for earlier."""
    if topup.purchase_id is not None:
        bought = await get_purchase_for_update(session, purchase_id=topup.purchase_id)
        owner = await owner_of(session, customer_id=bought.buyer_customer_id, now=now)
        declared = await declared_name(session, record_id=bought.buyer_record_id)
        return Paying(bought.buyer, bought.buyer_customer_id, declared or (owner.name if owner else None))
    if topup.payer_record_id is not None:
        record = await get_real_name(session, record_id=topup.payer_record_id)
        return Paying(record.party, None, await declared_name(session, record_id=topup.payer_record_id))
    owner = await owner_of(session, customer_id=account.customer_id, now=now)
    return Paying(party_of(account.kind), account.customer_id, owner.name if owner else None)


async def put_ends(session: AsyncSession, payment: BankPayment, *, policy: Policy, paying: Paying, bank: BankTransfer) -> None:
    """Record a transfer's ends, sealed, and hold that an organisation pays from its own account.

    :raises BankAccountsNeeded: if a part of them is missing
    :raises PayerIsNotTheOrganisation: if an organisation pays from another's account
    """
    if not all(value.strip() for value in msgspec.structs.astuple(bank)):
        raise BankAccountsNeeded(rule=policy.no_cash.rule)
    number = account_number(bank.payer_account)
    index = blind_index(Purpose.INDEX_BANK_ACCOUNT, number)
    own = paying.name is not None and name_key(paying.name) == name_key(bank.payer_name)
    if not own and paying.customer_id is not None:
        own = await is_own_bank_account(session, customer_id=paying.customer_id, number=bank.payer_account)
    if policy.no_cash.own_account and paying.party is Party.ORGANISATION and not own:
        raise PayerIsNotTheOrganisation(rule=policy.no_cash.rule)
    row_id = payment.topup_id
    payment.payer_name_sealed = seal_text(
        Purpose.PERSON_NAME, table="bank_payments", column="payer_name_sealed", row_id=row_id, plaintext=bank.payer_name.strip()
    )
    payment.payer_account_sealed = seal_text(
        Purpose.BANK_ACCOUNT, table="bank_payments", column="payer_account_sealed", row_id=row_id, plaintext=number
    )
    payment.payer_bank = bank.payer_bank.strip()
    payment.payer_account_index = index
    payment.payer_account_tail = number[-4:]
    payment.payee_name = bank.payee_name.strip()
    payment.payee_bank = bank.payee_bank.strip()
    payment.payee_account = account_number(bank.payee_account)
    payment.own_account = own


def account_number(text: str) -> str:
    """Return a bank account's number as it is compared: no spaces or hyphens, capital letters."""
    return "".join(character for character in text if character.isalnum()).upper()
