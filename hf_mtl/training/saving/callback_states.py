"""Keep the state of the Trainer's callbacks in a checkpoint."""

from typing import Any

from transformers import (
    TrainerCallback,
    TrainerControl,
)
from transformers.trainer_callback import ExportableState

from hf_mtl.shown import get_logger

logger = get_logger(__name__)


class CallbackStates:
    """The state of callbacks that have one, such as early stopping, and whether training was told to stop.

    The Trainer would restore them only on request, and into new objects; here the objects keep their identity.
    """

    def __init__(self, callbacks: list[TrainerCallback], control: TrainerControl):
        self.callbacks = [callback for callback in callbacks if isinstance(callback, ExportableState)]
        self.control = control

    def state_dict(self) -> dict[str, Any]:
        """Return each callback's attributes, in order."""
        return {
            "stopped": self.control.should_training_stop,
            "callbacks": [[type(item).__name__, item.state()["attributes"]] for item in self.callbacks],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the callbacks that this run has too."""
        saved = list(state["callbacks"])
        for callback in self.callbacks:
            for entry in saved:
                if entry[0] == type(callback).__name__:
                    for key, value in entry[1].items():
                        setattr(callback, key, value)
                    saved.remove(entry)
                    break
