"""Reading alliances."""
