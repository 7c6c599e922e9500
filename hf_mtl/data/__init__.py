"""Load, tokenise, mixture, plan, collate: datasets -> steps."""
