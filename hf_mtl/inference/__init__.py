"""A checkpoint in use: find a run, load its model, predict."""
