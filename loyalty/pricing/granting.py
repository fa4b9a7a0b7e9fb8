"""What is granted: points, bonus and things, worked out on what is paid in the end."""

from loyalty.money import round_half_up

from . import calculators
from .calculators import E4
from .compiling import PlannedRule
from .conditions import Miss
from .document import Bonus, Give, Points, PointsTimes
from .running import NOTHING, Applied, Run


def grant_base(run: Run, planned: PlannedRule) -> tuple[int, int]:
    """Return the amount that a grant looks at, and what it would give; a multiplier hangs on others and is worth nothing alone."""
    effect = planned.rule.effect
    paid = run.left_minor(planned.goods)
    if isinstance(effect, Points):
        return paid, calculators.points(effect, quantity_milli=run.quantity(planned.goods), paid_minor=paid)
    if isinstance(effect, Bonus):
        return paid, calculators.bonus(effect, paid)
    return paid, effect.count if isinstance(effect, Give) else 0


def note_grant(run: Run, planned: PlannedRule) -> bool:
    """Note a grant for the end, unless it gives nothing or its caps or budget leave nothing: then another may have its place."""
    rule = planned.rule
    if isinstance(rule.effect, PointsTimes):
        group = planned.groups[0]
        worth = any(other.rule.kind == "points" and group in other.groups for other in run.grants)
    else:
        worth = grant_base(run, planned)[1] > 0
    if not worth or rule.code in run.empty:
        effect = rule.effect
        below = isinstance(effect, Bonus) and effect.bands
        run.miss(rule, Miss("below_bands", below[0].starts, "amount") if below else NOTHING)
        return False
    if rule.is_bounded or (not run.is_plain and run.rooms.get(rule.code, 0) is not None):
        room, bound = run.within_room(rule, 1)
        if room <= 0:
            run.miss(rule, bound)
            return False
    run.grants.append(planned)
    return True


def grant(run: Run) -> frozenset[str]:
    """Work out what is granted; return the rules that come to nothing after all.

    A multiplier multiplies the points before it in its group, and in the groups within that.
    """
    empty: list[str] = []
    earned: dict[str, int] = {}
    for planned in run.grants:
        rule = planned.rule
        base, wanted = grant_base(run, planned)
        if isinstance(rule.effect, PointsTimes):
            wanted = round_half_up(earned.get(planned.groups[0], 0) * (rule.effect.basis_points - E4), E4)
        given, bound = wanted, NOTHING
        if wanted > 0 and (rule.is_bounded or (not run.is_plain and run.rooms.get(rule.code, 0) is not None)):
            given, bound = run.within_room(rule, wanted)
        if given <= 0:
            run.miss(rule, bound)
            empty.append(rule.code)
            continue
        if rule.kind == "points":
            for group in planned.groups:
                earned[group] = earned.get(group, 0) + given
        if rule.budget is not None:
            run.spent[rule.budget] = run.spent.get(rule.budget, 0) + given
        run.outcome.applied.append(Applied(rule, base, wanted, given, None))
    return frozenset(empty)
