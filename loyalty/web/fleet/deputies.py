"""Who answers the pump where the manager is silent."""

from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency

from loyalty.fleet.operations.approvals import name_deputies
from loyalty.fleet.queries.watching import deputies_of
from loyalty.identity.portal_rules import FLEET_PERMISSIONS, FleetPermission
from loyalty.web.desk import Page
from loyalty.web.fleet import queries
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.labels import ROLE
from loyalty.web.office.lookups import chips

_MANAGE = FleetPermission.MANAGE_PEOPLE
_PATH = "/fleet/people/deputies"


async def _who_could(fleet: FleetDesk) -> list[queries.PersonView]:
    found = await queries.list_people(fleet.session, company_id=fleet.company_id)
    return [one for one in found if one.disabled_at is None and FleetPermission.RELEASE_LIMITS in FLEET_PERMISSIONS[one.role]]


@get("/people/deputies")
async def ask(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask who stands in."""
    fleet.offer(_MANAGE)
    _ = fleet.gettext
    named = await deputies_of(fleet.session, company_id=fleet.company_id)
    options: Any = [(str(one.user_id), one.name, _(ROLE[one.role])) for one in await _who_could(fleet)]
    note = _(
        "Who is chosen may answer the pump only after the manager was silent for %(minutes)s minutes; who is not, at once.",
        minutes=round(fleet.company.deputy_after_s / 60),
    )
    people = _("People")
    return await fleet.ask(
        _("Deputies"),
        [chips("deputy", _("Stand in for the manager"), options, many=True, value=[str(one) for one in named])],
        submit=_("Save"),
        note=note,
        back="/fleet/people",
        crumbs=[(people, "/fleet/people"), (_("Deputies"), "")],
    )


@post("/people/deputies", status_code=303)
async def save(fleet: NamedDependency[FleetDesk]) -> Page:
    """Say who stands in; a name that is not among those who could is left out."""
    fleet.require(_MANAGE)
    could = {str(one.user_id) for one in await _who_could(fleet)}
    chosen = [UUID(one) for one in fleet.form.many("deputy") if one in could]
    await name_deputies(fleet.session, company_id=fleet.company_id, user_ids=chosen, actor=fleet.actor, now=fleet.now)
    return await fleet.done("/fleet/people", fleet.gettext("Saved"))


handlers = [ask, save]
