"""Asking a company about a decline: one key asks, the page waits and says by itself what the company answered."""

from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from loyalty.authorizations.hot import AuthorizationNotFound
from loyalty.authorizations.wire import parse_reference
from loyalty.db import transaction
from loyalty.fleet.model_approvals import Approval, ApprovalStatus, DecidedBy
from loyalty.fleet.operations import approvals
from loyalty.identity.rules import Permission
from loyalty.limits.wording import limit_label
from loyalty.web.cashier.frame import draw, reading
from loyalty.web.cashier.till import HOME, Page, Till, provide_quiet_till
from loyalty.web.rendering import redirect, render

BEFORE_FILLING = "authorise"
"""Where the card is presented again: before filling, or with the fill that the form named."""


@post("/askings", status_code=303)
async def ask(till: NamedDependency[Till]) -> Page:
    """Ask the company about the decline that the form names; asked again, the same asking."""
    till.require(Permission.SELL)
    till.require_shift()
    ref = till.form.raw("authorization")
    account_id, authorization_id = _both(ref)
    async with transaction(till.sessions) as session:
        await approvals.ask(
            session, account_id=account_id, authorization_id=authorization_id, station_id=till.place.station_id, now=till.now
        )
    then = till.form.raw("then")
    fill = then if then == BEFORE_FILLING else str(till.form.maybe_uuid("then") or "")
    return redirect(till.request, f"{HOME}/askings/{ref}?then={fill}")


@get("/askings/{ref:str}")
async def asking_page(ref: FromPath[str], till: NamedDependency[Till]) -> Page:
    """Show what was asked and how it stands."""
    till.require(Permission.SELL)
    asked = await _asked(till, ref)
    sizes = [
        till.money(asked.asked_minor) if asked.asked_minor is not None else "",
        till.f.quantity(asked.asked_milli) if asked.asked_milli is not None else "",
    ]
    async with reading(till) as session:
        return await draw(
            till,
            session,
            "asking.html",
            here="counter",
            card_id=asked.card_id,
            limit=limit_label(asked.limit, till.words.locale),
            wanted=" · ".join(size for size in sizes if size),
            **_state(till, ref, asked),
        )


@get("/askings/{ref:str}/state", dependencies={"till": Provide(provide_quiet_till)})
async def asking_state(ref: FromPath[str], till: NamedDependency[Till]) -> Page:
    """Tell the waiting page how it stands, asked every other second."""
    till.require(Permission.SELL)
    asked = await _asked(till, ref)
    return render(till.request, "cashier/asking_state.html", zone=till.view.zone, now=till.now, **_state(till, ref, asked))


async def _asked(till: Till, ref: str) -> Approval:
    account_id, authorization_id = _both(ref)
    async with transaction(till.sessions) as session:
        return await approvals.look(
            session, account_id=account_id, authorization_id=authorization_id, station_id=till.place.station_id, now=till.now
        )


def _state(till: Till, ref: str, asked: Approval) -> dict[str, Any]:
    then = till.query.raw("then")
    fill = till.query.maybe_uuid("then")
    card = f"{HOME}/cards/{asked.card_id}"
    return {
        "ref": ref,
        "asked": asked,
        "then": then if fill is not None or then == BEFORE_FILLING else "",
        "waits": asked.status is ApprovalStatus.ASKED,
        "passes": asked.status is ApprovalStatus.APPROVED,
        "passes_until": None if asked.decided_at is None else asked.decided_at + approvals.PASSES_FOR,
        "deputies": till.now >= asked.deputy_at,
        "nobody": asked.decided_by is DecidedBy.POLICY,
        "again": f"{card}/authorise" if then == BEFORE_FILLING else card if fill is None else f"{card}?fill={fill}",
    }


def _both(ref: str) -> tuple[UUID, UUID]:
    both = parse_reference(ref)
    if both is None:
        raise AuthorizationNotFound
    return both


handlers = [ask, asking_page, asking_state]
