"""What vouchers, gifts and referrals are called, and their tones."""

from collections.abc import Mapping
from typing import Final

from loyalty.rewards.model_gifts import EntitlementStatus, GiftMoveKind
from loyalty.rewards.model_referrals import ReferralStatus
from loyalty.rewards.model_vouchers import RedemptionStatus, ValueType, VoucherStatus
from loyalty.rewards.referral_rules import Event, Fault, RewardKind, Side
from loyalty.web.i18n import N_

Toned = tuple[str, str]

VOUCHER_STATUS: Final[Mapping[VoucherStatus, Toned]] = {
    VoucherStatus.ISSUED: (N_("Good"), "good"),
    VoucherStatus.RESERVED: (N_("Set aside"), "warn"),
    VoucherStatus.REDEEMED: (N_("Used"), ""),
    VoucherStatus.EXPIRED: (N_("Ran out"), ""),
    VoucherStatus.CANCELLED: (N_("Cancelled"), "bad"),
}
REDEMPTION_STATUS: Final[Mapping[RedemptionStatus, Toned]] = {
    RedemptionStatus.RESERVED: (N_("Set aside"), "warn"),
    RedemptionStatus.REDEEMED: (N_("Used"), "good"),
    RedemptionStatus.ROLLED_BACK: (N_("Rolled back"), "bad"),
    RedemptionStatus.TOMBSTONE: (N_("Taken back before it came"), "bad"),
}
VALUE_TYPE: Final[Mapping[ValueType, Toned]] = {
    ValueType.MONEY: (N_("Money off"), ""),
    ValueType.SERVICE: (N_("Free service"), ""),
    ValueType.GOODS: (N_("Goods"), ""),
    ValueType.PARTNER: (N_("Partner's benefit"), ""),
}
ENTITLEMENT_STATUS: Final[Mapping[EntitlementStatus, Toned]] = {
    EntitlementStatus.GRANTED: (N_("To be fetched"), "good"),
    EntitlementStatus.RESERVED: (N_("Set aside"), "warn"),
    EntitlementStatus.HANDED_OUT: (N_("Handed out"), ""),
    EntitlementStatus.RETURNED: (N_("Brought back"), "bad"),
    EntitlementStatus.EXPIRED: (N_("Ran out"), ""),
    EntitlementStatus.CANCELLED: (N_("Cancelled"), "bad"),
}
GIFT_MOVE: Final[Mapping[GiftMoveKind, Toned]] = {
    GiftMoveKind.RECEIVED: (N_("Received"), "good"),
    GiftMoveKind.SENT: (N_("Sent"), ""),
    GiftMoveKind.ARRIVED: (N_("Arrived"), "good"),
    GiftMoveKind.COUNTED: (N_("Counted"), ""),
    GiftMoveKind.RESERVED: (N_("Set aside"), "warn"),
    GiftMoveKind.RELEASED: (N_("Freed"), ""),
    GiftMoveKind.HANDED_OUT: (N_("Handed out"), ""),
    GiftMoveKind.RETURNED: (N_("Brought back"), ""),
    GiftMoveKind.SPOILT: (N_("Written off"), "bad"),
}
REFERRAL_STATUS: Final[Mapping[ReferralStatus, Toned]] = {
    ReferralStatus.OPEN: (N_("Running"), "good"),
    ReferralStatus.HELD: (N_("To be decided"), "warn"),
    ReferralStatus.ADMITTED: (N_("Admitted"), "good"),
    ReferralStatus.REFUSED: (N_("Refused"), "bad"),
    ReferralStatus.ENDED: (N_("Over"), ""),
}
FAULT: Final[Mapping[Fault, str]] = {
    Fault.PERSON: N_("one person: same identity or document"),
    Fault.PHONE: N_("same phone number"),
    Fault.DEVICE: N_("same browser"),
    Fault.NOT_NEW: N_("the referrer came later"),
    Fault.ORGANISATION: N_("an organisation"),
}
EVENT: Final[Mapping[Event, str]] = {
    Event.FIRST_LOAD: N_("First top-up of at least"),
    Event.FILLS: N_("Fills"),
    Event.SPEND: N_("Spent at least"),
}
REWARD_KIND: Final[Mapping[RewardKind, str]] = {
    RewardKind.POINTS: N_("Points"),
    RewardKind.BONUS: N_("Bonus money"),
    RewardKind.VOUCHER: N_("Voucher"),
    RewardKind.GIFT: N_("Gift"),
}
SIDE: Final[Mapping[Side, str]] = {Side.REFERRER: N_("Who brought"), Side.REFEREE: N_("Who came")}
