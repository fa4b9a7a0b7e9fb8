"""What the counter calls things: statuses with their colours, tenders."""

from typing import Final

from loyalty.web.i18n import N_

SALE_TAGS: Final = {"1": (N_("Sold"), "good"), "2": (N_("Part given back"), "warn"), "3": (N_("Given back"), ""), "4": (N_("Voided"), "")}
AUTHORIZATION_TAGS: Final = {
    "1": (N_("Authorised"), "info"),
    "2": (N_("Under review"), "warn"),
    "5": (N_("Part delivered"), "info"),
    "6": (N_("Completed"), "good"),
    "7": (N_("Reversed"), ""),
    "8": (N_("Released"), ""),
    "9": (N_("Unresolved"), "warn"),
}
TOPUP_TAGS: Final = {
    "pending": (N_("Waits for the bank"), "warn"),
    "booked": (N_("Loaded"), "good"),
    "cancelled": (N_("Cancelled"), ""),
    "voided": (N_("Voided"), ""),
    "refunded": (N_("Given back"), ""),
    "reversed": (N_("Taken back by the wallet"), "bad"),
}
REFUND_TAGS: Final = {"void": (N_("Voided"), "warn"), "refund": (N_("Refund"), "warn")}
TAGS: Final = {"sale": SALE_TAGS, "authorization": AUTHORIZATION_TAGS, "topup": TOPUP_TAGS, "refund": REFUND_TAGS}
TENDERS: Final = {
    "cash": N_("Cash"),
    "card": N_("Bank card"),
    "bank_card": N_("Bank card"),
    "wechat": N_("WeChat"),
    "alipay": N_("Alipay"),
    "bank_transfer": N_("Bank transfer"),
    "stored_value": N_("Stored value"),
    "voucher": N_("Voucher"),
}
