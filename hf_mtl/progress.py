"""Progress bars of the libraries below, where ``disable_tqdm`` asks for none: downloads, maps, weights, uploads."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def no_bars(wanted: bool = True) -> Iterator[None]:
    """Show no progress bar for a while, of whatever library; afterwards each shows them as before.

    Args:
        wanted: Whether that is asked for.
    """
    with ExitStack() as stack:
        if wanted:
            for active, disable, enable in _switches():
                stack.callback(_quietly, enable if active() else disable)
                _quietly(disable)
        yield


@contextmanager
def no_load_reports() -> Iterator[None]:
    """Keep transformers from reporting for a while which weights of a file a model has no place for.

    For models that are made to be looked at, and are not trained: whoever trains them hears of it then.
    """
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def as_disable_tqdm_says(method: Callable[P, R]) -> Callable[P, R]:
    """Let a method of a Trainer show no bars where its arguments ask for none."""

    @wraps(method)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        trainer: Any = args[0]
        with no_bars(trainer.args.disable_tqdm):
            return method(*args, **kwargs)

    return quiet


def _switches() -> Iterator[tuple[Callable[[], bool], Callable[[], Any], Callable[[], Any]]]:
    """Yield three functions of each library: the first tells whether it shows bars, the others turn them off and on.

    The Hub's come first, to be put back last: transformers turns them off and on together with its own.
    """
    import datasets
    import huggingface_hub.utils as hub
    from transformers.utils import logging

    yield lambda: not hub.are_progress_bars_disabled(), hub.disable_progress_bars, hub.enable_progress_bars
    yield logging.is_progress_bar_enabled, logging.disable_progress_bar, logging.enable_progress_bar
    yield (
        lambda: not datasets.are_progress_bars_disabled(),
        datasets.disable_progress_bars,
        datasets.enable_progress_bars,
    )
    if "evaluate" in sys.modules:  # takes seconds to import
        from evaluate.utils import logging as evaluating

        yield evaluating.is_progress_bar_enabled, evaluating.disable_progress_bar, evaluating.enable_progress_bar


def _quietly(switch: Callable[[], Any]) -> None:
    """Turn a switch, which warns where a variable of the environment has the last word."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        switch()
