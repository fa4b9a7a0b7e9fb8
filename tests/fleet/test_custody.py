"""Cards kept by a custodian and lent for a trip: approved by another, with driver and odometer, told when overdue, blocked while kept."""

import asyncio
from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import select, text, update

from jobs import custody
from jobs.job import Context
from loyalty.audit.model import Actor, ActorKind
from loyalty.cards.model import Card, CardStatus
from loyalty.cards.queries import CardNotFound
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.fleet.model import DriverStatus
from loyalty.fleet.model_custody import LOAN_MOVES, STANDING, CardCustody, CardLoan, LoanStatus
from loyalty.fleet.model_fills import Doubt, ReadingStatus
from loyalty.fleet.model_notices import CompanyNotice, NoticeKind
from loyalty.fleet.operations.bindings import DriverNotHere, tell_company
from loyalty.fleet.operations.companies import CompanySettings, change_company
from loyalty.fleet.operations.custody import CardsAreOut, KeeperCannotLend, keep_cards
from loyalty.fleet.operations.drivers import move_driver
from loyalty.fleet.operations.fills import collect_fills, correct_reading
from loyalty.fleet.operations.loans import (
    AnotherPersonApproves,
    CardIsPromised,
    CardNotKept,
    CardNotUsable,
    LoanCannotMove,
    LoanNotSound,
    OdometerMissing,
    Trip,
    approve_loan,
    ask_loan,
    hand_out,
    move_loan,
    refuse_loan,
    take_back,
    withdraw_loan,
)
from loyalty.fleet.queries.companies import lock_company
from loyalty.fleet.queries.custody import LoanNotFound, custody_of, figures_of_loan, fills_of_loan, get_loan, reading_of_loan
from loyalty.fleet.queries.disputes import get_fill
from loyalty.identity.model_portal import PortalRole
from loyalty.identity.operations import make_portal_user
from loyalty.settings import Settings
from tests.authorizations.conftest import bench, key_set, keys
from tests.authorizations.desk import said
from tests.factories.fleet import give_vehicle, make_fleet
from tests.factories.world import SYSTEM
from tests.fleet.structure import driver

__all__ = ["bench", "key_set", "keys"]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Keeping:
    """A company whose three cards a custodian keeps; the first one is a truck's."""

    def __init__(self, bench, fleet) -> None:
        self.bench, self.fleet, self.company_id = bench, fleet, fleet.company_id
        self.people: dict[str, Actor] = {}

    async def do(self, work, /, **more):
        async with transaction(self.bench.sessions) as session:
            return await work(session, company_id=self.company_id, now=self.bench.now(), **more)

    async def ask(self, by: str = "manager", card: int = 0, **more):
        begins = more.pop("begins_at", self.bench.now())
        trip = Trip(self.driver, "嘉兴", "送货", begins, more.pop("due_at", begins + 2 * DAY), **more)
        return await self.do(ask_loan, chain_id=self.fleet.chains[card], trip=trip, actor=self.people[by])

    async def act(self, work, loan_id, by: str = "keeper", **more):
        return await self.do(work, loan_id=loan_id, actor=self.people[by], **more)

    async def keep(self, cards, by: str | None):
        keeper = None if by is None else self.people[by].actor_id
        return await self.do(keep_cards, chain_ids=[self.fleet.chains[one] for one in cards], keeper_id=keeper, actor=SYSTEM)

    async def settings(self, **facts):
        await self.do(change_company, settings=CompanySettings(**facts), actor=SYSTEM)

    async def loan(self, loan_id) -> CardLoan:
        async with transaction(self.bench.sessions) as session:
            return await session.get_one(CardLoan, loan_id)

    async def reading(self, reading_id):
        async with transaction(self.bench.sessions) as session:
            return await reading_of_loan(session, reading_id=reading_id)


@pytest.fixture
async def kept(bench) -> Keeping:
    async with transaction(bench.sessions) as session:
        fleet = await make_fleet(session, bench.world, pool_minor=100_000_000, cards=3)
        made = Keeping(bench, fleet)
        made.vehicle = await give_vehicle(session, fleet, now=bench.now(), odometer_km=50_000)
        company = await lock_company(session, company_id=fleet.company_id)
        await tell_company(session, company=company, actor=SYSTEM, now=bench.now())
        made.driver = await driver(session, fleet, bench.now())
        for name, role in (("keeper", PortalRole.CUSTODIAN), ("manager", PortalRole.FLEET_MANAGER), ("viewer", PortalRole.VIEWER)):
            known = {"email": f"{name}@example.com", "name": name, "password": "seven quiet rivers meet", "role": role}
            user = await make_portal_user(
                session, company_id=fleet.company_id, totp_secret=b"12345678901234567890", **known, actor=SYSTEM, now=bench.now()
            )
            made.people[name] = Actor(ActorKind.COMPANY_USER, user)
    bench.later = HOUR
    await made.keep([0, 1, 2], "keeper")
    bench.later = 2 * HOUR
    return made


class ALoan:
    def __init__(self, status: LoanStatus) -> None:
        self.status = status


@pytest.mark.parametrize(("present", "to"), [*product(LoanStatus, LoanStatus)])
def test_a_loan_moves_by_its_table_only(present, to):
    allowed = {
        *(("requested", one) for one in ("approved", "refused", "withdrawn")),
        *(("approved", one) for one in ("lent", "withdrawn")),
        ("lent", "returned"),
    }
    assert (to in LOAN_MOVES[present]) is ((present.value, to.value) in allowed)
    loan = ALoan(present)
    if to in LOAN_MOVES[present]:
        move_loan(loan, to)
        assert loan.status is to
    else:
        with pytest.raises(LoanCannotMove):
            move_loan(loan, to)


async def test_a_card_is_asked_for_approved_lent_and_taken_back(kept, bench):
    loan_id = await kept.ask()
    with pytest.raises(AnotherPersonApproves):
        await kept.act(approve_loan, loan_id, "manager")
    await kept.act(approve_loan, loan_id)
    with pytest.raises(OdometerMissing):
        await kept.act(hand_out, loan_id, km=None)
    await kept.act(hand_out, loan_id, km=50_100)
    # On the road: a fill, and one after the card is back which is not the trip's.
    bench.later = 5 * HOUR
    await bench.sell(kept.fleet.cards[0], litres_milli=40_000)
    bench.later = DAY
    await kept.act(take_back, loan_id, km=50_300, note="ok")
    bench.later = DAY + HOUR
    await bench.sell(kept.fleet.cards[0], litres_milli=10_000)
    async with transaction(bench.sessions) as session:
        later = bench.now() + HOUR
        await collect_fills(session, span=timedelta(days=900), until=later, now=later)
        view = await get_loan(session, company_id=kept.company_id, loan_id=loan_id)
        figures = await figures_of_loan(session, loan=view, now=later)
        (fill,) = (await fills_of_loan(session, loan=view, now=later)).rows
        told = await get_fill(session, account_id=kept.fleet.account_id, sale_id=fill.sale_id)
        odometer = (await session.execute(text("SELECT odometer_km FROM vehicles WHERE vehicle_id = :id"), {"id": kept.vehicle})).scalar()
    assert (view.status, view.asker, view.decider, view.lender, view.receiver) == (LoanStatus.RETURNED, *("manager", *["keeper"] * 3))
    assert (figures.fills, figures.quantity_milli) == (1, 40_000)
    assert told.driver == "王强", "nobody said who drove: who had borrowed the card"
    assert odometer == 50_300, "the vehicle knows what was read at the cupboard"
    out, back = await kept.reading(view.out_reading_id), await kept.reading(view.in_reading_id)
    assert (out.km, back.km, out.doubt, back.doubt) == (50_100, 50_300, None, None)
    trail = "SELECT action FROM audit_entries WHERE subject_kind = 'card_loan' ORDER BY 1"
    async with transaction(bench.sessions) as session:
        actions = list(await session.scalars(text(trail)))
    assert actions == [f"fleet.loan_{one}" for one in ("approved", "asked", "lent", "returned")]


async def test_a_custodian_lends_at_once_what_they_keep_unless_the_setting_forbids_it(kept):
    mine = await kept.ask("keeper")
    await kept.act(hand_out, mine, km=50_010)
    loan = await kept.loan(mine)
    assert (loan.status, loan.decided_by, loan.lent_by) == (LoanStatus.LENT, *[kept.people["keeper"].actor_id] * 2)
    await kept.settings(custodian_lends=False)
    with pytest.raises(AnotherPersonApproves):
        await kept.act(hand_out, await kept.ask("keeper", card=1), km=None)
    await kept.act(hand_out, await kept.ask("manager", card=1), km=None)


async def test_a_card_is_promised_once_though_several_ask(kept):
    first, second = await kept.ask(), await kept.ask()
    await kept.act(approve_loan, first)
    with pytest.raises(CardIsPromised):
        await kept.act(approve_loan, second)
    await kept.act(withdraw_loan, first, "manager")
    await kept.act(approve_loan, second)
    with pytest.raises(LoanCannotMove):
        await kept.act(refuse_loan, second, reason="no")
    third = await kept.ask()
    await kept.act(refuse_loan, third, reason="no trip")
    assert (await kept.loan(third)).reason == "no trip"


async def test_two_hand_outs_of_one_card_at_once_are_one(kept, bench):
    loans = [await kept.ask() for _ in range(4)]
    done = await asyncio.gather(*(kept.act(hand_out, one, km=50_020) for one in loans), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["CardIsPromised"] * 3 + ["NoneType"]
    async with transaction(bench.sessions) as session:
        out = list(await session.scalars(select(CardLoan.loan_id).where(CardLoan.status.in_(STANDING))))
    assert len(out) == 1


async def test_what_cannot_be_lent_is_refused(kept, bench):
    with pytest.raises(LoanNotSound):
        await kept.ask(due_at=bench.now())
    loan_id = await kept.ask()
    with pytest.raises(LoanNotSound):
        await kept.act(hand_out, loan_id, km=50_100, due_at=bench.now() - HOUR)
    async with transaction(bench.sessions) as session:
        stranger = await make_fleet(session, bench.world, name="甬江", cards=1)
        with pytest.raises(LoanNotFound):
            await approve_loan(session, company_id=stranger.company_id, loan_id=loan_id, actor=kept.people["manager"], now=bench.now())
    with pytest.raises(CardNotFound):
        await kept.do(keep_cards, chain_ids=stranger.chains, keeper_id=None, actor=SYSTEM)
    await kept.keep([1], None)
    with pytest.raises(CardNotKept):
        await kept.ask(card=1)
    async with transaction(bench.sessions) as session:
        await session.execute(update(Card).where(Card.card_id == kept.fleet.chains[2]).values(status=CardStatus.LOST))
    with pytest.raises(CardNotUsable):
        await kept.ask(card=2)
    await kept.do(move_driver, driver_id=kept.driver, to=DriverStatus.AWAY, actor=SYSTEM)
    with pytest.raises(DriverNotHere):
        await kept.ask()


async def test_an_odometer_that_cannot_be_is_kept_and_not_built_upon_until_it_is_corrected(kept, bench):
    loan_id = await kept.ask()
    await kept.act(hand_out, loan_id, km=50_100)
    bench.later = DAY
    await kept.act(take_back, loan_id, km=5_030)
    reading_id = (await kept.loan(loan_id)).in_reading_id
    wrong = await kept.reading(reading_id)
    assert (wrong.km, wrong.status, wrong.doubt) == (5_030, ReadingStatus.DOUBTFUL, Doubt.FALLS)
    await kept.do(correct_reading, reading_id=reading_id, km=50_300, reason="a digit was missing", actor=kept.people["manager"])
    right = await kept.reading(reading_id)
    assert (right.km, right.status, right.doubt) == (50_300, ReadingStatus.HOLDS, None)


async def test_keeping_is_a_history_and_a_card_that_is_out_has_a_keeper(kept, bench):
    assert await kept.keep([0, 1, 2], "keeper") == 0
    bench.later = 3 * HOUR
    assert await kept.keep([0, 1], "manager") == 2
    with pytest.raises(KeeperCannotLend):
        await kept.keep([0], "viewer")
    async with transaction(bench.sessions) as session:
        found = await custody_of(session, company_id=kept.company_id, chain_id=kept.fleet.chains[0])
        standing = select(CardCustody.chain_id).where(CardCustody.until.is_(None))
        assert len(list(await session.scalars(standing))) == 3
    assert [(one.keeper, one.until is None) for one in found] == [("manager", True), ("keeper", False)]
    assert found[1].until == found[0].since
    await kept.act(hand_out, await kept.ask(), km=50_100)
    with pytest.raises(CardsAreOut):
        await kept.keep([0, 1, 2], None)
    assert await kept.keep([1, 2], None) == 2


async def test_a_kept_card_asks_for_a_permit_until_it_is_lent_and_again_when_it_is_due(kept, bench, tmp_path):
    card, other = kept.fleet.cards[0], kept.fleet.cards[1]

    async def outcome(one) -> str:
        answer = said(await bench.sell(one))
        return answer.get("reason") or answer["outcome"]

    assert await outcome(card) == "approved", "the setting is off"
    await kept.settings(custody_blocks=True)
    assert await outcome(card) == "permit_needed"
    loan_id = await kept.ask()
    await kept.act(hand_out, loan_id, km=50_100)
    assert (await outcome(card), await outcome(other)) == ("approved", "permit_needed")
    engine = make_engine(bench.url, role="loyalty_jobs")
    context = Context(make_sessions(engine), Settings(database_url=bench.url, data_dir=tmp_path / "data", keys_dir=tmp_path / "keys"))
    assert await custody.run(context, bench.now()) == 0
    bench.later += 3 * DAY
    assert await custody.run(context, bench.now()) == 1
    assert await custody.run(context, bench.now() + HOUR) == 0, "told once"
    await engine.dispose()
    async with transaction(bench.sessions) as session:
        (notice,) = await session.scalars(select(CompanyNotice).where(CompanyNotice.kind == NoticeKind.CARD_OVERDUE))
    assert (notice.subject_id, notice.facts["who"]) == (loan_id, "王强")
    assert await outcome(card) == "permit_needed", "due: the driver asks from the pump"
    await kept.act(take_back, loan_id, km=50_400)
    assert await outcome(card) == "permit_needed"
    await kept.keep([0], None)
    assert await outcome(card) == "approved", "nobody keeps it"
    await kept.settings(custody_blocks=False)
    assert await outcome(other) == "approved"
