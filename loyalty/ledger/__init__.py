"""Accounts, purses, transfers: the money itself. Knows nothing of cards."""
