"""Checkpoints written whole, rotated, and pushed."""
