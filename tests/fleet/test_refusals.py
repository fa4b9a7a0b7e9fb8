"""Whatever the room refuses, it says so in both languages, with the same facts."""

import importlib
import pkgutil
import string

import loyalty.fleet
from loyalty.errors import Refusal
from loyalty.fleet.sheets import SENTENCES

for _found in pkgutil.walk_packages(loyalty.fleet.__path__, "loyalty.fleet."):
    importlib.import_module(_found.name)


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def refusals(of: type[Refusal] = Refusal):
    for one in of.__subclasses__():
        yield one
        yield from refusals(one)


def test_every_refusal_of_the_room_speaks_both_languages():
    mine = [one for one in refusals() if one.__module__.startswith("loyalty.fleet.")]
    assert len(mine) > 20
    for one in mine:
        assert "zh" in vars(one), one
        assert "en" in vars(one), one
        assert {name.removesuffix("_zh") for name in fields(one.zh)} == {name.removesuffix("_en") for name in fields(one.en)}, one
        assert bool(one.next_zh) == bool(one.next_en), one


def test_every_fault_of_a_row_speaks_both_languages():
    for code, (zh, en) in SENTENCES.items():
        assert code == "refused" or fields(zh) == fields(en), code
