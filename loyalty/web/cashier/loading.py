"""Money in: one card, by any tender; who pays, where the profile wants to know; a bank transfer waits for finance."""

from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.model import Operation
from loyalty.cards.model import ProductKind
from loyalty.cards.operations import record_first_load
from loyalty.customers.model import IdentifierType
from loyalty.identity.rules import Permission
from loyalty.ledger.queries import get_account
from loyalty.topups import operations as topups
from loyalty.topups.model import Party, Tender
from loyalty.topups.operations import BankTransfer, Declared
from loyalty.topups.queries import balance_of, owner_of
from loyalty.topups.rules import cap_of
from loyalty.web.benefits import PRICED, Given, Teller, item_names
from loyalty.web.cashier.frame import draw, reading
from loyalty.web.cashier.labels import TENDERS
from loyalty.web.cashier.sheets import CardSheet, sheet_of
from loyalty.web.cashier.till import HOME, Page, Till, new_key
from loyalty.web.documents import DOCUMENTS
from loyalty.web.rendering import render, wants_fragment

BANK_FIELDS = ("payer_name", "payer_bank", "payer_account", "payee_name", "payee_bank", "payee_account")
AMOUNTS = (100, 200, 500, 1000, 2000)
"""What is loaded most, in whole units of the currency: one touch each."""


TYPED = (
    *("amount", "tender", "reference", "flyer", "other_payer", "payer_person", "payer_type", "payer_number", "payer_contact"),
    *BANK_FIELDS,
)
"""What the page drawn anew without JavaScript keeps."""


class _Loaded(msgspec.Struct):
    topup_id: UUID


class Gives(msgspec.Struct, frozen=True, kw_only=True):
    """What a top-up would give, in the reader's words."""

    lines: list[tuple[str, str]]
    """What is loaded and what is taken off."""
    pays: str
    things: tuple[Given, ...]
    """What comes on top: bonus money, points, gifts, vouchers."""
    more: list[tuple[str, str]]
    """(so much more, that much is given)."""
    others: list[tuple[str, str]]
    at_confirmation: bool
    told: str
    """What the form sends back, so that nobody pays another amount than he was told."""


@get("/cards/{card_id:uuid}/top-up")
async def top_up_page(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Ask how much and by what; the most that may be loaded stands beside it."""
    till.require(Permission.LOAD)
    till.require_shift()
    async with reading(till) as session:
        return await _drawn(till, session, await sheet_of(till, session, card_id=card_id))


@post("/cards/{card_id:uuid}/top-up/quote", status_code=200)
async def quote_page(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Say what is given and what is missing for more, while the form is being filled in; without JavaScript on the page drawn anew."""
    till.require(Permission.LOAD)
    async with reading(till) as session:
        sheet = await sheet_of(till, session, card_id=card_id)
        gives = await _quoted(till, session, sheet.account_id, card_id)
        if not wants_fragment(till.request):
            return await _drawn(till, session, sheet, gives=gives)
    return render(till.request, "cashier/top_up_gives.html", zone=till.view.zone, now=till.now, currency=till.currency, gives=gives)


async def _drawn(till: Till, session: AsyncSession, sheet: CardSheet, *, gives: Gives | None = None) -> Page:
    account = await get_account(session, account_id=sheet.account_id)
    policy = till.policy.for_currency(account.currency)
    held = await balance_of(session, account_id=sheet.account_id, now=till.now)
    owner = await owner_of(session, customer_id=account.customer_id, now=till.now)
    cap = cap_of(policy, account.kind)
    counted = held.principal_minor + (held.bonus_minor if policy.cap.counts_bonus else 0)
    company = sheet.kind in {ProductKind.COMPANY, ProductKind.FLEET}
    cash_below = policy.no_cash.organisation_from_minor if company else policy.no_cash.person_from_minor
    return await draw(
        till,
        session,
        "top_up.html",
        here="top-up",
        card_id=sheet.card_id,
        sheet=sheet,
        cap_minor=cap,
        most_minor=None if cap is None else max(0, cap + held.owed_minor - counted),
        rule=policy.cap.rule,
        cash_below_minor=cash_below,
        no_cash_rule=policy.no_cash.rule,
        asks_name=policy.real_name.registered_always and sheet.kind is not ProductKind.ANONYMOUS and (owner is None or not owner.verified),
        name_rule=policy.real_name.rule,
        documents=[(kind.value, till.gettext(label)) for kind, label in DOCUMENTS.items()],
        tenders=[(each.value, till.gettext(TENDERS[each.value])) for each in Tender],
        amounts=AMOUNTS,
        company=company,
        gives=gives,
        typed={name: till.form.raw(name) for name in TYPED},
        once=new_key(),
    )


async def _quoted(till: Till, session: AsyncSession, account_id: UUID, card_id: UUID) -> Gives | None:
    """Ask the rules about what is typed so far; None where that is no amount yet."""
    amount = till.form.money("amount", till.gettext("Amount"), till.currency, required=False)
    if amount is None:
        return None
    tender = till.form.maybe("tender", Tender) or Tender.CASH
    quote = await topups.quote_topup(
        session,
        policy=till.policy,
        account_id=account_id,
        card_id=card_id,
        amount_minor=amount,
        tender=tender,
        flyer=till.form.raw("flyer").strip() or None,
        station_id=till.place.station_id,
        now=till.now,
    )
    items = {one.item for one in quote.benefits if one.item} | {gain.item for step in quote.next for gain in step.gains if gain.item}
    teller = Teller(till.words, till.f, quote.currency, await item_names(session, codes=items))
    kept = [teller.kept({**msgspec.structs.asdict(one), "given": one.amount}) for one in quote.benefits]
    return Gives(
        lines=[
            (till.gettext("Top-up"), teller.money(amount)),
            *((_named(one), one.amount) for one in kept if one.kind in PRICED),
        ],
        pays=teller.money(quote.pays_minor),
        things=tuple(one for one in kept if one.kind not in PRICED),
        more=[
            (
                till.gettext("%(amount)s more", amount=teller.money(step.more_minor)),
                till.either("、", ", ").join(
                    f"{till.either(gain.name_zh, gain.name_en)} {teller.given(gain.kind, gain.amount, gain.item)}" for gain in step.gains
                ),
            )
            for step in quote.next
        ],
        others=[_split(till.either(one.zh, one.en)) for one in quote.others],
        at_confirmation=quote.at_confirmation,
        told=f"{amount} {tender.value} {quote.pays_minor}",
    )


def _named(one: Given) -> str:
    return f"{one.name} · {one.note}" if one.note else one.name


def _split(said: str) -> tuple[str, str]:
    """Part a rule's name from why it does not apply."""
    name, _, why = said.replace("：", ": ", 1).partition(": ")
    return name, why


def _told(till: Till, amount_minor: int, tender: Tender) -> int | None:
    """Return what the customer was told to pay for just this; None where the form was sent before it was told."""
    amount, _, rest = till.form.raw("told").partition(" ")
    said, _, pays = rest.partition(" ")
    return int(pays) if (amount, said) == (str(amount_minor), tender.value) and pays.isascii() and pays.isdigit() else None


@post("/cards/{card_id:uuid}/top-up", status_code=303)
async def top_up(card_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Load the card."""
    till.require(Permission.LOAD)
    till.require_shift()
    form, _ = till.form, till.gettext
    amount = form.money("amount", _("Amount"), till.currency) or 0
    tender = form.choice("tender", _("Paid by"), Tender, Tender.CASH)
    payer = declared_of(till, "payer") if form.flag("other_payer") else None
    bank = None
    if tender is Tender.BANK_TRANSFER:
        labels = bank_labels(till)
        bank = BankTransfer(**{name: form.text(name, labels[name], longest=120) for name in BANK_FIELDS})
    number = form.text("reference", _("Payment number"), required=False, longest=64)
    flyer = form.text("flyer", _("Flyer code"), required=False, longest=32)
    form.check()
    async with reading(till) as session:
        sheet = await sheet_of(till, session, card_id=card_id)

    async def perform(session: AsyncSession) -> Outcome:
        made = await topups.load(
            session,
            policy=till.policy,
            account_id=sheet.account_id,
            card_id=card_id,
            amount_minor=amount,
            tender=tender,
            reference=number or None,
            flyer=flyer or None,
            pays_minor=_told(till, amount, tender),
            payer=payer,
            bank=bank,
            station_id=till.place.station_id,
            terminal_id=till.place.terminal_id,
            actor=till.actor,
            event_at=till.now,
            now=till.now,
        )
        if made.booked_at is not None:
            await record_first_load(session, account_id=made.account_id, amount_minor=amount, now=till.now)
        return Outcome.of(made.account_id, made.topup_id, _Loaded(made.topup_id))

    done = await till.once(Operation.TOPUP, _Loaded, perform)
    return till.done(f"{HOME}/top-ups/{done.topup_id}?new=1")


def declared_of(till: Till, who: str) -> Declared:
    """Read who stands at the counter, as the document says; the number is sealed when it is stored and never shown again."""
    form, _ = till.form, till.gettext
    kind = form.choice(f"{who}_type", _("Document"), IdentifierType, IdentifierType.RESIDENT_ID)
    return Declared(
        party=Party.ORGANISATION if kind in {IdentifierType.USCC, IdentifierType.TAX_NUMBER} else Party.PERSON,
        name=form.text(f"{who}_person", _("Name"), longest=120),
        id_type=kind,
        id_number=form.text(f"{who}_number", _("Document number"), longest=40),
        contact=form.text(f"{who}_contact", _("Phone"), longest=120),
    )


def bank_labels(till: Till) -> dict[str, str]:
    """Return what both ends of a transfer are called."""
    _ = till.gettext
    return {
        "payer_name": _("Payer's name"),
        "payer_bank": _("Payer's bank"),
        "payer_account": _("Payer's account"),
        "payee_name": _("Our name"),
        "payee_bank": _("Our bank"),
        "payee_account": _("Our account"),
    }


handlers = [top_up_page, quote_page, top_up]
