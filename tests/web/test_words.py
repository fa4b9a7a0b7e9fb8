"""Every sentence has its Chinese; the same fields stand in both; the same words mean the same everywhere."""

import re

import pytest
from babel.messages.pofile import read_po

from loyalty.web import words
from loyalty.web.i18n import catalogue_files, choose_locale, language

FIELD = re.compile(r"%\((\w+)\)s|%%")


def test_every_sentence_used_in_pages_has_its_chinese():
    base = words.catalogue("zh_CN", words.BASE)
    used = words.used()
    known = {portal: words.catalogue("zh_CN", portal) for portal in {portal for portals in used.values() for portal in portals}}
    missing = {
        str(said): sorted(portals)
        for said, portals in used.items()
        if not base.get(said) and not all(known[portal].get(said) for portal in portals)
    }
    assert missing == {}, "run `python -m loyalty.web.words PORTAL` and translate what it lists"


def test_no_translation_is_fuzzy_and_each_keeps_the_fields():
    for path in catalogue_files("zh_CN"):
        with path.open("rb") as file:
            for message in read_po(file, locale="zh_CN"):
                assert not (message.id and message.fuzzy), f"{path.name}: {message.id}"
                if not message.id or not message.string:
                    continue
                said = message.id if isinstance(message.id, str) else message.id[1]
                translated = message.string if isinstance(message.string, str) else message.string[0]
                assert set(FIELD.findall(said)) >= set(FIELD.findall(translated)), f"{path.name}: {said}"


def test_portals_agree_on_a_sentence_they_share():
    said = {}
    for path in catalogue_files("zh_CN"):
        for message, string in words.catalogue("zh_CN", path.stem).items():
            assert said.setdefault(message, string) == string, f"{path.name} says {message!r} in another way"


@pytest.mark.parametrize(
    ("chosen", "accepted", "locale"),
    [
        ("en", "zh-CN", "en"),
        ("fr", "en-GB,en;q=0.9", "en"),
        (None, "fr;q=1, en;q=0.5, zh;q=0.7", "zh_CN"),
        (None, "zh-TW", "zh_CN"),
        (None, "de", "zh_CN"),
        (None, "en;q=nonsense", "zh_CN"),
        (None, "en;q=0", "zh_CN"),
        (None, None, "zh_CN"),
    ],
)
def test_the_reader_chooses_else_the_browser_else_chinese(chosen, accepted, locale):
    assert choose_locale(chosen=chosen, accepted=accepted) == locale


def test_an_unknown_language_is_no_language():
    with pytest.raises(KeyError):
        language("xx")


def test_plurals_follow_the_language():
    assert [language("en").ngettext("%(num)s row", "%(num)s rows", count) for count in (1, 2)] == ["1 row", "2 rows"]
    assert [language("zh_CN").ngettext("%(num)s row", "%(num)s rows", count) for count in (1, 2)] == ["1 行", "2 行"]
