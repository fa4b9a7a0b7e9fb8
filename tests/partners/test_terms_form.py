"""Any terms pass through their form whole; rows move about without losing a field; a version says all that it changes, and nothing else."""

from datetime import date

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.web.i18n import language
from loyalty.web.office.reading import Form
from partners.comparing import NEW, differences
from partners.rules import (
    WHOLE,
    Band,
    Benefit,
    BenefitKind,
    Funder,
    LossBy,
    Mode,
    Offline,
    Settlement,
    Standing,
    Terms,
    faults_of,
    holds_on,
    next_after,
)
from partners.web.office.terms_typed import COUNT, Drafted, Reading, count_of, moved_to, places_of, rearranged, typed_of
from partners.web.office.wording import FIELD

AMOUNTS = st.none() | st.integers(1, 10**12)
WORDS = st.text(st.sampled_from("abc 油站，"), min_size=1, max_size=12).map(str.strip).filter(bool)
CODES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)


@st.composite
def funders(draw):
    who = draw(st.lists(st.sampled_from(["issuer", "partner", "brand:oil", "brand:tyres"]), unique=True, max_size=4))
    # The form draws us and the partner first.
    who.sort(key=["issuer", "partner", "brand:oil", "brand:tyres"].index)
    return [Funder(code, draw(st.integers(1, WHOLE))) for code in who]


BENEFITS = st.builds(
    Benefit,
    code=CODES,
    kind=st.sampled_from(BenefitKind),
    name_zh=WORDS,
    name_en=WORDS,
    funders=funders(),
    commission=st.none() | st.integers(0, WHOLE),
    share=st.none() | st.integers(1, WHOLE),
    amount_minor=AMOUNTS,
    voucher_kind=st.none() | CODES,
    limit_total=st.none() | st.integers(1, 10**6),
    limit_each_month=st.none() | st.integers(1, 10**6),
    plate_bound=st.booleans(),
    cover_minor=AMOUNTS,
    bands=st.lists(st.builds(Band, premium_minor=st.integers(1, 10**12), months=st.integers(1, 600)), max_size=4),
    purpose=st.none() | CODES,
    terms_zh=WORDS | st.just(""),
    terms_en=WORDS | st.just(""),
)
SETTLEMENTS = st.builds(
    Settlement,
    mode=st.sampled_from(Mode),
    statement_day=st.integers(1, 28),
    pay_within_days=st.integers(0, 180),
    low_minor=AMOUNTS,
)
TERMS = st.builds(
    Terms,
    benefits=st.lists(BENEFITS, max_size=4),
    commission=st.integers(0, WHOLE),
    settlement=SETTLEMENTS,
    cap_month_minor=AMOUNTS,
    offline=st.none()
    | st.builds(
        Offline,
        worth_minor=st.integers(1, 10**11),
        amount_minor=st.integers(1, 10**12),
        uses=st.integers(1, 500),
        list_hours=st.integers(1, 24),
        token_hours=st.integers(1, 72),
        loss_by=st.sampled_from(LossBy),
    ),
    note=WORDS | st.just(""),
)
DAYS = st.dates(date(2026, 1, 1), date(2030, 1, 1))


class Desk:
    """As much of a desk as a form is read by."""

    def __init__(self, typed):
        self.words = language("en")
        self.form = Form(typed, self.words, "Asia/Shanghai")
        self.gettext = self.words.gettext


def read(typed, currency="CNY"):
    desk = Desk(typed)
    return Reading(desk, currency).drafted(), desk.form.faults


def form_of(terms, first=date(2026, 9, 1), end=None, currency="CNY"):
    return typed_of(Drafted(first, end, terms), currency=currency, zone="Asia/Shanghai")


@settings(max_examples=60, deadline=None)
@given(TERMS, DAYS, st.none() | st.integers(1, 900), st.sampled_from(["CNY", "JPY"]))
def test_any_terms_come_back_from_their_form_as_they_were(terms, first, length, currency):
    end = None if length is None else date.fromordinal(first.toordinal() + length)
    drafted = Drafted(first, end, terms)
    assert read(typed_of(drafted, currency=currency, zone="Asia/Shanghai"), currency) == (drafted, [])


@settings(max_examples=60, deadline=None)
@given(st.lists(BENEFITS, min_size=1, max_size=5), st.sampled_from(["up", "down", "remove"]), st.integers(0, 6))
def test_rows_move_about_whole(benefits, verb, place):
    drafted, faults = read(rearranged(form_of(Terms(benefits=benefits)), f"{verb}-{place}"))
    assert faults == []
    wanted = list(benefits)
    if verb == "remove" and place < len(wanted):
        del wanted[place]
    if verb in {"up", "down"}:
        other = place + (1 if verb == "down" else -1)
        if place < len(wanted) and 0 <= other < len(wanted):
            wanted[place], wanted[other] = wanted[other], wanted[place]
    assert drafted.terms.benefits == wanted


def test_a_row_is_added_empty_at_the_end_and_gets_the_focus():
    typed = rearranged(form_of(Terms(benefits=[])), "add")
    assert (count_of(typed), moved_to("add", 1)) == (1, 0)
    assert {name for _name, name in ((None, each) for each in typed) if name.startswith("b0-")} == set()
    drafted, faults = read(typed)
    assert drafted is None
    assert {name for name, _label, _said in faults} == {"b0-kind", "b0-name_zh", "b0-name_en"}


def test_what_cannot_be_read_is_said_at_its_field_and_what_is_only_missing_is_read():
    typed = form_of(Terms(benefits=[]))
    _drafted, faults = read(typed | {"commission": ["forty"], "statement_day": ["31"], "last_day": ["2026-08-01"]})
    assert {name for name, _label, _said in faults} == {"commission", "statement_day", "last_day"}
    short = {COUNT: ["1"], "b0-kind": ["insurance"], "b0-name_zh": ["险"], "b0-name_en": ["Cover"], "b0-issuer": ["60"]}
    drafted, faults = read(typed | short)
    assert faults == []
    (one,) = drafted.terms.benefits
    assert (one.code, one.funders) == ("insurance-1", [Funder("issuer", 6_000)])
    places = {name for name, _fault in places_of(faults_of(drafted.terms), drafted.terms)}
    assert places == {"b0-issuer", "b0-band0-premium", "b0-purpose"}


def test_codes_and_brands_that_cannot_be_are_said_at_their_fields():
    row = {COUNT: ["1"], "b0-kind": ["discount"], "b0-name_zh": ["折"], "b0-name_en": ["Off"], "b0-share": ["10"]}
    wrong = {"b0-code": ["Ä b"], "b0-brand0-name": ["two words"], "b0-brand0-share": ["50"], "b0-brand1-share": ["50"]}
    _drafted, faults = read(form_of(Terms(benefits=[])) | row | wrong)
    assert {name for name, _label, _said in faults} == {"b0-code", "b0-brand0-name", "b0-brand1-name"}


@settings(max_examples=60, deadline=None)
@given(TERMS, TERMS)
def test_what_changes_is_all_that_differs(before, after):
    before, after = (
        msgspec.structs.replace(one, benefits=list({each.code: each for each in one.benefits}.values())) for one in (before, after)
    )
    assert differences(before, before) == []
    found = differences(before, after)
    was = {one.code: one for one in before.benefits}
    becomes = {one.code: one for one in after.benefits}
    assert {one.benefit for one in found if one.benefit and one.field == NEW} == set(was) ^ set(becomes)
    for one in found:
        assert one.before != one.after
        if one.benefit and one.field != NEW:
            was[one.benefit] = msgspec.structs.replace(was[one.benefit], **{one.field: one.after})
        elif one.benefit:
            was.pop(one.benefit, None)
            was |= {one.benefit: one.after} if one.after else {}
    assert was == becomes, "whoever applies what is said has the later version"
    own = {one.field: one.after for one in found if one.benefit is None}
    alone = {name: own.pop(f"offline_{name}") for name in Offline.__struct_fields__ if f"offline_{name}" in own}
    if alone:
        own["offline"] = (
            msgspec.convert({**(msgspec.structs.asdict(before.offline) if before.offline else {}), **alone}, Offline)
            if any(value is not None for value in alone.values())
            else None
        )
    settled = {name: own.pop(name) for name in list(own) if name in Settlement.__struct_fields__}
    rebuilt = msgspec.structs.replace(
        before, settlement=msgspec.structs.replace(before.settlement, **settled), benefits=after.benefits, **own
    )
    assert rebuilt == after


@given(st.lists(st.tuples(DAYS, st.none() | st.integers(1, 400)), max_size=6), DAYS)
def test_what_comes_next_is_what_then_holds(spans, day):
    standing = [
        Standing(None, number, first, None if length is None else date.fromordinal(first.toordinal() + length))
        for number, (first, length) in enumerate(spans, start=1)
    ]
    coming = next_after(standing, day)
    if coming is None:
        assert all(one.first <= day for one in standing)
    else:
        assert coming.first > day
        assert holds_on(standing, coming.first) == coming


def test_every_field_of_the_terms_has_its_name():
    fields = {*Terms.__struct_fields__, *Settlement.__struct_fields__, *Benefit.__struct_fields__}
    assert fields - set(FIELD) == {"benefits", "settlement", "offline", "code"}
    assert {f"offline_{name}" for name in Offline.__struct_fields__} <= set(FIELD)
