"""The lane of what begins with a card: authorisations and sales."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from loyalty.authorizations import hot_queries
from loyalty.authorizations.approving import decide_authorization
from loyalty.authorizations.decision import Decision, Write
from loyalty.authorizations.facts import CardFacts, CardTerms, FillFacts, Place, Product
from loyalty.authorizations.offering import Offer
from loyalty.authorizations.settling import decide_sale
from loyalty.authorizations.snapshot import Snapshot
from loyalty.authorizations.wire import AuthorizationRequest, CompletionRequest, FuelLine, SaleRequest
from loyalty.ids import uuid7
from loyalty.ledger.rules import PurseView
from loyalty.pricing.basket import Moment
from loyalty.pricing.compiling import Book

from .lane import Lane
from .reading import card_facts, fill_facts, person_of, with_counts
from .requests import HotRequest, local_time


class CardLane(Lane):
    """Authorisations and sales: what begins with a card."""

    read_sql = hot_queries.READ_CARDS
    read_full_sql = hot_queries.READ_CARDS_AND_PEOPLE

    def _read_arguments(self, batch: Sequence[HotRequest], now: datetime, snapshot: Snapshot, book: Book, *, full: bool) -> list[Any]:
        days = [local_time(now, request.place.zone).date() for request in batch]
        fills = [request.body.fill_id if isinstance(request.body, SaleRequest) else None for request in batch]
        bodies = [request.body for request in batch if not isinstance(request.body, CompletionRequest)]
        return [
            [request.number_index for request in batch],
            days,
            fills,
            [body.driver_number for body in bodies],
            [_driver_card_index(request) for request in batch],
            [body.order_number for body in bodies],
            [body.odometer_km is not None for body in bodies],
            *((book.counters_at({_place(request, snapshot).station_id for request in batch}),) if full else ()),
        ]

    def _decide(
        self, request: HotRequest, rows: list[Any], snapshot: Snapshot, accounts: dict[UUID, list[PurseView]], now: datetime, book: Book
    ) -> Decision:
        place = _place(request, snapshot)
        local = local_time(now, place.zone)
        card = card_facts(rows, accounts)
        decision = Decision(
            Write.AUTHORIZATION,
            station_id=place.station_id,
            event_at=request.event_at or now,
            business_day=local.date(),
            subject_id=uuid7(now),
            currency=place.currency,
        )
        terms = None
        exact = False
        if card is not None:
            exact = card.account_id not in accounts
            if card.above is not None and card.account_id in self.leveled:
                card = card._replace(above=card.above.after(local.date(), self.leveled[card.account_id]))
            if self.tried and card.above is not None and card.above.driver is not None:
                card.above.known_driver(self.tried.get(card.above.driver.driver_id, card.above.driver.pin_tries))
            accounts.setdefault(card.account_id, card.purses)
            decision.account_id, decision.card_id, decision.chain_id = card.account_id, card.card_id, card.chain_id
            decision.card_version, decision.card_tries = card.version, card.pin_tries
            terms = snapshot.card_terms.get(card.product_id)
        offer = None if card is None or terms is None else self._offer(snapshot, book, place, terms, card, rows[0], Moment(now, local))
        assert request.presented is not None
        if isinstance(request.body, AuthorizationRequest):
            product = snapshot.products.get(request.body.product)
            price = None
            if product is not None and terms is not None:
                price = snapshot.price(place.station_id, product.product_id, now)
            return decide_authorization(
                decision,
                request.body,
                place=place,
                card=card,
                terms=terms,
                product=product,
                price_e4=price,
                offer=offer,
                presented=request.presented,
                exact=exact,
                now=now,
                local=local,
            )
        assert isinstance(request.body, SaleRequest)
        decision.write = Write.SALE
        fill = fill_facts(request.body.fill_id, rows[0])
        fuel, product = _fuel_of(request.body, fill, snapshot)
        published = None
        if product is not None and terms is not None:
            published = snapshot.price(place.station_id, product.product_id, now)
        decided = decide_sale(
            decision,
            request.body,
            fuel=fuel,
            product=product,
            shop=[(snapshot.products.get(line.product), line.amount_minor) for line in request.body.shop],
            fill=fill,
            place=place,
            card=card,
            terms=terms,
            published_e4=published,
            offer=offer,
            presented=request.presented,
            exact=exact,
            now=now,
            local=local,
        )
        if decided.counted is None:
            decided.write = Write.AUTHORIZATION
        return decided

    def _offer(self, snapshot: Snapshot, book: Book, place: Place, terms: CardTerms, card: CardFacts, row: Any, moment: Moment) -> Offer:
        """Return what the rules know of this request; what other requests of the batch counted is added to what was read."""
        person = person_of(card, row)
        if card.account_kind == "anonymous" and not snapshot.anonymous_points:
            person = person._replace(earns_points=False)
        if self.counted:
            person = with_counts(person, self.counted)
        return Offer(book, place.where, terms.code, person, moment, free=self.free, share=self.share)


def _driver_card_index(request: HotRequest) -> bytes | None:
    shown = None if request.presented is None else request.presented.driver_card
    return None if shown is None else shown.lookup


def _place(request: HotRequest, snapshot: Snapshot) -> Place:
    return snapshot.places.get(request.place.terminal_id, request.place)


def _fuel_of(body: SaleRequest, fill: FillFacts | None, snapshot: Snapshot) -> tuple[FuelLine | None, Product | None]:
    if body.fuel is not None:
        return body.fuel, snapshot.products.get(body.fuel.product)
    if fill is None:
        return None, None
    product = snapshot.products_by_id.get(fill.product_id)
    if product is None:
        return None, None
    line = FuelLine(
        product=product.code,
        quantity_milli=fill.quantity_milli,
        unit_price_e4=fill.unit_price_e4,
        amount_minor=fill.amount_minor,
        nozzle=fill.nozzle,
    )
    return line, product
