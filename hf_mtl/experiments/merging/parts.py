"""The single-task runs that are merged: what each has learned, from which beginning, and what keeps them apart."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import Mistake, ModelError, RunError
from hf_mtl.experiments.merging.arithmetic import Weights
from hf_mtl.inference.same_encoder import Trained, other_kind
from hf_mtl.modeling import MultiTaskConfig, MultiTaskModel
from hf_mtl.modeling.adapters import has_adapters, merge_adapters, merged_weights
from hf_mtl.modeling.choices import feature_source, head_specs
from hf_mtl.tasks import Task
from hf_mtl.training.run.evaluate import RunToScore, run_to_score
from hf_mtl.training.scoring.kept_rows import Listener
from hf_mtl.training.scoring.scoring import Scores

_POOLER = "pooler."
_ALIKE = "Models are merged that began alike: with the same model.backbone, and random weights with the same seed"


@dataclass(frozen=True)
class Part:
    """A single-task run, open to be scored with another encoder.

    Args:
        task: The name of its task.
        run: Its model, whose adapters are merged into the encoder, and its data.
        trained: The encoder's weights after training, under the encoder's own names.
        parameters: How many parameters the model had, adapters among them.
    """

    task: str
    run: RunToScore
    trained: Weights
    parameters: int

    @property
    def model(self) -> MultiTaskModel:
        """The model."""
        return self.run.trainer.model

    @property
    def settings(self) -> Task:
        """The task, as it is scored."""
        return self.run.trainer.tasks[self.task]

    @property
    def reads_pooled(self) -> bool:
        """Whether the task's head reads one vector of a text, as the pooling makes it."""
        return _reads_pooled(self.task, self.model.config)

    @cached_property
    def rows(self) -> dict[str, dict[str, EncodedSplit]]:
        """The encoded rows of the splits that there are to score on, by split and task."""
        prepared, trainer = self.run.prepared, self.run.trainer
        return {
            split: trainer.encoder.encode(rows, trainer.tasks, split)
            for split in ("validation", "test")
            if (rows := prepared.split(split))
        }

    def set_encoder(self, weights: Weights) -> None:
        """Give the model another encoder, and choose anew what was chosen on the outputs of its own.

        Thresholds and temperatures are chosen on the validation rows, as at the end of the run.

        Args:
            weights: The encoder's weights; may hold more than the model has.
        """
        self.model.encoder.load_state_dict({name: weights[name] for name in self.trained})
        validation = self.rows.get("validation")
        if validation is None:
            return
        if self.run.prepared.args.temperature_scaling and self.settings.can_calibrate:
            self.run.trainer.calibrate(validation)
        if self.model.config.task_objects[self.task].tuned_by is not None:
            self.run.trainer.tune(validation)

    def scores(self, split: str, listener: Listener | None = None) -> Scores | None:
        """Score the model as it is now.

        Args:
            split: ``validation`` or ``test``.
            listener: Takes what is scored.

        Returns:
            None where there are no rows of the split.
        """
        rows = self.rows.get(split)
        return None if rows is None else self.run.trainer.score(rows, split, listener)


@dataclass(frozen=True)
class Parts:
    """All runs that are merged, and where their encoders began.

    Args:
        begin: The encoder's weights before training.
        parts: The runs.
    """

    begin: Weights
    parts: tuple[Part, ...]

    @classmethod
    def open(cls, folders: Mapping[str, Path], allow_code: bool = False) -> "Parts":
        """Load runs, of which each trained one task, and make sure that they can be merged.

        A run's folder holds no copy of the weights that it began with: they are made again as the run made them, from
        its recipe's backbone and seed. Where a part of the encoder was frozen, it shows whether they still are those;
        of a backbone that was wholly trained, and has been changed since, nobody can tell.

        Args:
            folders: The folder of each task's run.
            allow_code: Whether code that the runs' recipes name may be run.

        Raises:
            UserError: If a run cannot be read, or the runs cannot be merged; says why.
        """
        _check_kinds(folders)
        parts: list[Part] = []
        begin: dict[str, Tensor] = {}
        for task, folder in folders.items():
            run = run_to_score(folder, splits=(), allow_code=allow_code)
            run.trainer.tells_notes = False  # the record has those of the test rows
            mine = _beginning(run, folder)
            if odd := [name for name, value in mine.items() if not _same(begin.get(name, value), value)]:
                problem = f"{folder}: {odd[0]} did not begin as that of {folders[parts[0].task]}"
                raise ModelError(Mistake("", problem, _ALIKE))
            begin = {**mine, **begin}
            parts.append(_part(task, run))
        return cls(begin, tuple(parts))


def _part(task: str, run: RunToScore) -> Part:
    """Make the encoder of a run plain, and remember it as it was trained."""
    model = run.trainer.model
    parameters = sum(parameter.numel() for parameter in model.parameters())
    make_plain(model)
    trained = {name: value.detach().cpu().clone() for name, value in model.encoder.state_dict().items()}
    return Part(task, run, trained, parameters)


@torch.no_grad()
def make_plain(model: MultiTaskModel) -> None:
    """Merge all adapters into the encoder of a model of one task, in place."""
    weights = merged_weights(model.encoder)
    if model.private_adapters is not None:
        (task,) = model.tasks
        weights = model.private_adapters.merged_into(task, weights, model.encoder)
    if has_adapters(model.encoder):
        merge_adapters(model.encoder)
    model.encoder.load_state_dict(weights)
    model.private_adapters = None
    model.config.peft = model.config.encoder_source = None


def _beginning(run: RunToScore, folder: Path) -> dict[str, Tensor]:
    """Make the encoder of a run as it was before training, with merged adapters.

    Raises:
        ModelError: If its frozen weights are not those of the trained one.
    """
    fresh, trained = run.prepared.new_model(), run.trainer.model.encoder.state_dict()
    for name, parameter in fresh.encoder.named_parameters():
        if not parameter.requires_grad and not _same(parameter, trained[name]):
            problem = f"{folder}: {name} was frozen, and is not that of the backbone as it is now"
            raise ModelError(Mistake("model.backbone", problem, "Give the backbone back as it was, or train again"))
    make_plain(fresh)
    return {name: value.detach().clone() for name, value in fresh.encoder.state_dict().items()}


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.cpu(), other.cpu())


# ---- What can be said before weights are loaded ----


def _check_kinds(folders: Mapping[str, Path]) -> None:
    """Refuse runs of other tasks, tokenizers or architectures."""
    if len(folders) < 2:
        raise RunError(Mistake("", f"found {len(folders)} run", "Give two or more to merge"))
    models: dict[str, Trained] = {}
    for task, folder in folders.items():
        models[task] = Trained.read(str(folder))
        if list(models[task].config.tasks or ()) != [task]:
            found = f"{folder}: its tasks are {', '.join(models[task].config.tasks or ())}"
            raise RunError(Mistake("", found, f"Give a run that trained {task} alone"))
    first, *others = models.values()
    mistakes = [item for other in others for item in other_kind(first, other, ("max_length",), _ALIKE)]
    mistakes += _other_poolings(models)
    if mistakes:
        raise ModelError(mistakes)


def _reads_pooled(task: str, config: MultiTaskConfig) -> bool:
    encoder = config.encoder_config
    assert not isinstance(encoder, dict | None)
    return feature_source(head_specs(config)[task], config.task_objects[task], encoder) == "pooled"


def _other_poolings(models: Mapping[str, Trained]) -> Iterator[Mistake]:
    """Compare the poolings of those whose heads read any."""
    having = [model for task, model in models.items() if _reads_pooled(task, model.config)]
    for other in having[1:]:
        if other.config.pooling != having[0].config.pooling:
            values = f"{other.config.pooling}, and {having[0].config.pooling} in {having[0].name}"
            yield Mistake("", f"{other.name}: pooling is {values}", "Train them with the same")
