"""One optimizer step: from row losses to the update."""
