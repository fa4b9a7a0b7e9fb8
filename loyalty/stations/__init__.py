"""Stations: legal entities, regions, districts, outlets, terminals, products, prices, shifts and day closes."""
