"""Tiers are made and changed here, their settings too; a customer is put into one, or kept in it, with a reason."""

from datetime import timedelta
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.customers.queries import get_customer
from loyalty.identity.rules import Permission
from loyalty.rewards.model_tiers import Downgrade, Meets, Tier, TierWindow
from loyalty.rewards.operations.tiers import ProgrammeFacts, TierFacts, grant_tier, lock_tier, put_programme, put_tier
from loyalty.rewards.queries.tiers import get_programme, get_tier, list_moves, list_tiers, progress_of
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import DOWNGRADE, TIER_WHY, TIER_WINDOW
from loyalty.web.office.lookups import check, chips, field, happening, heading, people, select
from loyalty.web.office.parts import Events, Field, Part
from loyalty.web.office.tiers import PATH, standing_part


@get("/tiers/settings")
async def settings(desk: NamedDependency[Desk]) -> Page:
    """Ask over which days tiers count, and how one is lost."""
    desk.offer(Permission.EDIT_DISCOUNTS)
    _ = desk.gettext
    now = await get_programme(desk.session)
    windows = [(member.value, _(label)) for member, label in TIER_WINDOW.items()]
    downgrades = [(member.value, _(label)) for member, label in DOWNGRADE.items()]
    fields = [
        field("currency", _("Currency"), value=now.currency if now else "CNY"),
        select("window", _("Counted over"), windows, value=(now.window if now else TierWindow.ROLLING).value),
        field(
            "window_days",
            _("Days of the last days"),
            num=True,
            required=False,
            value=str(now.window_days or "") if now else "365",
            help=_("Only for the last days; a calendar period has its own."),
        ),
        field("grace_days", _("Days of grace"), num=True, value=str(now.grace_days if now else 30)),
        chips("downgrade", _("Afterwards"), downgrades, value=(now.downgrade if now else Downgrade.BY_BALANCE).value),
        check("companies", _("Organisations have tiers too"), checked=now.companies if now else False),
    ]
    note = _("The next night judges everybody by it.")
    return await desk.ask(_("How they count"), fields, submit=_("Save"), back=PATH, crumbs=_crumbs(desk, _("Settings")), note=note)


@post("/tiers/settings", status_code=303)
async def set_settings(desk: NamedDependency[Desk]) -> Page:
    """Say what all tiers have in common."""
    desk.require(Permission.EDIT_DISCOUNTS)
    _ = desk.gettext
    form = desk.form
    window = form.choice("window", _("Counted over"), TierWindow, TierWindow.ROLLING)
    rolling = window is TierWindow.ROLLING
    facts = ProgrammeFacts(
        currency=form.text("currency", _("Currency"), longest=3).upper(),
        window=window,
        window_days=form.whole("window_days", _("Days of the last days"), low=1, high=800, required=rolling) if rolling else None,
        grace_days=form.whole("grace_days", _("Days of grace"), high=3660) or 0,
        downgrade=form.choice("downgrade", _("Afterwards"), Downgrade, Downgrade.BY_BALANCE),
        companies=form.flag("companies"),
    )
    form.check()
    await put_programme(desk.session, facts=facts, actor=desk.actor, now=desk.now)
    return await desk.done(PATH, _("Saved"))


@get("/tiers/new")
async def new_tier(desk: NamedDependency[Desk]) -> Page:
    """Ask what a new tier is."""
    desk.offer(Permission.EDIT_DISCOUNTS)
    _ = desk.gettext
    fields = [
        field("code", _("Code"), autofocus=True, help=_("What rules call it: lower case, digits, - and .")),
        *await _fields(desk, None),
    ]
    return await desk.ask(_("New tier"), fields, submit=_("Make it"), back=PATH, crumbs=_crumbs(desk, _("New tier")), columns=True)


@get("/tiers/{code:str}/edit")
async def edit_tier(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Show what a tier asks, to be changed."""
    desk.offer(Permission.EDIT_DISCOUNTS)
    _ = desk.gettext
    tier = await get_tier(desk.session, code=code)
    name = desk.either(tier.name_zh, tier.name_en)
    note = _("The next night judges everybody by it.")
    crumbs = _crumbs(desk, name)
    return await desk.ask(name, await _fields(desk, tier), submit=_("Save"), back=PATH, crumbs=crumbs, columns=True, note=note, sub=code)


@post("/tiers/new", status_code=303)
async def make_tier(desk: NamedDependency[Desk]) -> Page:
    """Make a tier."""
    desk.require(Permission.EDIT_DISCOUNTS)
    _ = desk.gettext
    code = desk.form.text("code", _("Code"), longest=48).lower()
    if code and not all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in code):
        desk.form.fault("code", _("Code"), _("is lower case letters, digits, . and - only"))
    return await _save(desk, code)


@post("/tiers/{code:str}/edit", status_code=303)
async def change_tier(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Change what a tier asks and brings."""
    desk.require(Permission.EDIT_DISCOUNTS)
    await get_tier(desk.session, code=code)
    return await _save(desk, code)


async def _save(desk: Desk, code: str) -> Page:
    _ = desk.gettext
    form = desk.form
    programme = await get_programme(desk.session)
    currency = "CNY" if programme is None else programme.currency
    facts = TierFacts(
        name_zh=form.text("name_zh", _("Chinese name"), longest=80),
        name_en=form.text("name_en", _("English name"), longest=80),
        rank=form.whole("rank", _("Rank"), low=1, high=1000) or 1,
        meets=form.choice("meets", _("How many of them"), Meets, Meets.ANY),
        spend_minor=form.money("spend", _("Spent"), currency, required=False),
        quantity_milli=form.quantity("quantity", _("Fuelled"), required=False),
        topup_minor=form.money("topup", _("Topped up"), currency, required=False),
        visits=form.whole("visits", _("Visits"), low=1, high=100_000, required=False),
        benefits_zh=form.text("benefits_zh", _("Brings, in Chinese"), required=False),
        benefits_en=form.text("benefits_en", _("Brings, in English"), required=False),
        active=form.flag("active"),
    )
    form.check()
    await put_tier(desk.session, code=code, facts=facts, actor=desk.actor, now=desk.now)
    return await desk.done(PATH, _("Saved"))


async def _fields(desk: Desk, tier: Tier | None) -> list[Field]:
    _ = desk.gettext
    programme = await get_programme(desk.session)
    currency = "CNY" if programme is None else programme.currency
    highest = max((one.rank for one in await list_tiers(desk.session)), default=0)

    def amount(minor: int | None) -> str:
        return desk.f.amount(minor, currency) if minor else ""

    quantity = tier.quantity_milli if tier else None
    joins = [(Meets.ANY.value, _("any one of these")), (Meets.ALL.value, _("all of these"))]
    return [
        field("name_zh", _("Chinese name"), value=tier.name_zh if tier else ""),
        field("name_en", _("English name"), value=tier.name_en if tier else ""),
        field("rank", _("Rank"), num=True, value=str(tier.rank if tier else highest + 1), help=_("Higher is better.")),
        heading(_("Asks")),
        chips("meets", _("How many of them"), joins, value=(tier.meets if tier else Meets.ANY).value),
        field("spend", _("Spent"), num=True, required=False, value=amount(tier.spend_minor if tier else None)),
        field("quantity", _("Fuelled"), num=True, required=False, after="L", value=desk.f.count(quantity // 1000) if quantity else ""),
        field("topup", _("Topped up"), num=True, required=False, value=amount(tier.topup_minor if tier else None)),
        field("visits", _("Visits"), num=True, required=False, value=str(tier.visits or "") if tier else ""),
        heading(_("Brings")),
        field("benefits_zh", _("Brings, in Chinese"), required=False, value=tier.benefits_zh if tier else ""),
        field("benefits_en", _("Brings, in English"), required=False, value=tier.benefits_en if tier else ""),
        check("active", _("Is given"), checked=tier.active if tier else True),
    ]


def _crumbs(desk: Desk, here: str) -> list[tuple[str, str]]:
    return [(desk.gettext("Tiers"), PATH), (here, "")]


@get("/customers/{customer_id:uuid}/tier")
async def customer_tier(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Ask into which tier a customer is put, and whether it is kept."""
    desk.offer(Permission.EDIT_DISCOUNTS)
    _ = desk.gettext
    one = await get_customer(desk.session, customer_id=customer_id)
    progress = await progress_of(desk.session, customer_id=customer_id, zone=desk.zone, now=desk.now)
    locked = progress is not None and progress.locked
    options = [(tier.code, desk.either(tier.name_zh, tier.name_en)) for tier in await list_tiers(desk.session, only_active=True)]
    held = progress.tier.code if progress is not None and progress.tier is not None else ""
    base = f"/office/customers/{customer_id}"
    grant = desk.form_part(
        _("Grant a tier"),
        f"{base}/tier",
        [
            select("tier", _("Tier"), options, value=held, blank=_("No tier"), required=False),
            field("until", _("At least until"), type="date", required=False, help=_("Empty: the next night judges by the figures again.")),
            field("reason", _("Reason")),
        ],
        submit=_("Grant"),
    )
    keep = desk.form_part(
        _("Downgrade again like everybody") if locked else _("Never downgrade"),
        f"{base}/tier-lock",
        [Field(kind="hidden", name="locked", more={"value": "" if locked else "1"}), field("reason", _("Reason"))],
        submit=_("Downgrade again like everybody") if locked else _("Never downgrade"),
        primary=False,
    )
    main: list[Part] = [grant, keep]
    return await desk.page(
        _("Tier"),
        sub=one.name,
        crumbs=[(_("Customers"), "/office/customers"), (one.name, base), (_("Tier"), "")],
        main=main,
        aside=[await standing_part(desk, customer_id), await _life(desk, customer_id)],
    )


async def _life(desk: Desk, customer_id: UUID) -> Events:
    _ = desk.gettext
    names = {tier.code: desk.either(tier.name_zh, tier.name_en) for tier in await list_tiers(desk.session)}
    found = (await list_moves(desk.session, customer_id=customer_id, limit=20)).rows
    staff = await people(desk, [move.staff_id for move in found])
    return Events(
        title=_("Movements"),
        events=[
            happening(
                desk,
                move.happened_at,
                f"{names.get(move.from_tier or '', '—')} → {names.get(move.to_tier or '', '—')}",
                [_(TIER_WHY[move.why][0]), staff.get(move.staff_id, "") if move.staff_id else "", move.reason],
            )
            for move in found
        ],
        empty=_("Nothing yet"),
    )


@post("/customers/{customer_id:uuid}/tier", status_code=303)
async def give_tier(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Put a customer into a tier by decision."""
    desk.require(Permission.EDIT_DISCOUNTS)
    _ = desk.gettext
    form = desk.form
    reason = form.text("reason", _("Reason"), longest=200)
    day = form.day("until", _("At least until"), required=False)
    form.check()
    await grant_tier(
        desk.session,
        customer_id=customer_id,
        tier=form.raw("tier") or None,
        reason=reason,
        until=None if day is None else day + timedelta(days=1),
        zone=desk.zone,
        actor=desk.actor,
        now=desk.now,
    )
    return await desk.done(f"/office/customers/{customer_id}", _("Saved"))


@post("/customers/{customer_id:uuid}/tier-lock", status_code=303)
async def keep_tier(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Keep a customer from being downgraded, or no longer."""
    desk.require(Permission.EDIT_DISCOUNTS)
    _ = desk.gettext
    reason = desk.form.text("reason", _("Reason"), longest=200)
    desk.form.check()
    locked = desk.form.flag("locked")
    await lock_tier(desk.session, customer_id=customer_id, locked=locked, reason=reason, zone=desk.zone, actor=desk.actor, now=desk.now)
    return await desk.done(f"/office/customers/{customer_id}", _("Saved"))


handlers = [settings, set_settings, new_tier, edit_tier, make_tier, change_tier, customer_tier, give_tier, keep_tier]
