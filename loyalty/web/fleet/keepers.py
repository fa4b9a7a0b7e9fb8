"""Who keeps which cards: of one card, or of all that a list shows."""

from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.fleet.operations.custody import keep_cards
from loyalty.fleet.queries.custody import keepers_of
from loyalty.identity.portal_rules import FleetPermission
from loyalty.web.desk import Page
from loyalty.web.fleet import queries
from loyalty.web.fleet.card_acts import card_of
from loyalty.web.fleet.cards import FILTERS, NOBODY, PATH, cards_by, crumbs_of, keepers_href
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.listing import Listing
from loyalty.web.office.lookups import select
from loyalty.web.office.parts import Field

_EDIT: Final = FleetPermission.EDIT_STRUCTURE


@get("/cards/{card_id:uuid}/keeper")
async def ask_keeper(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """Ask who keeps a card."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    one = await card_of(fleet, card_id)
    crumbs = [*crumbs_of(fleet, one), (_("Who keeps it"), "")]
    fields = [await _keeper(fleet, str(one.keeper_id or NOBODY))]
    return await fleet.ask(_("Who keeps the card"), fields, submit=_("Save"), note=_note(fleet), back=f"{PATH}/{card_id}", crumbs=crumbs)


@post("/cards/{card_id:uuid}/keeper", status_code=303)
async def put_keeper(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """Let somebody keep a card from now on."""
    fleet.require(_EDIT)
    one = await card_of(fleet, card_id)
    await _keep(fleet, [one.chain_id])
    return await fleet.done(f"{PATH}/{card_id}", fleet.gettext("Saved"))


@get("/cards/keepers")
async def ask_keepers(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask who keeps all the cards of a list; how many they are stands in the button."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", FILTERS)
    chains = await _chains(fleet)
    return await fleet.ask(
        _("Who keeps these cards"),
        [await _keeper(fleet, "")],
        submit=_("Save for %(cards)s cards", cards=fleet.f.count(len(chains))),
        action=keepers_href(listing),
        note=_note(fleet),
        sub=_("%(cards)s cards, as the list was filtered", cards=fleet.f.count(len(chains))),
        back=listing.href(),
        crumbs=[(_("Cards"), listing.href()), (_("Who keeps these"), "")],
    )


@post("/cards/keepers", status_code=303)
async def put_keepers(fleet: NamedDependency[FleetDesk]) -> Page:
    """Let somebody keep all the cards of a list from now on."""
    fleet.require(_EDIT)
    changed = await _keep(fleet, await _chains(fleet))
    # Filtered by who kept them the list would be empty now: what is left is the rest of the filter.
    filters = {name: fleet.query.raw(name) for name in FILTERS if name not in {"kept_by", "where"}}
    said = fleet.gettext("%(cards)s cards have another custodian now", cards=fleet.f.count(changed))
    return await fleet.done(Listing(PATH, "", filters).href(), said)


async def _chains(fleet: FleetDesk) -> list[UUID]:
    return await queries.chains_of_cards(fleet.session, account_id=fleet.company.account_id, by=cards_by(fleet), now=fleet.now)


async def _keep(fleet: FleetDesk, chains: list[UUID]) -> int:
    nobody = fleet.form.raw("keeper") == NOBODY
    keeper_id = None if nobody else fleet.form.uuid("keeper", fleet.gettext("Kept by"))
    fleet.form.check()
    return await keep_cards(
        fleet.session, company_id=fleet.company_id, chain_ids=chains, keeper_id=keeper_id, actor=fleet.actor, now=fleet.now
    )


async def _keeper(fleet: FleetDesk, chosen: str) -> Field:
    """Return the choice of a custodian; nothing is chosen where many cards are meant, so that nobody loses theirs by haste."""
    _ = fleet.gettext
    found = await keepers_of(fleet.session, company_id=fleet.company_id)
    options = [(str(one.user_id), one.name) for one in found if one.may_lend]
    return select(
        "keeper", _("Kept by"), [*options, (NOBODY, _("Kept by nobody"))], value=chosen, blank="" if chosen else _("Choose a custodian")
    )


def _note(fleet: FleetDesk) -> str:
    _ = fleet.gettext
    asks = _("While it is kept it fuels with a permit only: your company's setting.") if fleet.company.custody_blocks else ""
    return f"{_('From now on; who kept them before stays on record.')} {asks}".strip()


handlers = [ask_keeper, put_keeper, ask_keepers, put_keepers]
