"""Why the pump was told no, or asked for more: stable numbers and codes, and what a cashier reads out.

Grouped by hundreds: 1 message, 2 terminal and station, 3 credential, 4 PIN, 5 second identity, 6 holder, 7 prompts, 8 rules, 9 funds,
10 follow-up, 11 loyalty, 12 pump, 13 system. A number is never given a second meaning.
"""

from enum import IntEnum


class Reason(IntEnum):
    """The reason of an answer that is not a plain yes."""

    NONE = 0
    AMOUNT_NEEDED = 101
    TERMINAL_REVOKED = 201
    TERMINAL_CAP = 202
    STATION_CLOSED = 203
    PRODUCT_UNKNOWN = 204
    PRICE_UNKNOWN = 205
    CURRENCY_DIFFERS = 206
    CARD_UNKNOWN = 301
    CARD_NOT_ACTIVE = 302
    CARD_LOST = 303
    CARD_EXPIRED = 304
    CREDENTIAL_NEEDED = 305
    CHECK_VALUE_WRONG = 306
    TOKEN_WRONG = 307
    PIN_NEEDED = 401
    PIN_WRONG = 402
    PIN_LOCKED = 403
    PIN_UNREADABLE = 404
    PIN_NOT_SET = 405
    DRIVER_NEEDED = 501
    DRIVER_UNKNOWN = 502
    DRIVER_NOT_RELATED = 503
    DRIVER_PIN_WRONG = 504
    DRIVER_PIN_LOCKED = 505
    DRIVER_PIN_UNREADABLE = 506
    DRIVER_PIN_NOT_SET = 507
    ACCOUNT_FROZEN = 601
    ACCOUNT_CLOSED = 602
    BALANCE_NOT_SHOWN = 603
    PLATE_NEEDED = 701
    PLATE_DIFFERS = 702
    MORE_NEEDED = 703
    ODOMETER_ODD = 704
    ODOMETER_DIFFERS = 705
    PERMIT_NEEDED = 706
    GRADE_NOT_ALLOWED = 801
    SHOP_NOT_ALLOWED = 802
    STATION_NOT_ALLOWED = 803
    OUTSIDE_HOURS = 804
    AMOUNT_LIMIT = 805
    QUANTITY_LIMIT = 806
    COUNT_LIMIT = 807
    TOO_SOON = 808
    CLOSED_FOR_NOW = 809
    ORDER_UNKNOWN = 810
    ORDER_USED = 811
    ORDER_EXPIRED = 812
    ORDER_DIFFERS = 813
    INSUFFICIENT_FUNDS = 901
    PART_ONLY = 902
    ORIGINAL_UNKNOWN = 1001
    ORIGINAL_DECLINED = 1002
    ORIGINAL_REVERSED = 1003
    ORIGINAL_COMPLETED = 1004
    TENDERS_EXCEED = 1101
    FILL_UNKNOWN = 1201
    FILL_PAID = 1202
    FILL_LOCKED = 1203
    FILL_DIFFERS = 1204

    @property
    def code(self) -> str:
        """The stable code, such as `pin_wrong`."""
        return self.name.lower()


SENTENCES: dict[Reason, tuple[str, str]] = {
    Reason.NONE: ("", ""),
    Reason.AMOUNT_NEEDED: ("请输入金额或升数。", "Give an amount or a quantity."),
    Reason.TERMINAL_REVOKED: ("本终端已停用，请联系站长。", "This terminal is stopped. Ask the station manager."),
    Reason.TERMINAL_CAP: ("超过本终端单笔上限。", "Above this terminal's limit for one transaction."),
    Reason.STATION_CLOSED: ("本站暂停受理。", "This station does not take cards at present."),
    Reason.PRODUCT_UNKNOWN: ("没有这种商品。", "There is no such product."),
    Reason.PRICE_UNKNOWN: ("本站没有该油品的价格，请联系站长。", "This station has no price for this product. Ask the station manager."),
    Reason.CURRENCY_DIFFERS: ("本卡币种与本站不同。", "The card's currency is not this station's."),
    Reason.CARD_UNKNOWN: ("没有这张卡，请核对卡号。", "No such card. Check the number."),
    Reason.CARD_NOT_ACTIVE: ("此卡未激活或已停用，请到柜台办理。", "The card is not active. Please go to the counter."),
    Reason.CARD_LOST: ("此卡已挂失，请收回或联系持卡人。", "The card was reported lost."),
    Reason.CARD_EXPIRED: ("卡片介质已过期，余额仍在，请换卡。", "The card itself has expired; its balance has not. Exchange the card."),
    Reason.CREDENTIAL_NEEDED: (
        "仅凭卡号不能消费：请输入密码、刷卡或扫动态码。",
        "A number alone cannot spend: enter the PIN, swipe, or scan the code.",
    ),
    Reason.CHECK_VALUE_WRONG: ("卡片校验值不符。", "The card's check value is wrong."),
    Reason.TOKEN_WRONG: ("动态码无效或已过期，请刷新后再扫。", "The code is not valid any more. Refresh it and scan again."),
    Reason.PIN_NEEDED: ("请输入密码。", "Enter the PIN."),
    Reason.PIN_WRONG: ("密码错误，还可尝试 {remaining} 次。", "Wrong PIN; {remaining} tries left."),
    Reason.PIN_LOCKED: ("密码已锁定，请持证件到任一网点解锁。", "The PIN is locked. Any outlet unlocks it with an ID."),
    Reason.PIN_UNREADABLE: ("密码密文无法解开，请重新输入。", "The PIN could not be read. Enter it again."),
    Reason.PIN_NOT_SET: ("此卡尚未设置密码，请到柜台设置。", "The card has no PIN yet. Set one at the counter."),
    Reason.DRIVER_NEEDED: (
        "请驾驶员输入编号或刷驾驶员卡，并输入本人密码。",
        "The driver gives their number or their own card, and their own PIN.",
    ),
    Reason.DRIVER_UNKNOWN: (
        "没有这个驾驶员编号或驾驶员卡，或该驾驶员已停用。",
        "There is no such driver and no such driver's card, or they do not drive at present.",
    ),
    Reason.DRIVER_NOT_RELATED: ("该驾驶员不能使用这张卡。", "This driver may not use this card."),
    Reason.DRIVER_PIN_WRONG: ("驾驶员密码错误，还可尝试 {remaining} 次。", "Wrong driver PIN; {remaining} tries left."),
    Reason.DRIVER_PIN_LOCKED: (
        "驾驶员密码已锁定，请联系贵单位车队管理员解锁。",
        "The driver's PIN is locked. Your company's fleet manager unlocks it.",
    ),
    Reason.DRIVER_PIN_UNREADABLE: ("驾驶员密码密文无法解开，请重新输入。", "The driver's PIN could not be read. Enter it again."),
    Reason.DRIVER_PIN_NOT_SET: (
        "该驾驶员尚未设置密码，请联系贵单位车队管理员。",
        "This driver has no PIN yet. Ask your company's fleet manager.",
    ),
    Reason.ACCOUNT_FROZEN: ("账户已被冻结，请联系发卡方。", "The account is frozen. Ask the issuer."),
    Reason.ACCOUNT_CLOSED: ("账户已销户。", "The account is closed."),
    Reason.BALANCE_NOT_SHOWN: (
        "单位账户余额不在加油站显示，请询问贵单位管理员。",
        "A company's balance is not shown here. Ask your company's administrator.",
    ),
    Reason.PLATE_NEEDED: ("请输入车牌号。", "Enter the number plate."),
    Reason.MORE_NEEDED: (
        "贵单位要求加油时登记里程等信息，请补充后重试。",
        "The company wants more said with this card. Complete it and try again.",
    ),
    Reason.ODOMETER_ODD: (
        "里程读数不合理，请核对后再输入一次。",
        "This odometer reading is unlikely. Check it and enter it once more.",
    ),
    Reason.ODOMETER_DIFFERS: ("里程读数不合理，不能加油。", "The odometer's reading cannot be; no fuel is sold."),
    Reason.PERMIT_NEEDED: (
        "这次用卡需要贵单位先许可，请联系管理员。",
        "Your company allows each use of this card beforehand. Ask your manager.",
    ),
    Reason.PLATE_DIFFERS: ("车牌与卡不符，不能加油。", "The plate is not the card's."),
    Reason.GRADE_NOT_ALLOWED: ("此卡不能加该油品，可加：{allowed}。", "The card may not take this product. Allowed: {allowed}."),
    Reason.SHOP_NOT_ALLOWED: ("此卡不能购买该类商品。", "The card may not buy this."),
    Reason.STATION_NOT_ALLOWED: ("此卡不能在本站使用。", "The card may not be used at this station."),
    Reason.OUTSIDE_HOURS: ("此卡现在不在允许的时段。", "The card may not be used at this hour."),
    Reason.AMOUNT_LIMIT: ("超过金额限额（{limit}），还可用 {remaining}。", "Above the amount limit ({limit}); {remaining} left."),
    Reason.QUANTITY_LIMIT: ("超过数量限额（{limit}），还可加 {remaining}。", "Above the quantity limit ({limit}); {remaining} left."),
    Reason.COUNT_LIMIT: ("次数已用完（{limit}）。", "No fills left under {limit}."),
    Reason.TOO_SOON: ("距上次加油太近，还需等待 {remaining} 秒。", "Too soon after the last fill; wait {remaining} seconds."),
    Reason.CLOSED_FOR_NOW: ("贵单位已在此期间停用这张卡。", "Your company has stopped this card for these days."),
    Reason.ORDER_UNKNOWN: ("没有这个加油单号。", "There is no such order."),
    Reason.ORDER_USED: ("该加油单已用完。", "This order is used up."),
    Reason.ORDER_EXPIRED: ("该加油单未生效、已过期或已取消。", "This order is not valid now: not yet, no more, or cancelled."),
    Reason.ORDER_DIFFERS: ("该加油单不适用于此站、此油品或此车。", "The order is for another station, product, vehicle or card."),
    Reason.INSUFFICIENT_FUNDS: (
        "余额不足：可用 {remaining}。可充值或改用其他方式付差额。",
        "Not enough funds: {remaining} available. Top up, or pay the rest otherwise.",
    ),
    Reason.PART_ONLY: ("只批准了一部分（{limit}）。", "Approved in part ({limit})."),
    Reason.ORIGINAL_UNKNOWN: ("找不到原交易。", "The original is not known."),
    Reason.ORIGINAL_DECLINED: ("原交易当时被拒绝。", "The original was declined."),
    Reason.ORIGINAL_REVERSED: ("原交易已被冲正。", "The original was reversed."),
    Reason.ORIGINAL_COMPLETED: (
        "原授权已完成，不能冲正；请对该笔销售办理退款。",
        "The authorisation was completed. Refund its sale instead.",
    ),
    Reason.TENDERS_EXCEED: ("其他支付方式合计超过应付金额。", "The other tenders exceed what is due."),
    Reason.FILL_UNKNOWN: ("本站没有这笔加油记录。", "This station has no such fill."),
    Reason.FILL_PAID: ("这笔加油已经付过款。", "This fill is already paid."),
    Reason.FILL_LOCKED: ("顾客正在手机上支付这笔加油，请稍候。", "The customer is paying this fill on the phone. Wait a moment."),
    Reason.FILL_DIFFERS: ("金额、升数或油品与加油机记录不符。", "Amount, quantity or product differ from the pump's record."),
}


def say(reason: Reason, **facts: object) -> tuple[str, str]:
    """Return the Chinese and the English sentence of a reason, its facts filled in."""
    zh, en = SENTENCES[reason]
    return (zh.format(**facts), en.format(**facts)) if facts else (zh, en)
