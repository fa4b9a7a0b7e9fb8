"""The demo chain's rulebook: what an ordinary month offers, as marketing would write it. Pure: documents in, documents out."""

from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from loyalty.clock import day_bounds, local_date, month_start
from loyalty.ledger.spending import Spending
from loyalty.pricing.document import (
    Band,
    Birthday,
    Bonus,
    Budget,
    BudgetUnit,
    Campaign,
    Cap,
    Channel,
    Document,
    Fixed,
    Funder,
    Give,
    Group,
    Hours,
    Mode,
    Nth,
    Of,
    Per,
    Percent,
    PerUnit,
    Points,
    PointsTimes,
    Rule,
    When,
)

HEAD: Final = (Funder(funder="head-office"),)
HALVES: Final = (Funder(funder="head-office", parts=1), Funder(funder="station", parts=1))
FLYER: Final = "AUTUMN26"
"""The flyer that some of the customers brought when their card was issued."""
WASH, WELCOME, THERMOS, UMBRELLA = "free-wash", "welcome-20", "thermos", "umbrella"
"""Kinds of vouchers, and gifts."""
SILVER, GOLD, PLATINUM = "silver", "gold", "platinum"
THANKS_FROM: Final = 50_000
"""From this top-up on the thank-you month gives a gift."""
ROAD_CARDS: Final = ("personal", "anonymous")


class Months(NamedTuple):
    """The instants between which the demo's campaigns run: the month in which it opened, up to the end of this one, and the next."""

    starts: datetime
    ends: datetime
    next_ends: datetime


def months(began: datetime, now: datetime, zone: str) -> Months:
    """Return the campaigns' instants: the thank-you month is the one in which the demo stands, the days of its own past included."""
    first, this = month_start(local_date(began, zone)), month_start(local_date(now, zone))
    following = _following(this)
    return Months(_begins(first, zone), _begins(following, zone), _begins(_following(following), zone))


def _following(month: date) -> date:
    return month_start(month + timedelta(days=32))


def _begins(day: date, zone: str) -> datetime:
    return day_bounds(day, zone)[0]


def rulebook(span: Months) -> Document:
    """Return the book under which the demo's days are traded."""
    return Document(
        currency="CNY",
        rules=(*_litre(), *_fuel(), *_shop(), *_points(), *_topups()),
        groups=(
            Group(code="litre", name_zh="每升优惠（取最优）", name_en="Per litre: the best for the customer", mode=Mode.BEST, priority=10),
            Group(
                code="extra",
                name_zh="满额立减（叠加）",
                name_en="Further discounts on fuel",
                mode=Mode.STACK,
                priority=20,
                caps=(Cap(per=Per.TRANSACTION, amount=3_000),),
            ),
            Group(code="shop", name_zh="便利店与洗车", name_en="Shop and wash", mode=Mode.STACK, priority=30),
            Group(code="points", name_zh="积分", name_en="Points", mode=Mode.STACK, priority=40),
            Group(code="topup", name_zh="充值", name_en="Top-ups", mode=Mode.STACK, priority=50),
        ),
        budgets=_budgets(),
        campaigns=_campaigns(span),
    )


def _budgets() -> tuple[Budget, ...]:
    """Totals that the demo's week about half uses."""
    return (
        Budget(code="forty-litres", name_zh="满 40 升立减预算", name_en="40 litres and more", total=20_000),
        Budget(code="happy-hour", name_zh="午后时段预算", name_en="Happy hour", total=14_000),
        Budget(code="flyer", name_zh="秋季传单预算", name_en="Autumn flyer", total=15_000),
        Budget(code="thank-you", name_zh="感恩月礼品", name_en="Thank-you gifts", total=80, unit=BudgetUnit.PIECE),
    )


def _campaigns(span: Months) -> tuple[Campaign, ...]:
    return (
        Campaign(
            code="thank-you",
            name_zh="感恩月",
            name_en="Thank-you month",
            starts_at=span.starts,
            ends_at=span.ends,
            hold_out_basis_points=1_000,
            about_zh="当月单次充值满 500 元送保温杯一个，新老记名客户同享；不记名卡当月转记名并充值也可领取。",
            about_en="One top-up of ¥500 or more brings a thermos flask, to new and old customers alike; an anonymous card that is "
            "registered and topped up in the month counts too.",
        ),
        Campaign(
            code="flyer",
            name_zh="秋季传单",
            name_en="Autumn flyer",
            starts_at=span.starts,
            ends_at=span.ends,
            about_zh="凭传单码 AUTUMN26 开卡，首次加油满 150 元立减 10 元。",
            about_en="Cards opened with the flyer code AUTUMN26: ¥10 off the first fill of ¥150 or more.",
        ),
        Campaign(
            code="convert",
            name_zh="不记名卡转记名",
            name_en="Register your card",
            about_zh="转为记名卡 30 天内汽油每升优惠 0.25 元。",
            about_en="Within 30 days of registering an anonymous card gasoline is ¥0.25 a litre less.",
        ),
    )


def _rule(code: str, zh: str, en: str, **facts: object) -> Rule:
    return Rule(code=code, name_zh=zh, name_en=en, **({"funders": HEAD} | facts))  # type: ignore[arg-type]


def _litre() -> tuple[Rule, ...]:
    gasoline = ("gasoline",)
    return (
        _rule(
            "gold-litre",
            "金卡每升优惠",
            "Gold card, per litre",
            effect=PerUnit(rate_e4=3_000),
            group="litre",
            priority=10,
            when=When(card_products=("gold",), categories=("fuel",)),
        ),
        _rule(
            "gold-tier",
            "金级会员每升优惠",
            "Gold tier, per litre",
            effect=PerUnit(rate_e4=4_000),
            group="litre",
            priority=20,
            when=When(tiers=(GOLD, PLATINUM), categories=gasoline),
            say_zh="金级会员价，长期有效。",
            say_en="The price of the gold tier, as long as you keep it.",
        ),
        _rule(
            "birthday",
            "生日周每升优惠",
            "Birthday week, per litre",
            effect=PerUnit(rate_e4=6_000),
            group="litre",
            priority=30,
            when=When(account_kinds=("personal",), categories=("fuel",), birthday=Birthday(days_before=3, days_after=3)),
            caps=(Cap(per=Per.DAY, of=Of.CUSTOMER, count=1), Cap(per=Per.MONTH, of=Of.CUSTOMER, amount=6_000)),
            say_zh="祝您生日快乐！",
            say_en="Happy birthday!",
        ),
        _rule(
            "happy-hour",
            "午后时段每升优惠",
            "Happy hour, per litre",
            effect=PerUnit(rate_e4=2_000),
            funders=HALVES,
            group="litre",
            priority=40,
            when=When(account_kinds=ROAD_CARDS, categories=gasoline, hours=(Hours(starts="13:00", ends="16:00"),)),
            budget="happy-hour",
        ),
        _rule(
            "registered",
            "转记名每升优惠",
            "Just registered, per litre",
            effect=PerUnit(rate_e4=2_500),
            group="litre",
            priority=50,
            when=When(account_kinds=("personal",), categories=gasoline, converted_within_days=30),
            campaign="convert",
        ),
        _rule(
            "fleet-diesel",
            "车队柴油优惠",
            "Fleet diesel",
            effect=PerUnit(rate_e4=2_000),
            group="litre",
            priority=60,
            when=When(card_products=("fleet",), products=("0",)),
        ),
        _rule(
            "company-92",
            "单位卡每升优惠",
            "Company card, per litre",
            effect=PerUnit(rate_e4=1_000),
            group="litre",
            priority=70,
            when=When(card_products=("company",), categories=("fuel",)),
        ),
    )


def _fuel() -> tuple[Rule, ...]:
    return (
        _rule(
            "forty-litres",
            "汽油满 40 升立减",
            "Gasoline, 40 litres and more",
            effect=Fixed(amount_minor=500),
            funders=HALVES,
            group="extra",
            priority=10,
            when=When(account_kinds=ROAD_CARDS, categories=("gasoline",), least_quantity_milli=40_000),
            caps=(Cap(per=Per.DAY, count=1),),
            budget="forty-litres",
        ),
        _rule(
            "flyer-first",
            "传单首次加油立减",
            "Flyer: the first fill",
            effect=Fixed(amount_minor=1_000),
            group="extra",
            priority=20,
            when=When(
                account_kinds=("personal",), categories=("fuel",), flyers=(FLYER,), least_minor=15_000, nth=Nth(count=1, of=Of.CUSTOMER)
            ),
            budget="flyer",
            campaign="flyer",
        ),
    )


def _shop() -> tuple[Rule, ...]:
    return (
        _rule(
            "weekend-wash",
            "周末洗车八折",
            "Weekend wash",
            effect=Percent(basis_points=2_000),
            funders=HALVES,
            group="shop",
            priority=10,
            when=When(account_kinds=ROAD_CARDS, categories=("wash",), weekdays=(6, 7)),
        ),
        _rule(
            "fluid-pair",
            "便利店满 30 元减 3 元",
            "Shop, ¥30 and more",
            effect=Fixed(amount_minor=300),
            group="shop",
            priority=20,
            when=When(account_kinds=ROAD_CARDS, categories=("shop",), excluded_categories=("lubricant",), least_minor=3_000),
        ),
    )


def _points() -> tuple[Rule, ...]:
    personal = ("personal",)
    return (
        _rule(
            "points-fuel",
            "加油积分",
            "Points on fuel",
            effect=Points(points=1, per_quantity_milli=1_000, pending_days=3, expires_months=24),
            group="points",
            priority=10,
            when=When(account_kinds=personal, categories=("fuel",)),
        ),
        _rule(
            "points-shop",
            "便利店积分",
            "Points in the shop",
            effect=Points(points=1, per_minor=100, expires_months=24),
            group="points",
            priority=20,
            when=When(account_kinds=personal, categories=("shop",)),
        ),
        _rule(
            "points-gold",
            "金级会员双倍积分",
            "Double points, gold tier",
            effect=PointsTimes(basis_points=20_000),
            group="points",
            priority=30,
            when=When(account_kinds=personal, tiers=(GOLD, PLATINUM), categories=("fuel",)),
        ),
    )


def _topups() -> tuple[Rule, ...]:
    personal, topup = ("personal",), (Channel.TOPUP,)
    return (
        _rule(
            "topup-bonus",
            "充值送赠金",
            "Bonus on top-ups",
            effect=Bonus(
                bands=(Band(starts=100_000, amount_minor=3_000), Band(starts=200_000, amount_minor=8_000)),
                expires_days=180,
                spend=Spending(categories=("fuel",)),
            ),
            group="topup",
            priority=10,
            when=When(account_kinds=personal, channels=topup),
        ),
        _rule(
            "thank-you-gift",
            "感恩月充值礼",
            "Thank-you gift",
            effect=Give(what="gift", item=THERMOS),
            group="topup",
            priority=20,
            when=When(account_kinds=personal, channels=topup, least_minor=THANKS_FROM),
            caps=(Cap(per=Per.MONTH, of=Of.CUSTOMER, count=1),),
            budget="thank-you",
            campaign="thank-you",
        ),
    )


def next_month(document: Document, span: Months) -> Document:
    """Return the book that follows at the month's end: a new campaign, a longer happy hour, the flyer gone."""
    kept = tuple(_longer(rule) for rule in document.rules if rule.code not in {"flyer-first", "thank-you-gift"})
    winter = Campaign(
        code="winter", name_zh="冬季关怀", name_en="Winter care", starts_at=span.ends, ends_at=span.next_ends, hold_out_basis_points=1_000
    )
    fluid = _rule(
        "winter-fluid",
        "加油满 200 元送晴雨伞",
        "An umbrella with ¥200 of fuel",
        effect=Give(what="gift", item=UMBRELLA),
        when=When(account_kinds=("personal",), categories=("fuel",), least_minor=20_000),
        caps=(Cap(per=Per.MONTH, of=Of.CUSTOMER, count=1),),
        budget="winter",
        campaign="winter",
    )
    budgets = tuple(one for one in document.budgets if one.code not in {"flyer", "thank-you"})
    gifts = Budget(code="winter", name_zh="冬季礼品", name_en="Winter gifts", total=300, unit=BudgetUnit.PIECE)
    campaigns = tuple(one for one in document.campaigns if one.code not in {"flyer", "thank-you"})
    return msgspec.structs.replace(document, rules=(*kept, fluid), budgets=(*budgets, gifts), campaigns=(*campaigns, winter))


def _longer(rule: Rule) -> Rule:
    if rule.code != "happy-hour":
        return rule
    return msgspec.structs.replace(rule, when=msgspec.structs.replace(rule.when, hours=(Hours(starts="12:00", ends="17:00"),)))


def idea() -> Rule:
    """Return what somebody is still thinking about: the draft's one new rule."""
    return _rule(
        "night-diesel",
        "夜间柴油每升优惠",
        "Diesel at night, per litre",
        effect=PerUnit(rate_e4=1_500),
        group="litre",
        priority=80,
        when=When(categories=("diesel",), hours=(Hours(starts="22:00", ends="06:00"),)),
    )
