"""What was said with a company's card: who drove, on which order, at which reading."""

from loyalty.authorizations.queries import SaleView
from loyalty.fleet.queries.fills import said_at_the_pump
from loyalty.web.office.desk import Desk
from loyalty.web.office.parts import Facts, Part


async def said_parts(desk: Desk, one: SaleView) -> list[Part]:
    """Show it, where there is something; what named nobody stands as it was said."""
    said = await said_at_the_pump(desk.session, account_id=one.sale.account_id, sale_id=one.sale.sale_id)
    if said is None:
        return []
    _ = desk.gettext
    driver = None if said.driver_name is None else f"{said.driver_name} · {said.driver_number}"
    pairs = [
        (_("Driver"), driver or (said.driver_said and _("%(what)s, as it was said", what=said.driver_said))),
        (_("Order number"), said.order_number or (said.order_said and _("%(what)s, as it was said", what=said.order_said))),
        (_("Odometer"), None if said.odometer_km is None else f"{desk.f.count(said.odometer_km)} km"),
        (_("Number plate"), said.plate),
    ]
    kept = [(name, value) for name, value in pairs if value]
    return [Facts(title=_("Said with the card"), pairs=kept)] if kept else []
