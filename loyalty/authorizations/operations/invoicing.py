"""What may be invoiced: opened when a company's period is closed, drawn on by invoices, lowered by refunds; never more than was paid.

Refunds of a company's sales hold a lock that many may share, the opening holds it alone: no refund is missed by both a pot and its opening.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.invoicing_rules import share
from loyalty.authorizations.mirroring import Mirrored, Part
from loyalty.authorizations.model import Refund, Sale
from loyalty.authorizations.model_invoicing import GOODS, InvoicePot
from loyalty.errors import Refusal
from loyalty.ids import uuid7_floor
from loyalty.ledger.model import Account, AccountKind, PurseKind, TransferKind
from loyalty.ledger.rules import PurseView
from loyalty.money import shown

from .refund_asks import Wanted


class RedLetterFirst(Refusal):
    """What would go back was invoiced: the invoice goes first (domain notes, invoices)."""

    zh = "该笔销售所在账期已开票：退款后只剩 {left} 可开票，已开或已申请 {invoiced}。"
    en = "The sale's period was invoiced: after this refund {left} may be invoiced, {invoiced} is or is asked for."
    next_zh = "请先撤回开票申请，或由财务开具红字发票，再办理退款。"
    next_en = "Withdraw the request, or have the red-letter invoice issued, then refund."


class MoreThanPaid(Refusal):
    """An invoice never exceeds what was paid and not invoiced yet."""

    status = 422
    zh = "最多可开票 {left}，申请了 {wanted}。"
    en = "At most {left} may be invoiced; {wanted} was asked for."
    next_zh = "请按可开票金额修改。"
    next_en = "Ask for no more than that."


# What came back finds what it mirrors by its id: against the list `given`, which nothing indexes, a large company's close took hours.
_OPEN: Final = text(
    """
    WITH mine AS (
        SELECT purse_id, kind FROM purses WHERE account_id = :account AND kind IN (1, 2, 4)
    ), given AS (
        SELECT t.transfer_id, t.operation_id, t.amount_minor, p.kind FROM transfers t JOIN mine p ON p.purse_id = t.debit_id
        WHERE t.account_id = :account AND t.transfer_id >= :first AND t.transfer_id < :last AND t.kind = 3
    ), paid AS (
        SELECT operation_id AS sale_id, coalesce(sum(amount_minor) FILTER (WHERE kind = 1), 0)::bigint AS paid,
            coalesce(sum(amount_minor) FILTER (WHERE kind = 2), 0)::bigint AS bonus,
            coalesce(sum(amount_minor) FILTER (WHERE kind = 4), 0)::bigint AS owed
        FROM given GROUP BY 1
    ), back AS (
        SELECT g.operation_id AS sale_id, sum(t.amount_minor)::bigint AS back
        FROM transfers t JOIN transfers g ON g.account_id = t.account_id AND g.transfer_id = t.mirrors AND g.transfer_id >= :first
            AND g.transfer_id < :last AND g.kind = 3 AND g.debit_id IN (SELECT purse_id FROM mine WHERE kind = 1)
        WHERE t.account_id = :account AND t.transfer_id >= :first AND t.kind IN (6, 7) GROUP BY 1
    ), sized AS (
        SELECT s.sale_id, s.product_id, s.gross_minor - s.discount_minor AS net,
            s.gross_minor - s.refunded_minor - s.discount_minor + coalesce(r.discount, 0)::bigint AS net_left,
            s.quantity_milli - coalesce(r.milli, 0)::bigint AS milli,
            coalesce((SELECT sum((l ->> 'amount_minor')::bigint) FROM jsonb_array_elements(
                CASE jsonb_typeof(s.detail -> 'lines') WHEN 'array' THEN s.detail -> 'lines' ELSE '[]' END) l), 0)::bigint AS goods,
            coalesce(r.goods, 0)::bigint AS goods_back
        FROM sales s LEFT JOIN LATERAL (
            SELECT sum(discount_minor) AS discount, sum(quantity_milli) AS milli,
                sum((SELECT sum((v.value ->> 'amount_minor')::bigint) FROM
                    jsonb_each(CASE jsonb_typeof(f.lines) WHEN 'object' THEN f.lines ELSE '{}' END) v)) AS goods
            FROM refunds f WHERE f.account_id = s.account_id AND f.sale_id = s.sale_id
        ) r ON true
        WHERE s.account_id = :account AND s.sale_id >= :first AND s.sale_id < :last
    ), each AS (
        SELECT z.product_id, z.milli, p.paid, p.bonus, p.owed, p.paid - coalesce(b.back, 0) AS kept, z.net,
            greatest(z.net_left, 0) AS net_left,
            CASE WHEN z.product_id IS NULL THEN 0 ELSE greatest(z.net - z.goods, 0) END AS fuel,
            CASE WHEN z.product_id IS NULL THEN 0 ELSE greatest(z.net_left - z.goods + z.goods_back, 0) END AS fuel_left
        FROM sized z JOIN paid p USING (sale_id) LEFT JOIN back b USING (sale_id)
    ), halved AS (
        SELECT product_id, milli, paid, bonus, owed, kept,
            CASE WHEN net > 0 THEN (2 * paid * fuel + net) / (2 * net) ELSE 0 END AS paid_fuel,
            CASE WHEN net > 0 THEN (2 * bonus * fuel + net) / (2 * net) ELSE 0 END AS bonus_fuel,
            CASE WHEN net > 0 THEN (2 * owed * fuel + net) / (2 * net) ELSE 0 END AS owed_fuel,
            CASE WHEN net_left > 0 THEN (2 * kept * fuel_left + net_left) / (2 * net_left) ELSE 0 END AS kept_fuel
        FROM each
    ), parts AS (
        SELECT product_id, milli, paid_fuel AS paid, bonus_fuel AS bonus, owed_fuel AS owed, kept_fuel AS kept FROM halved
            WHERE product_id IS NOT NULL
        UNION ALL
        SELECT CAST(:goods AS uuid), 0, paid - paid_fuel, bonus - bonus_fuel, owed - owed_fuel, kept - kept_fuel FROM halved
    )
    INSERT INTO invoice_pots (account_id, first_id, product_id, last_id, quantity_milli, paid_minor, bonus_minor, owed_minor,
        refunded_minor, invoiced_minor, over_minor)
    SELECT :account, :first, product_id, :last, sum(milli), sum(paid), sum(bonus), sum(owed), sum(paid) - sum(kept), 0, 0
    FROM parts GROUP BY product_id HAVING sum(paid) > 0 OR sum(bonus) > 0 OR sum(owed) > 0
    ON CONFLICT (account_id, first_id, product_id) DO NOTHING
    """
)


async def open_pots(session: AsyncSession, *, account_id: UUID, begin: datetime, end: datetime) -> None:
    """Say what may be invoiced of an account's sales booked in `[begin, end)`, refunds so far taken off. Said twice, done once."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"invoices:{account_id}", 0))))
    await session.execute(_OPEN, {"account": account_id, "first": uuid7_floor(begin), "last": uuid7_floor(end), "goods": GOODS})


async def draw(session: AsyncSession, *, account_id: UUID, begin: datetime, amounts: Mapping[UUID, int], currency: str) -> None:
    """Set amounts by product aside for an invoice; pots are locked in the order of their products.

    :raises MoreThanPaid: if one is more than is left of what was paid
    """
    for product_id in sorted(amounts):
        wanted = amounts[product_id]
        left = InvoicePot.paid_minor - InvoicePot.refunded_minor - InvoicePot.invoiced_minor
        drawn = await session.scalar(
            update(InvoicePot)
            .where(*_pot(account_id, begin, product_id), left >= wanted)
            .values(invoiced_minor=InvoicePot.invoiced_minor + wanted)
            .returning(InvoicePot.invoiced_minor)
        )
        if drawn is None:
            there = await session.scalar(select(left).where(*_pot(account_id, begin, product_id)))
            raise MoreThanPaid(left=shown(max(there or 0, 0), currency), wanted=shown(wanted, currency))


async def give_up(session: AsyncSession, *, account_id: UUID, begin: datetime, amounts: Mapping[UUID, int]) -> None:
    """Give back what an invoice had drawn: it was withdrawn, refused, or its red letter is issued."""
    for product_id in sorted(amounts):
        invoiced = InvoicePot.invoiced_minor - amounts[product_id]
        over = func.greatest(invoiced - InvoicePot.paid_minor + InvoicePot.refunded_minor, 0)
        await session.execute(
            update(InvoicePot)
            .where(*_pot(account_id, begin, product_id))
            .values(invoiced_minor=invoiced, over_minor=func.least(InvoicePot.over_minor, over))
        )


def _pot(account_id: UUID, begin: datetime, product_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return InvoicePot.account_id == account_id, InvoicePot.first_id == uuid7_floor(begin), InvoicePot.product_id == product_id


async def hold_pots(session: AsyncSession, *, account: Account) -> None:
    """Keep a company's pots from being opened while one of its sales goes back. Taken before its transfers are read."""
    if account.kind is AccountKind.COMPANY:
        await session.execute(select(func.pg_advisory_xact_lock_shared(func.hashtextextended(f"invoices:{account.account_id}", 0))))


async def is_billed(session: AsyncSession, *, sale: Sale) -> bool:
    """Say whether the sale's period is closed with its company: such a sale is refunded, not voided (decisions, void or refund)."""
    found = select(InvoicePot.first_id).where(
        InvoicePot.account_id == sale.account_id, InvoicePot.first_id <= sale.sale_id, InvoicePot.last_id > sale.sale_id
    )
    return bool(await session.scalar(select(found.exists())))


async def take_back(
    session: AsyncSession,
    *,
    sale: Sale,
    parts: Sequence[Part],
    mirrored: Sequence[Mirrored],
    purses: Sequence[PurseView],
    wanted: Wanted,
    force: bool,
) -> None:
    """Lower what may be invoiced by what goes back of a sale; called before its `refunded_minor` changes.

    `force`: a till's reversal is always booked; what is invoiced beyond the rest is noted, until a red letter ends it.

    :raises RedLetterFirst: if more would be invoiced than is still paid
    """
    principal = {purse.purse_id for purse in purses if purse.kind == PurseKind.PRINCIPAL}
    left = sum(part.left_minor for part in parts if part.kind == TransferKind.SALE and part.debit_id in principal)
    back = sum(one.amount_minor for one in mirrored if one.part.kind == TransferKind.SALE and one.part.debit_id in principal)
    if not back:
        return
    discount = sum(part.left_minor for part in parts if part.kind == TransferKind.DISCOUNT)
    discount_back = sum(one.amount_minor for one in mirrored if one.part.kind == TransferKind.DISCOUNT)
    net, net_back = sale.gross_minor - sale.refunded_minor - discount, wanted.gross_minor - discount_back
    goods = await _goods_left(session, sale)
    goods_back = sum(line.amount_minor for line in wanted.lines)
    before = share(left, net_minor=net, goods_minor=goods if sale.product_id else net)
    after = share(left - back, net_minor=net - net_back, goods_minor=goods - goods_back if sale.product_id else net - net_back)
    moved = {GOODS: before.goods_minor - after.goods_minor}
    if sale.product_id is not None:
        moved[sale.product_id] = before.fuel_minor - after.fuel_minor
    for product_id in sorted(moved):
        milli = wanted.quantity_milli if product_id == sale.product_id else 0
        await _lower(session, sale, product_id, moved[product_id], milli, force=force)


async def _lower(session: AsyncSession, sale: Sale, product_id: UUID, amount: int, milli: int, *, force: bool) -> None:
    of_sale = (
        InvoicePot.account_id == sale.account_id,
        InvoicePot.first_id <= sale.sale_id,
        InvoicePot.last_id > sale.sale_id,
        InvoicePot.product_id == product_id,
    )
    row = (await session.execute(select(InvoicePot.paid_minor, InvoicePot.refunded_minor).where(*of_sale).with_for_update())).first()
    if row is None or not (amount or milli):
        return
    kept = InvoicePot.paid_minor - InvoicePot.refunded_minor - amount
    values = {"refunded_minor": InvoicePot.refunded_minor + amount, "quantity_milli": InvoicePot.quantity_milli - milli}
    statement = update(InvoicePot).where(*of_sale)
    if force:
        values["over_minor"] = func.greatest(InvoicePot.over_minor, InvoicePot.invoiced_minor - kept)
    else:
        statement = statement.where(InvoicePot.invoiced_minor <= kept + InvoicePot.over_minor)
    if await session.scalar(statement.values(values).returning(InvoicePot.product_id)) is None:
        invoiced = await session.scalar(select(InvoicePot.invoiced_minor).where(*of_sale)) or 0
        raise RedLetterFirst(
            left=shown(row.paid_minor - row.refunded_minor - amount, sale.currency), invoiced=shown(invoiced, sale.currency)
        )


async def _goods_left(session: AsyncSession, sale: Sale) -> int:
    """Return what no refund took back yet of a sale's shop goods, at posted prices."""
    sold = sum(line["amount_minor"] for line in (sale.detail or {}).get("lines", []))
    if not sold:
        return 0
    earlier = await session.scalars(select(Refund.lines).where(Refund.account_id == sale.account_id, Refund.sale_id == sale.sale_id))
    return int(sold - sum(one["amount_minor"] for row in earlier if row for one in row.values()))
