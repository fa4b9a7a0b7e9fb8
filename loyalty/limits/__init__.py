"""Limits: what a card may take, where, when and how much; blocked or flagged, the most restrictive wins."""
