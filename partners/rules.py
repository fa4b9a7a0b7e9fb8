"""What an agreement says, and which version holds on a day: pure, plain values in and out.

Shares are parts of ten thousand, money minor units of the partner's currency, days days of the partner's calendar.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import msgspec

WHOLE: Final = 10_000
"""All of it, in parts of ten thousand."""
Code = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,47}$")]
Share = Annotated[int, msgspec.Meta(ge=0, le=WHOLE)]
Amount = Annotated[int, msgspec.Meta(gt=0, le=10**12)]
Few = Annotated[int, msgspec.Meta(gt=0, le=10**6)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Words = Annotated[str, msgspec.Meta(max_length=2_000)]


class BenefitKind(StrEnum):
    """What a partner's customers, or the issuer's, get."""

    DISCOUNT = "discount"
    """Off the partner's own price, for a card holder."""
    VOUCHER = "voucher"
    """Issued with a card, a top-up, a tier, a birthday; redeemed at the partner."""
    POINTS = "points"
    """Earned by what is bought at the partner."""
    POINTS_SPENT = "points_spent"
    """The issuer's points pay at the partner."""
    JOINT = "joint"
    """A promotion that several bear."""
    INSURANCE = "insurance"
    """A cover with its validity; sold or given, never without a receipt."""
    SERVICE = "service"
    """Free, so many a month, bound to a plate."""
    MEMBERSHIP = "membership"
    """The partner's own."""


class Mode(StrEnum):
    """How a partner is settled with."""

    POST_PAID = "post_paid"
    PRE_PAID = "pre_paid"
    """Out of a block that was paid in advance."""


class Funder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who bears a benefit: `issuer`, `partner`, `brand:NAME`; its parts of ten thousand."""

    code: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._:-]{0,63}$")]
    share: Annotated[int, msgspec.Meta(gt=0, le=WHOLE)]


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One price of an insurance-like product: what it costs and how many months it is good (domain notes: ¥100 one year, ¥300 five)."""

    premium_minor: Amount
    months: Annotated[int, msgspec.Meta(gt=0, le=600)]


class Benefit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One benefit of an agreement."""

    code: Code
    kind: BenefitKind
    name_zh: Name
    name_en: Name
    funders: list[Funder]
    commission: Share | None = None
    """Of the partner's sale, for the issuer; None: the agreement's."""
    share: Share | None = None
    """A discount's size."""
    amount_minor: Amount | None = None
    """A voucher's worth, or a fixed discount."""
    voucher_kind: str | None = None
    """The kind of voucher that is redeemed for it."""
    limit_total: Few | None = None
    """How many in all ("500 policies")."""
    limit_each_month: Few | None = None
    plate_bound: bool = False
    cover_minor: Amount | None = None
    """Up to what an insurance pays."""
    bands: list[Band] = []
    purpose: str | None = None
    """The consent without which nobody's data goes to the partner."""
    terms_zh: Words = ""
    terms_en: Words = ""


class Settlement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How accounts are settled: statement → partner's invoice → payment."""

    mode: Mode = Mode.POST_PAID
    statement_day: Annotated[int, msgspec.Meta(ge=1, le=28)] = 1
    """The day of the month on which the month before is stated."""
    pay_within_days: Annotated[int, msgspec.Meta(ge=0, le=180)] = 30
    """Working days from the partner's invoice."""
    low_minor: Amount | None = None
    """Of a block paid in advance: below this the partner is told."""


class LossBy(StrEnum):
    """Who bears what was used twice while nobody could be asked."""

    ISSUER = "issuer"
    """Within an outlet's budget; beyond it always the partner."""
    PARTNER = "partner"


class Offline(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an outlet may honour while the network is gone; what is not agreed is redeemed online only."""

    worth_minor: Amount
    """A voucher that is worth more is honoured online only."""
    amount_minor: Amount
    """What an outlet may honour between two syncs."""
    uses: Annotated[int, msgspec.Meta(ge=1, le=500)] = 20
    """And how many."""
    list_hours: Annotated[int, msgspec.Meta(ge=1, le=24)] = 12
    """How old the list of what is used up may be: after that the page honours nothing offline."""
    token_hours: Annotated[int, msgspec.Meta(ge=1, le=72)] = 72
    """How long a code of the holder's page is good."""
    loss_by: LossBy = LossBy.ISSUER


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is agreed."""

    benefits: list[Benefit]
    commission: Share = 0
    """Of the partner's sales to card holders, for the issuer (domain notes: 40 %)."""
    settlement: Settlement = Settlement()
    cap_month_minor: Amount | None = None
    """What all benefits of a month may cost the issuer; None: nothing stops them."""
    offline: Offline | None = None
    """None: nothing is redeemed while the network is gone."""
    note: Words = ""


class Fault(NamedTuple):
    """What is wrong with terms: which benefit (None: the agreement's own), which field, in both languages."""

    benefit: str | None
    field: str
    zh: str
    en: str


_NEEDS: Final = {
    BenefitKind.DISCOUNT: ("share", "amount_minor"),
    BenefitKind.VOUCHER: ("voucher_kind",),
    BenefitKind.INSURANCE: ("bands",),
    BenefitKind.SERVICE: ("limit_each_month",),
}
"""What a kind cannot be without: one of these."""
_DATA_GOES: Final = frozenset({BenefitKind.INSURANCE, BenefitKind.MEMBERSHIP})
"""What cannot be given without the partner knowing whom."""


def faults_of(terms: Terms) -> list[Fault]:
    """Say what keeps terms from being agreed; nothing: they may be."""
    found = []
    if not terms.benefits and not terms.commission:
        found.append(Fault(None, "benefits", "协议没有权益也没有佣金", "it has neither a benefit nor a commission"))
    codes = [one.code for one in terms.benefits]
    twice = sorted({code for code in codes if codes.count(code) > 1})
    found += [Fault(code, "code", "权益代码重复", "its code stands twice") for code in twice]
    if terms.settlement.mode is Mode.POST_PAID and terms.settlement.low_minor is not None:
        found.append(Fault(None, "low_minor", "后付结算没有预付余额", "what is paid afterwards has no block that could run low"))
    if terms.offline is not None and terms.offline.amount_minor < terms.offline.worth_minor:
        found.append(Fault(None, "offline_amount", "离线额度低于单张上限", "an outlet's budget is less than one voucher"))
    if terms.offline is not None and terms.settlement.mode is Mode.PRE_PAID:
        found.append(Fault(None, "offline_worth", "预付结算不能离线核销", "what is paid in advance is not redeemed without a network"))
    for one in terms.benefits:
        found += _faults_of(one)
    return found


def _faults_of(one: Benefit) -> Iterable[Fault]:
    if sum(funder.share for funder in one.funders) != WHOLE:
        yield Fault(one.code, "funders", "承担方份额合计不是 100%", "its funders' shares do not come to the whole")
    if len({funder.code for funder in one.funders}) < len(one.funders):
        yield Fault(one.code, "funders", "承担方重复", "a funder stands twice")
    needs = _NEEDS.get(one.kind, ())
    if needs and not any(getattr(one, name) for name in needs):
        yield Fault(one.code, needs[0], "缺少该类权益必需的内容", "what such a benefit cannot be without is missing")
    if one.share is not None and one.amount_minor is not None:
        yield Fault(one.code, "share", "比例和金额只能填一项", "a share or an amount, not both")
    if one.kind in _DATA_GOES and not one.purpose:
        yield Fault(one.code, "purpose", "需要客户单独同意的用途", "it needs the purpose to which customers consent")
    months = [band.months for band in one.bands]
    if len(set(months)) < len(months):
        yield Fault(one.code, "bands", "同一期限有两个价格", "one validity has two prices")


class Standing(NamedTuple):
    """An approved version and its days `[first, end)`; None: until it is replaced."""

    agreement_id: UUID
    version: int
    first: date
    end: date | None


def holds_on(standing: Sequence[Standing], day: date) -> Standing | None:
    """Return the version that holds on a day: of those that have begun the latest to begin, if it has not ended.

    A later version takes the earlier one's place from its first day on; where it ends nothing holds, the earlier does not come back.
    """
    begun = [one for one in standing if one.first <= day]
    if not begun:
        return None
    last = max(begun, key=lambda one: (one.first, one.version))
    return last if last.end is None or day < last.end else None


def next_after(standing: Sequence[Standing], day: date) -> Standing | None:
    """Return the version that takes over next after a day; None: none is agreed yet."""
    coming = [one for one in standing if one.first > day]
    # Of two that begin together the later version holds, as `holds_on` says.
    return min(coming, key=lambda one: (one.first, -one.version)) if coming else None


def split(amount_minor: int, funders: Sequence[Funder]) -> dict[str, int]:
    """Split an amount among its funders by their shares; what rounding leaves goes to the largest share, of equals to the first.

    The parts come to the amount exactly (domain notes: cents go to the largest share).
    """
    parts = {one.code: amount_minor * one.share // WHOLE for one in funders}
    largest = max(funders, key=lambda one: one.share).code
    parts[largest] += amount_minor - sum(parts.values())
    return parts
