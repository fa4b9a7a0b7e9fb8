"""Writing rulebooks, budgets, standings and agreements."""

from loyalty.pricing.queries.books import RulebookNotFound

from .budgets import BudgetBelowUse, gather, put_budgets
from .publishing import activate, publish, publish_rule
from .terms import publish_term

__all__ = ["BudgetBelowUse", "RulebookNotFound", "activate", "gather", "publish", "publish_rule", "publish_term", "put_budgets"]
