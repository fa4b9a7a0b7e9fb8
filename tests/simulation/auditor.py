"""A second set of books, kept in memory by other means: exact decimals, sums over histories, no code of the product.

Every answer of the real service is reckoned again here, and refused where it cannot be right; what it moved is booked here too, so that
purses, holds, receivables, counters and house accounts can be compared row by row with the database after every step.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

PRINCIPAL, BONUS, RECEIVABLE = 1, 2, 4
ZONE = ZoneInfo("Asia/Shanghai")
HOLD_FOR = timedelta(minutes=60)
LOOK_BACK = timedelta(days=2)
OPEN, ENDED = {"approved", "part_completed", "unresolved"}, {"completed", "reversed", "released"}


def cost(milli: int, price_e4: int) -> int:
    """Litres times price in fen, rounded half away from zero."""
    return int((Decimal(milli) * Decimal(price_e4) / 100_000).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def most_for(amount_minor: int, price_e4: int) -> int:
    """The most thousandths that cost no more than that, found by halving."""
    low, high = 0, amount_minor * 100_000 // price_e4 + 100_000
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(middle, price_e4) <= max(amount_minor, 0) else (low, middle - 1)
    return low if amount_minor > 0 else 0


def local_day(instant: datetime) -> date:
    return instant.astimezone(ZONE).date()


def still_runs(day: date, today: date) -> bool:
    """Whether the week or the month of a day is the present one: only then do counters get something back."""
    return day.isocalendar()[:2] == today.isocalendar()[:2] or (day.year, day.month) == (today.year, today.month)


@dataclass(eq=False)
class Purse:
    kind: int
    expires_at: datetime | None = None
    balance: int = 0
    held: int = 0

    @property
    def free(self) -> int:
        return self.balance - self.held


@dataclass(eq=False)
class Account:
    account_id: UUID
    kind: str
    purses: list[Purse] = field(default_factory=lambda: [Purse(PRINCIPAL)])
    orders: list["Order"] = field(default_factory=list)
    frozen: bool = False
    moved: list[tuple[datetime, object]] = field(default_factory=list)
    """When it moved, and by what: a top-up is voided only while it is the last."""

    @property
    def principal(self) -> Purse:
        return self.purses[0]

    @property
    def owed(self) -> int:
        return -sum(purse.balance for purse in self.purses if purse.kind == RECEIVABLE)

    def purse(self, kind: int, expires_at: datetime | None = None) -> Purse:
        for purse in self.purses:
            if (purse.kind, purse.expires_at) == (kind, expires_at):
                return purse
        self.purses.append(Purse(kind, expires_at))
        return self.purses[-1]

    def spendable(self, now: datetime) -> list[Purse]:
        """In the default spend order: bonus that expires, the soonest first; principal; other bonus."""
        living = [purse for purse in self.purses if purse.kind != RECEIVABLE and (purse.expires_at is None or purse.expires_at > now)]
        expiring = sorted((purse for purse in living if purse.expires_at), key=lambda purse: purse.expires_at)
        return (
            expiring + [purse for purse in living if purse.kind == PRINCIPAL] + [p for p in living if p.kind == BONUS and not p.expires_at]
        )

    def funds(self, now: datetime) -> int:
        return sum(purse.free for purse in self.spendable(now))

    def takes(self, amount: int, now: datetime) -> list[tuple[Purse, int]]:
        takes = []
        for purse in self.spendable(now):
            taken = min(amount, purse.free)
            if taken > 0:
                takes.append((purse, taken))
                amount -= taken
        return takes

    def fill_orders(self) -> None:
        """An authority's order holds principal until it is full."""
        for order in self.orders:
            more = min(self.principal.free, order.amount - order.held)
            if more > 0:
                order.held += more
                self.principal.held += more


@dataclass(eq=False)
class Order:
    freeze_id: UUID
    amount: int
    held: int = 0


@dataclass(eq=False)
class Card:
    number: str
    account: Account
    status: str = "active"
    tries: int = 0
    day_amount: int | None = None
    day_count: int | None = None
    fill_milli: int | None = None
    rate_e4: int = 0
    fills: list["Fill"] = field(default_factory=list)

    def counted(self, day: date) -> tuple[int, int, int]:
        """Taken plus set aside, in money and litres, and the fills, of one day: summed over the card's whole history."""
        sums = [fill.counts() for fill in self.fills if fill.day == day]
        return sum(s[0] for s in sums), sum(s[1] for s in sums), sum(s[2] for s in sums)


@dataclass(eq=False)
class Sold:
    """A sale or a completion, and what of it was given back."""

    reference: str
    fill: "Fill"
    parts: dict[UUID, list]
    """Transfer → [where it came from, amount, not yet given back]."""
    gross: int
    card_minor: int
    milli: int
    returned: int = 0
    returned_milli: int = 0


@dataclass(eq=False)
class Fill:
    """A fill-up: an authorisation with its completions, or a sale in one step."""

    card: Card
    day: date
    at: datetime
    reference: str | None = None
    status: str = "completed"
    approved_milli: int = 0
    captured_milli: int = 0
    captured_minor: int = 0
    completions: int = 0
    holds: list[tuple[Purse, int]] = field(default_factory=list)
    rate_e4: int = 0
    sold: list[Sold] = field(default_factory=list)
    counter: list[int] = field(default_factory=lambda: [0, 0])
    """Money and litres taken, less what was given back while the counter's windows ran."""
    fills: int = 1

    @property
    def held(self) -> int:
        return sum(amount for _, amount in self.holds)

    def counts(self) -> tuple[int, int, int]:
        rest = max(0, self.approved_milli - self.captured_milli) if self.status in OPEN else 0
        return self.counter[0] + self.held, self.counter[1] + rest, self.fills


@dataclass(eq=False)
class Loaded:
    topup_id: UUID
    account: Account
    amount: int
    bonus: int
    expires_at: datetime | None
    settled: int
    at: datetime
    voided: bool = False


class Auditor:
    """The books."""

    def __init__(self) -> None:
        self.accounts: list[Account] = []
        self.cards: list[Card] = []
        self.houses: dict[str, int] = {}
        """Code of a kind of house account → its sum: credits less debits."""

    def house(self, code: str, change: int) -> None:
        self.houses[code] = self.houses.get(code, 0) + change

    def open(self, account_id: UUID, kind: str, balance: int) -> Account:
        account = Account(account_id, kind)
        account.principal.balance = balance
        self.house("tender", -balance)
        self.accounts.append(account)
        return account

    # At the pump

    def credential(self, card: Card, pin_right: bool) -> str | None:
        """Why the card, its account or its PIN say no; counts the try."""
        if card.status != "active":
            return "card_lost" if card.status.startswith("lost") else "card_not_active"
        if card.account.frozen:
            return "account_frozen"
        if card.tries >= 3:
            return "pin_locked"
        if pin_right:
            card.tries = 0
            return None
        card.tries += 1
        return "pin_locked" if card.tries >= 3 else "pin_wrong"

    def limits(self, card: Card, now: datetime, amount: int = 0, milli: int = 0) -> tuple[str | None, int | None, int | None]:
        """The reason the limits say no, and what they leave in money and litres."""
        used, _, count = card.counted(local_day(now))
        money = None if card.day_amount is None else max(0, card.day_amount - used)
        litres = card.fill_milli
        if card.day_count is not None and count >= card.day_count:
            return "count_limit", money, litres
        if money is not None and (money == 0 or amount > money):
            return "amount_limit", money, litres
        if litres is not None and milli > litres:
            return "quantity_limit", money, litres
        return None, money, litres

    def authorised(
        self, card: Card, said: dict, *, pin_right: bool, wanted: tuple[int | None, int | None], partial: bool, price: int, now: datetime
    ) -> Fill | None:
        """Check and book an authorisation's answer; `wanted`: (amount, thousandths), either or none."""
        refused = self.credential(card, pin_right) or self.limits(card, now)[0]
        if refused is not None:
            assert (said["outcome"], said.get("reason")) == ("declined", refused), said
            return None
        _, money, litres = self.limits(card, now)
        funds = card.account.funds(now)
        net = price - min(card.rate_e4, price)
        bounds = [("insufficient_funds", most_for(funds, net))]
        bounds += [] if money is None else [("amount_limit", most_for(money, net))]
        bounds += [] if litres is None else [("quantity_limit", litres)]
        reason, least = min(bounds, key=lambda bound: bound[1])
        asked = wanted[1] or (None if wanted[0] is None else most_for(wanted[0], price))
        if asked is not None and asked <= least:
            milli, gross, outcome = asked, wanted[0] or cost(asked, price), "approved"
        else:
            milli, gross, outcome = least, cost(least, price), "approved" if asked is None else "partial"
            if milli < min(1000, asked or 1000) or (asked is not None and not partial):
                assert (said["outcome"], said["reason"], said["remaining_milli"]) == ("declined", reason, least)
                return None
        saved = min(gross, cost(milli, price) - cost(milli, net))
        held = min(gross - saved, funds)
        assert (said["outcome"], said["approved_minor"], said["approved_milli"], said.get("held_minor", 0)) == (outcome, gross, milli, held)
        fill = Fill(
            card, local_day(now), now, said["authorization"], "approved", milli, holds=card.account.takes(held, now), rate_e4=card.rate_e4
        )
        for purse, amount in fill.holds:
            purse.held += amount
        card.fills.append(fill)
        assert said.get("available_after_minor") == (None if card.account.kind == "company" else funds - held)
        return fill

    def completed(self, fill: Fill, said: dict, *, milli: int, price: int, amount: int, final: bool, now: datetime) -> None:
        """Check and book a completion: the holds, then the account, then a receivable."""
        account = fill.card.account
        saved = min(amount, cost(milli, price) - cost(milli, price - min(fill.rate_e4, price)))
        share = amount - saved
        delivered, before, ended = bool(amount or milli), fill.status, fill.status in ENDED
        captured: list[tuple[Purse, int]] = []
        left: list[tuple[Purse, int]] = []
        over = share
        for purse, held in fill.holds:
            taken = min(held, over)
            over -= taken
            captured += [(purse, taken)] if taken else []
            left += [(purse, held - taken)] if held > taken else []
        extra = account.takes(over, now)
        owed = over - sum(taken for _, taken in extra)
        for purse, taken in captured:
            purse.held -= taken
        self.spent(account, captured + extra, owed, discount=saved, tenders=0, now=now, by=fill)
        assert said["outcome"] == ("booked" if share or milli else "released")
        assert (said.get("card_minor", 0), said.get("discount_minor", 0), said.get("receivable_minor", 0)) == (share, saved, owed)
        if final:
            assert said.get("released_minor", 0) == sum(amount for _, amount in left)
            for purse, held in left:
                purse.held -= held
            left = []
        fill.holds = left
        something = bool(fill.captured_milli or fill.captured_minor)
        fill.completions += delivered
        fill.captured_minor += amount
        fill.captured_milli += milli
        fill.counter[0] += share
        fill.counter[1] += milli
        if ended:
            fill.status = "completed" if delivered else before
            fill.fills = 1 if delivered and not something and before != "completed" else fill.fills
        elif final:
            fill.status = "completed" if delivered or something else "released"
            fill.fills = 1 if delivered or something else 0
        else:
            fill.status = "part_completed"

    def sold(
        self, card: Card, said: dict, *, pin_right: bool, milli: int, price: int, amount: int, shop: int, tenders: int, now: datetime
    ) -> Fill | None:
        """Check and book a sale in one step: all of the card's share, or nothing."""
        refused = self.credential(card, pin_right)
        saved = min(amount, cost(milli, price) - cost(milli, price - min(card.rate_e4, price)))
        share = amount + shop - saved - tenders
        refused = refused or ("tenders_exceed" if share < 0 else None) or self.limits(card, now, share, milli)[0]
        if refused is None and share > card.account.funds(now):
            refused = "insufficient_funds"
        if refused is not None:
            assert (said["outcome"], said.get("reason")) == ("declined", refused), said
            return None
        assert (said["outcome"], said.get("card_minor", 0), said.get("discount_minor", 0)) == ("approved", share, saved)
        fill = Fill(card, local_day(now), now, captured_milli=milli, captured_minor=amount + shop, completions=1, counter=[share, milli])
        self.spent(card.account, card.account.takes(share, now), 0, discount=saved, tenders=tenders, now=now, by=fill)
        self.told(card.account, said)
        card.fills.append(fill)
        return fill

    def spent(
        self, account: Account, takes: Iterable[tuple[Purse, int]], owed: int, *, discount: int, tenders: int, now: datetime, by: object
    ) -> None:
        total = discount + tenders + owed
        for purse, taken in takes:
            purse.balance -= taken
            total += taken
        if owed:
            account.purse(RECEIVABLE).balance -= owed
        self.house("discount", -discount)
        self.house("tender", -tenders)
        self.house("sales", total)
        if total:
            account.moved.append((now, by))

    def ended(self, fill: Fill, to: str) -> int:
        """A hold that ends without a dispense."""
        released = fill.held
        for purse, held in fill.holds:
            purse.held -= held
        fill.holds = []
        fill.status = to
        if not (fill.completions and (fill.captured_minor or fill.captured_milli)):
            fill.fills = 0
        return released

    def expired(self, now: datetime) -> int:
        """Approvals whose completion did not come in time keep their hold, and are unresolved."""
        late = [
            fill
            for card in self.cards
            for fill in card.fills
            if fill.status in {"approved", "part_completed"} and fill.at + HOLD_FOR <= now and fill.at >= now - LOOK_BACK
        ]
        for fill in late:
            fill.status = "unresolved"
        return len(late)

    def told(self, account: Account, said: dict) -> None:
        """A private account's holder is told what is left; a company's driver is not."""
        left = (said.get("balance_after_minor"), said.get("available_after_minor"))
        whole = sum(purse.balance for purse in account.purses), sum(purse.free for purse in account.purses)
        assert left == ((None, None) if account.kind == "company" else whole), (left, whole)

    # Taking back

    def given_back(self, sold: Sold, answer: dict, mirrors: list[tuple[UUID, int, Purse | str]], now: datetime) -> None:
        """Check and book a refund: within each part of the sale, and in all exactly what was said."""
        account, fill = sold.fill.card.account, sold.fill
        gross, total, card_minor = answer["gross_minor"], 0, 0
        for transfer, amount, to in mirrors:
            part = sold.parts[transfer]
            part[2] -= amount
            assert part[2] >= 0, "no part goes back twice"
            total += amount
            if isinstance(to, Purse):
                card_minor += amount
                origin = part[0]
                assert to is origin or (origin.kind == RECEIVABLE and to is account.principal), "a lot gets its own back"
                to.balance += amount
            else:
                assert to == part[0]
                self.house(to, amount)
        sold.returned += gross
        assert total == gross
        assert card_minor == answer.get("card_minor", 0)
        assert sold.returned <= sold.gross
        milli = answer.get("quantity_milli", 0)
        sold.returned_milli += milli
        assert sold.returned_milli <= sold.milli
        if sold.returned == sold.gross:
            assert all(part[2] == 0 for part in sold.parts.values())
            assert sold.returned_milli == sold.milli
        self.house("sales", -gross)
        account.moved.append((now, answer["refund"]))
        if still_runs(fill.day, local_day(now)):
            fill.counter[0] -= card_minor
            fill.counter[1] -= milli
            standing = any(other.returned < other.gross for other in fill.sold)
            if sold.returned == sold.gross and not standing and fill.status not in OPEN:
                fill.fills = 0

    # Money in

    def loaded(self, account: Account, topup_id: UUID, amount: int, bonus: int, expires_at: datetime | None, now: datetime) -> Loaded:
        settled = min(account.owed, amount)
        if settled:
            account.purse(RECEIVABLE).balance += settled
        account.principal.balance += amount - settled
        self.house("tender", -amount)
        if bonus:
            account.purse(BONUS, expires_at).balance += bonus
            self.house("bonus", -bonus)
        account.fill_orders()
        loaded = Loaded(topup_id, account, amount, bonus, expires_at, settled, now)
        account.moved.append((now, loaded))
        return loaded

    def may_void(self, loaded: Loaded) -> str | None:
        """Why a top-up cannot be voided any more."""
        account = loaded.account
        if loaded.voided:
            return "CannotMove"
        if account.frozen:
            return "AccountNotOpen"
        if any(at >= loaded.at and by is not loaded for at, by in account.moved):
            return "NotTheLastMovement"
        bonus = account.purse(BONUS, loaded.expires_at) if loaded.bonus else None
        short = account.principal.free < loaded.amount - loaded.settled and loaded.amount > loaded.settled
        return "InsufficientFunds" if short or (bonus is not None and bonus.free < loaded.bonus) else None

    def voided(self, loaded: Loaded, now: datetime) -> None:
        account = loaded.account
        loaded.voided = True
        account.principal.balance -= loaded.amount - loaded.settled
        if loaded.settled:
            account.purse(RECEIVABLE).balance -= loaded.settled
        self.house("tender", loaded.amount)
        if loaded.bonus:
            account.purse(BONUS, loaded.expires_at).balance -= loaded.bonus
            self.house("bonus", loaded.bonus)
        account.moved.append((now, object()))

    # What must hold in these books themselves

    def holds_true(self) -> None:
        assert sum(purse.balance for account in self.accounts for purse in account.purses) + sum(self.houses.values()) == 0
        for account in self.accounts:
            held: dict[Purse, int] = {}
            for card in self.cards:
                if card.account is account:
                    for fill in card.fills:
                        for purse, amount in fill.holds:
                            held[purse] = held.get(purse, 0) + amount
            for order in account.orders:
                held[account.principal] = held.get(account.principal, 0) + order.held
            for purse in account.purses:
                assert purse.held == held.get(purse, 0)
                if purse.kind == RECEIVABLE:
                    assert purse.balance <= 0
                else:
                    assert 0 <= purse.held <= purse.balance
