"""The small chain of the cards' tests."""

from tests.cards.conftest import key_set, keys, shop  # noqa: F401 - fixtures
