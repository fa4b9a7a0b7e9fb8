"""A card handed out at the counter, with its holder's data, PIN and first load; an anonymous card registered."""

from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.model import Operation
from loyalty.cards import operations
from loyalty.cards.model import CardStatus, ProductKind
from loyalty.cards.operations import Developed
from loyalty.cards.queries import CardNotFound, find_by_number, get_card, get_product, list_products, stock_levels
from loyalty.customers import operations as customers
from loyalty.customers.model import CustomerKind, IdentifierType
from loyalty.customers.operations import CustomerFacts, Verified
from loyalty.customers.queries import find_customers
from loyalty.errors import Refusal
from loyalty.identity.queries import staff_by_card
from loyalty.identity.rules import Permission
from loyalty.topups import operations as topups
from loyalty.topups.model import Tender
from loyalty.web.cashier.agreeing import asked_here, declare_ticked
from loyalty.web.cashier.cards import COUNTER_TENDERS, CardDone, new_pin
from loyalty.web.cashier.frame import draw, reading
from loyalty.web.cashier.labels import TENDERS
from loyalty.web.cashier.loading import AMOUNTS
from loyalty.web.cashier.sheets import sheet_of
from loyalty.web.cashier.till import HOME, Page, Till, new_key
from loyalty.web.documents import DOCUMENTS

PERSONS_DOCUMENTS: Final = tuple(kind for kind in DOCUMENTS if kind not in {IdentifierType.USCC, IdentifierType.TAX_NUMBER})


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
            asked=await asked_here(till, session),
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
        if customer_id is not None:
            await declare_ticked(till, session, customer_id)
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
                flyer=form.raw("flyer")[:32] or None,
                station_id=till.place.station_id,
                terminal_id=till.place.terminal_id,
                actor=till.actor,
                event_at=till.now,
                now=till.now,
            )
            await operations.record_first_load(session, account_id=made.account_id, amount_minor=amount, now=till.now)
            topup_id = loaded.topup_id
        return Outcome.of(made.account_id, card_id, CardDone(card_id, topup_id=topup_id))

    done = await till.once(Operation.ACTIVATE, CardDone, perform)
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
            asked=await asked_here(till, session),
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
        await declare_ticked(till, session, customer_id)
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
        return Outcome.of(card.account_id, card_id, CardDone(card_id))

    await till.once(Operation.ACTIVATE, CardDone, perform)
    return till.done(f"{HOME}/cards/{card_id}", till.gettext("The card is registered; its money went along."))


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


handlers = [issue_page, choose_blank, issue, register_page, register]
