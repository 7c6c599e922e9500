"""Tells DeepSpeed's optimizer of parameters that something else has changed."""

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import nn


@contextlib.contextmanager
def copies_follow(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Bring DeepSpeed's copies of parameters to the values that the body gives them.

    ZeRO updates copies of its own, and writes them over the parameters. What was put into a parameter beside it, such
    as the end of a range, would be gone after the next update. Without DeepSpeed there are no copies.

    Args:
        parameters: Those that the body may change, in place.
    """
    held = [(one, one.detach().clone()) for one in parameters if hasattr(one, "_hp_mapping")]
    yield
    for parameter, before in held:
        if not torch.equal(parameter, before):
            from deepspeed.utils import safe_set_full_fp32_param

            safe_set_full_fp32_param(parameter, parameter.detach())
