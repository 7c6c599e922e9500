"""Temperatures that learn: one per task, moved by the exact gradient of an objective of the task probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from hf_mtl.data.learners.base import Learner, register

Objective: TypeAlias = Literal["dro", "progress", "worst", "expected_loss"]
Values = NDArray[np.float64]

LOG_BOUNDS = (float(np.log(0.1)), float(np.log(5.0)))
REFERENCE_STEPS = 20
FLOOR = 1e-8
FAST, SLOW = 0.9, 0.99
METRIC_FLOOR = 0.1


@dataclass(frozen=True)
class Ascent:
    """One look at A(tau) = sum_t p_t a_t - lambda KL(p || p0).

    Args:
        probabilities: p, [T].
        objective: A.
        gradient: dA / d log tau, [T].
    """

    probabilities: Values
    objective: float
    gradient: Values


def ascent(log_counts: Values, log_tau: Values, signal: Values, prior: Values, penalty: float) -> Ascent:
    """Return the objective of per-task temperatures, p_t proportional to n_t^(1 / tau_t), and its exact gradient.

    With u_t = log n_t / tau_t and r_t = a_t - lambda log(p_t / p0_t): dA / d log tau_t = -u_t p_t (r_t - sum p r).
    The mean of r is the baseline: a constant added to all signals changes nothing.

    Args:
        log_counts: Log of each task's rows, [T].
        log_tau: Log of each task's temperature, [T].
        signal: a, [T], taken as constants.
        prior: p0, [T].
        penalty: lambda.
    """
    logits = log_counts * np.exp(-log_tau)
    weights = np.exp(logits - logits.max())
    p = weights / weights.sum()
    # A p that underflows to 0 has no logarithm, and 0 times infinity would make the gradient NaN.
    log_ratio = np.log(np.maximum(p, 1e-300) / prior)
    reward = signal - penalty * log_ratio
    gradient = -logits * p * (reward - (p * reward).sum())
    value = float((p * signal).sum() - penalty * (p * log_ratio).sum())
    return Ascent(p, value, gradient)


@register("temperature")
class LearnedTemperature(Learner):
    """One temperature per task, from 1, in [0.1, 5], by gradient ascent on what the tasks show.

    The draw of a row is discrete and the loss does not depend on the probabilities, so back-propagation gives a
    temperature no gradient; the objective here is explicit. Signals a_t: ``dro``: moving loss over its reference, the
    mean of the first values: tasks that have improved least are drawn more. ``progress``: relative fall of the loss
    between a slow and a fast average: tasks that are improving are drawn more. ``worst``: one minus the validation
    metric over its first value (at least 0.1, as some metrics begin at zero). ``expected_loss``: the literal descent
    of the expected training loss of the few-task paper, without penalty; it moves the probability to the easy tasks,
    and is for reproduction.

    Source: "Few-Task Imbalanced Multi-Task Learning via Alternating Optimization" for the learned temperature; its
    code gives the temperature no gradient from the sampler, so objective and estimator are hf_mtl's.

    Args:
        sizes: Training rows of each task, capped where the mixture caps them.
        objective: ``dro``, ``progress``, ``worst`` or ``expected_loss``.
        penalty: lambda, what the divergence from proportional sampling costs. At an optimum inside the bounds p is
            proportional to p0 exp(a / lambda). 0 with ``expected_loss``.
        lr: Step size of log tau.
        every: Steps between two moves; a move happens at the next boundary of a window.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        objective: Objective = "dro",
        penalty: Annotated[float, Field(ge=0)] = 0.5,
        lr: Annotated[float, Field(gt=0)] = 0.05,
        every: Annotated[int, Field(ge=1)] = 50,
    ):
        self.tasks = list(sizes)
        self.objective = objective
        self.penalty = 0.0 if objective == "expected_loss" else penalty
        self.lr = lr
        self.every = every
        counts = np.array(list(sizes.values()), dtype=np.float64)
        self.log_counts = np.log(counts)
        self.prior = counts / counts.sum()
        tasks = len(self.tasks)
        self.log_tau = np.zeros(tasks)
        self.fast, self.slow = np.zeros(tasks), np.zeros(tasks)
        self.count = np.zeros(tasks)
        self.reference = np.zeros(tasks)
        self.metric, self.first_metric = np.full(tasks, np.nan), np.full(tasks, np.nan)
        self.moved_at = 0

    @property
    def follows_metrics(self) -> bool:
        """Tell whether it follows validation metrics."""
        return self.objective == "worst"

    @property
    def first_move(self) -> int:
        """Return the first step before which it may move a temperature."""
        return self.every if self.objective == "worst" else max(self.every, REFERENCE_STEPS)

    def probabilities(self) -> Values:
        """Return the probability of each task now, [T]."""
        return ascent(self.log_counts, self.log_tau, np.zeros(len(self.tasks)), self.prior, 0.0).probabilities

    def temperatures(self) -> dict[str, float]:
        """Return the temperature of each task now."""
        return dict(zip(self.tasks, np.exp(self.log_tau).tolist(), strict=True))

    def gauges(self) -> dict[str, float]:
        """Return the temperatures, as ``temperature/<task>``."""
        return {f"temperature/{task}": value for task, value in self.temperatures().items()}

    def observe_losses(self, losses: Mapping[str, float]) -> None:
        """Learn the training losses of the tasks that a step had."""
        if not self.from_validation:
            self._observe(losses)

    def observe_evaluation(self, losses: Mapping[str, float], metrics: Mapping[str, float]) -> None:
        """Learn the validation losses and the primary metrics of the tasks."""
        if self.from_validation:
            self._observe(losses)
        for task, value in metrics.items():
            place = self.tasks.index(task)
            self.metric[place] = value
            if np.isnan(self.first_metric[place]):
                self.first_metric[place] = value

    def _observe(self, losses: Mapping[str, float]) -> None:
        for task, value in losses.items():
            place = self.tasks.index(task)
            self.count[place] += 1
            self.fast[place] = FAST * self.fast[place] + (1 - FAST) * value
            self.slow[place] = SLOW * self.slow[place] + (1 - SLOW) * value
            if self.count[place] <= self._reference_values:
                self.reference[place] += (value - self.reference[place]) / self.count[place]

    @property
    def _reference_values(self) -> int:
        # A run has few evaluations: the first one is their reference.
        return 1 if self.from_validation else REFERENCE_STEPS

    @property
    def ready(self) -> bool:
        """Tell whether every task has a reference."""
        if self.objective == "worst":
            return not bool(np.isnan(self.first_metric).any())
        return bool((self.count >= self._reference_values).all())

    def signal(self) -> Values:
        """Return a_t of each task, [T]; it means something once `ready`."""
        if self.objective == "worst":
            return np.asarray(1.0 - self.metric / np.maximum(self.first_metric, METRIC_FLOOR))
        seen = np.maximum(self.count, 1)
        # Averages that begin at 0 are too small at first by just this factor, as the moments of Adam are.
        fast, slow = self.fast / (1 - FAST**seen), self.slow / (1 - SLOW**seen)
        if self.objective == "progress":
            return np.asarray((slow - fast) / np.maximum(slow, FLOOR))
        return -fast if self.objective == "expected_loss" else fast / np.maximum(self.reference, FLOOR)

    def begin_window(self, step: int) -> None:
        """Move the temperatures, if that is due and every task has been seen."""
        if len(self.tasks) > 1 and self.ready and step - self.moved_at >= self.every:
            look = ascent(self.log_counts, self.log_tau, self.signal(), self.prior, self.penalty)
            self.log_tau = np.clip(self.log_tau + self.lr * look.gradient, *LOG_BOUNDS)
            self.moved_at = step

    def state_dict(self) -> dict[str, Any]:
        """Return the temperatures and all averages."""
        arrays = {key: torch.from_numpy(getattr(self, key).copy()) for key in _ARRAYS}
        return {**arrays, "moved_at": self.moved_at, "from_validation": self.from_validation}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        for key in _ARRAYS:
            setattr(self, key, state[key].numpy().copy())
        self.moved_at, self.from_validation = int(state["moved_at"]), bool(state["from_validation"])


_ARRAYS: Sequence[str] = ("log_tau", "fast", "slow", "count", "reference", "metric", "first_metric")
