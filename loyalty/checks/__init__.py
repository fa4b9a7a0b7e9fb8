"""`loyalty check`: the invariants as SQL on one snapshot, each row that breaks one named."""
