"""A Trainer that scores every task with its own metrics, and all of them together."""

import math
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from datasets import Dataset
from transformers.trainer_callback import TrainerControl
from transformers.trainer_utils import PredictionOutput, speed_metrics

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.collate import Collator, default_group_cost
from hf_mtl.data.processes import from_first
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import UserError
from hf_mtl.evaluation import Trust
from hf_mtl.gradients import plain_forward
from hf_mtl.inference.encode import encode_splits
from hf_mtl.inference.predict import Keep, SplitPredictions, predict_split
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.float32 import cast_for_a_while
from hf_mtl.processes import Processes
from hf_mtl.progress import as_disable_tqdm_says
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task
from hf_mtl.training.interruption import Interruption
from hf_mtl.training.saving.staged import StagedTrainer
from hf_mtl.training.scoring.own_metrics import is_number, kind_of, plain
from hf_mtl.training.scoring.scoring import Scores, TaskScores, needed, score_split, together
from hf_mtl.training.scoring.temperatures import forget_temperatures, set_temperatures
from hf_mtl.training.trainer.encoder_limits import check_token_ids, padding_id
from hf_mtl.training.trainer.setup import metric_statistics
from hf_mtl.training.trainer.task_checks import check_scoring

logger = get_logger(__name__)

Datasets: TypeAlias = Mapping[str, Dataset | EncodedSplit] | Dataset


class ScoringTrainer(StagedTrainer):
    """Evaluates and predicts dictionaries of datasets by task: every row once, in dataset order."""

    args: MultiTaskTrainingArguments
    model: MultiTaskModel
    control: TrainerControl
    optimizer: Any
    tasks: dict[str, Task]
    processes: Processes
    interruption: Interruption
    _encode_with: tuple[Any, int | None]  # tokenizer, longest row
    scores = Scores({}, {})  # of the last evaluation; none yet
    trust = Trust.CANONICAL  # whose code the metrics may run
    _tried: set[tuple[str, str]]  # tasks and their metrics, not ours, that were loaded and computed once
    tells_notes = True  # on scores and on the end of a run; a recipe's run prints them under its table

    def _encode(self, datasets: Datasets, split: str) -> dict[str, EncodedSplit]:
        encoded = encode_splits(datasets, self.tasks, *self._encode_with, split)
        check_token_ids(self.model, encoded, self._encode_with[0])
        return encoded

    def _collator(self, splits: Mapping[str, EncodedSplit]) -> Collator:
        cost = self.args.group_cost
        if cost is None:
            cost = default_group_cost(self.args.device)
        return Collator(splits, padding_id(self.model, self.processing_class), self.args.length_grouping, cost)

    @as_disable_tqdm_says
    def evaluate(
        self,
        eval_dataset: Datasets | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Score every task with its own metrics, and all of them together.

        Of several processes the first computes the metrics, ``compute_metrics`` too, and the others get the scores.

        Returns:
            ``eval_<task>_<metric>``, ``eval_<task>_loss``, and in the same dictionary ``eval_loss`` (mean over
            tasks), ``eval_average``, ``eval_macro`` and ``eval_worst``.
        """
        self._memory_tracker.start()
        started = time.time()
        splits = self.eval_dataset if eval_dataset is None else self._encode(eval_dataset, "validation")
        if not splits:
            raise UserError("evaluation needs an eval_dataset with rows")
        check_scoring(self.tasks, splits, self.trust, self._tried)
        self.scores = self._score(splits)
        self._tell_notes()
        metrics = self.scores.flat(metric_key_prefix)
        self._keep_comparable(metrics, metric_key_prefix)
        rows = sum(len(split.tokens) for split in splits.values())
        metrics.update(speed_metrics(metric_key_prefix, started, num_samples=rows))
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self._memory_tracker.stop_and_update_metrics(metrics)
        return metrics

    def _keep_comparable(self, metrics: dict[str, Any], prefix: str) -> None:
        """Make the score that decides on the best model undefined where a ``compute_metrics`` gives no number."""
        watched = (self.args.metric_for_best_model or "").removeprefix("eval_")
        key = f"{prefix}_{watched}"
        if key in metrics and not is_number(metrics[key]):
            if self.is_world_process_zero():
                logger.warning_once(f"{watched} is {kind_of(metrics[key])}, and no number: it counts as undefined.")
            metrics[key] = math.nan

    @as_disable_tqdm_says
    def predict(
        self, test_dataset: Datasets, ignore_keys: list[str] | None = None, metric_key_prefix: str = "test"
    ) -> PredictionOutput:
        """Predict every row, and score the tasks by their rows that have a label.

        Returns:
            Predictions and labels are dictionaries by task, in dataset order, a prediction for every row. In the
            labels a row without one has class id -100, or NaN for the targets that are missing; a task of which no
            row has a label is not among them.
        """
        predictions: dict[str, np.ndarray] = {}
        splits, metrics = self._score_test(test_dataset, metric_key_prefix, predictions)
        return PredictionOutput(
            predictions=predictions,
            label_ids={name: split.labels for name, split in splits.items() if split.labelled},
            metrics=metrics,
        )

    @as_disable_tqdm_says
    def score(self, test_dataset: Datasets) -> Scores:
        """Score rows as `predict` does, without keeping a prediction of each.

        Args:
            test_dataset: The rows by task.
        """
        self._score_test(test_dataset, "test", None)
        return self.scores

    def _score_test(
        self, datasets: Datasets, prefix: str, predictions: dict[str, np.ndarray] | None
    ) -> tuple[dict[str, EncodedSplit], dict[str, float]]:
        """Predict and score rows; ``predictions`` takes every output by task, on every process."""
        self._memory_tracker.start()
        splits = self._encode(datasets, "test")
        check_scoring(self.tasks, splits, self.trust, self._tried)
        self.scores = self._score(splits, predictions)
        self._tell_notes()
        metrics = self.scores.flat(prefix)
        self.control = self.callback_handler.on_predict(self.args, self.state, self.control, metrics)
        self._memory_tracker.stop_and_update_metrics(metrics)
        return splits, metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As the Trainer's, which cannot save a record that holds numbers of numpy or torch."""
        logs.update(plain(logs))  # in place: the Trainer adds the epoch to what it is given
        super().log(logs, start_time)

    @as_disable_tqdm_says
    def fit_temperatures(self, eval_dataset: Datasets | None = None) -> dict[str, float]:
        """Fit one temperature per classification task, and store it in the model in place of the one it had.

        Source: Guo et al., ICML 2017, arXiv:1706.04599, section 4.2.

        Args:
            eval_dataset: Rows that the model was not trained on, by task; None: the ``eval_dataset`` of the Trainer.
                Tasks without rows keep what they have.

        Returns:
            The temperatures by task, also logged as ``logit_temperature/<task>``.

        Raises:
            UserError: If there are no rows of a classification task.
        """
        splits = self.eval_dataset if eval_dataset is None else self._encode(eval_dataset, "validation")
        splits = {
            name: split
            for name, split in (splits or {}).items()
            if self.tasks[name].has_temperature and len(split.scored)
        }
        if not splits:
            raise UserError("temperatures need evaluation rows of a classification task: give an eval_dataset")
        forget_temperatures(self.model, splits)
        keep = {name: Keep.outputs(self.tasks[name].num_outputs, everywhere=False) for name in splits}
        temperatures = set_temperatures(self.model, splits, self._predict(splits, keep, aside=True))
        if temperatures:
            self.log({f"logit_temperature/{name}": value for name, value in temperatures.items()})
        return temperatures

    def _tell_notes(self) -> None:
        if self.tells_notes and not self.is_in_train and self.is_world_process_zero():
            for note in self.scores.notes:
                logger.warning(note)

    def _score(self, splits: Mapping[str, EncodedSplit], predictions: dict[str, np.ndarray] | None = None) -> Scores:
        """Score one task after another, on the first process, while the others wait for as long as that takes."""
        statistics = metric_statistics(self.model)
        keep = {name: needed(self.tasks[name], self.compute_metrics) for name in splits}
        if predictions is not None:
            keep = {name: Keep.outputs(self.tasks[name].num_outputs, everywhere=True) for name in splits}
        found: dict[str, TaskScores] = {}
        for name, prediction in self._predict(splits, keep):
            if predictions is not None and prediction is not None:
                # A function of the user's may work in the memory of what it is given.
                mine = self.compute_metrics is None
                predictions[name] = prediction.outputs if mine else prediction.outputs.copy()
            if splits[name].labelled:
                score = partial(self._score_task, name, splits[name], prediction, statistics.get(name))
                found[name] = from_first(score)
        return together(self.tasks, found)

    def _score_task(
        self,
        name: str,
        split: EncodedSplit,
        prediction: SplitPredictions | None,
        statistics: Mapping[str, Any] | None,
    ) -> TaskScores:
        assert prediction is not None  # the first process has it
        return score_split(self.tasks[name], name, split, prediction, statistics, self.compute_metrics, self.trust)

    def _predict(
        self, splits: Mapping[str, EncodedSplit], keep: Mapping[str, Keep], aside: bool = False
    ) -> Iterator[tuple[str, SplitPredictions | None]]:
        """Predict one task after another.

        Args:
            splits: The rows by task.
            keep: What is kept of each task's outputs.
            aside: Whether to predict in the precision that the model is trained in, and without progress.
        """
        model = self._wrap_model(self.model, training=False)
        model.to(self.args.device).eval()
        if callable(getattr(self.optimizer, "eval", None)):
            self.optimizer.eval()  # schedule-free ones keep other weights to train than to score
        share = self.args.eval_batch_size * self.processes.world
        batches = sum(math.ceil(len(split.tokens) / share) for split in splits.values())
        self.callback_handler.eval_dataloader = range(batches)

        def on_batch() -> bool:
            if not aside:
                self.callback_handler.on_prediction_step(self.args, self.state, self.control)
            return not self._leaves_evaluation

        trained_here = bool(self.accelerator._models)

        def forward(**batch: Any) -> Any:
            if trained_here:
                return model(**batch)
            # Mixed precision without preparing the model, which would then train without DDP; and not under the
            # autocast that another Trainer may have put around it.
            with self.accelerator.autocast():
                return plain_forward(model)(**batch)

        for name, split in splits.items():
            collator = self._collator({name: split.filled()})
            with cast_for_a_while(model, None if aside else self._evaluation_dtype):
                found = predict_split(
                    forward, name, split, collator, self.args.eval_batch_size, self.processes, on_batch, keep[name]
                )
            yield name, found

    @property
    def _leaves_evaluation(self) -> bool:
        """Whether a signal asks to stop, in a step that is not the last: a resumed run evaluates then."""
        stops = self.interruption.received is not None
        return stops and self.is_in_train and not self.control.should_training_stop

    @property
    def _evaluation_dtype(self) -> torch.dtype | None:
        """What ``fp16_full_eval`` and ``bf16_full_eval`` have the model cast to outside training; None: no cast."""
        if self.is_in_train:
            return None
        if self.args.fp16_full_eval:
            return torch.float16
        return torch.bfloat16 if self.args.bf16_full_eval else None
