"""All heads of a model, each with its task's statistics."""

from collections.abc import Mapping

from torch import Tensor, nn

from hf_mtl.errors import Mistake, ModelError, known
from hf_mtl.modeling.choices import head_specs
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.heads import HeadSpec, build_head
from hf_mtl.modeling.heads.base import FeatureSource
from hf_mtl.modeling.losses import row_losses
from hf_mtl.modeling.statistics import build_statistics
from hf_mtl.tasks import Task

Segments = Mapping[str, tuple[int, int]]


class TaskModule(nn.Module):
    """One task: its head, and what its loss knows of the training rows."""

    def __init__(self, task: Task, spec: HeadSpec, config: MultiTaskConfig):
        super().__init__()
        encoder_config = config.encoder_config
        self.task = task
        self.head = build_head(spec, config.hidden_size, task.num_outputs, encoder_config, dropout=config.dropout)
        self.statistics = build_statistics(task)
        self.source: FeatureSource = self.head.source(encoder_config)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Features [n, H] to logits [n, C] in the units of the labels, and losses [n] where labels are given."""
        outputs = self.head(features)
        logits = self.statistics.restore(outputs)
        if labels is None:
            return logits, None
        targets = self.statistics.standardize(labels)
        return logits, row_losses(self.task, outputs, targets, self.statistics.class_weights)


class TaskHeads(nn.Module):
    """The heads of all tasks, as one module with its own `forward` so that peft can save it beside an adapter.

    Args:
        config: The model's config.
    """

    def __init__(self, config: MultiTaskConfig):
        super().__init__()
        self._keys: dict[str, str] = {}
        specs = head_specs(config)
        for name, task in config.task_objects.items():
            self._keys[name] = _module_key(name)
            self.add_module(self._keys[name], TaskModule(task, specs[name], config))

    @property
    def names(self) -> list[str]:
        """The tasks, in order."""
        return list(self._keys)

    def of(self, task: str) -> TaskModule:
        """One task's module; a method because peft's wrapper passes on methods, not `heads[task]`.

        Raises:
            ModelError: If the model has no such task.
        """
        if task not in self._keys:
            raise ModelError(Mistake("tasks", f"the model has no task '{task}'", known(self._keys, task)))
        return self._modules[self._keys[task]]  # type: ignore[return-value]

    def forward(
        self,
        features: Mapping[FeatureSource, Tensor],
        segments: Segments,
        labels: Mapping[str, Tensor] | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Run the heads that have rows, and no others.

        Args:
            features: Features [N, H] by source.
            segments: First row, and the row after the last, by task.
            labels: Labels of the tasks' rows, by task; a task may be absent.

        Returns:
            Logits [n, C] and losses [n] by task.
        """
        logits, losses = {}, {}
        for name, (start, stop) in segments.items():
            module = self.of(name)
            rows = features[module.source][start:stop]
            logits[name], row_loss = module(rows, (labels or {}).get(name))
            if row_loss is not None:
                losses[name] = row_loss
        return logits, losses


def _module_key(task: str) -> str:
    # A dot would be read as nesting; the prefix keeps names such as "train" off nn.Module's attributes.
    return "task_" + task.replace("%", "%25").replace(".", "%2E")
