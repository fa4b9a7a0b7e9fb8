"""The partners' portal: redeem on a phone, the day, the outlet, people, the book."""
