"""A decline in words: what, what remains, what to do next, and whether the company can be asked."""

from typing import Any, Final

from loyalty.authorizations.reasons import Reason
from loyalty.authorizations.wire import AuthorizationAnswer, Said, SaleAnswer
from loyalty.limits.wording import limit_label
from loyalty.web.cashier.till import Till
from loyalty.web.i18n import N_

_AGAIN: Final = N_("Let the customer type the PIN.")
_ORDER: Final = N_("Ask the driver for another order, or leave its field empty.")
_MANAGER: Final = N_("Only the company's fleet manager can change that. Until then another driver, or another tender.")
_STEPS: Final = {
    Reason.INSUFFICIENT_FUNDS.code: N_("Top up with F2, or enter another tender for the rest below."),
    Reason.PIN_WRONG.code: N_("Let the customer type it again."),
    Reason.PIN_LOCKED.code: N_("Unlock the PIN with F4, against the holder's document."),
    Reason.PIN_NOT_SET.code: N_("Set the PIN with F4; a number alone never spends."),
    Reason.PIN_NEEDED.code: _AGAIN,
    Reason.CREDENTIAL_NEEDED.code: _AGAIN,
    Reason.DRIVER_NEEDED.code: N_("Let the driver type number and PIN; Enter leads on."),
    Reason.DRIVER_UNKNOWN.code: N_("Ask the driver for the number, or for their own card, and enter it again."),
    Reason.DRIVER_NOT_RELATED.code: N_("Another driver of the company may use it, or another card."),
    Reason.DRIVER_PIN_WRONG.code: N_("Let the driver type the PIN again."),
    Reason.DRIVER_PIN_LOCKED.code: _MANAGER,
    Reason.DRIVER_PIN_NOT_SET.code: _MANAGER,
    Reason.MORE_NEEDED.code: N_("Type what is asked for below; Enter leads from field to field."),
    Reason.ODOMETER_ODD.code: N_("Read it off once more and type it again; said twice it is taken."),
    Reason.ORDER_UNKNOWN.code: N_("Compare the order's number with what you typed."),
    Reason.ORDER_USED.code: _ORDER,
    Reason.ORDER_EXPIRED.code: _ORDER,
    Reason.ORDER_DIFFERS.code: _ORDER,
    Reason.PLATE_NEEDED.code: N_("Type the number plate you see."),
    Reason.PLATE_DIFFERS.code: N_("Compare the plate on the vehicle with what you typed."),
    Reason.FILL_LOCKED.code: N_("Wait until the phone has paid, or take its code back."),
    Reason.FILL_PAID.code: N_("Choose another fill."),
    Reason.FILL_DIFFERS.code: N_("Go back and choose the fill again from the list."),
    Reason.TENDERS_EXCEED.code: N_("Lower the other tenders."),
    Reason.CARD_LOST.code: N_("Keep the card if it was handed to you. Its owner gets a new one with F4."),
}


def declined(till: Till, said: Said) -> dict[str, Any]:
    """Return a decline in words; `ask` is what the company may be asked about, else nothing."""
    _ = till.gettext
    remains = []
    if said.remaining_minor is not None:
        remains.append(till.money(said.remaining_minor))
    if said.remaining_milli is not None:
        remains.append(till.f.quantity(said.remaining_milli))
    facts = []
    if said.limit and said.limit != "terminal":
        facts.append((_("Limit"), limit_label(said.limit, till.words.locale)))
    if remains:
        facts.append((_("Still possible"), " · ".join(remains)))
    ask = said.authorization if said.may_ask and isinstance(said, AuthorizationAnswer | SaleAnswer) else None
    step = _STEPS.get(said.reason or "")
    if ask is not None:
        step = N_("Ask the company, or take another tender.")
    return {
        "title": till.either(said.message_zh, said.message_en) or _("Declined"),
        "facts": facts,
        "then": _(step) if step else _("Take another tender, or ask the station manager."),
        "tone": "warn" if said.outcome == "more_data" else "",
        "ask": ask,
    }
