"""Callbacks of the Trainer that a recipe names: those of a user's plugins."""

from typing import Any

from hf_mtl.callbacks import CALLBACKS
from hf_mtl.errors import Mistake
from hf_mtl.plain import describe
from hf_mtl.signatures import Options


def parse_callbacks(given: Any, mistakes: list[Mistake]) -> list[Options]:
    """Check the callbacks of a recipe against the signatures of their classes.

    Args:
        given: A list of names, or of mappings of name and options; None: none.
        mistakes: Receives everything that is wrong.
    """
    if given is None:
        return []
    if not isinstance(given, list):
        remedy = "Allowed: a list of names, or of mappings of name and options."
        mistakes.append(Mistake("callbacks", f"found {describe(given)}", remedy))
        return []
    found = [CALLBACKS.parse(item, mistakes, f"callbacks.{place}") for place, item in enumerate(given)]
    return [item for item in found if item is not None]
