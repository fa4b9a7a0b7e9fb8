"""The holder's pages: balance and last transactions, the code for the counter, approving a fill, stopping a card, a kept receipt."""

import secrets
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit.model import ActorKind
from loyalty.authorizations.hot_api import HolderToken
from loyalty.authorizations.model_payments import PaymentRequest, PaymentStatus
from loyalty.authorizations.operations.payments import PaymentEnded, approve_payment, find_payment
from loyalty.authorizations.queries import card_history
from loyalty.authorizations.wire import parse_reference
from loyalty.cards import operations as cards
from loyalty.cards.model import Card, CardStatus, ProductKind
from loyalty.cards.queries import CardNotFound, cards_of_customer, get_card, get_product, history
from loyalty.crypto import Purpose, TokenError, issue_token, read_token
from loyalty.customers.queries import get_customer
from loyalty.db import transaction
from loyalty.errors import NotFound
from loyalty.identity import operations as identity
from loyalty.identity.model import Portal
from loyalty.ledger.model import PurseKind
from loyalty.ledger.queries import purses_of
from loyalty.rewards.queries.points import accounts_of, points_of
from loyalty.rewards.queries.tiers import progress_of
from loyalty.stations.queries import get_station
from loyalty.topups.queries import balance_of, get_topup
from loyalty.web.benefits import conditions_of
from loyalty.web.cashier import queries as counter
from loyalty.web.cashier.labels import SALE_TAGS, TOPUP_TAGS
from loyalty.web.cashier.receipts import ReceiptLink, Scribe, sale_slip, topup_slip
from loyalty.web.cashier.sheets import STATUSES
from loyalty.web.me.holder import HOME, Page, Phone, SignInNeeded, address_of, prove, prove_number, session_cookie, session_token
from loyalty.web.me.rewards import rewards_of
from loyalty.web.rendering import redirect, render
from loyalty.web.standing import points_shown, tier_shown

CODE_LIFE: Final = timedelta(seconds=60)
"""How long a code for the counter is good; the page asks for a new one before it ends."""
_OVER: Final = {CardStatus.BLANK, CardStatus.REPLACED, CardStatus.CLOSED}


class ReceiptNotKept(NotFound):
    """The link is none, or too old."""

    zh = "这张小票的链接无效或已过期。"
    en = "This receipt's link is not valid, or too old."
    next_zh = "请到加油站补打小票。"
    next_en = "A station prints the receipt again."


@get("/")
async def home(phone: NamedDependency[Phone]) -> Page:
    """Show what is on the cards and what happened last; before sign-in, ask for card number and PIN."""
    if phone.holder is None:
        return phone.draw("sign_in.html", refused="", out="out" in phone.request.query_params)
    async with transaction(phone.request.app.state.sessions) as session:
        customer = await get_customer(session, customer_id=phone.customer_id)
        mine = [await _card(phone, session, card) for card in await _cards(session, phone.customer_id)]
        moves = await _moves(phone, session, {each["account_id"] for each in mine})
        progress = await progress_of(session, customer_id=phone.customer_id, zone=phone.f.zone, now=phone.now)
        points = await points_of(session, account_ids=await accounts_of(session, customer_id=phone.customer_id), now=phone.now)
        rewards = await rewards_of(phone, session)
    tier, told = tier_shown(phone.words, phone.f, progress), points_shown(phone.words, phone.f, points)
    return phone.draw(
        "home.html",
        name=customer.name,
        cards=mine,
        moves=moves,
        tier=tier,
        points=told,
        vouchers=rewards["vouchers"],
        gifts=rewards["gifts"],
    )


@post("/sign-in", status_code=303)
async def sign_in(phone: NamedDependency[Phone]) -> Page:
    """Sign in by card number and PIN; an anonymous card belongs to nobody, so it has no page."""
    proof = await prove_number(phone)
    if proof.card is None:
        return phone.draw("sign_in.html", status_code=401, refused=proof.said, out=False)
    async with transaction(phone.request.app.state.sessions) as session:
        product = await get_product(session, product_id=proof.card.product_id)
    if proof.card.customer_id is None or product.kind is not ProductKind.PERSONAL:
        # A company's customer record is the company: its drivers must not see, or stop, each other's cards.
        said = phone.gettext(
            "An anonymous card has no page of its own. Register it at any station: then it can be stopped and replaced too."
        )
        if product.kind is not ProductKind.ANONYMOUS:
            said = phone.gettext("A company's card is looked after by the company. To pay a fill, scan the code at the till.")
        return phone.draw("sign_in.html", status_code=403, refused=said, out=False)
    async with transaction(phone.request.app.state.sessions) as session:
        token = await identity.open_holder_session(
            session,
            customer_id=proof.card.customer_id,
            portal=Portal.ME,
            previous_token=session_token(phone.request),
            address=address_of(phone.request),
            user_agent=phone.request.headers.get("user-agent"),
            now=clock.real_now(),
        )
    return redirect(phone.request, HOME, cookies=[session_cookie(phone.request, token)])


@post("/sign-out", status_code=303)
async def sign_out(phone: NamedDependency[Phone]) -> Page:
    """End the session on this phone."""
    if token := session_token(phone.request):
        async with transaction(phone.request.app.state.sessions) as session:
            await identity.log_out(session, token=token, now=clock.real_now())
    return redirect(phone.request, f"{HOME}?out=1", cookies=[session_cookie(phone.request, None)])


@get("/cards/{card_id:uuid}/code")
async def code(card_id: FromPath[UUID], phone: NamedDependency[Phone]) -> Page:
    """Show the card's code for the counter; it is a new one every 45 seconds, and good for 60."""
    async with transaction(phone.request.app.state.sessions) as session:
        card = await _mine(session, phone, card_id)
        shown = await _card(phone, session, card)
    payload = HolderToken(index=card.number_index, version=card.version, nonce=secrets.token_urlsafe(9))
    token = issue_token(Purpose.QR_TOKEN, payload, expires_at=clock.real_now() + CODE_LIFE)
    template = "me/code_piece.html" if phone.request.headers.get("hx-request") == "true" else "me/code.html"
    if template.endswith("piece.html"):
        return render(
            phone.request, template, zone=phone.f.zone, now=phone.now, token=token, left=int(CODE_LIFE.total_seconds()), card=shown
        )
    return phone.draw("code.html", token=token, left=int(CODE_LIFE.total_seconds()), card=shown)


@get("/cards/{card_id:uuid}")
async def card_page(card_id: FromPath[UUID], phone: NamedDependency[Phone]) -> Page:
    """Show one card, and how it is stopped."""
    async with transaction(phone.request.app.state.sessions) as session:
        card = await _mine(session, phone, card_id)
        shown = await _card(phone, session, card)
        by_holder = card.status is CardStatus.SUSPENDED and await _stopped_by_holder(session, card)
    return phone.draw("card.html", card=shown, frozen_by_me=by_holder)


@post("/cards/{card_id:uuid}/freeze", status_code=303)
async def freeze(card_id: FromPath[UUID], phone: NamedDependency[Phone]) -> Page:
    """Stop a card for a while; the holder lets it live again the same way."""
    async with transaction(phone.request.app.state.sessions) as session:
        card = await _mine(session, phone, card_id)
        assert phone.holder is not None, "checked by whose the card is"
        await cards.suspend_card(session, card_id=card.card_id, actor=phone.holder.actor, reason="frozen by its holder", now=phone.now)
    return redirect(phone.request, f"{HOME}/cards/{card_id}")


@post("/cards/{card_id:uuid}/thaw", status_code=303)
async def thaw(card_id: FromPath[UUID], phone: NamedDependency[Phone]) -> Page:
    """Let a card live again that its holder stopped; what the office or a company stopped, only they let go."""
    pin = phone.form.secret("pin").strip()
    async with transaction(phone.request.app.state.sessions) as session:
        card = await _mine(session, phone, card_id)
        if not await _stopped_by_holder(session, card):
            raise CardNotFound(card=card_id)
        index = card.number_index
    proof = await prove(phone, index=index, pin=pin)
    if proof.card is None:
        async with transaction(phone.request.app.state.sessions) as session:
            shown = await _card(phone, session, await _mine(session, phone, card_id))
        return phone.draw(
            "card.html", status_code=401, card=shown, frozen_by_me=True, problem={"title": proof.said, "tone": "bad", "then": ""}
        )
    async with transaction(phone.request.app.state.sessions) as session:
        assert phone.holder is not None, "checked by whose the card is"
        await cards.resume_card(session, card_id=card_id, actor=phone.holder.actor, reason="thawed by its holder", now=phone.now)
    return redirect(phone.request, f"{HOME}/cards/{card_id}")


@post("/cards/{card_id:uuid}/lost", status_code=303)
async def lost(card_id: FromPath[UUID], phone: NamedDependency[Phone]) -> Page:
    """Report a card lost: stopped from this moment, the money safe; a station replaces it."""
    async with transaction(phone.request.app.state.sessions) as session:
        card = await _mine(session, phone, card_id)
        assert phone.holder is not None, "checked by whose the card is"
        await cards.report_lost(session, card_id=card.card_id, actor=phone.holder.actor, reason="reported by its holder", now=phone.now)
    return redirect(phone.request, f"{HOME}/cards/{card_id}")


@get("/pay/{token:str}")
async def pay_page(token: FromPath[str], phone: NamedDependency[Phone]) -> Page:
    """Show the fill behind a QR: where, what, how much; it is approved by PIN within its seconds."""
    return await _pay(phone, token)


@post("/pay/{token:str}", status_code=200)
async def pay(token: FromPath[str], phone: NamedDependency[Phone]) -> Page:
    """Approve the fill with one's card and PIN: the amount is the fill's, it is paid once however often it is sent."""
    chosen = phone.form.maybe_uuid("card")
    if phone.holder is not None and chosen is not None:
        async with transaction(phone.request.app.state.sessions) as session:
            card = await _mine(session, phone, chosen)
            index = card.number_index
        proof = await prove(phone, index=index, pin=phone.form.secret("pin").strip())
    else:
        proof = await prove_number(phone)
    if proof.card is None:
        return await _pay(phone, token, refused=proof.said, status_code=401)
    try:
        done = await approve_payment(
            phone.request.app.state.pump, token=token, card_id=proof.card.card_id, plate=phone.form.raw("plate")[:16] or None
        )
    except PaymentEnded:
        return await _pay(phone, token)
    return await _pay(phone, token, answer=done.answer)


@get("/receipts/{token:str}")
async def receipt(token: FromPath[str], phone: NamedDependency[Phone]) -> Page:
    """Show a receipt to whoever scanned it from the paper."""
    try:
        link = read_token(Purpose.RECEIPT_TOKEN, token, now=clock.real_now(), payload=ReceiptLink)
    except TokenError:
        raise ReceiptNotKept from None
    both = parse_reference(link.reference)
    if both is None:
        raise ReceiptNotKept
    async with transaction(phone.request.app.state.sessions) as session:
        if link.kind == "t":
            topup = await get_topup(session, topup_id=both[1])
            if topup.station_id is None:
                raise ReceiptNotKept
            slip = await topup_slip(_scribe(phone, topup.station_id), session, topup)
        else:
            sale = await counter.find_sale(session, account_id=both[0], sale_id=both[1], station_id=None)
            if sale is None:
                raise ReceiptNotKept
            slip = await sale_slip(_scribe(phone, sale.station_id), session, sale)
    # The paper's own QR leads here, and the balance is for the paper's owner, not for whoever finds it.
    slip.link, slip.after = "", []
    return phone.draw("receipt.html", slip=slip.preview(0))


async def _pay(phone: Phone, token: str, *, refused: str = "", answer: dict[str, Any] | None = None, status_code: int = 200) -> Page:
    async with transaction(phone.request.app.state.sessions) as session:
        payment = await find_payment(session, token=token)
        station = await get_station(session, station_id=payment.station_id)
        fill = next(
            (each for each in await counter.unpaid_fills(session, station_id=payment.station_id) if each.fill_id == payment.fill_id), None
        )
        paid_minor = payment.amount_minor
        if payment.account_id is not None and payment.sale_id is not None:
            sale = await counter.find_sale(session, account_id=payment.account_id, sale_id=payment.sale_id, station_id=None)
            paid_minor = paid_minor if sale is None else sale.card_minor
        mine = []
        if phone.holder is not None:
            every = [await _card(phone, session, card) for card in await _cards(session, phone.customer_id)]
            mine = [each for each in every if each["status"] is CardStatus.ACTIVE]
    return phone.draw(
        "pay.html",
        status_code=status_code,
        token=token,
        state=_state(payment, phone),
        station=phone.either(station.name_zh, station.name_en),
        fill=fill,
        amount_minor=payment.amount_minor,
        paid_minor=paid_minor,
        currency=payment.currency,
        left=max(0, int((payment.expires_at - phone.now).total_seconds())),
        cards=mine,
        refused=refused,
        said="" if answer is None else phone.either(answer.get("message_zh"), answer.get("message_en")),
        answer=answer,
    )


def _state(payment: PaymentRequest, phone: Phone) -> str:
    if payment.status is PaymentStatus.OPEN:
        return "open" if payment.expires_at > phone.now else "expired"
    return payment.status.value


async def _cards(session: AsyncSession, customer_id: UUID) -> list[Card]:
    return [card for card in await cards_of_customer(session, customer_id=customer_id) if card.status not in _OVER]


async def _mine(session: AsyncSession, phone: Phone, card_id: UUID) -> Card:
    """Return the holder's own card; another's is unknown.

    :raises SignInNeeded: if nobody is signed in
    :raises CardNotFound: if it is not theirs
    """
    if phone.holder is None:
        raise SignInNeeded
    card = await get_card(session, card_id=card_id)
    if card.card_id not in {each.card_id for each in await _cards(session, phone.customer_id)}:
        raise CardNotFound(card=card_id)
    return card


async def _card(phone: Phone, session: AsyncSession, card: Card) -> dict[str, Any]:
    product = await get_product(session, product_id=card.product_id)
    label, tone = STATUSES[card.status]
    private = product.kind in {ProductKind.PERSONAL, ProductKind.ANONYMOUS}
    held = await balance_of(session, account_id=card.account_id, now=phone.now)
    lots = [
        purse
        for purse in await purses_of(session, account_id=card.account_id)
        if private and purse.kind == PurseKind.BONUS and purse.balance_minor and (purse.expires_at is None or purse.expires_at > phone.now)
    ]
    only = await conditions_of(session, purses=lots, f=phone.f, words=phone.words)
    return {
        "card_id": card.card_id,
        "account_id": card.account_id,
        "tail": card.number_tail,
        "plate": card.plate,
        "product": phone.either(product.name_zh, product.name_en),
        "status": card.status,
        "label": phone.gettext(label),
        "tone": tone,
        "active": card.status is CardStatus.ACTIVE,
        "stoppable": card.status in {CardStatus.ACTIVE, CardStatus.SUSPENDED} and not card.bearer,
        "private": private,
        "available": phone.f.money(held.available_minor, held.currency) if private else "",
        "principal": phone.f.money(held.principal_minor, held.currency),
        "bonus": phone.f.money(held.bonus_minor, held.currency),
        "held": phone.f.money(held.held_minor, held.currency) if held.held_minor else "",
        "owed": phone.f.money(held.owed_minor, held.currency) if held.owed_minor else "",
        "only": [f"{phone.f.money(lot.balance_minor, lot.unit)} {only[lot.purse_id]}" for lot in lots if lot.purse_id in only],
    }


async def _moves(phone: Phone, session: AsyncSession, accounts: set[UUID]) -> list[dict[str, Any]]:
    lines = [
        line for account_id in accounts for line in (await card_history(session, account_id=account_id, sales_only=True, limit=10)).rows
    ]
    shown = []
    for line in sorted(lines, key=lambda each: each.booked_at, reverse=True)[:12]:
        if line.kind == "topup":
            what, amount = phone.gettext("Top-up"), phone.f.money(line.amount_minor, sign=True)
            label, tone = TOPUP_TAGS.get(line.status, ("", ""))
        elif line.kind in {"refund", "void"}:
            what, amount, label, tone = phone.gettext("Given back"), phone.f.money(line.card_minor, sign=True), "", ""
        else:
            what, amount = (
                phone.either(line.product_name_zh, line.product_name_en) or phone.gettext("Shop"),
                phone.f.money(-line.card_minor),
            )
            label, tone = SALE_TAGS.get(line.status, ("", ""))
        shown.append(
            {
                "what": what,
                "note": " · ".join(
                    part
                    for part in (
                        phone.either(line.station_name_zh, line.station_name_en),
                        phone.f.quantity(line.quantity_milli) if line.quantity_milli else "",
                        phone.f.when(line.booked_at),
                    )
                    if part
                ),
                "amount": amount,
                "tag": phone.gettext(label) if label and tone != "good" else "",
                "tone": tone,
            }
        )
    return shown


async def _stopped_by_holder(session: AsyncSession, card: Card) -> bool:
    """Say whether the holder themselves stopped a suspended card last."""
    for event in (await history(session, card_id=card.card_id, limit=50)).rows:
        if event.moved_to is CardStatus.SUSPENDED:
            return event.actor_kind is ActorKind.CUSTOMER
    return False


def _scribe(phone: Phone, station_id: UUID) -> Scribe:
    return Scribe(
        words=phone.words,
        f=phone.f,
        station_id=station_id,
        public_url=phone.request.app.state.settings.public_url,
        real_now=clock.real_now(),
    )


handlers = [home, sign_in, sign_out, code, card_page, freeze, thaw, lost, pay_page, pay, receipt]
