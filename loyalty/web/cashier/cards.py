"""A card in use at the counter: reported lost, found, replaced; its PIN changed and unlocked, its balance printed."""

from typing import Final
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.model import Operation
from loyalty.authorizations.reasons import Reason, say
from loyalty.cards import operations
from loyalty.cards.model import Card, CardStatus
from loyalty.cards.queries import CardNotFound, find_by_number, get_card, get_product
from loyalty.cards.rules import PinCheck, Replacing
from loyalty.identity.rules import Permission
from loyalty.topups import operations as topups
from loyalty.topups.model import Tender
from loyalty.web.cashier.frame import draw, reading
from loyalty.web.cashier.labels import TENDERS
from loyalty.web.cashier.receipts import balance_slip
from loyalty.web.cashier.sheets import sheet_of
from loyalty.web.cashier.till import HOME, Page, Till, new_key
from loyalty.web.rendering import document

COUNTER_TENDERS: Final = (Tender.CASH, Tender.CARD, Tender.WECHAT, Tender.ALIPAY)


class CardDone(msgspec.Struct):
    """What was done to a card, and what its holder is told where it did not succeed."""

    card_id: UUID
    said_zh: str = ""
    said_en: str = ""
    topup_id: UUID | None = None


@get("/cards/{card_id:uuid}/care")
async def care_page(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Offer what fits the card as it stands: lost, found, replaced, PIN."""
    till.require(Permission.SERVE_CARDS)
    till.require_shift()
    async with reading(till) as session:
        sheet = await sheet_of(till, session, card_id=card_id)
        product = await get_product(session, product_id=sheet.product_id)
        return await draw(
            till,
            session,
            "care.html",
            here="care",
            card_id=card_id,
            sheet=sheet,
            bearer=product.bearer,
            fee_minor=product.replacement_fee_minor,
            lost=sheet.status is CardStatus.LOST,
            active=sheet.status in {CardStatus.ACTIVE, CardStatus.SUSPENDED},
            replaceable=not product.bearer and sheet.status in {CardStatus.ACTIVE, CardStatus.LOST},
            tenders=[(each.value, till.gettext(TENDERS[each.value])) for each in COUNTER_TENDERS],
            keys=[new_key() for _ in range(6)],
        )


@post("/cards/{card_id:uuid}/lost", status_code=303)
async def lost(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Stop a card from this moment on."""
    return await _reported(till, card_id, found=False)


@post("/cards/{card_id:uuid}/found", status_code=303)
async def found(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Let a found card live again; the cashier has card and holder before them."""
    return await _reported(till, card_id, found=True)


@post("/cards/{card_id:uuid}/replacement", status_code=303)
async def replace(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Put a blank card in the place of a lost, damaged or expired one; the fee by tender or from the account."""
    till.require(Permission.SERVE_CARDS)
    till.require_shift()
    form, _ = till.form, till.gettext
    reason = form.choice("why", _("Why"), Replacing, Replacing.LOST)
    number = form.text("number", _("The new card"), longest=32)
    pin = new_pin(till)
    fee_tender = form.maybe("fee_tender", Tender)
    paid = form.text("reference", _("Payment number"), required=False, longest=64)
    form.check()

    async def perform(session: AsyncSession) -> Outcome:
        new = await find_by_number(session, number=number)
        done = await operations.replace_card(
            session,
            card_id=card_id,
            new_card_id=new.card_id,
            reason=reason,
            pin=pin,
            station_id=till.place.station_id,
            actor=till.actor,
            now=till.now,
        )
        if done.fee_minor:
            await topups.charge_fee(
                session,
                account_id=done.card.account_id,
                amount_minor=done.fee_minor,
                code="card_replacement",
                card_id=done.card.card_id,
                station_id=till.place.station_id,
                terminal_id=till.place.terminal_id,
                tender=fee_tender,
                reference=paid or None,
                actor=till.actor,
                event_at=till.now,
                now=till.now,
            )
        return Outcome.of(done.card.account_id, done.card.card_id, CardDone(done.card.card_id))

    done = await till.once(Operation.ACTIVATE, CardDone, perform)
    return till.done(f"{HOME}/cards/{done.card_id}", _("The new card is active: same account, money and limits."))


@post("/cards/{card_id:uuid}/pin", status_code=303)
async def change_pin(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Change a PIN by the old one; a wrong one is counted."""
    till.require(Permission.SERVE_CARDS)
    old = till.form.secret("pin_old").strip()
    new = new_pin(till)
    till.form.check()

    async def perform(session: AsyncSession) -> Outcome:
        tried = await operations.change_pin(
            session,
            card_id=card_id,
            old_pin=old,
            new_pin=new,
            station_id=till.place.station_id,
            actor=till.actor,
            now=till.now,
        )
        card = await get_card(session, card_id=card_id)
        zh, en = "", ""
        if tried.check is not PinCheck.RIGHT:
            reason = {PinCheck.WRONG: Reason.PIN_WRONG, PinCheck.LOCKED: Reason.PIN_LOCKED, PinCheck.NOT_SET: Reason.PIN_NOT_SET}[
                tried.check
            ]
            zh, en = say(reason, remaining=str(tried.tries_left))
        return Outcome.of(card.account_id, card_id, CardDone(card_id, zh, en))

    done = await till.once(Operation.PIN, CardDone, perform)
    if done.said_zh:
        return till.done(f"{HOME}/cards/{card_id}/care", till.either(done.said_zh, done.said_en), tone="bad")
    return till.done(f"{HOME}/cards/{card_id}", till.gettext("The PIN is changed."))


@post("/cards/{card_id:uuid}/pin-reset", status_code=303)
async def reset_pin(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Set a first or forgotten PIN, against the holder's document."""
    till.require(Permission.SERVE_CARDS)
    new = new_pin(till)
    seen = till.form.flag("seen")
    till.form.check()

    async def perform(session: AsyncSession) -> Outcome:
        card = await operations.set_pin(
            session,
            card_id=card_id,
            pin=new,
            identity_seen=seen,
            reason="document seen at the counter" if seen else "first PIN",
            station_id=till.place.station_id,
            actor=till.actor,
            now=till.now,
        )
        return Outcome.of(card.account_id, card_id, CardDone(card_id))

    await till.once(Operation.PIN, CardDone, perform)
    return till.done(f"{HOME}/cards/{card_id}", till.gettext("The PIN is set."))


@post("/cards/{card_id:uuid}/pin-unlock", status_code=303)
async def unlock_pin(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Give the three tries back, against the holder's document."""
    till.require(Permission.SERVE_CARDS)
    seen = till.form.flag("seen")

    async def perform(session: AsyncSession) -> Outcome:
        card = await operations.unlock_pin(
            session, card_id=card_id, identity_seen=seen, station_id=till.place.station_id, actor=till.actor, now=till.now
        )
        return Outcome.of(card.account_id, card_id, CardDone(card_id))

    await till.once(Operation.PIN, CardDone, perform)
    return till.done(f"{HOME}/cards/{card_id}", till.gettext("The PIN may be tried again."))


@get("/cards/{card_id:uuid}/slip")
async def slip(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Response[bytes]:
    """Print what is on the card at this moment; a company's pool is not shown."""
    till.require(Permission.PRINT_RECEIPTS)
    async with reading(till) as session:
        sheet = await sheet_of(till, session, card_id=card_id)
        if not sheet.shows_money:
            raise CardNotFound(card=card_id)
        made = await balance_slip(till.scribe, session, sheet)
    return document(made.pdf(0), media_type="application/pdf", filename="balance.pdf", inline=True)


async def _reported(till: Till, card_id: UUID, *, found: bool) -> Page:
    till.require(Permission.SERVE_CARDS)
    reason = till.form.raw("reason")[:200] or ("found" if found else "said at the counter")
    act = operations.report_found if found else operations.report_lost

    async def perform(session: AsyncSession) -> Outcome:
        card: Card = await act(session, card_id=card_id, reason=reason, station_id=till.place.station_id, actor=till.actor, now=till.now)
        return Outcome.of(card.account_id, card_id, CardDone(card_id))

    await till.once(Operation.LOSS, CardDone, perform)
    if found:
        return till.done(f"{HOME}/cards/{card_id}", till.gettext("The card lives again."))
    told = till.gettext("Stopped at %(time)s. The money is safe.", time=till.f.instant(till.now))
    return till.done(f"{HOME}/cards/{card_id}/care", told)


def new_pin(till: Till) -> str:
    """Read a new PIN, typed twice by its holder; what is wrong is said beside the field."""
    pin, again = till.form.secret("pin").strip(), till.form.secret("pin_again").strip()
    if not pin:
        till.form.fault("pin", till.gettext("PIN"), till.gettext("is needed"))
    elif pin != again:
        till.form.fault("pin_again", till.gettext("PIN again"), till.gettext("is not the same"))
    return pin


handlers = [
    care_page,
    lost,
    found,
    replace,
    change_pin,
    reset_pin,
    unlock_pin,
    slip,
]
