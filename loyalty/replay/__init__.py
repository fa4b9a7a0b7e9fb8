"""Imported receipts as real traffic of tills: loaded, authorised, completed, sold, advised, over HTTP and signed."""
