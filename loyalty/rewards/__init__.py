"""What a sale or a top-up grants, collected afterwards: points, tiers, vouchers, gifts, campaigns."""
