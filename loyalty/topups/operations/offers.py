"""Asking the rules about a top-up: for a quote, or under the locks of what is about to be booked."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.model import CardProduct
from loyalty.cards.queries import get_card
from loyalty.errors import Refusal
from loyalty.ids import NOBODY
from loyalty.ledger.model import Account
from loyalty.ledger.queries import get_account, lock_purses, purses_of
from loyalty.money import minor_digits, shown
from loyalty.policy import Policy
from loyalty.pricing.basket import Moment, Person, Where
from loyalty.pricing.document import Channel
from loyalty.pricing.evaluating import Outcome, all_counts
from loyalty.pricing.operations.budgets import count, counters_of, free_of, gather, hold_counters, take
from loyalty.pricing.queries import channel_book, facts_of
from loyalty.stations.model import Station
from loyalty.stations.queries import get_station
from loyalty.topups.model import Tender, Topup
from loyalty.topups.offering import (
    SHARE,
    Asked,
    TopupQuote,
    basket_of,
    bonus_of,
    budgets_of,
    counter_keys,
    decide,
    detail_of,
    quoted,
    uses_of,
)
from loyalty.topups.rules import cap_room, require_amount

_LONGEST_WINDOW = timedelta(days=31)


class OfferChanged(Refusal):
    """What the customer was told to pay is not what the rules say now: a budget ran out, a window began, a rulebook went live."""

    zh = "优惠已变化：现应付 {pays}，此前告知 {told}。"
    en = "The offer has changed: {pays} is to be paid now, {told} was said before."
    next_zh = "请告知顾客新的金额，确认后重新提交。"
    next_en = "Tell the customer the new amount, and send it again once he agrees."


async def ask(
    session: AsyncSession,
    *,
    account: Account,
    card_id: UUID | None,
    station_id: UUID | None,
    tender: Tender,
    flyer: str | None,
    instant: datetime,
) -> Asked | None:
    """Return the rules for top-ups that were live at an instant, as this account meets them at this place; None where there are none."""
    book = await channel_book(session, instant=instant, channel=Channel.TOPUP)
    if book is None:
        return None
    where, zone = await _where(session, station_id=station_id, currency=account.currency)
    flyers = () if flyer is None else (flyer,)
    card = None if card_id is None else await get_card(session, card_id=card_id)
    product_id = account.card_product_id if card is None else card.product_id
    product = None if product_id is None else await session.get(CardProduct, product_id)
    plan = book.plan(where, "" if product is None else product.code, basket_of(0, tender, flyers), instant)
    if not plan.rules:
        return None
    person = Person(account.account_id, None if card is None else card.chain_id, None, account.kind.value)
    person = person._replace(**await facts_of(session, account_id=account.account_id, customer_id=account.customer_id))
    return Asked(book, plan, where, person, Moment(instant, instant.astimezone(ZoneInfo(zone))), tender, flyers)


async def _where(session: AsyncSession, *, station_id: UUID | None, currency: str) -> tuple[Where, str]:
    """Return the place and its zone. Money that the office takes is at no station: the first station's clock is the house's."""
    digits = minor_digits(currency)
    if station_id is not None:
        station = await get_station(session, station_id=station_id)
        return Where(station_id, station.district_id, station.region_id, currency, digits), station.zone
    zone = await session.scalar(select(Station.zone).order_by(Station.created_at, Station.station_id).limit(1))
    return Where(NOBODY, NOBODY, NOBODY, currency, digits), zone or "UTC"


async def _counted(session: AsyncSession, asked: Asked) -> Asked:
    """Return it with what the counters show now."""
    keys = counter_keys(asked)
    had = await counters_of(
        session,
        subject_ids=sorted({subject for subject, _, _ in keys}),
        counters=sorted({counter for _, counter, _ in keys}),
        since=asked.moment.local.date() - _LONGEST_WINDOW,
    )
    return asked._replace(person=asked.person._replace(had=had))


async def hold_for(session: AsyncSession, *, asked: Sequence[Asked]) -> Mapping[UUID, int]:
    """Lock what these top-ups are bounded by, counters and then budgets, each in the pump's order; return what is free of the budgets.

    Their purses are locked before.
    """
    await hold_counters(session, keys={key for one in asked for key in counter_keys(one)})
    return await gather(session, budget_ids=sorted({budget for one in asked for budget in budgets_of(one.plan)}), share=SHARE)


async def hold_all(session: AsyncSession, *, accounts: Mapping[UUID, Account], topups: Sequence[Topup], instant: datetime) -> None:
    """Lock what several top-ups of one transaction need, all purses before all counters before all budgets; accounts are locked."""
    for account_id in sorted(accounts):
        await lock_purses(session, account_id=account_id)
    found = [await ask_for(session, account=accounts[topup.account_id], topup=topup, instant=instant) for topup in topups]
    await hold_for(session, asked=[one for one in found if one is not None])


async def ask_for(session: AsyncSession, *, account: Account, topup: Topup, instant: datetime) -> Asked | None:
    """Return the rules as a top-up meets them."""
    return await ask(
        session,
        account=account,
        card_id=topup.card_id,
        station_id=topup.station_id,
        tender=topup.tender,
        flyer=topup.flyer,
        instant=instant,
    )


async def give(session: AsyncSession, *, account: Account, topup: Topup, instant: datetime) -> None:
    """Let the rules of an instant decide what a top-up earns, and put it into the row; its purses are locked, and it is not booked yet."""
    asked = await ask_for(session, account=account, topup=topup, instant=instant)
    if asked is None:
        return
    free = await hold_for(session, asked=[asked])
    asked = await _counted(session, asked)
    outcome = decide(asked, topup.amount_minor, free)
    topup.discount_minor = outcome.discount_minor
    topup.bonus_minor += bonus_of(outcome)
    topup.detail = detail_of(asked, outcome, topup.station_id, str(asked.moment.local.tzinfo))
    await _count(session, outcome)


async def _count(session: AsyncSession, outcome: Outcome) -> None:
    await count(session, counts=all_counts(outcome))
    await take(session, uses=uses_of(outcome))


def require_told(topup: Topup, *, pays_minor: int | None) -> None:
    """Hold that the customer pays what he was told, where the till says what that was.

    :raises OfferChanged: if it is another amount now
    """
    if pays_minor is not None and pays_minor != topup.paid_minor:
        raise OfferChanged(
            pays=shown(topup.paid_minor, topup.currency),
            pays_minor=topup.paid_minor,
            told=shown(pays_minor, topup.currency),
            told_minor=pays_minor,
        )


async def quote_topup(
    session: AsyncSession,
    *,
    policy: Policy,
    account_id: UUID,
    amount_minor: int,
    tender: Tender,
    now: datetime,
    card_id: UUID | None = None,
    station_id: UUID | None = None,
    flyer: str | None = None,
) -> TopupQuote:
    """Say what a top-up of so much would give here and now, why not more, and what is missing for the next bands within the card's cap.

    Nothing is written or held. What a bank transfer earns is decided anew when it is confirmed.

    :raises AccountNotFound: if there is no such account
    :raises AmountNotPositive: if there is nothing to load
    """
    require_amount(amount_minor)
    account = await get_account(session, account_id=account_id)
    asked = await ask(session, account=account, card_id=card_id, station_id=station_id, tender=tender, flyer=flyer, instant=now)
    if asked is None:
        return TopupQuote(
            amount_minor=amount_minor,
            pays_minor=amount_minor,
            currency=account.currency,
            at_confirmation=tender is Tender.BANK_TRANSFER,
        )
    asked = await _counted(session, asked)
    budgets = budgets_of(asked.plan)
    free: Mapping[UUID, int] = await free_of(session, budget_ids=budgets, share=SHARE) if budgets else {}
    rules = policy.for_currency(account.currency)
    purses = await purses_of(session, account_id=account_id)
    return quoted(asked, amount_minor, free, currency=account.currency, most_minor=cap_room(rules, account.kind, purses))


__all__ = ["OfferChanged", "ask", "ask_for", "give", "hold_all", "hold_for", "quote_topup", "require_told"]
