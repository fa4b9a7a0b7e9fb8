"""Receipts: one content, as the page previews it and as the 80 mm printer gets it. A reprint is marked as copy 1, 2 …"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.queries.sales import benefits_in
from loyalty.authorizations.wire import reference
from loyalty.cards.queries import get_card
from loyalty.crypto import Purpose, issue_token
from loyalty.fleet.queries.fills import said_at_the_pump
from loyalty.stations.queries import StationView, get_station, list_products
from loyalty.topups.model import Topup
from loyalty.topups.offering import expiry_of
from loyalty.web.benefits import PRICED, Given, Teller, item_names, items_of, surcharge_minor
from loyalty.web.cashier import queries
from loyalty.web.cashier.labels import TENDERS
from loyalty.web.formats import Formats, masked
from loyalty.web.i18n import Language
from loyalty.web.pdf import copy_mark, typst_pdf

if TYPE_CHECKING:
    from loyalty.web.cashier.sheets import CardSheet

LINK_LIFE: Final = timedelta(days=400)
_MOMENT: Final = timedelta(seconds=1)


class ReceiptLink(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What a receipt's QR carries: `s` for a sale, `t` for a top-up, and its reference. Short, so that the QR is coarse."""

    kind: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scribe:
    """Who writes a receipt: in which language, for which station, and where its QR leads."""

    words: Language
    f: Formats
    station_id: UUID
    public_url: str
    real_now: datetime
    till: str = ""
    cashier: str = ""

    def gettext(self, message: str, **fields: object) -> str:
        """Say a sentence to the reader."""
        return self.words.gettext(message, **fields)

    def either(self, zh: str | None, en: str | None) -> str:
        """Choose the reader's one of two texts."""
        return self.words.either(zh or en or "", en or zh or "")


@dataclass(slots=True, kw_only=True)
class Slip:
    """What stands on the paper, line by line."""

    title: str
    entity: str
    station: str
    number: str
    head: list[tuple[str, str]]
    lines: list[tuple[str, str, str]] = field(default_factory=list)
    """(name, detail, amount)"""
    discounts: list[tuple[str, str]] = field(default_factory=list)
    totals: list[tuple[str, str, bool]] = field(default_factory=list)
    tenders: list[tuple[str, str]] = field(default_factory=list)
    earned: list[tuple[str, str]] = field(default_factory=list)
    """What was granted besides: points, bonus money, gifts, vouchers."""
    after: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    link: str = ""
    link_note: str = ""

    def preview(self, copies: int) -> dict[str, Any]:
        """Return what the page's picture of the paper shows."""
        lines = [(f"{name} {detail}".strip(), amount) for name, detail, amount in self.lines]
        return {
            "title": self.title,
            "station": self.station,
            "head": self.head,
            "lines": [*lines, *self.discounts],
            "totals": [*self.totals, *((name, text, False) for name, text in [*self.tenders, *self.earned, *self.after])],
            "notes": [*self.notes, self.number],
            "qr": self.link,
            "copy_mark": copy_mark(copies),
        }

    def pdf(self, copies: int) -> bytes:
        """Return the 80 mm document."""
        return typst_pdf(
            "receipt",
            {
                "title": self.title,
                "entity": self.entity,
                "station": self.station,
                "number": self.number,
                "copy": copy_mark(copies),
                "head": [list(pair) for pair in self.head],
                "lines": [{"name": name, "detail": detail, "amount": amount} for name, detail, amount in self.lines],
                "discounts": [list(pair) for pair in self.discounts],
                "totals": [list(each) for each in self.totals],
                "tenders": [list(pair) for pair in self.tenders],
                "earned": [list(pair) for pair in self.earned],
                "after": [list(pair) for pair in self.after],
                "notes": self.notes,
                "qr": self.link,
                "qr_note": self.link_note,
            },
        )


async def sale_slip(scribe: Scribe, session: AsyncSession, sale: queries.SaleView) -> Slip:
    """Write the receipt of a sale."""
    _, f = scribe.gettext, scribe.f
    slip = await begin_slip(scribe, session, _("Sales receipt"), sale.booked_at, sale.tail, reference(sale.account_id, sale.sale_id))
    names = await product_names(scribe, session)
    detail = sale.detail or {}
    benefits = benefits_in(detail)
    teller = Teller(scribe.words, f, sale.currency, await item_names(session, codes=items_of(benefits)))
    given = [teller.kept(benefit, whole_minor=sale.discount_minor) for benefit in benefits]
    shop = detail.get("lines") or []
    # The gross amount is what was paid before discounts: the pump's, and what an agreement adds.
    fuel = sale.gross_minor - sum(line["amount_minor"] for line in shop) - surcharge_minor(given)
    if sale.product is not None:
        price = f.unit_price(sale.unit_price_e4, sale.currency, None)
        told = f"{f.quantity(sale.quantity_milli, sale.unit or 'L')} × {price}"
        nozzle = f" · {_('nozzle %(nozzle)s', nozzle=sale.nozzle)}" if sale.nozzle is not None else ""
        slip.lines.append((scribe.either(sale.product_zh, sale.product_en), told + nozzle, f.money(fuel, sale.currency)))
    for line in shop:
        pieces = f"× {line['quantity_milli'] // 1000}" if line["quantity_milli"] != 1000 else ""
        slip.lines.append((names.get(line["product"], line["product"]), pieces, f.money(line["amount_minor"], sale.currency)))
    _tell(scribe, slip, given)
    if sale.discount_minor and not any(one.kind == "discount" for one in given):
        slip.discounts.append((_("Discount"), f.money(-sale.discount_minor, sale.currency)))
    slip.totals.append((_("To pay"), f.money(sale.gross_minor - sale.discount_minor, sale.currency), True))
    if sale.discount_minor:
        slip.totals.append((_("You saved"), f.money(sale.discount_minor, sale.currency), False))
    if sale.card_minor:
        slip.tenders.append((_("From the card"), f.money(sale.card_minor, sale.currency)))
    slip.tenders += [
        (_(TENDERS.get(each["tender"], each["tender"])), f.money(each["amount_minor"], sale.currency))
        for each in detail.get("tenders") or []
    ]
    if sale.account_kind not in {"personal", "anonymous"}:
        slip.after += await _told_with(scribe, session, sale)
    else:
        after = await queries.balance_after(session, account_id=sale.account_id, currency=sale.currency, booked_at=sale.booked_at)
        slip.after.append((_("Balance afterwards"), f.money(after, sale.currency)))
    for refund in await queries.refunds_of(session, account_id=sale.account_id, sale_id=sale.sale_id):
        kind = _("Voided") if refund.void else _("Given back")
        slip.notes.append(f"{kind} {f.money(refund.gross_minor, sale.currency)} · {f.instant(refund.booked_at)}")
        if back := teller.back(benefits, refund.benefits or ()):
            slip.notes.append(_("of it taken back: %(what)s", what=", ".join(f"{one.name} {one.amount}" for one in back)))
    _link(scribe, slip, "s", reference(sale.account_id, sale.sale_id))
    return slip


async def _told_with(scribe: Scribe, session: AsyncSession, sale: queries.SaleView) -> list[tuple[str, str]]:
    """Say what was told with a company's card: its books ask for plate, reading and driver with each fill."""
    _ = scribe.gettext
    said = await said_at_the_pump(session, account_id=sale.account_id, sale_id=sale.sale_id)
    if said is None:
        return []
    pairs = [
        (_("Number plate"), said.plate),
        (_("Driver"), said.driver_number or said.driver_said),
        (_("Odometer"), None if said.odometer_km is None else f"{scribe.f.count(said.odometer_km)} km"),
        (_("Order number"), said.order_number or said.order_said),
    ]
    return [(name, value) for name, value in pairs if value]


def _tell(scribe: Scribe, slip: Slip, told: Sequence[Given]) -> None:
    """Put what the rules gave onto the paper: what changed the price by the lines, what is granted below."""
    for one in told:
        name = f"{one.name}（{one.note}）" if one.note and scribe.words.is_chinese else f"{one.name} ({one.note})" if one.note else one.name
        (slip.discounts if one.kind in PRICED else slip.earned).append((name, one.amount))


def _dated(scribe: Scribe, benefit: Mapping[str, Any], told: Given) -> Given:
    """Say until when bonus money is good."""
    ends = expiry_of(benefit)
    if ends is None:
        return told
    # It ends with a day of the station: the last instant is the day before's.
    until = scribe.gettext("until %(day)s", day=scribe.f.full_day(ends - _MOMENT))
    return replace(told, note=f"{told.note}; {until}" if told.note else until)


async def topup_slip(scribe: Scribe, session: AsyncSession, topup: Topup) -> Slip:
    """Write the receipt of a top-up."""
    _, f = scribe.gettext, scribe.f
    tail = (await get_card(session, card_id=topup.card_id)).number_tail if topup.card_id is not None else None
    title = _("Top-up, not credited yet") if topup.booked_at is None else _("Top-up receipt")
    slip = await begin_slip(scribe, session, title, topup.booked_at or topup.requested_at, tail, str(topup.topup_id))
    slip.lines.append((_("Top-up"), "", f.money(topup.amount_minor, topup.currency)))
    benefits = (topup.detail or {}).get("benefits", [])
    by_hand = topup.bonus_minor - sum(one["given"] for one in benefits if one["kind"] == "bonus")
    if by_hand:
        slip.lines.append((_("Bonus"), "", f.money(by_hand, topup.currency)))
    teller = Teller(scribe.words, f, topup.currency, await item_names(session, codes=items_of(benefits)))
    _tell(scribe, slip, [_dated(scribe, one, teller.kept(one)) for one in benefits])
    if topup.settled_minor:
        slip.discounts.append((_("Paid off what was owed"), f.money(-topup.settled_minor, topup.currency)))
    slip.totals.append((_("Paid"), f.money(topup.paid_minor, topup.currency), True))
    if topup.discount_minor:
        slip.totals.append((_("You saved"), f.money(topup.discount_minor, topup.currency), False))
    slip.tenders.append((_(TENDERS.get(topup.tender.value, topup.tender.value)), topup.reference or ""))
    if topup.booked_at is None:
        slip.notes.append(_("The money is on the card once the bank's transfer has arrived."))
        slip.notes.append(_("What it earns is decided then, by the rules of that day."))
    else:
        after = await queries.balance_after(session, account_id=topup.account_id, currency=topup.currency, booked_at=topup.booked_at)
        slip.after.append((_("Balance afterwards"), f.money(after, topup.currency)))
    if topup.returned_minor:
        slip.notes.append(_("Taken back: %(amount)s", amount=f.money(topup.returned_minor, topup.currency)))
    _link(scribe, slip, "t", reference(topup.account_id, topup.topup_id))
    return slip


async def balance_slip(scribe: Scribe, session: AsyncSession, sheet: "CardSheet") -> Slip:
    """Write what is on a card at this moment; no receipt, so it has neither number nor copies."""
    _, f = scribe.gettext, scribe.f
    slip = await begin_slip(scribe, session, _("Balance"), scribe.f.now, sheet.tail, "")
    slip.lines.append((_("Principal"), "", f.money(sheet.principal_minor, sheet.currency)))
    slip.lines += [
        (
            _("Bonus"),
            "; ".join(word for word in (_("until %(day)s", day=f.full_day(lot.expires_at)) if lot.expires_at else "", lot.only) if word),
            f.money(lot.amount_minor, sheet.currency),
        )
        for lot in sheet.lots
    ]
    if sheet.held_minor:
        slip.discounts.append((_("Held for fills under way"), f.money(-sheet.held_minor, sheet.currency)))
    if sheet.owed_minor:
        slip.discounts.append((_("Owed"), f.money(-sheet.owed_minor, sheet.currency)))
    slip.totals.append((_("Available"), f.money(sheet.available_minor, sheet.currency), True))
    return slip


async def product_names(scribe: Scribe, session: AsyncSession) -> dict[str, str]:
    """Return what each product is called, by code."""
    return {each.code: scribe.either(each.name_zh, each.name_en) for each in (await list_products(session, limit=200)).rows}


async def begin_slip(scribe: Scribe, session: AsyncSession, title: str, at: datetime, tail: str | None, number: str) -> Slip:
    """Begin a paper: what it is, of whom, when, at which till, for which card."""
    _ = scribe.gettext
    station: StationView = await get_station(session, station_id=scribe.station_id)
    head = [(_("Time"), scribe.f.instant(at))]
    if scribe.till:
        head += [(_("Till"), scribe.till), (_("Cashier"), scribe.cashier)]
    if tail is not None:
        head.append((_("Card"), masked(tail)))
    return Slip(
        title=title,
        entity=scribe.either(station.entity_name_zh, station.entity_name_en),
        station=scribe.either(station.name_zh, station.name_en),
        number=number,
        head=head,
    )


def _link(scribe: Scribe, slip: Slip, kind: str, subject: str) -> None:
    token = issue_token(Purpose.RECEIPT_TOKEN, ReceiptLink(kind, subject), expires_at=scribe.real_now + LINK_LIFE)
    slip.link = f"{scribe.public_url}/me/receipts/{token}"
    slip.link_note = scribe.gettext("Scan to keep this receipt on your phone.")
