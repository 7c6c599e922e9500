"""A callback of the Trainer, known to recipes by name; its keyword arguments are its options there."""

from typing import Any

from transformers import TrainerCallback

from hf_mtl.callbacks import CALLBACKS


@CALLBACKS.register("enough")
class Enough(TrainerCallback):
    """Stop training once a score is high enough.

    Args:
        score: The value that is enough.
        key: The score, such as ``macro``, ``worst`` or ``product_f1_macro``.
    """

    def __init__(self, score: float, key: str = "macro"):
        self.score = score
        self.key = key

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        """Look at the scores of an evaluation."""
        if metrics.get(f"eval_{self.key}", float("-inf")) >= self.score:
            control.should_training_stop = True
