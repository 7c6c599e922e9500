"""One task of a model: its head, and what its loss knows of the training rows."""

import math

import torch
from torch import Tensor, nn

from hf_mtl.batch import Sites
from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling.choices import feature_source
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.heads.base import Decoded, Features, FeatureSource, Head, Penalty
from hf_mtl.modeling.noise import Noise
from hf_mtl.modeling.padded import PaddedStates
from hf_mtl.modeling.sites import at_sites, in_place, numbers, penalties_of_rows
from hf_mtl.tasks import Task


class TaskModule(nn.Module):
    """One task: its head, and what its loss knows of the training rows.

    Args:
        task: The task.
        head: Its head.
        config: The model's config.
        shared: Whether other tasks have the head too, of which it is a part no more than of this one.
    """

    head: Head

    def __init__(self, task: Task, head: Head, config: MultiTaskConfig, shared: bool):
        super().__init__()
        self.task = task
        if shared:
            # Past torch, which would make it a submodule, and have it counted and saved once for each task.
            self.__dict__["head"] = head
        else:
            self.head = head
        self.statistics = task.new_statistics()
        self.source: FeatureSource = feature_source(head, task, config.encoder_config)
        self.temperature: float | None = None

    def forward(
        self, features: Features, noise: Noise, labels: Tensor | None = None, sites: Sites | None = None
    ) -> tuple[Tensor, Tensor | None, dict[str, Penalty]]:
        """Map features [n, H] to logits [n, C] in the units of the labels, losses [n] of given labels, penalties.

        While training, the logits are those that the loss sees; there are no penalties at evaluation. With sites the
        features are those of the task's sequences, and the logits [n, ..., C].
        """
        if isinstance(features, PaddedStates) and self.task.outputs_per in ("token", "window"):
            decoded = self._of_rectangle(features)
        elif sites is None:
            decoded = self._decode(features, noise)
        else:
            noise = noise.at(sites["sequences"], numbers(sites))
            decoded = self._of_rows(self._decode(at_sites(features, sites), noise), sites, labels)
        logits = self.statistics.restore(decoded.outputs)
        if labels is None:
            return logits, None, decoded.penalties
        outputs, targets = self.statistics.compared(decoded.outputs), self.statistics.standardize(labels)
        if decoded.scale is not None:
            # A target that is not given stays NaN, and gives the scale a gradient of 0; 0 times NaN would be NaN.
            scaled = torch.where(targets.isnan(), 0.0, targets) * decoded.scale
            outputs, targets = outputs * decoded.scale, torch.where(targets.isnan(), targets, scaled)
        losses = self.task.row_losses(outputs, targets, self.statistics.loss_weights)
        return logits, losses, decoded.penalties

    def _decode(self, features: Features, noise: Noise) -> Decoded:
        return self.head.decode(features, noise) if self.training else Decoded(self._tempered(self.head(features)))

    def _of_rectangle(self, states: PaddedStates) -> Decoded:
        """Predict at every place of a rectangle, as an exported program does, and mask padding: [B, L, C], or
        [B, 1, L, C] of windows.
        """
        outputs = self._tempered(self.head(states.everywhere()))
        placed = states.laid_out(outputs, self.task.absent_output)
        return Decoded(placed if self.task.outputs_per == "token" else placed.unsqueeze(1))

    def _of_rows(self, decoded: Decoded, sites: Sites, labels: Tensor | None) -> Decoded:
        """Put what was decoded at the sites [U, C] where it belongs among the rows, [n, ..., C]."""
        outputs = in_place(decoded.outputs, sites, self.task.absent_output)
        return Decoded(outputs, decoded.scale, penalties_of_rows(decoded.penalties, sites, self.task, labels))

    def variance(self, features: Features, sites: Sites | None = None) -> Tensor | None:
        """Return the decoded distribution's variance in units of the labels, squared [n, C]; None: there is none."""
        seen = features if sites is None else at_sites(features, sites)
        variance = self.head.variance(seen)
        if variance is None:
            return None
        # Only real values have units to restore, and these have no temperature.
        variance = self.statistics.restore_variance(self._tempered(variance, power=2), lambda: self.head(seen))
        return variance if sites is None else in_place(variance, sites, absent=0.0)

    def set_calibration_temperature(self, name: str, temperature: float | None) -> None:
        """Divide the logits by a temperature at evaluation; None: leave them as they are.

        Args:
            name: The task's name, for messages.
            temperature: A positive number.

        Raises:
            ModelError: If the task is no classification, or the number is not positive and finite.
        """
        if temperature is not None and not self.task.can_calibrate:
            problem = f"a temperature for a task of type {self.task.type}"
            raise ModelError(Mistake(f"tasks.{name}", problem, "Only class logits have one"))
        if temperature is not None and not 0 < temperature < math.inf:
            raise ModelError(Mistake(f"tasks.{name}", f"temperature {temperature}", "Allowed: positive numbers"))
        self.temperature = temperature

    def _tempered(self, values: Tensor, power: int = 1) -> Tensor:
        if self.training or self.temperature is None:
            return values
        return values.float() / self.temperature**power
