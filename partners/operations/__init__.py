"""Writing alliances."""
