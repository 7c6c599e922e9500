"""A model whose tasks keep what was found on rows: statistics, temperatures, and how outputs become predictions."""

from dataclasses import replace
from typing import Any

from hf_mtl.errors import Mistake, ModelError, one_line
from hf_mtl.modeling.adapted_model import AdaptedModel
from hf_mtl.modeling.task_heads import TaskHeads
from hf_mtl.tasks.statistics import Numbers, TaskStatistics


class DecidedModel(AdaptedModel):
    """Sets what was found, and keeps it where it is saved: statistics among the weights, the rest in the config."""

    heads: TaskHeads

    def set_statistics(self, task: str, **numbers: Numbers) -> None:
        """Set what a task's loss keeps of its training rows.

        Args:
            task: The task.
            numbers: By name: ``mean`` and ``std`` [D] of a regression that is standardised, ``weights`` [C] in id
                order of a classification with class weights, ``negative`` and ``positive`` [L] of several labels with
                a positive weight.

        Raises:
            ModelError: If the task is unknown, or keeps other numbers.
        """
        statistics = self._statistics(task)
        try:
            statistics.fit(**numbers)
        except ModelError as error:
            raise ModelError(replace(item, key=f"tasks.{task}") for item in error.mistakes) from error

    def set_calibration_temperature(self, task: str, temperature: float | None) -> None:
        """Divide a classification's logits by a number at evaluation, which changes confidences but no prediction.

        Losses at evaluation are those of the divided logits, variances are divided by its square; training does not
        see it. It lives in the config. `MultiTaskTrainer.calibrate` finds it.

        Source: temperature scaling, Guo et al., ICML 2017, arXiv:1706.04599, section 4.2.

        Args:
            task: The task.
            temperature: A positive number; None: forget it.

        Raises:
            ModelError: If the task is unknown or no classification, or the number is not positive.
        """
        self.heads.of(task).set_calibration_temperature(task, temperature)
        others = {name: value for name, value in (self.config.calibration_temperatures or {}).items() if name != task}
        self.config.calibration_temperatures = (
            {**others, task: temperature} if temperature is not None else others
        ) or None

    def set_decision(self, task: str, value: Any) -> None:
        """Keep how a task's outputs become predictions, as chosen on rows that were not trained on.

        It lives in the config. `MultiTaskTrainer.tune` finds it, for tasks that ask for it: ``thresholds: tuned``.

        Args:
            task: The task.
            value: What its key may be in a recipe too, such as one threshold for each label; None: forget it.

        Raises:
            ModelError: If the task is unknown or does not ask for it, or the value is none of the key.
        """
        module, asked = self.heads.of(task), self.config.task_objects[task]
        others = {name: found for name, found in (self.config.decisions or {}).items() if name != task}
        try:
            decided = asked if value is None else asked.decided(value)
        except ValueError as error:
            raise ModelError(Mistake(f"tasks.{task}", one_line(error))) from error
        if mistakes := list(decided.unknown_outputs(task)):
            raise ModelError(mistakes)
        module.task = decided
        self.config.decisions = (others if value is None else {**others, task: value}) or None

    def has_statistics(self, task: str) -> bool:
        """Tell whether a task's loss has the statistics that it needs; True where it needs none."""
        return self._statistics(task).is_fitted

    def _statistics(self, task: str) -> TaskStatistics:
        return self.heads.of(task).statistics
