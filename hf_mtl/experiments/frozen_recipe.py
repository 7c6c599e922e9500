"""Many short trainings of one recipe's data on frozen lower layers: tokenised once, encoded once per text."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PrinterCallback, TrainerCallback, set_seed

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.experiments.draws import Splits
from hf_mtl.experiments.frozen_features import FrozenFeatures, FrozenFeaturesTrainer, use_frozen_features
from hf_mtl.experiments.recipe_data import RecipeData
from hf_mtl.experiments.watchers import KeepBest, LearningCurve, Watcher
from hf_mtl.modeling import MultiTaskModel

_SAME_IN_ALL: dict[str, Any] = {
    "encoder_layout": "groups",  # what stands for the lower layers knows texts by their padded rows
    "save_strategy": "no",
    "eval_strategy": "steps",
    "per_device_eval_batch_size": 64,
    "report_to": "none",
    "disable_tqdm": True,
    "use_cpu": True,
    "bf16": True,
}


class Predicted(NamedTuple):
    """Scores and outputs of a trained model for some rows.

    Args:
        scores: Values by task and metric.
        outputs: The model's outputs for every row, by task.
    """

    scores: dict[str, dict[str, float]]
    outputs: dict[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Trained:
    """A run at its end, with the parameters of its best evaluation.

    Args:
        trainer: Its Trainer.
        curve: Its evaluations.
    """

    trainer: FrozenFeaturesTrainer
    curve: LearningCurve

    def predict(self, rows: Splits) -> Predicted:
        """Predict and score rows."""
        return Predicted(self.trainer.score(rows).tasks, self.trainer.predict(rows).predictions)

    def log(self, kept: Callable[[str], bool]) -> list[dict[str, float]]:
        """Read what was logged while training: of every record the step and the keys to be kept, rounded."""
        return [
            {key: round(value, 5) for key, value in record.items() if key == "step" or kept(key)}
            for record in self.trainer.state.log_history
            if "loss" in record
        ]


class FrozenRecipe(RecipeData):
    """Trains models of a recipe's tasks with frozen lower layers, whose output for a text is computed once.

    Args:
        recipe: The recipe.
        frozen_layers: Lower layers of the encoder that are not trained.
        overrides: Keys of the recipe to replace, ``key=value``.
        allow_code: As for `load_recipe`.
    """

    def __init__(self, recipe: Path, frozen_layers: int, overrides: Iterable[str] = (), allow_code: bool = False):
        super().__init__(recipe, overrides, allow_code)
        self.frozen_layers = frozen_layers
        self.features = FrozenFeatures(self.encoder, frozen_layers, self.tokenizer.pad_token_id)

    def model(self, tasks: Sequence[str], seed: int, **changes: Any) -> MultiTaskModel:
        """Make a new model of some of the tasks, whose lower layers are the frozen features.

        Args:
            tasks: The tasks.
            seed: Seed of the heads.
            changes: What differs from the recipe: ``head``, ``pooling``, ``dropout``.
        """
        set_seed(seed)
        section = self.recipe.model
        same = {"head": section.head, "pooling": section.pooling, "dropout": section.dropout}
        model = MultiTaskModel.from_backbone(
            section.backbone,
            {task: self.tasks[task] for task in tasks},
            max_length=self.max_length,
            freeze=self.frozen_layers,
            attn_implementation="eager",  # the fused one is slow backwards in bf16 on a CPU
            **{**same, **changes},
        )
        use_frozen_features(model.encoder, self.features, self.frozen_layers)
        return model

    def warm(self, splits: Splits, rows: int = 64) -> None:
        """Encode texts now, so that the time of the first run that sees them is like that of the others."""
        for split in splits.values():
            # Texts of one length together: little padding.
            order = np.argsort(split.tokens.lengths, kind="stable")
            for start in range(0, len(order), rows):
                flat = split.tokens.flat(order[start : start + rows])
                ids = self._padded(flat.ids, flat.lengths, self.features.pad_id)
                types = None if flat.type_ids is None else self._padded(flat.type_ids, flat.lengths, 0)
                self.features.remember(ids, types)

    @staticmethod
    def _padded(values: NDArray[np.int64], lengths: NDArray[np.int32], padding: int) -> Tensor:
        """Put values of rows that stand end to end into a rectangle."""
        rows = torch.from_numpy(values).split(lengths.tolist())
        return pad_sequence(list(rows), batch_first=True, padding_value=padding)

    def train(
        self,
        model: MultiTaskModel,
        splits: tuple[Splits, Splits],
        curve: LearningCurve,
        arguments: Mapping[str, Any],
        watchers: Sequence[TrainerCallback] = (),
        **options: Any,
    ) -> Trained:
        """Train a model to the end, and go back to its best evaluation.

        Args:
            model: The model.
            splits: Training rows, and rows to choose the best evaluation on; of more tasks than the model has, maybe.
            curve: Names the score that chooses.
            arguments: Training arguments, beside those that are alike in all studies.
            watchers: More callbacks.
            options: Mixture, balancing and schedules of the Trainer.
        """
        train, validation = ({task: rows for task, rows in split.items() if task in model.tasks} for split in splits)
        more = {"logging_steps": arguments["eval_steps"], **arguments}
        trainer = FrozenFeaturesTrainer(
            model=model,
            args=MultiTaskTrainingArguments(**{**_SAME_IN_ALL, **more}),
            train_dataset=train,
            eval_dataset=validation,
            processing_class=self.tokenizer,
            callbacks=[KeepBest(model, curve.metric), curve, *watchers],
            **options,
        )
        trainer.remove_callback(PrinterCallback)  # the records are kept, and would bury the study's own lines
        for watcher in (curve, *watchers):
            if isinstance(watcher, Watcher):
                watcher.trainer = trainer
        trainer.train()
        return Trained(trainer, curve)
