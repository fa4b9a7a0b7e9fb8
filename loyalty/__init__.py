"""The issuer's core: ledger, cards, customers, stations, the pump and the portals."""
