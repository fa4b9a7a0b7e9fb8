"""A till's operations, one method each.

    till = await Till.enrol("https://loyalty.example", code="7K3F-…", store=FileStore(path))
    answer = await till.sell(Card(number="8810…", pin="1357"), fuel=Fuel(product="92", …))

Money is integer minor units, quantities are thousandths, prices ten-thousandths of a currency unit. A decline is an answer (`outcome`),
never an exception; a refusal (`ProblemError`) means that nothing happened.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import msgspec

from loyalty.clock import local_date
from loyalty.crypto import Purpose, read_signed_token, sign_chain

from .allowance import allow_offline
from .connection import SHIFT_CLOSE, Connection
from .parts import Body, Card, Driver, Fuel, Shop, Staff, Tender, plain
from .problems import OfflineRefusedError, TillError, UnreachableError
from .state import Answer, Offline, OfflineSale, Profile

ADVICES_MAX = 100
"""Offline records in one batch."""


class StopListDocument(msgspec.Struct):
    """The signed stop list: keyed hashes under the day key."""

    day: str
    entries: list[bytes]


class ProfilesDocument(msgspec.Struct):
    """The signed offline profiles."""

    station_id: UUID
    terminal_max_minor: int | None
    products: list[Profile]


class OfflineSecrets(msgspec.Struct):
    """What is sealed for this terminal beside the documents: the day key, and the keys that signed them."""

    day_key: bytes
    public_keys: dict[str, bytes]


class Till(Connection):
    """A till of a station. Every method may raise `ProblemError` and `UnreachableError`."""

    # At the pump

    async def authorise(self, card: Card, *, product: str, driver: Driver | None = None, key: UUID | None = None, **wanted: Any) -> Answer:
        """Ask before fuel flows: `amount_minor`, `quantity_milli` or neither; `flow`, `nozzle`, `partial`.

        A company's card may want more said: `driver`, `order_number`, `odometer_km`, `plate`. What is missing or wrong the answer names in
        `needs`; ask again with it under a new key, `continues` being the first one's.
        """
        body = {"product": product, "event_at": self.business_clock(), **wanted}
        return await self.perform("authorise", "/v1/authorizations", body, card=card, driver=driver, key=key)

    async def complete(
        self, authorization: str, *, quantity_milli: int, unit_price_e4: int, amount_minor: int, final: bool = True, **more: Any
    ) -> Answer:
        """Report what the pump delivered; `final=False` keeps the rest of the hold for a further completion."""
        body = {
            "quantity_milli": quantity_milli,
            "unit_price_e4": unit_price_e4,
            "amount_minor": amount_minor,
            "final": final,
            "event_at": self.business_clock(),
            **more,
        }
        path = f"/v1/authorizations/{authorization}/completions"
        return await self.perform("complete", path, body, amount_minor=amount_minor)

    async def nozzle_not_lifted(self, authorization: str) -> Answer:
        """Say that no fuel flowed: the hold is released."""
        return await self.perform("nozzle", f"/v1/authorizations/{authorization}/nozzle-not-lifted", {"event_at": self.business_clock()})

    async def sell(
        self,
        card: Card,
        *,
        fuel: Fuel | None = None,
        shop: Sequence[Shop] = (),
        tenders: Sequence[Tender] = (),
        driver: Driver | None = None,
        offline_in: str | None = None,
        key: UUID | None = None,
        **more: Any,
    ) -> Answer:
        """Sell in one step: pay after filling, the shop, or both; `fill_id`, `staff_id`; what a company wants said, as `authorise` has it.

        With `offline_in`, the station's time zone, a sale that got no answer is made offline where the last package allows it:
        outcome `approved_offline`. It is reported by `report_offline`, unless the lost request turns out to be booked. Where the
        package says no, the customer pays otherwise, and the lost request is taken back as soon as the line allows.

        :raises OfflineRefusedError: if there is no answer and the allowance says no
        """
        body: Body = {"fuel": fuel, "shop": list(shop), "tenders": list(tenders), "event_at": self.business_clock(), **more}
        if driver is not None:
            body |= driver.told
        try:
            return await self.perform("sale", "/v1/sales", body, card=card, driver=driver, key=key)
        except UnreachableError as error:
            if offline_in is None:
                raise
            if not error.sent:
                self.drop_unsent(error.key)
                return await self.sell_offline(card, body=body, zone=offline_in)
            try:
                return await self.sell_offline(card, body=body, zone=offline_in, instead_of=error.key)
            except OfflineRefusedError:
                self._give_up(error.key)
                raise

    async def sell_offline(self, card: Card, *, body: Body, zone: str, instead_of: UUID | None = None) -> Answer:
        """Sell without the server, within the allowance, and keep the record for `report_offline`.

        :raises OfflineRefusedError: if the allowance says no
        """
        if card.number is None or card.check_value is None:
            # A number alone never spends, and a PIN cannot be checked here.
            raise OfflineRefusedError("offline_check_value_needed")
        now = self.business_clock()
        fuel, shop, tenders = body.get("fuel"), body.get("shop") or [], body.get("tenders") or []
        due = (fuel.amount_minor if fuel else 0) + sum(line.amount_minor for line in shop)
        amount = due - sum(tender.amount_minor for tender in tenders)
        used = allow_offline(
            self.state.offline,
            self.state.used,
            number=card.number,
            amount_minor=amount,
            quantity_milli=fuel.quantity_milli if fuel else 0,
            day=local_date(now, zone).isoformat(),
            now=now,
        )
        key = uuid4()
        # What has happened continues nothing, and a driver's PIN cannot be checked here: the number alone is told.
        content = plain({**body, "continues": None, "card": {"number": card.number}, "key": key})
        record, _ = self.chained("advice", content, key=key, amount_minor=amount)
        self.state.queue.append(OfflineSale(record=record, key=key, instead_of=instead_of))
        self.state.used.append(used)
        self.save()
        return {"outcome": "approved_offline", "key": str(key), "card_minor": amount}

    async def report_offline(self) -> list[Answer]:
        """Report what was sold offline and return a result for each record; first settle what got no answer.

        A record that stands in for a lost request is reported only if that request was not booked after all; else its result says
        `superseded_by`, with what the request came to. A lost request that the till went on without is taken back: its result has the
        `reversal`.
        """
        results = await self._take_back()
        await self.resume()
        lost = {pending.key for pending in self.state.pending}
        if lost:
            raise UnreachableError(next(iter(lost)), sent=True)
        booked = {entry.key: entry for entry in self.state.journal if entry.booked and entry.outcome == "approved"}
        for offline in list(self.state.queue):
            if offline.instead_of is not None and offline.instead_of in booked:
                said: Answer = {"outcome": "approved", "card_minor": booked[offline.instead_of].amount_minor}
                results.append({"key": str(offline.key), "superseded_by": str(offline.instead_of), "answer": said})
                self.note(offline.key, booked=False, outcome=None, note="the lost request was booked", amount_minor=0)
                self._forget(offline)
        while self.state.queue:
            batch = self.state.queue[:ADVICES_MAX]
            answer = await self._report(batch)
            results += answer["results"]
            known = {offline.key: offline for offline in batch}
            for result in answer["results"]:
                key = UUID(result["key"])
                refused = result.get("problem")
                note = None if refused is None else str(refused.get("code"))
                booked_as: Answer = result.get("answer") or {}
                self.note(
                    key,
                    booked=refused is None,
                    outcome=booked_as.get("outcome"),
                    note=note,
                    amount_minor=booked_as.get("card_minor", 0),
                )
                self._forget(known.pop(key))
            if known:
                raise TillError("the server left offline records unanswered")
        self.state.used = []
        self.save()
        return results

    async def _report(self, batch: Sequence[OfflineSale]) -> Answer:
        records = [msgspec.Raw(offline.record) for offline in batch]
        body = msgspec.json.encode({"records": records})
        # The batch has no place in the chain: its records have theirs. Sent again, each record meets its own key.
        return await self._exchange("POST", "/v1/advices", "", body, uuid4())

    def _give_up(self, key: UUID) -> None:
        for pending in self.state.pending:
            if pending.key == key:
                pending.take_back = True
        self.save()

    async def _take_back(self) -> list[Answer]:
        """Reverse the lost requests that the till went on without."""
        given_up = [pending for pending in self.state.pending if pending.take_back]
        return [
            {"key": str(pending.key), "reversal": await self.reverse(pending.key, reason="no answer; paid otherwise")}
            for pending in given_up
        ]

    def _forget(self, offline: OfflineSale) -> None:
        self.state.queue.remove(offline)

    async def reverse(self, original: UUID, *, reason: str) -> Answer:
        """Take back what was asked under the key `original`, whether or not it arrived: afterwards it never counts."""
        kept = next((pending for pending in self.state.pending if pending.key == original), None)
        answer = await self.perform("reverse", "/v1/reversals", {"original": original, "reason": reason, "event_at": self.business_clock()})
        if kept is not None:
            self.settle(kept, booked=False, outcome="reversed", note="reversed before it was answered")
        return answer

    async def refund(self, sale: str, *, reason: str, staff: Staff | None = None, approver: Staff | None = None, **what: Any) -> Answer:
        """Give a sale back, whole or in part (`gross_minor`, `quantity_milli`), or void it (`void=True`): the exact mirror."""
        body = {"sale": sale, "reason": reason, "event_at": self.business_clock(), **what}
        return await self.perform("refund", "/v1/refunds", body, staff=(("staff", staff), ("approver", approver)))

    async def find_sale(self, sale: str) -> Answer:
        """Look a sale up with its lines, tenders and refunds."""
        return await self.get(f"/v1/sales/{sale}")

    async def sales(self, *, cursor: str | None = None, limit: int | None = None) -> Answer:
        """List the station's sales, the latest first."""
        return await self.get("/v1/sales", cursor=cursor, limit=limit)

    async def quote(self, card: Card, **wanted: Any) -> Answer:
        """Ask what this card may take here and now and which limit binds: no hold, no PIN try; 0 is an answer."""
        return await self.ask("/v1/quotes", wanted, card=card)

    async def ask_company(self, authorization: str) -> Answer:
        """Ask the company about a decline that said `may_ask`; asked again, see where it stands."""
        return await self.ask(f"/v1/authorizations/{authorization}/approval", {})

    async def balance(self, card: Card) -> Answer:
        """Ask what is on a card."""
        return await self.ask("/v1/balances", {}, card=card)

    # The forecourt

    async def report_fills(self, fills: Sequence[Body]) -> Answer:
        """Report finished fills as the pump controller knows them; the same fill again changes nothing."""
        return await self.perform("fill", "/v1/fills", {"fills": list(fills)})

    async def unpaid_fills(self, *, nozzle: int | None = None) -> Answer:
        """List finished, unpaid fills by nozzle, the oldest first."""
        return await self.get("/v1/fills", nozzle=nozzle)

    async def unresolved(self, *, cursor: str | None = None) -> Answer:
        """List approved authorisations whose completion never came, the oldest first."""
        return await self.get("/v1/unresolved-dispenses", cursor=cursor)

    async def close_fill(self, fill_id: str, *, way: str) -> Answer:
        """Take a fill off the list: `other` (paid without a card of ours) or `test` (the fuel went back)."""
        return await self.perform("fill", f"/v1/fills/{fill_id}/closure", {"way": way})

    async def request_payment(self, fill_id: str) -> Answer:
        """Put a one-time QR on an unpaid fill, which the holder approves on the phone within two minutes."""
        return await self.perform("fill", f"/v1/fills/{fill_id}/payment-requests", {})

    async def payment_request(self, request_id: str) -> Answer:
        """Ask what became of a QR."""
        return await self.get(f"/v1/payment-requests/{request_id}")

    async def cancel_payment(self, request_id: str) -> Answer:
        """Take a QR back: the fill is unpaid again."""
        return await self.perform("fill", f"/v1/payment-requests/{request_id}/cancellation", {})

    # Money in

    async def top_up(self, card: Card, *, amount_minor: int, tender: str, **more: Any) -> Answer:
        """Load a card: `cash`, `card`, `wechat`, `alipay` (with `reference`), or `bank_transfer` (with `bank`; pending)."""
        body = {"amount_minor": amount_minor, "tender": tender, "event_at": self.business_clock(), **more}
        return await self.perform("topup", "/v1/topups", body, card=card, amount_minor=amount_minor)

    async def quote_top_up(self, card: Card, *, amount_minor: int, tender: str = "cash", **more: Any) -> Answer:
        """Ask what a top-up would give: what would be paid, why not more, and what is missing for the next bands; `flyer` a code shown."""
        return await self.ask("/v1/topup-quotes", {"amount_minor": amount_minor, "tender": tender, **more}, card=card)

    async def refund_top_up(self, topup_id: str, *, reason: str, approver: Staff | None = None, **more: Any) -> Answer:
        """Give a load back as far as the profile allows; `amount_minor` for a part, `reversal_reference` for a wallet's."""
        path = f"/v1/topups/{topup_id}/refund"
        return await self.perform("topup_reversal", path, {"reason": reason, **more}, staff=(("approver", approver),))

    async def reverse_top_up(self, topup_id: str, *, reason: str, approver: Staff | None = None, **more: Any) -> Answer:
        """Void a top-up while it is the account's last movement; `reversal_reference` for a wallet's."""
        path = f"/v1/topups/{topup_id}/reversal"
        return await self.perform("topup_reversal", path, {"reason": reason, **more}, staff=(("approver", approver),))

    async def purchase(self, items: Sequence[Body], *, tender: str, **more: Any) -> Answer:
        """Load several cards in one purchase, paid once: `[{"number": …, "amount_minor": …}]`, `buyer`, `agent`, `reference`, `bank`."""
        body = {"items": list(items), "tender": tender, "event_at": self.business_clock(), **more}
        return await self.perform("purchase", "/v1/purchases", body)

    # Points

    async def points_offers(self) -> Answer:
        """Return what points buy out of this station's stock."""
        return await self.get("/v1/points-offers")

    async def redeem_points(self, card: Card, *, gift: str, pieces: int = 1, signature: str = "", key: UUID | None = None) -> Answer:
        """Buy a gift with points: signed for (the `d` of an SVG path) it is handed over, else set aside here."""
        body = {"gift": gift, "pieces": pieces, "signature": signature, "event_at": self.business_clock()}
        return await self.perform("other", "/v1/points-redemptions", body, card=card, key=key)

    async def reverse_redemption(self, redemption: str, *, reason: str, restock: bool = True, approver: Staff | None = None) -> Answer:
        """Undo a redemption of this station: gift and points go back; before this shift began only with an approver."""
        path = f"/v1/points-redemptions/{redemption}/reversal"
        return await self.perform("other", path, {"reason": reason, "restock": restock}, staff=(("approver", approver),))

    # Vouchers

    async def redeem_voucher(self, code: str, *, use: bool = False, key: UUID | None = None, **more: Any) -> Answer:
        """Set a voucher aside (`amount_minor`, `plate`), or use it at once; its `redemption` is the reference of a sale's tender."""
        return await self.perform("other", "/v1/voucher-redemptions", {"code": code, "use": use, **more}, key=key)

    async def use_voucher(self, redemption: str, **more: Any) -> Answer:
        """Use what was set aside, where no sale names it."""
        return await self.perform("other", f"/v1/voucher-redemptions/{redemption}/use", more)

    async def roll_back_voucher(self, redemption: str, *, reason: str) -> Answer:
        """Let it go: the voucher is good again."""
        return await self.perform("other", f"/v1/voucher-redemptions/{redemption}/roll-back", {"reason": reason})

    # Cards at the counter: a member of staff with a running shift answers for them

    async def issue(self, number: str, **holder: Any) -> Answer:
        """Bind a blank card of this station to its account: `customer_id`, `plate`, `holder_label`, `flyer_code` …"""
        return await self.perform("activate", "/v1/card-issues", {"number": number, **holder})

    async def activate(self, card: Card) -> Answer:
        """Make an issued card usable, with the PIN its holder chose."""
        return await self.perform("activate", "/v1/card-activations", {}, card=card)

    async def register(self, number: str, *, customer_id: UUID, product: str) -> Answer:
        """Turn an anonymous card into a registered one, once and for good."""
        return await self.perform("activate", "/v1/card-registrations", {"number": number, "customer_id": customer_id, "product": product})

    async def change_pin(self, card: Card, *, new_pin: str) -> Answer:
        """Let the holder change the PIN, who knows the old one."""
        new = Staff(card=card.reference, pin=new_pin)
        return await self.perform("pin", "/v1/pin-changes", {}, card=card, staff=(("new", new),))

    async def reset_pin(self, card: Card, *, evidence: str, approver: Staff | None = None) -> Answer:
        """Set a forgotten PIN at an outlet; `evidence` names the document seen."""
        return await self.perform("pin", "/v1/pin-resets", {"evidence": evidence}, card=card, staff=(("approver", approver),))

    async def unlock_pin(self, number: str, *, evidence: str) -> Answer:
        """Give back the three tries, at an outlet, against a document."""
        return await self.perform("pin", "/v1/pin-unlocks", {"number": number, "evidence": evidence})

    async def report_lost(self, number: str, *, reason: str) -> Answer:
        """Stop a card from this moment on."""
        return await self.perform("loss", "/v1/loss-reports", {"number": number, "reason": reason})

    async def report_found(self, number: str, *, reason: str) -> Answer:
        """Let a found card live again."""
        return await self.perform("loss", "/v1/found-reports", {"number": number, "reason": reason})

    async def replace(
        self, number: str, *, new_card: Card, reason: str, fee_tender: str | None = None, fee_reference: str | None = None
    ) -> Answer:
        """Put a blank card in the place of a lost, damaged or expired one; with a PIN it is active at once.

        Without `fee_tender` the account pays the fee.
        """
        body = {"number": number, "reason": reason, "fee_tender": fee_tender, "fee_reference": fee_reference}
        return await self.perform("activate", "/v1/card-replacements", body, card=new_card)

    # The shift

    async def place(self) -> Answer:
        """Ask who and where this till is: station, caps, products and prices, the running shift."""
        return await self.get("/v1/terminals/current")

    async def heartbeat(self, *, software: str | None = None) -> Answer:
        """Say that the till lives; the answer's revisions tell which copies are old."""
        return await self.ask("/v1/terminals/heartbeat", {"software": software})

    async def open_shift(self, staff: Staff, *, opening_float_minor: int) -> Answer:
        """Begin a cashier's shift with staff card and PIN; what this till does from now on is done by this person."""
        return await self.perform("shift", "/v1/shifts", {"opening_float_minor": opening_float_minor}, staff=(("staff", staff),))

    async def drop_cash(self, *, amount_minor: int, envelope: str) -> Answer:
        """Note cash that went into the safe."""
        return await self.perform("shift", "/v1/shifts/current/cash-drops", {"amount_minor": amount_minor, "envelope": envelope})

    async def close_shift(self, *, counted_cash_minor: int, explanation: str | None = None) -> Answer:
        """Count blind, sign the chain and close. The answer has the totals and names every difference between till and host.

        Status `counted` means that the cash differs and wants an `explanation`: close again with it.
        """
        await self.report_offline()
        state = self.state
        signature = sign_chain(self._key, terminal_id=state.terminal_id, epoch=state.epoch, last_sequence=state.sequence, head=state.head)
        body = {
            "counted_cash_minor": counted_cash_minor,
            "explanation": explanation,
            "chain": {"epoch": state.epoch, "last_sequence": state.sequence, "head": state.head, "signature": signature},
            "journal": state.journal,
        }
        # The close itself has no place in the chain that it signs.
        content = msgspec.json.encode(plain(body))
        return await self.deliver(self.keep(SHIFT_CLOSE, "/v1/shifts/current/closure", content, key=uuid4(), sequence=state.sequence))

    async def close_day(self, day: str, *, staff: Staff) -> Answer:
        """Close a business day of this station, as its manager; it is over, and every shift of it is closed."""
        return await self.perform("shift", "/v1/day-closes", {"day": day}, staff=(("staff", staff),))

    # Offline

    async def synchronise(self) -> Offline:
        """Fetch stop list and offline profiles, check the issuer's signatures, and keep them for when the line is down.

        :raises TokenError: if a document is not the issuer's
        """
        session = await self.session()
        said = await self.get("/v1/offline-package")
        topic = f"offline package {said['day']}"
        sealed = session.open_answer(topic, msgspec.convert(said["secrets"], bytes))
        secrets = msgspec.json.decode(sealed, type=OfflineSecrets)
        keys = {int(number): key for number, key in secrets.public_keys.items()}
        now = self.business_clock()
        stop_list = read_signed_token(Purpose.OFFLINE_DOCUMENT, said["stop_list"], public_keys=keys, now=now, payload=StopListDocument)
        profiles = read_signed_token(Purpose.OFFLINE_DOCUMENT, said["profiles"], public_keys=keys, now=now, payload=ProfilesDocument)
        self.state.offline = Offline(
            synced_at=now,
            day=stop_list.day,
            day_key=secrets.day_key,
            stopped=stop_list.entries,
            profiles=profiles.products,
            terminal_max_minor=profiles.terminal_max_minor,
        )
        self.save()
        return self.state.offline
