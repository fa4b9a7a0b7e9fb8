"""A till's own account of its shift, kept from what it was answered: what the server's totals must come to."""

from typing import Any

from loyalty.pos_client import Fuel, Shop, Tender

STORED_VALUE = "stored_value"


class Tally:
    """Taken and returned per tender, sold per product."""

    def __init__(self) -> None:
        self.tenders: dict[str, list[int]] = {}
        self.products: dict[str, list[int]] = {}
        self.sales_minor = 0
        self.refunds_minor = 0
        self.topups_minor = 0

    def sold(self, *, card_minor: int, fuel: Fuel | None = None, shop: tuple[Shop, ...] = (), tenders: tuple[Tender, ...] = ()) -> None:
        """Note a booked sale or completion."""
        if fuel is not None:
            self._product(fuel.product, fuel.quantity_milli, fuel.amount_minor)
        for line in shop:
            self._product(line.product, line.quantity_milli, line.amount_minor)
        if card_minor:
            self._tender(STORED_VALUE, card_minor, 0)
        for tender in tenders:
            self._tender(tender.tender, tender.amount_minor, 0)

    def refunded(self, answer: dict[str, Any]) -> None:
        """Note a refund or a void, as it was answered."""
        self.refunds_minor += answer["gross_minor"]
        if answer.get("card_minor"):
            self._tender(STORED_VALUE, 0, answer["card_minor"])
        for back in answer.get("tenders") or []:
            self._tender(back["tender"], 0, back["amount_minor"])

    def loaded(self, tender: str, amount_minor: int, discount_minor: int = 0) -> None:
        """Note a top-up; in the till lies what was paid."""
        self.topups_minor += amount_minor
        self._tender(tender, amount_minor - discount_minor, 0)

    def taken_back(self, tender: str, amount_minor: int) -> None:
        """Note a top-up taken back."""
        self._tender(tender, 0, amount_minor)

    @property
    def cash_minor(self) -> int:
        """Cash in minus cash out."""
        taken, returned = self.tenders.get("cash", [0, 0])
        return taken - returned

    def compare(self, totals: dict[str, Any]) -> list[str]:
        """Name every figure in which the server's totals differ."""
        theirs = {total["tender"]: [total["taken_minor"], total["returned_minor"]] for total in totals["tenders"]}
        sold = {total["product_code"]: [total["quantity_milli"], total["amount_minor"], total["count"]] for total in totals["products"]}
        found = [
            f"tender {name}: till {self.tenders.get(name)}, server {theirs.get(name)}"
            for name in sorted(theirs.keys() | self.tenders.keys())
            if theirs.get(name) != self.tenders.get(name)
        ]
        found += [
            f"product {code}: till {self.products.get(code)}, server {sold.get(code)}"
            for code in sorted(sold.keys() | self.products.keys())
            if sold.get(code) != self.products.get(code)
        ]
        for name in ("sales_minor", "refunds_minor", "topups_minor"):
            if getattr(self, name) != totals[name]:
                found.append(f"{name}: till {getattr(self, name)}, server {totals[name]}")
        return found

    def _tender(self, name: str, taken: int, returned: int) -> None:
        sums = self.tenders.setdefault(name, [0, 0])
        sums[0] += taken
        sums[1] += returned

    def _product(self, code: str, quantity: int, amount: int) -> None:
        self.sales_minor += amount
        sums = self.products.setdefault(code, [0, 0, 0])
        sums[0] += quantity
        sums[1] += amount
        sums[2] += 1
