"""All heads of a model, each with its task's statistics."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from hf_mtl.batch import Sites
from hf_mtl.errors import Mistake, ModelError, known
from hf_mtl.modeling.choices import feature_source, head_specs
from hf_mtl.modeling.config_values import shown
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.float32 import bring_to_float32
from hf_mtl.modeling.heads import HeadSpec, build_head, head_class, settled_options
from hf_mtl.modeling.heads.base import Decoded, Features, FeatureSource, Penalty
from hf_mtl.modeling.moments import RunningMoments
from hf_mtl.modeling.noise import Noise
from hf_mtl.modeling.sites import at_sites, in_place, numbers, penalties_of_rows, sites_everywhere
from hf_mtl.tasks import Task


@dataclass
class HeadOutputs:
    """Outputs of the heads for a batch; every field is by task.

    Args:
        logits: Class logits [n, C], or targets in original units [n, D]; [n, ..., C] of rows with several outputs.
        row_losses: The data term of each row's loss, a sum over the units of its mass (`Task.masses`) [n], float32.
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


class TaskModule(nn.Module):
    """One task: its head, and what its loss knows of the training rows."""

    def __init__(self, task: Task, spec: HeadSpec, config: MultiTaskConfig):
        super().__init__()
        encoder_config = config.encoder_config
        self.task = task
        self.head = build_head(spec, config.hidden_size, task, encoder_config, dropout=config.dropout)
        self.statistics = task.new_statistics()
        self.source: FeatureSource = feature_source(spec, task, encoder_config)
        self.temperature: float | None = None

    def forward(
        self, features: Features, noise: Noise, labels: Tensor | None = None, sites: Sites | None = None
    ) -> tuple[Tensor, Tensor | None, dict[str, Penalty]]:
        """Map features [n, H] to logits [n, C] in the units of the labels, losses [n] of given labels, penalties.

        While training, the logits are those that the loss sees; there are no penalties at evaluation. With sites the
        features are those of the task's sequences, and the logits [n, ..., C].
        """
        if sites is not None:
            features, noise = at_sites(features, sites), noise.at(sites["sequences"], numbers(sites))
        decoded = self.head.decode(features, noise) if self.training else Decoded(self._tempered(self.head(features)))
        if sites is not None:
            decoded = self._of_rows(decoded, sites, labels)
        logits = self.statistics.restore(decoded.outputs)
        if labels is None:
            return logits, None, decoded.penalties
        outputs, targets = decoded.outputs, self.statistics.standardize(labels)
        if decoded.scale is not None:
            outputs, targets = outputs * decoded.scale, targets * decoded.scale
        losses = self.task.row_losses(outputs, targets, self.statistics.loss_weights)
        return logits, losses, decoded.penalties

    def _of_rows(self, decoded: Decoded, sites: Sites, labels: Tensor | None) -> Decoded:
        """Put what was decoded at the sites [U, C] where it belongs among the rows, [n, ..., C]."""
        outputs = in_place(decoded.outputs, sites, self.task.absent_output)
        return Decoded(outputs, decoded.scale, penalties_of_rows(decoded.penalties, sites, self.task, labels))

    def variance(self, features: Features, sites: Sites | None = None) -> Tensor | None:
        """Return the decoded distribution's variance in units of the labels, squared [n, C]; None: there is none."""
        variance = self.head.variance(features if sites is None else at_sites(features, sites))
        if variance is None:
            return None
        variance = variance if sites is None else in_place(variance, sites, absent=0.0)
        return self.statistics.restore_variance(self._tempered(variance, power=2))

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


class TaskHeads(nn.Module):
    """The heads of all tasks, as one module with its own `forward` so that peft can save it beside an adapter.

    Args:
        config: The model's config.
    """

    def __init__(self, config: MultiTaskConfig):
        super().__init__()
        self._keys: dict[str, str] = {}
        specs = head_specs(config)
        for name, task in config.decided_tasks.items():
            self._keys[name] = _module_key(name)
            module = TaskModule(task, specs[name], config)
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
    ) -> HeadOutputs:
        """Run the heads that have rows, and no others.

        Args:
            features: Features of the N sequences by source; a row is one, but for ``sites``.
            segments: First sequence, and the one after the last, by task.
            noise: The noise of the N sequences.
            labels: Labels of the tasks' rows, by task; a task may be absent.
            uncertainty: Whether heads that decode distributions give their variances.
            sites: Where heads look that have several outputs for a row; None: everywhere.
        """
        result = HeadOutputs()
        for name, (start, stop) in segments.items():
            module = self.of(name)
            rows, looked = features[module.source][start:stop], (sites or {}).get(name)
            if looked is None and module.task.outputs_per != "row":
                looked = sites_everywhere(rows, module.task.outputs_per)
            logits, losses, penalties = module(rows, noise.segment(start, stop), (labels or {}).get(name), looked)
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
    def stochastic(self) -> bool:
        """Tell whether any head draws random numbers while training."""
        return any(self.of(task).head.stochastic for task in self._keys)

    @property
    def penalty_names(self) -> list[tuple[str, str]]:
        """Task and name of every penalty, in a fixed order."""
        return [(task, name) for task in self._keys for name in self.of(task).head.penalty_names]

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """Return the heads' parameters that want a group of their own."""
        return [parameter for task in self._keys for parameter in self.of(task).head.auxiliary_parameters()]

    def end_step(self, reduce_sum: Callable[[Tensor], Tensor] = lambda sums: sums) -> None:
        """End an optimizer step in every head. `MultiTaskTrainer` calls it.

        Args:
            reduce_sum: Adds a tensor up over the processes.
        """
        sums = {task: self.of(task).head.step_sums() for task in self._keys}
        parts = [value.reshape(-1) for value in sums.values() if value is not None]
        # One message for the sums of all heads.
        reduced = iter(reduce_sum(torch.cat(parts)).split([len(part) for part in parts]) if parts else ())
        for task, value in sums.items():
            self.of(task).head.end_step(None if value is None else next(reduced).reshape(value.shape))

    def abandon_step(self) -> None:
        """Forget the rows of a step that was broken off, which would count as the next one's."""
        for module in self.modules():
            if isinstance(module, RunningMoments):
                module.abandon()

    def gauges(self) -> dict[str, Tensor]:
        """Return scalars of the heads to log, as ``<name>/<task>``."""
        return {f"{name}/{task}": value for task in self._keys for name, value in self.of(task).head.gauges().items()}

    def _share(self, specs: Mapping[str, HeadSpec], config: MultiTaskConfig) -> None:
        """Build what heads of equal specification share, and introduce them to each other."""
        groups: dict[str, list[str]] = {}
        options = {task: settled_options(spec, config.dropout) for task, spec in specs.items()}
        for task, spec in specs.items():
            # The options as text, since lists among them cannot be keys.
            groups.setdefault(f"{head_class(spec).name} {sorted(options[task].items())}", []).append(task)
        for number, tasks in enumerate(groups.values()):
            kind = head_class(specs[tasks[0]])
            shared = kind.shared(config.hidden_size, config.encoder_config, options[tasks[0]])
            if shared is not None:
                self.add_module(f"shared_{number}", shared)
            peers = {task: self.of(task).head for task in tasks}
            for task, head in peers.items():
                head.attach(shared, peers, task)


def _module_key(task: str) -> str:
    # A dot would be read as nesting, and brackets by the loader as a group of a regular expression; the prefix keeps
    # names such as "train" off nn.Module's attributes.
    for character in "%.()":
        task = task.replace(character, f"%{ord(character):02X}")
    return "task_" + task
