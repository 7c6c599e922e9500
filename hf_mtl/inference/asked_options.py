"""Options of predictions in Python, checked before anything is predicted."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, get_args

from hf_mtl.errors import Mistake, UserError, known
from hf_mtl.inference.row_predictor import Long


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse options that mean nothing.

    Args:
        options: Some of ``top_k``, ``long`` and ``batch_tokens``; others are not looked at.

    Raises:
        UserError: With all that is wrong.
    """
    mistakes = []
    long = options.get("long", "cut")
    if long not in get_args(Long):
        mistakes.append(Mistake("long", f"is {long!r}", known(get_args(Long), str(long), "Allowed")))
    for name, more in (("top_k", "None for all"), ("batch_tokens", "None for as many as an evaluation has")):
        value = options.get(name)
        if value is not None and (not isinstance(value, Integral) or isinstance(value, bool) or value < 1):
            mistakes.append(Mistake(name, f"is {value!r}", f"Allowed: a whole number of at least 1, or {more}"))
    if mistakes:
        raise UserError(mistakes)
