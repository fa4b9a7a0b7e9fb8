"""A rulebook goes live: rule revisions, budgets, funders' accounts, and the counter that makes every worker load it."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import revisions
from loyalty.db import locked
from loyalty.ledger.model import HouseCode
from loyalty.ledger.operations import ensure_house
from loyalty.pricing.document import Document, Group, Rule
from loyalty.pricing.model import BookStatus, Rulebook, RulebookEvent
from loyalty.pricing.queries.books import RulebookNotFound
from loyalty.pricing.queries.live import document_of, latest_document

from .budgets import put_budgets


async def activate(session: AsyncSession, *, number: int, activates_at: datetime, now: datetime) -> Document:
    """Let a rulebook that was approved go live at its time; return its document with the rules' revisions.

    Who approves, and how far ahead, is decided before. A rule's revision is the number of the book in which it last changed.

    :raises RulebookNotFound: if there is none
    :raises BudgetBelowUse: if a budget would be smaller than what is used of it
    """
    row = (await session.scalars(locked(select(Rulebook).where(Rulebook.number == number)))).one_or_none()
    if row is None:
        raise RulebookNotFound(number=number)
    before = {rule.code: rule for rule in (await latest_document(session))[1].rules}
    document = document_of(row)
    rules = tuple(_revised(rule, before.get(rule.code), number) for rule in document.rules)
    document = msgspec.structs.replace(document, rules=rules)
    row.document = msgspec.to_builtins(document)
    row.status = BookStatus.APPROVED
    row.activates_at = activates_at
    row.changed_at = now
    await session.flush()
    await put_budgets(session, budgets=document.budgets, currency=document.currency, now=now)
    for funder, currency in sorted({(funder.funder, rule.currency or document.currency) for rule in rules for funder in rule.funders}):
        if funder != "station":
            await ensure_house(session, code=HouseCode.DISCOUNT, currency=currency, reference=funder, now=now)
    await revisions.bump(session, revisions.Kind.RULE)
    return document


def _revised(rule: Rule, before: Rule | None, number: int) -> Rule:
    same = before is not None and msgspec.structs.replace(rule, revision=before.revision) == before
    return before if same and before is not None else msgspec.structs.replace(rule, revision=number)


async def publish(
    session: AsyncSession,
    *,
    document: Document,
    note: str,
    now: datetime,
    activates_at: datetime | None = None,
    made_by: UUID | None = None,
) -> int:
    """Put a rulebook live without a draft: a demo, a migration, a measurement. People draft, submit and approve.

    :raises BudgetBelowUse: if a budget would be smaller than what is used of it
    """
    number = (
        await session.execute(
            insert(Rulebook)
            .values(
                status=BookStatus.DRAFT,
                note=note,
                document=msgspec.to_builtins(document),
                version=1,
                made_by=made_by,
                made_at=now,
                changed_at=now,
            )
            .returning(Rulebook.number)
        )
    ).scalar_one()
    await activate(session, number=number, activates_at=activates_at or now, now=now)
    session.add(RulebookEvent(number=number, moved_to=BookStatus.APPROVED, happened_at=now, staff_id=made_by, note=note, facts={}))
    await session.flush()
    return number


async def publish_rule(
    session: AsyncSession, *, rule: Rule, now: datetime, group: Group | None = None, activates_at: datetime | None = None
) -> int:
    """Put one rule into the book that is live, or will be last, in place of the one with its code."""
    document = (await latest_document(session))[1]
    rules = (*(one for one in document.rules if one.code != rule.code), rule)
    groups = document.groups
    if group is not None:
        groups = (*(one for one in groups if one.code != group.code), group)
    changed = msgspec.structs.replace(document, rules=rules, groups=groups)
    return await publish(session, document=changed, note=rule.name_en, now=now, activates_at=activates_at)
