"""Heads: a task's own layers, one file each. A new module here with a `Head` subclass is found by itself."""

from hf_mtl.modeling.heads.base import Head, head_dropout
from hf_mtl.modeling.heads.registry import (
    HeadSpec,
    available_heads,
    build_head,
    default_head,
    head_class,
    head_mistakes,
    head_options,
    settled_options,
)

__all__ = [
    "Head",
    "HeadSpec",
    "available_heads",
    "build_head",
    "default_head",
    "head_class",
    "head_dropout",
    "head_mistakes",
    "head_options",
    "settled_options",
]
