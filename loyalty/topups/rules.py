"""Decisions about money in and money back: plain values in, plain values out, or the refusal that names the rule.

Amounts are minor units of one currency. The figures come from a policy profile; nothing here knows one.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from loyalty.customers.rules import name_key
from loyalty.errors import Refusal
from loyalty.ledger.model import AccountKind, PurseKind, TransferKind
from loyalty.ledger.rules import PurseView
from loyalty.money import POINTS, round_half_up, shown
from loyalty.policy import CapScope, Policy, RefundSplit

from .model import Party, Tender


class OverCap(Refusal):
    """The balance after the load would pass the card's cap."""

    status = 422
    zh = "充值后余额将超过该卡上限 {cap}（依据 {rule}）。当前余额 {balance}，最多还可充 {room}。"
    en = "The balance after this load would pass the card's cap of {cap} ({rule}). It holds {balance}; at most {room} may be loaded."
    next_zh = "请减少充值金额，或分到客户名下的其他卡。"
    next_en = "Load less, or use another card of the customer's."


class TenderNotAllowed(Refusal):
    """From this amount on, or outside the premises, only a bank transfer is taken."""

    status = 422
    zh = "本次共 {total}，不能用该方式支付（依据 {rule}）：{why_zh}。"
    en = "{total} in all cannot be paid this way ({rule}): {why_en}."
    next_zh = "请改用银行转账，并登记付款与收款账户。"
    next_en = "Pay by bank transfer; the payer's and the payee's account are recorded."


class RealNameNeeded(Refusal):
    """The rule asks who buys, or who pays, and nobody has been named."""

    status = 422
    zh = "本次共 {total}，须登记{who_zh}的姓名（名称）、有效证件号码和联系方式（依据 {rule}）。"
    en = "{total} in all needs the {who_en}'s name, ID type and number, and contact on record ({rule})."
    next_zh = "请出示有效身份证件并登记后再办理。"
    next_en = "See a valid document, record it, and try again."


class AmountNotPositive(Refusal):
    """Money in is more than nothing."""

    status = 422
    zh = "金额必须大于 0。"
    en = "The amount must be above 0."
    next_zh = "请重新输入金额。"
    next_en = "Enter the amount again."


class SecondPersonNeeded(Refusal):
    """Two people stand behind it, and they are two."""

    status = 403
    zh = "金额 {amount} 须由另一人复核（依据 {rule}），经办与复核不能是同一人。"
    en = "{amount} needs a second person ({rule}); whoever asks cannot be the one who approves."
    next_zh = "请由站长或其他有权人员复核。"
    next_en = "Let the station manager, or another person entitled to it, approve."


class LoadNotRefundable(Refusal):
    """The profile does not take this load back."""

    status = 422
    zh = "该笔充值不能退回（依据 {rule}）：{why_zh}。"
    en = "This load cannot be taken back ({rule}): {why_en}."
    next_zh = "可按退卡办理，退回剩余本金。"
    next_en = "Closing the account gives back what principal is left."


class RefundTooLarge(Refusal):
    """More than what is left of the load."""

    status = 422
    zh = "最多可退 {room}，申请了 {wanted}。"
    en = "At most {room} can be taken back; {wanted} was asked for."
    next_zh = "请按可退金额办理。"
    next_en = "Ask for no more than that."


class BankRefundNeeded(Refusal):
    """Above the ceiling the money does not leave in cash."""

    status = 422
    zh = "退款 {refund} 超过现金上限 {ceiling}（依据 {rule}），只能退到本人名下的银行账户。"
    en = "{refund} is above the cash ceiling of {ceiling} ({rule}): it goes to a bank account in the owner's name only."
    next_zh = "请登记本人银行账户。"
    next_en = "Record the owner's bank account."


class PayeeIsNotTheOwner(Refusal):
    """The bank account is in another name."""

    status = 422
    zh = "银行账户户名与账户所有人不一致（依据 {rule}）。"
    en = "The bank account is not in the owner's name ({rule})."
    next_zh = "请提供本人名下的银行账户。"
    next_en = "Give an account in the owner's own name."


class Buying(NamedTuple):
    """What the thresholds look at: the whole of one purchase."""

    buyer: Party
    total_minor: int
    registered_minor: int
    """The share of cards that have an owner on record."""
    currency: str
    tender: Tender
    off_premises: bool


def party_of(kind: AccountKind) -> Party:
    """Say whether the account's owner is an organisation."""
    return Party.ORGANISATION if kind is AccountKind.COMPANY else Party.PERSON


def require_amount(amount_minor: int) -> None:
    """Refuse nothing and less.

    :raises AmountNotPositive: if it is not above 0
    """
    if amount_minor <= 0:
        raise AmountNotPositive(amount_minor=amount_minor)


def require_tender(policy: Policy, buying: Buying) -> None:
    """Hold the cash rule: an organisation from its threshold, a person from his, anybody off the premises, pays by transfer.

    :raises TenderNotAllowed: if this tender is not taken for it
    """
    rule = policy.no_cash
    if buying.tender.value in rule.tenders:
        return
    ground: tuple[str, str] | None = None
    if rule.off_premises and buying.off_premises:
        ground = ("非现场办理一律转账", "off the premises only a transfer is taken")
    limit = rule.organisation_from_minor if buying.buyer is Party.ORGANISATION else rule.person_from_minor
    if ground is None and limit is not None and buying.total_minor >= limit:
        amount = shown(limit, buying.currency)
        if buying.buyer is Party.ORGANISATION:
            ground = (f"单位一次性达到 {amount} 须转账", f"an organisation pays {amount} or more by transfer")
        else:
            ground = (f"个人一次性达到 {amount} 须转账", f"a person pays {amount} or more by transfer")
    if ground is not None:
        raise TenderNotAllowed(
            rule=rule.rule,
            total=shown(buying.total_minor, buying.currency),
            total_minor=buying.total_minor,
            threshold_minor=limit,
            tender=buying.tender.value,
            why_zh=ground[0],
            why_en=ground[1],
        )


def needs_real_name(policy: Policy, buying: Buying) -> bool:
    """Say whether buyer and agent are recorded: any registered card, or anonymous ones from the threshold on, judged together."""
    rule = policy.real_name
    if rule.registered_always and buying.registered_minor > 0:
        return True
    return rule.anonymous_from_minor is not None and buying.total_minor - buying.registered_minor >= rule.anonymous_from_minor


def real_name_needed(policy: Policy, buying: Buying, *, who: str) -> RealNameNeeded:
    """Return the refusal that asks for `who`: buyer, payer or agent."""
    words = {"buyer": ("购卡人", "buyer"), "payer": ("付款人", "payer"), "agent": ("代理人", "agent"), "claimant": ("退卡人", "claimant")}
    return RealNameNeeded(
        rule=policy.real_name.rule,
        total=shown(buying.total_minor, buying.currency),
        total_minor=buying.total_minor,
        who=who,
        who_zh=words[who][0],
        who_en=words[who][1],
    )


def cap_of(policy: Policy, kind: AccountKind, *, allocated: bool = False) -> int | None:
    """Return the largest balance after a load, None where there is none; `allocated`: money given to one sub-card of a company."""
    cap = policy.cap
    match kind:
        case AccountKind.ANONYMOUS:
            return cap.anonymous_minor
        case AccountKind.PERSONAL:
            return cap.registered_minor
        case AccountKind.COMPANY:
            scoped = CapScope.ALLOCATED if allocated else CapScope.ACCOUNT
            return cap.registered_minor if cap.company_scope is scoped else None
        case AccountKind.SUSPENSE:
            return None


def own_principal(purses: Iterable[PurseView]) -> PurseView:
    """Return the account's own principal purse: a company's pool, a person's money."""
    return next(purse for purse in purses if purse.kind == PurseKind.PRINCIPAL and purse.card_id is None)


def debt_of(purses: Iterable[PurseView]) -> int:
    """Return what the holder owes in money, ≥ 0; a points debt is none."""
    return -sum(purse.balance_minor for purse in purses if purse.kind == PurseKind.RECEIVABLE and purse.unit != POINTS)


def counted_balance(policy: Policy, purses: Sequence[PurseView]) -> int:
    """Return what an account holds that counts towards its cap."""
    bonus = sum(purse.balance_minor for purse in purses if purse.kind == PurseKind.BONUS) if policy.cap.counts_bonus else 0
    return own_principal(purses).balance_minor + bonus


def cap_room(policy: Policy, kind: AccountKind, purses: Sequence[PurseView]) -> int | None:
    """Return the most that may be loaded now, what it would pay off a receivable included and bonus left out; None without a cap."""
    cap = cap_of(policy, kind)
    return None if cap is None else max(cap - counted_balance(policy, purses), 0) + debt_of(purses)


def require_under_cap(
    policy: Policy,
    *,
    kind: AccountKind,
    currency: str,
    balance_minor: int,
    added_minor: int,
    bonus_minor: int = 0,
    allocated: bool = False,
) -> None:
    """Hold the cap: the balance after the load, what it pays off a receivable left out, is at most the cap.

    :param balance_minor: what the card holds that counts towards the cap, holds included
    :param bonus_minor: how much of what is added is bonus money, which is not loaded but comes with it
    :raises OverCap: if it would pass it; the facts say how much may still be loaded
    """
    cap = cap_of(policy, kind, allocated=allocated)
    if cap is None or balance_minor + added_minor <= cap:
        return
    # Less loaded brings no more bonus, so so much certainly fits.
    room = max(cap - balance_minor - bonus_minor, 0)
    raise OverCap(
        rule=policy.cap.rule,
        cap=shown(cap, currency),
        cap_minor=cap,
        balance=shown(balance_minor, currency),
        balance_minor=balance_minor,
        room=shown(room, currency),
        room_minor=room,
    )


def require_second_person(*, rule: str, from_minor: int | None, amount_minor: int, currency: str, first: UUID, second: UUID | None) -> None:
    """Hold the rule of four eyes from an amount on.

    :raises SecondPersonNeeded: if nobody else approved
    """
    if second == first or (second is None and from_minor is not None and amount_minor >= from_minor):
        raise SecondPersonNeeded(rule=rule, amount=shown(amount_minor, currency), amount_minor=amount_minor, threshold_minor=from_minor)


class LoadState(NamedTuple):
    """One booked load and what happened to its account since."""

    amount_minor: int
    bonus_minor: int
    returned_minor: int
    bonus_returned_minor: int
    principal_minor: int
    """The account's own principal that is free now."""
    bonus_left_minor: int
    """What its bonus lots hold now."""
    loaded_since_minor: int
    """Principal that later loads brought, net."""
    used_before: bool
    """Whether the account had bought anything before this load."""


def refundable_minor(policy: Policy, load: LoadState, *, booked_at: datetime, now: datetime, currency: str) -> int:
    """Return how much of the load the profile takes back now; loads are reckoned as consumed first in, first out.

    :raises LoadNotRefundable: if the profile takes nothing of it back
    """
    rule = policy.load_refund
    if rule.unused_within_days is None:
        raise LoadNotRefundable(rule=rule.rule, why_zh="发卡章程不设充值退回", why_en="the terms have no refund of loads")
    if now - booked_at > timedelta(days=rule.unused_within_days):
        days = rule.unused_within_days
        raise LoadNotRefundable(rule=rule.rule, days=days, why_zh=f"已超过 {days} 天", why_en=f"more than {days} days have passed")
    if rule.only_new_customers and load.used_before:
        raise LoadNotRefundable(
            rule=rule.rule, why_zh="客户此前已使用过本卡消费", why_en="the customer had used this service before he loaded"
        )
    unused = max(min(load.principal_minor - load.loaded_since_minor, load.amount_minor - load.returned_minor), 0)
    whole = load.amount_minor - load.returned_minor
    if not rule.partly_used and (unused < whole or load.bonus_left_minor < load.bonus_minor - load.bonus_returned_minor):
        raise LoadNotRefundable(
            rule=rule.rule,
            unused_minor=unused,
            why_zh=f"已部分使用，未用本金 {shown(unused, currency)}",
            why_en=f"it has been used in part; {shown(unused, currency)} of its principal is left",
        )
    return unused


class Movement(NamedTuple):
    """Transfers of one kind on one sort of purse since the balance was last zero, summed."""

    purse_kind: int
    kind: int
    credit: bool
    """Into the purse."""
    earlier: bool
    """Takes back a transfer from before the balance was last zero."""
    amount_minor: int


class Basis(NamedTuple):
    """What was paid in and what was given on top since the balance was last zero."""

    paid_minor: int
    given_minor: int


_BROUGHT = frozenset(
    {
        TransferKind.LOAD,
        TransferKind.BONUS,
        TransferKind.DISCOUNT,
        TransferKind.OPENING,
        TransferKind.ADJUSTMENT,
        TransferKind.ALLOCATION,
    }
)
_GIVEN = frozenset({TransferKind.DISCOUNT, TransferKind.BONUS_RETURN})
"""In principal too it is the funders' money: what a discount put in, and what goes back to them out of it."""
_TAKEN_BACK = frozenset(
    {
        TransferKind.ADJUSTMENT,
        TransferKind.ALLOCATION,
        TransferKind.VOID,
        TransferKind.REFUND,
        TransferKind.EXPIRY,
        TransferKind.BONUS_RETURN,
    }
)
_RESTORED = frozenset({TransferKind.VOID, TransferKind.REFUND})


def basis_of(movements: Iterable[Movement]) -> Basis:
    """Sum what was paid in and given; everything else was consumption.

    A sale taken back lessens consumption, so it counts only where the sale is older than the window: then its money was brought in anew.
    """
    paid = given = 0
    for move in movements:
        if move.credit and (move.kind in _BROUGHT or (move.kind in _RESTORED and move.earlier)):
            signed = move.amount_minor
        elif not move.credit and move.kind in _TAKEN_BACK:
            signed = -move.amount_minor
        else:
            continue
        if move.purse_kind == PurseKind.PRINCIPAL and move.kind not in _GIVEN:
            paid += signed
        else:
            given += signed
    return Basis(max(paid, 0), max(given, 0))


def closing_refund(split: RefundSplit, basis: Basis, *, principal_minor: int, bonus_minor: int) -> int:
    """Return what the customer gets for the balances left, debts already taken off; never more than was paid in.

    `pro_rata` (domain notes, closing a card): what was consumed is split paid : given. Load 1,000 + bonus 100, spend 100: 909.09.
    """
    left = principal_minor + bonus_minor
    total = basis.paid_minor + basis.given_minor
    match split:
        case RefundSplit.PRO_RATA:
            refund = round_half_up(left * basis.paid_minor, total) if total else 0
        case RefundSplit.PRINCIPAL_FIRST:
            refund = basis.paid_minor - max(total - left, 0)
        case RefundSplit.AS_SPENT:
            refund = principal_minor
    return max(min(refund, basis.paid_minor, left), 0)


class Closing(NamedTuple):
    """Every purse's last movement; amounts per purse, in the purses' order."""

    settled: tuple[tuple[UUID, UUID, int], ...]
    """Principal that pays a receivable: from which purse, to which."""
    refunded: tuple[tuple[UUID, int], ...]
    returned: tuple[tuple[UUID, int], ...]
    """Principal that goes back to the bonus's funder."""
    expired: tuple[tuple[UUID, int], ...]
    """Bonus that ends."""


class _Drain:
    """Purses that are emptied one after the other."""

    def __init__(self, purses: Iterable[PurseView]) -> None:
        self._left = {purse.purse_id: purse.balance_minor for purse in purses if purse.balance_minor > 0}

    def take(self, amount_minor: int | None = None) -> tuple[tuple[UUID, int], ...]:
        """Take so much, or all; from the first purses first."""
        taken: list[tuple[UUID, int]] = []
        for purse_id, left in self._left.items():
            given = left if amount_minor is None else min(left, amount_minor)
            if given > 0:
                taken.append((purse_id, given))
                self._left[purse_id] = left - given
                amount_minor = None if amount_minor is None else amount_minor - given
        return tuple(taken)


def plan_closing(purses: Iterable[PurseView], *, refund_minor: int, now: datetime) -> Closing:
    """Say which purse gives what: debts from principal, the refund from principal and then bonus, the rest back to the funder.

    Every purse ends at zero. `refund_minor` is at most what is left after the debts, and principal covers these.
    """
    money = [purse for purse in purses if purse.unit != POINTS]
    principal = _Drain(purse for purse in money if purse.kind == PurseKind.PRINCIPAL)
    bonus = [purse for purse in money if purse.kind == PurseKind.BONUS]
    living = _Drain(purse for purse in bonus if purse.expires_at is None or purse.expires_at > now)
    dead = _Drain(purse for purse in bonus if purse.expires_at is not None and purse.expires_at <= now)
    settled = tuple(
        (purse_id, debt.purse_id, amount)
        for debt in money
        if debt.kind == PurseKind.RECEIVABLE and debt.balance_minor < 0
        for purse_id, amount in principal.take(-debt.balance_minor)
    )
    from_principal = principal.take(refund_minor)
    rest = refund_minor - sum(amount for _, amount in from_principal)
    from_bonus = living.take(rest)
    return Closing(settled=settled, refunded=from_principal + from_bonus, returned=principal.take(), expired=living.take() + dead.take())


def require_payout(
    policy: Policy, *, in_cash: bool, refund_minor: int, currency: str, owner_name: str | None, payee_name: str | None
) -> None:
    """Hold the ceiling of cash, and the owner's name on the bank account.

    :raises BankRefundNeeded: if it is too much for cash
    :raises PayeeIsNotTheOwner: if the account is in another name
    """
    rule = policy.closure
    if in_cash:
        if rule.cash_refund_max_minor is not None and refund_minor > rule.cash_refund_max_minor:
            raise BankRefundNeeded(
                rule=rule.rule,
                refund=shown(refund_minor, currency),
                refund_minor=refund_minor,
                ceiling=shown(rule.cash_refund_max_minor, currency),
                ceiling_minor=rule.cash_refund_max_minor,
            )
        return
    if rule.owner_account and (owner_name is None or payee_name is None or name_key(owner_name) != name_key(payee_name)):
        raise PayeeIsNotTheOwner(rule=rule.rule)


def years_later(instant: datetime, years: int) -> datetime:
    """Return the same moment so many years later; 29 February becomes 1 March, so that a term is never short."""
    return months_later(instant, 12 * years)


def months_later(instant: datetime, months: int) -> datetime:
    """Return the same moment so many months later; a day the month lacks becomes the first of the next, so that a term is never short."""
    index = instant.year * 12 + instant.month - 1 + months
    year, month = divmod(index, 12)
    try:
        return instant.replace(year=year, month=month + 1)
    except ValueError:
        return (instant.replace(day=1, year=year, month=month + 1) + timedelta(days=31)).replace(day=1)
