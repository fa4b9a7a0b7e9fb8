"""The counter while the network is gone: its page, the phone's lease, and what it tells when the network is back."""

from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.response import Response

from loyalty.clock import local_date
from loyalty.errors import Refusal
from loyalty.identity.partner_rules import PartnerPermission
from loyalty.web.assets import FOLDER
from loyalty.web.desk import Page
from loyalty.web.rendering import page_headers
from partners.operations.offline import BATCH, Told, sync
from partners.operations.offline_leases import take_lease
from partners.queries.alliances import agreement_on
from partners.web.partner.desk import PartnerDesk
from partners.web.partner.frame import HOME
from partners.web.partner.labels import OFFLINE

_REDEEM: Final = PartnerPermission.REDEEM
_TOLD: Final = msgspec.json.Decoder(list[Told])


class ToldUnread(Refusal):
    """What a phone told is not as its page tells it."""

    status = 422
    zh = "离线记录无法读取。"
    en = "What was kept on the phone cannot be read."
    next_zh = "请更新页面后重试；记录仍在手机上。"
    next_en = "Load the page anew and try again: it stays on the phone."


@get("/worker.js", opt={"public": True})
async def worker() -> Response[bytes]:
    """Serve the worker where it may answer for the whole portal."""
    headers = {"Service-Worker-Allowed": HOME, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return Response((FOLDER / "partner-worker.js").read_bytes(), media_type="text/javascript", headers=headers)


@get("/offline")
async def shell(partner: NamedDependency[PartnerDesk]) -> Page:
    """Draw the counter that works without a network; the phone keeps it. It asks nobody, and does nothing that the counter does not."""
    partner.require(_REDEEM)
    return await partner.page(
        partner.gettext("Offline counter"),
        template="partner/offline.html",
        outlet_name="" if partner.outlet is None else partner.outlet_name,
        who=partner.principal.name,
        sentences=[(code, partner.gettext(said)) for code, said in OFFLINE.items()],
    )


@get("/offline/state")
async def state(partner: NamedDependency[PartnerDesk]) -> Response[bytes]:
    """Say where the reader stands, and whether anything is agreed for offline there."""
    partner.require(_REDEEM)
    today = local_date(partner.now, partner.zone)
    agreed = await agreement_on(partner.session, partner_id=partner.partner_id, day=today)
    return _json(
        partner,
        {
            "csrf": partner.token,
            "partner": partner.partner.code,
            "outlet": partner.here.code,
            "now": int(partner.now.timestamp()),
            "agreed": agreed is not None and agreed.terms.offline is not None,
        },
    )


@post("/offline/leases", status_code=200)
async def lease(partner: NamedDependency[PartnerDesk]) -> Response[bytes]:
    """Give this phone a lease with a fresh list, or none."""
    partner.require(_REDEEM)
    device = partner.form.uuid("device", partner.gettext("This phone"))
    partner.form.check()
    assert isinstance(device, UUID), "checked"
    kit = await take_lease(
        partner.session, outlet_id=partner.here.outlet_id, device=device, granted_to=partner.principal.name, now=partner.now
    )
    return _json(partner, {"kit": kit})


@post("/offline/uses", status_code=200)
async def tell(partner: NamedDependency[PartnerDesk]) -> Response[bytes]:
    """Book what was honoured offline, each once for its key; say what became of each.

    :raises ToldUnread: if it is not as our page tells it
    """
    partner.require(_REDEEM)
    try:
        told = _TOLD.decode(partner.form.long("uses"))
    except msgspec.DecodeError:
        raise ToldUnread from None
    if len(told) > BATCH or any(one.at.tzinfo is None for one in told):
        raise ToldUnread
    done = await sync(partner.session, outlet_id=partner.here.outlet_id, told=told, actor=partner.principal.actor, now=partner.now)
    return _json(partner, {"results": done})


def _json(partner: PartnerDesk, value: Any) -> Response[bytes]:
    return Response(msgspec.json.encode(value), media_type="application/json", headers=page_headers(partner.request))


handlers = [worker, shell, state, lease, tell]
