"""Which counters the pump's read fetches: those that a fill at these stations can ask for."""

from loyalty.pricing.compiling import cap_id
from loyalty.pricing.document import Cap, Fixed, Mode, Nth, Of, Per

from .books import NAMES, book, group, rule

DAILY = (Cap(per=Per.DAY, of=Of.CARD, amount=500),)
OFF = Fixed(amount_minor=100)
WHICH = book(
    group("g", Mode.STACK, caps=(Cap(per=Per.MONTH, of=Of.ACCOUNT, amount=900), Cap(per=Per.TRANSACTION, amount=50))),
    rule(OFF, "first", stations=("s1",), caps=DAILY),
    rule(OFF, "second", stations=("s2",), caps=DAILY),
    rule(OFF, "third", districts=("d1",), nth=Nth(count=3, of=Of.CARD)),
    rule(OFF, "plain", stations=("s1",)),
)
GROUP, FIRST, SECOND = cap_id("group:g", Of.ACCOUNT, Per.MONTH), cap_id("first", Of.CARD, Per.DAY), cap_id("second", Of.CARD, Per.DAY)
THIRD = cap_id("third", Of.CARD, Per.EVER, nth=True)


def test_a_station_asks_for_its_own_counters_and_those_that_are_no_stations():
    one, other = NAMES.stations["s1"], NAMES.stations["s2"]
    assert set(WHICH.counters_at([one])) == {GROUP, FIRST, THIRD}
    assert set(WHICH.counters_at([other])) == {GROUP, SECOND, THIRD}


def test_a_batch_of_several_stations_asks_for_each_of_them_once():
    both = WHICH.counters_at(NAMES.stations.values())
    assert sorted(both) == list(WHICH.counters)
