"""Observers of the steps: signals, conflicts, operations, and whether numbers are finite."""
