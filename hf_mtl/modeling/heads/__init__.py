"""Heads: a task's own layers, one file each. A new module here with a `Head` subclass is found by itself."""

from hf_mtl.modeling.heads.base import HEADS, Head, head_dropout, register
from hf_mtl.modeling.heads.registry import (
    HeadSpec,
    build_head,
    default_head,
    head_class,
    head_mistakes,
    settled_options,
)

__all__ = [
    "HEADS",
    "Head",
    "HeadSpec",
    "build_head",
    "default_head",
    "head_class",
    "head_dropout",
    "head_mistakes",
    "register",
    "settled_options",
]
