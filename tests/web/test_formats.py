"""Figures and times as a reader sees them."""

from datetime import date, timedelta

import pytest

from loyalty.web import formats
from loyalty.web.formats import NOTHING, Formats, masked, plate
from loyalty.web.i18n import language

ZONE = "Asia/Shanghai"


@pytest.fixture
def zh(now):
    return Formats(language("zh_CN"), ZONE, now)


@pytest.fixture
def en(now):
    return Formats(language("en"), ZONE, now)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (123450, "CNY", "¥1,234.50"),
        (-440, "CNY", "−¥4.40"),
        (0, "CNY", "¥0.00"),
        (5, "CNY", "¥0.05"),
        (123450, "CZK", "CZK\u00a01,234.50"),
        (1234, "JPY", "JPY\u00a01,234"),
        (1_234_567, "KWD", "KWD\u00a01,234.567"),
        (1500, "POINTS", "1,500"),
        (None, "CNY", NOTHING),
    ],
)
def test_money_carries_sign_and_currency(zh, en, amount_minor, currency, text):
    assert zh.money(amount_minor, currency) == en.money(amount_minor, currency) == text


def test_a_gain_is_marked_when_asked(zh):
    assert (zh.money(100, sign=True), zh.money(0, sign=True), zh.money(-100, sign=True)) == ("+¥1.00", "¥0.00", "−¥1.00")


def test_quantities_show_a_third_decimal_only_where_it_says_something(zh, en):
    assert zh.quantity(22000) == "22.00\u00a0升"
    assert en.quantity(22005) == "22.005\u00a0L"
    assert en.quantity(-1500, "kg") == "−1.50\u00a0kg"
    assert en.quantity(18_420_000, None, digits=0) == "18,420"


def test_prices_keep_the_precision_they_have(zh):
    assert zh.unit_price(83700) == "¥8.37/升"
    assert zh.unit_price(83750, unit=None) == "¥8.375"
    assert zh.unit_price(83755, unit=None) == "¥8.3755"


def test_percent_reads_basis_points(zh):
    assert (zh.percent(410), zh.percent(-35, sign=True)) == ("4.1%", "−0.3%")


@pytest.mark.parametrize(
    ("ago", "chinese", "english"),
    [
        (timedelta(seconds=5), "刚刚", "just now"),
        (timedelta(minutes=1), "1 分钟前", "1 minute ago"),
        (timedelta(minutes=12), "12 分钟前", "12 minutes ago"),
        (timedelta(hours=3), "今天 07:15", "today 07:15"),
        (timedelta(hours=11), "昨天 23:15", "yesterday 23:15"),
        (timedelta(days=3), "9月21日 10:15", "21 Sep 10:15"),
        (timedelta(days=366), "2025年9月23日 10:15", "23 Sep 2025 10:15"),
        (-timedelta(days=1), "明天 10:15", "tomorrow 10:15"),
        (-timedelta(hours=1), "今天 11:15", "today 11:15"),
    ],
)
def test_times_are_the_stations_and_relative_within_a_day(zh, en, now, ago, chinese, english):
    assert (zh.when(now - ago), en.when(now - ago)) == (chinese, english)


def test_kept_times_are_whole(zh, now):
    assert zh.instant(now) == "2026-09-24 10:15:00"
    assert zh.full_day(now) == "2026年9月24日"
    assert zh.month(date(2026, 9, 1)) == "2026年9月"
    assert zh.machine(now) == "2026-09-24T10:15:00+08:00"


def test_durations_are_said_in_two_units(en):
    assert [en.duration(seconds) for seconds in (45, 130, 7500, 273_600)] == ["45 s", "2 min", "2 h 5 min", "3 d 4 h"]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [("京A82K61", "京A·82K61"), ("京ad05512", "京A·D05512"), ("京A·82K61", "京A·82K61"), ("5B2 1234", "5B2 1234"), ("", "")],
)
def test_plates_are_written_as_they_are_read(typed, shown):
    assert plate(typed) == shown


def test_a_card_is_known_by_its_last_four_digits():
    assert masked("8810000000004417") == f"{formats.DOTS} 4417"
