"""One station played through its day: every visit of the plan becomes requests of the reference client, every answer enters the tally."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final
from uuid import UUID, uuid4

import httpx

from loyalty import clock
from loyalty.money import line_amount, minor_digits
from loyalty.pos_client import Card, Fuel, MemoryStore, OfflineRefusedError, ProblemError, Shop, Tender, Till, TillError

from .line import Line
from .plan import Kind, Visit
from .stage import COUNTER, PUMP, Crew, Scene
from .tally import Tally

FLOAT_MINOR: Final = 50_000
LOAD_MINOR: Final = 50_000
CARDS_A_PURCHASE: Final = 10
LEAST_MILLI: Final = 1_000
KM_A_FILL: Final = 8
OFFLINE_NEEDS: Final = frozenset({"plate", "order_number", "odometer_km"})


@dataclass
class Counts:
    """What the live line shows."""

    visits: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    declined: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class StationDay:
    """A station with its two tills, its line and its cards."""

    def __init__(self, scene: Scene, *, base_url: str, counts: Counts) -> None:
        self.scene = scene
        self.counts = counts
        self.line = Line()
        self._http = httpx.AsyncClient(base_url=base_url, transport=self.line, timeout=30)
        self._base_url = base_url
        self.tallies = {COUNTER: Tally(), PUMP: Tally()}
        self.tills: dict[str, Till] = {}
        self.fuels: list[dict[str, Any]] = []
        self.shop: list[dict[str, Any]] = []
        self.digits = minor_digits(scene.station.currency)
        self._waiting: dict[UUID, tuple[Fuel | None, tuple[Shop, ...], tuple[Tender, ...]]] = {}
        """Offline sales that are not reported yet, by their key."""
        self._driven_km = 0

    async def open(self) -> None:
        """Enrol both tills, take the offline package, open the shifts, sell and load the cards."""
        for code in (COUNTER, PUMP):
            till = await Till.enrol(
                self._base_url,
                code=self.scene.codes[code],
                store=MemoryStore(),
                http=self._http,
                business_clock=clock.business_now,
                attempts=3,
                backoff_s=0.02,
            )
            self.tills[code] = till
            place = await till.place()
            if place["shift"] is not None:
                # A simulation was interrupted: its shift ends with a word, its differences are on record.
                await till.close_shift(counted_cash_minor=0, explanation="simulation interrupted")
            self.fuels = [line for line in place["board"] if line["category"] == "fuel"]
            self.shop = [line for line in place["board"] if line["category"] == "shop"]
            await till.synchronise()
            await till.open_shift(self.scene.cashier, opening_float_minor=FLOAT_MINOR if code == COUNTER else 0)
        await self._sell_cards()

    async def _sell_cards(self) -> None:
        till, tally = self.tills[COUNTER], self.tallies[COUNTER]
        for card in self.scene.cards:
            assert card.number is not None, "blank cards have numbers"
            await till.issue(card.number)
            await till.activate(Card(number=card.number, pin=card.pin))
        for begin in range(0, len(self.scene.cards), CARDS_A_PURCHASE):
            some = self.scene.cards[begin : begin + CARDS_A_PURCHASE]
            bought = await till.purchase([{"number": card.number, "amount_minor": LOAD_MINOR} for card in some], tender="cash")
            tally.loaded("cash", bought["total_minor"], bought["discount_minor"])

    async def play(self, visits: list[Visit], *, seconds_between: float) -> None:
        """Serve the visits one after the other; a till that falls behind does not wait."""
        began = monotonic()
        for visit in visits:
            due = began + visit.number * seconds_between
            if due > monotonic():
                await asyncio.sleep(due - monotonic())
            await self._serve(visit)
        await self._reconnect()

    async def _serve(self, visit: Visit) -> None:
        if visit.offline:
            if visit.ambiguous:
                self.line.lose_answers = 1
            else:
                self.line.down = True
        elif self.line.down or self.line.lose_answers:
            await self._reconnect()
        started = monotonic()
        try:
            await self._SCENES[visit.kind](self, visit)
        except OfflineRefusedError as refused:
            self.counts.declined[refused.reason] += 1
        except ProblemError as problem:
            self.counts.refused[problem.code] += 1
        except (TillError, httpx.HTTPError) as error:
            self.counts.faults.append(f"{self.scene.station.code} visit {visit.number} ({visit.kind}): {error!r}")
        self.counts.visits += 1
        self.counts.latencies_ms.append(int((monotonic() - started) * 1000))

    async def _reconnect(self) -> None:
        """Let the line come back: settle what is unknown, report what was sold meanwhile."""
        self.line.restore()
        till = self.tills[COUNTER]
        for result in await till.report_offline():
            fuel, shop, tenders = self._waiting.pop(UUID(result["key"]))
            if "reversal" in result:
                self._taken_back(result["reversal"], fuel, shop, tenders)
                continue
            answer = result.get("answer")
            if answer is None:
                self.counts.refused[result.get("problem", {}).get("code", "no answer")] += 1
                continue
            self.counts.outcomes["reported"] += 1
            self.tallies[COUNTER].sold(card_minor=answer.get("card_minor", 0), fuel=fuel, shop=shop, tenders=tenders)

    def _taken_back(self, reversal: dict[str, Any], fuel: Fuel | None, shop: tuple[Shop, ...], tenders: tuple[Tender, ...]) -> None:
        """Note a lost sale that was booked after all and reversed; one that never arrived leaves nothing."""
        self._note(reversal)
        undone = reversal.get("refund")
        if undone is not None:
            self.tallies[COUNTER].sold(card_minor=undone.get("card_minor", 0), fuel=fuel, shop=shop, tenders=tenders)
            self.tallies[COUNTER].refunded(undone)

    async def close(self) -> list[str]:
        """Count, close both shifts, and name every difference."""
        found: list[str] = []
        for code, till in self.tills.items():
            tally = self.tallies[code]
            cash = (FLOAT_MINOR if code == COUNTER else 0) + tally.cash_minor
            closed = await till.close_shift(counted_cash_minor=max(0, cash))
            where = f"{self.scene.station.code}/{code}"
            if closed["status"] != "closed":
                found.append(f"{where}: cash over/short {closed['over_short_minor']}")
                closed = await till.close_shift(counted_cash_minor=max(0, cash), explanation="simulation")
            found += [f"{where}: {line}" for line in tally.compare(closed["totals"])]
            found += [f"{where}: transaction {difference}" for difference in closed.get("differences") or []]
            if not closed.get("signature_good"):
                found.append(f"{where}: the chain's signature does not hold")
        await self.leave()
        return found

    async def leave(self) -> None:
        """Let the connection go without closing anything: as a power cut does."""
        await self._http.aclose()

    # The visits

    async def _fill(self, visit: Visit, *, key: UUID | None = None) -> dict[str, Any] | None:
        """Pay after filling; return the sale's answer where it was booked online."""
        fuel = self._fuel(visit, visit.litres_milli)
        fill_id = None if visit.offline else await self._report(visit, fuel)
        if visit.wrong_pin and not visit.offline:
            await self._sale(visit, fuel=fuel, fill_id=fill_id, pin=_another(self._card(visit)))
        answer = await self._sale(visit, fuel=fuel, fill_id=fill_id, key=key)
        if answer["outcome"] == "declined" and fill_id is not None:
            # The fuel is in the tank: somebody pays, by whatever means.
            await self.tills[COUNTER].close_fill(fill_id, way="other")
        return answer if answer["outcome"] == "approved" else None

    async def _shop(self, visit: Visit) -> None:
        if not self.shop:
            await self._fill(visit)
            return
        product = self.shop[visit.fuel % len(self.shop)]
        amount = line_amount(1_000, product["unit_price_e4"], self.digits)
        await self._sale(visit, shop=(Shop(product=product["product_code"], amount_minor=amount),))

    async def _sale(
        self,
        visit: Visit,
        *,
        fuel: Fuel | None = None,
        shop: tuple[Shop, ...] = (),
        fill_id: str | None = None,
        pin: str | None = None,
        key: UUID | None = None,
    ) -> dict[str, Any]:
        card = self._card(visit)
        due = (fuel.amount_minor if fuel else 0) + sum(line.amount_minor for line in shop)
        tenders = self._tenders(visit, due)
        key = key or uuid4()

        async def ask(**said: Any) -> dict[str, Any]:
            return await self.tills[COUNTER].sell(
                Card(number=card.number, pin=pin or card.pin, check_value=card.check_value),
                fuel=fuel,
                shop=shop,
                tenders=tenders,
                fill_id=fill_id,
                offline_in=self.scene.station.zone if visit.offline else None,
                **said,
            )

        try:
            answer = await self._answering(card, ask, key, offline=visit.offline)
        except OfflineRefusedError:
            self._waiting[key] = (fuel, shop, tenders)
            raise
        if answer["outcome"] == "approved_offline":
            self._waiting[UUID(answer["key"])] = (fuel, shop, tenders)
        elif answer["outcome"] == "approved":
            self.tallies[COUNTER].sold(card_minor=answer.get("card_minor", 0), fuel=fuel, shop=shop, tenders=tenders)
        self._note(answer)
        return answer

    async def _answering(self, card: Card, ask: Callable[..., Awaitable[dict[str, Any]]], key: UUID, *, offline: bool) -> dict[str, Any]:
        """Ask; where the pump wants more said, let the card's crew say it and ask once more, under `key`.

        Without a line nobody asks for it: it is said at once.
        """
        crew = self.scene.crews.get(card)
        if crew is None:
            return await ask(key=key)
        if offline:
            return await ask(key=key, driver=crew.driver, **self._says(crew, OFFLINE_NEEDS))
        first = uuid4()
        answer = await ask(key=first)
        if answer["outcome"] != "more_data":
            return answer
        self._note(answer)
        driver = crew.driver if "driver_number" in answer["needs"] else None
        return await ask(key=key, continues=first, driver=driver, **self._says(crew, answer["needs"]))

    def _says(self, crew: Crew, needs: Collection[str]) -> dict[str, Any]:
        """Return what the crew says of what is asked; the odometer runs on from fill to fill."""
        self._driven_km += KM_A_FILL
        said = {"plate": crew.plate, "order_number": crew.order_number, "odometer_km": crew.odometer_km + self._driven_km}
        return {name: value for name, value in said.items() if name in needs}

    async def _preset(self, visit: Visit) -> None:
        await self._authorised(visit, self.tills[COUNTER], self.tallies[COUNTER], amount_minor=visit.load_minor)

    async def _pump(self, visit: Visit) -> None:
        await self._authorised(visit, self.tills[PUMP], self.tallies[PUMP], flow="pump")

    async def _authorised(self, visit: Visit, till: Till, tally: Tally, **wanted: Any) -> None:
        card, grade = self._card(visit), self._grade(visit)

        async def ask(**more: Any) -> dict[str, Any]:
            shown = Card(number=card.number, pin=card.pin)
            return await till.authorise(shown, product=grade["product_code"], nozzle=visit.nozzle, **wanted, **more)

        said = await self._answering(card, ask, uuid4(), offline=False)
        self._note(said)
        if said["outcome"] not in {"approved", "partial"}:
            return
        litres = max(LEAST_MILLI, min(visit.litres_milli, said["approved_milli"]))
        halves = [litres // 2, litres - litres // 2] if visit.litres_milli % 3 == 0 else [litres]
        for number, part in enumerate(halves, 1):
            fuel = self._fuel(visit, part)
            booked = await till.complete(
                said["authorization"],
                quantity_milli=part,
                unit_price_e4=fuel.unit_price_e4,
                amount_minor=fuel.amount_minor,
                nozzle=visit.nozzle,
                final=number == len(halves),
            )
            self._note(booked)
            tally.sold(card_minor=booked.get("card_minor", 0), fuel=fuel)

    async def _not_lifted(self, visit: Visit) -> None:
        card, till = self._card(visit), self.tills[PUMP]

        async def ask(**more: Any) -> dict[str, Any]:
            shown = Card(number=card.number, pin=card.pin)
            return await till.authorise(shown, product=self._grade(visit)["product_code"], nozzle=visit.nozzle, flow="pump", **more)

        said = await self._answering(card, ask, uuid4(), offline=False)
        self._note(said)
        if said["outcome"] in {"approved", "partial"}:
            self._note(await till.nozzle_not_lifted(said["authorization"]))

    async def _topup(self, visit: Visit) -> dict[str, Any]:
        reference = None if visit.tender == "cash" else uuid4().hex
        loaded = await self.tills[COUNTER].top_up(
            Card(number=self._card(visit).number), amount_minor=visit.load_minor, tender=visit.tender, reference=reference
        )
        self.tallies[COUNTER].loaded(visit.tender, loaded["amount_minor"], loaded.get("discount_minor", 0))
        self._note(loaded)
        return loaded

    async def _topup_reversed(self, visit: Visit) -> None:
        loaded = await self._topup(visit._replace(tender="cash", load_minor=10_000))
        undone = await self.tills[COUNTER].reverse_top_up(loaded["topup_id"], reason="typed wrong")
        self.tallies[COUNTER].taken_back("cash", undone["amount_minor"] - undone.get("discount_minor", 0))
        self._note(undone)

    async def _balance(self, visit: Visit) -> None:
        card = self._card(visit)
        self._note(await self.tills[COUNTER].balance(Card(number=card.number, pin=card.pin)))

    async def _other_means(self, visit: Visit) -> None:
        fill_id = await self._report(visit, self._fuel(visit, visit.litres_milli))
        way = "test" if visit.kind is Kind.PUMP_TEST else "other"
        await self.tills[COUNTER].close_fill(fill_id, way=way)
        self.counts.outcomes[f"fill {way}"] += 1

    async def _refund(self, visit: Visit) -> None:
        sold = await self._fill(visit)
        if sold is not None:
            back = await self.tills[COUNTER].refund(sold["sale"], reason="customer's wish", gross_minor=sold["gross_minor"] // 2)
            self.tallies[COUNTER].refunded(back)
            self._note(back)

    async def _reversal(self, visit: Visit) -> None:
        key = uuid4()
        sold = await self._fill(visit._replace(wrong_pin=False), key=key)
        if sold is not None:
            undone = await self.tills[COUNTER].reverse(key, reason="wrong card")
            if undone.get("refund"):
                self.tallies[COUNTER].refunded(undone["refund"])
            self._note(undone)

    async def _duplicate(self, visit: Visit) -> None:
        self.line.twice = 1
        await self._fill(visit._replace(wrong_pin=False))
        if self.line.differed:
            self.counts.faults.append(f"{self.scene.station.code} visit {visit.number}: a repeated request got another answer")

    _SCENES: Final[dict[Kind, Callable[["StationDay", Visit], Awaitable[Any]]]] = {
        Kind.FILL: _fill,
        Kind.PRESET: _preset,
        Kind.PUMP: _pump,
        Kind.NOT_LIFTED: _not_lifted,
        Kind.SHOP: _shop,
        Kind.TOPUP: _topup,
        Kind.TOPUP_REVERSED: _topup_reversed,
        Kind.BALANCE: _balance,
        Kind.OTHER_MEANS: _other_means,
        Kind.PUMP_TEST: _other_means,
        Kind.REFUND: _refund,
        Kind.REVERSAL: _reversal,
        Kind.DUPLICATE: _duplicate,
    }

    # What a visit is made of

    def _card(self, visit: Visit) -> Card:
        all_cards = (*self.scene.cards, *self.scene.crews)
        return all_cards[visit.card % len(all_cards)]

    def _grade(self, visit: Visit) -> dict[str, Any]:
        return self.fuels[visit.fuel % len(self.fuels)]

    def _fuel(self, visit: Visit, litres_milli: int) -> Fuel:
        grade = self._grade(visit)
        return Fuel(
            product=grade["product_code"],
            quantity_milli=litres_milli,
            unit_price_e4=grade["unit_price_e4"],
            amount_minor=line_amount(litres_milli, grade["unit_price_e4"], self.digits),
            nozzle=visit.nozzle,
        )

    def _tenders(self, visit: Visit, due_minor: int) -> tuple[Tender, ...]:
        amount = due_minor * visit.share // 100
        if not amount:
            return ()
        return (Tender(tender=visit.tender, amount_minor=amount, reference=None if visit.tender == "cash" else uuid4().hex),)

    async def _report(self, visit: Visit, fuel: Fuel) -> str:
        till = self.tills[COUNTER]
        fill = {
            "pump_reference": f"sim-{till.state.epoch}-{visit.number}-{uuid4().hex[:8]}",
            "nozzle": visit.nozzle,
            "product": fuel.product,
            "quantity_milli": fuel.quantity_milli,
            "unit_price_e4": fuel.unit_price_e4,
            "amount_minor": fuel.amount_minor,
            "finished_at": till.business_clock(),
        }
        made = await till.report_fills([fill])
        fill_id: str = made["fills"][0]["fill_id"]
        return fill_id

    def _note(self, answer: dict[str, Any]) -> None:
        self.counts.outcomes[answer["outcome"]] += 1
        if answer["outcome"] in {"declined", "more_data"}:
            self.counts.declined[answer.get("reason") or "unknown"] += 1


def _another(card: Card) -> str:
    """Return a PIN that is not the card's."""
    assert card.pin is not None, "every card of a scene has a PIN"
    return card.pin[:-1] + str((int(card.pin[-1]) + 5) % 10)
