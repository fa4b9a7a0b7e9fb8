"""What leaves the house: made in the transaction of what it tells, sent outside any, never twice by itself."""

from .model import MESSAGE_MOVES, Channel, MessageStatus, OutboxMessage, SignedPost
from .operations import KEPT, LEASE, WAITS, MessageCannotGo, Outgoing, Result, claim, forget, note, put, send_again, shown
from .queries import MessageNotFound, MessageView, get_message, list_messages, payload_of, statuses_of

__all__ = [
    "KEPT",
    "LEASE",
    "MESSAGE_MOVES",
    "WAITS",
    "Channel",
    "MessageCannotGo",
    "MessageNotFound",
    "MessageStatus",
    "MessageView",
    "OutboxMessage",
    "Outgoing",
    "Result",
    "SignedPost",
    "claim",
    "forget",
    "get_message",
    "list_messages",
    "note",
    "payload_of",
    "put",
    "send_again",
    "shown",
    "statuses_of",
]
