"""Every status × status of the room's transition tables."""

from itertools import product

import pytest

from loyalty.topups.model import (
    ADJUSTMENT_MOVES,
    CLOSURE_MOVES,
    FREEZE_MOVES,
    PURCHASE_MOVES,
    TOPUP_MOVES,
    AdjustmentStatus,
    ClosureStatus,
    FreezeStatus,
    PurchaseStatus,
    TopupStatus,
)
from loyalty.topups.operations import CannotMove
from loyalty.topups.operations.traces import require_move

TABLES = [
    (TOPUP_MOVES, TopupStatus),
    (PURCHASE_MOVES, PurchaseStatus),
    (ADJUSTMENT_MOVES, AdjustmentStatus),
    (FREEZE_MOVES, FreezeStatus),
    (CLOSURE_MOVES, ClosureStatus),
]
PAIRS = [(moves, present, to) for moves, statuses in TABLES for present, to in product(statuses, statuses)]


@pytest.mark.parametrize(("moves", "statuses"), TABLES)
def test_every_status_has_its_row_of_moves_and_none_leads_to_itself(moves, statuses):
    assert set(moves) == set(statuses)
    assert not [status for status in statuses if status in moves[status]]


@pytest.mark.parametrize(("moves", "present", "to"), PAIRS)
def test_only_what_the_table_says_is_a_move(moves, present, to):
    if to in moves[present]:
        require_move(moves, present, to)
    else:
        with pytest.raises(CannotMove) as refused:
            require_move(moves, present, to)
        assert refused.value.facts == {"status": present.value, "to": to.value}


@pytest.mark.parametrize(
    ("moves", "ends"), [(TOPUP_MOVES, 4), (PURCHASE_MOVES, 2), (ADJUSTMENT_MOVES, 3), (FREEZE_MOVES, 2), (CLOSURE_MOVES, 3)]
)
def test_every_life_has_its_ends(moves, ends):
    assert sum(not to for to in moves.values()) == ends
