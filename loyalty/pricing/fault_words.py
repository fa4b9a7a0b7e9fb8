"""What can be wrong with a rulebook, in words: what it is, and what to do. The codes are stable; the fields are filled by `str.format`."""

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "code_twice": ("代码“{value}”用了两次。请改用另一个代码。", 'The code "{value}" is used twice. Choose another.'),
    "code_reserved": ("代码“{value}”保留给总组。请改用另一个代码。", 'The code "{value}" belongs to the outermost group. Choose another.'),
    "unknown_currency": (
        "系统不认识货币“{value}”。请用 CNY 这样的 ISO 4217 代码。",
        'The currency "{value}" is not known. Use an ISO 4217 code such as CNY.',
    ),
    "unknown_group": ("没有分组“{value}”。请先建立该分组或另选一个。", 'There is no group "{value}". Make it first, or choose another.'),
    "unknown_budget": ("没有预算“{value}”。请先建立该预算或另选一个。", 'There is no budget "{value}". Make it first, or choose another.'),
    "unknown_campaign": (
        "没有活动“{value}”。请先建立该活动或另选一个。",
        'There is no campaign "{value}". Make it first, or choose another.',
    ),
    "unknown_station": ("没有代码为“{value}”的油站。请核对油站代码。", 'There is no station "{value}". Check its code.'),
    "unknown_district": ("没有代码为“{value}”的片区。请核对片区代码。", 'There is no district "{value}". Check its code.'),
    "unknown_region": ("没有代码为“{value}”的大区。请核对大区代码。", 'There is no region "{value}". Check its code.'),
    "unknown_card_product": ("没有代码为“{value}”的卡产品。请核对代码。", 'There is no card product "{value}". Check its code.'),
    "unknown_product": ("没有代码为“{value}”的商品。请核对商品代码。", 'There is no product "{value}". Check its code.'),
    "unknown_category": (
        "没有类别“{value}”。可用 fuel、shop、油品种类或便利店类别。",
        'There is no category "{value}". Use fuel, shop, a kind of fuel or a shop category.',
    ),
    "unknown_tier": ("没有会员等级“{value}”。请核对等级代码。", 'There is no tier "{value}". Check its code.'),
    "unknown_gift": ("礼品目录里没有“{value}”。请先登记该礼品。", 'The catalogue has no gift "{value}". Enter it there first.'),
    "unknown_voucher": ("没有券种“{value}”。请先建立该券种。", 'There is no kind of voucher "{value}". Make it first.'),
    "unknown_account_kind": (
        "没有账户类型“{value}”。可用 personal、anonymous、company。",
        'There is no kind of account "{value}". Use personal, anonymous or company.',
    ),
    "unknown_tender": ("没有支付方式“{value}”。可用：{known}。", 'There is no tender "{value}". Use one of: {known}.'),
    "twice": ("“{value}”写了两次。请删去一个。", '"{value}" stands there twice. Take one out.'),
    "groups_in_a_circle": (
        "分组互相包含：{value}。请把其中一个移到外层。",
        "These groups contain each other: {value}. Move one of them out.",
    ),
    "empty_validity": (
        "结束时间不晚于开始时间，永远不会生效。请改正。",
        "It ends no later than it starts, so it never holds. Correct the times.",
    ),
    "instant_without_zone": (
        "时间没有写时区。请写成 2026-10-01T00:00:00+08:00。",
        "The time names no zone. Write 2026-10-01T00:00:00+08:00.",
    ),
    "least_above_most": (
        "下限高于上限，没有交易能满足。请改正。",
        "The least is above the most, so nothing can meet it. Correct one of them.",
    ),
    "hours_equal": ("时段的开始与结束相同。请写出两个不同的时刻。", "The part of the day begins when it ends. Give two different times."),
    "starts_at_24": ("时段不能从 24:00 开始。请写 00:00。", "A part of the day cannot begin at 24:00. Write 00:00."),
    "birthday_both": (
        "生日条件要么整月，要么按前后天数。请只留一种。",
        "A birthday counts for the whole month or for days around it. Keep one.",
    ),
    "nth_in_transaction": (
        "第几次不能在一笔交易内计数。请选日、周、月或始终。",
        "Transactions cannot be counted within one. Choose day, week, month or ever.",
    ),
    "basis_after_grant": (
        "积分、赠金和礼品不减少金额，没有“优惠后”的金额可比。请选“优惠前”或“原价”。",
        "Points, bonus and gifts take nothing off, so nothing is left after them. Choose the initial amount or what is left before.",
    ),
    "percent_of_after": (
        "百分比不能按优惠后的金额计算。请选原价或优惠前。",
        "A percentage cannot be of what is left after it. Choose initial or before.",
    ),
    "bands_not_rising": (
        "各档起点必须逐档升高。请按从低到高排列。",
        "Each band must start above the one before. Put them in rising order.",
    ),
    "band_one_worth": (
        "每档只能写一种：每单位、百分比或金额。请只留一个。",
        "A band is worth exactly one of a rate, a percentage and an amount. Keep one.",
    ),
    "band_rate_in_bonus": (
        "赠金档位不能按每单位计。请用金额或百分比。",
        "A bonus band cannot be a rate per unit. Use an amount or a percentage.",
    ),
    "amount_in_marginal": (
        "超额累进只能用每单位或百分比，不能用整笔金额。请改用其中一种，或改为整体阶梯。",
        "A marginal ladder takes rates and percentages only. Use one of these, or let the band reached count for everything.",
    ),
    "rate_on_money_slices": (
        "按金额超额累进时不能用每单位优惠。请用百分比，或按数量分档。",
        "Slices of money have no units for a rate. Use percentages, or let the ladder go by quantity.",
    ),
    "bundle_one_amount": (
        "组合优惠要么减金额，要么减百分比。请只写一个。",
        "A bundle takes off exactly one of an amount and a percentage. Give one.",
    ),
    "part_without_goods": ("组合中的每一部分都要写明商品或类别。", "Each part of a bundle names its products or categories."),
    "bonus_one_amount": (
        "赠金只能写一种：金额、百分比或分档。请只留一个。",
        "A bonus is exactly one of an amount, a percentage and bands. Keep one.",
    ),
    "several_without_bands": (
        "没有分档，无需规定多档如何计算。请去掉或补上分档。",
        "Without bands there is nothing to say about several. Take it out, or give bands.",
    ),
    "repeat_from_nothing": ("可重复计算的档位，起点必须大于 0。", "A band that repeats must start above 0."),
    "points_both_steps": ("积分要么按数量，要么按金额。请只留一个。", "Points go by quantity or by amount. Keep one."),
    "nothing_to_multiply": (
        "同组内排在它前面的规则没有积分，翻倍没有对象。请移到同一组积分规则之后。",
        "No rule before it in its group gives points. Put it after one that does, in the same group.",
    ),
    "units_differ": (
        "按每单位计算，但所选商品的单位不同（{value}）。请用商品或类别限定为同一单位。",
        "It counts by unit, yet its goods are sold by {value}. Narrow them by product or category to one unit.",
    ),
    "quantity_on_topup": (
        "充值没有数量，不能按每单位计算。请改用金额、百分比或分档，或去掉充值渠道。",
        "A top-up has no quantity. Use an amount, a percentage or bands by amount, or leave the top-up channel out.",
    ),
    "goods_on_topup": (
        "充值没有商品，限定商品后永远不会生效。请去掉商品条件，或去掉充值渠道。",
        "A top-up has no goods, so a rule about goods never applies to it. Leave the goods out, or the top-up channel.",
    ),
    "cap_without_bound": ("上限没有写金额也没有写次数。请至少写一个。", "The cap names neither an amount nor a number of times. Give one."),
    "times_in_transaction": (
        "一笔交易内不能限制次数。请写金额，或换成日、周、月。",
        "Times cannot be capped within one transaction. Give an amount, or a longer window.",
    ),
    "cap_twice": ("同一对象、同一周期写了两个上限。请合并为一个。", "Two caps are of the same kind and window. Make them one."),
    "group_cap_times": (
        "分组上限只限制优惠金额，不限制次数。请写金额。",
        "A group's cap binds the sum of its discounts, not times. Give an amount.",
    ),
    "funder_twice": ("承担方“{value}”写了两次。请合并份额。", 'The funder "{value}" stands there twice. Add up the parts.'),
    "budget_unit": (
        "预算“{value}”按{unit_zh}计，这条规则给的是{given_zh}。请换一个预算。",
        'The budget "{value}" counts {unit_en}, but this rule gives {given_en}. Choose another budget.',
    ),
    "budget_currency": (
        "预算“{value}”的货币不同。请换一个同币种的预算。",
        'The budget "{value}" is in another currency. Choose one in the rule\'s own.',
    ),
    "currency_without_money": ("积分或件数的预算没有货币。请去掉货币。", "A budget of points or pieces has no currency. Leave it out."),
    "budget_below_used": (
        "预算总额低于已用和预留的 {value}。请不要低于此数。",
        "The total is below the {value} already used or set aside. Keep it at that at least.",
    ),
    "budget_unit_changed": (
        "这个预算已按{unit_zh}使用过，单位和货币不能再改。请用新的预算代码。",
        "This budget has been used in {unit_en}; its unit and currency stay. Use a new code.",
    ),
    # Warnings: allowed, but hardly meant.
    "over": (
        "有效期已过，不会再生效。可以删去，或改结束时间。",
        "Its time is over, so it never applies again. Take it out, or change its end.",
    ),
    "outside_campaign": (
        "有效期与活动“{value}”没有重叠，永远不会生效。",
        'Its time and that of the campaign "{value}" do not meet, so it never applies.',
    ),
    "all_excluded": ("选中的商品全被排除，永远不会生效。", "All its goods are excluded, so it never applies."),
    "no_such_place": (
        "所选油站不在所选片区或大区内，永远不会生效。",
        "None of its stations lies in its districts or regions, so it never applies.",
    ),
    "currency_nowhere": ("所选油站都不用货币 {value}，永远不会生效。", "None of its stations trades in {value}, so it never applies."),
    "basis_unused": ("没有金额门槛，“比较哪个金额”不起作用。", "Without an amount to compare, its basis does nothing."),
    "exclusive_unused": ("该组只取一条规则，“独占”不起作用。", "Its group keeps one member only, so being exclusive changes nothing."),
    "empty_group": ("分组里没有规则。", "There is no rule in this group."),
    "unused_budget": ("没有规则使用这个预算。", "No rule draws on this budget."),
    "unused_campaign": ("没有规则属于这个活动。", "No rule belongs to this campaign."),
    "nothing_enabled": ("没有启用任何规则：生效后将没有优惠。", "No rule is enabled: once this is live, nothing is given."),
}

UNITS: Final[Mapping[str, tuple[str, str]]] = {
    "minor": ("金额", "money"),
    "points": ("积分", "points"),
    "piece": ("件数", "pieces"),
}
"""What budgets count, for `budget_unit`."""
