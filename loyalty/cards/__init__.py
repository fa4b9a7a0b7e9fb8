"""Cards: products, blank stock, life cycle, PIN. Value lives in the ledger's accounts; a card only gives access to one."""
