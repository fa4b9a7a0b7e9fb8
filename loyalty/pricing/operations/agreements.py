"""A company's agreement: drafted, approved by somebody else, ended; compiled into what the pump reads, in the same transaction."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import revisions
from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.customers.queries import get_customer
from loyalty.db import locked
from loyalty.errors import NotFound, Refusal
from loyalty.ids import uuid7
from loyalty.ledger.model import HouseCode
from loyalty.ledger.operations import ensure_house
from loyalty.money import minor_digits
from loyalty.pricing.agreements import Line, Term
from loyalty.pricing.model import AGREEMENT_MOVES, Agreement, AgreementStatus
from loyalty.stations.model import Product, ProductCategory, Station

CODE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")
_FUNDER: Final = re.compile(r"[a-z0-9][a-z0-9._:-]{0,63}")
_NAME_MAX: Final = 80
_LINES_MAX: Final = 200
_VALUE_MAX: Final = 10**9


class AgreementNotFound(NotFound):
    zh = "没有找到该协议。"
    en = "There is no such agreement."


class AgreementCannotMove(Refusal):
    """Its present status does not lead there."""

    zh = "协议当前状态为 {status}，不能变为 {to}。"
    en = "The agreement is {status}; it cannot become {to}."
    next_zh = "请刷新后核对最新状态。"
    next_en = "Look at its present status first."


class AgreementNotSound(Refusal):
    """It says nothing, or something that cannot be."""

    status = 422
    zh = "协议的 {field} 不正确。"
    en = "The {field} of the agreement is not right."
    next_zh = "请改正后再提交。"
    next_en = "Correct it and submit again."


class AgreementNotADraft(Refusal):
    """What was approved or has ended never changes."""

    zh = "协议已不是草稿，不能修改。"
    en = "The agreement is no draft any more; it cannot be changed."
    next_zh = "请起草它的下一版。"
    next_en = "Draft its next revision."


class AgreementMovedOn(Refusal):
    """Somebody drafted the next revision meanwhile, or this request came before."""

    zh = "协议 {code} 现为第 {revision} 版。"
    en = "Agreement {code} is at revision {revision} now."
    next_zh = "请核对最新一版后再起草。"
    next_en = "Look at that one before drafting the next."


class AgreementNeedsAnother(Refusal):
    """Whoever drafted it does not approve it."""

    status = 403
    zh = "协议须由另一人审批。"
    en = "An agreement is approved by somebody other than its maker."
    next_zh = "请由有权审批的其他人员办理。"
    next_en = "Let another person with that right approve it."


class NewAgreement(NamedTuple):
    """What is agreed. `funder` bears a price below the pump's, and has the surcharge above it."""

    code: str
    customer_id: UUID
    name_zh: str
    name_en: str
    currency: str
    lowest_wins: bool
    funder: str
    lines: Sequence[Line]
    starts_at: datetime
    ends_at: datetime | None = None


async def draft_agreement(session: AsyncSession, *, agreement: NewAgreement, after: int | None = None, actor: Actor, now: datetime) -> UUID:
    """Draft an agreement, the next revision of its code; nothing is priced by it before it is approved.

    `after` is the revision that the maker knows as the latest, 0 for a code that is new: so a request that comes twice counts once.

    :raises AgreementNotSound: if it has no line, names one goods twice, ends before it begins, or names what is not there
    :raises AgreementMovedOn: if another revision is the latest, or is drafted at this instant
    :raises CustomerNotFound: if there is no such customer
    """
    await _sound(session, agreement)
    latest = await session.scalar(select(func.max(Agreement.revision)).where(Agreement.code == agreement.code)) or 0
    if after is not None and after != latest:
        raise AgreementMovedOn(code=agreement.code, revision=latest)
    agreement_id = uuid7(now)
    values = _values(agreement) | {"made_by": actor.staff_id, "made_at": now}
    # Who drafts the same code at this instant is waited for here, and then found to have been first.
    made = await session.scalar(
        insert(Agreement)
        .values(agreement_id=agreement_id, code=agreement.code, revision=latest + 1, status=AgreementStatus.DRAFT, **values)
        .on_conflict_do_nothing(index_elements=["code", "revision"])
        .returning(Agreement.agreement_id)
    )
    if made is None:
        raise AgreementMovedOn(code=agreement.code, revision=latest + 1)
    await _record(session, agreement_id, "pricing.agreement_drafted", actor, now, code=agreement.code)
    return agreement_id


async def change_agreement(session: AsyncSession, *, agreement_id: UUID, agreement: NewAgreement, actor: Actor, now: datetime) -> None:
    """Change a draft. Whoever changed it last is its maker: somebody else approves it.

    :raises AgreementNotFound: if there is none
    :raises AgreementNotADraft: if it is approved or has ended
    :raises AgreementNotSound: as `draft_agreement`, and if its code or company would be another
    """
    row = (await session.scalars(locked(select(Agreement).where(Agreement.agreement_id == agreement_id)))).one_or_none()
    if row is None:
        raise AgreementNotFound(agreement=agreement_id)
    if row.status is not AgreementStatus.DRAFT:
        raise AgreementNotADraft
    if agreement.code != row.code:
        raise AgreementNotSound(field="code")
    await _sound(session, agreement)
    for name, value in (_values(agreement) | {"made_by": actor.staff_id, "made_at": now}).items():
        setattr(row, name, value)
    await session.flush()
    await _record(session, agreement_id, "pricing.agreement_changed", actor, now, code=row.code)


def _values(agreement: NewAgreement) -> dict[str, Any]:
    """Return what a draft keeps of what was asked; its code and revision are its own."""
    kept = agreement._asdict() | {"lines": [msgspec.to_builtins(line) for line in agreement.lines]}
    del kept["code"]
    return kept


async def _sound(session: AsyncSession, agreement: NewAgreement) -> None:
    texts = {
        "code": CODE.fullmatch(agreement.code),
        "funder": _FUNDER.fullmatch(agreement.funder),
        "name_zh": 0 < len(agreement.name_zh) <= _NAME_MAX,
        "name_en": 0 < len(agreement.name_en) <= _NAME_MAX,
        "ends_at": agreement.ends_at is None or agreement.ends_at > agreement.starts_at,
        "currency": _is_currency(agreement.currency),
        "lines": await _lines_are_sound(session, agreement.lines),
    }
    for field, is_right in texts.items():
        if not is_right:
            raise AgreementNotSound(field=field)
    await get_customer(session, customer_id=agreement.customer_id)
    # A code is one company's for ever: approving a revision ends the one before it.
    others = select(Agreement.agreement_id).where(Agreement.code == agreement.code, Agreement.customer_id != agreement.customer_id)
    if await session.scalar(others.limit(1)) is not None:
        raise AgreementNotSound(field="code")


def _is_currency(currency: str) -> bool:
    try:
        return minor_digits(currency) >= 0 and len(currency) == 3
    except KeyError:
        return False


async def _lines_are_sound(session: AsyncSession, lines: Sequence[Line]) -> bool:
    """Say whether each names other goods, with a value, and only fuels and stations that there are."""
    places = {(line.product, line.station) for line in lines}
    if not 0 < len(lines) <= _LINES_MAX or len(places) < len(lines) or any(not 0 < line.value_e4 <= _VALUE_MAX for line in lines):
        return False
    products, stations = {line.product for line in lines} - {None}, {line.station for line in lines} - {None}
    fuels = select(func.count()).where(Product.code.in_(products), Product.category == ProductCategory.FUEL)
    known = select(func.count()).where(Station.station_id.in_(stations))
    return await session.scalar(fuels) == len(products) and await session.scalar(known) == len(stations)


async def approve_agreement(session: AsyncSession, *, agreement_id: UUID, actor: Actor, now: datetime) -> None:
    """Let an agreement stand from its beginning on; the one of the same code that stood before ends there.

    :raises AgreementNotFound: if there is none
    :raises AgreementCannotMove: if it is no draft
    :raises AgreementNeedsAnother: if its maker approves it
    """
    row = await _movable(session, agreement_id, AgreementStatus.APPROVED)
    if row.made_by is not None and row.made_by == actor.staff_id:
        raise AgreementNeedsAnother
    row.status = AgreementStatus.APPROVED
    row.approved_by, row.approved_at = actor.staff_id, now
    before = await session.scalars(
        locked(
            select(Agreement).where(
                Agreement.code == row.code, Agreement.status == AgreementStatus.APPROVED, Agreement.agreement_id != agreement_id
            )
        )
    )
    for earlier in before:
        if earlier.starts_at >= row.starts_at:
            earlier.status = AgreementStatus.ENDED
        elif earlier.ends_at is None or earlier.ends_at > row.starts_at:
            earlier.ends_at = row.starts_at
    await session.flush()
    for code in (HouseCode.DISCOUNT, HouseCode.SURCHARGE):
        await ensure_house(session, code=code, currency=row.currency, reference=row.funder, now=now)
    await _compile(session, row.customer_id, now)
    await _record(session, agreement_id, "pricing.agreement_approved", actor, now, code=row.code)


async def end_agreement(session: AsyncSession, *, agreement_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Take an agreement back, or give a draft up; what was sold under it stays.

    :raises AgreementNotFound: if there is none
    :raises AgreementCannotMove: if it has ended
    """
    row = await _movable(session, agreement_id, AgreementStatus.ENDED)
    row.status = AgreementStatus.ENDED
    await session.flush()
    await _compile(session, row.customer_id, now)
    await _record(session, agreement_id, "pricing.agreement_ended", actor, now, code=row.code, reason=reason)


async def _movable(session: AsyncSession, agreement_id: UUID, to: AgreementStatus) -> Agreement:
    row = (await session.scalars(locked(select(Agreement).where(Agreement.agreement_id == agreement_id)))).one_or_none()
    if row is None:
        raise AgreementNotFound(agreement=agreement_id)
    if to not in AGREEMENT_MOVES[row.status]:
        raise AgreementCannotMove(status=row.status.value, to=to.value)
    return row


_COMPILE = text(
    """
    WITH RECURSIVE family AS (
        SELECT CAST(:customer AS uuid) AS customer_id
        UNION ALL
        SELECT c.customer_id FROM family f JOIN customers c ON c.merged_into = f.customer_id
    )
    INSERT INTO standings AS s (customer_id, agreement, changed_at)
    SELECT customer_id, CAST(:terms AS jsonb), :now FROM family ORDER BY customer_id
    ON CONFLICT (customer_id) DO UPDATE SET agreement = excluded.agreement, changed_at = excluded.changed_at
    """
)


async def _compile(session: AsyncSession, customer_id: UUID, now: datetime) -> None:
    """Write what the pump reads: a customer's approved agreements that run, or will; for the record and all merged into it."""
    rows = await session.scalars(
        select(Agreement)
        .where(
            Agreement.customer_id == customer_id,
            Agreement.status == AgreementStatus.APPROVED,
            Agreement.ends_at.is_(None) | (Agreement.ends_at > now),
        )
        .order_by(Agreement.starts_at, Agreement.code)
    )
    terms = [
        Term(
            code=row.code,
            revision=row.revision,
            name_zh=row.name_zh,
            name_en=row.name_en,
            currency=row.currency,
            lowest_wins=row.lowest_wins,
            funder=row.funder,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            lines=tuple(msgspec.convert(line, Line) for line in row.lines),
        )
        for row in rows
    ]
    document = msgspec.json.encode(terms).decode() if terms else None
    await session.execute(_COMPILE, {"customer": customer_id, "terms": document, "now": now})
    # Workers learn whether there are agreements at all with their next snapshot.
    await revisions.bump(session, revisions.Kind.RULE)


async def _record(session: AsyncSession, agreement_id: UUID, action: str, actor: Actor, now: datetime, **facts: str) -> None:
    await audit.record(session, actor=actor, action=action, subject=("agreement", agreement_id), facts=facts, now=now)
