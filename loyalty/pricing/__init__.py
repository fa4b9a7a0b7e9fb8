"""Discount terms: what is frozen before the pump starts and settled by the litres dispensed."""
