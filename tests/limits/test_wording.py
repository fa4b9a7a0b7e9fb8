"""Every name a judgement can give has words in both languages."""

import pytest

from loyalty.limits.model import LimitKind, Window
from loyalty.limits.wording import limit_label

WINDOWED = {LimitKind.AMOUNT, LimitKind.QUANTITY, LimitKind.COUNT}
NAMES = [kind.value for kind in LimitKind if kind not in WINDOWED] + [f"{window}.{kind}" for window in Window for kind in sorted(WINDOWED)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_every_limit_has_its_words(name, language):
    label = limit_label(name, language)
    assert label
    assert "." not in label
    assert label.isascii() is (language == "en")


def test_a_name_of_another_room_is_left_alone():
    assert limit_label("terminal", "zh") == "terminal"
    assert limit_label("day.amount", "zh_CN") == "每日金额上限"
    assert limit_label("day.amount", "en") == "amount per day"
