"""Reading rulebooks, budgets, standings and agreements."""

from .live import (
    book_numbered,
    channel_book,
    document_of,
    facts_of,
    has_agreements,
    latest_document,
    names,
    number_live_at,
    snapshot_books,
)

__all__ = [
    "book_numbered",
    "channel_book",
    "document_of",
    "facts_of",
    "has_agreements",
    "latest_document",
    "names",
    "number_live_at",
    "snapshot_books",
]
