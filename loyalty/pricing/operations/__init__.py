"""Writing rulebooks, budgets, standings and agreements."""

from loyalty.pricing.queries.books import RulebookNotFound

from .budgets import BudgetBelowUse, gather, put_budgets
from .publishing import activate, publish, publish_rule

__all__ = ["BudgetBelowUse", "RulebookNotFound", "activate", "gather", "publish", "publish_rule", "put_budgets"]
