"""A rule in one sentence, in Chinese and in English: what marketing reads on the page and an approver reads before saying yes. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from loyalty.ledger.spending import Spending
from loyalty.money import shown

from .document import (
    Band,
    Basis,
    Bonus,
    Bundle,
    By,
    Cap,
    Document,
    Effect,
    Fixed,
    Funder,
    Give,
    Ladder,
    Needed,
    Nth,
    Per,
    Percent,
    PerUnit,
    Points,
    PointsTimes,
    Rule,
    Several,
    Tiered,
    UnitPrice,
    When,
)

Words = tuple[str, str]
"""Chinese and English."""
LISTED_MAX: Final = 4
"""More names than this are counted instead."""

UNITS: Final[Mapping[str, Words]] = {
    "L": ("升", "litre"),
    "kg": ("千克", "kg"),
    "m3": ("立方米", "m³"),
    "kWh": ("千瓦时", "kWh"),
    "piece": ("件", "piece"),
}
ANY_UNIT: Final[Words] = ("单位", "unit")
CATEGORIES: Final[Mapping[str, Words]] = {
    "fuel": ("油品", "fuel"),
    "shop": ("便利店商品", "shop goods"),
    "gasoline": ("汽油", "gasoline"),
    "diesel": ("柴油", "diesel"),
    "lng": ("LNG", "LNG"),
    "cng": ("CNG", "CNG"),
    "lpg": ("LPG", "LPG"),
    "ev": ("充电", "charging"),
    "wash": ("洗车", "car washes"),
    "car-wash": ("洗车", "car washes"),
    "lubricant": ("润滑油", "lubricants"),
    "lubricants": ("润滑油", "lubricants"),
    "food": ("食品", "food"),
    "drinks": ("饮料", "drinks"),
}
CHANNELS: Final[Mapping[str, Words]] = {
    "pay_after": ("加油后支付", "pay after filling"),
    "preset": ("预设加油", "preset fills"),
    "pump": ("卡机联动", "card at the pump"),
    "shop": ("便利店", "the shop"),
    "topup": ("充值", "top-ups"),
}
ACCOUNT_KINDS: Final[Mapping[str, Words]] = {
    "personal": ("记名个人", "registered persons"),
    "anonymous": ("不记名卡", "anonymous cards"),
    "company": ("单位客户", "companies"),
}
TENDERS: Final[Mapping[str, Words]] = {
    "card": ("卡内余额", "the card's own money"),
    "cash": ("现金", "cash"),
    "bank_card": ("银行卡", "bank card"),
    "wechat": ("微信", "WeChat"),
    "alipay": ("支付宝", "Alipay"),
    "bank_transfer": ("银行转账", "bank transfer"),
    "voucher": ("优惠券", "voucher"),
}
FUNDERS: Final[Mapping[str, Words]] = {"head-office": ("总部", "head office"), "station": ("油站", "the station")}
_WEEKDAYS: Final = (
    ("周一", "Mondays"),
    ("周二", "Tuesdays"),
    ("周三", "Wednesdays"),
    ("周四", "Thursdays"),
    ("周五", "Fridays"),
    ("周六", "Saturdays"),
    ("周日", "Sundays"),
)
_PER: Final[Mapping[Per, Words]] = {
    Per.TRANSACTION: ("每笔", "a transaction"),
    Per.DAY: ("每天", "a day"),
    Per.WEEK: ("每周", "a week"),
    Per.MONTH: ("每月", "a month"),
    Per.EVER: ("累计", "in all"),
}
_OF: Final[Mapping[str, Words]] = {"card": ("每卡", "a card"), "account": ("每账户", "an account"), "customer": ("每客户", "a customer")}
_THINGS: Final[Mapping[str, Words]] = {"gift": ("礼品", "gift"), "voucher": ("券", "voucher"), "wash": ("洗车", "car wash")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What codes are called: by kind (`stations`, `products`, …) and code. A code without a name is shown as it is."""

    words: Mapping[str, Mapping[str, Words]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    """By product code, what it is measured in."""
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By product code, its category, fuel kind and shop category."""
    zone: str = "Asia/Shanghai"

    def of(self, kind: str, code: str) -> Words:
        """Return a code's name."""
        return self.words.get(kind, {}).get(code, (code, code))

    def unit(self, when: When) -> str | None:
        """Return the one unit of a rule's goods; None where they have several or none is known."""
        units = {
            unit
            for code, unit in self.units.items()
            if (not when.products and not when.categories)
            or code in when.products
            or not self.tags.get(code, frozenset()).isdisjoint(when.categories)
        }
        return units.pop() if len(units) == 1 else None


def sentence(rule: Rule, document: Document, names: Names) -> Words:
    """Return a rule in one sentence: who, what, where, when, limits; who bears it."""
    currency = rule.currency or document.currency
    parts = [
        _effect(rule, currency, names),
        *_places(rule.when, names),
        *_times(rule, names),
        *_thresholds(rule.when, currency, names),
        *(_cap(cap, rule, currency) for cap in rule.caps),
    ]
    tail = [_funders(rule.funders)]
    if rule.budget is not None:
        name = next(((one.name_zh, one.name_en) for one in document.budgets if one.code == rule.budget), (rule.budget, rule.budget))
        tail.append((f"预算“{name[0]}”", f"from the budget “{name[1]}”"))
    zh, en = _joined(parts)
    who = list(_who(rule.when, names))
    if who:
        who_zh, who_en = _joined(who)
        zh, en = f"{who_zh}：{zh}", f"{who_en}: {en}"
    tail_zh, tail_en = _joined(tail)
    return f"{zh}；{tail_zh}。", f"{en[:1].upper()}{en[1:]}; {tail_en}."


def _joined(parts: Sequence[Words]) -> Words:
    return "，".join(zh for zh, _en in parts), ", ".join(en for _zh, en in parts)


def listed(kind: str, codes: Sequence[str], names: Names, what: Words) -> Words:
    """Return names of these codes, or their number where they are many; `what` is the plural."""
    if len(codes) > LISTED_MAX:
        return f"{len(codes)} 个{what[0]}", f"{len(codes)} {what[1]}"
    found = [names.of(kind, code) for code in codes]
    return "、".join(zh for zh, _ in found), _and([en for _, en in found])


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _known(codes: Iterable[str], known: Mapping[str, Words]) -> Words:
    found = [known.get(code, (code, code)) for code in codes]
    return "、".join(zh for zh, _ in found), _and([en for _, en in found])


def _who(when: When, names: Names) -> Iterable[Words]:
    if when.card_products:
        yield listed("card_products", when.card_products, names, ("卡产品", "card products"))
    if when.tiers:
        zh, en = listed("tiers", when.tiers, names, ("等级", "tiers"))
        yield zh if zh.endswith("会员") else f"{zh}会员", f"tier {en}"
    if when.account_kinds:
        yield _known(when.account_kinds, ACCOUNT_KINDS)
    if when.segments:
        yield f"客群 {'、'.join(when.segments)}", f"segment {_and(when.segments)}"
    if when.customers:
        yield f"指定的 {len(when.customers)} 位客户", f"{len(when.customers)} named customers"
    if when.flyers:
        yield f"持宣传单 {'、'.join(when.flyers)}", f"with flyer {_and(when.flyers)}"
    if when.birthday is not None:
        yield _birthday(when)
    if when.joined_within_days is not None:
        yield f"开卡 {when.joined_within_days} 天内", f"within {when.joined_within_days} days of opening the card"
    if when.converted_within_days is not None:
        yield f"转记名 {when.converted_within_days} 天内", f"within {when.converted_within_days} days of registering the card"


def _birthday(when: When) -> Words:
    birthday = when.birthday
    assert birthday is not None, "asked for only where there is one"
    if birthday.month:
        return "生日当月", "in the month of birth"
    if not birthday.days_before and not birthday.days_after:
        return "生日当天", "on the birthday"
    return (
        f"生日前 {birthday.days_before} 天至后 {birthday.days_after} 天",
        f"from {birthday.days_before} days before to {birthday.days_after} days after the birthday",
    )


def _goods(when: When, names: Names) -> Words:
    zh, en = [], []
    if when.products:
        one = listed("products", when.products, names, ("种商品", "products"))
        zh.append(one[0])
        en.append(one[1])
    if when.categories:
        found = [CATEGORIES.get(code, names.of("categories", code)) for code in when.categories]
        zh.append("、".join(one[0] for one in found))
        en.append(_and([one[1] for one in found]))
    said_zh, said_en = "、".join(zh) or "全部商品", " and ".join(en) or "everything"
    excluded = [names.of("products", code) for code in when.excluded_products]
    excluded += [CATEGORIES.get(code, names.of("categories", code)) for code in when.excluded_categories]
    if excluded:
        said_zh += f"（不含{'、'.join(one[0] for one in excluded)}）"
        said_en += f" except {_and([one[1] for one in excluded])}"
    return said_zh, said_en


def price(unit_price_e4: int, currency: str) -> str:
    """Write a rate or price of one unit, in the precision it has and at least two decimals."""
    whole, rest = divmod(unit_price_e4, 10_000)
    decimals = f"{rest:04}"
    while len(decimals) > 2 and decimals.endswith("0"):
        decimals = decimals[:-1]
    return f"¥{whole:,}.{decimals}" if currency == "CNY" else f"{whole:,}.{decimals} {currency}"


def percent(basis_points: int) -> str:
    """Write basis points as a percentage: 20%, 2.5%."""
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02}".rstrip("0").rstrip(".") + "%" if rest else f"{whole}%"


def quantity(milli: int) -> str:
    """Write thousandths: 30, 0.5."""
    whole, rest = divmod(milli, 1000)
    return f"{whole:,}.{rest:03}".rstrip("0") if rest else f"{whole:,}"


def amount(amount_minor: int, currency: str) -> str:
    """Write money for a sentence; whole units without cents."""
    text = shown(amount_minor, currency)
    return text.replace(".00", "", 1) if currency == "CNY" and text.endswith(".00") else text


def _effect(rule: Rule, currency: str, names: Names) -> Words:
    effect, when = rule.effect, rule.when
    unit = UNITS.get(names.unit(when) or "", ANY_UNIT)
    is_topup = bool(when.channels) and all(channel.value == "topup" for channel in when.channels)
    goods = ("充值", "top-ups") if is_topup else _goods(when, names)
    match effect:
        case PerUnit():
            off = price(effect.rate_e4, currency)
            return f"{goods[0]}每{unit[0]}优惠 {off}", f"{off} off per {unit[1]} of {goods[1]}"
        case UnitPrice():
            at = price(effect.unit_price_e4, currency)
            return f"{goods[0]}每{unit[0]}一口价 {at}", f"{at} per {unit[1]} for {goods[1]}"
        case Percent():
            of = ("原价", "of the initial amount") if effect.basis is Basis.INITIAL else ("优惠前余额", "of what is left")
            return f"{goods[0]}按{of[0]}减 {percent(effect.basis_points)}", f"{percent(effect.basis_points)} off {goods[1]}, {of[1]}"
        case Fixed():
            off = amount(effect.amount_minor, currency)
            return f"{goods[0]}立减 {off}", f"{off} off {goods[1]}"
        case Tiered():
            return _tiered(effect, goods, unit, currency)
        case Bundle():
            return _bundle(effect, currency, names)
        case _:
            return _grant(effect, goods, unit, currency, names)


def _tiered(effect: Tiered, goods: Words, unit: Words, currency: str) -> Words:
    steps = [_band(band, effect.by, unit, currency) for band in effect.bands]
    how = ("，分段累计", ", each part in its own band") if effect.ladder is Ladder.MARGINAL else ("", "")
    return f"{goods[0]}阶梯优惠：{'、'.join(zh for zh, _ in steps)}{how[0]}", f"{goods[1]}: {', '.join(en for _, en in steps)}{how[1]}"


def _band(band: Band, by: By, unit: Words, currency: str) -> Words:
    start = amount(band.starts, currency) if by is By.AMOUNT else f"{quantity(band.starts)} {unit[1] if unit is not UNITS['L'] else 'L'}"
    worth = _worth(band, unit, currency)
    return f"满 {start} {worth[0]}", f"from {start} {worth[1]}"


def _worth(band: Band, unit: Words, currency: str) -> Words:
    if band.rate_e4 is not None:
        return f"每{unit[0]}减 {price(band.rate_e4, currency)}", f"{price(band.rate_e4, currency)} off per {unit[1]}"
    if band.basis_points is not None:
        return f"减 {percent(band.basis_points)}", f"{percent(band.basis_points)} off"
    return f"减 {amount(band.amount_minor or 0, currency)}", f"{amount(band.amount_minor or 0, currency)} off"


def _bundle(effect: Bundle, currency: str, names: Names) -> Words:
    needed = [_needed(part, names) for part in effect.parts]
    off = percent(effect.basis_points or 0) if effect.amount_minor is None else amount(effect.amount_minor, currency)
    last = needed[-1]
    zh = f"同时购买 {'与 '.join(one[0] for one in needed)}，{last[0]}减 {off}"
    en = f"{' with '.join(one[1] for one in needed)}: {off} off the {last[1]}"
    return (f"{zh}，最多 {effect.times} 组", f"{en}, up to {effect.times} sets") if effect.times > 1 else (zh, en)


def _needed(part: Needed, names: Names) -> Words:
    when = When(products=part.products, categories=part.categories)
    goods = _goods(when, names)
    code, size = names.unit(when) or "", quantity(part.quantity_milli)
    en = (
        f"{size} × {goods[1]}"
        if code == "piece"
        else f"{size} {code if code in {'L', 'kg', 'kWh'} else UNITS.get(code, ANY_UNIT)[1]} of {goods[1]}"
    )
    return f"{size} {UNITS.get(code, ANY_UNIT)[0]}{goods[0]}", en


def _grant(effect: Effect, goods: Words, unit: Words, currency: str, names: Names) -> Words:
    match effect:
        case Bonus():
            return _bonus(effect, goods, currency, names)
        case Points():
            return _points(effect, goods, unit, currency)
        case PointsTimes():
            times = quantity(effect.basis_points // 10)
            return f"{goods[0]}积分 ×{times}", f"points ×{times} on {goods[1]}"
        case Give():
            thing, name = _THINGS[effect.what], names.of("vouchers" if effect.what == "voucher" else "gifts", effect.item)
            return f"{goods[0]}送{thing[0]}“{name[0]}”×{effect.count}", f"{effect.count} × {thing[1]} “{name[1]}” with {goods[1]}"
        case _:
            raise AssertionError("every effect is said")


def _bonus(effect: Bonus, goods: Words, currency: str, names: Names) -> Words:
    if effect.bands:
        steps = [_bonus_band(band, currency) for band in effect.bands]
        how = {
            Several.HIGHEST: ("", ""),
            Several.EVERY: ("，各档累加", ", all bands reached"),
            Several.REPEAT: ("，可重复", ", repeated as often as it fits"),
        }[effect.several]
        zh = f"{goods[0]}{'、'.join(zh for zh, _ in steps)}{how[0]}"
        en = f"bonus on {goods[1]}: {', '.join(en for _, en in steps)}{how[1]}"
    elif effect.amount_minor is not None:
        given = amount(effect.amount_minor, currency)
        zh, en = f"{goods[0]}送赠金 {given}", f"{given} bonus on {goods[1]}"
    else:
        given = percent(effect.basis_points or 0)
        zh, en = f"{goods[0]}送 {given} 赠金", f"{given} bonus on {goods[1]}"
    terms = [] if effect.expires_days is None else [(f"{effect.expires_days} 天内有效", f"good for {effect.expires_days} days")]
    terms += [] if effect.spend is None else [spending_words(effect.spend, currency, names)]
    said = "，".join(one for one, _ in terms), ", ".join(one for _, one in terms)
    return (f"{zh}（{said[0]}）", f"{en} ({said[1]})") if terms else (zh, en)


def spending_words(spending: Spending, currency: str, names: Names) -> Words:
    """Say what bonus money may be spent on: "only for fuel, at HZ01, from ¥200 on"; empty where on anything."""
    parts: list[Words] = []
    if spending.products or spending.categories:
        zh, en = _goods(When(products=spending.products, categories=spending.categories), names)
        parts.append((f"限{zh}", f"only for {en}"))
    for kind, what in (("stations", ("油站", "stations")), ("districts", ("片区", "districts")), ("regions", ("大区", "regions"))):
        codes = getattr(spending, kind)
        if codes:
            zh, en = listed(kind, codes, names, what)
            parts.append((f"限{zh}", f"only at {en}" if kind == "stations" else f"only in {en}"))
    if spending.least_minor is not None:
        least = amount(spending.least_minor, currency)
        parts.append((f"单笔满 {least} 可用", f"in purchases from {least} on"))
    return _joined(parts)


def _bonus_band(band: Band, currency: str) -> Words:
    start = amount(band.starts, currency)
    given = amount(band.amount_minor, currency) if band.amount_minor is not None else percent(band.basis_points or 0)
    return f"满 {start} 送 {given}", f"from {start} {given}"


def _points(effect: Points, goods: Words, unit: Words, currency: str) -> Words:
    if effect.per_quantity_milli is not None:
        step = quantity(effect.per_quantity_milli)
        per = (f"每 {step} {unit[0]}", f"per {unit[1]}" if step == "1" else f"per {step} {unit[1]}")
    elif effect.per_minor is not None:
        per = (f"每 {amount(effect.per_minor, currency)} ", f"per {amount(effect.per_minor, currency)}")
    else:
        per = ("每次", "each time")
    noun = "point" if effect.points == 1 else "points"
    zh, en = f"{goods[0]}{per[0]}积 {effect.points:,} 分", f"{effect.points:,} {noun} {per[1]} on {goods[1]}"
    if effect.pending_days:
        zh, en = f"{zh}，{effect.pending_days} 天后可用", f"{en}, usable after {effect.pending_days} days"
    if effect.when_settled:
        zh, en = f"{zh}，油站日结后可用", f"{en}, usable once the station's day is closed"
    if effect.expires_months is not None:
        zh, en = f"{zh}，{effect.expires_months} 个月后失效", f"{en}, lapsing after {effect.expires_months} months"
    return zh, en


def _places(when: When, names: Names) -> Iterable[Words]:
    found = [
        listed(kind, codes, names, what)
        for kind, codes, what in (
            ("stations", when.stations, ("座油站", "stations")),
            ("districts", when.districts, ("片区", "districts")),
            ("regions", when.regions, ("大区", "regions")),
        )
        if codes
    ]
    if found:
        yield "且".join(zh for zh, _ in found), f"at {' within '.join(en for _, en in found)}"
    elif not when.channels or any(channel.value != "topup" for channel in when.channels):
        yield "全部油站", "at all stations"
    others = [channel.value for channel in when.channels if channel.value != "topup" or len(when.channels) > 1]
    if others:
        zh, en = _known(others, CHANNELS)
        yield f"限{zh}", f"by {en}"
    if when.tenders:
        zh, en = _known(when.tenders, TENDERS)
        yield f"用{zh}支付", f"paid by {en} only"


def _times(rule: Rule, names: Names) -> Iterable[Words]:
    when = rule.when
    if when.weekdays:
        days = [_WEEKDAYS[day - 1] for day in when.weekdays]
        yield f"每{'、'.join(day[0] for day in days)}", f"on {_and([day[1] for day in days])}"
    if when.month_days:
        days_ = [str(day) for day in when.month_days]
        yield f"每月 {'、'.join(days_)} 日", f"on day {_and(days_)} of the month"
    if when.hours:
        hours = [f"{part.starts}–{part.ends}" for part in when.hours]
        yield "、".join(hours), _and(hours)
    if when.nth is not None:
        yield _nth(when.nth)
    starts, ends = _day(rule.starts_at, names.zone), _day(rule.ends_at, names.zone)
    if starts and ends:
        yield f"{starts} 至 {ends}", f"{starts} to {ends}"
    elif starts:
        yield f"{starts} 起", f"from {starts}"
    elif ends:
        yield f"至 {ends}", f"until {ends}"


def _day(instant: datetime | None, zone: str) -> str:
    if instant is None:
        return ""
    local = instant.astimezone(ZoneInfo(zone))
    return f"{local:%Y-%m-%d}" if (local.hour, local.minute) == (0, 0) else f"{local:%Y-%m-%d %H:%M}"


def _nth(nth: Nth) -> Words:
    per, of = _PER[nth.per], _OF[nth.of.value]
    if nth.every:
        return f"{of[0]}{per[0]}第 {nth.count} 次及其倍数", f"every {_ordinal(nth.count)} time {per[1]}, for {of[1]}"
    return f"{of[0]}{per[0]}第 {nth.count} 次", f"the {_ordinal(nth.count)} time {per[1]}, for {of[1]}"


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _thresholds(when: When, currency: str, names: Names) -> Iterable[Words]:
    unit = names.unit(when) or ""
    sign = {"m3": "m³", "piece": "×"}.get(unit, unit)
    if when.least_quantity_milli is not None:
        yield f"满 {quantity(when.least_quantity_milli)} {sign}".rstrip(), f"from {quantity(when.least_quantity_milli)} {sign}".rstrip()
    if when.most_quantity_milli is not None:
        yield f"至多 {quantity(when.most_quantity_milli)} {sign}".rstrip(), f"up to {quantity(when.most_quantity_milli)} {sign}".rstrip()
    of = {Basis.INITIAL: ("", ""), Basis.BEFORE: ("优惠前", " before it"), Basis.AFTER: ("优惠后", " after it")}[when.basis]
    if when.least_minor is not None:
        yield f"{of[0]}满 {amount(when.least_minor, currency)}", f"from {amount(when.least_minor, currency)}{of[1]}"
    if when.most_minor is not None:
        yield f"{of[0]}至多 {amount(when.most_minor, currency)}", f"up to {amount(when.most_minor, currency)}{of[1]}"


def _cap(cap: Cap, rule: Rule, currency: str) -> Words:
    per = _PER[cap.per]
    of = ("", "") if cap.per is Per.TRANSACTION else _OF[cap.of.value]
    most: list[Words] = []
    if cap.amount is not None:
        is_money = not isinstance(rule.effect, Points | PointsTimes | Give)
        text = amount(cap.amount, currency) if is_money else f"{cap.amount:,}"
        most.append((text, text))
    if cap.count is not None:
        most.append((f"{cap.count} 次", f"{cap.count} times" if cap.count > 1 else "once"))
    zh, en = "、".join(one[0] for one in most), _and([one[1] for one in most]) if most else ""
    return f"{of[0]}{per[0]}最多 {zh}", f"at most {en} {per[1]}{f' for {of[1]}' if of[1] else ''}"


def _funders(funders: Sequence[Funder]) -> Words:
    named = [FUNDERS.get(one.funder, (one.funder, one.funder)) for one in funders]
    if len(funders) == 1:
        return f"由{named[0][0]}承担", f"{named[0][1]} bears it"
    shares = " : ".join(str(one.parts) for one in funders)
    return f"由{'、'.join(one[0] for one in named)}按 {shares} 承担", f"borne by {_and([one[1] for one in named])} {shares}"
