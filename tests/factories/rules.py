"""Rules put live at once, for tests that are about something else."""

from loyalty.pricing.document import Funder, PerUnit, Rule, When
from loyalty.pricing.operations import publish_rule


async def litre_off(session, *, rate_e4, now, code="standing", funder="head-office", card_product="personal", currency="CNY", **validity):
    """Take so much off a litre for one card product (None: for all); return the rulebook's number."""
    rule = Rule(
        code=code,
        name_zh="每升优惠",
        name_en="Per litre",
        effect=PerUnit(rate_e4=rate_e4),
        funders=(Funder(funder=funder),),
        when=When(categories=("fuel",), card_products=() if card_product is None else (card_product,)),
        currency=currency,
    )
    return await publish_rule(session, rule=rule, now=now, **validity)
