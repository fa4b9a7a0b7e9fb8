"""Who acts: staff and their roles, sessions of the portals, terminals and their keys."""
