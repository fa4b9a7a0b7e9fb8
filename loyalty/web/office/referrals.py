"""Referral: what bringing a customer earns, who brought whom, what it cost, and what looks like a self-referral."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.customers.queries import names_of
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.rewards.model_referrals import REFERRAL_MOVES, ReferralStatus
from loyalty.rewards.operations.referrals import ProgrammeFacts, decide_referral, put_programme
from loyalty.rewards.operations.voucher_kinds import FunderShare
from loyalty.rewards.queries import referrals as queries
from loyalty.rewards.queries.referrals import ProgrammeView, ReferralView
from loyalty.rewards.referral_rules import Event, Milestone, Reward, RewardKind, Side
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.coded import Coded, coded
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import chips, field, heading, hidden, local_input, select
from loyalty.web.office.parts import Act, Cell, Facts, Field, Part, Rows, Tile, Tiles
from loyalty.web.office.reward_words import EVENT, FAULT, REFERRAL_STATUS, REWARD_KIND, SIDE

PATH = "/office/referrals"
_MILESTONES: Final = 3
"""Rows of the form: a programme of this page has as many milestones at most, with one reward a side."""


@get(three("/referrals"))
async def programmes(desk: NamedDependency[Desk]) -> Any:
    """List the programmes with what they brought."""
    desk.require(Permission.READ_CUSTOMERS)
    _ = desk.gettext
    listing = desk.listing(PATH, "code", [])

    async def fetch(cursor: str | None, limit: int) -> Found[ProgrammeView]:
        return await queries.list_programmes(desk.session, sort=listing.sort, cursor=cursor, limit=limit)

    async def rows(found: Sequence[ProgrammeView]) -> list[list[Cell]]:
        return [await _row(desk, one) for one in found]

    return await show(
        desk,
        List(
            title=_("Referral"),
            sub=_("An old customer brings a new one"),
            listing=listing,
            columns=[
                Column(_("Code"), sort="code"),
                Column(_("What it is called")),
                Column(_("Begins"), sort="starts_at"),
                Column(_("Ends")),
                Column(_("Brought"), "num"),
                Column(_("Rewarded"), "num"),
                Column(_("To be decided"), "num"),
                Column(_("State")),
            ],
            fetch=fetch,
            rows=rows,
            acts=[Act(_("New programme"), f"{PATH}/new", primary=True) if desk.may(Permission.EDIT_RULES) else None],
            empty=_("No programme yet"),
            empty_then=_("Say what bringing a customer earns: the referrer is already asked for when a card is issued."),
            name="referrals",
        ),
    )


async def _row(desk: Desk, one: ProgrammeView) -> list[Cell]:
    _ = desk.gettext
    results = await queries.results_of(desk.session, programme_id=one.programme_id)
    return [
        cells.link(desk, f"{PATH}/{one.code}", one.code),
        cells.text(desk.either(one.name_zh, one.name_en)),
        cells.when(desk, one.starts_at),
        cells.when(desk, one.ends_at),
        cells.count(desk, results.brought),
        cells.count(desk, results.rewarded),
        Cell(desk.tag(desk.f.count(results.held), "warn") if results.held else "0", results.held),
        Cell(desk.tag(_("Running"), "good") if one.active else desk.tag(_("Stopped")), one.active),
    ]


@get("/referrals/{code:str}")
async def programme(desk: NamedDependency[Desk], code: FromPath[str]) -> Any:
    """Show a programme: its results, its terms, and who brought whom; with an ending, its list as a file."""
    code = code.removesuffix(".xlsx").removesuffix(".csv")
    desk.require(Permission.READ_CUSTOMERS)
    _ = desk.gettext
    one = await queries.get_programme(desk.session, code=code)
    results = await queries.results_of(desk.session, programme_id=one.programme_id)
    listing = desk.listing(f"{PATH}/{code}", "", ["status"])
    status = desk.query.maybe("status", ReferralStatus)

    async def fetch(cursor: str | None, limit: int) -> Found[ReferralView]:
        statuses = [status] if status is not None else []
        return await queries.referrals_of(desk.session, programme_id=one.programme_id, statuses=statuses, cursor=cursor, limit=limit)

    async def rows(found: Sequence[ReferralView]) -> list[list[Cell]]:
        people = await names_of(desk.session, customer_ids=[who for each in found for who in (each.referrer_id, each.referee_id)])
        return [_referral_row(desk, each, people) for each in found]

    words = await coded(desk)
    given = [_given(words, one.currency, kind, item, total) for kind, item, total in results.given]
    tiles = [
        Tile(_("Brought"), desk.f.count(results.brought)),
        Tile(_("Rewarded"), desk.f.count(results.rewarded)),
        Tile(_("To be decided"), desk.f.count(results.held), tone="warn" if results.held else "", href=listing.href(status="held")),
        Tile(_("Given so far"), given[0] if given else "—", note=" · ".join(given[1:])),
    ]
    statuses = [(member.value, _(label[0])) for member, label in REFERRAL_STATUS.items()]
    return await show(
        desk,
        List(
            title=desk.either(one.name_zh, one.name_en),
            crumbs=[(_("Referral"), PATH), (desk.either(one.name_zh, one.name_en), "")],
            listing=listing,
            columns=[
                Column(_("Joined")),
                Column(_("Who brought")),
                Column(_("Who came")),
                Column(_("Rewards"), "num"),
                Column(_("State")),
                Column(_("Why")),
                Column(""),
            ],
            fetch=fetch,
            rows=rows,
            filters=[select("status", _("State"), statuses, value=listing.filters["status"], blank=_("All"), required=False)],
            acts=[Act(_("Edit"), f"{PATH}/{code}/edit") if desk.may(Permission.EDIT_RULES) else None],
            top=[Tiles(tiles), *_terms(desk, one, words)],
            empty=_("Nobody was brought yet"),
            empty_then=_("Who joins and names a referrer is noted at night."),
            name="referrals",
        ),
    )


def _given(words: Coded, currency: str, kind: str, item: str, total: int) -> str:
    reward, desk = RewardKind(kind), words.desk
    amount = desk.f.money(total, currency) if reward is RewardKind.BONUS else desk.f.count(total)
    return f"{words.thing(item)} × {amount}" if item else f"{desk.gettext(REWARD_KIND[reward])} {amount}"


def _terms(desk: Desk, one: ProgrammeView, words: Coded) -> list[Part]:
    _ = desk.gettext
    rows = []
    for milestone in msgspec.convert(one.milestones, list[Milestone]):
        amount = desk.f.count(milestone.at_least) if milestone.event is Event.FILLS else desk.f.money(milestone.at_least, one.currency)
        sides = [
            ", ".join(_given(words, one.currency, each.kind.value, each.item or "", each.amount) for each in rewards)
            for rewards in (milestone.referrer, milestone.referee)
        ]
        rows.append([cells.text(f"{_(EVENT[milestone.event])} {amount}"), *(cells.text(side) for side in sides)])
    pairs: list[tuple[str, Any]] = [
        (_("Within days of joining"), desk.f.count(one.within_days)),
        (_("Must stand for days"), desk.f.count(one.wait_days)),
        (_("Customers a referrer is rewarded for"), desk.f.count(one.most_each) if one.most_each else _("any number")),
        (_("Who bears it"), words.funders(one.funders)),
    ]
    columns = [Column(_("What counts")), *(Column(_(label)) for label in SIDE.values())]
    return [Rows(title=_("What it earns"), columns=columns, rows=rows, empty=""), Facts(title=_("Terms"), pairs=pairs)]


def _referral_row(desk: Desk, one: ReferralView, people: Mapping[Any, str]) -> list[Cell]:
    _ = desk.gettext
    decides = desk.may(Permission.EDIT_RULES) and ReferralStatus.ADMITTED in REFERRAL_MOVES[one.status]
    return [
        cells.when(desk, one.joined_at),
        cells.link(desk, f"/office/customers/{one.referrer_id}", people.get(one.referrer_id, "—")),
        cells.link(desk, f"/office/customers/{one.referee_id}", people.get(one.referee_id, "—")),
        cells.count(desk, one.rewards),
        cells.tag(desk, one.status, REFERRAL_STATUS),
        cells.text(one.decision or (_(FAULT[one.fault]) if one.fault else "")),
        Cell(desk.link(f"{PATH}/decisions/{one.referral_id}", _("Decide")) if decides else "", ""),
    ]


@get("/referrals/decisions/{referral_id:uuid}")
async def ask_decision(desk: NamedDependency[Desk], referral_id: FromPath[UUID]) -> Page:
    """Ask whether a referral that is held counts."""
    desk.offer(Permission.EDIT_RULES)
    _ = desk.gettext
    one = await queries.get_referral(desk.session, referral_id=referral_id)
    people = await names_of(desk.session, customer_ids=[one.referrer_id, one.referee_id])
    choices = [("admit", _("It counts")), ("refuse", _("It does not"))]
    return await desk.ask(
        _("Decide about the referral"),
        [chips("decision", _("Decision"), choices, value="refuse"), field("reason", _("Why"), autofocus=True)],
        submit=_("Decide"),
        back=PATH,
        crumbs=[(_("Referral"), PATH), (_("Decide"), "")],
        note=_(
            "%(new)s was brought by %(old)s. Why it waits: %(fault)s.",
            new=people.get(one.referee_id, "—"),
            old=people.get(one.referrer_id, "—"),
            fault=_(FAULT[one.fault]) if one.fault else "—",
        ),
    )


@post("/referrals/decisions/{referral_id:uuid}", status_code=303)
async def decide(desk: NamedDependency[Desk], referral_id: FromPath[UUID]) -> Page:
    """Let a referral count, or refuse it."""
    desk.require(Permission.EDIT_RULES)
    reason = desk.form.text("reason", desk.gettext("Why"))
    desk.form.check()
    admit = desk.form.raw("decision") == "admit"
    await decide_referral(desk.session, referral_id=referral_id, admit=admit, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(PATH, desk.gettext("It counts: what it earned is paid at night.") if admit else desk.gettext("Refused"))


@get("/referrals/new")
async def new_programme(desk: NamedDependency[Desk]) -> Page:
    """Ask what bringing a customer shall earn."""
    return await _ask_programme(desk, None)


@get("/referrals/{code:str}/edit")
async def edit_programme(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Ask what bringing a customer earns."""
    return await _ask_programme(desk, await queries.get_programme(desk.session, code=code))


async def _ask_programme(desk: Desk, one: ProgrammeView | None) -> Page:
    desk.offer(Permission.EDIT_RULES)
    _ = desk.gettext
    title = _("New programme") if one is None else desk.either(one.name_zh, one.name_en)
    back = PATH if one is None else f"{PATH}/{one.code}"
    return await desk.ask(
        title,
        _fields(desk, one, await coded(desk)),
        action=PATH,
        submit=_("Store"),
        back=back,
        crumbs=[(_("Referral"), PATH), *([] if one is None else [(title, back)]), (title if one is None else _("Edit"), "")],
        note=_("Nothing is paid where both are one person, share a phone number or a browser; you decide about those."),
        columns=True,
    )


def _fields(desk: Desk, one: ProgrammeView | None, words: Coded) -> list[Field]:
    _ = desk.gettext
    milestones = msgspec.convert(one.milestones, list[Milestone]) if one else []
    currency = one.currency if one else "CNY"
    funders = one.funders if one else [["head-office", 1]]
    fields = [
        field("code", _("Code"), value=one.code if one else "", readonly=one is not None, autofocus=one is None, placeholder="friends"),
        field("name_zh", _("Name in Chinese"), value=one.name_zh if one else ""),
        field("name_en", _("Name in English"), value=one.name_en if one else ""),
        field("currency", _("Currency"), value=currency),
        field("starts_at", _("Begins"), type="datetime-local", value=local_input(desk, one.starts_at if one else desk.now)),
        field("ends_at", _("Ends"), type="datetime-local", value=local_input(desk, one.ends_at if one else None), required=False),
        field("within_days", _("Within days of joining"), value=(one.within_days or "") if one else 90, num=True, required=False),
        field("wait_days", _("Must stand for days"), value=one.wait_days if one else 7, num=True),
        field("most_each", _("Customers a referrer is rewarded for"), value=(one.most_each or "") if one else 10, num=True, required=False),
        field("funder", _("Who bears it"), value=str(funders[0][0])),
    ]
    for number in range(_MILESTONES):
        milestone = milestones[number] if number < len(milestones) else None
        fields += _milestone_fields(words, number, milestone, currency)
    return fields


def _milestone_fields(words: Coded, number: int, one: Milestone | None, currency: str) -> list[Field]:
    desk = words.desk
    _ = desk.gettext
    things = [*words.options("vouchers"), *words.options("gifts")]
    events = [(member.value, _(label)) for member, label in EVENT.items()]
    kinds = [(member.value, _(label)) for member, label in REWARD_KIND.items()]
    at_least = "" if one is None else desk.f.count(one.at_least) if one.event is Event.FILLS else desk.f.amount(one.at_least, currency)
    fields = [
        heading(_("Milestone %(number)s", number=number + 1)),
        # What was paid is known by it: a milestone that is changed is not paid again.
        hidden(f"milestone{number}", one.code if one else f"m{number + 1}"),
        select(f"event{number}", _("What counts"), events, value=one.event.value if one else "", blank=_("none"), required=False),
        field(f"at_least{number}", _("How much, or how many"), value=at_least, num=True, required=False),
    ]
    for side, label in SIDE.items():
        rewards = () if one is None else one.referrer if side is Side.REFERRER else one.referee
        reward = rewards[0] if rewards else None
        amount = "" if reward is None else desk.f.amount(reward.amount, currency) if reward.kind is RewardKind.BONUS else str(reward.amount)
        name = f"{side.value}{number}"
        fields += [
            select(
                f"{name}_kind",
                f"{_(label)}: {_('gets')}",
                kinds,
                value=reward.kind.value if reward else "",
                blank=_("nothing"),
                required=False,
            ),
            field(f"{name}_amount", f"{_(label)}: {_('how much')}", value=amount, num=True, required=False),
            select(
                f"{name}_item",
                f"{_(label)}: {_('which')}",
                things,
                value=(reward.item or "") if reward else "",
                blank=_("none"),
                required=False,
                help=_("Of vouchers and gifts."),
            ),
            field(
                f"{name}_days",
                f"{_(label)}: {_('good for days')}",
                value=(reward.expires_days or "") if reward else "",
                num=True,
                required=False,
            ),
        ]
    return fields


@post("/referrals", status_code=303)
async def store_programme(desk: NamedDependency[Desk]) -> Page:
    """Make a programme, or change it."""
    desk.require(Permission.EDIT_RULES)
    _ = desk.gettext
    form = desk.form
    code = form.text("code", _("Code"), longest=48)
    currency = form.text("currency", _("Currency"), longest=3).upper()
    starts_at = form.instant("starts_at", _("Begins"))
    facts: dict[str, Any] = {
        "name_zh": form.text("name_zh", _("Name in Chinese"), longest=80),
        "name_en": form.text("name_en", _("Name in English"), longest=80),
        "currency": currency,
        "zone": desk.zone,
        "ends_at": form.instant("ends_at", _("Ends"), required=False),
        "within_days": form.whole("within_days", _("Within days of joining"), low=1, high=3660, required=False),
        "wait_days": form.whole("wait_days", _("Must stand for days"), high=366) or 0,
        "most_each": form.whole("most_each", _("Customers a referrer is rewarded for"), low=1, high=100_000, required=False),
        "funders": (FunderShare(form.text("funder", _("Who bears it"), longest=64)),),
    }
    form.check()
    milestones = tuple(one for number in range(_MILESTONES) if (one := _milestone(desk, number, currency)) is not None)
    if not milestones:
        form.fault("event0", _("What counts"), _("is needed"))
    form.check()
    assert starts_at is not None
    whole = ProgrammeFacts(starts_at=starts_at, milestones=milestones, **facts)
    await put_programme(desk.session, code=code, facts=whole, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{code}", _("Stored"))


def _milestone(desk: Desk, number: int, currency: str) -> Milestone | None:
    _ = desk.gettext
    event = desk.form.maybe(f"event{number}", Event)
    if event is None:
        return None
    name, label = f"at_least{number}", _("How much, or how many")
    at_least = desk.form.whole(name, label, low=1) if event is Event.FILLS else desk.form.money(name, label, currency)
    sides = {side.value: _rewards(desk, f"{side.value}{number}", currency) for side in Side}
    return Milestone(code=desk.form.raw(f"milestone{number}") or f"m{number + 1}", event=event, at_least=at_least or 1, **sides)


def _rewards(desk: Desk, name: str, currency: str) -> tuple[Reward, ...]:
    _ = desk.gettext
    form = desk.form
    kind = form.maybe(f"{name}_kind", RewardKind)
    if kind is None:
        return ()
    label = _("how much")
    amount = form.money(f"{name}_amount", label, currency) if kind is RewardKind.BONUS else form.whole(f"{name}_amount", label, low=1)
    days = form.whole(f"{name}_days", _("good for days"), low=1, high=3660, required=False)
    return (Reward(kind=kind, amount=amount or 1, item=form.raw(f"{name}_item") or None, expires_days=days),)


handlers = [programmes, new_programme, edit_programme, store_programme, programme, ask_decision, decide]
