"""Writing rulebooks, budgets, standings and agreements."""

from .terms import publish_term

__all__ = ["publish_term"]
