"""Two records that may be one customer: laid side by side, merged with a way back, or kept apart."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.customers import operations, queries
from loyalty.customers.queries import SuggestionView
from loyalty.errors import NotFound
from loyalty.identity.rules import Permission
from loyalty.ids import CustomerId
from loyalty.paging import Page as Found
from loyalty.web.documents import DOCUMENTS
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.customers import PATH, customer_tabs
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import CUSTOMER_KIND, SUGGESTION
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field
from loyalty.web.office.parts import Cell, Rows


@get(three("/merge-suggestions"))
async def suggestions(desk: NamedDependency[Desk]) -> Any:
    """List pairs of records that may be one customer."""
    desk.require(Permission.READ_CUSTOMERS)
    _ = desk.gettext
    listing = desk.listing("/office/merge-suggestions", "", [])
    decides = desk.may(Permission.MERGE_CUSTOMERS)

    async def fetch(cursor: str | None, limit: int) -> Found[SuggestionView]:
        return await queries.list_suggestions(desk.session, cursor=cursor, limit=limit)

    async def rows(found: Sequence[SuggestionView]) -> list[list[Cell]]:
        return [
            [
                cells.link(desk, f"{PATH}/{one.first_id}", one.first_name),
                cells.link(desk, f"{PATH}/{one.second_id}", one.second_name),
                cells.text(_(SUGGESTION[one.reason])),
                cells.when(desk, one.made_at),
                Cell(
                    desk.link(f"/office/merge-suggestions/{one.suggestion_id}?first={one.first_id}&second={one.second_id}", _("Decide"))
                    if decides
                    else "",
                    "",
                ),
            ]
            for one in found
        ]

    return await show(
        desk,
        List(
            title=_("Perhaps the same customer"),
            listing=listing,
            columns=[Column(_("One record")), Column(_("The other")), Column(_("Why")), Column(_("Since")), Column("")],
            fetch=fetch,
            rows=rows,
            empty=_("No doubtful pairs"),
            empty_then=_("The same name with the same verified document is merged by itself; everything else comes here."),
            tabs=customer_tabs(desk, "merges"),
            name="merge-suggestions",
        ),
    )


@get("/merge-suggestions/{suggestion_id:uuid}")
async def suggestion(desk: NamedDependency[Desk], suggestion_id: FromPath[UUID]) -> Page:
    """Show both records side by side."""
    desk.require(Permission.MERGE_CUSTOMERS)
    _ = desk.gettext
    first, second = desk.query.maybe_uuid("first"), desk.query.maybe_uuid("second")
    if first is None or second is None:
        raise NotFound
    sides = []
    for one in (
        await queries.get_customer(desk.session, customer_id=first),
        await queries.get_customer(desk.session, customer_id=second),
    ):
        documents = await queries.identifiers_of(desk.session, customer_id=one.customer_id)
        numbers = ", ".join(f"{_(DOCUMENTS[doc.type])} •••• {doc.tail}" for doc in documents) or "—"
        sides.append((one, numbers))
    kinds = {kind: _(label[0]) for kind, label in CUSTOMER_KIND.items()}
    lines = [
        (_("Name"), [one.name for one, _numbers in sides]),
        (_("Kind"), [kinds[one.kind] for one, _numbers in sides]),
        (_("Phone"), [one.phone or "—" for one, _numbers in sides]),
        (_("Documents"), [numbers for _one, numbers in sides]),
    ]
    since = [cells.text(desk.f.full_day(one.created_at)) for one, _numbers in sides]
    shown = [cells.link(desk, f"{PATH}/{one.customer_id}", _("Show the record")) for one, _numbers in sides]
    compared = Rows(
        title=_("The two records"),
        columns=[Column(""), Column(_("One record")), Column(_("The other")), Column(_("The same?"))],
        rows=[
            *[[cells.text(label), *[cells.text(value) for value in values], Cell(_same(desk, values), "")] for label, values in lines],
            [cells.text(_("Since")), *since, Cell("", "")],
            [Cell("", ""), *shown, Cell("", "")],
        ],
        empty="",
    )
    names = [(str(one.customer_id), f"{one.name} ({desk.f.full_day(one.created_at)})") for one, _numbers in sides]
    merge = desk.form_part(
        _("They are one customer"),
        "/office/merges",
        [
            lookups.hidden("first", first),
            lookups.hidden("second", second),
            lookups.chips("kept", _("The record that stays"), names, value=names[0][0]),
            field("reason", _("How do you know?")),
        ],
        submit=_("Merge"),
        note=_("Identity only: accounts and money stay as they are, and the merge can be undone."),
    )
    dismiss = desk.form_part(
        _("They are two"),
        f"/office/merge-suggestions/{suggestion_id}/dismiss",
        [field("reason", _("How do you know?"), id="f-reason2")],
        submit=_("Keep apart"),
        primary=False,
    )
    crumbs = [(_("Perhaps the same"), "/office/merge-suggestions"), (_("Decide"), "")]
    return await desk.page(_("One customer or two?"), main=[compared], aside=[merge, dismiss], crumbs=crumbs)


def _same(desk: Desk, values: Sequence[str]) -> Any:
    """Say whether two records agree; where one of them is silent there is nothing to compare."""
    if "—" in values:
        return ""
    return desk.tag(desk.gettext("same"), "good") if len(set(values)) == 1 else desk.tag(desk.gettext("differs"), "warn")


@post("/merges", status_code=303)
async def merge(desk: NamedDependency[Desk]) -> Page:
    """Let one record stand for both."""
    desk.require(Permission.MERGE_CUSTOMERS)
    _ = desk.gettext
    form = desk.form
    first, second, kept = (form.uuid(name, _("Record")) for name in ("first", "second", "kept"))
    reason = form.text("reason", _("How do you know?"))
    if kept not in {first, second}:
        form.fault("kept", _("The record that stays"), _("is not one of the choices"))
    form.check()
    assert first is not None
    assert second is not None
    assert kept is not None
    made = await operations.merge_customers(
        desk.session,
        kept_id=CustomerId(kept),
        merged_id=CustomerId(second if kept == first else first),
        reason=reason,
        actor=desk.actor,
        now=desk.now,
    )
    undo = f"/office/merges/{made.merge_id}/undo"
    return await desk.done(f"{PATH}/{kept}", _("Merged"), undo=undo, fields={"reason": "undo"})


@get("/merges/{merge_id:uuid}/undo")
async def ask_undo_merge(desk: NamedDependency[Desk], merge_id: FromPath[UUID]) -> Page:
    """Ask why a merge is undone."""
    desk.require(Permission.MERGE_CUSTOMERS)
    _ = desk.gettext
    del merge_id
    return await desk.ask(
        _("Undo the merge"),
        [field("reason", _("Reason"), autofocus=True)],
        submit=_("Make two of them again"),
        back=PATH,
        crumbs=[(_("Customers"), PATH), (_("Undo the merge"), "")],
        note=_("Both records stand by themselves again, and the pair is not suggested anew."),
    )


@post("/merges/{merge_id:uuid}/undo", status_code=303)
async def undo_merge(desk: NamedDependency[Desk], merge_id: FromPath[UUID]) -> Page:
    """Make two customers of one again."""
    desk.require(Permission.MERGE_CUSTOMERS)
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await operations.undo_merge(desk.session, merge_id=merge_id, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(PATH, desk.gettext("The merge is undone"))


@post("/merge-suggestions/{suggestion_id:uuid}/dismiss", status_code=303)
async def dismiss(desk: NamedDependency[Desk], suggestion_id: FromPath[UUID]) -> Page:
    """Decide that two records are two customers."""
    desk.require(Permission.MERGE_CUSTOMERS)
    reason = desk.form.text("reason", desk.gettext("How do you know?"))
    desk.form.check()
    await operations.dismiss_suggestion(desk.session, suggestion_id=suggestion_id, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done("/office/merge-suggestions", desk.gettext("Kept apart"))


handlers = [suggestions, suggestion, merge, ask_undo_merge, undo_merge, dismiss]
