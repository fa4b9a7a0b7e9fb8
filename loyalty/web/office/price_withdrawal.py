"""A published price is taken back before it has had an effect."""

from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.errors import NotFound
from loyalty.identity.rules import Permission
from loyalty.stations import operations, queries
from loyalty.stations.queries import PriceView
from loyalty.web.office import lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.parts import Facts
from loyalty.web.office.prices import PATH


@get("/prices/{price_id:uuid}/withdraw")
async def ask_withdraw(desk: NamedDependency[Desk], price_id: FromPath[UUID]) -> Page:
    """Ask once before a published price is taken back."""
    desk.offer(Permission.PUBLISH_PRICES)
    _ = desk.gettext
    one = await _coming_price(desk, price_id)
    if one is None:
        raise NotFound
    desk.offer(Permission.PUBLISH_PRICES, one.station_id)
    price = desk.f.unit_price(one.unit_price_e4, one.currency, one.unit.value)
    facts = Facts(
        title=_("Published for later"),
        pairs=[
            (_("Station"), desk.either(one.station_name_zh, one.station_name_en)),
            (_("Product"), lookups.product_name(desk, one.product_code, one.product_name_zh, one.product_name_en)),
            (
                _("Takes effect"),
                f"{desk.f.instant(one.effective_from)} ({desk.f.duration(int((one.effective_from - desk.now).total_seconds()))})",
            ),
        ],
        total=(_("Price"), price),
    )
    return await desk.ask(
        _("Withdraw this price?"),
        [],
        submit=_("Withdraw"),
        danger=True,
        amount=price,
        back=PATH,
        crumbs=[(_("Prices"), PATH), (_("Withdraw"), "")],
        note=_("It has had no effect yet; the price before it stays in force."),
        top=[facts],
    )


async def _coming_price(desk: Desk, price_id: UUID) -> PriceView | None:
    """Return a price that has had no effect yet and was not withdrawn."""
    found = await queries.list_prices(desk.session, effective_since=desk.now, limit=200)
    return next((one for one in found.rows if one.price_id == price_id and one.withdrawn_at is None), None)


@post("/prices/{price_id:uuid}/withdraw", status_code=303)
async def withdraw(desk: NamedDependency[Desk], price_id: FromPath[UUID]) -> Page:
    """Take a price back that has had no effect yet."""
    one = await _coming_price(desk, price_id)
    desk.require(Permission.PUBLISH_PRICES, one.station_id if one else None)
    await operations.withdraw_price(desk.session, price_id=price_id, actor=desk.actor, now=desk.now)
    return await desk.done(PATH, desk.gettext("Withdrawn"))


handlers = [ask_withdraw, withdraw]
