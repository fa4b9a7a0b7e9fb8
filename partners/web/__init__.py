"""Pages of alliances: the office's, and what portals show of partners."""
