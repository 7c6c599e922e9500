"""Hypothesis draws the same examples in every run, and a busy machine is no failure."""

from hypothesis import settings

settings.register_profile("hf_mtl", derandomize=True, deadline=None, database=None)
settings.load_profile("hf_mtl")
