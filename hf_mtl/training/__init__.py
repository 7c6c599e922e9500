"""The only room that knows transformers.Trainer; a recipe becomes a run here."""
