"""A card on the counter: what it may take, and taking it. One form, its key made when it was drawn: Enter three times is one sale."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.model import Flow, Operation
from loyalty.authorizations.offering import Offer
from loyalty.authorizations.operations.quotes import offer_to
from loyalty.authorizations.reasons import Reason
from loyalty.authorizations.settling import goods_of
from loyalty.authorizations.wire import Credential, FuelLine, Said, SaleAnswer, SaleRequest, ShopLine, Tender
from loyalty.cards.model import ProductKind
from loyalty.identity.rules import Permission
from loyalty.pricing.basket import CARD
from loyalty.stations.model import ProductCategory
from loyalty.stations.queries import BoardLine, list_products, price_board
from loyalty.web.benefits import Teller
from loyalty.web.cashier import queries
from loyalty.web.cashier.benefits import Favour, Saving, Waiting, favour_of, saving_of, shelves, teller_for, waiting_for
from loyalty.web.cashier.declining import declined
from loyalty.web.cashier.frame import draw, reading
from loyalty.web.cashier.paying import VOUCHER, Payer, earlier, payers_of, set_aside, settle, tender_of
from loyalty.web.cashier.saying import driver_pin, lines_of, read_said
from loyalty.web.cashier.sheets import CardSheet, DueFill, due_of, sheet_of
from loyalty.web.cashier.till import HOME, Page, Till, code_cookie, code_for, new_key, presented_by
from loyalty.web.i18n import N_
from loyalty.web.rendering import redirect, render

OTHER_TENDERS: Final = (("cash", N_("Cash")), ("wechat", N_("WeChat")), ("alipay", N_("Alipay")), ("bank_card", N_("Bank card")))
_ONCE_MORE: Final = {
    Reason.PIN_WRONG.code,
    Reason.PIN_NEEDED.code,
    Reason.CREDENTIAL_NEEDED.code,
    Reason.PLATE_NEEDED.code,
    Reason.TOKEN_WRONG.code,
}


class Reckoned(msgspec.Struct, frozen=True, kw_only=True):
    """What is chosen, added up: `due_minor` is the card's share."""

    gross_minor: int
    saving: Saving
    shop_minor: int
    tenders_minor: int
    voucher_minor: int
    """What the chosen voucher pays."""
    due_minor: int
    fill: DueFill | None
    short_minor: int
    """How much the card's money falls short; 0 where it does not, or is not shown."""


class Goods(msgspec.Struct, frozen=True, kw_only=True):
    """An article of the shop; its price where the station has one."""

    code: str
    name: str
    price_minor: int | None


@get("/cards/{card_id:uuid}")
async def card_page(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Answer whether this customer can fuel, for how much, with what saving; and take the money."""
    till.require(Permission.SELL)
    till.require_shift()
    async with reading(till) as session:
        return await _drawn(till, session, await sheet_of(till, session, card_id=card_id), chosen=till.request.query_params.get("fill", ""))


@post("/cards/{card_id:uuid}/due", status_code=200)
async def due(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Add up what is chosen at this moment, while the form is being filled in."""
    async with reading(till) as session:
        sheet = await sheet_of(till, session, card_id=card_id)
        offer = await offer_for(till, session, sheet)
        teller = await teller_for(till, session, offer)
        fills = due_of(till, offer, await queries.unpaid_fills(session, station_id=till.place.station_id))
        payer = await _payer(till, session, sheet)
        reckoned = _reckon(till, sheet, fills, offer, teller, payer=payer)
    return render(
        till.request,
        "cashier/due.html",
        zone=till.view.zone,
        now=till.now,
        currency=till.currency,
        sheet=sheet,
        reckoned=reckoned,
        oob=True,
    )


@post("/cards/{card_id:uuid}/sales", status_code=303)
async def sell(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Sell a fill, shop goods, or both; the card's share after discounts and other tenders comes from its purses, or nothing does."""
    till.require(Permission.SELL)
    till.require_shift()
    async with reading(till) as session:
        sheet = await sheet_of(till, session, card_id=card_id)
        body, token = _sale(till, sheet)
        reserved = await earlier(till, session) if till.form.raw(VOUCHER) else None
        payer = None if reserved is not None else await _payer(till, session, sheet, plate=body.plate)
        due_minor = 0 if payer is None else await _due_before(till, session, sheet, payer)
    if payer is not None and due_minor > 0:
        reserved = await set_aside(till, payer, due_minor=due_minor, plate=body.plate)
    if reserved is not None:
        body = msgspec.structs.replace(body, tenders=[*body.tenders, tender_of(reserved)])
    answer = await till.hot(
        Operation.SALE,
        body,
        SaleAnswer,
        number_index=sheet.number_index,
        presented=presented_by(till.form.secret("pin").strip(), token, driver_pin(till), body.driver_card),
    )
    if reserved is not None:
        await settle(till, answer)
    if answer.sale is not None:
        return redirect(till.request, f"{HOME}/sales/{answer.sale}?new=1", cookies=[code_cookie(till.request, "")] if token else None)
    async with reading(till) as session:
        # Read anew: a wrong PIN may have locked it.
        sheet = await sheet_of(till, session, card_id=card_id)
        return await _drawn(till, session, sheet, said=answer, chosen=till.form.raw("fill"))


async def _payer(till: Till, session: AsyncSession, sheet: CardSheet, *, plate: str | None = None) -> Payer | None:
    """Return the voucher that the form names, if it pays here; nothing is read where it names none."""
    return _chosen(till, await payers_of(till, session, sheet, plate=plate)) if till.form.raw(VOUCHER) else None


def _chosen(till: Till, payers: Sequence[Payer]) -> Payer | None:
    """Return the voucher that the form names, if it is one of these."""
    return next((one for one in payers if str(one.voucher_id) == till.form.raw(VOUCHER)), None)


async def _due_before(till: Till, session: AsyncSession, sheet: CardSheet, payer: Payer) -> int:
    """Return what a voucher can pay: all that is due after the savings and the other tenders."""
    offer = await offer_for(till, session, sheet)
    fills = due_of(till, offer, await queries.unpaid_fills(session, station_id=till.place.station_id))
    reckoned = _reckon(till, sheet, fills, offer, await teller_for(till, session, offer), payer=payer)
    return reckoned.due_minor + reckoned.voucher_minor


def _sale(till: Till, sheet: CardSheet) -> tuple[SaleRequest, str]:
    """Read the form into a sale, and the holder's code where one was scanned.

    :raises FormRefused: if a field is wrong
    """
    form, _ = till.form, till.gettext
    pin, token = form.secret("pin").strip(), code_for(till.request, sheet.number_index)
    fuel = None
    fill_id = None if form.raw("fill") in {"", "none", "manual"} else form.uuid("fill", _("Fill"))
    if form.raw("fill") == "manual":
        fuel = _manual_fuel(till)
    shop = _shop_lines(till)
    tenders = _tenders(till)
    if fill_id is None and fuel is None and not shop:
        form.fault("fill", _("What"), _("choose a fill, or add goods"))
    said = read_said(till)
    form.check()
    body = SaleRequest(
        # The PIN stays in this process; the pump only asks whether one was given.
        card=Credential(pin="given" if pin else None, token=token or None),
        fuel=fuel,
        fill_id=fill_id,
        shop=shop,
        tenders=tenders,
        staff_id=till.principal.staff_id,
        **said,
    )
    return body, token


def _manual_fuel(till: Till) -> FuelLine | None:
    """Read a fill that the forecourt did not report, from the pump's own display."""
    form, _ = till.form, till.gettext
    product = form.text("product", _("Grade"), longest=32)
    quantity = form.quantity("quantity", _("Quantity"))
    amount = form.money("amount", _("Amount"), till.currency)
    nozzle = form.whole("nozzle", _("Nozzle"), required=False, high=999)
    found = till.pump.snapshot.products.get(product)
    price = None if found is None else till.pump.snapshot.price(till.place.station_id, found.product_id, till.now)
    if product and (found is None or price is None):
        form.fault("product", _("Grade"), _("has no price at this station"))
    if quantity is None or amount is None or price is None:
        return None
    return FuelLine(product=product, quantity_milli=quantity, unit_price_e4=price, amount_minor=amount, nozzle=nozzle)


def _shop_lines(till: Till) -> list[ShopLine]:
    lines = []
    for number, code in enumerate(till.form.many("goods")):
        pieces = till.form.whole(f"pieces-{code}", till.gettext("Pieces"), low=1, high=999, required=False) or 1
        amount = till.form.money(f"amount-{code}", till.gettext("Amount"), till.currency)
        if amount is not None and number < 50:
            lines.append(ShopLine(product=code, quantity_milli=pieces * 1000, amount_minor=amount))
    return lines


def _tenders(till: Till) -> list[Tender]:
    tenders = []
    for code, label in OTHER_TENDERS:
        amount = till.form.money(f"tender-{code}", till.gettext(label), till.currency, required=False, low=0)
        if amount:
            tenders.append(Tender(tender=code, amount_minor=amount, reference=till.form.raw(f"reference-{code}")[:64] or None))  # type: ignore[arg-type]
    return tenders


async def offer_for(till: Till, session: AsyncSession, sheet: CardSheet) -> Offer | None:
    """Return the rules as this card meets them."""
    return await offer_to(session, snapshot=till.pump.snapshot, place=till.place, number_index=sheet.number_index, now=till.now)


async def favour_for(
    till: Till, session: AsyncSession, sheet: CardSheet, offer: Offer | None, teller: Teller, board: Sequence[BoardLine]
) -> Favour | None:
    """Return what lies in this customer's favour; None for a card that buys nothing now."""
    if not sheet.living or sheet.stopped:
        return None
    waiting: list[Waiting] = []
    if sheet.kind in {ProductKind.PERSONAL, ProductKind.ANONYMOUS}:
        waiting = await waiting_for(till, session, customer_id=sheet.customer_id, account_id=sheet.account_id)
    return favour_of(till, offer, teller, shelves(till, board), waiting)


def _reckon(
    till: Till,
    sheet: CardSheet,
    fills: list[DueFill],
    offer: Offer | None,
    teller: Teller,
    *,
    chosen: str | None = None,
    payer: Payer | None = None,
) -> Reckoned:
    """Add up what the form says, taking what cannot be read yet as nothing: somebody is still typing."""
    wanted = till.form.raw("fill") if chosen is None else chosen
    fill = next((each for each in fills if str(each.fill.fill_id) == wanted), None)
    known = till.pump.snapshot
    line: FuelLine | None = None
    if fill is not None:
        line = FuelLine(
            product=fill.fill.product,
            quantity_milli=fill.fill.quantity_milli,
            unit_price_e4=fill.fill.unit_price_e4,
            amount_minor=fill.fill.amount_minor,
        )
    elif wanted == "manual":
        line = _manual_fuel(till)
    gross = 0 if line is None else line.amount_minor
    lines, paid = _shop_lines(till), _tenders(till)
    shop, tenders, saving = sum(each.amount_minor for each in lines), sum(tender.amount_minor for tender in paid), Saving()
    articles = [(known.products.get(each.product), each.amount_minor) for each in lines]
    goods = goods_of(lines, articles, line, None if line is None else known.products.get(line.product), till.place.digits)
    off = 0
    if offer is not None and goods:
        flow = Flow.SHOP if line is None else Flow.PAY_AFTER
        with_ = (CARD, *(tender.tender for tender in paid), *([] if payer is None else [VOUCHER]))
        fuel = None if line is None else known.products.get(line.product)
        saving, outcome = saving_of(till, offer, teller, goods, flow, with_, unit="piece" if fuel is None else fuel.unit)
        off = outcome.discount_minor - outcome.surcharge_minor
    share = gross + shop - off - tenders
    voucher = 0 if payer is None else max(0, min(payer.left_minor, share))
    share -= voucher
    short = max(0, share - sheet.available_minor) if sheet.shows_money else 0
    return Reckoned(
        gross_minor=gross,
        saving=saving,
        shop_minor=shop,
        tenders_minor=tenders,
        voucher_minor=voucher,
        due_minor=share,
        fill=fill,
        short_minor=short,
    )


async def _drawn(till: Till, session: AsyncSession, sheet: CardSheet, *, said: Said | None = None, chosen: str = "") -> Page:
    waiting = await queries.unpaid_fills(session, station_id=till.place.station_id)
    offer = await offer_for(till, session, sheet)
    teller = await teller_for(till, session, offer)
    fills = due_of(till, offer, waiting)
    free = [each for each in fills if not each.locked]
    if not chosen and len(free) == 1:
        chosen = str(free[0].fill.fill_id)
    board = await price_board(session, station_id=till.place.station_id, at=till.now)
    payers = await payers_of(till, session, sheet) if sheet.living and not sheet.stopped else []
    token = code_for(till.request, sheet.number_index)
    lines = lines_of(till, sheet, said)
    asks = any(line.first for line in lines.asked)
    first = "fill" if not chosen or chosen == "none" else "asked" if asks else "fill" if token else "pin"
    if said is not None and (asks or said.reason in _ONCE_MORE):
        first = "asked" if asks else "pin"
    return await draw(
        till,
        session,
        "card.html",
        here="counter",
        card_id=sheet.card_id,
        sheet=sheet,
        fills=fills,
        chosen=chosen,
        first=first,
        lines=lines,
        board=[line for line in board if line.category is ProductCategory.FUEL],
        goods=await _goods(till, session, board),
        tenders=[(code, till.gettext(label)) for code, label in OTHER_TENDERS],
        payers=payers,
        reckoned=_reckon(till, sheet, fills, offer, teller, chosen=chosen, payer=_chosen(till, payers)),
        favour=await favour_for(till, session, sheet, offer, teller, board),
        declined=None if said is None else declined(till, said),
        token=bool(token),
        once=new_key(),
        typed=_typed(till),
        status_code=200,
    )


async def _goods(till: Till, session: AsyncSession, board: list[BoardLine]) -> list[Goods]:
    prices = {line.product_code: line.unit_price_e4 for line in board}
    shop = await list_products(session, category=ProductCategory.SHOP, active_only=True, limit=60)
    scale: int = 10 ** (4 - till.place.digits)
    return [
        Goods(
            code=each.code,
            name=till.either(each.name_zh, each.name_en),
            price_minor=prices[each.code] // scale if each.code in prices else None,
        )
        for each in shop.rows
    ]


def _typed(till: Till) -> dict[str, str]:
    """Return what the form said, to be shown again after a decline; never a PIN."""
    return {name: values[-1] for name, values in till.form.texts().items() if values and not name.startswith("pin")}


handlers = [card_page, due, sell]
