"""Every member of an enum that pages name has its word: a page that meets a new one does not fail."""

import importlib
from collections.abc import Mapping
from enum import Enum

import pytest

MODULES = ("loyalty.web.office.labels", "loyalty.web.cashier.labels", "loyalty.web.cashier.sheets", "partners.web.office.labels")


def tables():
    for name in MODULES:
        module = importlib.import_module(name)
        for label, table in vars(module).items():
            if isinstance(table, Mapping) and table and all(isinstance(key, Enum) for key in table):
                yield pytest.param(table, id=f"{name}.{label}")


@pytest.mark.parametrize("table", [*tables()])
def test_every_member_has_a_word(table):
    kind = type(next(iter(table)))
    assert [member.name for member in kind if member not in table] == []
