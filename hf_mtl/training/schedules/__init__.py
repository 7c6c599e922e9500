"""Schedules in a run: when their coefficients, groups and probes take effect."""
