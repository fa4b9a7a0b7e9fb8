"""The hot path's engine: lanes that read once, decide in memory, and write once for many requests."""

from .cards import CardLane
from .completions import CompletionLane
from .lane import Lane, World
from .reading import card_facts, fill_facts
from .requests import AuthorizationNotFound, HotRequest, KeyReused, SequenceReused, TooBusy, business_day, local_time

__all__ = [
    "AuthorizationNotFound",
    "CardLane",
    "CompletionLane",
    "HotRequest",
    "KeyReused",
    "Lane",
    "SequenceReused",
    "TooBusy",
    "World",
    "business_day",
    "card_facts",
    "fill_facts",
    "local_time",
]
