"""What enums are called on pages, and in which tone: one name a thing, the same everywhere."""

from collections.abc import Mapping
from typing import Final

from loyalty.audit.model import ActorKind
from loyalty.authorizations.chain_rules import DifferenceKind
from loyalty.authorizations.model import Flag, Flow, SaleStatus, Status
from loyalty.cards.model import CardStatus, EventKind, ProductKind, StockMoveKind, StockMoveStatus
from loyalty.customers.model import ConsentChannel, ContactRole, CustomerKind, CustomerStatus, SuggestionReason
from loyalty.customers.rules import Warned
from loyalty.identity.model import Portal, ScopeKind, StaffStatus
from loyalty.ledger.model import AccountKind, AccountStatus, HouseCode, PurseKind, TransferKind
from loyalty.ledger.rules import SpendStep
from loyalty.limits.model import LimitKind, Reaction, Window
from loyalty.rewards.model_grants import GrantStatus
from loyalty.rewards.model_tiers import Downgrade, MoveWhy, TierWindow
from loyalty.stations.model import FuelKind, ProductCategory, ShiftStatus, StationStatus, TerminalKind, TerminalStatus
from loyalty.stations.rules import PriceProblem, PriceWarning
from loyalty.topups.model import (
    AdjustmentKind,
    AdjustmentStatus,
    ClosureReason,
    ClosureStatus,
    FreezeScope,
    FreezeStatus,
    PayoutMethod,
    Tender,
    TopupStatus,
)
from loyalty.web.i18n import N_

Toned = tuple[str, str]

CARD_STATUS: Final[Mapping[CardStatus, Toned]] = {
    CardStatus.BLANK: (N_("Blank"), ""),
    CardStatus.ISSUED: (N_("Issued"), "info"),
    CardStatus.ACTIVE: (N_("Active"), "good"),
    CardStatus.SUSPENDED: (N_("Suspended"), "warn"),
    CardStatus.LOST: (N_("Lost"), "bad"),
    CardStatus.REPLACED: (N_("Replaced"), ""),
    CardStatus.CLOSED: (N_("Closed"), ""),
}
CARD_EVENT: Final[Mapping[EventKind, str]] = {
    EventKind.MOVED: N_("Status changed"),
    EventKind.PIN_SET: N_("PIN set"),
    EventKind.PIN_CHANGED: N_("PIN changed"),
    EventKind.PIN_LOCKED: N_("PIN locked"),
    EventKind.PIN_UNLOCKED: N_("PIN unlocked"),
    EventKind.CONVERTED: N_("Registered to its owner"),
    EventKind.RENEWED: N_("Renewed"),
    EventKind.LIMITS_CHANGED: N_("Limits changed"),
    EventKind.ACCOUNT_CHANGED: N_("Account's terms changed"),
    EventKind.LABELLED: N_("Holder or plate changed"),
    EventKind.ADOPTED: N_("Taken over from a former system"),
}
PRODUCT_KIND: Final[Mapping[ProductKind, Toned]] = {
    ProductKind.PERSONAL: (N_("Personal, registered"), ""),
    ProductKind.ANONYMOUS: (N_("Anonymous"), ""),
    ProductKind.COMPANY: (N_("Company card"), ""),
    ProductKind.FLEET: (N_("Fleet card"), ""),
}
STOCK_KIND: Final[Mapping[StockMoveKind, Toned]] = {
    StockMoveKind.PRODUCED: (N_("Produced"), ""),
    StockMoveKind.SENT: (N_("Sent"), ""),
    StockMoveKind.COUNTED: (N_("Stock count"), ""),
    StockMoveKind.SPOILT: (N_("Spoilt"), ""),
}
STOCK_STATUS: Final[Mapping[StockMoveStatus, Toned]] = {
    StockMoveStatus.ON_THE_WAY: (N_("On its way"), "info"),
    StockMoveStatus.DONE: (N_("Done"), ""),
}
CUSTOMER_KIND: Final[Mapping[CustomerKind, Toned]] = {
    CustomerKind.PERSON: (N_("Person"), ""),
    CustomerKind.ORGANISATION: (N_("Organisation"), "info"),
}
CUSTOMER_STATUS: Final[Mapping[CustomerStatus, Toned]] = {
    CustomerStatus.ACTIVE: (N_("Active"), "good"),
    CustomerStatus.MERGED: (N_("Merged"), ""),
    CustomerStatus.CLOSED: (N_("Record closed"), ""),
}
WARNED: Final[Mapping[Warned, str]] = {
    Warned.CHECK_DIGIT: N_("the check digit does not fit"),
    Warned.FORMAT: N_("the form is unusual"),
}
CONSENT_CHANNEL: Final[Mapping[ConsentChannel, str]] = {
    ConsentChannel.COUNTER: N_("At the counter"),
    ConsentChannel.OFFICE: N_("At the office"),
    ConsentChannel.OWN_PAGE: N_("On their own page"),
}
CONTACT_ROLE: Final[Mapping[ContactRole, str]] = {
    ContactRole.MANAGER: N_("Manager"),
    ContactRole.FINANCE: N_("Finance"),
    ContactRole.FLEET: N_("Fleet"),
    ContactRole.OTHER: N_("Other"),
}
SUGGESTION: Final[Mapping[SuggestionReason, str]] = {
    SuggestionReason.SAME_NUMBER: N_("Same document number, not verified"),
    SuggestionReason.SAME_DOCUMENT_OTHER_NAME: N_("Same verified document, another name"),
    SuggestionReason.SAME_NAME_AND_PHONE: N_("Same name and phone"),
}
ACCOUNT_KIND: Final[Mapping[AccountKind, Toned]] = {
    AccountKind.PERSONAL: (N_("Personal"), ""),
    AccountKind.ANONYMOUS: (N_("Anonymous"), ""),
    AccountKind.COMPANY: (N_("Company"), "info"),
    AccountKind.SUSPENSE: (N_("Suspense"), "warn"),
}
ACCOUNT_STATUS: Final[Mapping[AccountStatus, Toned]] = {
    AccountStatus.OPEN: (N_("Open"), "good"),
    AccountStatus.FROZEN: (N_("Frozen"), "bad"),
    AccountStatus.CLOSED: (N_("Account closed"), ""),
}
PURSE_KIND: Final[Mapping[PurseKind, Toned]] = {
    PurseKind.PRINCIPAL: (N_("Principal"), ""),
    PurseKind.BONUS: (N_("Bonus"), "info"),
    PurseKind.POINTS: (N_("Points"), ""),
    PurseKind.RECEIVABLE: (N_("Receivable"), "bad"),
}
GRANT_STATUS: Final[Mapping[GrantStatus, Toned]] = {
    GrantStatus.PENDING: (N_("Not active yet"), "info"),
    GrantStatus.ACTIVE: (N_("Credited"), "good"),
    GrantStatus.RETURNED: (N_("Taken back"), "warn"),
}
TIER_WINDOW: Final[Mapping[TierWindow, str]] = {
    TierWindow.ROLLING: N_("The last days"),
    TierWindow.MONTH: N_("Calendar month"),
    TierWindow.QUARTER: N_("Calendar quarter"),
    TierWindow.YEAR: N_("Calendar year"),
    TierWindow.ANNIVERSARY: N_("Year from the day of joining"),
}
DOWNGRADE: Final[Mapping[Downgrade, str]] = {
    Downgrade.BY_BALANCE: N_("To the tier that the figures give"),
    Downgrade.ONE_DOWN: N_("One step down"),
    Downgrade.NEVER: N_("Never down"),
}
TIER_WHY: Final[Mapping[MoveWhy, Toned]] = {
    MoveWhy.REACHED: (N_("Reached"), "good"),
    MoveWhy.GRACE_ENDED: (N_("Grace ended"), "warn"),
    MoveWhy.GRANTED: (N_("Granted"), "info"),
    MoveWhy.LOCKED: (N_("Kept"), "info"),
    MoveWhy.UNLOCKED: (N_("No longer kept"), ""),
}
TRANSFER_KIND: Final[Mapping[TransferKind, Toned]] = {
    TransferKind.LOAD: (N_("Top-up"), "good"),
    TransferKind.BONUS: (N_("Bonus"), "info"),
    TransferKind.SALE: (N_("Sale"), ""),
    TransferKind.DISCOUNT: (N_("Discount"), ""),
    TransferKind.SURCHARGE: (N_("Surcharge"), ""),
    TransferKind.TENDER: (N_("Other tender"), ""),
    TransferKind.REFUND: (N_("Refund"), "warn"),
    TransferKind.VOID: (N_("Void"), "warn"),
    TransferKind.FEE: (N_("Fee"), ""),
    TransferKind.ADJUSTMENT: (N_("Adjustment"), "warn"),
    TransferKind.OPENING: (N_("Opening balance"), ""),
    TransferKind.PAYOUT: (N_("Paid out"), ""),
    TransferKind.ALLOCATION: (N_("Allocation"), ""),
    TransferKind.SETTLEMENT: (N_("Debt settled"), ""),
    TransferKind.EXPIRY: (N_("Expired"), ""),
    TransferKind.BONUS_RETURN: (N_("Bonus returned"), ""),
    TransferKind.POINTS: (N_("Points earned"), "info"),
    TransferKind.REDEMPTION: (N_("Points redeemed"), ""),
    TransferKind.POINTS_RETURN: (N_("Points taken back"), "warn"),
}
HOUSE: Final[Mapping[HouseCode, str]] = {
    HouseCode.TENDER: N_("Tender clearing"),
    HouseCode.SALES: N_("Station sales"),
    HouseCode.DISCOUNT: N_("Discount expense"),
    HouseCode.BONUS: N_("Bonus expense"),
    HouseCode.FEE: N_("Fees"),
    HouseCode.MIGRATION: N_("Taken over"),
    HouseCode.SUSPENSE: N_("Suspense"),
    HouseCode.PAYOUT: N_("Paid out by bank"),
    HouseCode.WRITE_OFF: N_("Receivables written off"),
    HouseCode.ADJUSTMENT: N_("Adjustments"),
    HouseCode.OWN_USE: N_("The chain's own use"),
    HouseCode.POINTS: N_("Points issued"),
    HouseCode.SURCHARGE: N_("Surcharges"),
}
SPEND_STEP: Final[Mapping[SpendStep, str]] = {
    SpendStep.BONUS_EXPIRING: N_("Soonest-expiring bonus"),
    SpendStep.PRINCIPAL: N_("Principal"),
    SpendStep.BONUS: N_("Other bonus"),
}
LIMIT_KIND: Final[Mapping[LimitKind, str]] = {
    LimitKind.GRADES: N_("Fuel grades"),
    LimitKind.SHOP: N_("Shop categories"),
    LimitKind.STATIONS: N_("Stations"),
    LimitKind.DISTRICTS: N_("Districts"),
    LimitKind.REGIONS: N_("Regions"),
    LimitKind.HOURS: N_("Hours"),
    LimitKind.PLATE: N_("Plate"),
    LimitKind.AMOUNT: N_("Amount"),
    LimitKind.QUANTITY: N_("Litres"),
    LimitKind.COUNT: N_("Number of fills"),
    LimitKind.MIN_INTERVAL: N_("Shortest interval"),
    LimitKind.TANK: N_("Tank capacity"),
    LimitKind.ODOMETER: N_("Odometer"),
}
WINDOW: Final[Mapping[Window, str]] = {
    Window.TRANSACTION: N_("per fill"),
    Window.DAY: N_("per day"),
    Window.WEEK: N_("per week"),
    Window.MONTH: N_("per month"),
}
REACTION: Final[Mapping[Reaction, Toned]] = {
    Reaction.BLOCK: (N_("Blocks"), "bad"),
    Reaction.FLAG: (N_("Flags"), "warn"),
    Reaction.ASK: (N_("Asks the company"), "warn"),
}
STATION_STATUS: Final[Mapping[StationStatus, Toned]] = {
    StationStatus.PLANNED: (N_("Planned"), "info"),
    StationStatus.OPEN: (N_("Open for business"), "good"),
    StationStatus.SHORTAGE: (N_("Shortage"), "warn"),
    StationStatus.PAUSED: (N_("Closed for a while"), "warn"),
    StationStatus.CLOSED: (N_("Closed for good"), ""),
}
TERMINAL_KIND: Final[Mapping[TerminalKind, Toned]] = {
    TerminalKind.POS: (N_("Forecourt till"), ""),
    TerminalKind.COUNTER: (N_("Counter browser"), ""),
    TerminalKind.OUTDOOR: (N_("Pump reader"), ""),
}
TERMINAL_STATUS: Final[Mapping[TerminalStatus, Toned]] = {
    TerminalStatus.ACTIVE: (N_("Active"), "good"),
    TerminalStatus.QUARANTINED: (N_("Quarantined"), "bad"),
    TerminalStatus.REVOKED: (N_("Revoked"), ""),
}
SHIFT_STATUS: Final[Mapping[ShiftStatus, Toned]] = {
    ShiftStatus.OPEN: (N_("Running"), "good"),
    ShiftStatus.COUNTED: (N_("Counted, not closed"), "info"),
    ShiftStatus.CLOSED: (N_("Shift closed"), ""),
}
CATEGORY: Final[Mapping[ProductCategory, Toned]] = {
    ProductCategory.FUEL: (N_("Fuel"), ""),
    ProductCategory.SHOP: (N_("Shop"), ""),
}
FUEL_KIND: Final[Mapping[FuelKind, str]] = {
    FuelKind.GASOLINE: N_("Gasoline"),
    FuelKind.DIESEL: N_("Diesel"),
    FuelKind.LNG: N_("LNG"),
    FuelKind.CNG: N_("CNG"),
    FuelKind.LPG: N_("LPG"),
    FuelKind.EV: N_("Charging"),
}
PRICE_NOTE: Final[Mapping[PriceProblem | PriceWarning, str]] = {
    PriceProblem.UNKNOWN_STATION: N_("No such station"),
    PriceProblem.UNKNOWN_PRODUCT: N_("No such product"),
    PriceProblem.NOT_POSITIVE: N_("The price must be above zero"),
    PriceProblem.CURRENCY_DIFFERS: N_("Another currency than the station's"),
    PriceProblem.CONTRADICTION: N_("Another line says something else"),
    PriceProblem.ALREADY_PUBLISHED: N_("Another price is published for this moment"),
    PriceProblem.TOO_SOON: N_("A price takes effect a minute from now at the earliest"),
    PriceWarning.JUMP: N_("A large step from the present price: look twice"),
}
TENDER: Final[Mapping[Tender, Toned]] = {
    Tender.CASH: (N_("Cash"), ""),
    Tender.BANK_TRANSFER: (N_("Bank transfer"), ""),
    Tender.CARD: (N_("Bank card"), ""),
    Tender.WECHAT: (N_("WeChat"), ""),
    Tender.ALIPAY: (N_("Alipay"), ""),
}
TOPUP_STATUS: Final[Mapping[TopupStatus, Toned]] = {
    TopupStatus.PENDING: (N_("Pending"), "warn"),
    TopupStatus.BOOKED: (N_("Booked"), "good"),
    TopupStatus.CANCELLED: (N_("Cancelled"), ""),
    TopupStatus.VOIDED: (N_("Voided"), ""),
    TopupStatus.REFUNDED: (N_("Refunded"), ""),
    TopupStatus.REVERSED: (N_("Reversed"), "bad"),
}
ADJUSTMENT_KIND: Final[Mapping[AdjustmentKind, Toned]] = {
    AdjustmentKind.CREDIT: (N_("Put onto the account"), "good"),
    AdjustmentKind.DEBIT: (N_("Take off the account"), "warn"),
    AdjustmentKind.WRITE_OFF: (N_("Forgive what is owed"), "info"),
}
ADJUSTMENT_STATUS: Final[Mapping[AdjustmentStatus, Toned]] = {
    AdjustmentStatus.PROPOSED: (N_("Waits for its checker"), "warn"),
    AdjustmentStatus.APPROVED: (N_("Approved"), "good"),
    AdjustmentStatus.REJECTED: (N_("Turned down"), "bad"),
    AdjustmentStatus.WITHDRAWN: (N_("Withdrawn"), ""),
}
FREEZE_SCOPE: Final[Mapping[FreezeScope, Toned]] = {
    FreezeScope.ACCOUNT: (N_("Whole account"), ""),
    FreezeScope.AMOUNT: (N_("An amount"), ""),
}
FREEZE_STATUS: Final[Mapping[FreezeStatus, Toned]] = {
    FreezeStatus.ACTIVE: (N_("In force"), "bad"),
    FreezeStatus.LIFTED: (N_("Lifted"), ""),
    FreezeStatus.EXPIRED: (N_("Expired"), ""),
}
CLOSURE_REASON: Final[Mapping[ClosureReason, str]] = {
    ClosureReason.NO_LONGER_DRIVES: N_("No longer drives"),
    ClosureReason.MOVED_AWAY: N_("Moved away"),
    ClosureReason.PRICE: N_("Price of fuel"),
    ClosureReason.SERVICE: N_("Service"),
    ClosureReason.OTHER_SUPPLIER: N_("Another supplier"),
    ClosureReason.COMPANY_ENDS: N_("The company ends"),
    ClosureReason.DECEASED: N_("Deceased"),
    ClosureReason.OTHER: N_("Other"),
}
CLOSURE_STATUS: Final[Mapping[ClosureStatus, Toned]] = {
    ClosureStatus.REQUESTED: (N_("Waits for approval"), "warn"),
    ClosureStatus.APPROVED: (N_("To be paid"), "warn"),
    ClosureStatus.PAID: (N_("Paid out"), "good"),
    ClosureStatus.REJECTED: (N_("Turned down"), "bad"),
    ClosureStatus.WITHDRAWN: (N_("Withdrawn"), ""),
    ClosureStatus.REOPENED: (N_("Reopened"), "info"),
}
PAYOUT: Final[Mapping[PayoutMethod, Toned]] = {
    PayoutMethod.BANK: (N_("By bank"), ""),
    PayoutMethod.CASH: (N_("In cash"), ""),
}
SALE_STATUS: Final[Mapping[SaleStatus, Toned]] = {
    SaleStatus.BOOKED: (N_("Booked"), "good"),
    SaleStatus.PART_REFUNDED: (N_("Partly refunded"), "warn"),
    SaleStatus.REFUNDED: (N_("Refunded"), "warn"),
    SaleStatus.VOIDED: (N_("Voided"), ""),
}
AUTHORISATION: Final[Mapping[Status, Toned]] = {
    Status.APPROVED: (N_("Approved, pump open"), "info"),
    Status.PENDING_REVIEW: (N_("Pending review"), "warn"),
    Status.MORE_DATA: (N_("More data asked for"), ""),
    Status.DECLINED: (N_("Declined"), "bad"),
    Status.PART_COMPLETED: (N_("Partly completed"), "info"),
    Status.COMPLETED: (N_("Completed"), "good"),
    Status.REVERSED: (N_("Reversed"), ""),
    Status.RELEASED: (N_("Released"), ""),
    Status.UNRESOLVED: (N_("Unresolved"), "bad"),
}
FLOW: Final[Mapping[Flow, str]] = {
    Flow.PAY_AFTER: N_("Pay after filling"),
    Flow.PRESET: N_("Preset"),
    Flow.PUMP: N_("Card at the pump"),
    Flow.SHOP: N_("Shop"),
}
FLAG: Final[Mapping[Flag, str]] = {
    Flag.AMOUNT_DIFFERS: N_("Amount differs from litres × price"),
    Flag.PRICE_DIFFERS: N_("Price differs from the published one"),
    Flag.OVER_CAPTURE: N_("More than approved"),
    Flag.RECEIVABLE: N_("Owed by the holder"),
    Flag.LATE: N_("Reported late"),
    Flag.AFTER_END: N_("After its end"),
    Flag.LIMIT: N_("Over a limit"),
    Flag.OFFLINE: N_("Offline"),
    Flag.TERMINAL: N_("Till not trusted"),
    Flag.UNKNOWN_CARD: N_("Unknown card"),
    Flag.CARD_STATUS: N_("Card was not active"),
    Flag.PRODUCT_DIFFERS: N_("Another product"),
    Flag.ODOMETER: N_("Unlikely odometer"),
    Flag.DRIVER: N_("Doubtful driver"),
    Flag.ORDER: N_("Doubtful order"),
}
STAFF_STATUS: Final[Mapping[StaffStatus, Toned]] = {
    StaffStatus.ACTIVE: (N_("Works here"), "good"),
    StaffStatus.LEFT: (N_("Left"), ""),
}
SCOPE: Final[Mapping[ScopeKind, str]] = {
    ScopeKind.STATION: N_("Station"),
    ScopeKind.DISTRICT: N_("District"),
    ScopeKind.REGION: N_("Region"),
    ScopeKind.ALL: N_("Everything"),
}
ACTOR: Final[Mapping[ActorKind, str]] = {
    ActorKind.STAFF: N_("Staff"),
    ActorKind.CUSTOMER: N_("Customer"),
    ActorKind.COMPANY_USER: N_("Company's user"),
    ActorKind.TERMINAL: N_("Till"),
    ActorKind.PARTNER: N_("Partner"),
    ActorKind.SYSTEM: N_("System"),
    ActorKind.UNKNOWN: N_("Nobody known"),
}
PORTAL: Final[Mapping[Portal, str]] = {
    Portal.OFFICE: N_("Office"),
    Portal.CASHIER: N_("Counter"),
    Portal.FLEET: N_("Fleet"),
    Portal.PARTNER: N_("Partner"),
    Portal.ME: N_("Holder's phone page"),
}
DIFFERENCE: Final[Mapping[DifferenceKind, str]] = {
    DifferenceKind.MISSING_AT_HOST: N_("The till says booked; the books have no such record"),
    DifferenceKind.MISSING_AT_TERMINAL: N_("Booked; the till's journal has no such record"),
    DifferenceKind.BOOKED_AT_HOST: N_("Booked; the till never got the answer"),
    DifferenceKind.RECORD_DIFFERS: N_("The record is another one"),
    DifferenceKind.AMOUNT_DIFFERS: N_("The amounts differ"),
    DifferenceKind.JOURNAL_GAP: N_("The till's journal skips a number"),
    DifferenceKind.UNLINKED: N_("The record does not follow the one before it"),
    DifferenceKind.HEAD_DIFFERS: N_("The signed end of the journal is another one"),
    DifferenceKind.SIGNATURE: N_("Not signed by the till's own key"),
}
OPERATION: Final[Mapping[str, str]] = {
    "authorise": N_("Authorisation"),
    "complete": N_("Completion"),
    "sale": N_("Sale"),
    "reverse": N_("Reversal"),
    "refund": N_("Refund"),
    "topup": N_("Top-up"),
    "topup_reversal": N_("Top-up taken back"),
    "activate": N_("Activation"),
    "advice": N_("Told of late"),
    "purchase": N_("Purchase"),
}
