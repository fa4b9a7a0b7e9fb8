"""Customers, their cards and their money: persons, four organisations, blank stock at the counters."""

import random
from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from stdnum.cn import ric, uscc

from loyalty.audit.model import Actor
from loyalty.cards.model import Card, CardStatus
from loyalty.cards.numbers import reveal_number
from loyalty.cards.operations import Developed, activate_card, issue_card, produce_batch, receive_stock, send_stock
from loyalty.cards.queries import get_card, list_cards
from loyalty.clock import local_date
from loyalty.crypto import Purpose, blind_index
from loyalty.customers.model import ContactRole, CustomerKind, IdentifierType
from loyalty.customers.operations import (
    CustomerFacts,
    Development,
    add_bank_account,
    add_contact,
    add_customer,
    add_identifier,
    declare_consent,
    verify_identifier,
)
from loyalty.ids import CustomerId, StaffId, StationId
from loyalty.limits.model import LimitKind, Window
from loyalty.limits.operations import NewLimit, replace_limits
from loyalty.policy import Policy
from loyalty.topups.model import Tender
from loyalty.topups.operations import BankTransfer, Bonus, StatementLine, confirm_bank_load, load

from .chain import COUNTER_STATION, STATIONS, SYSTEM, ZONE, Chain
from .rules import FLYER
from .secrets import DemoCard, LogIns, new_pin

_SURNAMES = "李王张刘陈杨黄周吴徐孙马朱胡林郭何高罗郑梁谢宋唐许邓冯韩曹曾"
_GIVEN = (
    "伟",
    "芳",
    "娜",
    "敏",
    "静",
    "丽娟",
    "志强",
    "磊",
    "洋",
    "艳红",
    "勇",
    "军",
    "杰",
    "晓东",
    "涛",
    "明辉",
    "超",
    "秀兰",
    "建华",
    "欣怡",
)
PERSONS = 44
ORGANISATIONS = (
    ("钱塘物流有限公司", "Qiantang Logistics", "company", 6, "HZ01", 8_000_000),
    ("甬江运输集团有限公司", "Yongjiang Transport", "fleet", 8, "NB03", 15_000_000),
    ("西湖区环境卫生服务中心", "Xihu Sanitation", "company", 4, "HZ02", 3_000_000),
    ("钱塘冷链运输有限公司", "Qiantang Cold Chain", "fleet", 3, "NB01", 5_000_000),
)
ISSUER_BANK = {"payee_name": "华岭石油销售有限公司", "payee_bank": "中国建设银行杭州分行", "payee_account": "33050161000012345"}
_STOCK = {"personal": 30, "gold": 15, "anonymous": 20, "company": 10, "fleet": 10}


@dataclass
class Holder:
    """One card in somebody's hands."""

    card_id: UUID
    account_id: UUID
    number: str
    product: str
    home: str
    plate: str | None = None
    diesel: bool = False

    @property
    def index(self) -> bytes:
        """What the pump finds it by."""
        return blind_index(Purpose.INDEX_CARD_NUMBER, self.number)


@dataclass
class Crowd:
    """Everybody who fuels, and what the office waits for."""

    pin: str
    holders: list[Holder] = field(default_factory=list)
    shown: list[Holder] = field(default_factory=list)
    """Whose cards are printed, for whoever tries the demo."""
    leavers: list[Holder] = field(default_factory=list)
    """Who has gone away: their accounts wait to be closed."""

    @property
    def loser(self) -> Holder:
        """Who will lose a card, and fuel no more."""
        return [holder for holder in self.holders if holder.product == "personal"][-1]

    def part_with_leavers(self) -> None:
        """Let two people whose accounts will be closed fuel no more."""
        persons = [holder for holder in self.holders if holder.product == "personal"]
        self.leavers = persons[-3:-1]
        self.holders = [holder for holder in self.holders if holder not in self.leavers]


class _Stock:
    """Blank cards at the counters, in the order in which they are handed out."""

    def __init__(self) -> None:
        self._lying: dict[tuple[str, str], deque[UUID]] = {}

    async def lay_in(self, session: AsyncSession, chain: Chain) -> None:
        """Produce blanks, send them to the stations, receive them there; a few stay on the way."""
        for product, each in _STOCK.items():
            product_id = chain.card_products[product]
            await produce_batch(session, product_id=product_id, count=each * 7, actor=SYSTEM, now=chain.began)
            for station, station_id in chain.stations.items():
                sent = await send_stock(
                    session,
                    product_id=product_id,
                    count=each,
                    from_station_id=None,
                    to_station_id=station_id,
                    actor=SYSTEM,
                    now=chain.began,
                )
                await receive_stock(session, move_id=sent.move_id, actor=chain.person(f"cashier:{station}"), now=chain.began)
                page = await list_cards(session, status=CardStatus.BLANK, product_id=product_id, station_id=station_id, limit=200)
                self._lying[product, station] = deque(card.card_id for card in page.rows)

    def take(self, product: str, station: str) -> UUID:
        """Take the next blank from the drawer."""
        return self._lying[product, station].popleft()

    def last(self, product: str, station: str) -> UUID:
        """Return the blank that lies lowest: it is still there when all are served."""
        return self._lying[product, station][-1]


async def make_crowd(session: AsyncSession, chain: Chain, *, policy: Policy, log_ins: LogIns, now: datetime) -> Crowd:
    """Make all customers with their cards and first loads."""
    crowd = Crowd(new_pin())
    stock = _Stock()
    await stock.lay_in(session, chain)
    rng = random.Random(7)  # noqa: S311 - the same names each time; what must be secret is drawn elsewhere
    issuing = _Issuing(session, chain, stock, crowd, policy, now)
    referrers: list[CustomerId] = []
    for number in range(PERSONS):
        await _person(issuing, rng, number, referrers)
    for _ in range(6):
        await _bearer(issuing, rng)
    for place, organisation in enumerate(ORGANISATIONS):
        await _organisation(issuing, place, *organisation)
    wanted = {
        "personal": "personal 记名卡",
        "gold": "gold 金卡",
        "anonymous": "anonymous 不记名卡",
        "company": "company 单位卡",
        "fleet": "fleet 车队卡",
    }
    for product, what in wanted.items():
        shown = next(holder for holder in crowd.holders if holder.product == product)
        plate = f", {shown.plate}" if shown.plate else ""
        log_ins.cards.append(DemoCard(f"{what}{plate}", shown.number, crowd.pin))
        crowd.shown.append(shown)
    log_ins.cards.append(DemoCard("personal 记名卡, lost 已挂失", crowd.loser.number, crowd.pin))
    crowd.part_with_leavers()
    for product in ("personal", "anonymous"):
        card = await get_card(session, card_id=stock.last(product, COUNTER_STATION))
        shown_number = reveal_number(card_id=card.card_id, sealed=card.number_sealed)
        log_ins.cards.append(DemoCard(f"blank 空白卡 {COUNTER_STATION}, {wanted[product]}", shown_number, " " * len(crowd.pin)))
    return crowd


@dataclass
class _Issuing:
    """What handing out a card needs."""

    session: AsyncSession
    chain: Chain
    stock: _Stock
    crowd: Crowd
    policy: Policy
    now: datetime
    references: "count[int]" = field(default_factory=lambda: count(1))

    async def card(
        self,
        product: str,
        station: str,
        *,
        customer_id: UUID | None = None,
        plate: str | None = None,
        label: str | None = None,
        developed: Developed | None = None,
    ) -> Card:
        """Hand out and activate a card at a counter."""
        actor, station_id = self.chain.person(f"cashier:{station}"), self.chain.stations[station]
        card = await issue_card(
            self.session,
            card_id=self.stock.take(product, station),
            customer_id=customer_id,
            station_id=station_id,
            plate=plate,
            holder_label=label,
            developed=developed or Developed(station_id=station_id),
            policy=self.policy,
            actor=actor,
            now=self.chain.began,
        )
        card = await activate_card(
            self.session, card_id=card.card_id, pin=self.crowd.pin, station_id=station_id, actor=actor, now=self.chain.began
        )
        number = reveal_number(card_id=card.card_id, sealed=card.number_sealed)
        diesel = product == "fleet"
        self.crowd.holders.append(Holder(card.card_id, card.account_id, number, product, station, plate, diesel))
        return card

    async def load(self, card: Card, station: str, amount_minor: int, tender: Tender, bonus_minor: int = 0) -> None:
        """Load a card at a counter."""
        reference = f"4200{next(self.references):010}" if tender in {Tender.WECHAT, Tender.ALIPAY, Tender.CARD} else None
        ends = self.chain.began + timedelta(days=90)
        await load(
            self.session,
            policy=self.policy,
            account_id=card.account_id,
            card_id=card.card_id,
            amount_minor=amount_minor,
            tender=tender,
            reference=reference,
            station_id=self.chain.stations[station],
            terminal_id=self.chain.tills[station],
            bonus=Bonus(bonus_minor, ends, "opening-gift") if bonus_minor else None,
            actor=self.chain.person(f"cashier:{station}"),
            event_at=self.chain.began,
            now=self.chain.began,
        )


def first_km(number: str) -> int:
    """Return what the odometer of a company's van showed when the chain opened, by the end of its card's number."""
    return 21_000 + int(number[-3:]) * 10


def born(number: int, today: date) -> date:
    """Return somebody's birthday: every sixth has it these days. Those were born in leap years, so that the day exists."""
    if number % 6 == 0:
        return (today + timedelta(days=number // 6 % 7 - 2)).replace(year=1960 + number // 6 * 4)
    return date(1958 + number % 45, number % 12 + 1, number % 27 + 1)


def resident_id(number: int, birthday: date) -> str:
    """Return a resident's number that nobody has: of the code of a whole province's cities, which is never given out."""
    payload = f"330100{birthday:%Y%m%d}{number:03}"
    return payload + ric.calc_check_digit(payload + "0")


def registration_number(number: int) -> str:
    """Return a well-formed registration number of an organisation."""
    payload = f"91330100MA2DEM{number:03}"
    return payload + uscc.calc_check_digit(payload)


def transfer_of(name: str, *, place: int) -> BankTransfer:
    """Return how the organisation at this place of the list pays: from its own account to the issuer's."""
    return BankTransfer(payer_name=name, payer_bank="中国农业银行", payer_account=f"62284801{place:03}0012345", **ISSUER_BANK)


async def _person(issuing: _Issuing, rng: random.Random, number: int, referrers: list[CustomerId]) -> None:
    session, chain = issuing.session, issuing.chain
    station = list(STATIONS)[number % len(STATIONS)]
    cashier = chain.person(f"cashier:{station}")
    name = _SURNAMES[number % len(_SURNAMES)] + _GIVEN[(number * 7 + number // 20) % len(_GIVEN)]
    birthday = born(number, local_date(issuing.now, ZONE))
    facts = CustomerFacts(kind=CustomerKind.PERSON, name=name, phone=f"1385710{number:04}", birthday=birthday)
    referrer = rng.choice(referrers) if referrers and number % 9 == 4 else None
    developed = Development(
        staff_id=chain.staff[f"cashier:{station}"],
        station_id=chain.stations[station],
        flyer_code=FLYER if number % 5 == 0 else None,
        referrer_id=referrer,
    )
    # Who brings somebody was there before.
    entered_at = chain.began - timedelta(minutes=2 * (PERSONS - number))
    customer_id = await add_customer(session, facts=facts, developed=developed, actor=cashier, now=entered_at)
    await _verified(issuing, customer_id, IdentifierType.RESIDENT_ID, resident_id(number, birthday), station)
    if number % 3 == 0:
        await declare_consent(
            session,
            customer_id=customer_id,
            purpose="marketing",
            granted=number % 6 == 0,
            evidence="card form",
            actor=cashier,
            now=chain.began,
        )
    card = await issuing.card(
        "gold" if number % 4 == 1 else "personal",
        station,
        customer_id=customer_id,
        developed=Developed(
            staff_id=chain.staff[f"cashier:{station}"],
            station_id=chain.stations[station],
            flyer_code=FLYER if number % 5 == 0 else None,
            referrer_customer_id=referrer,
        ),
        # Whose monthly wash is for one car.
        plate=f"浙{'A' if station.startswith('HZ') else 'B'}{number:02}K{number % 10}6" if number % 3 == 1 else None,
    )
    tender = rng.choice((Tender.CASH, Tender.WECHAT, Tender.WECHAT, Tender.ALIPAY, Tender.CARD))
    amount = rng.choice((50_000, 100_000, 100_000, 150_000, 200_000, 300_000))
    await issuing.load(card, station, amount, tender, bonus_minor=amount // 20 if number % 4 == 1 else 0)
    referrers.append(customer_id)


async def _bearer(issuing: _Issuing, rng: random.Random) -> None:
    station = rng.choice(list(STATIONS))
    card = await issuing.card("anonymous", station)
    await issuing.load(card, station, rng.choice((20_000, 30_000, 50_000)), Tender.CASH)


async def enter_person(
    session: AsyncSession, *, name: str, number: int, phone: str, actor: Actor, station_id: StationId, now: datetime
) -> CustomerId:
    """Enter somebody at a counter who shows a document."""
    birthday = born(number, local_date(now, ZONE))
    facts = CustomerFacts(kind=CustomerKind.PERSON, name=name, phone=phone, birthday=birthday)
    customer_id = await add_customer(session, facts=facts, developed=Development(station_id=station_id), actor=actor, now=now)
    await _verify(session, customer_id, IdentifierType.RESIDENT_ID, resident_id(number, birthday), actor, now)
    return customer_id


async def _verified(issuing: _Issuing, customer_id: CustomerId, type_: IdentifierType, value: str, station: str) -> None:
    await _verify(issuing.session, customer_id, type_, value, issuing.chain.person(f"cashier:{station}"), issuing.chain.began)


async def _verify(session: AsyncSession, customer_id: CustomerId, type_: IdentifierType, value: str, actor: Actor, now: datetime) -> None:
    assert actor.staff_id is not None, "somebody looks at the document"
    added = await add_identifier(session, customer_id=customer_id, type=type_, value=value, actor=actor, now=now)
    await verify_identifier(session, identifier_id=added.identifier_id, staff_id=StaffId(actor.staff_id), actor=actor, now=now)


async def _organisation(
    issuing: _Issuing, place: int, name: str, name_en: str, product: str, cards: int, station: str, amount_minor: int
) -> None:
    """Make an organisation with its contact, its bank account, its cards and limits; it pays by bank transfer, which finance confirms."""
    session, chain = issuing.session, issuing.chain
    cashier = chain.person(f"cashier:{station}")
    facts = CustomerFacts(kind=CustomerKind.ORGANISATION, name=name, short_name=name_en, phone=f"0571860{place:05}"[:12])
    customer_id = await add_customer(
        session, facts=facts, developed=Development(station_id=chain.stations[station]), actor=cashier, now=chain.began
    )
    await _verified(issuing, customer_id, IdentifierType.USCC, registration_number(place + 1), station)
    await add_contact(
        session, customer_id=customer_id, role=ContactRole.FLEET, name="车队长", phone=f"1395711{place:04}", actor=cashier, now=chain.began
    )
    bank = transfer_of(name, place=place)
    await add_bank_account(
        session,
        customer_id=customer_id,
        holder=name,
        bank=bank.payer_bank,
        number=bank.payer_account,
        currency="CNY",
        actor=cashier,
        now=chain.began,
    )
    first: Card | None = None
    for number in range(cards):
        plate = f"浙{'A' if station.startswith('HZ') else 'B'}{place + 1}{'DEFGHJKL'[number]}{number + 3}{place + 2}{number}"
        card = await issuing.card(
            product,
            station,
            customer_id=customer_id,
            plate=plate if product == "fleet" else None,
            label=f"{number + 1}号{'车' if product == 'fleet' else '驾驶员'}",
        )
        first = first or card
        limits = [NewLimit(LimitKind.AMOUNT, Window.DAY, 200_000), NewLimit(LimitKind.QUANTITY, Window.MONTH, 2_000_000)]
        if product == "fleet":
            limits += [NewLimit(LimitKind.GRADES, codes=("0", "-10")), NewLimit(LimitKind.PLATE, codes=(plate,))]
        await replace_limits(session, subject_id=card.chain_id, limits=limits, actor=cashier, now=chain.began)
    assert first is not None, "an organisation has cards"
    pending = await _transfer(issuing, first, station, amount_minor, bank, chain.began)
    line = StatementLine(line=f"CCB{place + 1:06}", day=local_date(chain.began, ZONE), amount_minor=amount_minor)
    await confirm_bank_load(
        session,
        policy=issuing.policy,
        topup_id=pending,
        statement=line,
        actor=chain.person("finance"),
        now=chain.began + timedelta(hours=3),
    )
    if place == 0:
        await _transfer(issuing, first, station, 5_000_000, bank, issuing.now - timedelta(hours=2))


async def _transfer(issuing: _Issuing, card: Card, station: str, amount_minor: int, bank: BankTransfer, now: datetime) -> UUID:
    topup = await load(
        issuing.session,
        policy=issuing.policy,
        account_id=card.account_id,
        card_id=card.card_id,
        amount_minor=amount_minor,
        tender=Tender.BANK_TRANSFER,
        bank=bank,
        station_id=issuing.chain.stations[station],
        terminal_id=issuing.chain.tills[station],
        actor=issuing.chain.person(f"cashier:{station}"),
        event_at=now,
        now=now,
    )
    return topup.topup_id
