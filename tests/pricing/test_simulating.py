"""One basket, any date, any book, also without some rules: amounts, and a reason for every rule that gives nothing."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from loyalty.pricing.basket import Where
from loyalty.pricing.compiling import Book, Names
from loyalty.pricing.document import (
    Birthday,
    Bonus,
    Budget,
    Cap,
    Channel,
    Document,
    Fixed,
    Funder,
    Nth,
    Of,
    Per,
    Percent,
    PerUnit,
    Points,
    Rule,
    When,
)
from loyalty.pricing.simulating import AmountNeeded, Asked, AskedLine, AskedPerson, PriceNotKnown, ProductNotKnown, Site, simulate

HERE, THERE, AREA = UUID(int=1), UUID(int=2), UUID(int=3)
NOW = datetime(2026, 9, 24, 2, 15, tzinfo=UTC)
SITE = Site(
    where=Where(HERE, AREA, AREA, "CNY", 2),
    zone="Asia/Shanghai",
    tags={"92": frozenset({"fuel", "gasoline"}), "0": frozenset({"fuel", "diesel"}), "water": frozenset({"shop", "drinks"})},
    prices={"92": 80_000},
    districts={"d": AREA},
    regions={"r": AREA},
    stations={"s1": HERE, "s2": THERE},
)
NAMES = Names(SITE.stations, SITE.districts, SITE.regions)
FILL = AskedLine(product="92", quantity_milli=22_000)


def rule(code, effect, **more) -> Rule:
    more.setdefault("funders", (Funder(funder="head-office", parts=4), Funder(funder="station")))
    return Rule(code=code, name_zh=f"{code}优惠", name_en=code, effect=effect, **more)


def asked(*lines, **more) -> Asked:
    return Asked(station="s1", at=more.pop("at", NOW), lines=lines or (FILL,), **more)


def told(document, question):
    found = simulate(Book(7, document, NAMES), SITE, question)
    return found, {one.rule: one for one in found.applied}, {one.rule: one for one in found.missed}


def test_amounts_funders_and_reasons():
    document = Document(
        rules=(
            rule("litre", PerUnit(rate_e4=3000), priority=1, revision=3),
            rule("percent", Percent(basis_points=1000), priority=2),
            rule("big", Fixed(amount_minor=500), when=When(least_quantity_milli=30_000)),
            rule("points", Points(points=1, per_quantity_milli=1000)),
            rule("elsewhere", Fixed(amount_minor=1), when=When(stations=("s2",))),
            rule("diesel", Fixed(amount_minor=1), when=When(categories=("diesel",))),
            rule("off", Fixed(amount_minor=1), enabled=False),
            rule("soon", Fixed(amount_minor=1), starts_at=NOW + timedelta(days=1)),
            rule("gone", Fixed(amount_minor=1), ends_at=NOW),
            rule("load", Bonus(amount_minor=1), when=When(channels=(Channel.TOPUP,))),
            rule("gold", Fixed(amount_minor=1), when=When(card_products=("gold",))),
            rule("czech", Fixed(amount_minor=1), currency="CZK"),
        )
    )
    found, applied, missed = told(document, asked())
    # 22 L at 8.00 is 176.00; 0.30 a litre is 6.60, a tenth of the rest 16.94.
    assert (found.gross_minor, found.discount_minor, found.pays_minor, found.points) == (17_600, 660 + 1694, 15_246, 22)
    assert [(one.funder, one.amount) for one in applied["litre"].funders] == [("head-office", 528), ("station", 132)]
    assert (applied["litre"].revision, applied["litre"].lines, applied["percent"].base_minor) == (3, [660], 16_940)
    assert (missed["big"].candidate, missed["big"].en) == (True, "needs ≥ 30, this is 22")
    whys = {one.rule: one.why for one in found.missed if not one.candidate}
    assert whys == {
        "elsewhere": "station",
        "diesel": "goods",
        "off": "off",
        "soon": "not_yet",
        "gone": "ended",
        "load": "channel",
        "gold": "card_product",
        "czech": "currency",
    }
    assert found.local == "2026-09-24T10:15+08:00"


def test_a_rule_is_switched_off_for_the_question_only():
    document = Document(rules=(rule("a", Fixed(amount_minor=100), priority=1), rule("b", Percent(basis_points=1000), priority=2)))
    both, _, _ = told(document, asked())
    one, _, missed = told(document, asked(without=("a",)))
    assert (both.discount_minor, one.discount_minor, missed["a"].why) == (100 + 1750, 1760, "disabled")


def test_any_date_and_any_person():
    birthday = rule("birthday", Percent(basis_points=500), when=When(birthday=Birthday(days_after=3)))
    third = rule("third", Fixed(amount_minor=300), when=When(nth=Nth(count=3)))
    document = Document(rules=(birthday, third))
    person = AskedPerson(birthday=datetime(1990, 12, 1, tzinfo=UTC).date(), visits_before=2)
    assert set(told(document, asked(person=person))[1]) == {"third"}
    assert set(told(document, asked(person=person, at=datetime(2026, 12, 2, tzinfo=UTC)))[1]) == {"birthday", "third"}
    assert told(document, asked())[2]["third"].en == "at visit 3, this is visit 1"


def test_budgets_are_whole_unless_said_and_caps_have_a_subject():
    capped = rule("capped", Fixed(amount_minor=300), caps=(Cap(per=Per.DAY, of=Of.CUSTOMER, amount=200),))
    budgeted = rule("budgeted", Fixed(amount_minor=300), budget="autumn")
    document = Document(rules=(capped, budgeted), budgets=(Budget(code="autumn", name_zh="秋", name_en="autumn", total=120),))
    _, applied, _ = told(document, asked())
    assert {code: (one.wanted, one.given) for code, one in applied.items()} == {"capped": (300, 200), "budgeted": (300, 120)}
    _, applied, missed = told(document, asked(person=AskedPerson(account_kind="anonymous")))
    assert set(applied) == {"budgeted"}
    assert missed["capped"].why == "unregistered"
    book = Book(1, document, NAMES)
    assert {one.rule for one in simulate(book, SITE, asked(), free={}).applied} == {"capped"}


def test_lines_say_enough_or_are_refused():
    document = Document()
    by_amount = simulate(Book(1, document, NAMES), SITE, asked(AskedLine(product="92", amount_minor=20_000)))
    assert by_amount.lines[0].quantity_milli == 25_000
    article = simulate(Book(1, document, NAMES), SITE, asked(AskedLine(product="water", amount_minor=250, quantity_milli=2000)))
    assert article.lines[0].unit_price_e4 == 12_500
    for line, refusal in (
        (AskedLine(product="95"), ProductNotKnown),
        (AskedLine(product="92"), AmountNeeded),
        (AskedLine(product="topup"), AmountNeeded),
        (AskedLine(product="0", quantity_milli=1), PriceNotKnown),
    ):
        with pytest.raises(refusal):
            simulate(Book(1, document, NAMES), SITE, asked(line))


def test_a_top_up_is_one_line():
    document = Document(rules=(rule("load", Bonus(basis_points=1000), when=When(channels=(Channel.TOPUP,))),))
    found, applied, _ = told(document, asked(AskedLine(product="topup", amount_minor=100_000), channel=Channel.TOPUP))
    assert (found.bonus_minor, found.discount_minor, applied["load"].kind) == (10_000, 0, "bonus")
