"""Who keeps which card. A keeping is a period, `[since, until)`: it is ended, never rewritten.

Where the company's setting says that kept cards are blocked, the pump is told in the same transaction which of them need a permit.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.cards.queries import CardNotFound
from loyalty.errors import Refusal
from loyalty.fleet.model import Company
from loyalty.fleet.model_custody import STANDING, CardCustody, CardLoan, LoanStatus
from loyalty.fleet.queries.bindings import among, cards_of_company
from loyalty.fleet.queries.companies import lock_company
from loyalty.identity.model_portal import PortalUser
from loyalty.identity.portal_rules import FLEET_PERMISSIONS, FleetPermission
from loyalty.limits import operations as limits

from .bindings import tell_new_cards

CHUNK: Final = 5_000
"""How many cards one statement changes."""


class KeeperCannotLend(Refusal):
    """Who keeps cards must be able to hand them out."""

    status = 422
    zh = "所选人员不能保管油卡。"
    en = "This person cannot keep cards."
    next_zh = "请选择可以登录、且岗位可借出油卡的人员。"
    next_en = "Choose somebody whose log-in is open and whose role may lend cards."


class CardsAreOut(Refusal):
    """A card that is lent or promised comes back to somebody."""

    status = 409
    zh = "{cards} 张卡已借出或已批准借出，不能取消保管。"
    en = "{cards} of these cards are lent or promised and must have a custodian."
    next_zh = "请先收回这些卡，或改为其他保管人。"
    next_en = "Take them back first, or give them to another custodian."


async def keep_cards(
    session: AsyncSession, *, company_id: UUID, chain_ids: Collection[UUID], keeper_id: UUID | None, actor: Actor, now: datetime
) -> int:
    """Let somebody keep these chains of cards from now on, None: nobody; return of how many that changed.

    :raises CompanyNotFound: if there is no such company
    :raises CardNotFound: if the company has no living card of one of the chains
    :raises KeeperCannotLend: if the person is none of the company's, closed, or of a role that may not lend
    :raises CardsAreOut: if nobody shall keep a card that is lent or promised
    """
    company = await lock_company(session, company_id=company_id)
    wanted = sorted(set(chain_ids))
    known = await cards_of_company(session, company_id=company_id, chain_ids=wanted)
    if missing := [chain_id for chain_id in wanted if chain_id not in known]:
        raise CardNotFound(card=missing[0])
    if keeper_id is not None:
        await _require_lender(session, company_id, keeper_id)
    mine = (CardCustody.company_id == company_id, CardCustody.until.is_(None))
    statement = select(CardCustody.chain_id, CardCustody.keeper_id).where(*mine, among(CardCustody.chain_id, wanted))
    standing = {chain_id: who for chain_id, who in await session.execute(statement)}  # noqa: C416 - a Row is no pair
    changed = [chain_id for chain_id in wanted if standing.get(chain_id) != keeper_id]
    if keeper_id is None:
        await _require_in(session, changed)
    for start in range(0, len(changed), CHUNK):
        chunk = changed[start : start + CHUNK]
        # What began at this very instant never was.
        await session.execute(delete(CardCustody).where(*mine, among(CardCustody.chain_id, chunk), CardCustody.since >= now))
        await session.execute(update(CardCustody).where(*mine, among(CardCustody.chain_id, chunk)).values(until=now))
        if keeper_id is not None:
            row = {"since": now, "company_id": company_id, "keeper_id": keeper_id}
            row |= {"set_by_kind": actor.kind.value, "set_by_id": str(actor.actor_id)}
            await session.execute(insert(CardCustody), [{"chain_id": chain_id, **row} for chain_id in chunk])
    if changed:
        await settle_permits(session, company=company, chain_ids=changed, actor=actor, now=now)
        # A list of thousands is one act; what each card's keeping was, its own rows say.
        subject = ("card_chain", changed[0]) if len(changed) == 1 else ("company", company_id)
        facts = {"keeper": keeper_id, "cards": len(changed)}
        await audit.record(session, actor=actor, action="fleet.cards_kept", subject=subject, facts=facts, now=now)
    return len(changed)


async def settle_permits(
    session: AsyncSession, *, company: Company, chain_ids: Sequence[UUID] | None = None, actor: Actor, now: datetime
) -> int:
    """Tell the pump which of a company's kept cards (or of these) need a permit: with the setting on, those in the cupboard and those
    that should have come back; return of how many that changed. Run twice, it is the same.
    """
    kept = select(CardCustody.chain_id).where(CardCustody.company_id == company.company_id, CardCustody.until.is_(None))
    if chain_ids is not None:
        kept = kept.where(among(CardCustody.chain_id, chain_ids))
    blocked: set[UUID] = set()
    if company.custody_blocks:
        travels = exists().where(CardLoan.chain_id == CardCustody.chain_id, CardLoan.status == LoanStatus.LENT, CardLoan.due_at > now)
        blocked = set(await session.scalars(kept.where(~travels)))
        # A card that was handed out this minute: the pump has to know it before it can be told what it needs.
        await tell_new_cards(session, actor=actor, now=now)
    concerned = list(chain_ids) if chain_ids is not None else list(await session.scalars(kept))
    wanted = {chain_id: chain_id in blocked for chain_id in sorted(concerned)}
    return await limits.ask_permits(session, company_id=company.company_id, chains=wanted, actor=actor, now=now)


async def _require_lender(session: AsyncSession, company_id: UUID, user_id: UUID) -> None:
    role = await session.scalar(
        select(PortalUser.role).where(PortalUser.company_id == company_id, PortalUser.user_id == user_id, PortalUser.disabled_at.is_(None))
    )
    if role is None or FleetPermission.LEND_CARDS not in FLEET_PERMISSIONS[role]:
        raise KeeperCannotLend(user=user_id)


async def _require_in(session: AsyncSession, chain_ids: Sequence[UUID]) -> None:
    out = select(func.count()).where(among(CardLoan.chain_id, chain_ids), CardLoan.status.in_(STANDING))
    if cards := await session.scalar(out):
        raise CardsAreOut(cards=cards)
