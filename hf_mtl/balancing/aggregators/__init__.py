"""One file per gradient aggregator; every module here is imported, and its registered class becomes available."""
