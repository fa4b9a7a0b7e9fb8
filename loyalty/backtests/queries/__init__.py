"""Reading what a backtest needs, and what it found."""
