"""The access review: who may do what, where, and since when."""

from collections.abc import Sequence
from typing import Any

from litestar import get
from litestar.di import NamedDependency

from loyalty.identity import queries
from loyalty.identity.model import Role
from loyalty.identity.queries import StaffView
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk
from loyalty.web.office.frame import ROLES
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import select
from loyalty.web.office.parts import Cell
from loyalty.web.office.staff import PATH, scope_name, staff_tabs


@get(three("/access"))
async def access(desk: NamedDependency[Desk]) -> Any:
    """List who may do what, where, since when: for the review that somebody signs."""
    reachable = desk.reachable(Permission.READ_STAFF)
    _ = desk.gettext
    listing = desk.listing("/office/access", "", ["role"])
    places = await lookups.places(desk)
    wanted = desk.query.maybe("role", Role)

    async def fetch(cursor: str | None, limit: int) -> Found[StaffView]:
        return await queries.list_staff(desk.session, stations=reachable, now=desk.real_now, cursor=cursor, limit=limit)

    async def rows(found: Sequence[StaffView]) -> list[list[Cell]]:
        return [
            [
                cells.link(desk, f"{PATH}/{one.staff_id}", one.name),
                cells.text(one.employee_number),
                cells.text(_(ROLES[role.role])),
                cells.text(await scope_name(desk, role, places)),
                cells.when(desk, role.valid_from),
                cells.when(desk, role.valid_to),
                cells.text(one.log_in_name),
                Cell(_yes(desk, one), one.second_factor),
            ]
            for one in found
            for role in one.roles
            if wanted is None or role.role is wanted
        ]

    roles = [(role.value, _(label)) for role, label in ROLES.items()]
    return await show(
        desk,
        List(
            title=_("Access review"),
            sub=_("Who may do what, where, and since when"),
            listing=listing,
            columns=[
                Column(_("Name")),
                Column(_("Number")),
                Column(_("Role")),
                Column(_("Scope")),
                Column(_("From")),
                Column(_("To")),
                Column(_("Log-in")),
                Column(_("Second factor")),
            ],
            fetch=fetch,
            rows=rows,
            filters=[select("role", _("Role"), roles, value=listing.filters["role"], blank=_("All"), required=False)],
            tabs=staff_tabs(desk, "access"),
            empty=_("Nobody has such a role"),
            name="access-review",
        ),
    )


def _yes(desk: Desk, one: StaffView) -> Any:
    _ = desk.gettext
    if one.log_in_name is None:
        return "—"
    return desk.tag(_("set up"), "good") if one.second_factor else desk.tag(_("not yet"), "warn")


handlers = [access]
