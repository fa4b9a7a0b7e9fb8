"""One worked example for each operation of the API document: what is sent, what comes back. A test decodes every one of them."""

from typing import Any, Final

_CARD: Final = {"number": "8810012345678903", "pin": "s1.8vYp3sLw0bXgq1yN0m2dR4tK6hJ8fZ5cV7uQ9eTiWoA"}
_STAFF: Final = {"card": "990000001001", "pin": "s1.5cV7uQ9eTiWoA8vYp3sLw0bXgq1yN0m2dR4tK6hJ8fZ"}
_RECORD: Final = {"sequence": 118, "previous": "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="}
_EVENT: Final = "2026-09-24T10:15:00+08:00"
_REFERENCE: Final = "AZoO8HxXeAOQE2mLr0e1bwGaDvB8V3gDkBNpi69HtW8"
_ID: Final = "019a0ef0-7c57-7803-9013-698baf47b56f"
_DISCOUNT: Final = {
    "code": "GOLD-GAS",
    "revision": 3,
    "rate_e4": 2000,
    "funder": "issuer",
    "name_zh": "金卡汽油优惠",
    "name_en": "Gold: gasoline",
    "amount_minor": 440,
}
_CARD_STATE: Final = {
    "outcome": "approved",
    "card": "8903",
    "card_id": _ID,
    "account_id": _ID,
    "product": "personal",
    "status": "active",
}
_TOPUP: Final = {
    "outcome": "booked",
    "topup_id": _ID,
    "card": "8903",
    "tender": "cash",
    "amount_minor": 50000,
    "currency": "CNY",
    "balance_after_minor": 82642,
    "booked_at": "2026-09-24T02:15:00Z",
}
_SHIFT: Final = {
    "outcome": "open",
    "shift_id": _ID,
    "status": "open",
    "opened_at": "2026-09-24T00:00:00Z",
    "currency": "CNY",
    "opening_float_minor": 50000,
}
_SALE: Final = {
    "outcome": "approved",
    "sale": _REFERENCE,
    "card": "8903",
    "currency": "CNY",
    "gross_minor": 17358,
    "discount_minor": 440,
    "discount": _DISCOUNT,
    "card_minor": 16918,
    "taken": [{"purse": "principal", "amount_minor": 16918}],
    "balance_after_minor": 83082,
    "available_after_minor": 83082,
    "booked_at": "2026-09-24T02:15:00Z",
}
_SALE_ROW: Final = {
    "sale": _REFERENCE,
    "status": "booked",
    "flow": "pay_after",
    "card": "8903",
    "terminal": "T1",
    "nozzle": 3,
    "product": "92",
    "quantity_milli": 22000,
    "unit_price_e4": 78900,
    "gross_minor": 17358,
    "card_minor": 12358,
    "currency": "CNY",
    "event_at": "2026-09-24T02:15:00Z",
    "booked_at": "2026-09-24T02:15:00Z",
    "business_day": "2026-09-24",
}
_VOUCHER: Final[dict[str, Any]] = {
    "outcome": "reserved",
    "redemption": _ID,
    "kind": "friend-20",
    "name_zh": "老友券 20 元",
    "name_en": "Friend voucher, 20 yuan",
    "currency": "CNY",
    "honoured_minor": 2000,
    "left_minor": 2000,
}
_REDEMPTION: Final = {
    "outcome": "redeemed",
    "card": "8903",
    "redemption": _REFERENCE,
    "gift": "umbrella",
    "name_zh": "自动晴雨伞",
    "name_en": "Umbrella",
    "pieces": 1,
    "points": 500,
    "status": "handed_out",
    "points_after": 740,
    "booked_at": "2026-09-24T02:15:00Z",
}
_FILL: Final = {"fill_id": _ID, "pump_reference": "P3-20260924-0417", "status": "unpaid"}

EXAMPLES: Final[dict[str, tuple[Any, Any]]] = {
    "POST /v1/authorizations": (
        {"card": _CARD, "product": "92", "amount_minor": 20000, "nozzle": 3, "event_at": _EVENT, "record": _RECORD},
        {
            "outcome": "approved",
            "authorization": _REFERENCE,
            "card": "8903",
            "product": "92",
            "currency": "CNY",
            "unit_price_e4": 78900,
            "approved_minor": 20000,
            "approved_milli": 25348,
            "held_minor": 19493,
            "discount": _DISCOUNT,
            "available_after_minor": 80507,
            "expires_at": "2026-09-24T03:15:00Z",
        },
    ),
    "POST /v1/authorizations/{authorization}/completions": (
        {"quantity_milli": 22000, "unit_price_e4": 78900, "amount_minor": 17358, "nozzle": 3, "event_at": _EVENT, "record": _RECORD},
        _SALE | {"outcome": "booked", "authorization": _REFERENCE, "released_minor": 2575},
    ),
    "POST /v1/authorizations/{authorization}/nozzle-not-lifted": (
        {"event_at": _EVENT, "record": _RECORD},
        {"outcome": "released", "authorization": _REFERENCE, "released_minor": 19493, "booked_at": "2026-09-24T02:20:00Z"},
    ),
    "POST /v1/authorizations/{authorization}/approval": (
        {},
        {
            "approval": _ID,
            "status": "asked",
            "limit": "vehicle.transaction.quantity",
            "asked_milli": 350000,
            "asked_at": "2026-09-24T02:15:10Z",
            "deputy_at": "2026-09-24T02:18:10Z",
            "decide_at": "2026-09-24T02:45:10Z",
            "message_zh": "已请单位确认，请稍候。",
            "message_en": "The company has been asked. Wait a moment.",
        },
    ),
    "POST /v1/sales": (
        {
            "card": _CARD,
            "fuel": {"product": "92", "quantity_milli": 22000, "unit_price_e4": 78900, "amount_minor": 17358, "nozzle": 3},
            "fill_id": _ID,
            "tenders": [{"tender": "wechat", "amount_minor": 5000, "reference": "4200002026092412345"}],
            "plate": "川A12345",
            "event_at": _EVENT,
            "record": _RECORD,
        },
        _SALE | {"tenders_minor": 5000, "card_minor": 11918, "taken": [{"purse": "principal", "amount_minor": 11918}]},
    ),
    "GET /v1/sales": (None, {"rows": [_SALE_ROW], "next": None, "previous": None}),
    "GET /v1/sales/{sale}": (
        None,
        {
            "sale": _SALE_ROW,
            "lines": [],
            "tenders": [{"tender": "wechat", "amount_minor": 5000, "reference": "4200002026092412345"}],
            "benefits": [],
            "transfers": [{"amount_minor": 12358, "purse": "principal", "booked_at": "2026-09-24T02:15:00Z"}],
            "refunds": [],
        },
    ),
    "GET /v1/fills": (
        None,
        {
            "rows": [
                {
                    "fill_id": _ID,
                    "pump_reference": "P3-20260924-0417",
                    "nozzle": 3,
                    "product_code": "92",
                    "product_name_zh": "92号汽油",
                    "product_name_en": "Gasoline 92",
                    "quantity_milli": 22000,
                    "unit_price_e4": 78900,
                    "amount_minor": 17358,
                    "finished_at": "2026-09-24T02:15:00Z",
                }
            ]
        },
    ),
    "GET /v1/unresolved-dispenses": (
        None,
        {
            "rows": [
                {
                    "authorization": _REFERENCE,
                    "status": "unresolved",
                    "terminal": "T1",
                    "card": "8903",
                    "nozzle": 3,
                    "product": "92",
                    "approved_minor": 20000,
                    "approved_milli": 25348,
                    "held_minor": 19493,
                    "currency": "CNY",
                    "event_at": "2026-09-24T01:10:00Z",
                    "opened_at": "2026-09-24T02:11:00Z",
                }
            ],
            "next": None,
            "previous": None,
        },
    ),
    "POST /v1/reversals": (
        {"original": _ID, "reason": "no answer came", "event_at": _EVENT, "record": _RECORD},
        {"outcome": "reversed", "original": "authorization", "authorization": _REFERENCE, "released_minor": 19493},
    ),
    "POST /v1/refunds": (
        {"sale": _REFERENCE, "reason": "wrong grade", "gross_minor": 7890, "quantity_milli": 10000, "staff": _STAFF, "record": _RECORD},
        {
            "outcome": "refunded",
            "refund": _REFERENCE,
            "sale": _REFERENCE,
            "gross_minor": 7890,
            "discount_minor": 200,
            "card_minor": 7690,
            "quantity_milli": 10000,
            "given": [{"purse": "principal", "amount_minor": 7690}],
            "left_minor": 9468,
            "booked_at": "2026-09-24T02:20:00Z",
        },
    ),
    "POST /v1/topups": (
        {"card": {"number": "8810012345678903"}, "amount_minor": 50000, "tender": "cash", "event_at": _EVENT, "record": _RECORD},
        _TOPUP
        | {
            "bonus_minor": 3000,
            "benefits": [
                {
                    "rule": "autumn-bands",
                    "revision": 7,
                    "kind": "bonus",
                    "amount": 3000,
                    "base_minor": 50000,
                    "name_zh": "秋季充值赠送",
                    "name_en": "Autumn top-up bonus",
                }
            ],
        },
    ),
    "POST /v1/topup-quotes": (
        {"card": {"number": "8810012345678903"}, "amount_minor": 30000, "tender": "cash", "flyer": "AUTUMN-7"},
        {
            "amount_minor": 30000,
            "pays_minor": 30000,
            "currency": "CNY",
            "others": [
                {
                    "rule": "autumn-bands",
                    "revision": 7,
                    "why": "below_bands",
                    "need": 50000,
                    "have": "amount",
                    "zh": "秋季充值赠送：满 ¥500.00 起",
                    "en": "Autumn top-up bonus: from ¥500.00 on",
                }
            ],
            "next": [
                {
                    "more_minor": 20000,
                    "amount_minor": 50000,
                    "gains": [
                        {
                            "rule": "autumn-bands",
                            "kind": "bonus",
                            "amount": 3000,
                            "name_zh": "秋季充值赠送",
                            "name_en": "Autumn top-up bonus",
                        }
                    ],
                    "zh": "再充 ¥200.00：赠送 ¥30.00（秋季充值赠送）",
                    "en": "¥200.00 more: ¥30.00 bonus (Autumn top-up bonus)",
                }
            ],
        },
    ),
    "POST /v1/topups/{topup_id}/refund": (
        {"reason": "changed his mind", "amount_minor": 50000},
        {
            "outcome": "refunded",
            "topup_id": _ID,
            "refund_id": _ID,
            "currency": "CNY",
            "paid_minor": 48800,
            "bonus_returned_minor": 1800,
            "shortfall_minor": 1200,
            "message_zh": "应退回赠送金 ¥30.00：其中 ¥18.00 从赠送余额收回，¥12.00 已消费，从退款中扣除；退款 ¥488.00。",
            "message_en": "¥30.00 of bonus goes back: ¥18.00 of it was still there, ¥12.00 had been spent and is kept back; "
            "¥488.00 is paid back.",
            "balance_after_minor": 0,
        },
    ),
    "POST /v1/topups/{topup_id}/reversal": (
        {"reason": "typed wrong", "approver": _STAFF},
        _TOPUP | {"outcome": "voided", "balance_after_minor": 32642},
    ),
    "POST /v1/purchases": (
        {
            "items": [
                {"number": "8820012345678901", "amount_minor": 50000},
                {"number": "8820012345678919", "amount_minor": 50000},
            ],
            "tender": "alipay",
            "reference": "2026092422001",
            "record": _RECORD,
        },
        {"outcome": "booked", "purchase_id": _ID, "total_minor": 100000, "discount_minor": 0, "currency": "CNY", "items": [_TOPUP, _TOPUP]},
    ),
    "POST /v1/balances": (
        {"card": _CARD},
        {
            "outcome": "balance",
            "card": "8903",
            "currency": "CNY",
            "balance_minor": 82642,
            "available_minor": 82642,
            "held_minor": 0,
            "bonus_minor": 5000,
            "owed_minor": 0,
            "points": 1240,
            "points_pending": 22,
            "points_owed": 0,
        },
    ),
    "POST /v1/voucher-redemptions": (
        {"code": "7K3F-9QXM-2WTD", "amount_minor": 2000, "record": _RECORD},
        _VOUCHER | {"status": "reserved", "reserved_until": "2026-09-24T02:30:07Z"},
    ),
    "POST /v1/voucher-redemptions/{redemption}/use": ({}, _VOUCHER | {"outcome": "redeemed", "left_minor": 0, "status": "redeemed"}),
    "POST /v1/voucher-redemptions/{redemption}/roll-back": (
        {"reason": "the customer changed his mind"},
        _VOUCHER | {"outcome": "rolled_back", "status": "issued"},
    ),
    "GET /v1/points-offers": (
        None,
        {
            "rows": [
                {
                    "gift": "umbrella",
                    "name_zh": "自动晴雨伞",
                    "name_en": "Umbrella",
                    "about_zh": "",
                    "about_en": "",
                    "pieces": 1,
                    "points": 500,
                    "free": 20,
                }
            ],
            "month_max": 10000,
        },
    ),
    "POST /v1/points-redemptions": (
        {"card": _CARD, "gift": "umbrella", "signature": "M10,20 L30,40 Q50 60 70 80", "event_at": _EVENT, "record": _RECORD},
        _REDEMPTION,
    ),
    "POST /v1/points-redemptions/{redemption}/reversal": (
        {"reason": "the wrong gift", "restock": True, "record": _RECORD},
        _REDEMPTION | {"outcome": "returned", "status": "returned", "points_after": 1240},
    ),
    "POST /v1/quotes": (
        {"card": {"number": "8810012345678903"}, "product": "92", "plate": "川A12345"},
        {
            "outcome": "quote",
            "card": "8903",
            "currency": "CNY",
            "needs_pin": True,
            "products": [
                {
                    "product": "92",
                    "unit_price_e4": 78900,
                    "amount_minor": 20000,
                    "quantity_milli": 25348,
                    "pays_minor": 19493,
                    "discount": _DISCOUNT,
                    "reason": "amount_limit",
                    "limit": "amount_day",
                }
            ],
        },
    ),
    "POST /v1/advices": (
        {
            "records": [
                {
                    "key": _ID,
                    "event_at": _EVENT,
                    "card": {"number": "8810012345678903"},
                    "fuel": {"product": "92", "quantity_milli": 22000, "unit_price_e4": 78900, "amount_minor": 17358, "nozzle": 3},
                    "record": _RECORD,
                }
            ]
        },
        {"results": [{"key": _ID, "answer": _SALE | {"outcome": "booked", "flags": ["offline"]}}]},
    ),
    "POST /v1/fills/{fill_id}/payment-requests": (
        {"record": _RECORD},
        {
            "outcome": "open",
            "request_id": _ID,
            "url": "https://loyalty.example/me/pay/Jm5Qe0rB7mXv2xk1ZqgT3w",
            "amount_minor": 17358,
            "currency": "CNY",
            "expires_at": "2026-09-24T02:17:00Z",
        },
    ),
    "GET /v1/payment-requests/{request_id}": (
        None,
        {
            "outcome": "approved",
            "request_id": _ID,
            "amount_minor": 17358,
            "currency": "CNY",
            "expires_at": "2026-09-24T02:17:00Z",
            "sale": _REFERENCE,
        },
    ),
    "POST /v1/payment-requests/{request_id}/cancellation": (
        {"record": _RECORD},
        {"outcome": "cancelled", "request_id": _ID, "amount_minor": 17358, "currency": "CNY", "expires_at": "2026-09-24T02:17:00Z"},
    ),
    "POST /v1/card-issues": (
        {"number": "8820012345678901", "flyer_code": "OCT-7"},
        _CARD_STATE | {"product": "anonymous", "status": "issued"},
    ),
    "POST /v1/card-activations": ({"card": _CARD}, _CARD_STATE),
    "POST /v1/card-registrations": ({"number": "8820012345678901", "customer_id": _ID, "product": "personal"}, _CARD_STATE),
    "POST /v1/card-replacements": (
        {"number": "8810012345678903", "card": _CARD, "reason": "damaged", "fee_tender": "cash"},
        _CARD_STATE | {"fee_minor": 1000, "currency": "CNY", "replaced_card": "8903"},
    ),
    "POST /v1/pin-changes": ({"card": _CARD, "new": {"card": "8810012345678903", "pin": _CARD["pin"]}}, _CARD_STATE),
    "POST /v1/pin-resets": ({"card": _CARD, "evidence": "resident ID seen", "approver": _STAFF}, _CARD_STATE),
    "POST /v1/pin-unlocks": ({"number": "8810012345678903", "evidence": "resident ID seen"}, _CARD_STATE),
    "POST /v1/loss-reports": ({"number": "8810012345678903", "reason": "left in a taxi"}, _CARD_STATE | {"status": "lost"}),
    "POST /v1/found-reports": ({"number": "8810012345678903", "reason": "found"}, _CARD_STATE),
    "POST /v1/fills": (
        {
            "fills": [
                {
                    "pump_reference": "P3-20260924-0417",
                    "nozzle": 3,
                    "product": "92",
                    "quantity_milli": 22000,
                    "unit_price_e4": 78900,
                    "amount_minor": 17358,
                    "finished_at": _EVENT,
                }
            ]
        },
        {"fills": [_FILL]},
    ),
    "POST /v1/fills/{fill_id}/closure": ({"way": "other", "reason": "paid in cash"}, _FILL | {"status": "other"}),
    "POST /v1/shifts": ({"staff": _STAFF, "opening_float_minor": 50000, "record": _RECORD}, _SHIFT),
    "GET /v1/shifts/current": (None, _SHIFT),
    "POST /v1/shifts/current/cash-drops": (
        {"amount_minor": 200000, "envelope": "B-17"},
        {"outcome": "booked", "drop_id": _ID, "amount_minor": 200000, "envelope": "B-17"},
    ),
    "POST /v1/shifts/current/closure": (
        {
            "counted_cash_minor": 57358,
            "chain": {"epoch": 1, "last_sequence": 118, "head": _RECORD["previous"], "signature": "A" * 86 + "=="},
            "journal": [
                {
                    "sequence": 118,
                    "key": _ID,
                    "hash": _RECORD["previous"],
                    "operation": "sale",
                    "booked": True,
                    "outcome": "approved",
                    "amount_minor": 16918,
                }
            ],
        },
        _SHIFT
        | {
            "outcome": "closed",
            "status": "closed",
            "counted_cash_minor": 57358,
            "expected_cash_minor": 57358,
            "over_short_minor": 0,
            "totals": {
                "tenders": [{"tender": "cash", "taken_minor": 27358, "returned_minor": 0, "count": 2}],
                "products": [{"product_code": "92", "quantity_milli": 44000, "amount_minor": 34716, "count": 2}],
                "topups_minor": 20000,
                "fees_minor": 0,
                "sales_minor": 34716,
                "refunds_minor": 0,
                "transactions": 3,
            },
            "signature_good": True,
            "differences": [
                {"kind": "missing_at_host", "sequence": 117, "key": _ID, "operation": "sale", "terminal_minor": 7890},
            ],
        },
    ),
    "POST /v1/day-closes": (
        {"day": "2026-09-23", "staff": _STAFF},
        {
            "outcome": "closed",
            "day": "2026-09-23",
            "closed_at": "2026-09-23T16:20:00Z",
            "totals": {
                "sales_minor": 34716,
                "refunds_minor": 0,
                "topups_minor": 20000,
                "fees_minor": 0,
                "over_short_minor": 0,
                "shifts": [],
            },
            "totals_hash": _RECORD["previous"],
        },
    ),
}
"""By method and path: the body (None for a GET) and the answer."""

DECLINED: Final = {
    "outcome": "declined",
    "reason": "insufficient_funds",
    "remaining_minor": 4210,
    "message_zh": "余额不足：可用 42.10。可充值或改用其他方式付差额。",
    "message_en": "Not enough funds: 42.10 available. Top up, or pay the rest otherwise.",
    "card": "8903",
}
"""A decline is an answer with status 200, recorded like any other."""

PROBLEM: Final = {
    "type": "urn:loyalty:problem:shift_needed",
    "title": "A member of staff answers for this, and no shift is running on this terminal. Open a shift with staff card and PIN first.",
    "title_zh": "此操作须由当班收银员办理，本终端没有正在进行的班次。请先刷员工卡开班。",
    "status": 403,
    "code": "shift_needed",
    "facts": {},
}
UNSIGNED: Final = {
    "type": "urn:loyalty:problem:request_not_signed",
    "title": "The request's signature is not valid (signature_missing).",
    "title_zh": "请求签名无效（signature_missing）。",
    "status": 401,
    "code": "request_not_signed",
    "facts": {"fault": "signature_missing"},
}
