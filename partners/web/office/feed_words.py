"""What the enums of feeds, registrations and partners' files are called on pages, and in which tone."""

from collections.abc import Mapping
from typing import Final

from loyalty.web.i18n import N_
from partners.model_feeds import FeedChannel, FeedColumn, FeedStatus, LogEvent, RecordKind, RegistrationStatus, Rhythm
from partners.model_inbound import Compared, RowOutcome

Toned = tuple[str, str]

REGISTRATION: Final[Mapping[RegistrationStatus, Toned]] = {
    RegistrationStatus.TO_SEND: (N_("To be sent"), "info"),
    RegistrationStatus.SENT: (N_("Has left"), "good"),
    RegistrationStatus.CORRECTED: (N_("Corrected"), "good"),
    RegistrationStatus.REMOVED: (N_("Removed"), "warn"),
    RegistrationStatus.LAPSED: (N_("Lapsed"), ""),
}
FEED: Final[Mapping[FeedStatus, Toned]] = {
    FeedStatus.PROPOSED: (N_("Waits for a second person"), "warn"),
    FeedStatus.ACTIVE: (N_("Runs"), "good"),
    FeedStatus.PAUSED: (N_("Paused"), "warn"),
    FeedStatus.ENDED: (N_("Ended"), ""),
}
RHYTHM: Final[Mapping[Rhythm, Toned]] = {
    Rhythm.DAILY: (N_("Every day"), ""),
    Rhythm.WEEKLY: (N_("Every week"), ""),
    Rhythm.MONTHLY: (N_("Once a month"), ""),
}
CHANNEL: Final[Mapping[FeedChannel, Toned]] = {
    FeedChannel.DOWNLOAD: (N_("Fetched here and handed over"), ""),
    FeedChannel.MAIL: (N_("As a mail"), ""),
    FeedChannel.WEBHOOK: (N_("To their system"), ""),
}
RECORD: Final[Mapping[RecordKind, Toned]] = {
    RecordKind.NEW: (N_("Newly listed"), "good"),
    RecordKind.CORRECTION: (N_("Correction"), "info"),
    RecordKind.REMOVAL: (N_("Removal"), "warn"),
}
EVENT: Final[Mapping[LogEvent, Toned]] = {
    LogEvent.MADE: (N_("File made"), "info"),
    LogEvent.QUEUED: (N_("Waits in the outbox"), "warn"),
    LogEvent.SENT: (N_("Has left"), "good"),
    LogEvent.CAPTURED: (N_("Kept here: no mail server"), "warn"),
    LogEvent.UNCERTAIN: (N_("May have left"), "bad"),
    LogEvent.DEAD: (N_("Given up"), "bad"),
    LogEvent.DOWNLOADED: (N_("Fetched"), "good"),
}
OUTCOME: Final[Mapping[RowOutcome, Toned]] = {
    RowOutcome.MATCHED: (N_("Agrees"), "good"),
    RowOutcome.DIFFERENT: (N_("Another amount"), "bad"),
    RowOutcome.MISSING_HERE: (N_("Missing here"), "bad"),
    RowOutcome.MISSING_THERE: (N_("Missing there"), "bad"),
    RowOutcome.CANCELLED: (N_("Taken back"), ""),
    RowOutcome.REPEATED: (N_("Stands twice"), ""),
    RowOutcome.UNREADABLE: (N_("Cannot be read"), "warn"),
}
COLUMN: Final[Mapping[FeedColumn, str]] = {
    FeedColumn.NAME: N_("Name"),
    FeedColumn.DOCUMENT_TYPE: N_("Kind of document"),
    FeedColumn.DOCUMENT_NUMBER: N_("Document number"),
    FeedColumn.PHONE: N_("Telephone"),
    FeedColumn.PLATE: N_("Number plate"),
    FeedColumn.OPENED_ON: N_("Card opened on"),
    FeedColumn.COVER: N_("Cover"),
    FeedColumn.VALID_FROM: N_("Valid from"),
    FeedColumn.VALID_UNTIL: N_("Valid until"),
}
COMPARED: Final[Mapping[Compared, str]] = {
    Compared.SAVED: N_("what the customer saved"),
    Compared.GROSS: N_("the sale before benefits"),
    Compared.DUE: N_("what we owe by it"),
}
WHY: Final[Mapping[str, str]] = {
    "undone_here": N_("we undid it"),
    "not_undone_here": N_("they took it back, we did not"),
}
WEEKDAYS: Final = (N_("Monday"), N_("Tuesday"), N_("Wednesday"), N_("Thursday"), N_("Friday"), N_("Saturday"), N_("Sunday"))
