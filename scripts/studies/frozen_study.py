"""A recipe's data and model for a study on frozen lower layers: tokenised once, encoded once per text."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from frozen_features import FrozenFeatures, FrozenFeaturesTrainer, use_frozen_features
from study import KeepBest, Progress
from transformers import PrinterCallback, set_seed

from hf_mtl import MultiTaskModel, MultiTaskTrainingArguments
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.inference.encode import encode_splits
from hf_mtl.recipe import load_recipe
from hf_mtl.training.run.prepare import Prepared, make_arguments, prepare

Splits = dict[str, EncodedSplit]


class FrozenStudy:
    """The rows and the encoder of a recipe.

    Args:
        recipe: The recipe.
        frozen_layers: Lower layers of the encoder that are not trained.
        overrides: Keys of the recipe to replace, ``key=value``.
    """

    def __init__(self, recipe: Path, frozen_layers: int, overrides: Iterable[str] = ()):
        self.frozen_layers = frozen_layers
        only_scoring = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
        loaded = load_recipe(recipe, overrides)
        args = make_arguments(loaded, early_stopping_patience=None, report_to="none", use_cpu=True, **only_scoring)
        self.prepared: Prepared = prepare(loaded, args, None)
        model = self.prepared.new_model()
        self.tasks = model.tasks
        self.max_length = model.config.max_length
        self.features = FrozenFeatures(model.encoder, frozen_layers, self.prepared.tokenizer.pad_token_id)

    def encode(self, split: str) -> Splits:
        """A split of every task, as token ids."""
        tokenizer = self.prepared.tokenizer
        return encode_splits(self.prepared.split(split), self.tasks, tokenizer, self.max_length, split)

    def some(self, split: str, count: int) -> Splits:
        """A split of every task, of a task with more rows as many as this, the same in every run."""
        return {
            task: rows.select(np.sort(np.random.default_rng(1).permutation(len(rows))[:count]))
            for task, rows in self.encode(split).items()
        }

    def model(self, tasks: Sequence[str], seed: int) -> MultiTaskModel:
        """A new model of some of the tasks, whose lower layers are the frozen features."""
        set_seed(seed)
        section = self.prepared.recipe.model
        model = MultiTaskModel.from_backbone(
            section.backbone,
            {task: self.tasks[task] for task in tasks},
            section.head,
            pooling=section.pooling,
            dropout=section.dropout,
            max_length=self.max_length,
            freeze=self.frozen_layers,
            attn_implementation="eager",  # the fused one is slow backwards in bf16 on a CPU
        )
        use_frozen_features(model.encoder, self.features, self.frozen_layers)
        return model

    def warm(self, splits: Splits, rows: int = 64) -> None:
        """Encode texts now, so that the time of the first run that sees them is like that of the others."""
        for split in splits.values():
            order = np.argsort(split.tokens.lengths, kind="stable")
            for start in range(0, len(order), rows):
                batch = split.tokens.pad(order[start : start + rows], self.features.pad_id)
                ids, types = torch.from_numpy(batch["input_ids"]), batch.get("token_type_ids")
                self.features.remember(ids, None if types is None else torch.from_numpy(types))

    def train(
        self,
        model: MultiTaskModel,
        rows: Splits,
        validation: Splits,
        metric: str,
        loss: str,
        arguments: dict[str, Any],
        watchers: Sequence[Any] = (),
        **options: Any,
    ) -> tuple[FrozenFeaturesTrainer, Progress]:
        """Train a model to the end, and go back to its best evaluation.

        Args:
            model: The model.
            rows: Training rows.
            validation: Rows to choose the best evaluation on.
            metric: Key of the score that chooses.
            loss: Key of the loss beside it.
            arguments: Training arguments, beside those that are alike in all studies.
            watchers: More callbacks, which are given the Trainer as their ``trainer``.
            options: Mixture, balancing and schedules of the Trainer.
        """
        progress = Progress(metric, loss)
        same = {
            "save_strategy": "no",
            "eval_strategy": "steps",
            "logging_steps": arguments["eval_steps"],
            "per_device_eval_batch_size": 64,
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            "bf16": True,
        }
        trainer = FrozenFeaturesTrainer(
            model=model,
            args=MultiTaskTrainingArguments(**{**same, **arguments}),
            train_dataset={task: rows[task] for task in model.tasks},
            eval_dataset={task: split for task, split in validation.items() if task in model.tasks},
            processing_class=self.prepared.tokenizer,
            callbacks=[KeepBest(model, metric), progress, *watchers],
            **options,
        )
        trainer.remove_callback(PrinterCallback)  # the records are kept, and would bury the study's own lines
        for watcher in (progress, *watchers):
            watcher.trainer = trainer
        trainer.train()
        return trainer, progress
