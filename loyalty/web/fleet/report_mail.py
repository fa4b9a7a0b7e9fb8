"""What a company's people get by mail: the week's figures, and a closed period's statement. Made here, left in the outbox."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import reduce
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock, mail
from loyalty.fleet.model_reports import ReportFiles
from loyalty.fleet.operations.reports import PeriodDue, WeekDue
from loyalty.fleet.queries.companies import get_company
from loyalty.fleet.queries.departments import subtree_of
from loyalty.fleet.queries.economy import Total, totals_by_period
from loyalty.fleet.queries.watching import requests_waiting, waiting_of
from loyalty.mail import Attached
from loyalty.outbox import Channel, put
from loyalty.policy import load_policy
from loyalty.settings import Settings
from loyalty.web.exports import XLSX_TYPE
from loyalty.web.fleet.queries import PersonView, get_person
from loyalty.web.fleet.statement_files import statement_pdf, statement_xlsx
from loyalty.web.fleet.statement_tables import PATH, Scope, figure_cells, figure_columns, money_pairs, stated
from loyalty.web.fleet.voice import FleetWriter
from loyalty.web.i18n import language
from loyalty.web.rendering import environment

ATTACHED_MOST: Final = 8_000_000
"""Bytes: what is larger is fetched by the link, since mail servers refuse it."""
_FILES: Final = (("pdf", "application/pdf", statement_pdf), ("xlsx", XLSX_TYPE, statement_xlsx))
_WEEK: Final = timedelta(days=7)


class _Letter(NamedTuple):
    """What a mail says, whoever it goes to."""

    title: str
    facts: Sequence[tuple[str, str, str]]
    """Name, value, and what it is measured by."""
    link: str
    link_label: str
    note: str = ""


async def put_week(session: AsyncSession, *, settings: Settings, due: WeekDue, now: datetime) -> bool:
    """Leave the mail about a week in the outbox; False where there is nobody to write to, or it stood there."""
    found = await _writer(session, due, now)
    if found is None:
        return False
    to, person = found
    _, f, currency = to.gettext, to.f, to.company.currency
    first = due.monday - _WEEK
    carbon = load_policy(settings.policy).carbon

    async def summed(begin: int) -> Total:
        span = {"first": due.monday - begin * _WEEK, "end": due.monday - (begin - 1) * _WEEK}
        parts = await totals_by_period(
            session, company_id=to.company_id, **span, period_day=to.company.period_day, carbon=carbon, departments=to.departments
        )
        return reduce(Total.plus, parts.values(), Total())

    week, former = await summed(1), await summed(2)
    asked, odd = await waiting_of(session, company_id=to.company_id, departments=to.departments)
    requests = await requests_waiting(session, company_id=to.company_id, departments=to.departments)

    def before(figure: object) -> str:
        return _("the week before: %(figure)s", figure=figure)

    facts = [
        (_("Fuel"), f.quantity(week.quantity_milli, "L"), before(f.quantity(former.quantity_milli, "L"))),
        (_("Spent"), f.money(week.card_minor, currency), before(f.money(former.card_minor, currency))),
        (_("Saving"), f.money(week.discount_minor, currency), ""),
        (_("Fills"), f.count(week.fills), before(f.count(former.fills))),
    ]
    if week.carbon_g:
        facts.append((_("CO₂"), f.quantity((week.carbon_g + 500) // 1000 * 1000, "kg", digits=0), ""))
    waits = [(_("Asked at the pump"), asked), (_("Oddities to be looked at"), odd), (_("Allocations to be decided"), requests)]
    facts += [(name, f.count(number), _("waits for you")) for name, number in waits if number]
    days = to.days(first, due.monday)
    letter = _Letter(f"{to.company.name}: {days}", facts, f"{settings.public_url}/fleet", _("Open the portal"))
    once = f"fleet.report.week:{person.user_id}:{due.monday}"
    return await _put(to, person, letter, [], once=once, about="fleet.report.week", settings=settings)


async def put_period(session: AsyncSession, *, settings: Settings, due: PeriodDue, now: datetime, again: str = "") -> bool:
    """Leave the mail about a closed period in the outbox; `again` makes it another one than the scheduled. False as `put_week`."""
    found = await _writer(session, due, now)
    if found is None:
        return False
    to, person = found
    _, f, currency = to.gettext, to.f, to.company.currency
    scope, whose = (Scope.COMPANY, to.company_id) if person.department_id is None else (Scope.DEPARTMENT, person.department_id)
    statement = await stated(to, scope, whose, due.first_day)
    figures = zip(figure_columns(to), figure_cells(to, statement.totals.figures), strict=True)
    facts = [(column.label, str(cell.show), "") for column, cell in figures]
    facts += [(name, f.money(amount, currency), "") for name, amount in money_pairs(to, statement.totals)]
    files, left_out = [], False
    for ending, kind, make in _FILES:
        if due.files in {ReportFiles(ending), ReportFiles.BOTH}:
            content = await asyncio.to_thread(await make(to, statement))
            files.append(Attached(f"statement-{due.first_day}.{ending}", kind, content))
    if sum(len(one.content) for one in files) > ATTACHED_MOST:
        files, left_out = [], True
    letter = _Letter(
        f"{statement.name}: {_('Statement')} {to.days(*statement.period.span)}",
        facts,
        f"{settings.public_url}{PATH}?period={due.first_day}",
        _("Open the statement"),
        _("The files are too large for a mail; fetch them from the portal.") if left_out else "",
    )
    once = f"fleet.report.period:{person.user_id}:{due.first_day}{again}"
    return await _put(to, person, letter, files, once=once, about="fleet.report.period", settings=settings)


async def _writer(session: AsyncSession, due: WeekDue | PeriodDue, now: datetime) -> tuple[FleetWriter, PersonView] | None:
    """Return how one of a company's people is written to, cut to their department; None where they may no longer come in."""
    company_id = due.company_id
    person = await get_person(session, company_id=company_id, user_id=due.user_id)
    if person is None or person.disabled_at is not None:
        return None
    company = await get_company(session, company_id=company_id)
    rooms = None
    if person.department_id is not None:
        rooms = await subtree_of(session, company_id=company_id, department_id=person.department_id)
    return FleetWriter(session, language(due.locale), company, rooms, now), person


async def _put(
    to: FleetWriter, person: PersonView, letter: _Letter, files: Sequence[Attached], *, once: str, about: str, settings: Settings
) -> bool:
    _ = to.gettext
    why = _("You chose this mail in the portal; there you can end it.")
    reports = f"{settings.public_url}/fleet/statements/mail"
    lines = [letter.title, "", *(f"{name}: {value}{f' ({note})' if note else ''}" for name, value, note in letter.facts), ""]
    lines += [*([letter.note, ""] if letter.note else []), f"{letter.link_label}: {letter.link}", "", f"{why} {reports}"]
    html = environment(to.words.locale).get_template("fleet/mail.html").render(letter=letter, why=why, reports=reports, lang=to.words.tag)
    payload = mail.compose(
        sender=settings.mail_from,
        to=person.email,
        subject=letter.title,
        text="\n".join(lines),
        html=html,
        files=files,
        message_id=once.replace(":", "."),
        at=clock.real_now(),
    )
    return await put(
        to.session,
        channel=Channel.MAIL,
        once=once,
        about=about,
        recipient=person.email,
        payload=payload,
        company_id=to.company_id,
        now=to.now,
    )
