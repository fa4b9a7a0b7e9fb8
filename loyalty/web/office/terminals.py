"""Tills: added with caps, enrolled by a code shown once, quarantined or revoked with effect at once."""

from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.errors import NotFound
from loyalty.identity import operations as identity
from loyalty.identity import queries as people
from loyalty.identity.model_terminals import EnrolmentUse
from loyalty.identity.rules import Permission
from loyalty.ids import StationId, TerminalId
from loyalty.stations import operations, queries
from loyalty.stations.model import TERMINAL_MOVES, TerminalKind, TerminalStatus
from loyalty.stations.operations import TerminalCaps
from loyalty.stations.queries import TerminalView
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import TERMINAL_KIND, TERMINAL_STATUS
from loyalty.web.office.lookups import chips, field
from loyalty.web.office.parts import Act, Cell, Events, Facts, Field, Part, Rows, Said, Text

PATH = "/office/terminals"


async def _till(desk: Desk, terminal_id: UUID, permission: Permission) -> TerminalView:
    """Return a till within the reader's scope for an act.

    :raises NotFound: if it lies outside
    """
    one = await queries.get_terminal(desk.session, terminal_id=terminal_id)
    desk.offer(permission, one.station_id)
    return one


def _crumbs(desk: Desk, one: TerminalView, title: str = "") -> list[tuple[str, str]]:
    station = desk.either(one.station_name_zh, one.station_name_en)
    crumbs = [(desk.gettext("Stations"), "/office/stations"), (station, f"/office/stations/{one.station_id}")]
    return [*crumbs, (one.code, f"{PATH}/{one.terminal_id}"), (title, "")] if title else [*crumbs, (one.code, "")]


@get("/terminals/{terminal_id:uuid}")
async def terminal(desk: NamedDependency[Desk], terminal_id: FromPath[UUID]) -> Page:
    """Show one till: whether it is believed, what may be sold at it, which devices it is."""
    one = await queries.get_terminal(desk.session, terminal_id=terminal_id)
    desk.require(Permission.READ_STATION, one.station_id)
    _ = desk.gettext
    base = f"{PATH}/{terminal_id}"
    acts: list[Act | None] = []
    if desk.may(Permission.ENROL_TERMINALS, one.station_id) and one.status is TerminalStatus.ACTIVE:
        acts.append(Act(_("Enrolment code"), f"{base}/enrol", primary=True))
    if desk.may(Permission.REVOKE_TERMINALS, one.station_id):
        acts += [_move_act(desk, one, to, base) for to in sorted(TERMINAL_MOVES[one.status])]
    top: list[Part] = []
    if one.status is TerminalStatus.QUARANTINED:
        top.append(
            Said(
                title=_("This till contradicts itself"),
                tone="bad",
                then=_("What it reports is booked and flagged; nothing new is authorised until it is taken back or revoked."),
            )
        )
    caps = Facts(
        title=_("Caps"),
        figures=True,
        pairs=[
            (_("At most a sale"), desk.f.money(one.amount_per_transaction_max_minor, one.currency)),
            (_("At most offline"), desk.f.money(one.offline_amount_max_minor, one.currency)),
        ],
        acts=[Act(_("Change"), f"{base}/caps")] if desk.may(Permission.EDIT_STATIONS, one.station_id) else [],
    )
    facts = Facts(
        title=_("The till"),
        pairs=[
            (_("Kind"), cells.tag(desk, one.kind, TERMINAL_KIND).show),
            (_("Heard"), cells.when(desk, one.last_heartbeat_at).show),
            (_("Software"), one.software or "—"),
            (_("Added"), desk.f.full_day(one.created_at)),
        ],
    )
    return await desk.page(
        f"{_('Till')} {one.code}",
        sub=desk.either(one.station_name_zh, one.station_name_en),
        crumbs=_crumbs(desk, one),
        tags=[cells.tag(desk, one.status, TERMINAL_STATUS).show],
        acts=acts,
        top=top,
        main=[await _devices(desk, one), await _events(desk, terminal_id)],
        aside=[facts, caps],
    )


def _move_act(desk: Desk, one: TerminalView, to: TerminalStatus, base: str) -> Act:
    _ = desk.gettext
    del one
    labels = {TerminalStatus.ACTIVE: _("Take back"), TerminalStatus.QUARANTINED: _("Quarantine"), TerminalStatus.REVOKED: _("Revoke")}
    return Act(labels[to], f"{base}/{to.value}", danger=to is not TerminalStatus.ACTIVE)


async def _devices(desk: Desk, one: TerminalView) -> Rows:
    _ = desk.gettext
    revokes = desk.may(Permission.REVOKE_TERMINALS, one.station_id)
    devices = await people.enrolled_devices(desk.session, terminal_id=one.terminal_id)
    return Rows(
        title=_("Browsers that are this till"),
        columns=[Column(_("Enrolled")), Column(_("Browser")), Column("")],
        rows=[
            [
                cells.when(desk, device.enrolled_at),
                cells.text(device.user_agent),
                Cell(desk.link(f"{PATH}/{one.terminal_id}/devices/{device.device_id}", _("Take away")) if revokes else "", ""),
            ]
            for device in devices
        ],
        empty=_("None enrolled"),
        empty_then=_("A forecourt till has a key of its own; a counter's browser is enrolled by a code."),
    )


async def _events(desk: Desk, terminal_id: UUID) -> Events:
    _ = desk.gettext
    events = await queries.terminal_history(desk.session, terminal_id=terminal_id)
    names = await lookups.people(desk, [event.staff_id for event in events])
    return Events(
        title=_("History"),
        events=[
            lookups.happening(
                desk,
                event.happened_at,
                _(TERMINAL_STATUS[event.moved_to][0]),
                (cells.named(names, event.staff_id), lookups.noted(desk, event.reason)),
                tone=TERMINAL_STATUS[event.moved_to][1],
            )
            for event in events
        ],
        empty=_("Nothing yet"),
    )


def _caps_fields(desk: Desk, one: TerminalView | None) -> list[Field]:
    _ = desk.gettext

    def amount(value: int | None) -> str:
        return desk.f.amount(value) if value is not None else ""

    return [
        field(
            "most",
            _("At most a sale"),
            num=True,
            required=False,
            value=amount(one.amount_per_transaction_max_minor if one else None),
            help=_("Empty: no cap."),
        ),
        field(
            "offline",
            _("At most offline"),
            num=True,
            required=False,
            value=amount(one.offline_amount_max_minor if one else None),
            help=_("Empty: the card product's own."),
        ),
    ]


def _read_caps(desk: Desk, currency: str) -> TerminalCaps:
    _ = desk.gettext
    return TerminalCaps(
        amount_per_transaction_max_minor=desk.form.money("most", _("At most a sale"), currency, required=False),
        offline_amount_max_minor=desk.form.money("offline", _("At most offline"), currency, required=False),
    )


@get("/stations/{station_id:uuid}/terminals/new")
async def new_terminal(desk: NamedDependency[Desk], station_id: FromPath[UUID]) -> Page:
    """Ask for a new till."""
    desk.require(Permission.EDIT_STATIONS, station_id)
    _ = desk.gettext
    kinds = [(member.value, _(label[0])) for member, label in TERMINAL_KIND.items()]
    fields = [
        field("code", _("Code"), autofocus=True, help=_("Unique within the station, as printed on receipts.")),
        chips("kind", _("Kind"), kinds, value=TerminalKind.COUNTER.value),
        *_caps_fields(desk, None),
    ]
    one = await queries.get_station(desk.session, station_id=station_id)
    back = f"/office/stations/{station_id}"
    crumbs = [(_("Stations"), "/office/stations"), (desk.either(one.name_zh, one.name_en), back), (_("Add a till"), "")]
    return await desk.ask(_("Add a till"), fields, submit=_("Add"), back=back, crumbs=crumbs)


@post("/stations/{station_id:uuid}/terminals/new", status_code=303)
async def add_terminal(desk: NamedDependency[Desk], station_id: FromPath[UUID]) -> Page:
    """Add a till; it can do nothing until a device is enrolled for it."""
    desk.require(Permission.EDIT_STATIONS, station_id)
    _ = desk.gettext
    one = await queries.get_station(desk.session, station_id=station_id)
    code = desk.form.text("code", _("Code"), longest=20)
    kind = desk.form.choice("kind", _("Kind"), TerminalKind, TerminalKind.COUNTER)
    caps = _read_caps(desk, one.currency)
    desk.form.check()
    made = await operations.add_terminal(
        desk.session, station_id=StationId(station_id), code=code, kind=kind, caps=caps, actor=desk.actor, now=desk.now
    )
    return await desk.done(f"{PATH}/{made.terminal_id}", _("Added. Enrol a device for it."))


@get("/terminals/{terminal_id:uuid}/caps")
async def ask_caps(desk: NamedDependency[Desk], terminal_id: FromPath[UUID]) -> Page:
    """Ask for other caps."""
    one = await _till(desk, terminal_id, Permission.EDIT_STATIONS)
    _ = desk.gettext
    back = f"{PATH}/{terminal_id}"
    return await desk.ask(_("Caps"), _caps_fields(desk, one), submit=_("Save"), back=back, crumbs=_crumbs(desk, one, _("Caps")))


@post("/terminals/{terminal_id:uuid}/caps", status_code=303)
async def change_caps(desk: NamedDependency[Desk], terminal_id: FromPath[UUID]) -> Page:
    """Give a till other caps."""
    one = await _till(desk, terminal_id, Permission.EDIT_STATIONS)
    caps = _read_caps(desk, one.currency)
    desk.form.check()
    await operations.change_terminal_caps(desk.session, terminal_id=TerminalId(terminal_id), caps=caps, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{terminal_id}", desk.gettext("Saved"))


@get("/terminals/{terminal_id:uuid}/enrol")
async def ask_enrolment(desk: NamedDependency[Desk], terminal_id: FromPath[UUID]) -> Page:
    """Ask what the code is for."""
    one = await _till(desk, terminal_id, Permission.ENROL_TERMINALS)
    _ = desk.gettext
    browser = one.kind is TerminalKind.COUNTER
    options = [(EnrolmentUse.BROWSER.value, _("A browser at the counter")), (EnrolmentUse.KEY.value, _("A device with a key of its own"))]
    fields = [chips("use", _("Enrol"), options, value=(EnrolmentUse.BROWSER if browser else EnrolmentUse.KEY).value)]
    note = _("A code is good once, for fifteen minutes, for this till only. Codes issued before it become void.")
    return await desk.ask(
        _("Enrolment code"),
        fields,
        submit=_("Issue the code"),
        back=f"{PATH}/{terminal_id}",
        crumbs=_crumbs(desk, one, _("Enrolment code")),
        note=note,
    )


@post("/terminals/{terminal_id:uuid}/enrol", status_code=200)
async def issue_code(desk: NamedDependency[Desk], terminal_id: FromPath[UUID]) -> Page:
    """Show the code once, with its countdown and as a QR code."""
    one = await queries.get_terminal(desk.session, terminal_id=terminal_id)
    desk.require(Permission.ENROL_TERMINALS, one.station_id)
    _ = desk.gettext
    use = desk.form.choice("use", _("Enrol"), EnrolmentUse, EnrolmentUse.BROWSER)
    desk.form.check()
    code, until = await identity.issue_enrolment_code(desk.session, terminal_id=terminal_id, use=use, by=desk.principal, now=desk.real_now)
    left = int((until - desk.real_now).total_seconds())
    public = desk.request.app.state.settings.public_url
    lines = [Markup('<strong class="mono hero-number">{}</strong>').format(code)]
    if use is EnrolmentUse.BROWSER:
        lines.append(Markup(str(desk.macro("ui").qr_code(f"{public}/cashier/enrol?code={code}", alt=_("Enrolment code")))))  # noqa: S704 - a macro's own, escaped output
    lines.append(Markup('{} <strong class="fig" data-ends="{}">{}:{:02d}</strong>').format(_("Good for"), left, left // 60, left % 60))
    shown = Text(
        title=f"{one.code} · {desk.either(one.station_name_zh, one.station_name_en)}",
        note=_("Shown only now"),
        lines=lines,
        acts=[Act(_("Done"), f"{PATH}/{terminal_id}", primary=True, key="Escape")],
    )
    return await desk.shown(_("Enrolment code"), [shown], crumbs=_crumbs(desk, one, _("Enrolment code")), instead=True)


_MOVES = [f"/terminals/{{terminal_id:uuid}}/{status.value}" for status in TerminalStatus]


@get(_MOVES)
async def ask_move(desk: NamedDependency[Desk], terminal_id: FromPath[UUID]) -> Page:
    """Ask why a till is quarantined, revoked or taken back."""
    one = await _till(desk, terminal_id, Permission.REVOKE_TERMINALS)
    _ = desk.gettext
    to = TerminalStatus(desk.act)
    titles = {TerminalStatus.ACTIVE: _("Take back"), TerminalStatus.QUARANTINED: _("Quarantine"), TerminalStatus.REVOKED: _("Revoke")}
    notes = {
        TerminalStatus.ACTIVE: _("It is believed again from the next request on."),
        TerminalStatus.QUARANTINED: _("At once: nothing new is authorised; what it reports is booked and flagged."),
        TerminalStatus.REVOKED: _("At once: its key, browsers, sign-ins and open codes end. What it still reports is booked and flagged."),
    }
    return await desk.ask(
        titles[to],
        [field("reason", _("Reason"), autofocus=True)],
        submit=titles[to],
        danger=to is not TerminalStatus.ACTIVE,
        back=f"{PATH}/{terminal_id}",
        crumbs=_crumbs(desk, one, titles[to]),
        note=notes[to],
    )


@post(_MOVES, status_code=303)
async def move_terminal(desk: NamedDependency[Desk], terminal_id: FromPath[UUID]) -> Page:
    """Quarantine, revoke or take back a till."""
    one = await queries.get_terminal(desk.session, terminal_id=terminal_id)
    desk.require(Permission.REVOKE_TERMINALS, one.station_id)
    to = TerminalStatus(desk.act)
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    if to is TerminalStatus.REVOKED:
        await identity.revoke_terminal(desk.session, terminal_id=terminal_id, reason=reason, by=desk.principal, now=desk.real_now)
    await operations.move_terminal(desk.session, terminal_id=TerminalId(terminal_id), to=to, reason=reason, actor=desk.actor, now=desk.now)
    undo = f"{PATH}/{terminal_id}/{TerminalStatus.ACTIVE.value}" if to is TerminalStatus.QUARANTINED else ""
    said = desk.gettext(TERMINAL_STATUS[to][0])
    return await desk.done(f"{PATH}/{terminal_id}", said, undo=undo, fields={"reason": "undo"} if undo else None)


@get("/terminals/{terminal_id:uuid}/devices/{device_id:uuid}")
async def ask_device(desk: NamedDependency[Desk], terminal_id: FromPath[UUID], device_id: FromPath[UUID]) -> Page:
    """Ask why a browser is no till any more."""
    one = await _till(desk, terminal_id, Permission.REVOKE_TERMINALS)
    _ = desk.gettext
    del device_id
    return await desk.ask(
        _("Take this browser away"),
        [field("reason", _("Reason"), autofocus=True)],
        submit=_("Take away"),
        danger=True,
        back=f"{PATH}/{terminal_id}",
        crumbs=_crumbs(desk, one, _("Take away")),
        note=_("Whoever is signed in on it is signed out at once; the till's other devices stay."),
    )


@post("/terminals/{terminal_id:uuid}/devices/{device_id:uuid}", status_code=303)
async def revoke_device(desk: NamedDependency[Desk], terminal_id: FromPath[UUID], device_id: FromPath[UUID]) -> Page:
    """Make a browser no till any more."""
    one = await queries.get_terminal(desk.session, terminal_id=terminal_id)
    desk.require(Permission.REVOKE_TERMINALS, one.station_id)
    if device_id not in {device.device_id for device in await people.enrolled_devices(desk.session, terminal_id=terminal_id)}:
        raise NotFound
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await identity.revoke_device(desk.session, device_id=device_id, reason=reason, by=desk.principal, now=desk.real_now)
    return await desk.done(f"{PATH}/{terminal_id}", desk.gettext("Taken away"))


handlers = [
    terminal,
    new_terminal,
    add_terminal,
    ask_caps,
    change_caps,
    ask_enrolment,
    issue_code,
    ask_move,
    move_terminal,
    ask_device,
    revoke_device,
]
