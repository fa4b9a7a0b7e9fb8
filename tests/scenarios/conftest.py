"""Stories are told on the house of the simulation: real lanes, real operations, a database of their own."""

from tests.simulation.conftest import house, key_set, keys

__all__ = ["house", "key_set", "keys"]
