"""Asking for a backtest, running and cancelling it; starting, stopping and feeding a shadow."""
