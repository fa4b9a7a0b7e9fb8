"""What redeeming without a network may cost with a partner, and what it did: on the partner's page."""

from loyalty.web.office.desk import Desk
from loyalty.web.office.parts import Facts, Part
from partners.queries.alliances import AgreementView, PartnerView
from partners.queries.offline import standing_offline


async def offline_part(desk: Desk, one: PartnerView, holds: AgreementView | None) -> list[Part]:
    """Return the bound on loss in words and money, and the losses so far; nothing where nothing is agreed for offline."""
    if holds is None or holds.terms.offline is None:
        return []
    _, agreed = desk.gettext, holds.terms.offline
    stands = await standing_offline(desk.session, partner_id=one.partner_id, agreed=agreed, now=desk.now)
    bound = desk.f.money(stands.bound_minor, one.currency)
    each = desk.f.money(stands.bound_minor // stands.outlets if stands.outlets else 0, one.currency)
    pairs = [
        (_("At most used twice"), _("%(bound)s: %(outlets)s outlets × %(each)s", bound=bound, outlets=stands.outlets, each=each)),
        (_("A voucher worth at most"), desk.f.money(agreed.worth_minor, one.currency)),
        (_("Outlets that may be offline now"), str(stands.open_leases)),
        (_("Told so far"), _("%(told)s, of them %(refused)s refused", told=stands.told, refused=stands.refused)),
        (_("Used twice so far"), f"{stands.losses} · {desk.f.money(stands.loss_minor, one.currency)}"),
        (_("Beyond a budget"), str(stands.over_budget)),
    ]
    return [Facts(title=_("Without a network"), pairs=pairs)]
