"""The lane of completions: what begins with an authorisation."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from loyalty.authorizations import hot_queries
from loyalty.authorizations.decision import Decision, Write
from loyalty.authorizations.model import Flag
from loyalty.authorizations.settling import decide_completion
from loyalty.authorizations.snapshot import Snapshot
from loyalty.authorizations.wire import CompletionRequest
from loyalty.ids import uuid7
from loyalty.ledger.rules import PurseView
from loyalty.pricing.compiling import Book

from .lane import BookMissing, Lane
from .reading import ORIGINAL_PURSE, authorization_facts, purses_in
from .requests import AuthorizationNotFound, HotRequest, local_time


class CompletionLane(Lane):
    """Completions: what begins with an authorisation."""

    read_sql = hot_queries.READ_AUTHORIZATIONS

    def _read_arguments(
        self,
        batch: Sequence[HotRequest],
        now: datetime,  # noqa: ARG002 - every lane is asked alike
        snapshot: Snapshot,  # noqa: ARG002
        book: Book,  # noqa: ARG002
        *,
        full: bool,  # noqa: ARG002
    ) -> list[Any]:
        return [
            [request.account_id for request in batch],
            [request.authorization_id for request in batch],
        ]

    def _decide(
        self,
        request: HotRequest,
        rows: list[Any],
        snapshot: Snapshot,
        accounts: dict[UUID, list[PurseView]],
        now: datetime,
        book: Book,  # noqa: ARG002 - what was frozen names its own
    ) -> Decision:
        row = rows[0]
        if (
            row["station_id"] is None
            or row["card_id"] is None
            or row["station_id"] != request.place.station_id
            or not row["approved_minor"]
        ):
            raise AuthorizationNotFound
        assert isinstance(request.body, CompletionRequest)
        exact = request.account_id not in accounts and row["account_kind"] in {"personal", "anonymous"}
        known = accounts.get(request.account_id)
        purses = purses_in(rows, ORIGINAL_PURSE) if known is None else known
        accounts.setdefault(request.account_id, purses)
        original = authorization_facts(request, row, purses)
        terms = snapshot.card_terms[original.card_product_id]
        frozen_book = None if original.frozen is None or not original.frozen.book else snapshot.books.get(original.frozen.book)
        if frozen_book is None and original.frozen is not None and original.frozen.book:
            raise BookMissing(original.frozen.book)
        local = local_time(now, request.place.zone)
        product = None if request.body.product is None else snapshot.products.get(request.body.product)
        decision = Decision(
            Write.COMPLETION,
            station_id=original.station_id,
            event_at=request.event_at or now,
            business_day=local.date(),
            subject_id=uuid7(now),
            currency=original.currency,
        )
        decision.account_id, decision.card_id, decision.chain_id = original.account_id, original.card_id, original.chain_id
        if not request.trusted:
            decision.flags |= Flag.TERMINAL
        decided = decide_completion(
            decision,
            request.body,
            original=original,
            product=product,
            sold=snapshot.products_by_id.get(original.product_id),
            place=request.place,
            book=frozen_book,
            spend_order=terms.spend_order,
            exact=exact,
            now=now,
            local=local,
        )
        if not (request.body.amount_minor or request.body.quantity_milli):
            decided.write = Write.RELEASE
        return decided
