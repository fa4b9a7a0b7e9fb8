"""What a card may take here and now: each limit at its edge, in each window, blocked or flagged."""

import json
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.clock import local_date
from loyalty.limits.compiling import LimitRow, compile_rows, next_change
from loyalty.limits.model import LimitKind, Reaction, Window
from loyalty.limits.rules import Compiled, LimitSet, Reason, compiled, judge, plate_key, used_in, window_start

STATION, DISTRICT, REGION, ELSEWHERE = (UUID(int=number) for number in range(1, 5))
THURSDAY = datetime(2026, 9, 24, 10, 15)  # noqa: DTZ001 - a station's local time
MEASURES = {"amount": 0, "quantity": 1, "count": 2}
REASONS = {"amount": Reason.AMOUNT, "quantity": Reason.QUANTITY, "count": Reason.COUNT}


def limits(**document) -> Compiled:
    return compiled(json.dumps(document, default=str))


def ask(own=None, defaults=None, **facts):
    asked = {
        "product_code": "92",
        "shop_category": None,
        "station": STATION,
        "district": DISTRICT,
        "region": REGION,
        "local_time": THURSDAY,
        "plate": None,
        "amount_minor": 0,
        "quantity_milli": 0,
        "counters": {},
    }
    asked |= facts
    return judge(own, defaults, used=used_in(asked.pop("counters")), **asked)


@pytest.mark.parametrize("reaction", ["block", "flag"])
@pytest.mark.parametrize("window", ["transaction", "day", "week", "month"])
@pytest.mark.parametrize("measure", ["amount", "quantity"])
@pytest.mark.parametrize("over", [-1, 0, 1])
def test_an_amount_or_quantity_may_reach_its_limit_and_not_pass_it(measure, window, reaction, over):
    used = 0 if window == "transaction" else 40_000
    limit = limits(windows=[{"window": window, "measure": measure, "value": 100_000, "reaction": reaction}])
    counters = dict.fromkeys(("day", "week", "month"), (40000, 40000, 1))
    wanted = {"amount": "amount_minor", "quantity": "quantity_milli"}[measure]
    judged = ask(limit, counters=counters, **{wanted: 100_000 - used + over})
    name = f"{window}.{measure}"
    remaining = judged.remaining_amount_minor if measure == "amount" else judged.remaining_quantity_milli
    if reaction == "flag":
        assert (judged.blocked, judged.flags, remaining) == (None, (name,) if over > 0 else (), None)
        return
    assert remaining == 100_000 - used
    assert judged.flags == ()
    if over > 0:
        assert judged.blocked == msgspec.structs.replace(
            judged.blocked, reason=REASONS[measure], limit=name, remaining=100_000 - used, partial=True
        )
    else:
        assert judged.blocked is None
    assert judged.binding == name


@pytest.mark.parametrize("reaction", ["block", "flag"])
@pytest.mark.parametrize("window", ["day", "week", "month"])
@pytest.mark.parametrize("used", [1, 2, 3, 4])
def test_a_count_allows_so_many_and_the_next_one_is_refused(window, reaction, used):
    limit = limits(windows=[{"window": window, "measure": "count", "value": 3, "reaction": reaction}])
    judged = ask(limit, counters={window: (0, 0, used)}, amount_minor=1)
    name = f"{window}.count"
    if reaction == "flag":
        assert (judged.blocked, judged.flags) == (None, (name,) if used >= 3 else ())
    elif used < 3:
        assert (judged.blocked, judged.remaining_count) == (None, 3 - used)
    else:
        assert (judged.blocked.reason, judged.blocked.limit, judged.blocked.partial) == (Reason.COUNT, name, False)
        assert (judged.remaining_amount_minor, judged.remaining_quantity_milli, judged.remaining_count) == (0, 0, 0)


@pytest.mark.parametrize("used", [99_999, 100_000, 100_001])
def test_an_open_amount_is_refused_only_when_nothing_is_left(used):
    limit = limits(windows=[{"window": "day", "measure": "amount", "value": 100_000}])
    judged = ask(limit, counters={"day": (used, 0, 1)})
    if used < 100_000:
        assert (judged.blocked, judged.remaining_amount_minor, judged.binding) == (None, 1, "day.amount")
    else:
        assert (judged.blocked.limit, judged.blocked.remaining, judged.blocked.partial) == ("day.amount", 0, False)
        assert judged.remaining_amount_minor == 0


WALLS = [
    ({"grades": ["92", "95"]}, {"product_code": "92"}, {"product_code": "0"}, Reason.GRADE),
    ({"grades": []}, {"product_code": None, "shop_category": "wash"}, {"product_code": "92"}, Reason.GRADE),
    ({"shop": ["wash"]}, {"product_code": None, "shop_category": "wash"}, {"product_code": None, "shop_category": "food"}, Reason.SHOP),
    ({"stations": [STATION]}, {}, {"station": ELSEWHERE}, Reason.PLACE),
    ({"districts": [DISTRICT]}, {}, {"district": ELSEWHERE}, Reason.PLACE),
    ({"districts": [DISTRICT]}, {}, {"district": None}, Reason.PLACE),
    ({"regions": [REGION]}, {}, {"region": ELSEWHERE}, Reason.PLACE),
    ({"plate": "京A·82K61"}, {"plate": "京a 82k61"}, {"plate": "京A82K62"}, Reason.PLATE_DIFFERS),
    ({"plate": "京A82K61"}, {"plate": "京A82K61"}, {"plate": None}, Reason.PLATE_NEEDED),
    ({"min_interval_s": 1800}, {"since_last_s": 1800}, {"since_last_s": 1799}, Reason.INTERVAL),
    ({"min_interval_s": 1800}, {"since_last_s": None}, {"since_last_s": 0}, Reason.INTERVAL),
]


@pytest.mark.parametrize(("document", "inside", "outside", "reason"), WALLS)
def test_a_wall_lets_pass_what_is_inside_and_blocks_or_flags_the_rest(document, inside, outside, reason):
    (name,) = document
    name = "min_interval" if name == "min_interval_s" else name
    assert ask(limits(**document), **inside).blocked is None
    judged = ask(limits(**document), **outside)
    assert (judged.blocked.reason, judged.blocked.limit, judged.remaining_amount_minor, judged.binding) == (reason, name, 0, name)
    flagged = ask(limits(**document, reactions={name: "flag"}), **outside)
    assert (flagged.blocked, flagged.flags) == (None, (name,))


def test_a_refusal_for_haste_says_how_long_to_wait():
    judged = ask(limits(min_interval_s=1800), since_last_s=1700)
    assert judged.blocked.wait_s == 100


@pytest.mark.parametrize(("quantity", "passes"), [(59_999, True), (60_000, True), (60_001, False)])
def test_more_than_the_tank_holds_is_blocked_or_flagged(quantity, passes):
    judged = ask(limits(tank_milli=60_000), quantity_milli=quantity)
    assert (judged.blocked is None, judged.remaining_quantity_milli, judged.binding_quantity) == (passes, 60_000, "tank")
    flagged = ask(limits(tank_milli=60_000, reactions={"tank": "flag"}), quantity_milli=quantity)
    assert (flagged.blocked, flagged.flags) == (None, () if passes else ("tank",))


HOURS = {"hours": [{"from": "06:00", "to": "22:00", "days": [1, 2, 3, 4, 5]}]}
NIGHT = {"hours": [{"from": "22:00", "to": "06:00", "days": [5]}]}


def at(day: int, hour: int, minute: int) -> datetime:
    """Return a local instant of September 2026; the 21st is a Monday."""
    return datetime(2026, 9, day, hour, minute)  # noqa: DTZ001 - a station's local time


@pytest.mark.parametrize(
    ("document", "local_time", "open_"),
    [
        (HOURS, at(24, 5, 59), False),
        (HOURS, at(24, 6, 0), True),
        (HOURS, at(24, 21, 59), True),
        (HOURS, at(24, 22, 0), False),
        (HOURS, at(26, 12, 0), False),
        (NIGHT, at(25, 21, 59), False),
        (NIGHT, at(25, 22, 0), True),
        (NIGHT, at(25, 23, 59), True),
        (NIGHT, at(26, 0, 0), True),
        (NIGHT, at(26, 5, 59), True),
        (NIGHT, at(26, 6, 0), False),
        (NIGHT, at(25, 5, 0), False),
        ({"hours": [{"from": "00:00", "to": "24:00", "days": [7]}]}, at(27, 23, 59), True),
        ({"hours": [{"from": "00:00", "to": "24:00", "days": [7]}]}, at(28, 0, 0), False),
        ({"hours": [{"from": "23:00", "to": "01:00", "days": [7]}]}, at(28, 0, 59), True),
        ({"hours": [{"from": "08:00", "to": "08:00", "days": [4]}]}, at(25, 7, 59), True),
        ({"hours": []}, at(24, 12, 0), False),
    ],
)
def test_hours_are_half_open_and_a_night_belongs_to_the_day_it_begins_on(document, local_time, open_):
    assert (ask(limits(**document), local_time=local_time).blocked is None) is open_


@pytest.mark.parametrize("bad", ["6:00", "24:01", "12:60", "noon", "12-00", ""])
def test_a_time_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match="time of day"):
        limits(hours=[{"from": bad, "to": "06:00"}])


@pytest.mark.parametrize("document", [{"unknown": 1}, {"windows": [{"window": "year", "measure": "amount", "value": 1}]}, {"grades": "92"}])
def test_a_document_with_anything_unknown_is_refused(document):
    with pytest.raises(msgspec.ValidationError):
        limits(**document)


def test_the_most_restrictive_wins_and_is_named():
    limit = limits(
        windows=[
            {"window": "month", "measure": "amount", "value": 500_000},
            {"window": "day", "measure": "amount", "value": 80_000},
            {"window": "transaction", "measure": "amount", "value": 50_000},
        ]
    )
    counters = {"month": (470_000, 0, 9), "day": (10_000, 0, 1)}
    judged = ask(limit, counters=counters, amount_minor=40_000)
    assert (judged.remaining_amount_minor, judged.blocked.limit, judged.blocked.remaining) == (30_000, "month.amount", 30_000)
    assert ask(limit, counters={}, amount_minor=40_000).binding == "transaction.amount"


def test_a_default_speaks_only_where_the_card_is_silent():
    defaults = limits(
        windows=[{"window": "day", "measure": "amount", "value": 100}, {"window": "day", "measure": "count", "value": 1}], grades=["92"]
    )
    own = limits(windows=[{"window": "day", "measure": "amount", "value": 900}])
    judged = ask(own, defaults, counters={"day": (100, 0, 0)}, amount_minor=800)
    assert (judged.blocked, judged.remaining_amount_minor, judged.remaining_count) == (None, 800, 1)
    assert ask(own, defaults, product_code="95").blocked.reason is Reason.GRADE
    assert ask(limits(grades=["95"]), defaults, product_code="95", amount_minor=101).blocked.limit == "day.amount"
    assert ask(None, defaults, counters={"day": (0, 0, 1)}).blocked.limit == "day.count"
    assert ask(limits(), defaults, counters={"day": (0, 0, 1)}).blocked.limit == "day.count"
    assert ask(own, limits(), amount_minor=901).blocked.limit == "day.amount"


def test_a_default_that_only_flags_stays_a_flag_beside_the_cards_own():
    judged = ask(
        limits(grades=["92"]),
        limits(tank_milli=50_000, reactions={"tank": "flag", "grades": "flag"}),
        product_code="0",
        quantity_milli=60_000,
    )
    assert (judged.blocked.reason, judged.flags) == (Reason.GRADE, ("tank",))


def test_no_limits_say_nothing():
    judged = ask()
    assert (judged.blocked, judged.flags, judged.remaining_amount_minor, judged.remaining_quantity_milli, judged.binding) == (
        None,
        (),
        None,
        None,
        None,
    )


def test_walls_speak_before_amounts_and_flags_are_told_with_a_block():
    limit = limits(grades=["92"], hours=[], reactions={"hours": "flag"}, windows=[{"window": "day", "measure": "amount", "value": 10}])
    judged = ask(limit, product_code="0", amount_minor=11)
    assert (judged.blocked.reason, judged.flags) == (Reason.GRADE, ("hours",))


@pytest.mark.parametrize(
    ("utc", "zone", "day", "week", "month"),
    [
        ("2026-09-30T15:59:59Z", "Asia/Shanghai", "2026-09-30", "2026-09-28", "2026-09-01"),
        ("2026-09-30T16:00:00Z", "Asia/Shanghai", "2026-10-01", "2026-09-28", "2026-10-01"),
        ("2026-10-04T15:59:59Z", "Asia/Shanghai", "2026-10-04", "2026-09-28", "2026-10-01"),
        ("2026-10-04T16:00:00Z", "Asia/Shanghai", "2026-10-05", "2026-10-05", "2026-10-01"),
        ("2026-12-31T22:59:59Z", "Europe/Prague", "2026-12-31", "2026-12-28", "2026-12-01"),
        ("2026-12-31T23:00:00Z", "Europe/Prague", "2027-01-01", "2026-12-28", "2027-01-01"),
        ("2026-10-24T22:00:00Z", "Europe/Prague", "2026-10-25", "2026-10-19", "2026-10-01"),
        ("2026-10-25T22:59:59Z", "Europe/Prague", "2026-10-25", "2026-10-19", "2026-10-01"),
        ("2026-10-25T23:00:00Z", "Europe/Prague", "2026-10-26", "2026-10-26", "2026-10-01"),
    ],
)
def test_windows_begin_at_the_stations_midnight_on_monday_and_on_the_first(utc, zone, day, week, month):
    local = local_date(datetime.fromisoformat(utc), zone)
    assert [window_start(window, local).isoformat() for window in ("day", "week", "month")] == [day, week, month]


def test_across_midnight_the_days_allowance_begins_anew_and_the_months_does_not():
    limit = limits(windows=[{"window": "day", "measure": "amount", "value": 500}, {"window": "month", "measure": "amount", "value": 800}])
    stored: dict[tuple[str, date], int] = {}

    def spend(utc: datetime, amount: int):
        day = local_date(utc, "Asia/Shanghai")
        keys = {window: (window, window_start(window, day)) for window in ("day", "month")}
        judged = ask(limit, counters={window: (stored.get(key, 0), 0, 0) for window, key in keys.items()}, amount_minor=amount)
        if judged.blocked is None:
            for key in keys.values():
                stored[key] = stored.get(key, 0) + amount
        return judged

    before = datetime(2026, 9, 29, 15, 59, 59, tzinfo=UTC)
    assert spend(before, 500).blocked is None
    assert spend(before, 1).blocked.limit == "day.amount"
    assert spend(before + timedelta(seconds=1), 301).blocked.limit == "month.amount"
    assert spend(before + timedelta(seconds=1), 300).blocked is None
    assert spend(before + timedelta(days=1, seconds=1), 500).blocked is None


def test_plates_are_compared_without_the_marks_people_write_differently():
    assert plate_key("京A·82K61") == plate_key(" 京a-82k61 ") == "京A82K61"


@given(
    st.lists(st.tuples(st.sampled_from(list(Window)), st.sampled_from(["amount", "quantity"]), st.integers(0, 10**6)), max_size=6),
    st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 100)),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
def test_what_is_said_to_remain_passes_and_one_more_does_not(entries, used, amount, quantity):
    limit = limits(windows=[{"window": window, "measure": measure, "value": value} for window, measure, value in entries])
    counters = {"day": used, "week": used, "month": used}
    judged = ask(limit, counters=counters, amount_minor=amount, quantity_milli=quantity)
    if judged.blocked is not None and not judged.blocked.partial:
        assert (judged.remaining_amount_minor, judged.remaining_quantity_milli) == (0, 0)
        return
    most = {"amount_minor": judged.remaining_amount_minor or 0, "quantity_milli": judged.remaining_quantity_milli or 0}
    assert ask(limit, counters=counters, **most).blocked is None
    for name, remaining in (("amount_minor", judged.remaining_amount_minor), ("quantity_milli", judged.remaining_quantity_milli)):
        if remaining is not None:
            assert ask(limit, counters=counters, **{name: remaining + 1}).blocked.remaining == remaining


def row(kind: LimitKind, **facts) -> LimitRow:
    said = {
        "window": None,
        "value": None,
        "codes": None,
        "days": None,
        "from_time": None,
        "to_time": None,
        "reaction": Reaction.BLOCK,
        "valid_from": datetime(2026, 9, 1, tzinfo=UTC),
        "valid_to": None,
    }
    return LimitRow(kind=kind, **(said | facts))


NOW = datetime(2026, 9, 24, 2, 15, tzinfo=UTC)


def test_rows_of_one_kind_become_the_strictest_document():
    rows = [
        row(LimitKind.GRADES, codes=("92", "95")),
        row(LimitKind.GRADES, codes=("95", "98")),
        row(LimitKind.STATIONS, codes=(str(STATION),)),
        row(LimitKind.HOURS, from_time=time(6), to_time=time(12)),
        row(LimitKind.HOURS, from_time=time(22), to_time=time(0), days=(5,)),
        row(LimitKind.TANK, value=80_000, reaction=Reaction.FLAG),
        row(LimitKind.TANK, value=60_000, reaction=Reaction.FLAG),
        row(LimitKind.MIN_INTERVAL, value=600, reaction=Reaction.FLAG),
        row(LimitKind.MIN_INTERVAL, value=1800),
        row(LimitKind.PLATE, codes=("京A82K61",)),
        row(LimitKind.AMOUNT, window=Window.DAY, value=100, reaction=Reaction.FLAG),
    ]
    document = compile_rows(rows, now=NOW)
    assert (document.grades, document.stations, document.plate) == (("95",), (STATION,), "京A82K61")
    assert (document.tank_milli, document.min_interval_s) == (60_000, 1800)
    assert [(span.from_, span.to, span.days) for span in document.hours] == [
        ("06:00", "12:00", (1, 2, 3, 4, 5, 6, 7)),
        ("22:00", "00:00", (5,)),
    ]
    assert document.reactions == {LimitKind.TANK: Reaction.FLAG}
    assert msgspec.json.decode(msgspec.json.encode(document), type=LimitSet) == document
    assert Compiled(document).flagged[0][3] == "day.amount"


@pytest.mark.parametrize(("offset", "stands"), [(-1, False), (0, True), (3599, True), (3600, False)])
def test_a_row_stands_from_its_first_instant_up_to_its_last(offset, stands):
    rows = [row(LimitKind.TANK, value=1, valid_from=NOW, valid_to=NOW + timedelta(hours=1))]
    instant = NOW + timedelta(seconds=offset)
    assert (compile_rows(rows, now=instant).tank_milli == 1) is stands
    expected = NOW if offset < 0 else NOW + timedelta(hours=1) if offset < 3600 else None
    assert next_change(rows, now=instant) == expected


def test_equal_documents_are_compiled_once():
    text = json.dumps({"grades": ["92"]})
    assert compiled(text) is compiled(str(text))
    assert compiled("{}").quiet
