"""A partner's month on paper: pure, the same bytes for the same statement and lines wherever and whenever it is made."""

from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from loyalty.money import decimal_text
from loyalty.web.pdf import typst_pdf
from partners.model_lines import SETTLING
from partners.settlement_rules import KINDS, Stated, StatedLine, asked_for, digest_of, shares_of

PDF_LINES: Final = 2_000
"""A longer month is read in a spreadsheet: some fifty pages."""
# What was sent must be made again as it was: these words are no translations of pages, and change only with another `FORMAT`.
_WORDS: Final = {
    "zh": {
        "title": "合作商户对账单",
        "pro_forma": "试算单（未关账，不作为结算依据）",
        "page": "第 {page} 页，共 {pages} 页",
        "facts": ("商户代码", "税号", "币种", "期初应付", "本月应付", "期末应付"),
        "closed": "关账时间",
        "as_of": "截至",
        "sums": "按类型和权益汇总",
        "sum_heads": ("类型", "权益", "行数", "件数", "销售金额", "优惠金额", "商户承担", "佣金", "其他款项", "应付商户"),
        "total": "合计",
        "shares": "优惠由谁承担",
        "share_heads": ("承担方", "金额"),
        "netting": "结算",
        "netting_heads": ("项目", "金额"),
        "netted": ("优惠合计", "减：商户承担", "减：佣金", "加：调整", "本月应开票金额"),
        "whose": ("由本公司付给商户", "由商户付给本公司", "双方互不欠款"),
        "settled": "付款、预付及发票差额",
        "lines": "明细",
        "line_heads": (
            "序号",
            "类型",
            "时间",
            "权益",
            "网点",
            "参考号",
            "销售金额",
            "优惠金额",
            "商户承担",
            "佣金",
            "其他款项",
            "应付商户",
            "说明",
        ),
        "funders": {"issuer": "本公司", "partner": "商户"},
        "digest": "明细 SHA-256：{digest}",
        "more": "仅列前 {count} 行；完整明细见电子表格。",
        "zone": "时间为 {zone} 时区。负数表示商户应付本公司。",
    },
    "en": {
        "title": "Partner statement",
        "pro_forma": "Pro forma: the month is not closed, nothing is settled by this",
        "page": "Page {page} of {pages}",
        "facts": ("Code", "Tax number", "Currency", "Opening balance", "Due this month", "Closing balance"),
        "closed": "Closed",
        "as_of": "As of",
        "sums": "By kind and benefit",
        "sum_heads": ("Kind", "Benefit", "Lines", "Pieces", "Sales", "Saved", "Partner bears", "Commission", "Other", "Due to the partner"),
        "total": "Total",
        "shares": "Who bears what was saved",
        "share_heads": ("Funder", "Amount"),
        "netting": "Netting",
        "netting_heads": ("Item", "Amount"),
        "netted": (
            "Saved by customers",
            "Less: borne by the partner",
            "Less: commission",
            "Plus: adjustments",
            "To be invoiced for the month",
        ),
        "whose": ("We pay the partner", "The partner pays us", "Nobody owes anything"),
        "settled": "Payments, blocks in advance, invoices' differences",
        "lines": "Lines",
        "line_heads": (
            *("Number", "Kind", "When", "Benefit", "Outlet", "Reference", "Sale", "Saved", "Partner bears", "Commission"),
            *("Other", "Due to the partner", "Why"),
        ),
        "funders": {"issuer": "We", "partner": "Partner"},
        "digest": "SHA-256 of the lines: {digest}",
        "more": "The first {count} lines; the spreadsheet has all.",
        "zone": "Times are those of {zone}. A negative amount is the partner's to pay.",
    },
}
_NUMBERS: Final = 8
"""Of the sums' columns: all but kind and benefit."""


def pdf_file(stated: Stated, lines: Sequence[StatedLine], *, language: str) -> bytes:
    """Return a month as an A4 document; a month that is not closed is marked as pro forma.

    :param language: `zh` or `en`
    """
    words: Any = _WORDS[language]
    facts, zone = stated.facts, ZoneInfo(stated.facts.zone)
    name = facts.name_zh if language == "zh" else facts.name_en
    moment = f"{stated.at.astimezone(zone):%Y-%m-%d %H:%M}"
    state = f"{words['closed']} {moment}" if stated.is_final else f"{words['pro_forma']} · {words['as_of']} {moment}"
    amounts = (stated.opening_minor, stated.due_minor, stated.closing_minor)
    values = [facts.code, facts.tax_number or "—", stated.currency, *(_money(stated, amount) for amount in amounts)]
    notes = [words["zone"].format(zone=facts.zone), words["digest"].format(digest=digest_of(lines).hex())]
    if len(lines) > PDF_LINES:
        notes.insert(0, words["more"].format(count=PDF_LINES))
    title = words["title"] if stated.is_final else f"{words['title']} · {words['pro_forma']}"
    data = {
        "title": f"{title} {stated.month:%Y-%m}" if stated.is_final else title,
        "subtitle": f"{stated.month:%Y-%m} · {state}",
        "issuer": name,
        "page_words": words["page"],
        "footer": f"{name} · {stated.month:%Y-%m} · {state}",
        "facts": [list(pair) for pair in zip(words["facts"], values, strict=True)],
        "tables": [
            _netting(stated, words),
            _sums(stated, words, language),
            _shares(stated, lines, words),
            _lines(stated, lines, words, language),
        ],
        "notes": notes,
    }
    return typst_pdf("statement", data)


def _netting(stated: Stated, words: Any) -> dict[str, Any]:
    events = [one for one in stated.totals if one.kind not in SETTLING]
    asked = asked_for(stated.totals)
    saved, borne = sum(one.saved_minor for one in events), sum(one.partner_minor for one in events)
    commission, adjusted = sum(one.commission_minor for one in events), sum(one.paid_minor for one in events)
    rows = [
        [name, _money(stated, amount)] for name, amount in zip(words["netted"], (saved, -borne, -commission, adjusted, asked), strict=True)
    ]
    if stated.due_minor != asked:
        rows.append([words["settled"], _money(stated, stated.due_minor - asked)])
    whose = words["whose"][0 if asked > 0 else 1 if asked < 0 else 2]
    return _table(words["netting"], words["netting_heads"], rows, 1, [whose, _money(stated, abs(asked))])


def _sums(stated: Stated, words: Any, language: str) -> dict[str, Any]:
    names = ("gross_minor", "saved_minor", "partner_minor", "commission_minor", "paid_minor", "due_minor")
    rows = [
        [
            KINDS[language][one.kind],
            one.benefit or "—",
            f"{one.lines}",
            f"{one.pieces}",
            *(_money(stated, getattr(one, name)) for name in names),
        ]
        for one in stated.totals
    ]
    whole = [f"{sum(getattr(one, name) for one in stated.totals)}" for name in ("lines", "pieces")]
    whole += [_money(stated, sum(getattr(one, name) for one in stated.totals)) for name in names]
    return _table(words["sums"], words["sum_heads"], rows, _NUMBERS, [words["total"], "", *whole])


def _shares(stated: Stated, lines: Sequence[StatedLine], words: Any) -> dict[str, Any]:
    found = shares_of(lines)
    rows = [[words["funders"].get(who, who.removeprefix("brand:")), _money(stated, part)] for who, part in found.items()]
    return _table(words["shares"], words["share_heads"], rows, 1, [words["total"], _money(stated, sum(found.values()))])


def _lines(stated: Stated, lines: Sequence[StatedLine], words: Any, language: str) -> dict[str, Any]:
    zone = ZoneInfo(stated.facts.zone)
    heads = words["line_heads"]
    rows = []
    for one in lines[:PDF_LINES]:
        kind = KINDS[language][one.kind] + (f" #{one.mirrors}" if one.mirrors else "")
        amounts = (one.gross_minor, one.saved_minor, one.partner_minor, one.commission_minor, one.paid_minor, one.due_minor)
        shown = [_money(stated, amount) for amount in amounts]
        of = [one.benefit or "", one.outlet or "", one.reference]
        rows.append([f"{one.number}", kind, f"{one.event_at.astimezone(zone):%m-%d %H:%M}", *of, *shown, one.why])
    made = _table(words["lines"], heads, rows, 0, [])
    for place in (0, *range(6, 12)):
        made["columns"][place]["kind"] = "num"
    return made


def _table(title: str, heads: Sequence[str], rows: list[list[str]], numbers: int, totals: list[str]) -> dict[str, Any]:
    """Return a table whose last `numbers` columns are figures."""
    columns = [{"label": head, "kind": "num" if place >= len(heads) - numbers else "text"} for place, head in enumerate(heads)]
    return {"title": title, "columns": columns, "rows": rows, "totals": totals}


def _money(stated: Stated, amount_minor: int) -> str:
    return decimal_text(amount_minor, stated.currency)
