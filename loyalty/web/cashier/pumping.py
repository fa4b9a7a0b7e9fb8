"""Before and during a fill: authorise, complete by hand from the pump's display, nozzle not lifted; the board of unresolved fills."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.answers import ReleaseAnswer
from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.hot import AuthorizationNotFound
from loyalty.authorizations.model import Operation, Status
from loyalty.authorizations.operations.holds import report_nozzle_not_lifted
from loyalty.authorizations.operations.unresolved import PumpRecord, complete_from_pump_record, release_dispense
from loyalty.authorizations.wire import (
    AuthorizationAnswer,
    AuthorizationRequest,
    CompletionRequest,
    Credential,
    Said,
    SaleAnswer,
    parse_reference,
    reference,
)
from loyalty.identity.rules import Permission
from loyalty.stations.model import ProductCategory
from loyalty.stations.queries import price_board
from loyalty.web.cashier import queries
from loyalty.web.cashier.benefits import kept_for, teller_for
from loyalty.web.cashier.declining import declined
from loyalty.web.cashier.frame import draw, reading
from loyalty.web.cashier.labels import AUTHORIZATION_TAGS
from loyalty.web.cashier.sales import approve, spend, standing_in
from loyalty.web.cashier.saying import driver_pin, lines_of, read_said
from loyalty.web.cashier.selling import favour_for, offer_for
from loyalty.web.cashier.sheets import CardSheet, sheet_of
from loyalty.web.cashier.till import HOME, Page, Till, code_cookie, code_for, new_key, presented_by
from loyalty.web.rendering import redirect

_PASSED = {"approved", "partial", "pending_review"}
"""A decline may have a name too: to ask the company by."""
_WAITS = {Status.APPROVED, Status.PENDING_REVIEW, Status.PART_COMPLETED}


class _Resolved(msgspec.Struct):
    sale: str | None
    released_minor: int


@get("/cards/{card_id:uuid}/authorise")
async def authorise_page(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Ask how much of which grade may flow."""
    till.require(Permission.SELL)
    till.require_shift()
    async with reading(till) as session:
        return await _asked(till, session, await sheet_of(till, session, card_id=card_id))


@post("/cards/{card_id:uuid}/authorise", status_code=303)
async def authorise(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Hold the money before fuel flows; less than asked is approved in part."""
    till.require(Permission.SELL)
    till.require_shift()
    form, _ = till.form, till.gettext
    async with reading(till) as session:
        sheet = await sheet_of(till, session, card_id=card_id)
    how = form.raw("how")
    if how == "full" and (form.raw("amount") or form.raw("quantity")):
        # What was typed says more than the choice that stood there before.
        how = "amount" if form.raw("amount") else "quantity"
    amount = form.money("amount", _("Amount"), till.currency) if how == "amount" else None
    quantity = form.quantity("quantity", _("Quantity")) if how == "quantity" else None
    said = read_said(till)
    pin, token = form.secret("pin").strip(), code_for(till.request, sheet.number_index)
    body = AuthorizationRequest(
        card=Credential(pin="given" if pin else None, token=token or None),
        product=form.text("product", _("Grade"), longest=32) or "-",
        flow="pump" if form.flag("at_pump") else "preset",
        nozzle=form.whole("nozzle", _("Nozzle"), required=False, high=999),
        amount_minor=amount,
        quantity_milli=quantity,
        **said,
    )
    form.check()
    answer = await till.hot(
        Operation.AUTHORISE,
        body,
        AuthorizationAnswer,
        number_index=sheet.number_index,
        presented=presented_by(pin, token, driver_pin(till), body.driver_card),
    )
    if answer.outcome in _PASSED:
        cookies = [code_cookie(till.request, "")] if token else None
        return redirect(till.request, f"{HOME}/authorisations/{answer.authorization}?new=1", cookies=cookies)
    async with reading(till) as session:
        return await _asked(till, session, await sheet_of(till, session, card_id=card_id), said=answer)


@get("/authorisations/{ref:str}")
async def authorisation_page(ref: FromPath[str], till: NamedDependency[Till]) -> Page:
    """Show what was approved; when the pump has stopped, its figures are typed here."""
    async with reading(till) as session:
        found = await _found(till, session, ref)
        label, tone = AUTHORIZATION_TAGS.get(str(found.status), ("", ""))
        status = Status(found.status)
        control = till.policy.for_currency(till.currency).control
        return await draw(
            till,
            session,
            "authorisation.html",
            here="unresolved" if status is Status.UNRESOLVED else "counter",
            card_id=found.card_id,
            ref=ref,
            found=found,
            kept=await kept_for(till, session, found.frozen),
            product=till.either(found.product_zh, found.product_en),
            tag=(till.gettext(label), tone),
            new="new" in till.request.query_params,
            waits=status in _WAITS,
            unresolved=status is Status.UNRESOLVED,
            liftable=status in _WAITS and not found.completions,
            resolves=till.may(Permission.RELEASE_DISPENSE),
            second_from=control.reversal_second_person_from_minor,
            keys=[new_key(), new_key()],
        )


@post("/authorisations/{ref:str}/completion", status_code=303)
async def complete(ref: FromPath[str], till: NamedDependency[Till]) -> Page:
    """Book what the pump's display says; the fuel is in the tank, so it is always booked."""
    till.require(Permission.SELL)
    both = _both(ref)
    async with reading(till) as session:
        found = await _found(till, session, ref)
    form, _ = till.form, till.gettext
    quantity = form.quantity("quantity", _("Quantity")) or 0
    amount = form.money("amount", _("Amount"), till.currency) or 0
    price = form.price("price", _("Price"), required=False) or found.unit_price_e4
    form.check()
    body = CompletionRequest(quantity_milli=quantity, unit_price_e4=price, amount_minor=amount, product=found.product)
    answer = await till.hot(Operation.COMPLETE, body, SaleAnswer, authorization=both)
    if answer.sale is None:
        return till.done(f"{HOME}/authorisations/{ref}", till.either(answer.message_zh, answer.message_en), tone="warn")
    told = _("%(amount)s went back to the card.", amount=till.money(answer.released_minor)) if answer.released_minor else ""
    if answer.receivable_minor:
        told = _("%(amount)s could not be paid by the card: its holder owes it.", amount=till.money(answer.receivable_minor))
    return till.done(f"{HOME}/sales/{answer.sale}?new=1", told, tone="warn" if answer.receivable_minor else "good")


@post("/authorisations/{ref:str}/not-lifted", status_code=303)
async def not_lifted(ref: FromPath[str], till: NamedDependency[Till]) -> Page:
    """Release the hold of a pump that never started."""
    till.require(Permission.SELL)
    account_id, authorization_id = _both(ref)

    async def perform(session: AsyncSession) -> Outcome:
        return await report_nozzle_not_lifted(
            session, account_id=account_id, authorization_id=authorization_id, place=till.place, now=till.now
        )

    answer = await till.once(Operation.NOZZLE, ReleaseAnswer, perform)
    return till.done(HOME, till.gettext("%(amount)s went back to the card.", amount=till.money(answer.released_minor)))


@post("/authorisations/{ref:str}/resolution", status_code=303)
async def resolve(ref: FromPath[str], till: NamedDependency[Till]) -> Page:
    """End an unresolved fill: by the pump's own record, or released with evidence; a station manager answers for it."""
    account_id, authorization_id = _both(ref)
    async with reading(till) as session:
        found = await _found(till, session, ref)
    form, _ = till.form, till.gettext
    by_record = form.raw("how") == "record"
    evidence = form.text("evidence", _("What was found out"), longest=300)
    quantity = form.quantity("quantity", _("Quantity")) if by_record else None
    amount = form.money("amount", _("Amount"), till.currency) if by_record else None
    form.check()
    facts: dict[str, Any] = {"authorization": ref, "how": form.raw("how"), "amount_minor": amount or 0, "quantity_milli": quantity or 0}
    approval = await approve(till, "resolve_dispense", facts)

    async def perform(session: AsyncSession) -> Outcome:
        approver = await spend(till, session, approval, "resolve_dispense", facts)
        answers = till.principal if till.may(Permission.RELEASE_DISPENSE) else await standing_in(till, session, approver)
        if by_record:
            done = await complete_from_pump_record(
                session,
                account_id=account_id,
                authorization_id=authorization_id,
                record=PumpRecord(quantity or 0, found.unit_price_e4, amount or 0, till.now, found.product, found.nozzle),
                evidence=evidence,
                place=till.place,
                snapshot=till.pump.snapshot,
                by=answers,
                now=till.now,
            )
        else:
            done = await release_dispense(
                session,
                account_id=account_id,
                authorization_id=authorization_id,
                evidence=evidence,
                policy=till.policy,
                by=answers,
                approved_by=approver if approver != answers.staff_id else None,
                now=till.now,
            )
        sale = None if done.sale_id is None else reference(account_id, done.sale_id)
        return Outcome.of(account_id, authorization_id, _Resolved(sale, done.released_minor))

    done = await till.once(Operation.OTHER, _Resolved, perform)
    told = _("%(amount)s went back to the card.", amount=till.money(done.released_minor)) if done.released_minor else ""
    return till.done(f"{HOME}/sales/{done.sale}" if done.sale else f"{HOME}/unresolved", told)


@get("/unresolved")
async def unresolved_page(till: NamedDependency[Till]) -> Page:
    """List the station's fills whose completion never came, the oldest first."""
    till.require(Permission.SELL)
    async with reading(till) as session:
        found = await queries.unresolved(session, station_id=till.place.station_id)
        return await draw(
            till,
            session,
            "unresolved.html",
            here="unresolved",
            rows=[
                (reference(each.account_id, each.authorization_id), each, till.either(each.product_zh, each.product_en)) for each in found
            ],
        )


async def _asked(till: Till, session: AsyncSession, sheet: CardSheet, *, said: Said | None = None) -> Page:
    typed = {name: values[-1] for name, values in till.form.texts().items() if values and not name.startswith("pin")}
    lines = lines_of(till, sheet, said)
    offer = await offer_for(till, session, sheet)
    teller = await teller_for(till, session, offer)
    board = await price_board(session, station_id=till.place.station_id, at=till.now)
    return await draw(
        till,
        session,
        "authorise.html",
        here="counter",
        card_id=sheet.card_id,
        sheet=sheet,
        favour=await favour_for(till, session, sheet, offer, teller, [line for line in board if line.category is ProductCategory.FUEL]),
        declined=None if said is None else declined(till, said),
        lines=lines,
        asks=any(line.first for line in lines.asked),
        token=bool(code_for(till.request, sheet.number_index)),
        typed=typed,
        once=new_key(),
    )


def _both(ref: str) -> tuple[UUID, UUID]:
    both = parse_reference(ref)
    if both is None:
        raise AuthorizationNotFound
    return both


async def _found(till: Till, session: AsyncSession, ref: str) -> queries.AuthorizationView:
    account_id, authorization_id = _both(ref)
    found = await queries.find_authorization(
        session, account_id=account_id, authorization_id=authorization_id, station_id=till.place.station_id
    )
    if found is None or found.card_id is None:
        raise AuthorizationNotFound
    return found


handlers = [authorise_page, authorise, authorisation_page, complete, not_lifted, resolve, unresolved_page]
