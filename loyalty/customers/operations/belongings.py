"""Contacts and bank accounts of customers."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.operations import Actor, record
from loyalty.customers.model import ContactRole, CustomerBankAccount, CustomerContact, CustomerKind
from loyalty.customers.protected import bank_account_index, open_bank_account, protect_bank_account, protect_email, protect_phone
from loyalty.customers.queries.family import family_of
from loyalty.customers.rules import name_key, read_phone
from loyalty.db import locked
from loyalty.errors import NotFound, Refusal
from loyalty.ids import CustomerId, uuid7

from .records import NameIsEmpty, get_living_customer


class ContactNotFound(NotFound):
    """Unknown or removed."""

    zh = "没有此联系人。"
    en = "There is no such contact."


class BankAccountNotFound(NotFound):
    """Unknown or removed."""

    zh = "没有此银行账户。"
    en = "There is no such bank account."


class OnlyOrganisationsHaveContacts(Refusal):
    """A person is its own contact."""

    status = 422
    zh = "个人客户不设联系人。"
    en = "A person has no contacts."
    next_zh = "请直接填写客户的电话。"
    next_en = "Give the customer's own phone number."


class NotOwnBankAccount(Refusal):
    """Principal is refunded to, and an organisation pays from, an account in the customer's own name."""

    status = 422
    zh = "银行账户户名与客户名称不一致。"
    en = "The account is not in the customer's name."
    next_zh = "请提供以客户本人（本单位）名义开立的账户。"
    next_en = "Give an account that is in the customer's own name."


class InvalidBankAccount(Refusal):
    """Too short, too long, or with other than digits and letters."""

    status = 422
    zh = "银行账号须为 6 至 34 位字母或数字。"
    en = "A bank account number has 6 to 34 letters or digits."
    next_zh = "请核对账号。"
    next_en = "Check the number."


async def add_contact(
    session: AsyncSession,
    *,
    customer_id: CustomerId,
    role: ContactRole,
    name: str,
    actor: Actor,
    now: datetime,
    phone: str | None = None,
    email: str | None = None,
    personal_benefits_agreed: str | None = None,
) -> UUID:
    """Name a person at an organisation. Personal benefits are off unless the document in which the organisation agreed is given.

    :raises CustomerNotFound: if there is no such customer
    :raises CustomerWasMerged: if another record stands for it
    :raises OnlyOrganisationsHaveContacts: if it is a person
    :raises NameIsEmpty: if there is no name
    :raises InvalidPhone: if the phone number cannot exist
    """
    customer = await get_living_customer(session, customer_id=customer_id)
    if customer.kind is not CustomerKind.ORGANISATION:
        raise OnlyOrganisationsHaveContacts
    if not name.strip():
        raise NameIsEmpty
    contact_id = uuid7(now)
    contact = CustomerContact(
        contact_id=contact_id,
        customer_id=customer_id,
        role=role,
        name=name.strip(),
        email_sealed=protect_email(email, table="customer_contacts", row_id=contact_id),
        personal_benefits_agreed=personal_benefits_agreed,
        added_at=now,
    )
    if phone:
        protected = protect_phone(read_phone(phone, country=customer.country), table="customer_contacts", row_id=contact_id)
        contact.phone_sealed, contact.phone_index, contact.phone_tail = protected.sealed, protected.index, protected.tail
    session.add(contact)
    await session.flush()
    await _record(session, "customers.contact_added", customer_id, {"contact": contact_id, "role": role}, actor=actor, now=now)
    return contact_id


async def remove_contact(session: AsyncSession, *, contact_id: UUID, actor: Actor, now: datetime) -> None:
    """Take a contact out of use.

    :raises ContactNotFound: if there is no such contact
    """
    contact = await session.scalar(
        locked(select(CustomerContact).where(CustomerContact.contact_id == contact_id, CustomerContact.removed_at.is_(None)))
    )
    if contact is None:
        raise ContactNotFound
    contact.removed_at = now
    await session.flush()
    await _record(session, "customers.contact_removed", CustomerId(contact.customer_id), {"contact": contact_id}, actor=actor, now=now)


async def add_bank_account(
    session: AsyncSession, *, customer_id: CustomerId, holder: str, bank: str, number: str, currency: str, actor: Actor, now: datetime
) -> UUID:
    """Note a bank account in the customer's own name; the same one again is the same row.

    :raises CustomerNotFound: if there is no such customer
    :raises CustomerWasMerged: if another record stands for it
    :raises NotOwnBankAccount: if the holder's name is not the customer's
    :raises InvalidBankAccount: if the number cannot be one
    """
    customer = await get_living_customer(session, customer_id=customer_id)
    if name_key(holder) != customer.name_key:
        raise NotOwnBankAccount
    plain = "".join(number.split())
    if not (plain.isascii() and plain.replace("-", "").replace("/", "").isalnum() and 6 <= len(plain) <= 34):
        raise InvalidBankAccount
    family = await family_of(session, customer_id=customer_id)
    known = await session.scalar(
        select(CustomerBankAccount.bank_account_id).where(
            CustomerBankAccount.customer_id.in_(family),
            CustomerBankAccount.account_index == bank_account_index(plain),
            CustomerBankAccount.removed_at.is_(None),
        )
    )
    if known is not None:
        return known
    bank_account_id = uuid7(now)
    protected = protect_bank_account(plain, bank_account_id=bank_account_id)
    session.add(
        CustomerBankAccount(
            bank_account_id=bank_account_id,
            customer_id=customer_id,
            holder=holder.strip(),
            bank=bank.strip(),
            currency=currency,
            account_sealed=protected.sealed,
            account_index=protected.index,
            tail=protected.tail,
            added_at=now,
        )
    )
    await session.flush()
    await _record(session, "customers.bank_account_added", customer_id, {"bank_account": bank_account_id}, actor=actor, now=now)
    return bank_account_id


async def remove_bank_account(session: AsyncSession, *, bank_account_id: UUID, actor: Actor, now: datetime) -> None:
    """Take a bank account out of use.

    :raises BankAccountNotFound: if there is no such account
    """
    account = await _get_bank_account(session, bank_account_id)
    account.removed_at = now
    await session.flush()
    customer_id = CustomerId(account.customer_id)
    await _record(session, "customers.bank_account_removed", customer_id, {"bank_account": bank_account_id}, actor=actor, now=now)


async def reveal_bank_account(session: AsyncSession, *, bank_account_id: UUID, reason: str, actor: Actor, now: datetime) -> str:
    """Return an account number in clear, for a payment; the view is on the trail.

    :raises BankAccountNotFound: if there is no such account
    """
    account = await _get_bank_account(session, bank_account_id)
    facts = {"bank_account": bank_account_id, "reason": reason}
    await _record(session, "customers.bank_account_viewed", CustomerId(account.customer_id), facts, actor=actor, now=now)
    return open_bank_account(account.account_sealed, bank_account_id=bank_account_id)


async def _get_bank_account(session: AsyncSession, bank_account_id: UUID) -> CustomerBankAccount:
    found = await session.scalar(
        locked(
            select(CustomerBankAccount).where(
                CustomerBankAccount.bank_account_id == bank_account_id, CustomerBankAccount.removed_at.is_(None)
            )
        )
    )
    if found is None:
        raise BankAccountNotFound
    return found


async def _record(
    session: AsyncSession, action: str, customer_id: CustomerId, facts: Mapping[str, object], *, actor: Actor, now: datetime
) -> None:
    await record(session, actor=actor, action=action, subject=("customer", customer_id), facts=facts, now=now)
