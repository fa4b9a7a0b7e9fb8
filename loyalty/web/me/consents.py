"""What the holder agreed to: what goes to whom, in the words they read; withdrawn by one tap, given by another."""

from typing import Any, Final

from litestar import get, post
from litestar.di import NamedDependency

from loyalty.customers.model import ConsentChannel
from loyalty.customers.operations import WordingNotFound, declare_consent
from loyalty.customers.queries import ConsentView, WordingView, consents_of, survivor_of, wordings_asked
from loyalty.db import transaction
from loyalty.web.i18n import N_
from loyalty.web.me.holder import HOME, Page, Phone, SignInNeeded
from loyalty.web.rendering import redirect

_KNOWN: Final = {"marketing": N_("News and offers from us")}
"""Purposes that are asked on paper alone."""


@get("/consents")
async def consents(phone: NamedDependency[Phone]) -> Page:
    """Show what is asked and what was said.

    :raises SignInNeeded: if nobody is signed in
    """
    async with transaction(phone.request.app.state.sessions) as session:
        said = {(one.purpose, one.recipient): one for one in await consents_of(session, customer_id=phone.customer_id, at=phone.now)}
        asked = {(one.purpose, one.recipient): one for one in await wordings_asked(session)}
    shown = [_shown(phone, key, asked.get(key), said.get(key)) for key in sorted({*asked, *said})]
    return phone.draw("consents.html", consents=shown)


def _shown(phone: Phone, key: tuple[str, str], asked: WordingView | None, said: ConsentView | None) -> dict[str, Any]:
    purpose, recipient = key
    known = phone.gettext(_KNOWN[purpose]) if purpose in _KNOWN else purpose
    return {
        "purpose": purpose,
        "recipient": recipient,
        "title": f"{known} → {recipient}" if recipient else known,
        "granted": said is not None and said.granted,
        "since": phone.f.when(said.declared_at) if said is not None else "",
        "version": "",
        "text": "",
    } | (
        {}
        if asked is None
        else {
            "title": phone.either(asked.title_zh, asked.title_en),
            "text": phone.either(asked.text_zh, asked.text_en),
            "version": asked.version,
        }
    )


@post("/consents", status_code=303)
async def declare(phone: NamedDependency[Phone]) -> Page:
    """Give a consent in the words that are asked today, or withdraw one.

    :raises SignInNeeded: if nobody is signed in
    :raises WordingNotFound: if what was read is not asked any more, or nothing can be withdrawn
    """
    if phone.holder is None:
        raise SignInNeeded
    purpose, recipient = phone.form.raw("purpose"), phone.form.raw("recipient")
    granted, read = phone.form.raw("granted") == "1", phone.form.maybe_whole("version")
    async with transaction(phone.request.app.state.sessions) as session:
        customer_id = await survivor_of(session, customer_id=phone.customer_id)
        asked = {(one.purpose, one.recipient): one.version for one in await wordings_asked(session)}
        said = {(one.purpose, one.recipient): one.granted for one in await consents_of(session, customer_id=customer_id, at=phone.now)}
        key = (purpose, recipient)
        # Nobody agrees to words they have not read; and withdrawing needs no words at all.
        if (granted and asked.get(key) != read) or (not granted and key not in said):
            raise WordingNotFound(purpose=purpose)
        if said.get(key, False) is not granted:
            await declare_consent(
                session,
                customer_id=customer_id,
                purpose=purpose,
                recipient=recipient,
                granted=granted,
                evidence="/me/consents",
                wording=asked.get(key),
                channel=ConsentChannel.OWN_PAGE,
                actor=phone.holder.actor,
                now=phone.now,
            )
    return redirect(phone.request, f"{HOME}/consents")


handlers = [consents, declare]
