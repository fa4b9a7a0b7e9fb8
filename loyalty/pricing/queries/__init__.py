"""Reading rulebooks, budgets, standings and agreements."""

from .live import book_numbered, document_of, facts_of, has_agreements, latest_document, names, number_live_at, snapshot_books
from .terms import snapshot_terms

__all__ = [
    "book_numbered",
    "document_of",
    "facts_of",
    "has_agreements",
    "latest_document",
    "names",
    "number_live_at",
    "snapshot_books",
    "snapshot_terms",
]
