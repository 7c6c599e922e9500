"""A run's folder: who may write in it, what is the run's own, and what is kept of it."""
