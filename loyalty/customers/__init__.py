"""Customers: people and organisations, one identity each; documents, contacts, bank accounts, consent, merging."""
