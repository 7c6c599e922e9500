"""One file per loss weighting; every module here is imported, and its registered class becomes available."""
