"""Callbacks of the Trainer by name. hf_mtl has none of its own here: those of a user's plugins join.

In Python they are given as they are: ``MultiTaskTrainer(..., callbacks=[...])``.
"""

from hf_mtl.components import Kind

CALLBACKS: Kind[object] = Kind("callback", "callbacks", package="")
"""Subclasses of `transformers.TrainerCallback`; their keyword arguments are their options."""
