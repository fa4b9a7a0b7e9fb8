"""Cards at the counter: handed out with the person's data and PIN, registered, lost, found, replaced; PINs changed and unlocked."""

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
from loyalty.cards.model import Card, CardStatus, ProductKind
from loyalty.cards.operations import Developed
from loyalty.cards.queries import CardNotFound, find_by_number, get_card, get_product, list_products, stock_levels
from loyalty.cards.rules import PinCheck, Replacing
from loyalty.customers import operations as customers
from loyalty.customers.model import CustomerKind, IdentifierType
from loyalty.customers.operations import CustomerFacts, Verified
from loyalty.customers.queries import find_customers
from loyalty.errors import Refusal
from loyalty.identity.queries import staff_by_card
from loyalty.identity.rules import Permission
from loyalty.topups import operations as topups
from loyalty.topups.model import Tender
from loyalty.web.cashier.frame import draw, reading
from loyalty.web.cashier.labels import DOCUMENTS, TENDERS
from loyalty.web.cashier.loading import AMOUNTS
from loyalty.web.cashier.receipts import balance_slip
from loyalty.web.cashier.sheets import sheet_of
from loyalty.web.cashier.till import HOME, Page, Till, new_key
from loyalty.web.rendering import document

COUNTER_TENDERS: Final = (Tender.CASH, Tender.CARD, Tender.WECHAT, Tender.ALIPAY)
PERSONS_DOCUMENTS: Final = tuple(kind for kind in DOCUMENTS if kind not in {IdentifierType.USCC, IdentifierType.TAX_NUMBER})


class _Card(msgspec.Struct):
    card_id: UUID
    said_zh: str = ""
    said_en: str = ""
    topup_id: UUID | None = None


class StaffUnknown(Refusal):
    """Nobody has this staff card."""

    status = 422
    zh = "没有这张员工卡。"
    en = "Nobody has this staff card."
    next_zh = "请核对发展人的员工卡号，或留空。"
    next_en = "Check the developing employee's card, or leave it empty."


class ReferrerUnknown(Refusal):
    """Nobody, or several, answer to what was typed."""

    status = 422
    zh = "没有找到推荐人，或有多人符合。"
    en = "The referrer was not found, or several people fit."
    next_zh = "请输入推荐人的完整手机号，或留空。"
    next_en = "Type the referrer's whole phone number, or leave it empty."


class HolderDoubtful(Refusal):
    """The document is on record under another name."""

    zh = "该证件已登记在另一姓名下，需由总部核对。"
    en = "This document is on record under another name: the office must look at it."
    next_zh = "请核对姓名与证件；如确有误，请联系总部。"
    next_en = "Compare name and document; if both are right, call the office."


@get("/issue")
async def issue_page(till: NamedDependency[Till]) -> Page:
    """Ask for a blank card of this station's stock, its holder, PIN and first load."""
    till.require(Permission.ISSUE_CARDS)
    till.require_shift()
    async with reading(till) as session:
        products = {each.product_id: each for each in await list_products(session)}
        stock = [
            (till.either(products[level.product_id].name_zh, products[level.product_id].name_en), level.on_hand)
            for level in await stock_levels(session, station_id=till.place.station_id)
            if level.on_hand
        ]
        wanted = till.query.maybe_uuid("card")
        card = None if wanted is None else await get_card(session, card_id=wanted)
        product = None if card is None else products[card.product_id]
        return await draw(
            till,
            session,
            "issue.html",
            here="issue",
            stock=stock,
            card=card,
            product=None if product is None else till.either(product.name_zh, product.name_en),
            personal=product is not None and product.kind is ProductKind.PERSONAL,
            anonymous=product is not None and product.kind is ProductKind.ANONYMOUS,
            pin_needed=product is not None and product.pin_required,
            blank=card is not None and card.status is CardStatus.BLANK,
            issued=card is not None and card.status is CardStatus.ISSUED,
            documents=[(kind.value, till.gettext(DOCUMENTS[kind])) for kind in PERSONS_DOCUMENTS],
            tenders=[(each.value, till.gettext(TENDERS[each.value])) for each in COUNTER_TENDERS],
            amounts=AMOUNTS,
            once=new_key(),
        )


@post("/issue", status_code=303)
async def choose_blank(till: NamedDependency[Till]) -> Page:
    """Find the blank card that was swiped or typed."""
    till.require(Permission.ISSUE_CARDS)
    async with reading(till) as session:
        try:
            card = await find_by_number(session, number=till.form.raw("number"))
        except CardNotFound:
            return till.done(f"{HOME}/issue", till.gettext("No card has this number. Check it, or swipe again."), tone="warn")
    if card.status in {CardStatus.BLANK, CardStatus.ISSUED}:
        return till.done(f"{HOME}/issue?card={card.card_id}")
    return till.done(f"{HOME}/cards/{card.card_id}", till.gettext("This card was handed out before."), tone="warn")


@post("/cards/{card_id:uuid}/issue", status_code=303)
async def issue(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Hand a card out: holder recorded by document, card bound, activated by its PIN, first money loaded. All of it, or nothing."""
    till.require(Permission.ISSUE_CARDS)
    till.require_shift()
    form, _ = till.form, till.gettext
    async with reading(till) as session:
        card = await get_card(session, card_id=card_id)
        product = await get_product(session, product_id=card.product_id)
    person = product.kind is ProductKind.PERSONAL and card.status is CardStatus.BLANK
    facts, kind, number = _person(till) if person else (None, IdentifierType.RESIDENT_ID, "")
    pin = new_pin(till) if product.pin_required or form.raw("pin") else None
    amount = form.money("amount", _("First load"), till.currency, required=False, low=0) or 0
    tender = form.choice("tender", _("Paid by"), Tender, Tender.CASH) if amount else Tender.CASH
    paid = form.text("reference", _("Payment number"), required=False, longest=64)
    form.check()

    async def perform(session: AsyncSession) -> Outcome:
        developed = await _developed(till, session)
        customer_id = await _holder(till, session, facts, kind, number, developed) if facts is not None else None
        if card.status is CardStatus.BLANK:
            await operations.issue_card(
                session,
                card_id=card_id,
                customer_id=customer_id,
                station_id=till.place.station_id,
                developed=developed,
                policy=till.policy,
                actor=till.actor,
                now=till.now,
            )
        made = await operations.activate_card(
            session, card_id=card_id, pin=pin, station_id=till.place.station_id, actor=till.actor, now=till.now
        )
        topup_id = None
        if amount:
            loaded = await topups.load(
                session,
                policy=till.policy,
                account_id=made.account_id,
                card_id=card_id,
                amount_minor=amount,
                tender=tender,
                reference=paid or None,
                station_id=till.place.station_id,
                terminal_id=till.place.terminal_id,
                actor=till.actor,
                event_at=till.now,
                now=till.now,
            )
            await operations.record_first_load(session, account_id=made.account_id, amount_minor=amount, now=till.now)
            topup_id = loaded.topup_id
        return Outcome.of(made.account_id, card_id, _Card(card_id, topup_id=topup_id))

    done = await till.once(Operation.ACTIVATE, _Card, perform)
    told = _("The card is active.")
    return till.done(f"{HOME}/top-ups/{done.topup_id}?new=1" if done.topup_id else f"{HOME}/cards/{card_id}", told)


@get("/cards/{card_id:uuid}/register")
async def register_page(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Ask whose an anonymous card becomes: once and for good."""
    till.require(Permission.SERVE_CARDS)
    till.require_shift()
    async with reading(till) as session:
        sheet = await sheet_of(till, session, card_id=card_id)
        products = [each for each in await list_products(session, active_only=True) if each.kind is ProductKind.PERSONAL]
        return await draw(
            till,
            session,
            "register.html",
            here="care",
            card_id=card_id,
            sheet=sheet,
            products=[
                (str(each.product_id), till.either(each.name_zh, each.name_en)) for each in products if each.currency == sheet.currency
            ],
            documents=[(kind.value, till.gettext(DOCUMENTS[kind])) for kind in PERSONS_DOCUMENTS],
            once=new_key(),
        )


@post("/cards/{card_id:uuid}/register", status_code=303)
async def register(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Turn an anonymous card into a registered one; balance, points and history go along."""
    till.require(Permission.SERVE_CARDS)
    till.require_shift()
    product_id = till.form.uuid("product", till.gettext("Card product"))
    facts, kind, number = _person(till)
    till.form.check()
    assert product_id is not None, "checked above"

    async def perform(session: AsyncSession) -> Outcome:
        developed = await _developed(till, session)
        customer_id = await _holder(till, session, facts, kind, number, developed)
        card = await operations.register_card(
            session,
            card_id=card_id,
            customer_id=customer_id,
            product_id=product_id,
            station_id=till.place.station_id,
            developed=developed,
            policy=till.policy,
            actor=till.actor,
            now=till.now,
        )
        return Outcome.of(card.account_id, card_id, _Card(card_id))

    await till.once(Operation.ACTIVATE, _Card, perform)
    return till.done(f"{HOME}/cards/{card_id}", till.gettext("The card is registered; its money went along."))


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
        return Outcome.of(done.card.account_id, done.card.card_id, _Card(done.card.card_id))

    done = await till.once(Operation.ACTIVATE, _Card, perform)
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
        return Outcome.of(card.account_id, card_id, _Card(card_id, zh, en))

    done = await till.once(Operation.PIN, _Card, perform)
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
        return Outcome.of(card.account_id, card_id, _Card(card_id))

    await till.once(Operation.PIN, _Card, perform)
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
        return Outcome.of(card.account_id, card_id, _Card(card_id))

    await till.once(Operation.PIN, _Card, perform)
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
        return Outcome.of(card.account_id, card_id, _Card(card_id))

    await till.once(Operation.LOSS, _Card, perform)
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


def _person(till: Till) -> tuple[CustomerFacts, IdentifierType, str]:
    form, _ = till.form, till.gettext
    kind = form.choice("document", _("Document"), IdentifierType, IdentifierType.RESIDENT_ID)
    name = form.text("name", _("Name"), longest=120)
    number = form.text("number", _("Document number"), longest=40)
    phone = form.text("phone", _("Phone"), longest=40)
    if not form.flag("seen"):
        form.fault("seen", _("Document seen"), _("is needed"))
    return CustomerFacts(kind=CustomerKind.PERSON, name=name or "-", phone=phone or None, locale=till.words.locale), kind, number


async def _holder(till: Till, session: AsyncSession, facts: CustomerFacts, kind: IdentifierType, number: str, developed: Developed) -> UUID:
    """Return the customer of a document that was seen: a new record, or the one that holds it already.

    :raises HolderDoubtful: if it is on record under another name
    """
    customer_id = await customers.add_customer(
        session,
        facts=facts,
        developed=customers.Development(
            staff_id=developed.staff_id,
            station_id=developed.station_id,
            flyer_code=developed.flyer_code,
            referrer_id=developed.referrer_customer_id,
        ),
        actor=till.actor,
        now=till.now,
    )
    added = await customers.add_identifier(session, customer_id=customer_id, type=kind, value=number, actor=till.actor, now=till.now)
    verified = await customers.verify_identifier(
        session, identifier_id=added.identifier_id, staff_id=till.principal.staff_id, actor=till.actor, now=till.now
    )
    if verified.outcome is Verified.DOUBTFUL:
        raise HolderDoubtful
    return verified.customer_id


async def _developed(till: Till, session: AsyncSession) -> Developed:
    """Say who brought the holder: the employee named, else the cashier; this station; flyer and referrer.

    :raises StaffUnknown, ReferrerUnknown: if what was typed leads to nobody
    """
    form = till.form
    staff_id: UUID | None = till.principal.staff_id
    if form.raw("developer"):
        staff_id = await staff_by_card(session, card_number=form.raw("developer"))
        if staff_id is None:
            raise StaffUnknown
    referrer = None
    if form.raw("referrer"):
        hits = await find_customers(session, text=form.raw("referrer"), limit=2)
        if len(hits) != 1:
            raise ReferrerUnknown
        referrer = hits[0].customer.customer_id
    return Developed(
        staff_id=staff_id,
        station_id=till.place.station_id,
        flyer_code=form.raw("flyer")[:40] or None,
        referrer_customer_id=referrer,
    )


handlers = [
    issue_page,
    choose_blank,
    issue,
    register_page,
    register,
    care_page,
    lost,
    found,
    replace,
    change_pin,
    reset_pin,
    unlock_pin,
    slip,
]
