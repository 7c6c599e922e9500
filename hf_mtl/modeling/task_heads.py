"""All heads of a model, each with its task's statistics."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from hf_mtl.batch import Sites
from hf_mtl.errors import Mistake, ModelError, known
from hf_mtl.modeling.choices import head_groups, head_specs
from hf_mtl.modeling.config_values import shown
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.float32 import bring_to_float32
from hf_mtl.modeling.heads import HeadSpec, build_head, head_class, settled_options
from hf_mtl.modeling.heads.base import Features, FeatureSource, Head, Penalty
from hf_mtl.modeling.moments import RunningMoments
from hf_mtl.modeling.noise import Noise
from hf_mtl.modeling.padded import PaddedStates
from hf_mtl.modeling.sites import sites_everywhere
from hf_mtl.modeling.task_module import TaskModule
from hf_mtl.tasks.head_shares import share_of


@dataclass
class HeadOutputs:
    """Outputs of the heads for a batch; every field is by task.

    Args:
        logits: Class logits [n, C], or targets in original units [n, D]; [n, ..., C] of rows with several outputs.
        row_losses: The data term of each row's loss, a sum over the units of its mass (`Task.masses`), times
            the row's weight [n], float32.
        row_penalties: What joins it from the head, a sum over the same units, which may be negative [n], float32;
            only of heads that have any.
        penalty_values: The head's penalties by name, before their factors, detached [n].
        variances: Variance of the decoded distribution in the units of the logits, squared [n, C].
    """

    logits: dict[str, Tensor] = field(default_factory=dict)
    row_losses: dict[str, Tensor] = field(default_factory=dict)
    row_penalties: dict[str, Tensor] = field(default_factory=dict)
    penalty_values: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    variances: dict[str, Tensor] = field(default_factory=dict)


class TaskHeads(nn.Module):
    """The heads of all tasks, as one module with its own `forward` so that peft can save it beside an adapter.

    Args:
        config: The model's config.
    """

    def __init__(self, config: MultiTaskConfig):
        super().__init__()
        self._keys: dict[str, str] = {}
        self._sharing: dict[str, list[str]] = {}
        self.resting: list[nn.Parameter] = []  # see `rest_heads`
        specs, shares = head_specs(config), dict[str, Head]()
        for name, task in config.decided_tasks.items():
            self._keys[name] = module_key(name)
            share = share_of(task.head)
            head = shares.get(share or "")
            if head is None:
                head = build_head(
                    specs[name], config.hidden_size, task, config.encoder_config, dropout=config.dropout
                )
            if share is not None and share not in shares:
                shares[share] = head
                self.add_module(share_key(share), head)
            module = TaskModule(task, head, config, shared=share is not None)
            module.set_calibration_temperature(name, (config.calibration_temperatures or {}).get(name))
            self.add_module(self._keys[name], module)
        self._share(specs, config)
        bring_to_float32(self)

    @property
    def names(self) -> list[str]:
        """The tasks, in order."""
        return list(self._keys)

    def of(self, task: str) -> TaskModule:
        """Return one task's module; a method, because peft's wrapper passes on methods, not `heads[task]`.

        Raises:
            ModelError: If the model has no such task.
        """
        self.check_names([task])
        return self._modules[self._keys[task]]  # type: ignore[return-value]

    def check_names(self, tasks: Iterable[object]) -> None:
        """Refuse names that are no task's.

        Raises:
            ModelError: If there is one, or a list in place of a name.
        """
        for task in tasks:
            if not isinstance(task, str):
                problem = f"found {shown(task)} in place of a task's name"
                raise ModelError(Mistake("task", problem, f"Give one of {', '.join(self._keys)}, or none for all"))
            if task not in self._keys:
                raise ModelError(Mistake("tasks", f"the model has no task '{task}'", known(self._keys, task)))

    def check_choosing(self, task: str | None) -> None:
        """Refuse rows with choices for heads that do not choose.

        Args:
            task: The only head to run; None: all.

        Raises:
            ModelError: If one of them makes no output for each sequence of a row.
        """
        asked = self.names if task is None else [task]
        others = [name for name in asked if self.of(name).task.outputs_per != "sequence"]
        if others:
            problem = f"have a row for each choice [B, S, L], and {', '.join(others)} takes rows of one text"
            raise ModelError(Mistake("input_ids", problem, "Give token ids [B, L], or a task of multiple choice"))

    def forward(
        self,
        features: Mapping[FeatureSource, Features],
        segments: Mapping[str, tuple[int, int]],
        noise: Noise,
        labels: Mapping[str, Tensor] | None = None,
        uncertainty: bool = False,
        sites: Mapping[str, Sites] | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> HeadOutputs:
        """Run the heads that have rows, and no others.

        Args:
            features: Features of the N sequences by source; a row is one, but for ``sites``.
            segments: First sequence, and the one after the last, by task.
            noise: The noise of the N sequences.
            labels: Labels of the tasks' rows, by task; a task may be absent.
            uncertainty: Whether heads that decode distributions give their variances.
            sites: Where heads look that have several outputs for a row; None: everywhere.
            weights: What losses and penalties of the tasks' rows are multiplied by, by task; a task may be absent.
        """
        result = HeadOutputs()
        for name, (start, stop) in segments.items():
            module = self.of(name)
            rows, looked = features[module.source][start:stop], (sites or {}).get(name)
            if looked is None and module.task.outputs_per != "row" and not isinstance(rows, PaddedStates):
                looked = sites_everywhere(rows, module.task.outputs_per)
            logits, losses, penalties = module(rows, noise.segment(start, stop), (labels or {}).get(name), looked)
            if (weighs := (weights or {}).get(name)) is not None:
                # The penalties too, so that a row of weight 2 acts as two rows do, whatever its head.
                losses = None if losses is None else losses * weighs
                penalties = {key: Penalty(item.values * weighs, item.coefficient) for key, item in penalties.items()}
            result.logits[name] = logits
            if losses is not None:
                result.row_losses[name] = losses
            if penalties:
                result.row_penalties[name] = sum(p.coefficient * p.values for p in penalties.values())
                result.penalty_values[name] = {key: penalty.values.detach() for key, penalty in penalties.items()}
            if uncertainty and (variance := module.variance(rows, looked)) is not None:
                result.variances[name] = variance
        return result

    @property
    def sharing(self) -> dict[str, list[str]]:
        """The tasks whose heads share a module of layers, by its name in this one."""
        return dict(self._sharing)

    @property
    def distinct(self) -> dict[str, Head]:
        """The heads, each once, by the first of its tasks."""
        found: dict[str, Head] = {}
        for task in self._keys:
            head = self.of(task).head
            if not any(head is other for other in found.values()):
                found[task] = head
        return found

    def parameters_of(self, task: str) -> list[nn.Parameter]:
        """Return the parameters of one task's head, which it may share.

        Raises:
            ModelError: If the model has no such task.
        """
        return list(self.of(task).head.parameters())

    def tasks_of(self, task: str) -> list[str]:
        """Return the tasks that have a task's head, itself among them.

        Raises:
            ModelError: If the model has no such task.
        """
        head = self.of(task).head
        return [other for other in self._keys if self.of(other).head is head]

    def is_shared(self, task: str) -> bool:
        """Tell whether other tasks have a task's head too.

        Raises:
            ModelError: If the model has no such task.
        """
        return len(self.tasks_of(task)) > 1

    @property
    def stochastic(self) -> bool:
        """Tell whether any head draws random numbers while training."""
        return any(head.stochastic for head in self.distinct.values())

    @property
    def penalty_names(self) -> list[tuple[str, str]]:
        """Task and name of every penalty, in a fixed order."""
        return [(task, name) for task in self._keys for name in self.of(task).head.penalty_names]

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """Return the heads' parameters that want a group of their own."""
        return [parameter for head in self.distinct.values() for parameter in head.auxiliary_parameters()]

    def end_step(self, reduce_sum: Callable[[Tensor], Tensor] = lambda sums: sums) -> None:
        """End an optimizer step in every head. `MultiTaskTrainer` calls it.

        Args:
            reduce_sum: Adds a tensor up over the processes.
        """
        heads = self.distinct
        sums = {task: head.step_sums() for task, head in heads.items()}
        parts = [value.reshape(-1) for value in sums.values() if value is not None]
        # One message for the sums of all heads.
        reduced = iter(reduce_sum(torch.cat(parts)).split([len(part) for part in parts]) if parts else ())
        for task, value in sums.items():
            heads[task].end_step(None if value is None else next(reduced).reshape(value.shape))

    def abandon_step(self) -> None:
        """Forget the rows of a step that was broken off, which would count as the next one's."""
        for module in self.modules():
            if isinstance(module, RunningMoments):
                module.abandon()

    def gauges(self) -> dict[str, Tensor]:
        """Return scalars of the heads to log, as ``<name>/<task>``."""
        return {f"{name}/{task}": value for task in self._keys for name, value in self.of(task).head.gauges().items()}

    def _share(self, specs: Mapping[str, HeadSpec], config: MultiTaskConfig) -> None:
        """Build what different heads of equal specification share, and introduce them to each other."""
        heads = self.distinct
        for number, tasks in enumerate(head_groups(config)):
            spec = specs[tasks[0]]
            options = settled_options(spec, config.dropout)
            shared = head_class(spec).shared(config.hidden_size, config.encoder_config, options)
            if shared is not None:
                self.add_module(shared_key(number), shared)
                self._sharing[shared_key(number)] = [name for task in tasks for name in self.tasks_of(task)]
            peers = {task: heads[task] for task in tasks}
            for task, head in peers.items():
                head.attach(shared, peers, task)


def module_key(task: str) -> str:
    """Return the name of a task's module among the heads."""
    return _as_key("task_", task)


def share_key(share: str) -> str:
    """Return the name of the module of a head that several tasks have."""
    return _as_key("head_", share)


def shared_key(group: int) -> str:
    """Return the name of the module that the heads of a group share, by the group's place in `head_groups`."""
    return f"shared_{group}"


def _as_key(prefix: str, name: str) -> str:
    # A dot would be read as nesting, and brackets by the loader as a group of a regular expression; the prefix keeps
    # names such as "train" off nn.Module's attributes.
    for character in "%.()":
        name = name.replace(character, f"%{ord(character):02X}")
    return prefix + name
