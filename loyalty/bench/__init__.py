"""`loyalty bench`: the hot operations over HTTP, and TPC-B on the same server in the same run."""
