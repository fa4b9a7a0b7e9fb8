"""What a draft would have cost: replayed over a past period's sales, or asked beside the live rules while they work."""
