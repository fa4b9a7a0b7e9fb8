"""The editor of an agreement: its days and terms, benefit by benefit; it works without JavaScript, and saves what is not agreeable yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.rewards.queries.vouchers import list_kinds
from loyalty.web.office.desk import Desk, Page, new_key
from loyalty.web.office.lookups import Options, area, check, field, select
from loyalty.web.office.parts import Field
from loyalty.web.office.rules_typed import Typed
from loyalty.web.rendering import render, wants_fragment
from partners.model import AgreementStatus
from partners.operations.agreements import AgreementNotADraft, change_draft, draft_agreement
from partners.queries.alliances import AgreementView, PartnerView, agreement_on
from partners.rules import BenefitKind, LossBy, Mode, Terms, faults_of
from partners.web.office.agreements import ONE, address_of, version_of
from partners.web.office.common import allowed, base_of, crumbs_of, name_of, offered, today_of
from partners.web.office.labels import BENEFIT, MODE
from partners.web.office.terms_typed import (
    BANDS_MAX,
    BENEFITS_MAX,
    BRANDS_MAX,
    COUNT,
    Drafted,
    Reading,
    count_of,
    moved_to,
    places_of,
    rearranged,
    rows_filled,
    typed_of,
)
from partners.web.office.wording import FIELD

_SHOWN: Final[Mapping[BenefitKind, tuple[str, ...]]] = {
    BenefitKind.DISCOUNT: ("share", "amount"),
    BenefitKind.VOUCHER: ("voucher_kind", "amount", "limit_total"),
    BenefitKind.POINTS: ("share",),
    BenefitKind.POINTS_SPENT: ("share",),
    BenefitKind.JOINT: ("share", "amount", "voucher_kind", "limit_total"),
    BenefitKind.INSURANCE: ("cover", "limit_total", "voucher_kind", "purpose"),
    BenefitKind.SERVICE: ("voucher_kind", "limit_each_month", "plate_bound"),
    BenefitKind.MEMBERSHIP: ("voucher_kind", "limit_total", "purpose"),
}
"""What a kind of benefit usually says; the rest stands below it, closed."""
_REST: Final = ("share", "amount", "voucher_kind", "limit_total", "limit_each_month", "cover", "purpose", "commission", "plate_bound")


@dataclass(frozen=True, slots=True, kw_only=True)
class Editable:
    """One benefit as the form draws it."""

    index: int
    title: str
    kind: str
    fields: Sequence[Field]
    bears: Sequence[Field]
    brands: Sequence[Sequence[Field]]
    bands: Sequence[Sequence[Field]]
    rest: Sequence[Field]
    rest_open: bool
    is_first: bool
    is_last: bool
    is_moved: bool


class Drawing:
    """Draws a form as it was left, with what is wrong at each field."""

    def __init__(self, desk: Desk, partner: PartnerView, typed: Typed, faults: Mapping[str, str], kinds: Options) -> None:
        self.desk = desk
        self.partner = partner
        self.typed = typed
        self.faults = faults
        self.kinds = kinds
        self.sign = desk.f.sign_of(partner.currency)

    def value(self, name: str) -> str:
        """Return what stands in a field."""
        return (self.typed.get(name) or [""])[-1]

    def line(self, name: str, label: str, **more: Any) -> Field:
        """Return a line."""
        return field(name, label, **({"value": self.value(name), "fault": self.faults.get(name, ""), "required": False} | more))

    def percent(self, name: str, label: str, **more: Any) -> Field:
        """Return a percentage's field."""
        return self.line(name, label, num=True, after="%", **more)

    def money(self, name: str, label: str, **more: Any) -> Field:
        """Return an amount's field."""
        return self.line(name, label, num=True, before=self.sign, **more)

    def label(self, name: str) -> str:
        """Name a field of the terms."""
        return self.desk.gettext(FIELD[name])

    def own(self) -> list[Field]:
        """Return the agreement's own fields."""
        _ = self.desk.gettext
        fields = [
            self.line("first_day", _("First day"), type="date", required=True, help=_("Today or later when it is approved.")),
            self.line("last_day", _("Last day"), type="date", help=_("Empty: until a later version takes its place.")),
            self.percent("commission", self.label("commission"), help=_("Of the partner's sales to card holders.")),
            self.money("cap", self.label("cap_month_minor"), help=_("Empty: nothing stops the benefits.")),
        ]
        modes = [(mode.value, _(said)) for mode, (said, _tone) in MODE.items()]
        fields += [
            select("mode", self.label("mode"), modes, value=self.value("mode") or Mode.POST_PAID.value, attrs={"data-reload": "1"}),
            self.line("statement_day", self.label("statement_day"), num=True, required=True, help=_("1 to 28, of the month before.")),
            self.line("pay_within_days", self.label("pay_within_days"), num=True, required=True, help=_("From the partner's invoice.")),
        ]
        if self.value("mode") == Mode.PRE_PAID or self.value("low"):
            fields.append(self.money("low", self.label("low_minor")))
        fields += self._offline()
        return [*fields, area("note", self.label("note"), value=self.value("note"), required=False, rows=2)]

    def _offline(self) -> list[Field]:
        """Return what is agreed for offline: one field, and the others once that says something."""
        _ = self.desk.gettext
        told = _("What may be redeemed while a partner's network is gone. Empty: nothing.")
        fields = [self.money("offline_worth", self.label("offline_worth_minor"), help=told, attrs={"data-reload": "1"})]
        if not self.value("offline_worth"):
            return fields
        usual = {"uses": "20", "list_hours": "12", "token_hours": "72"}
        fields.append(self.money("offline_amount", self.label("offline_amount_minor"), help=_("Empty: ten vouchers of the largest.")))
        fields += [
            self.line(f"offline_{name}", self.label(f"offline_{name}"), num=True, placeholder=shown) for name, shown in usual.items()
        ]
        who = [(LossBy.ISSUER.value, _("we")), (LossBy.PARTNER.value, _("the partner"))]
        label, chosen = self.label("offline_loss_by"), self.value("offline_loss_by") or LossBy.ISSUER.value
        told = _("Beyond an outlet's budget it is always the partner.")
        return [*fields, select("offline_loss_by", label, who, value=chosen, help=told)]

    def benefits(self, moved: int | None) -> list[Editable]:
        """Return the benefits in their order."""
        count = count_of(self.typed)
        return [self._benefit(index, count, is_moved=index == moved) for index in range(count)]

    def _benefit(self, index: int, count: int, *, is_moved: bool) -> Editable:
        _ = self.desk.gettext
        at = f"b{index}-"
        kind = next((one for one in BenefitKind if one.value == self.value(f"{at}kind")), BenefitKind.DISCOUNT)
        usual = _SHOWN[kind]
        rest = [name for name in _REST if name not in usual]
        kinds = [(one.value, _(said)) for one, (said, _tone) in BENEFIT.items()]
        head = [
            select(f"{at}kind", self.label("kind"), kinds, value=kind.value, attrs={"data-reload": "1"}),
            self.line(f"{at}name_zh", self.label("name_zh"), required=True),
            self.line(f"{at}name_en", self.label("name_en"), required=True),
        ]
        has_bands = kind is BenefitKind.INSURANCE or bool(self.value(f"{at}band0-premium"))
        has_brands = kind is BenefitKind.JOINT or bool(self.value(f"{at}brand0-name"))
        return Editable(
            index=index,
            title=self.desk.either(self.value(f"{at}name_zh"), self.value(f"{at}name_en")) or _("New benefit"),
            kind=_(BENEFIT[kind][0]),
            fields=[*head, *(self._field(at, name) for name in usual)],
            bears=[self.percent(f"{at}issuer", _("We bear")), self.percent(f"{at}partner", _("The partner bears"))],
            brands=self._brands(at) if has_brands else [],
            bands=self._bands(at) if has_bands else [],
            rest=[
                self.line(f"{at}code", _("Code"), help=_("Empty: made from its kind. Statements name it.")),
                *(self._field(at, name) for name in rest),
                area(f"{at}terms_zh", self.label("terms_zh"), value=self.value(f"{at}terms_zh"), required=False, rows=2),
                area(f"{at}terms_en", self.label("terms_en"), value=self.value(f"{at}terms_en"), required=False, rows=2),
            ],
            rest_open=any(f"{at}{name}" in self.faults for name in ("code", *rest, "terms_zh", "terms_en")),
            is_first=index == 0,
            is_last=index == count - 1,
            is_moved=is_moved,
        )

    def _field(self, at: str, name: str) -> Field:
        _ = self.desk.gettext
        full = f"{at}{name}"
        if name in {"share", "commission"}:
            told = _("Empty: the agreement's.") if name == "commission" else ""
            return self.percent(full, self.label(name), help=told)
        if name in {"amount", "cover"}:
            return self.money(full, self.label(f"{name}_minor"))
        if name == "voucher_kind":
            return self._voucher_kind(full)
        if name == "plate_bound":
            return check(full, self.label(name), checked=bool(self.value(full)))
        if name == "purpose":
            told = _("As consents name it, for example accident-insurance.")
            return self.line(full, self.label(name), help=told)
        return self.line(full, self.label(name), num=True)

    def _voucher_kind(self, name: str) -> Field:
        _ = self.desk.gettext
        chosen = self.value(name)
        known = self.kinds if not chosen or any(code == chosen for code, _label in self.kinds) else [(chosen, chosen), *self.kinds]
        told = _("Kinds that %(outlet)s may redeem.", outlet=f"partner:{self.partner.code}")
        more = {"value": chosen, "blank": _("none"), "fault": self.faults.get(name, ""), "help": told, "required": False}
        return select(name, self.label("voucher_kind"), known, **more)

    def _brands(self, at: str) -> list[list[Field]]:
        _ = self.desk.gettext
        count = rows_filled(self.typed, f"{at}brand", ("name", "share"), BRANDS_MAX)
        return [
            [
                self.line(f"{at}brand{row}-name", _("Brand"), placeholder="lubricants"),
                self.percent(f"{at}brand{row}-share", _("The brand bears")),
            ]
            for row in range(count)
        ]

    def _bands(self, at: str) -> list[list[Field]]:
        _ = self.desk.gettext
        count = rows_filled(self.typed, f"{at}band", ("premium", "months"), BANDS_MAX)
        return [
            [
                self.money(f"{at}band{row}-premium", _("What it costs")),
                self.line(f"{at}band{row}-months", _("Valid for"), num=True, after=_("months")),
            ]
            for row in range(count)
        ]


@get("/partners/{partner_id:uuid}/agreements/new")
async def new_agreement(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Show an empty agreement, or one like the version that holds, or like another that is named."""
    partner = await offered(desk, partner_id)
    today = today_of(desk, partner)
    like = desk.query.maybe_uuid("like")
    model = await version_of(desk, partner_id, like) if like else await agreement_on(desk.session, partner_id=partner_id, day=today)
    terms = Terms(benefits=[]) if model is None else model.terms
    # What was agreed for past days is no model for the days to come.
    end = model.end_day if model is not None and model.end_day is not None and model.end_day > today else None
    typed = typed_of(Drafted(today, end, terms), currency=partner.currency, zone=partner.zone)
    if model is None:
        typed = rearranged(typed, "add") | {"b0-issuer": ["100"]}
    return await _shown(desk, partner, typed, None)


@get(f"{ONE}/edit")
async def edit_agreement(desk: NamedDependency[Desk], partner_id: FromPath[UUID], agreement_id: FromPath[UUID]) -> Page:
    """Show a draft, with what keeps it from being agreed at each field."""
    partner = await offered(desk, partner_id)
    one = await _draft(desk, partner_id, agreement_id)
    typed = typed_of(Drafted(one.first_day, one.end_day, one.terms), currency=partner.currency, zone=partner.zone)
    found = {name: desk.either(fault.zh, fault.en) for name, fault in places_of(faults_of(one.terms), one.terms)}
    return await _shown(desk, partner, typed, one, faults=found)


@post("/partners/{partner_id:uuid}/agreements/new", status_code=303)
async def make_agreement(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Draft it; or show the form again, rearranged, or with what cannot be read."""
    partner = await allowed(desk, partner_id)
    drafted = _read(desk, partner)
    if drafted is None:
        return await _again(desk, partner, None)
    made = await draft_agreement(desk.session, partner_id=partner_id, actor=desk.actor, now=desk.now, **drafted._asdict())
    return await desk.done(f"{base_of(partner_id)}/agreements/{made}", _saved(desk, drafted.terms))


@post(f"{ONE}/edit", status_code=303)
async def store_agreement(desk: NamedDependency[Desk], partner_id: FromPath[UUID], agreement_id: FromPath[UUID]) -> Page:
    """Change the draft; or show the form again."""
    partner = await allowed(desk, partner_id)
    one = await _draft(desk, partner_id, agreement_id)
    drafted = _read(desk, partner)
    if drafted is None:
        return await _again(desk, partner, one)
    await change_draft(desk.session, agreement_id=agreement_id, actor=desk.actor, now=desk.now, **drafted._asdict())
    return await desk.done(address_of(one), _saved(desk, drafted.terms))


def _saved(desk: Desk, terms: Terms) -> str:
    _ = desk.gettext
    if faults_of(terms):
        return _("Saved as it is; something is still missing before it can be submitted.")
    return _("Saved. Nothing holds by it before it is approved.")


async def _draft(desk: Desk, partner_id: UUID, agreement_id: UUID) -> AgreementView:
    one = await version_of(desk, partner_id, agreement_id)
    if one.status is not AgreementStatus.DRAFT:
        raise AgreementNotADraft(status=one.status.value)
    return one


def _read(desk: Desk, partner: PartnerView) -> Drafted | None:
    """Read the form; None where it is to be shown again."""
    return None if desk.form.raw("show") else Reading(desk, partner.currency).drafted()


async def _again(desk: Desk, partner: PartnerView, one: AgreementView | None) -> Page:
    """Show the form as it was left: rearranged as its button says, or with what cannot be read."""
    act = desk.form.raw("show")
    typed = rearranged(desk.form.typed(), act)
    if act:
        return await _shown(desk, partner, typed, one, moved=moved_to(act, count_of(typed)))
    found = {name: f"{label} {said}" for name, label, said in desk.form.faults}
    return await _shown(desk, partner, typed, one, faults=found, status_code=422)


async def _kinds(desk: Desk, partner: PartnerView) -> Options:
    """Return the kinds of vouchers that are redeemed at this partner, or anywhere."""
    here = {"any", f"partner:{partner.code}"}
    found: Options = []
    cursor: str | None = None
    while True:
        page = await list_kinds(desk.session, cursor=cursor, limit=200)
        found += [(one.code, f"{desk.either(one.name_zh, one.name_en)} ({one.code})") for one in page.rows if here & set(one.outlets)]
        cursor = page.next
        if cursor is None:
            return found


async def _shown(
    desk: Desk,
    partner: PartnerView,
    typed: Typed,
    one: AgreementView | None,
    *,
    faults: Mapping[str, str] | None = None,
    moved: int | None = None,
    status_code: int = 200,
) -> Page:
    """Draw the form as it was left, with what is wrong at each field."""
    _ = desk.gettext
    found = faults or {}
    drawing = Drawing(desk, partner, typed, found, await _kinds(desk, partner))
    benefits = drawing.benefits(moved)
    values: dict[str, Any] = {
        "action": f"{address_of(one)}/edit" if one else f"{base_of(partner.partner_id)}/agreements/new",
        "once": new_key(),
        "carried": {COUNT: str(len(benefits))},
        "fields": drawing.own(),
        "benefits": benefits,
        "may_add": len(benefits) < BENEFITS_MAX,
        "faults": found,
        "back": address_of(one) if one else base_of(partner.partner_id),
    }
    if wants_fragment(desk.request):
        form = "office/partner_terms_form.html"
        return render(desk.request, form, status_code=status_code, zone=desk.zone, now=desk.now, csrf=desk.token, **values)
    title = _("Version %(version)s", version=one.version) if one else _("New version of the agreement")
    crumbs = crumbs_of(desk, partner, (title, address_of(one) if one else ""), *([(_("Edit"), "")] if one else []))
    return await desk.page(
        title, sub=name_of(desk, partner), crumbs=crumbs, status_code=status_code, template="office/partner_terms.html", **values
    )


handlers = [new_agreement, make_agreement, edit_agreement, store_agreement]
