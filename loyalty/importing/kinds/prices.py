"""Prices of a former system: published as they stood, also in the past."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.importing.faults import Fault
from loyalty.importing.queries import our_ids, product_codes
from loyalty.importing.values import Field, Kind
from loyalty.stations.operations import publish_prices
from loyalty.stations.rules import PRICE_SENTENCES, PriceRow

from .base import Context, KindOfRow, Results, Row, Taken
from .places import stands

FIELDS = {
    "station": Field(required=True),
    "product": Field(required=True),
    "unit_price": Field(Kind.E4, required=True),
    "effective_from": Field(Kind.INSTANT, required=True),
    "currency": Field(),
}


async def take(session: AsyncSession, context: Context, rows: Sequence[Row]) -> Results:
    """Publish the prices that are not there; a line that contradicts what stands is rejected, the others go on."""
    results: Results = {}
    places = await stands(session, context, ((row.values["station"], row.values["currency"]) for row in rows))
    legacy = {row.values["product"] for row in rows}
    known = await our_ids(session, source=context.source, kind="products", legacy_ids=sorted(legacy))
    codes = await product_codes(session, product_ids=list(known.values()))
    wanted = []
    for row in rows:
        place = places[row.values["station"], row.values["currency"]]
        if isinstance(place, Fault):
            results[row.line] = place
            continue
        product = row.values["product"]
        wanted.append(
            PriceRow(
                line=row.line,
                station_code=place.code,
                product_code=codes[known[product]] if product in known else product,
                unit_price_e4=row.values["unit_price"],
                effective_from=row.values["effective_from"],
                currency=place.currency,
            )
        )
    published = await publish_prices(session, rows=wanted, actor=context.actor, now=context.now, historical=True, skip_problems=True)
    notes = {note.line: PRICE_SENTENCES[note.code][1] for note in published.warnings}
    results |= {row.line: Taken(None, notes.get(row.line, "")) for row in wanted}
    for note in published.problems:
        zh, en = PRICE_SENTENCES[note.code]
        results[note.line] = Fault("refused", "", zh=zh, en=en)
    return results


KIND = KindOfRow(FIELDS, take)
