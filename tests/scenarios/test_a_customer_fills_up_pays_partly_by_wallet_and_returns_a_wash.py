"""20 litres at 7.89 with 0.20 off each, a wash for 25.00, 50.00 by WeChat; the next morning the wash is given back, and then the rest."""

from datetime import timedelta

import pytest

from loyalty.authorizations.operations.refunds import RefundExceedsSale, RefundLine, VoidNotPossible, refund_sale
from loyalty.authorizations.wire import parse_reference
from tests.scenarios.telling import counted, houses, key, money, said
from tests.simulation.house import GENERIC, broken


async def give_back(house, sale, **what):
    both = parse_reference(sale)
    place = house.snapshot.places[house.world.terminal_ids[0]]

    def work(session):
        return refund_sale(
            session,
            account_id=both[0],
            sale_id=both[1],
            place=place,
            policy=GENERIC,
            reason="rain",
            staff_id=None,
            now=house.now(),
            **what,
        )

    return (await house.perform(work)).answer


async def test_a_wash_goes_back_without_the_fuels_discount_and_the_rest_exactly(house):
    card = house.people.cards["personal"]
    sold = said(await house.sell(card, key=key(), milli=20_000, price=78_900, amount=15_780, shop=2_500, tenders=(("wechat", 5_000),)))
    assert (sold["gross_minor"], sold["discount_minor"], sold["tenders_minor"], sold["card_minor"]) == (18_280, 400, 5_000, 12_880)
    assert await money(house, card) == {"principal": (87_120, 0)}
    assert await counted(house, card) == {"2026-09-24": (12_880, 20_000, 1)}

    house.time += timedelta(days=1)
    wash = await give_back(house, sold["sale"], lines=[RefundLine(0, 2_500, 1_000)])
    assert (wash.outcome, wash.gross_minor, wash.discount_minor, wash.quantity_milli) == ("refunded", 2_500, 0, 0)
    assert wash.card_minor + wash.tenders[0].amount_minor == 2_500
    assert (wash.card_minor, wash.tenders[0].tender) == (1_801, "wechat")
    assert wash.left_minor == 15_780

    with pytest.raises(RefundExceedsSale):
        await give_back(house, sold["sale"], lines=[RefundLine(0, 1, 1)])
    with pytest.raises(VoidNotPossible):
        await give_back(house, sold["sale"], void=True)

    rest = await give_back(house, sold["sale"])
    assert (rest.gross_minor, rest.discount_minor, rest.quantity_milli, rest.left_minor) == (15_780, 400, 20_000, 0)
    assert wash.card_minor + rest.card_minor == 12_880
    assert wash.tenders[0].amount_minor + rest.tenders[0].amount_minor == 5_000
    assert await money(house, card) == {"principal": (100_000, 0)}
    assert await counted(house, card) == {"2026-09-24": (0, 0, 0)}
    sums = await houses(house)
    assert {name: total for name, total in sums.items() if total} == {"tender:cash": -530_000}
    assert await broken(house) == []
