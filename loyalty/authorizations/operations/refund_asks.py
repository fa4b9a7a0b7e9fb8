"""How much of a sale is asked back, checked against what is left of it: of the whole, of a line, of the litres."""

from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations import mirroring
from loyalty.authorizations.model import Refund, Sale
from loyalty.errors import Refusal
from loyalty.money import shown


class NothingToRefund(Refusal):
    """It was given back whole before, or no amount is asked for."""

    zh = "该笔销售已全部退回，没有可退金额。"
    en = "This sale was given back already; nothing is left to refund."
    next_zh = "请在交易记录中查看退款。"
    next_en = "Look at its refunds."


class RefundExceedsSale(Refusal):
    """More than is left of the sale, of a line, or of the litres."""

    status = 422
    zh = "退款超出原交易：可退 {left}，申请 {wanted}。"
    en = "More than is left of the sale: {left} left, {wanted} asked for."
    next_zh = "请改小退款金额或数量。"
    next_en = "Ask for less."


class RefundLineUnknown(Refusal):
    """The sale has no such line."""

    status = 422
    zh = "该笔销售没有第 {line} 行商品。"
    en = "The sale has no line {line}."
    next_zh = "请按小票核对商品行。"
    next_en = "Compare with the receipt."


class RefundLine(NamedTuple):
    """A shop line, or part of it, that goes back: its place in the sale's list, from 0."""

    line: int
    amount_minor: int
    quantity_milli: int


class Wanted(NamedTuple):
    """How much of a sale is to go back."""

    gross_minor: int
    quantity_milli: int
    lines: tuple[RefundLine, ...] = ()


async def asked_of(
    session: AsyncSession, sale: Sale, gross_minor: int | None, quantity_milli: int | None, lines: tuple[RefundLine, ...]
) -> Wanted:
    """Check what is asked for against what is left.

    :raises NothingToRefund: if nothing is left
    :raises RefundExceedsSale: if it is more
    :raises RefundLineUnknown: if a line is none of the sale's
    """
    left = sale.gross_minor - sale.refunded_minor
    if left <= 0:
        raise NothingToRefund(sale=sale.sale_id)
    by_lines = sum(line.amount_minor for line in lines)
    gross = gross_minor if gross_minor is not None else by_lines if lines else left
    if gross <= 0:
        raise NothingToRefund(sale=sale.sale_id)
    _within(gross, left, sale.currency)
    _within(by_lines, gross, sale.currency)
    if lines:
        await _check_lines(session, sale, lines)
    quantity_left = await quantity_left_of(session, sale)
    if quantity_milli is None:
        if gross == left:
            quantity_milli = quantity_left
        elif lines or not sale.quantity_milli:
            quantity_milli = 0
        else:
            quantity_milli = mirroring.quantity_share(quantity_left_milli=quantity_left, gross_minor=gross, gross_left_minor=left)
    if not 0 <= quantity_milli <= quantity_left:
        raise RefundExceedsSale(left=f"{quantity_left / 1000:.3f}", wanted=f"{quantity_milli / 1000:.3f}")
    return Wanted(gross, quantity_milli, lines)


def _within(wanted: int, left: int, currency: str) -> None:
    if wanted > left:
        raise RefundExceedsSale(left=shown(left, currency), wanted=shown(wanted, currency), left_minor=left)


async def _check_lines(session: AsyncSession, sale: Sale, lines: tuple[RefundLine, ...]) -> None:
    sold: list[dict[str, Any]] = (sale.detail or {}).get("lines", [])
    known = await session.scalars(select(Refund.lines).where(Refund.account_id == sale.account_id, Refund.sale_id == sale.sale_id))
    earlier = [row for row in known if row]
    for place in {line.line for line in lines}:
        if not 0 <= place < len(sold):
            raise RefundLineUnknown(line=place)
        for measure in ("amount_minor", "quantity_milli"):
            asked = sum(int(getattr(line, measure)) for line in lines if line.line == place)
            left = sold[place][measure] - sum(row[str(place)][measure] for row in earlier if str(place) in row)
            if asked > left or asked < 0:
                raise RefundExceedsSale(left=left, wanted=asked, line=place)


async def quantity_left_of(session: AsyncSession, sale: Sale) -> int:
    """Return the litres of a sale that no refund has given back yet."""
    given = await session.scalars(select(Refund.quantity_milli).where(Refund.account_id == sale.account_id, Refund.sale_id == sale.sale_id))
    return sale.quantity_milli - sum(given)
