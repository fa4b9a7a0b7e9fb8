"""Real input: what a former system hands over as CSV or XLSX, read by a mapping file, taken over once."""
