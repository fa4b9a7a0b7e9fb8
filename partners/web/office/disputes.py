"""A line that is disputed: evidence, an answer by one person, the decision of another, the line that puts it right."""

from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity.rules import Permission
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import area, field, file
from loyalty.web.office.parts import Act
from partners.model_settlement import DisputeStatus
from partners.operations.files import add_evidence
from partners.operations.settlement import DISPUTE_STANDS, answer_dispute, decide_dispute, open_dispute
from partners.queries.alliances import PartnerView, get_partner
from partners.queries.payment import files_of
from partners.queries.settlement import DisputeView, get_dispute
from partners.web.office.common import allowed, base_of, crumbs_of, name_of, offered
from partners.web.statements import ACCEPT, dispute_facts, dispute_fields, evidence_part, plain, typed_dispute, typed_file

_ONE = "/partners/{partner_id:uuid}/disputes/{dispute_id:uuid}"
_LONGEST = 1_000


def _base(partner_id: UUID, dispute_id: UUID) -> str:
    return f"{base_of(partner_id)}/disputes/{dispute_id}"


async def _both(desk: Desk, partner_id: UUID, dispute_id: UUID) -> tuple[PartnerView, DisputeView]:
    one = await get_partner(desk.session, partner_id=partner_id)
    return one, await get_dispute(desk.session, dispute_id=dispute_id, partner_id=partner_id)


def _crumbs(desk: Desk, one: PartnerView, dispute: DisputeView, title: str) -> list[tuple[str, str]]:
    label = desk.gettext("Dispute of line %(number)s", number=dispute.number)
    return crumbs_of(desk, one, (label, _base(one.partner_id, dispute.dispute_id)), (title, ""))


@get("/partners/{partner_id:uuid}/lines/{number:int}/dispute")
async def ask_dispute(desk: NamedDependency[Desk], partner_id: FromPath[UUID], number: FromPath[int]) -> Page:
    """Ask what a partner that called, or the office itself, disputes of a line."""
    one = await offered(desk, partner_id)
    title = desk.gettext("Dispute line %(number)s", number=number)
    back = f"{base_of(partner_id)}/lines"
    return await desk.ask(title, dispute_fields(desk), submit=title, back=back, crumbs=crumbs_of(desk, one, (title, "")), upload=True)


@post("/partners/{partner_id:uuid}/lines/{number:int}/dispute", status_code=303)
async def dispute_line(desk: NamedDependency[Desk], partner_id: FromPath[UUID], number: FromPath[int]) -> Page:
    """Open the dispute, with its first file."""
    one = await allowed(desk, partner_id)
    typed, paper = await typed_dispute(desk, one.currency)
    made = await open_dispute(desk.session, partner_id=partner_id, number=number, **typed, actor=desk.actor, now=desk.now)
    if paper is not None:
        await add_evidence(desk.session, partner_id=partner_id, dispute_id=made, paper=paper, actor=desk.actor, now=desk.now)
    return await desk.done(_base(partner_id, made), desk.gettext("The dispute is open."))


@get(_ONE)
async def dispute(desk: NamedDependency[Desk], partner_id: FromPath[UUID], dispute_id: FromPath[UUID]) -> Page:
    """Show what is said, what was shown for it, and what comes next."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    one, found = await _both(desk, partner_id, dispute_id)
    base = _base(partner_id, dispute_id)
    title = _("Dispute of line %(number)s", number=found.number)
    files = await files_of(desk.session, partner_id=partner_id, dispute_id=dispute_id)
    add = f"{base}/evidence" if found.status in DISPUTE_STANDS and desk.may(Permission.EDIT_ALLIANCES) else ""
    return await desk.page(
        title,
        sub=name_of(desk, one),
        crumbs=crumbs_of(desk, one, (title, "")),
        acts=_acts(desk, found, base),
        main=[
            dispute_facts(desk, found, one.currency, line_href=f"{base_of(partner_id)}/lines?month=all"),
            evidence_part(desk, files, base=base_of(partner_id), add=add),
        ],
    )


def _acts(desk: Desk, found: DisputeView, base: str) -> list[Act | None]:
    _ = desk.gettext
    if found.status is DisputeStatus.OPEN and desk.may(Permission.EDIT_ALLIANCES):
        return [
            Act(_("Propose an adjustment"), f"{base}/propose", primary=True),
            Act(_("Reject the dispute"), f"{base}/reject", danger=True),
        ]
    if found.status is DisputeStatus.PROPOSED and desk.may(Permission.APPROVE_ALLIANCES) and found.proposed_by != desk.principal.staff_id:
        return [Act(_("Agree to the adjustment"), f"{base}/agree", primary=True), Act(_("Send it back"), f"{base}/send-back")]
    return []


@get([f"{_ONE}/propose", f"{_ONE}/reject"])
async def ask_answer(desk: NamedDependency[Desk], partner_id: FromPath[UUID], dispute_id: FromPath[UUID]) -> Page:
    """Ask for the answer that the partner reads."""
    await offered(desk, partner_id)
    _ = desk.gettext
    one, found = await _both(desk, partner_id, dispute_id)
    proposes = desk.act == "propose"
    title = _("Propose an adjustment") if proposes else _("Reject the dispute")
    signed = _("With a minus: the partner gets less")
    fields = (
        [field("amount", _("The partner gets"), value=plain(found.wanted_minor, one.currency), num=True, help=signed)] if proposes else []
    )
    fields.append(area("answer", _("Answer, as the partner reads it"), rows=3))
    note = _("Another person decides it; a new line then puts the disputed one right.") if proposes else ""
    back, crumbs = _base(partner_id, dispute_id), _crumbs(desk, one, found, title)
    aside = [dispute_facts(desk, found, one.currency, line_href=f"{base_of(partner_id)}/lines?month=all")]
    return await desk.ask(title, fields, submit=title, back=back, crumbs=crumbs, note=note, danger=not proposes, aside=aside)


@post([f"{_ONE}/propose", f"{_ONE}/reject"], status_code=303)
async def answer(desk: NamedDependency[Desk], partner_id: FromPath[UUID], dispute_id: FromPath[UUID]) -> Page:
    """Answer it."""
    await allowed(desk, partner_id)
    _, form = desk.gettext, desk.form
    one, _found = await _both(desk, partner_id, dispute_id)
    adjust = form.money("amount", _("The partner gets"), one.currency, low=-(10**12)) if desk.act == "propose" else None
    said = form.text("answer", _("Answer, as the partner reads it"), longest=_LONGEST)
    form.check()
    await answer_dispute(desk.session, dispute_id=dispute_id, adjust_minor=adjust, answer=said, actor=desk.actor, now=desk.now)
    done = _("Rejected, with the reason.") if adjust is None else _("Proposed; another person decides it.")
    return await desk.done(_base(partner_id, dispute_id), done)


@get([f"{_ONE}/agree", f"{_ONE}/send-back"])
async def ask_decision(desk: NamedDependency[Desk], partner_id: FromPath[UUID], dispute_id: FromPath[UUID]) -> Page:
    """Ask once, with the amount in the button."""
    desk.offer(Permission.APPROVE_ALLIANCES)
    _ = desk.gettext
    one, found = await _both(desk, partner_id, dispute_id)
    agrees = desk.act == "agree"
    title = _("Agree to the adjustment") if agrees else _("Send it back")
    amount = desk.f.money(found.proposed_minor, one.currency, sign=True) if agrees else ""
    back, crumbs = _base(partner_id, dispute_id), _crumbs(desk, one, found, title)
    aside = [dispute_facts(desk, found, one.currency, line_href=f"{base_of(partner_id)}/lines?month=all")]
    return await desk.ask(title, [], submit=title, amount=amount, back=back, crumbs=crumbs, aside=aside)


@post([f"{_ONE}/agree", f"{_ONE}/send-back"], status_code=303)
async def decide(desk: NamedDependency[Desk], partner_id: FromPath[UUID], dispute_id: FromPath[UUID]) -> Page:
    """Decide it."""
    desk.require(Permission.APPROVE_ALLIANCES)
    _ = desk.gettext
    await _both(desk, partner_id, dispute_id)
    number = await decide_dispute(desk.session, dispute_id=dispute_id, agree=desk.act == "agree", actor=desk.actor, now=desk.now)
    said = _("Sent back; it waits for an answer.") if number is None else _("Line %(number)s puts it right.", number=number)
    return await desk.done(_base(partner_id, dispute_id), said)


@get(f"{_ONE}/evidence")
async def ask_evidence(desk: NamedDependency[Desk], partner_id: FromPath[UUID], dispute_id: FromPath[UUID]) -> Page:
    """Ask for a file."""
    await offered(desk, partner_id)
    _ = desk.gettext
    one, found = await _both(desk, partner_id, dispute_id)
    title, back = _("Add a file"), _base(partner_id, dispute_id)
    fields = [file("file", _("File"), accept=ACCEPT)]
    return await desk.ask(title, fields, submit=_("Keep it"), back=back, crumbs=_crumbs(desk, one, found, title), upload=True)


@post(f"{_ONE}/evidence", status_code=303)
async def keep_evidence(desk: NamedDependency[Desk], partner_id: FromPath[UUID], dispute_id: FromPath[UUID]) -> Page:
    """Keep it."""
    await allowed(desk, partner_id)
    paper = await typed_file(desk)
    desk.form.check()
    assert paper is not None
    await add_evidence(desk.session, partner_id=partner_id, dispute_id=dispute_id, paper=paper, actor=desk.actor, now=desk.now)
    return await desk.done(f"{_base(partner_id, dispute_id)}#evidence", desk.gettext("Kept"))


handlers = [ask_dispute, dispute_line, dispute, ask_answer, answer, ask_decision, decide, ask_evidence, keep_evidence]
