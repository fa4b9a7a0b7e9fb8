"""One version of an agreement: what it says, what it changes of what holds now; submitted, approved by another, rejected, withdrawn."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity.rules import Permission
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import area, said
from loyalty.web.office.parts import Act, Cell, Facts, Part, Rows, Said, Text
from partners.model import AgreementStatus
from partners.operations.agreements import decide_agreement, submit_agreement
from partners.queries.alliances import AgreementNotFound, AgreementView, PartnerView, agreement_on, get_agreement, get_partner
from partners.rules import faults_of
from partners.web.office.common import allowed, base_of, crumbs_of, today_of
from partners.web.office.labels import AGREEMENT
from partners.web.office.wording import TermsVoice

ONE: Final = "/partners/{partner_id:uuid}/agreements/{agreement_id:uuid}"
_WAITING: Final = (AgreementStatus.DRAFT, AgreementStatus.SUBMITTED)


async def version_of(desk: Desk, partner_id: UUID, agreement_id: UUID) -> AgreementView:
    """Return a version of a partner's agreement.

    :raises AgreementNotFound: if it is none of the partner's
    """
    one = await get_agreement(desk.session, agreement_id=agreement_id)
    if one.partner_id != partner_id:
        raise AgreementNotFound(agreement=agreement_id)
    return one


def address_of(one: AgreementView) -> str:
    """Return a version's address."""
    return f"{base_of(one.partner_id)}/agreements/{one.agreement_id}"


def versions_part(desk: Desk, versions: Sequence[AgreementView], holds: AgreementView | None) -> Rows:
    """Return every version, the one that holds today marked by its word."""
    _ = desk.gettext
    return Rows(
        title=_("Versions of the agreement"),
        columns=[Column(_("Version")), Column(_("From")), Column(_("To")), Column(_("Status")), Column(_("Benefits"), "num")],
        rows=[
            [
                cells.link(desk, address_of(one), str(one.version)),
                cells.day(desk, one.first_day),
                cells.day(desk, one.end_day - timedelta(days=1)) if one.end_day else cells.text(None),
                _status(desk, one, holds),
                cells.count(desk, len(one.terms.benefits)),
            ]
            for one in versions
        ],
        empty=_("Nothing was ever agreed"),
        empty_then=_("Draft an agreement; another person approves it."),
        id="agreements",
    )


def _status(desk: Desk, one: AgreementView, holds: AgreementView | None) -> Cell:
    if holds is not None and holds.agreement_id == one.agreement_id:
        label = desk.gettext("Holds today")
        return Cell(desk.tag(label, "good"), label)
    tag = cells.tag(desk, one.status, AGREEMENT)
    # What was approved and does not hold is either to come or over: not green.
    return Cell(desk.tag(str(tag.export), ""), tag.export) if one.status is AgreementStatus.APPROVED else tag


@get(ONE)
async def agreement(desk: NamedDependency[Desk], partner_id: FromPath[UUID], agreement_id: FromPath[UUID]) -> Page:
    """Show a version in words; while it is not decided, beside what holds now, and with what keeps it from being agreed."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    partner = await get_partner(desk.session, partner_id=partner_id)
    one = await version_of(desk, partner_id, agreement_id)
    voice = TermsVoice(desk, partner.currency)
    title = _("Version %(version)s", version=one.version)
    main: list[Part] = [Facts(title=_("What is agreed"), pairs=voice.own(one.terms))]
    main += [Facts(title=voice.name(each), note=each.code, pairs=voice.benefit(each)) for each in one.terms.benefits]
    if not one.terms.benefits:
        main.append(Text(title=_("Benefits"), lines=[_("None: commission only.")]))
    undecided = one.status in _WAITING
    if undecided:
        main.insert(0, await _compared(desk, partner, one, voice))
    return await desk.page(
        f"{desk.either(partner.name_zh, partner.name_en)} · {title}",
        sub=days_said(desk, one),
        crumbs=crumbs_of(desk, partner, (title, "")),
        tags=[cells.tag(desk, one.status, AGREEMENT).show],
        acts=_acts(desk, one),
        top=_faults(desk, one, voice) if undecided else [],
        main=main,
        aside=[*_deciding(desk, partner, one), await _life(desk, one)],
    )


def days_said(desk: Desk, one: AgreementView) -> str:
    """Say on which days it is meant to hold."""
    if one.end_day is None:
        return desk.gettext("from %(day)s until it is replaced", day=desk.f.full_day(one.first_day))
    return desk.days(one.first_day, one.end_day)


def _acts(desk: Desk, one: AgreementView) -> list[Act | None]:
    if not desk.may(Permission.EDIT_ALLIANCES):
        return []
    _ = desk.gettext
    if one.status is AgreementStatus.DRAFT:
        return [Act(_("Edit"), f"{address_of(one)}/edit", primary=bool(faults_of(one.terms)))]
    if one.status is AgreementStatus.SUBMITTED:
        return []
    return [Act(_("Draft a version like it"), f"{base_of(one.partner_id)}/agreements/new?like={one.agreement_id}")]


def _faults(desk: Desk, one: AgreementView, voice: TermsVoice) -> list[Part]:
    """List what keeps a draft from being agreed; its form shows each at its field."""
    found = faults_of(one.terms)
    if not found:
        return []
    names = {each.code: voice.name(each) for each in one.terms.benefits}
    sentences = [(f"{names[fault.benefit]}: " if fault.benefit else "") + desk.either(fault.zh, fault.en) for fault in found]
    _ = desk.gettext
    acts = [Act(_("Correct it"), f"{address_of(one)}/edit")] if desk.may(Permission.EDIT_ALLIANCES) else []
    joined = ("；" if desk.words.is_chinese else "; ").join(sentences)
    return [Said(title=_("It cannot be submitted yet"), then=joined, tone="warn", acts=acts)]


async def _compared(desk: Desk, partner: PartnerView, one: AgreementView, voice: TermsVoice) -> Part:
    """Set a version beside the one that holds now: what it changes, in words."""
    _ = desk.gettext
    holds = await agreement_on(desk.session, partner_id=partner.partner_id, day=today_of(desk, partner))
    if holds is None:
        return Text(title=_("What it changes"), lines=[_("Nothing holds now: all of it is new.")])
    changes = voice.changes(holds.terms, one.terms)
    return Rows(
        title=_("What it changes"),
        columns=[
            Column(_("What")),
            Column(_("Version %(version)s, which holds now", version=holds.version)),
            Column(_("Version %(version)s", version=one.version)),
        ],
        rows=[[cells.text(what), cells.text(before), cells.text(after)] for what, before, after in changes],
        empty=_("Its terms are those that hold now; only its days differ."),
        id="changes",
    )


def _deciding(desk: Desk, partner: PartnerView, one: AgreementView) -> list[Part]:
    """Offer what may be done with a version that is not decided, and say who may do the rest."""
    _ = desk.gettext
    base = address_of(one)
    edits = desk.may(Permission.EDIT_ALLIANCES)
    found: list[Part] = []
    if one.status is AgreementStatus.DRAFT and edits and not faults_of(one.terms):
        words = _("Somebody else then approves it; it cannot be changed meanwhile.")
        found.append(desk.form_part(_("Submit"), f"{base}/submit", [said(words)], submit=_("Submit for approval")))
    if one.status is AgreementStatus.SUBMITTED:
        found += _approval(desk, partner, one)
    if one.status in _WAITING and edits:
        withdraw = _("Withdraw")
        reason = area("why", _("Reason"), rows=2, required=False)
        found.append(desk.form_part(withdraw, f"{base}/withdraw", [reason], submit=withdraw, danger=True, primary=False))
    return found


def _approval(desk: Desk, partner: PartnerView, one: AgreementView) -> list[Part]:
    _ = desk.gettext
    base = address_of(one)
    if not desk.may(Permission.APPROVE_ALLIANCES) or one.made_by == desk.principal.staff_id:
        then = _("Somebody else with the right decides; until then nothing holds by it.")
        return [Said(title=_("Waits for approval"), then=then, tone="warn")]
    reject = desk.form_part(
        _("Reject"), f"{base}/reject", [area("why", _("Reason"), rows=2)], submit=_("Reject this version"), danger=True, primary=False
    )
    if one.first_day < today_of(desk, partner):
        then = _("Reject it; its next draft begins today or later.")
        return [Said(title=_("Its first day is over"), then=then, tone="bad"), reject]
    words = _("It holds from %(day)s on and never changes; a version before it ends there.", day=desk.f.full_day(one.first_day))
    return [desk.form_part(_("Approve"), f"{base}/approve", [said(words)], submit=_("Approve this agreement")), reject]


async def _life(desk: Desk, one: AgreementView) -> Facts:
    _ = desk.gettext
    names = await lookups.people(desk, [one.made_by, one.decided_by])
    pairs = [(_("Drafted by"), f"{names.get(one.made_by, '—')}, {desk.f.when(one.made_at)}")]
    if one.submitted_at is not None:
        pairs.append((_("Submitted"), desk.f.when(one.submitted_at)))
    if one.decided_by is not None:
        decided = _("Approved by") if one.status is AgreementStatus.APPROVED else _("Rejected by")
        pairs.append((decided, f"{names.get(one.decided_by, '—')}, {desk.f.when(one.decided_at)}"))
    if one.why:
        pairs.append((_("Reason"), one.why))
    return Facts(title=_("How it came about"), pairs=pairs)


@post(f"{ONE}/submit", status_code=303)
async def submit(desk: NamedDependency[Desk], partner_id: FromPath[UUID], agreement_id: FromPath[UUID]) -> Page:
    """Let another person decide it."""
    await allowed(desk, partner_id)
    one = await version_of(desk, partner_id, agreement_id)
    await submit_agreement(desk.session, agreement_id=agreement_id, actor=desk.actor, now=desk.now)
    return await desk.done(address_of(one), desk.gettext("Submitted: somebody else approves it"))


_DECISIONS: Final = {"approve": AgreementStatus.APPROVED, "reject": AgreementStatus.REJECTED, "withdraw": AgreementStatus.WITHDRAWN}


@post([f"{ONE}/{act}" for act in _DECISIONS], status_code=303)
async def decide(desk: NamedDependency[Desk], partner_id: FromPath[UUID], agreement_id: FromPath[UUID]) -> Page:
    """Approve another's version, reject it, or withdraw it."""
    to = _DECISIONS[desk.act]
    desk.require(Permission.EDIT_ALLIANCES if to is AgreementStatus.WITHDRAWN else Permission.APPROVE_ALLIANCES)
    partner = await get_partner(desk.session, partner_id=partner_id)
    one = await version_of(desk, partner_id, agreement_id)
    _ = desk.gettext
    why = desk.form.text("why", _("Reason"), required=to is AgreementStatus.REJECTED)
    desk.form.check()
    today = today_of(desk, partner)
    await decide_agreement(desk.session, agreement_id=agreement_id, to=to, today=today, why=why, actor=desk.actor, now=desk.now)
    return await desk.done(address_of(one), _(AGREEMENT[to][0]))


handlers = [agreement, submit, decide]
