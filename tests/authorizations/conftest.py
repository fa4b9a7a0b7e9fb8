"""The pump's engine on a database of its own: the batcher commits, so nothing is rolled back."""

import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from loyalty.authorizations.hot import HotRequest
from loyalty.authorizations.hot_api import shown_driver_card
from loyalty.authorizations.model import Operation
from loyalty.authorizations.rules import Presented, ShownDriverCard
from loyalty.authorizations.wire import (
    AuthorizationRequest,
    CompletionRequest,
    Credential,
    DriverCard,
    FuelLine,
    SaleRequest,
    parse_reference,
)
from loyalty.authorizations.worker import Pump
from loyalty.crypto import FileKeyProvider, Keyring, open_keyring, request_fingerprint, use_keyring
from loyalty.db import Sessions, transaction
from tests.factories.world import PIN, TestCard, World, make_world


@pytest.fixture(scope="session")
def key_set(tmp_path_factory) -> Keyring:
    return open_keyring(
        FileKeyProvider(tmp_path_factory.mktemp("secret") / "keys"),
        expected_fingerprint=None,
        now=datetime.fromisoformat("2026-09-24T00:00:00Z"),
    )


@pytest.fixture(autouse=True)
def keys(key_set):
    use_keyring(key_set)
    yield key_set
    use_keyring(None)


def shown_beside(fields: dict[str, object]) -> ShownDriverCard | None:
    """Read the driver's own card of a request, as the edge does."""
    card = fields.get("driver_card")
    return shown_driver_card(card) if isinstance(card, DriverCard) else None


class Bench(Pump):
    """The two lanes, and how a test talks to them."""

    def __init__(self, url: str, sessions: Sessions, world: World) -> None:
        super().__init__(url, sessions)
        self.url = url
        self.world = world
        self.later = timedelta(0)

    def now(self) -> datetime:
        return self.world.now + self.later

    def authorise(
        self,
        card: TestCard,
        *,
        pin: str | None = PIN,
        key: uuid.UUID | None = None,
        product: str = "92",
        terminal: int = 0,
        driver_pin: str | None = None,
        **fields,
    ):
        if driver_pin is not None:
            fields["driver_pin"] = "sealed"
        body = AuthorizationRequest(card=Credential(number=card.number, pin="sealed" if pin else None), product=product, **fields)
        request = HotRequest(
            Operation.AUTHORISE,
            body,
            place=self.snapshot.places[self.world.terminal_ids[terminal]],
            key=key or uuid.uuid4(),
            fingerprint=request_fingerprint(repr(body).encode())[:16],
            number_index=card.index,
            presented=Presented(pin=pin, driver_pin=driver_pin, driver_card=shown_beside(fields)),
        )
        return self.cards.submit(request)

    def sell(
        self,
        card: TestCard,
        *,
        pin: str | None = PIN,
        key: uuid.UUID | None = None,
        product: str | None = "92",
        litres_milli: int = 10_000,
        price_e4: int = 78_900,
        amount_minor: int | None = None,
        shown: Presented | None = None,
        driver_pin: str | None = None,
        **fields,
    ):
        if driver_pin is not None:
            fields["driver_pin"] = "sealed"
        if product is not None:
            fields["fuel"] = FuelLine(
                product=product,
                quantity_milli=litres_milli,
                unit_price_e4=price_e4,
                amount_minor=amount_minor or litres_milli * price_e4 // 100_000,
                nozzle=3,
            )
        body = SaleRequest(card=Credential(number=card.number, pin="sealed" if pin else None), **fields)
        request = HotRequest(
            Operation.SALE,
            body,
            place=self.snapshot.places[self.world.terminal_ids[0]],
            key=key or uuid.uuid4(),
            fingerprint=request_fingerprint(repr(body).encode())[:16],
            number_index=card.index,
            presented=shown or Presented(pin=pin, driver_pin=driver_pin, driver_card=shown_beside(fields)),
        )
        return self.cards.submit(request)

    def complete(
        self,
        authorization: str,
        *,
        litres_milli: int,
        amount_minor: int,
        price_e4: int = 78_900,
        key: uuid.UUID | None = None,
        terminal: int = 0,
        **fields,
    ):
        body = CompletionRequest(quantity_milli=litres_milli, unit_price_e4=price_e4, amount_minor=amount_minor, **fields)
        both = parse_reference(authorization)
        assert both is not None
        request = HotRequest(
            Operation.COMPLETE,
            body,
            place=self.snapshot.places[self.world.terminal_ids[terminal]],
            key=key or uuid.uuid4(),
            fingerprint=request_fingerprint(repr(body).encode())[:16],
            account_id=both[0],
            authorization_id=both[1],
        )
        return self.completions.submit(request)


@pytest.fixture
async def bench(database_url, sessions, now) -> AsyncIterator[Bench]:
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
    made = Bench(database_url, sessions, world)
    await made.start()
    yield made
    await made.stop()
