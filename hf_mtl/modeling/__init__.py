"""Configuration, ragged encoder, heads: rows -> losses and logits per task."""
