"""One customer, one identity: merging records and undoing it. Purses are never merged."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.operations import Actor, record
from loyalty.customers.model import CUSTOMER_MOVES, Customer, CustomerMerge, CustomerStatus, MergeBasis, SuggestionStatus
from loyalty.customers.queries.family import CustomerNotFound
from loyalty.db import locked
from loyalty.errors import NotFound, Refusal
from loyalty.ids import CustomerId, uuid7

from .suggestions import decide_pair


class MergeNotFound(NotFound):
    """Unknown."""

    zh = "没有此合并记录。"
    en = "There is no such merge."


class CannotMergeWithItself(Refusal):
    """One record was given twice."""

    status = 422
    zh = "不能将客户与自身合并。"
    en = "A customer cannot be merged with itself."
    next_zh = "请选择两个不同的客户。"
    next_en = "Choose two different customers."


class KindsDiffer(Refusal):
    """A person is no organisation."""

    status = 422
    zh = "个人与单位不能合并。"
    en = "A person and an organisation cannot be merged."
    next_zh = "请核对所选客户。"
    next_en = "Check the two records."


class NotBothActive(Refusal):
    """Merged and closed records take no part."""

    zh = "只有在用客户可以合并；其中一个为 {status}。"
    en = "Only active customers can be merged; one of these is {status}."
    next_zh = "请打开合并后的客户，或先恢复已关闭的客户。"
    next_en = "Open the one it was merged into, or reopen the closed one first."


class MergeAlreadyUndone(Refusal):
    """It was undone before."""

    zh = "该合并已撤销。"
    en = "This merge was undone before."
    next_zh = "请刷新客户页面。"
    next_en = "Reload the customer."


class Moved(msgspec.Struct, frozen=True):
    """A reference that a room above moved along with a merge; given back by the undoing, to be moved back."""

    table: str
    column: str
    row_id: str


async def merge_customers(
    session: AsyncSession,
    *,
    kept_id: CustomerId,
    merged_id: CustomerId,
    reason: str,
    actor: Actor,
    now: datetime,
    basis: MergeBasis = MergeBasis.DECISION,
    moved: Sequence[Moved] = (),
) -> CustomerMerge:
    """Let one record stand for both. Nothing of either is moved or lost here; reads go by the family.

    :raises CannotMergeWithItself: if the two are one
    :raises CustomerNotFound: if one of them does not exist
    :raises NotBothActive: if one is merged or closed
    :raises KindsDiffer: if one is a person and the other an organisation
    """
    if kept_id == merged_id:
        raise CannotMergeWithItself
    both = await lock_customers(session, kept_id, merged_id)
    kept, merged = both[kept_id], both[merged_id]
    for each in (kept, merged):
        if each.status is not CustomerStatus.ACTIVE:
            raise NotBothActive(status=each.status)
    if kept.kind is not merged.kind:
        raise KindsDiffer
    assert CustomerStatus.MERGED in CUSTOMER_MOVES[merged.status], "an active customer can be merged"
    merged.status, merged.merged_into = CustomerStatus.MERGED, kept_id
    merge = CustomerMerge(
        merge_id=uuid7(now),
        kept_id=kept_id,
        merged_id=merged_id,
        basis=basis,
        moved=[msgspec.to_builtins(each) for each in moved],
        merged_at=now,
        merged_by=actor.staff_id,
        reason=reason,
    )
    session.add(merge)
    await session.flush()
    await decide_pair(session, one=kept_id, other=merged_id, to=SuggestionStatus.MERGED, actor=actor, now=now)
    await record(
        session,
        actor=actor,
        action="customers.merged",
        subject=("customer", kept_id),
        facts={"merge": merge.merge_id, "merged": merged_id, "basis": basis, "reason": reason},
        now=now,
    )
    return merge


async def undo_merge(session: AsyncSession, *, merge_id: UUID, reason: str, actor: Actor, now: datetime) -> list[Moved]:
    """Make two customers of one again, and return what rooms above have to move back.

    What was written to the kept record meanwhile stays there. Undone by a person, so the pair is not suggested again.

    :raises MergeNotFound: if there is no such merge
    :raises MergeAlreadyUndone: if it was undone before
    """
    merge = await session.scalar(locked(select(CustomerMerge).where(CustomerMerge.merge_id == merge_id)))
    if merge is None:
        raise MergeNotFound
    if merge.undone_at is not None:
        raise MergeAlreadyUndone
    merged = (await lock_customers(session, merge.kept_id, merge.merged_id))[merge.merged_id]
    assert merged.merged_into == merge.kept_id, "a standing merge is what its record says"
    merged.status, merged.merged_into = CustomerStatus.ACTIVE, None
    merge.undone_at, merge.undone_by = now, actor.staff_id
    await session.flush()
    await decide_pair(session, one=merge.kept_id, other=merge.merged_id, to=SuggestionStatus.DISMISSED, actor=actor, now=now)
    await record(
        session,
        actor=actor,
        action="customers.merge_undone",
        subject=("customer", merge.kept_id),
        facts={"merge": merge_id, "merged": merge.merged_id, "reason": reason},
        now=now,
    )
    return [msgspec.convert(each, Moved) for each in merge.moved]


async def lock_customers(session: AsyncSession, *customer_ids: UUID) -> dict[UUID, Customer]:
    """Lock and return records in id order, so that two merges of one pair cannot wait for each other.

    :raises CustomerNotFound: if one of them does not exist
    """
    found = await session.scalars(locked(select(Customer).where(Customer.customer_id.in_(customer_ids)).order_by(Customer.customer_id)))
    both = {each.customer_id: each for each in found}
    if len(both) != len(customer_ids):
        raise CustomerNotFound
    return both
