"""The receipt of points spent: what they bought, and what is left."""

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.wire import reference
from loyalty.cards.queries import get_card
from loyalty.ledger.queries import get_account
from loyalty.rewards.model_gifts import EntitlementStatus
from loyalty.rewards.queries.redeeming import Bought, points_of_card
from loyalty.web.cashier.receipts import Scribe, Slip, begin_slip


async def points_slip(scribe: Scribe, session: AsyncSession, bought: Bought) -> Slip:
    """Write the receipt of a redemption; what is left is said as of now."""
    _, f = scribe.gettext, scribe.f
    made, right = bought
    tail = (await get_card(session, card_id=made.card_id)).number_tail if made.card_id is not None else None
    slip = await begin_slip(scribe, session, _("Points redeemed"), made.spent_at, tail, reference(made.account_id, made.redemption_id))
    told = _("%(points)s points", points=f.count(made.points))
    if right is None:
        slip.lines.append((made.purpose, "", told))
    else:
        slip.lines.append((scribe.either(right.name_zh, right.name_en), f"× {right.pieces}", told))
    slip.totals.append((_("Points spent"), told, True))
    if made.card_id is not None:
        account = await get_account(session, account_id=made.account_id)
        left = await points_of_card(session, account=account, card_id=made.card_id, now=f.now)
        slip.after.append((_("Points left now"), f.count(left.available)))
    if made.returned_at is not None:
        slip.notes.append(_("Undone %(time)s: the points are back.", time=f.instant(made.returned_at)))
    elif right is not None and right.status is EntitlementStatus.HANDED_OUT:
        slip.notes.append(_("Handed over and signed for."))
    elif right is not None and right.reserved_until is not None:
        slip.notes.append(_("Set aside here until %(time)s.", time=f.instant(right.reserved_until)))
    return slip
