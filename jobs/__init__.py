"""The scheduler process and its jobs, each idempotent per business period."""
