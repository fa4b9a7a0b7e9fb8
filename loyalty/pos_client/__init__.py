"""The reference client of the POS API: what a till must do, in the order it must do it, to be read as documentation."""

from .parts import Card, Driver, Fuel, Shop, Staff, Tender
from .problems import NotEnrolledError, OfflineRefusedError, ProblemError, TillError, UnreachableError
from .state import Answer, FileStore, MemoryStore, Offline, TillState
from .till import Till

__all__ = [
    "Answer",
    "Card",
    "Driver",
    "FileStore",
    "Fuel",
    "MemoryStore",
    "NotEnrolledError",
    "Offline",
    "OfflineRefusedError",
    "ProblemError",
    "Shop",
    "Staff",
    "Tender",
    "Till",
    "TillError",
    "TillState",
    "UnreachableError",
]
