"""Who trades in the demo: the chain's tills as the pump's engine sees them, what people take, what their odometers show."""

import random
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from loyalty.authorizations.facts import Place
from loyalty.authorizations.hot import HotRequest
from loyalty.authorizations.model import Operation
from loyalty.authorizations.operations.fills import record_fill
from loyalty.authorizations.rules import Presented
from loyalty.authorizations.wire import FuelLine
from loyalty.authorizations.worker import Pump
from loyalty.crypto import request_fingerprint
from loyalty.db import Sessions, transaction
from loyalty.money import line_amount
from loyalty.policy import Policy

from .chain import Chain
from .holders import Crowd, Holder, first_km


class Forecourt(Pump):
    """The chain's tills as the pump's engine sees them, at a time that walks through the days."""

    def __init__(self, url: str, sessions: Sessions, at: datetime) -> None:
        super().__init__(url, sessions, application_name="loyalty-demo")
        self.at = at

    def now(self) -> datetime:
        """Return the instant at which the demo stands."""
        return self.at

    async def ask(self, operation: Operation, body: Any, *, place: Place, **more: Any) -> dict[str, Any]:
        """Ask as a till does and return the answer."""
        fingerprint = request_fingerprint(msgspec.json.encode(body))[:16]
        request = HotRequest(operation, body, place=place, key=uuid.uuid4(), fingerprint=fingerprint, **more)
        answered: dict[str, Any] = msgspec.json.decode(await self.submit(request))
        return answered


@dataclass
class Business:
    """Who trades, with what."""

    forecourt: Forecourt
    chain: Chain
    crowd: Crowd
    policy: Policy
    rng: random.Random
    pump_number: int = 0
    refundable: dict[str, Any] | None = None
    odometers: dict[UUID, int] = field(default_factory=dict)
    """Kilometres by card, of companies' vans."""

    def place(self, station: str) -> Place:
        """Return a station's forecourt till."""
        return self.forecourt.snapshot.places[self.chain.tills[station]]

    def fuel(self, station: str, holder: Holder | None) -> FuelLine:
        """Return what somebody put into a tank."""
        rng = self.rng
        product = (
            rng.choice(("0", "0", "-10")) if holder is not None and holder.diesel else rng.choice(("92", "92", "92", "95", "95", "98"))
        )
        litres = (
            rng.randrange(8_000, 16_000, 10) if holder is not None and holder.product == "anonymous" else rng.randrange(15_000, 48_000, 10)
        )
        if holder is not None and holder.product == "company":
            # Companies' vans take what their vehicle's papers say.
            product = "92"
        price = self.chain.prices[station, product]
        return FuelLine(
            product=product, quantity_milli=litres, unit_price_e4=price, amount_minor=line_amount(litres, price), nozzle=rng.randint(1, 8)
        )

    async def dispense(self, station: str, fuel: FuelLine, finished_at: datetime) -> UUID:
        """Let the forecourt report a finished fill."""
        self.pump_number += 1
        async with transaction(self.forecourt.sessions) as session:
            fill = await record_fill(
                session,
                station_id=self.chain.stations[station],
                pump_reference=f"P{self.pump_number:06}",
                nozzle=fuel.nozzle or 1,
                product_id=self.chain.products[fuel.product],
                quantity_milli=fuel.quantity_milli,
                unit_price_e4=fuel.unit_price_e4,
                amount_minor=fuel.amount_minor,
                finished_at=finished_at,
                now=finished_at,
            )
            return fill.fill_id

    def odometer(self, holder: Holder, quantity_milli: int) -> int | None:
        """Return what a company's van shows after the way that a fill pays for; None for whom nobody asks."""
        if holder.product != "company":
            return None
        km = self.odometers.get(holder.card_id, first_km(holder.number))
        self.odometers[holder.card_id] = km + quantity_milli * 100 // 9_100
        return self.odometers[holder.card_id]

    def presented(self, holder: Holder, pin: str | None = None) -> dict[str, Any]:
        """Return how a holder presents the card."""
        return {"number_index": holder.index, "presented": Presented(pin=pin or self.crowd.pin)}
