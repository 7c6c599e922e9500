"""The scaler of losses that fp16 needs, as far as a step knows it."""

from accelerate import Accelerator
from torch import Tensor


class LossScaler:
    """Runs backward passes with the factor of the loss scaler, where there is one.

    Args:
        accelerator: The accelerator of the Trainer.
    """

    def __init__(self, accelerator: Accelerator):
        self._accelerator = accelerator

    def backward(self, loss: Tensor, retain_graph: bool = False) -> None:
        """Run a backward, whose gradients have the factor.

        Args:
            loss: A scalar.
            retain_graph: Whether another backward of the same graph follows.
        """
        scaler = self._accelerator.scaler
        (loss if scaler is None else scaler.scale(loss)).backward(retain_graph=retain_graph)

    @property
    def factor(self) -> float | None:
        """The factor that all gradients have; None: there is no scaler. Waits for the device."""
        scaler = self._accelerator.scaler
        return None if scaler is None else float(scaler.get_scale())

    @property
    def skipped_update(self) -> bool:
        """Tell whether the last update was left out, as gradients were not finite."""
        skipped: bool = self._accelerator.optimizer_step_was_skipped
        return skipped
