"""Writing rulebooks, budgets, standings and agreements."""

from .budgets import BudgetBelowUse, gather, put_budgets
from .publishing import RulebookNotFound, activate, publish, publish_rule
from .terms import publish_term

__all__ = ["BudgetBelowUse", "RulebookNotFound", "activate", "gather", "publish", "publish_rule", "publish_term", "put_budgets"]
