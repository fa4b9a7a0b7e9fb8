"""Why a row is not taken, in both languages; what, why, what to do next."""

from collections.abc import Mapping
from typing import Final

SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("缺少 {field}，请补充。", "{field} is missing: fill it in."),
    "no_such_column": ("文件中没有列“{column}”，请核对映射文件。", 'The file has no column "{column}": check the mapping file.'),
    "not_listed": ("{field}“{value}”不在对照表中，请补充映射。", '{field} "{value}" is not in the look-up table: add it to the mapping.'),
    "not_a_number": ("{field}“{value}”不是数字。", '{field} "{value}" is not a number.'),
    "too_fine": ("{field}“{value}”小数位过多。", '{field} "{value}" has more decimals than its unit.'),
    "divided_by_zero": ("{field} 的除数为零。", "{field}: the divisor is zero."),
    "not_a_date": ("{field}“{value}”不是有效日期或时间。", '{field} "{value}" is not a date or time of the stated format.'),
    "no_such_time": (
        "{field}“{value}”在该时区不存在（夏令时切换）。",
        '{field} "{value}" does not exist in its zone (clocks went forward).',
    ),
    "not_a_choice": ("{field}“{value}”应为：{choices}。", '{field} "{value}" should be one of: {choices}.'),
    "unknown_zone": ("时区“{value}”不存在。", 'There is no time zone "{value}".'),
    "unknown_currency": ("不支持币种“{value}”。", 'The currency "{value}" is not supported.'),
    "negative": ("{field} 不能为负数。", "{field} cannot be negative."),
    "not_positive": ("{field} 必须大于零。", "{field} must be above zero."),
    "id_twice": ("编号在文件中出现两次且内容不同。", "The id stands twice in the file, with different contents."),
    "no_id": ("没有编号。", "The row has no id."),
    "unknown_customer": ("没有客户“{value}”，请先导入客户。", 'There is no customer "{value}": import customers first.'),
    "unknown_station": ("没有油站“{value}”，请先导入油站。", 'There is no station "{value}": import stations first.'),
    "unknown_product": ("没有商品“{value}”，请先导入商品。", 'There is no product "{value}": import products first.'),
    "unknown_card_product": ("没有卡产品“{value}”。", 'There is no card product "{value}": make it, or name it in the mapping\'s setup.'),
    "unknown_card": ("没有卡“{value}”，请先导入账户。", 'There is no card "{value}": import accounts first.'),
    "unknown_entity": ("没有法人“{value}”。", 'There is no legal entity "{value}".'),
    "unknown_district": ("没有片区“{value}”。", 'There is no district "{value}".'),
    "card_number_taken": ("卡号已被使用。", "There already is a card of this number."),
    "card_number_not_sound": ("卡号应为 8 至 24 位数字。", "A card number has 8 to 24 digits."),
    "holder_does_not_fit": ("客户类型与卡产品不符。", "The customer is not of the card product's kind."),
    "plate_needed": ("车队卡须绑定车牌。", "A fleet card needs its vehicle's plate."),
    "vehicle_has_card": ("该车牌已有车队卡。", "This vehicle already has a living fleet card."),
    "currency_differs": ("币种 {value} 与{of}的 {wanted} 不一致。", "The currency {value} is not that of the {of} ({wanted})."),
    "receipt_differs": ("同一小票的卡、油站或币种不一致。", "Lines of one receipt differ in card, station or currency."),
    "refused": ("{zh}", "{en}"),
}


class Fault(Exception):  # noqa: N818 - a row's result, raised only inside its own reading
    """What is wrong with one row: a stable code, the field, and what fills the sentences."""

    def __init__(self, code: str, field: str = "", **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.field = field
        self.facts = {"field": field, **facts}

    @property
    def zh(self) -> str:
        """Say it in Chinese."""
        return SENTENCES[self.code][0].format(**self.facts)

    @property
    def en(self) -> str:
        """Say it in English."""
        return SENTENCES[self.code][1].format(**self.facts)
