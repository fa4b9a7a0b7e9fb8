"""Any run of operations, in any order, repeated and reversed: the real service and a second set of books agree after every step."""

import asyncio
import re
import uuid
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from loyalty.authorizations.hot import AuthorizationNotFound, KeyReused
from loyalty.authorizations.operations.holds import AuthorizationCannotMove, DispenseReported
from loyalty.authorizations.operations.refunds import NothingToRefund
from loyalty.cards.operations import report_found, report_lost, resume_card, suspend_card, unlock_pin
from loyalty.errors import Refusal
from loyalty.ledger.operations import AccountNotOpen
from loyalty.topups.model import FreezeScope, Tender
from loyalty.topups.operations import Bonus, freeze_account, thaw_account, void_topup
from tests.conftest import NOW
from tests.simulation.auditor import BONUS, PRINCIPAL, RECEIVABLE, Auditor, Card, Fill, Loaded, Order, Sold, cost
from tests.simulation.house import BALANCES, DAY_AMOUNT, DAY_COUNT, FILL_MILLI, GENERIC, RATE_E4, House, breaches, broken, populate

PRICE = 78_900
STATUS = {1: "approved", 5: "part_completed", 6: "completed", 7: "reversed", 8: "released", 9: "unresolved"}
LITRES = st.one_of(st.integers(1, 90_000), st.sampled_from([1_000, 10_000, 50_000, 50_001, 120_000]))
PRICES = st.sampled_from([PRICE, PRICE, PRICE, 75_600, 83_700])


class Stage:
    """What the machine is given by the test around it."""

    def __init__(self, runner: asyncio.Runner, databases, template: str, people) -> None:
        self.runner = runner
        self.databases = databases
        self.template = re.search(r"/(test_\w+)\?", template)[1]
        self.people = people
        self.made = 0

    async def begin(self) -> House:
        self.made += 1
        name = f"{self.template}_{self.made}"
        await self.databases._execute(f"CREATE DATABASE {name} TEMPLATE {self.template} STRATEGY FILE_COPY")
        house = House(self.databases.url_of(name), self.people)
        await house.start()
        return house

    async def end(self, house: House) -> None:
        await house.stop()
        await self.databases.drop(house.url)


class Station(RuleBasedStateMachine):
    """A station's days. Time goes on by a second a step, and by leaps."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.house = self.run(self.stage.begin())
        self.books = Auditor()
        self.real = {}
        self.said: list[tuple] = []
        """(how to send it again with a key, key, the answer's bytes, what the auditor made of it)."""
        self.loads: list[Loaded] = []
        self.sold: list[Sold] = []
        self.orders: list[tuple] = []

    @property
    def now(self):
        return self.house.time

    def run(self, work):
        async def within():
            return await asyncio.wait_for(work, 30)

        return self.stage.runner.run(within())

    def teardown(self) -> None:
        try:
            assert self.run(broken(self.house)) == []
            assert self.run(breaches(self.house.url, self.now)) == []
        finally:
            self.run(self.stage.end(self.house))

    @initialize()
    def open_accounts(self) -> None:
        cards = self.house.people.cards
        for name, balance in BALANCES.items():
            account = self.books.open(cards[name].account_id, name, balance)
            for held in [name, "second"] if name == "company" else [name]:
                card = Card(cards[held].number, account)
                if name in {"personal", "limited"}:
                    card.rate_e4 = RATE_E4
                if name == "limited":
                    card.day_amount, card.day_count, card.fill_milli = DAY_AMOUNT, DAY_COUNT, FILL_MILLI
                self.books.cards.append(card)
                self.real[card] = cards[held]

    def tick(self) -> None:
        self.house.time += timedelta(seconds=1)

    def send(self, make, *, cold: bool = False) -> tuple[dict, bytes, uuid.UUID]:
        """Send a request thrice under one key, twice at once: one effect, the same bytes."""
        self.tick()
        key = uuid.uuid4()

        async def thrice():
            answers = [await make(key=key)] if cold else list(await asyncio.gather(make(key=key), make(key=key)))
            return [*answers, await make(key=key)]

        answers = self.run(thrice())
        assert len(set(answers)) == 1
        return msgspec.json.decode(answers[0]), answers[0], key

    def pick(self, of, index: int):
        return of[index % len(of)]

    # At the pump

    @rule(
        index=st.integers(0, 4),
        wanted=st.one_of(st.tuples(st.integers(1, 60_000), st.none()), st.tuples(st.none(), LITRES), st.just((None, None))),
        partial=st.booleans(),
        right=st.sampled_from([True] * 7 + [False]),
    )
    def authorise(self, index, wanted, partial, right) -> None:
        card = self.pick(self.books.cards, index)
        fields = {"amount_minor": wanted[0], "quantity_milli": wanted[1], "partial": partial, "pin": "1357" if right else "2468"}
        make = lambda *, key: self.house.authorise(self.real[card], key=key, **fields)  # noqa: E731 - it is sent again
        said, answer, key = self.send(make)
        fill = self.books.authorised(card, said, pin_right=right, wanted=wanted, partial=partial, price=PRICE, now=self.now)
        self.said.append((make, key, answer, fill))

    def fills(self) -> list[Fill]:
        return [fill for card in self.books.cards for fill in card.fills if fill.reference is not None]

    @precondition(lambda self: self.fills())
    @rule(
        index=st.integers(0, 50),
        milli=st.one_of(LITRES, st.just(0)),
        price=PRICES,
        off_by=st.sampled_from([0, 0, 0, 3, -2, 900]),
        final=st.sampled_from([True, True, False]),
    )
    def complete(self, index, milli, price, off_by, final) -> None:
        fill = self.pick(self.fills()[::-1], index)
        amount = max(0, cost(milli, price) + off_by) if milli else 0
        make = lambda *, key: self.house.complete(fill.reference, key=key, milli=milli, price=price, amount=amount, final=final)  # noqa: E731 - as above
        said, answer, key = self.send(make)
        self.books.completed(fill, said, milli=milli, price=price, amount=amount, final=final, now=self.now)
        sold = self.note_sale(said, fill, milli) if "sale" in said else None
        self.said.append((make, key, answer, sold))

    def note_sale(self, said: dict, fill: Fill, milli: int) -> Sold:
        """Remember which transfer took what, so that a refund can be held to it."""
        sale_id = self.run(self.house.rows("SELECT sale_id FROM sales ORDER BY sale_id DESC LIMIT 1"))[0]["sale_id"]
        rows = self.run(self.house.rows("SELECT transfer_id, debit_id, amount_minor FROM transfers WHERE operation_id = $1", sale_id))
        parts = {
            row["transfer_id"]: [self.whose(fill.card.account, row["debit_id"]), row["amount_minor"], row["amount_minor"]] for row in rows
        }
        sold = Sold(said["sale"], fill, parts, said.get("gross_minor", 0), said.get("card_minor", 0), milli)
        fill.sold.append(sold)
        self.sold.append(sold)
        return sold

    def whose(self, account, identifier):
        """Return the auditor's purse of an id, or a house account's code."""
        house = self.run(self.house.rows("SELECT code FROM house_accounts WHERE house_id = $1", identifier))
        if house:
            return house[0]["code"]
        row = self.run(
            self.house.rows("SELECT kind, expires_at FROM purses WHERE purse_id = $1 AND account_id = $2", identifier, account.account_id)
        )[0]
        return account.purse(row["kind"], row["expires_at"])

    @rule(
        index=st.integers(0, 4),
        milli=LITRES,
        price=PRICES,
        shop=st.sampled_from([0, 0, 2_500]),
        cash=st.sampled_from([0, 0, 1, 5_000]),
        right=st.sampled_from([True] * 7 + [False]),
    )
    def sell(self, index, milli, price, shop, cash, right) -> None:
        card = self.pick(self.books.cards, index)
        amount = cost(milli, price)
        tenders = (("cash", cash), ("wechat", 100)) if cash else ()
        facts = {"milli": milli, "price": price, "amount": amount, "shop": shop, "tenders": tenders, "pin": "1357" if right else "2468"}
        make = lambda *, key: self.house.sell(self.real[card], key=key, **facts)  # noqa: E731 - as above
        said, answer, key = self.send(make)
        fill = self.books.sold(
            card,
            said,
            pin_right=right,
            milli=milli,
            price=price,
            amount=amount,
            shop=shop,
            tenders=sum(a for _, a in tenders),
            now=self.now,
        )
        self.said.append((make, key, answer, None if fill is None else self.note_sale(said, fill, milli)))

    # Again, and otherwise

    @precondition(lambda self: self.said)
    @rule(index=st.integers(0, 100))
    def ask_again(self, index) -> None:
        make, key, answer, _ = self.pick(self.said, index)
        self.tick()
        assert self.run(make(key=key)) == answer

    @precondition(lambda self: self.said)
    @rule(index=st.integers(0, 100), card=st.integers(0, 4))
    def reuse_a_key(self, index, card) -> None:
        _, key, _, _ = self.pick(self.said, index)
        with pytest.raises(KeyReused):
            self.run(self.house.sell(self.real[self.books.cards[card]], key=key, milli=7, price=1, amount=1))

    # Taking back

    @precondition(lambda self: self.said)
    @rule(index=st.integers(0, 100))
    def reverse(self, index) -> None:
        _, original, _, what = self.pick(self.said[::-1], index)
        loaded = what if isinstance(what, Loaded) else None
        refused = None if loaded is None or loaded.voided else self.books.may_void(loaded)
        self.tick()
        key = uuid.uuid4()
        if refused is not None:
            with pytest.raises(Refusal) as caught:
                self.run(self.house.reverse(original, key=key))
            assert type(caught.value).__name__ == refused
            return
        before = isinstance(what, Sold) and what.returned
        status = what.status if isinstance(what, Fill) else None
        answer = self.run(self.house.reverse(original, key=key))
        assert self.run(self.house.reverse(original, key=uuid.uuid4())) == answer
        said = msgspec.json.decode(answer)
        if loaded is not None and not loaded.voided:
            self.books.voided(loaded, self.now)
        elif isinstance(what, Sold) and what.gross > before:
            self.mirror(what, said["refund"])
        elif isinstance(what, Fill) and status in {"approved", "part_completed", "unresolved"}:
            assert said.get("released_minor", 0) == self.books.ended(what, "completed" if what.completions else "reversed")

    def mirror(self, sold: Sold, refund: dict) -> None:
        refund_id = self.run(self.house.rows("SELECT refund_id FROM refunds ORDER BY refund_id DESC LIMIT 1"))[0]["refund_id"]
        rows = self.run(self.house.rows("SELECT mirrors, credit_id, amount_minor FROM transfers WHERE operation_id = $1", refund_id))
        account = sold.fill.card.account
        self.books.given_back(
            sold, refund, [(row["mirrors"], row["amount_minor"], self.whose(account, row["credit_id"])) for row in rows], self.now
        )

    @rule(index=st.integers(0, 4), amount=st.integers(1, 20_000))
    def reverse_before_the_original(self, index, amount) -> None:
        original = uuid.uuid4()
        self.tick()
        self.run(self.house.reverse(original, key=uuid.uuid4()))
        late = msgspec.json.decode(
            self.run(self.house.authorise(self.real[self.pick(self.books.cards, index)], key=original, amount_minor=amount))
        )
        assert (late["outcome"], late["reason"]) == ("declined", "original_reversed")

    @precondition(lambda self: self.sold)
    @rule(index=st.integers(0, 50), part=st.one_of(st.none(), st.integers(1, 5_000)))
    def refund(self, index, part) -> None:
        sold = self.pick(self.sold[::-1], index)
        left = sold.gross - sold.returned
        make = lambda *, key: self.house.refund(sold.reference, key=key, gross=part and min(part, max(left, 1)))  # noqa: E731 - as above
        if left <= 0:
            with pytest.raises(NothingToRefund):
                self.run(make(key=uuid.uuid4()))
            return
        said, _, _ = self.send(make, cold=True)
        assert said.get("left_minor", 0) == left - said["gross_minor"]
        self.mirror(sold, said)

    @precondition(lambda self: self.fills())
    @rule(index=st.integers(0, 50))
    def nozzle_not_lifted(self, index) -> None:
        fill = self.pick(self.fills()[::-1], index)
        make = lambda *, key: self.house.nozzle(fill.reference, key=key)  # noqa: E731 - as above
        if fill.captured_minor or fill.captured_milli:
            with pytest.raises(DispenseReported):
                self.run(make(key=uuid.uuid4()))
        elif fill.status in {"reversed", "completed"}:
            with pytest.raises(AuthorizationCannotMove):
                self.run(make(key=uuid.uuid4()))
        else:
            said, _, _ = self.send(make, cold=True)
            assert said.get("released_minor", 0) == (0 if fill.status == "released" else self.books.ended(fill, "released"))

    # Money in

    @rule(
        index=st.integers(0, 4),
        amount=st.integers(1, 80_000),
        bonus=st.sampled_from([None, None, (1_000, None), (2_000, timedelta(hours=2)), (3_000, timedelta(days=3))]),
    )
    def top_up(self, index, amount, bonus) -> None:
        card = self.pick(self.books.cards, index)
        ends = None if bonus is None or bonus[1] is None else NOW.replace(minute=0) + bonus[1]
        lot = None if bonus is None else Bonus(bonus[0], ends, "head-office")
        make = lambda *, key: self.house.top_up(self.real[card], key=key, tender=Tender.CASH, amount=amount, bonus=lot)  # noqa: E731 - as above
        if card.account.frozen:
            with pytest.raises(AccountNotOpen):
                self.run(make(key=uuid.uuid4()))
            return
        said, answer, key = self.send(make, cold=True)
        loaded = self.books.loaded(card.account, uuid.UUID(said["topup_id"]), amount, bonus[0] if bonus else 0, ends, self.now)
        assert said["settled_minor"] == loaded.settled
        self.loads.append(loaded)
        self.said.append((make, key, answer, loaded))

    @precondition(lambda self: self.loads)
    @rule(index=st.integers(0, 20))
    def void_a_top_up(self, index) -> None:
        loaded = self.pick(self.loads[::-1], index)
        refused = self.books.may_void(loaded)
        self.tick()

        def work(session):
            return void_topup(
                session, policy=GENERIC, topup_id=loaded.topup_id, reason="typed wrong", actor=self.house.people.staff, now=self.now
            )

        if refused is None:
            self.run(self.house.perform(work))
            self.books.voided(loaded, self.now)
        else:
            with pytest.raises(Refusal) as caught:
                self.run(self.house.perform(work))
            assert type(caught.value).__name__ == refused

    # Cards and accounts

    @rule(index=st.integers(0, 4), operation=st.sampled_from([report_lost, report_found, suspend_card, resume_card]))
    def stop_or_start_a_card(self, index, operation) -> None:
        card = self.pick(self.books.cards, index)
        real = self.real[card]
        known = {
            (report_lost, "active"): "lost",
            (report_lost, "suspended"): "lost_suspended",
            (report_found, "lost"): "active",
            (report_found, "lost_suspended"): "suspended",
            (suspend_card, "active"): "suspended",
            (resume_card, "suspended"): "active",
        }
        if (operation, card.status) not in known or (operation is report_lost and card.account.kind == "anonymous"):
            return
        self.tick()
        self.run(
            self.house.perform(
                lambda session: operation(
                    session,
                    card_id=real.card_id,
                    actor=self.house.people.staff,
                    station_id=self.house.world.station_id,
                    reason="x",
                    now=self.now,
                )
            )
        )
        card.status = known[operation, card.status]

    @rule(index=st.integers(0, 4))
    def unlock_a_pin(self, index) -> None:
        card = self.pick(self.books.cards, index)
        if card.account.kind == "anonymous":
            return
        self.tick()
        facts = {"card_id": self.real[card].card_id, "identity_seen": True, "actor": self.house.people.staff, "now": self.now}
        self.run(self.house.perform(lambda session: unlock_pin(session, **facts)))
        card.tries = 0

    @rule(index=st.integers(0, 3), amount=st.one_of(st.none(), st.integers(1, 60_000)))
    def freeze(self, index, amount) -> None:
        account = self.pick(self.books.accounts, index)
        self.tick()

        def work(session):
            return freeze_account(
                session,
                policy=GENERIC,
                account_id=account.account_id,
                authority="法院",
                document=str(uuid.uuid4()),
                officer="王",
                scope=FreezeScope.ACCOUNT if amount is None else FreezeScope.AMOUNT,
                amount_minor=amount,
                actor=self.house.people.staff,
                now=self.now,
            )

        made = self.run(self.house.perform(work))
        order = Order(made.freeze_id, amount or 0)
        self.orders.append((account, order, amount is None))
        if amount is None:
            account.frozen = True
        else:
            account.orders.append(order)
            account.fill_orders()

    @precondition(lambda self: self.orders)
    @rule(index=st.integers(0, 20))
    def thaw(self, index) -> None:
        account, order, whole = self.orders.pop(index % len(self.orders))
        self.tick()
        facts = {"freeze_id": order.freeze_id, "document": "解除", "actor": self.house.people.staff, "now": self.now}
        self.run(self.house.perform(lambda session: thaw_account(session, **facts)))
        if whole:
            account.frozen = any(whole and other is account for other, _, whole in self.orders)
        else:
            account.orders.remove(order)
            account.principal.held -= order.held

    # Time

    @rule(leap=st.sampled_from([timedelta(minutes=10), timedelta(minutes=61), timedelta(hours=15), timedelta(days=2), timedelta(days=6)]))
    def wait(self, leap) -> None:
        self.house.time += leap

    @rule()
    def let_holds_run_out(self) -> None:
        self.tick()
        assert self.run(self.house.expire()) == self.books.expired(self.now)

    @rule(index=st.integers(0, 4))
    def ask_for_what_is_not_there(self, index) -> None:
        card = self.pick(self.books.cards, index)
        with pytest.raises(AuthorizationNotFound):
            self.run(self.house.complete("A" * 43, key=uuid.uuid4(), milli=1, price=PRICE, amount=1))
        assert card.number

    # What must be so after every step

    @invariant()
    def the_books_agree(self) -> None:
        self.books.holds_true()
        self.run(self._compare())

    async def _compare(self) -> None:
        house, books = self.house, self.books
        purses = await house.rows("SELECT account_id, kind, expires_at, balance_minor, held_minor FROM purses")
        real = {(row["account_id"], row["kind"], row["expires_at"]): (row["balance_minor"], row["held_minor"]) for row in purses}
        ours = {
            (a.account_id, p.kind, p.expires_at): (p.balance, p.held)
            for a in books.accounts
            for p in a.purses
            if p.kind in {PRINCIPAL, BONUS, RECEIVABLE}
        }
        assert {place: value for place, value in real.items() if value != (0, 0)} == {
            place: value for place, value in ours.items() if value != (0, 0)
        }
        sums = await house.rows(
            "SELECT h.code, sum(CASE WHEN t.credit_id = h.house_id THEN t.amount_minor ELSE -t.amount_minor END)::bigint AS total"
            " FROM transfers t JOIN house_accounts h ON h.house_id IN (t.debit_id, t.credit_id) GROUP BY 1"
        )
        assert {row["code"]: row["total"] for row in sums if row["total"]} == {code: total for code, total in books.houses.items() if total}
        counters = await house.rows("SELECT subject_id, start, amount_minor, quantity_milli, count FROM limit_counters")
        counted = {(row["subject_id"], row["start"]): (row["amount_minor"], row["quantity_milli"], row["count"]) for row in counters}
        expected = {(self.real[card].card_id, day): card.counted(day) for card in books.cards for day in {fill.day for fill in card.fills}}
        assert {place: value for place, value in counted.items() if any(value)} == {
            place: value for place, value in expected.items() if any(value)
        }
        rows = await house.rows("SELECT account_id, authorization_id, status FROM authorizations WHERE status NOT IN (3, 4)")
        assert sorted(STATUS[row["status"]] for row in rows) == sorted(fill.status for fill in self.fills())
        tries = await house.rows("SELECT card_id, pin_tries FROM cards")
        assert {row["card_id"]: row["pin_tries"] for row in tries} == {self.real[card].card_id: card.tries for card in books.cards}
        assert await broken(house) == []


CI = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    report_multiple_bugs=False,
    # Not made smaller: a run of this length is readable, and making it smaller takes minutes; the printed blob repeats it.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
LONG = settings(CI, max_examples=200, stateful_step_count=80, derandomize=False)


def check(runner, databases, chosen: settings) -> None:
    url = runner.run(databases.clone())
    people = runner.run(populate(url, NOW))
    try:
        machine = type("Station", (Station,), {"stage": Stage(runner, databases, url, people)})
        run_state_machine_as_test(machine, settings=chosen)
    finally:
        runner.run(databases.drop(url))


def test_thirty_runs_of_thirty_steps(runner, databases):
    check(runner, databases, CI)


@pytest.mark.long
def test_many_long_runs(runner, databases):
    check(runner, databases, LONG)
