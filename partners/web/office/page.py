"""One partner: what holds with it today and next, its outlets, notices, versions, papers and book; what can be done."""

from typing import Any, Final
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.audit.queries import EntryFilter, list_entries
from loyalty.identity.rules import Permission
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.parts import Act, Events, Facts, Part, Said
from partners.model import PARTNER_MOVES, AgreementStatus, PartnerStatus
from partners.queries.alliances import AgreementView, PartnerView, agreements_of, get_partner
from partners.rules import Standing, holds_on, next_after
from partners.web.office.agreements import versions_part
from partners.web.office.common import base_of, crumbs_of, name_of, today_of
from partners.web.office.documents import documents_part
from partners.web.office.labels import CATEGORY, STATUS
from partners.web.office.lines import book_part
from partners.web.office.notices import notices_part
from partners.web.office.offline import offline_part
from partners.web.office.outlets import outlets_part
from partners.web.office.partners import MOVES, version_said
from partners.web.office.people import people_part
from partners.web.office.wording import TermsVoice

_WAITING: Final = (AgreementStatus.DRAFT, AgreementStatus.SUBMITTED)


@get("/partners/{partner_id:uuid}")
async def partner(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Answer at the top what holds today and what needs somebody; below, all that belongs to the partner."""
    desk.require(Permission.READ_ALLIANCES)
    one = await get_partner(desk.session, partner_id=partner_id)
    versions = await agreements_of(desk.session, partner_id=partner_id)
    standing = [
        Standing(each.agreement_id, each.version, each.first_day, each.end_day)
        for each in versions
        if each.status is AgreementStatus.APPROVED
    ]
    today = today_of(desk, one)
    held, coming = holds_on(standing, today), next_after(standing, today)
    holds = next((each for each in versions if held is not None and each.agreement_id == held.agreement_id), None)
    waiting = next((each for each in versions if each.status in _WAITING), None)
    return await desk.page(
        name_of(desk, one),
        crumbs=crumbs_of(desk, one),
        tags=[cells.tag(desk, one.status, STATUS).show, cells.tag(desk, one.category, CATEGORY).show],
        acts=[
            Act(desk.gettext("Statements"), f"{base_of(partner_id)}/statements"),
            Act(desk.gettext("Blocks and account"), f"{base_of(partner_id)}/payments"),
            Act(desk.gettext("Data to the partner"), f"{base_of(partner_id)}/feeds"),
            *_acts(desk, one, holds, waiting),
        ],
        top=_needs(desk, one, held, waiting),
        main=[
            _holds(desk, one, held, holds, coming),
            *await offline_part(desk, one, holds),
            await outlets_part(desk, one),
            await notices_part(desk, one),
            versions_part(desk, versions, holds),
            await documents_part(desk, one),
            await people_part(desk, one),
            await book_part(desk, one),
        ],
        aside=[_facts(desk, one), await _history(desk, partner_id)],
    )


def _acts(desk: Desk, one: PartnerView, holds: AgreementView | None, waiting: AgreementView | None) -> list[Act | None]:
    """Offer what comes next as the page's one primary act."""
    if not desk.may(Permission.EDIT_ALLIANCES):
        return []
    _ = desk.gettext
    base = base_of(one.partner_id)
    acts: list[Act | None] = [Act(_("Edit"), f"{base}/edit")]
    begins = one.status is PartnerStatus.PROSPECTIVE
    for act, (to, title, _meaning) in MOVES.items():
        fits = to in PARTNER_MOVES[one.status] and (act != "begin" or begins) and (act != "resume" or not begins)
        if fits and (to is not PartnerStatus.ACTIVE or holds is not None):
            acts.append(Act(_(title), f"{base}/{act}", primary=to is PartnerStatus.ACTIVE, danger=to is PartnerStatus.ENDED))
    if waiting is None and one.status is not PartnerStatus.ENDED:
        words = _("Draft the next version") if holds else _("Draft an agreement")
        acts.append(Act(words, f"{base}/agreements/new", primary=holds is None))
    return acts


def _needs(desk: Desk, one: PartnerView, held: Standing | None, waiting: AgreementView | None) -> list[Part]:
    _ = desk.gettext
    found: list[Part] = []
    if one.status is PartnerStatus.ACTIVE and held is None:
        then = _("Nothing can be redeemed. Draft the next version and have it approved.")
        found.append(Said(title=_("The alliance is active, and no agreement holds"), then=then, tone="bad"))
    if waiting is not None:
        look = [Act(_("Look at it"), f"{base_of(one.partner_id)}/agreements/{waiting.agreement_id}")]
        submitted = waiting.status is AgreementStatus.SUBMITTED
        number = waiting.version
        waits, drafted = (
            _("Version %(version)s waits for approval", version=number),
            _("Version %(version)s is being drafted", version=number),
        )
        then = _("Somebody other than who drafted it approves it.") if submitted else ""
        tone = "warn" if submitted else "info"
        found.append(Said(title=waits if submitted else drafted, then=then, tone=tone, acts=look))
    return found


def _holds(desk: Desk, one: PartnerView, held: Standing | None, holds: AgreementView | None, coming: Standing | None) -> Part:
    _ = desk.gettext
    base = f"{base_of(one.partner_id)}/agreements"
    following = ""
    if coming is not None:
        following = _("Version %(version)s from %(day)s", version=coming.version, day=desk.f.full_day(coming.first))
    if held is None or holds is None:
        pairs: list[tuple[str, Any]] = [(_("Today"), _("nothing"))]
        return Facts(title=_("What holds"), pairs=[*pairs, (_("Next version"), following)] if following else pairs)
    voice = TermsVoice(desk, one.currency)
    pairs = [(_("Today"), desk.link(f"{base}/{held.agreement_id}", version_said(desk, held)))]
    if coming is not None:
        pairs.append((_("Next version"), desk.link(f"{base}/{coming.agreement_id}", following)))
    pairs.append((voice.label("commission"), voice.percent(holds.terms.commission)))
    pairs += [(voice.name(benefit), voice.size(benefit)) for benefit in holds.terms.benefits]
    return Facts(title=_("What holds"), pairs=pairs)


def _facts(desk: Desk, one: PartnerView) -> Facts:
    _ = desk.gettext
    return Facts(
        title=_("Partner"),
        pairs=[
            (_("Code"), one.code),
            (_("Chinese name"), one.name_zh),
            (_("English name"), one.name_en),
            (_("Tax number"), one.tax_number or "—"),
            (_("Whom to talk to"), one.contact or "—"),
            (_("Currency"), one.currency),
            (_("Time zone"), one.zone),
            (_("Entered"), desk.f.when(one.made_at)),
        ],
    )


async def _history(desk: Desk, partner_id: UUID) -> Events:
    _ = desk.gettext
    wanted = EntryFilter(subject_kind="partner", subject_id=partner_id)
    found = (await list_entries(desk.session, wanted=wanted, limit=20)).rows
    names = await lookups.people(desk, [UUID(each.actor_id) for each in found if each.actor_kind.value == "staff"])
    events = []
    for each in found:
        facts = each.facts or {}
        version = _("version %(version)s", version=facts["version"]) if facts.get("version") else ""
        why = str(facts.get("reason") or facts.get("why") or "")
        by = lookups.actor_name(desk, (each.actor_kind, each.actor_id), names)
        events.append(lookups.happening(desk, each.at, lookups.action_words(desk, each.action), [by, version, why]))
    return Events(title=_("History"), events=events, empty=_("Nothing yet"))


handlers = [partner]
