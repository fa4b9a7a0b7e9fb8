"""Partner alliances: what stands on the core and is mounted beside it."""
