"""A rule for the first fill ever gives once, whatever day the second one is on."""

from datetime import timedelta

from loyalty.pricing.document import Document, Fixed, Funder, Nth, Of, Rule, When
from loyalty.pricing.operations import publish
from tests.scenarios.telling import key, said

FIRST = Rule(
    code="first",
    name_zh="首次加油",
    name_en="The first fill",
    effect=Fixed(amount_minor=1_000),
    funders=(Funder(funder="head-office"),),
    when=When(categories=("fuel",), nth=Nth(count=1, of=Of.ACCOUNT)),
)


async def test_the_second_fill_is_told_that_it_is_the_second(house):
    book = Document(rules=(FIRST,))
    await house.perform(lambda session: publish(session, document=book, note="test", now=house.time - timedelta(days=1)))
    await house.reload()
    card = house.people.cards["personal"]
    first = said(await house.authorise(card, key=key(), quantity_milli=20_000))
    assert [one["amount"] for one in first["benefits"]] == [1_000]
    said(await house.complete(first["authorization"], key=key(), milli=20_000, price=78_900, amount=15_780))
    house.time += timedelta(days=40)
    await house.reload()
    second = said(await house.authorise(card, key=key(), quantity_milli=20_000))
    assert "benefits" not in second
    assert [(one["why"], one["have"]) for one in second["others"]] == [("nth", 2)]
