"""The office: customers, cards, stations, prices, money, and whether it balances."""
