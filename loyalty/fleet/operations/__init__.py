"""Changing companies and fleets. Every change locks its company's row first, so that two changes of one structure take turns."""
