"""Reading rulebooks, budgets, standings and agreements."""

from .terms import snapshot_terms

__all__ = ["snapshot_terms"]
