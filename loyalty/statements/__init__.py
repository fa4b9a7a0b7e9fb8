"""What is said about the books: receipts, shift and day totals, liability, account history, closed days and sealed periods."""
