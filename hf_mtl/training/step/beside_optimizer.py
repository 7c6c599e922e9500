"""An optimizer for what a weighting learns, beside one that knows the parts of a sharded model alone."""

from typing import Any

import torch
from torch import nn

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.training.step.optimizer import optimizer_class


class BesideOptimizer:
    """Trains a weighting's parameters as a group of the model's optimizer would.

    The model's optimizer has parts of parameters; those of a weighting are whole on every process, with the same
    gradient. They take their steps here: of the same kind, without weight decay, and at a rate that follows the
    schedule of the model's.

    Args:
        weighting: The loss weighting, on the device.
        args: The training arguments.

    Attributes:
        inner: The optimizer; None where nothing is learned.
    """

    def __init__(self, weighting: nn.Module, args: MultiTaskTrainingArguments):
        self.inner: torch.optim.Optimizer | None = None
        own = args.balancing_learning_rate
        self._rate = args.learning_rate if own is None else own
        if parameters := list(weighting.parameters()):
            kind, options = optimizer_class(args)
            options = {**options, "lr": self._rate, "weight_decay": 0.0}
            self.inner = kind(parameters, **options)

    def step(self, of_model: Any) -> None:
        """Take a step, with the share of its rate that the model's optimizer has now of its own.

        Args:
            of_model: The model's optimizer.
        """
        if self.inner is None:
            return
        group = of_model.param_groups[0]
        first = group.get("initial_lr", group["lr"])
        self.inner.param_groups[0]["lr"] = self._rate * (group["lr"] / first if first else 1.0)
        self.inner.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the moments, by the parameter's number and their name."""
        state = {} if self.inner is None else self.inner.state_dict()["state"]
        return {f"{number}.{key}": value for number, values in state.items() for key, value in values.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`; from an empty one, as if no step had been taken."""
        if self.inner is None:
            return
        found: dict[int, dict[str, Any]] = {}
        for name, value in state.items():
            number, key = name.split(".", 1)
            found.setdefault(int(number), {})[key] = value
        self.inner.load_state_dict({"state": found, "param_groups": self.inner.state_dict()["param_groups"]})
