"""Money in, and money given back: top-ups, purchases, adjustments, freezes, closures."""
