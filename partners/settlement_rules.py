"""What a partner's month comes to, and the bytes that say so: pure, the same for the same lines wherever they are made.

The words of the files stand here and not among the pages' translations: a file that was sent must be made again as it was.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import msgspec

from loyalty.web.exports import Cell, Money, csv_bytes, workbook
from partners.model_lines import SETTLING

FORMAT: Final = 1
"""Of the files; another number for other columns or words, the earlier ones kept."""


class StatedLine(msgspec.Struct, frozen=True):
    """A line as a statement has it; amounts in minor units."""

    number: int
    kind: str
    event_at: datetime
    booked_at: datetime
    benefit: str | None
    pieces: int
    outlet: str | None
    served_by: str
    reference: str
    gross_minor: int
    saved_minor: int
    shares: dict[str, int]
    partner_minor: int
    commission_share: int
    commission_minor: int
    paid_minor: int
    due_minor: int
    mirrors: int | None
    why: str


class Facts(msgspec.Struct, frozen=True):
    """The names as they were when the month was closed."""

    format: int
    code: str
    name_zh: str
    name_en: str
    tax_number: str | None
    zone: str


class Total(msgspec.Struct, frozen=True):
    """What the lines of one kind and benefit come to."""

    kind: str
    benefit: str | None
    lines: int
    pieces: int
    gross_minor: int
    saved_minor: int
    partner_minor: int
    commission_minor: int
    paid_minor: int
    due_minor: int


class Stated(NamedTuple):
    """A month, closed or not yet: what its files say."""

    facts: Facts
    month: date
    currency: str
    opening_minor: int
    due_minor: int
    totals: Sequence[Total]
    at: datetime
    """When it was closed; of one that is running, when it was asked for."""
    is_final: bool

    @property
    def closing_minor(self) -> int:
        """What the issuer owes at its end; negative: the partner."""
        return self.opening_minor + self.due_minor


_SUMMED: Final = ("pieces", "gross_minor", "saved_minor", "partner_minor", "commission_minor", "paid_minor", "due_minor")


def totals_of(lines: Iterable[StatedLine]) -> list[Total]:
    """Add up lines by kind and benefit, in the order of their names."""
    sums: dict[tuple[str, str], list[int]] = {}
    for line in lines:
        found = sums.setdefault((line.kind, line.benefit or ""), [0] * (len(_SUMMED) + 1))
        found[0] += 1
        for place, name in enumerate(_SUMMED, 1):
            found[place] += getattr(line, name)
    return [Total(kind, benefit or None, *found) for (kind, benefit), found in sorted(sums.items())]


def asked_for(totals: Iterable[Total]) -> int:
    """Return what is to be invoiced for a month: what its events come to; negative: the partner owes it.

    What settles months (payments, blocks, an invoice's difference) is no event: it stands in the balance only.
    """
    return sum(one.due_minor for one in totals if one.kind not in SETTLING)


def shares_of(lines: Iterable[StatedLine]) -> dict[str, int]:
    """Return what each funder bears of a month's benefits, by name."""
    sums: dict[str, int] = {}
    for line in lines:
        for who, part in line.shares.items():
            sums[who] = sums.get(who, 0) + part
    return dict(sorted(sums.items()))


def digest_of(lines: Iterable[StatedLine]) -> bytes:
    """Return the SHA-256 over the lines in their order, each as JSON with sorted keys and its times in UTC."""
    seal = hashlib.sha256()
    for line in lines:
        seal.update(msgspec.json.encode(line, order="deterministic"))
        seal.update(b"\n")
    return seal.digest()


HEADS: Final = {
    "zh": (
        *("序号", "类型", "发生时间", "入账时间", "权益", "件数", "网点", "经办", "参考号"),
        *("销售金额", "优惠金额", "商户承担", "佣金比例（万分之）", "佣金", "其他款项", "应付商户", "冲销序号", "说明"),
    ),
    "en": (
        *("Number", "Kind", "When", "Booked", "Benefit", "Pieces", "Outlet", "Served by", "Reference"),
        *("Sale", "Saved", "Borne by the partner", "Commission in 1/10,000", "Commission", "Other", "Due to the partner", "Undoes", "Why"),
    ),
}
KINDS: Final = {
    "zh": {
        "redemption": "核销",
        "rollback": "冲销",
        "sale": "销售",
        "block": "预付",
        "adjustment": "调整",
        "payment": "付款",
        "difference": "发票差额",
        "offline_loss": "离线损失",
    },
    "en": {
        "redemption": "Redemption",
        "rollback": "Undone",
        "sale": "Sale",
        "block": "Paid in advance",
        "adjustment": "Adjustment",
        "payment": "Payment",
        "difference": "Invoice's difference",
        "offline_loss": "Offline loss",
    },
}
_SUMMARY: Final = {
    "zh": (
        "对账单",
        "明细",
        ("项目", "值"),
        ("商户", "商户代码", "税号", "月份", "状态", "期初应付", "本月应付", "期末应付"),
        ("已关账", "试算"),
    ),
    "en": (
        *("Statement", "Lines", ("Item", "Value")),
        ("Partner", "Code", "Tax number", "Month", "State", "Opening balance", "Due this month", "Closing balance"),
        ("closed", "pro forma"),
    ),
}


def csv_file(stated: Stated, lines: Iterable[StatedLine], *, language: str) -> bytes:
    """Return the lines as CSV; the same bytes for the same lines.

    :param language: `zh` or `en`
    """
    return csv_bytes(HEADS[language], (_row(stated, line, language) for line in lines), zone=stated.facts.zone)


def xlsx_file(stated: Stated, lines: Iterable[StatedLine], *, language: str) -> bytes:
    """Return summary, totals and lines as a spreadsheet; the same bytes for the same lines."""
    title, detail, head, names, (closed, running) = _SUMMARY[language]
    facts, money = stated.facts, stated.currency
    values: list[Cell] = [
        facts.name_zh if language == "zh" else facts.name_en,
        facts.code,
        facts.tax_number,
        f"{stated.month:%Y-%m}",
        closed if stated.is_final else running,
        Money(stated.opening_minor, money),
        Money(stated.due_minor, money),
        Money(stated.closing_minor, money),
    ]
    summed: list[Sequence[Cell]] = [
        [
            f"{KINDS[language][one.kind]} {one.benefit or ''}".strip(),
            Money(one.due_minor, money),
        ]
        for one in stated.totals
    ]
    summary: list[Sequence[Cell]] = [[name, value] for name, value in zip(names, values, strict=True)]
    rows = (_row(stated, line, language) for line in lines)
    return workbook([(title, head, [*summary, *summed]), (detail, HEADS[language], rows)], zone=facts.zone, made_at=stated.at)


def _row(stated: Stated, line: StatedLine, language: str) -> list[Any]:
    money = stated.currency
    return [
        line.number,
        KINDS[language][line.kind],
        line.event_at,
        line.booked_at,
        line.benefit or "",
        line.pieces,
        line.outlet or "",
        line.served_by,
        line.reference,
        Money(line.gross_minor, money),
        Money(line.saved_minor, money),
        Money(line.partner_minor, money),
        line.commission_share,
        Money(line.commission_minor, money),
        Money(line.paid_minor, money),
        Money(line.due_minor, money),
        line.mirrors,
        line.why,
    ]
