"""A rulebook's life: drafted part by part, submitted, approved by somebody else, live at its time, cancelled, gone back to."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select, text

from loyalty import revisions
from loyalty.audit.model import Actor, ActorKind, AuditEntry
from loyalty.identity import operations as identity
from loyalty.pricing.document import Document, Fixed, Mode, Percent
from loyalty.pricing.merging import Choice, How, changes_between, merge
from loyalty.pricing.model import BOOK_MOVES, BookStatus
from loyalty.pricing.operations import approvals, drafts
from loyalty.pricing.operations.budgets import BudgetBelowUse
from loyalty.pricing.ordering import members, moved
from loyalty.pricing.queries import books
from tests.factories.world import make_world
from tests.pricing.documents import budget, campaign, group, rule

MINUTE = timedelta(minutes=1)
SYSTEM = Actor(ActorKind.SYSTEM, "tests")


@pytest.fixture
async def people(session, now):
    """Return two members of staff who know these codes' chain."""
    await make_world(session, now=now)
    made = []
    for number in ("1001", "1002"):
        staff_id = await identity.hire(session, employee_number=number, name=f"员工{number}", by=None, now=now)
        made.append(Actor(ActorKind.STAFF, UUID(str(staff_id))))
    return made


class Editor:
    """A draft under somebody's hands: keeps the version."""

    def __init__(self, session, actor, number, now, version=1):
        self.session, self.actor, self.number, self.now, self.version = session, actor, number, now, version

    async def put(self, verb, **part):
        operation = getattr(drafts, verb)
        self.version = await operation(self.session, number=self.number, version=self.version, actor=self.actor, now=self.now, **part)

    async def book(self):
        return await books.get_book(self.session, number=self.number)


async def started(session, actor, now, **more) -> Editor:
    number = await drafts.start_draft(session, note="秋季", actor=actor, now=now, **more)
    return Editor(session, actor, number, now)


async def live(session, people, now, *rules, **document) -> int:
    """Draft, submit and approve rules; they are live a minute later."""
    maker, checker = people
    draft = await started(session, maker, now, empty=True)
    await draft.put("replace_document", document=Document(rules=rules or (rule(),), **document))
    await approvals.submit(session, number=draft.number, version=draft.version, actor=maker, now=now)
    await approvals.approve(session, number=draft.number, version=draft.version, actor=checker, now=now)
    return draft.number


async def test_a_draft_is_made_part_by_part_and_every_change_is_an_event(session, people, now):
    draft = await started(session, people[0], now)
    await draft.put("put_group", group=group(mode=Mode.BEST))
    await draft.put("put_budget", budget=budget())
    await draft.put("put_campaign", campaign=campaign())
    await draft.put("put_rule", rule=rule(group="fuel", budget="autumn", campaign="thanks"))
    await draft.put("put_rule", rule=rule(effect=Percent(basis_points=500), group="fuel"))
    await draft.put("describe_draft", note="十月")
    book = await draft.book()
    assert (book.status, book.version, book.note, book.rules) == (BookStatus.DRAFT, 7, "十月", 1)
    assert book.document.rules == (rule(effect=Percent(basis_points=500), group="fuel"),)
    assert [one.code for one in book.document.groups] == ["fuel"]
    events = await books.events_of(session, number=draft.number)
    assert [event.facts.get("put") for event in events] == [
        None,
        "groups/fuel",
        "budgets/autumn",
        "campaigns/thanks",
        "rules/per-litre",
        "rules/per-litre",
        None,
    ]
    assert {event.staff_name for event in events} == {"员工1001"}
    trail = await session.scalars(select(AuditEntry.action).where(AuditEntry.subject_id == str(draft.number)))
    assert set(trail) == {"pricing.rulebook_started", "pricing.rulebook_changed"}


async def test_parts_are_taken_out_and_a_groups_members_go_up(session, people, now):
    draft = await started(session, people[0], now)
    document = Document(
        rules=(rule("a", group="in"), rule("b", group="out")),
        groups=(group("in", group="out"), group("out")),
        budgets=(budget(),),
        campaigns=(campaign(),),
    )
    await draft.put("replace_document", document=document)
    await draft.put("remove_group", code="out")
    await draft.put("remove_group", code="in")
    await draft.put("remove_rule", code="b")
    await draft.put("remove_budget", code="autumn")
    await draft.put("remove_campaign", code="thanks")
    assert (await draft.book()).document == Document(rules=(rule("a"),))
    for verb in ("remove_rule", "remove_group", "remove_budget", "remove_campaign"):
        with pytest.raises(drafts.PartNotFound):
            await draft.put(verb, code="gone")


async def test_two_editors_do_not_overwrite_each_other(session, people, now):
    draft = await started(session, people[0], now)
    await draft.put("put_rule", rule=rule("a"))
    with pytest.raises(drafts.DraftChanged) as refused:
        await drafts.put_rule(session, number=draft.number, version=1, rule=rule("b"), actor=people[1], now=now)
    assert "1" in refused.value.sentence("en")
    assert [one.code for one in (await draft.book()).document.rules] == ["a"]


async def test_a_new_part_needs_a_code_of_its_own(session, people, now):
    draft = await started(session, people[0], now)
    await draft.put("put_rule", rule=rule("a"), new=True)
    for verb, part in (("put_rule", {"rule": rule("a")}), ("put_group", {"group": group("a")})):
        with pytest.raises(drafts.PartCodeTaken):
            await draft.put(verb, **part, new=True)


async def test_a_value_out_of_range_never_gets_into_a_draft(session, people, now):
    draft = await started(session, people[0], now)
    with pytest.raises(drafts.DocumentNotSound):
        await draft.put("put_rule", rule=rule(effect=Fixed(amount_minor=-5)))
    with pytest.raises(drafts.DocumentNotSound):
        await draft.put("put_rule", rule=rule("Not A Code"))


async def test_only_a_draft_is_changed(session, people, now):
    number = await live(session, people, now)
    with pytest.raises(drafts.NotADraft):
        await drafts.put_rule(session, number=number, version=2, rule=rule("b"), actor=people[0], now=now)
    with pytest.raises(books.RulebookNotFound):
        await drafts.put_rule(session, number=999_999, version=1, rule=rule("b"), actor=people[0], now=now)


async def test_the_first_is_approved_by_a_second_person_and_live_a_minute_later(session, people, now):
    maker, checker = people
    before = (await revisions.current(session))[revisions.Kind.RULE]
    draft = await started(session, maker, now)
    await draft.put("put_rule", rule=rule())
    await approvals.submit(session, number=draft.number, version=draft.version, actor=maker, now=now)
    with pytest.raises(approvals.SecondPersonNeeded):
        await approvals.approve(session, number=draft.number, version=draft.version, actor=maker, now=now)
    with pytest.raises(approvals.SecondPersonNeeded):
        await approvals.approve(session, number=draft.number, version=draft.version, actor=SYSTEM, now=now)
    at = await approvals.approve(session, number=draft.number, version=draft.version, actor=checker, now=now)
    assert at == now + MINUTE
    book = await draft.book()
    assert (book.status, book.submitted_by, book.approved_by, book.activates_at) == (
        BookStatus.APPROVED,
        maker.staff_id,
        checker.staff_id,
        at,
    )
    assert book.document.rules[0].revision == draft.number
    assert (await revisions.current(session))[revisions.Kind.RULE] > before
    assert await books.live_at(session, instant=now) is None
    found = await books.live_at(session, instant=at)
    assert found is not None
    assert found.number == draft.number
    assert [one.number for one in await books.upcoming(session, now=now)] == [draft.number]
    assert [event.moved_to for event in await books.events_of(session, number=draft.number)] == ["draft", "draft", "submitted", "approved"]


async def test_the_database_itself_wants_two_people(session, people, now):
    number = await live(session, people, now)
    with pytest.raises(Exception, match="four_eyes"):
        await session.execute(text("UPDATE rulebooks SET approved_by = submitted_by WHERE number = :number"), {"number": number})


async def test_a_rulebook_with_faults_is_not_submitted_and_they_are_named(session, people, now):
    draft = await started(session, people[0], now)
    await draft.put("put_rule", rule=rule(group="gone", budget="gone"))
    with pytest.raises(approvals.RulebookHasFaults) as refused:
        await approvals.submit(session, number=draft.number, version=draft.version, actor=people[0], now=now)
    assert [fault.fault for fault in refused.value.faults] == ["unknown_group", "unknown_budget"]
    assert "gone" in refused.value.sentence("en")
    assert (await draft.book()).status is BookStatus.DRAFT


async def test_what_is_sent_back_is_a_draft_again_with_its_reason(session, people, now):
    maker, checker = people
    draft = await started(session, maker, now)
    await draft.put("put_rule", rule=rule())
    await approvals.submit(session, number=draft.number, version=draft.version, actor=maker, now=now)
    await approvals.send_back(session, number=draft.number, reason="太多了", actor=checker, now=now)
    book = await draft.book()
    assert (book.status, book.submitted_by) == (BookStatus.DRAFT, None)
    assert (await books.events_of(session, number=draft.number))[-1].note == "太多了"
    await draft.put("put_rule", rule=rule(effect=Fixed(amount_minor=100)))


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=59), timedelta(days=-1)])
async def test_a_time_less_than_a_minute_ahead_is_refused(session, people, now, ahead):
    draft = await started(session, people[0], now)
    await draft.put("put_rule", rule=rule())
    await approvals.submit(session, number=draft.number, version=draft.version, actor=people[0], now=now)
    with pytest.raises(approvals.ActivatesTooSoon):
        await approvals.approve(session, number=draft.number, version=draft.version, activates_at=now + ahead, actor=people[1], now=now)


async def test_a_draft_made_before_another_was_approved_brings_its_changes_in_first(session, people, now):
    first = await live(session, people, now, rule("a"), rule("b"))
    mine = await started(session, people[0], now)
    await mine.put("put_rule", rule=rule("a", Fixed(amount_minor=100)))
    theirs = await started(session, people[1], now)
    await theirs.put("put_rule", rule=rule("c"))
    await theirs.put("remove_rule", code="b")
    later = now + timedelta(hours=1)
    await approvals.submit(session, number=theirs.number, version=theirs.version, actor=people[1], now=later)
    await approvals.approve(session, number=theirs.number, version=theirs.version, actor=people[0], now=later)
    with pytest.raises(approvals.RulebookBehind):
        await approvals.submit(session, number=mine.number, version=mine.version, actor=people[0], now=later)
    await mine.put("rebase")
    book = await mine.book()
    assert (book.base, [one.code for one in book.document.rules]) == (theirs.number, ["a", "c"])
    assert book.document.rules[0].effect == Fixed(amount_minor=100)
    assert first < theirs.number


async def test_both_having_changed_a_rule_somebody_chooses(session, people, now):
    await live(session, people, now, rule("a"))
    mine = await started(session, people[0], now)
    await mine.put("put_rule", rule=rule("a", Fixed(amount_minor=1)))
    theirs = await started(session, people[1], now)
    await theirs.put("put_rule", rule=rule("a", Fixed(amount_minor=2)))
    later = now + timedelta(hours=1)
    await approvals.submit(session, number=theirs.number, version=theirs.version, actor=people[1], now=later)
    await approvals.approve(session, number=theirs.number, version=theirs.version, actor=people[0], now=later)
    with pytest.raises(drafts.ChangesConflict) as refused:
        await mine.put("rebase")
    assert [(one.section, one.code) for one in refused.value.conflicts] == [("rules", "a")]
    await mine.put("rebase", choices={("rules", "a"): Choice.MINE})
    assert (await mine.book()).document.rules[0].effect == Fixed(amount_minor=1)


async def test_a_scheduled_rulebook_is_cancelled_before_its_time_and_its_budgets_go_back(session, people, now):
    maker, checker = people
    await live(session, people, now, rule(budget="autumn"), budgets=(budget(total=1000),))
    later = now + timedelta(hours=1)
    draft = await started(session, maker, later)
    await draft.put("put_budget", budget=budget(total=9000))
    await approvals.submit(session, number=draft.number, version=draft.version, actor=maker, now=later)
    at = later + timedelta(days=1)
    await approvals.approve(session, number=draft.number, version=draft.version, activates_at=at, actor=checker, now=later)
    assert (await books.budget_states(session))["autumn"].total == 9000
    await approvals.cancel(session, number=draft.number, reason="推迟", actor=maker, now=later)
    assert (await draft.book()).status is BookStatus.CANCELLED
    assert (await books.budget_states(session))["autumn"].total == 1000
    again = await started(session, maker, later, source=draft.number)
    assert changes_between((await draft.book()).document, (await again.book()).document) == []


async def test_what_is_live_is_not_cancelled_and_what_others_built_on_neither(session, people, now):
    first = await live(session, people, now)
    with pytest.raises(approvals.AlreadyLive):
        await approvals.cancel(session, number=first, reason="x", actor=people[0], now=now + MINUTE)
    second = await started(session, people[0], now)
    await second.put("put_rule", rule=rule("b"))
    await approvals.submit(session, number=second.number, version=second.version, actor=people[0], now=now)
    with pytest.raises(approvals.LaterBookStands):
        await approvals.approve(session, number=second.number, version=second.version, actor=people[1], now=now)
    await approvals.approve(session, number=second.number, version=second.version, activates_at=now + 2 * MINUTE, actor=people[1], now=now)
    with pytest.raises(approvals.LaterBookStands):
        await approvals.cancel(session, number=first, reason="x", actor=people[0], now=now)


async def test_going_back_is_approving_an_earlier_document_again(session, people, now):
    first = await live(session, people, now, rule("a"))
    later = now + timedelta(hours=1)
    await live(session, people, later, rule("b"))
    back = await started(session, people[0], later, source=first)
    assert [one.code for one in (await back.book()).document.rules] == ["a"]
    await approvals.submit(session, number=back.number, version=1, actor=people[0], now=later)
    await approvals.approve(session, number=back.number, version=1, activates_at=later + 2 * MINUTE, actor=people[1], now=later)
    found = await books.live_at(session, instant=later + 2 * MINUTE)
    assert found is not None
    assert [one.code for one in found.document.rules] == ["a"]
    assert [(change.code, change.how) for change in await books.difference(session, before=found.base, after=found.number)] == [
        ("a", How.ADDED),
        ("b", How.REMOVED),
    ]


async def test_a_budget_smaller_than_what_is_used_is_refused(session, people, now):
    await live(session, people, now, rule(budget="autumn"), budgets=(budget(total=1000),))
    await session.execute(text("UPDATE budget_shares SET used = 100 WHERE share = 0"))
    later = now + timedelta(hours=1)
    draft = await started(session, people[0], later)
    await draft.put("put_budget", budget=budget(total=99))
    with pytest.raises(approvals.RulebookHasFaults) as refused:
        await approvals.submit(session, number=draft.number, version=draft.version, actor=people[0], now=later)
    assert [fault.fault for fault in refused.value.faults] == ["budget_below_used"]
    assert issubclass(BudgetBelowUse, Exception)


async def test_a_discarded_draft_stays_readable_and_is_not_submitted(session, people, now):
    draft = await started(session, people[0], now)
    await drafts.discard(session, number=draft.number, note="不要了", actor=people[0], now=now)
    assert (await draft.book()).status is BookStatus.DISCARDED
    with pytest.raises(drafts.BookCannotMove):
        await approvals.submit(session, number=draft.number, version=1, actor=people[0], now=now)


def test_every_status_has_its_row_and_none_leads_to_itself():
    assert set(BOOK_MOVES) == set(BookStatus)
    assert not [status for status in BookStatus if status in BOOK_MOVES[status]]


async def test_books_are_listed_by_pages_the_latest_first(session, people, now):
    numbers = [(await started(session, people[0], now)).number for _ in range(3)]
    page = await books.list_books(session, limit=2)
    rest = await books.list_books(session, cursor=page.next, limit=2)
    assert [one.number for one in (*page.rows, *rest.rows)][:3] == numbers[::-1]
    assert [one.number for one in await books.open_books(session)] == numbers[::-1]


@pytest.mark.parametrize(
    ("code", "steps", "order"),
    [
        ("a", 1, "bagd"),
        ("a", 9, "bgda"),
        ("d", -1, "abdg"),
        ("d", -9, "dabg"),
        ("g", -1, "agbd"),
        ("a", -1, "abgd"),
    ],
)
def test_members_move_within_their_group_and_the_ends_hold_them(code, steps, order):
    document = Document(
        rules=(rule("a", priority=5), rule("b", priority=5), rule("d", priority=7), rule("x", group="g")), groups=(group("g", priority=6),)
    )
    after = moved(document, code, steps)
    assert "".join(one.code for one in members(after)) == order
    assert len(changes_between(document, after)) <= 4


def test_a_move_changes_one_priority_where_there_is_room():
    document = Document(rules=(rule("a", priority=10), rule("b", priority=20), rule("c", priority=30)))
    assert [change.code for change in changes_between(document, moved(document, "c", -1))] == ["c"]


def test_a_change_names_its_fields_and_never_the_revision():
    before = rule(priority=10)
    after = msgspec.structs.replace(before, effect=Fixed(amount_minor=500), revision=7)
    changes = changes_between(Document(rules=(before,)), Document(rules=(after,), currency="CZK"))
    assert [(change.section, change.how) for change in changes] == [("document", How.CHANGED), ("rules", How.CHANGED)]
    assert [(field.field, field.before, field.after) for field in changes[1].fields] == [
        ("effect.kind", "per_unit", "fixed"),
        ("effect.rate_e4", 3000, None),
        ("effect.amount_minor", None, 500),
    ]


@pytest.mark.parametrize(
    ("base", "mine", "live_", "merged", "conflicts"),
    [
        ("a", "a", "a", "a", 0),
        ("a", "b", "a", "b", 0),
        ("a", "a", "b", "b", 0),
        ("a", "b", "b", "b", 0),
        ("a", "b", "c", "c", 1),
        (None, "a", None, "a", 0),
        (None, None, "a", "a", 0),
        (None, "a", "b", "b", 1),
        ("a", None, "a", None, 0),
        ("a", "a", None, None, 0),
        ("a", None, "b", "b", 1),
        ("a", "b", None, None, 1),
    ],
)
def test_two_sides_are_joined_by_code(base, mine, live_, merged, conflicts):
    def book(version):
        return Document(rules=() if version is None else (rule("r", say_en=version, revision=ord(version)),))

    found = merge(book(base), book(mine), book(live_))
    assert [one.say_en for one in found.document.rules] == ([] if merged is None else [merged])
    assert len(found.conflicts) == conflicts
    if conflicts:
        settled = merge(book(base), book(mine), book(live_), {("rules", "r"): Choice.MINE})
        assert settled.conflicts == ()
        assert [one.say_en for one in settled.document.rules] == ([] if mine is None else [mine])
