"""The trail: who did what to which thing, hash-chained so that an altered or missing entry can be named."""
