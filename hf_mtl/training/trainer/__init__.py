"""The subclass of `transformers.Trainer`, and what it checks before its first step."""
