"""Programs that a run reports to, such as wandb or MLflow: one that fails must not end the training."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from transformers import TrainerCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from hf_mtl.errors import Mistake, RunError, one_line
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

_SET_UP = ("on_init_end", "on_train_begin")
"""Events before the first step: who cannot report at all learns it there."""


def outlive_reports(callbacks: Iterable[TrainerCallback]) -> None:
    """Let training go on where a program of ``report_to`` fails after it has been set up, and not begin before.

    Args:
        callbacks: Those of a Trainer; others than such programs' stay as they are.
    """
    events = [name for name in dir(TrainerCallback) if name.startswith("on_") and name not in _SET_UP]
    for callback in callbacks:
        if isinstance(callback, tuple(INTEGRATION_TO_CALLBACK.values())):
            told = _Told(type(callback).__name__)
            for event in events:
                setattr(callback, event, _outlived(getattr(callback, event), told))
            begin = "on_train_begin"
            setattr(callback, begin, _set_up(getattr(callback, begin), told.name))


class _Told:
    """Says the first failure of a program."""

    def __init__(self, name: str):
        self.name = name
        self.once = False

    def __call__(self, error: Exception) -> None:
        if not self.once:
            logger.warning(f"{self.name} of report_to failed: {one_line(error)}. Training goes on.")
        self.once = True


def _set_up(report: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return an event in which a program is set up, for which a key or a server may be missing."""

    @wraps(report)
    def tried(*args: Any, **kwargs: Any) -> Any:
        try:
            return report(*args, **kwargs)
        except Exception as error:
            found = f"{name} cannot be set up: {one_line(error)}"
            raise RunError(Mistake("training.report_to", found, "Set it up, or leave it out")) from error

    return tried


def _outlived(report: Callable[..., Any], told: _Told) -> Callable[..., Any]:
    """Return a report that may fail; it is tried again at its next event."""

    @wraps(report)
    def tried(*args: Any, **kwargs: Any) -> Any:
        try:
            return report(*args, **kwargs)
        except Exception as error:
            told(error)

    return tried
