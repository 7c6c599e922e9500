"""A Trainer that scores every task with its own metrics, and all of them together."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from transformers.trainer_utils import PredictionOutput, speed_metrics

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import UserError
from hf_mtl.evaluation import Trust
from hf_mtl.inference.predict import KeptOutputs, Predictor, SplitPredictions
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.float32 import cast_for_a_while
from hf_mtl.modeling.in_passing import plain_forward
from hf_mtl.modeling.sharded import is_sharded, reshard
from hf_mtl.progress import as_disable_tqdm_says
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task
from hf_mtl.training.scoring.best_score import make_comparable, say_undefined
from hf_mtl.training.scoring.calibration import calibrate_tasks, forget_calibration
from hf_mtl.training.scoring.kept_rows import Listener
from hf_mtl.training.scoring.own_metrics import plain
from hf_mtl.training.scoring.scorer import Scorer, noting
from hf_mtl.training.scoring.scoring import Scores
from hf_mtl.training.scoring.tuning import tune_tasks
from hf_mtl.training.trainer.row_encoder import Datasets, RowEncoder
from hf_mtl.training.trainer.setup import metric_statistics
from hf_mtl.training.trainer.stoppable_trainer import StoppableTrainer
from hf_mtl.training.trainer.uncalled_methods import UncalledMethods

logger = get_logger(__name__)


class ScoringTrainer(UncalledMethods, StoppableTrainer):
    """Evaluates and predicts dictionaries of datasets by task: every row once, in dataset order.

    Args:
        scorer: Scores the tasks.
        encoder: Encodes the rows that it is given.
        kwargs: As in `transformers.Trainer`; ``train_dataset`` and ``eval_dataset`` are encoded.
    """

    args: MultiTaskTrainingArguments
    model: MultiTaskModel
    optimizer: Any
    tells_notes = True  # on scores and on the end of a run; a recipe's run prints them under its table

    def __init__(self, scorer: Scorer, encoder: RowEncoder, **kwargs: Any):
        self.scorer = scorer
        self.encoder = encoder
        super().__init__(**kwargs)

    @property
    def tasks(self) -> dict[str, Task]:
        """The tasks by name, as they are scored."""
        return self.scorer.tasks

    def score_as(self, tasks: Mapping[str, Task], trust: Trust) -> None:
        """Score the model's tasks in another way from now on, with other metrics or columns.

        Args:
            tasks: The tasks by name.
            trust: Whose code their metrics may run.
        """
        self.scorer = Scorer(tasks, trust)

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
        self._memory_tracker.start()  # here, as it looks for the name of its caller
        _, metrics = self._evaluate_rows(eval_dataset, metric_key_prefix)
        self._memory_tracker.stop_and_update_metrics(metrics)
        return metrics

    @as_disable_tqdm_says
    def validate(self) -> Scores:
        """Evaluate on the Trainer's ``eval_dataset``, as `evaluate` does, and give the scores by task."""
        return self._evaluate_rows(None, "eval")[0]

    def _evaluate_rows(self, datasets: Datasets | None, prefix: str) -> tuple[Scores, dict[str, float]]:
        started = time.time()
        splits = self.eval_dataset if datasets is None else self._encode(datasets, "validation")
        if not splits:
            raise UserError("evaluation needs an eval_dataset with rows")
        scores = self._score(splits)
        metrics = scores.flat(prefix)
        make_comparable(metrics, prefix, self.args, says=self.is_world_process_zero())
        rows = sum(len(split) for split in splits.values())
        metrics.update(speed_metrics(prefix, started, num_samples=rows))
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return scores, metrics

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        """Compare as the Trainer does; an undefined score is no better, which is said once."""
        better = super()._determine_best_metric(plain(metrics), trial)  # its best value is saved
        if self.is_world_process_zero():
            say_undefined(metrics, self.args, self.state.global_step)
        found: bool = better
        return found

    @as_disable_tqdm_says
    def predict(
        self, test_dataset: Datasets, ignore_keys: list[str] | None = None, metric_key_prefix: str = "test"
    ) -> PredictionOutput:
        """Predict every row, and score the tasks by their rows that have a label.

        Returns:
            Predictions and labels are dictionaries by task, in dataset order. The predictions are the outputs of
            every row: the logits of classes [n, C] or of choices [n, S], or targets in their own units [n, D]; of
            tasks with several outputs for a row, [n, ..., C]. They are as wide as the widest row. In the labels a row
            without one has class id -100, so has each label of several that is not known, and targets that are
            missing are NaN; a task of which no row has a label is not among them. Answers that are cut out of
            contexts come as objects, which the task's `answers` reads with the predictions.
        """
        self._memory_tracker.start()
        predictions: dict[str, np.ndarray] = {}
        splits = self._encode(test_dataset, "test")
        _, metrics = self._score_test(splits, metric_key_prefix, predictions)
        self._memory_tracker.stop_and_update_metrics(metrics)
        return PredictionOutput(
            predictions={name: self.tasks[name].as_predicted(found) for name, found in predictions.items()},
            label_ids={name: split.scored_against for name, split in splits.items() if split.labelled},
            metrics=metrics,
        )

    @as_disable_tqdm_says
    def score(self, test_dataset: Datasets, split: str = "test", listener: Listener | None = None) -> Scores:
        """Score rows as `predict` does, without keeping a prediction of each.

        Args:
            test_dataset: The rows by task.
            split: What they are, for messages: ``test``, or ``validation``, whose rows all have a label.
            listener: Takes what is scored of one task after another, on the first process.
        """
        return self._score_test(self._encode(test_dataset, split), "test", None, listener)[0]

    def _score_test(
        self,
        splits: Mapping[str, EncodedSplit],
        prefix: str,
        predictions: dict[str, np.ndarray] | None,
        listener: Listener | None = None,
    ) -> tuple[Scores, dict[str, float]]:
        """Predict and score rows; ``predictions`` takes every output by task, on every process."""
        scores = self._score(splits, predictions, listener)
        metrics = scores.flat(prefix)
        self.control = self.callback_handler.on_predict(self.args, self.state, self.control, metrics)
        return scores, metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log plain numbers: the Trainer cannot save a record that holds those of numpy or torch."""
        logs.update(plain(logs))  # in place: the Trainer adds the epoch to what it is given
        super().log(logs, start_time)

    @as_disable_tqdm_says
    def calibrate(self, eval_dataset: Datasets | None = None) -> dict[str, float]:
        """Fit one temperature per classification task, and store it in the model in place of the one it had.

        Source: Guo et al., ICML 2017, arXiv:1706.04599, section 4.2.

        Args:
            eval_dataset: Rows that the model was not trained on, by task; None: the ``eval_dataset`` of the Trainer.
                Tasks without rows keep what they have.

        Returns:
            The temperatures by task, also logged as ``calibration_temperature/<task>``.

        Raises:
            UserError: If there are no rows of a classification task.
        """
        given = self.eval_dataset if eval_dataset is None else self._encode(eval_dataset, "validation")
        splits = {
            name: split
            for name, split in (given or {}).items()
            if self.tasks[name].can_calibrate and len(split.scored)
        }
        if not splits:
            raise UserError("temperatures need evaluation rows of a classification task: give an eval_dataset")
        forget_calibration(self.model, splits)
        keep = {
            name: KeptOutputs.outputs(self.tasks[name], split, everywhere=False) for name, split in splits.items()
        }
        temperatures = calibrate_tasks(self.model, splits, self._predict(splits, keep, aside=True))
        if temperatures:
            self.log({f"calibration_temperature/{name}": value for name, value in temperatures.items()})
        return temperatures

    @as_disable_tqdm_says
    def tune(self, eval_dataset: Datasets | None = None) -> dict[str, Any]:
        """Choose how outputs become predictions for the tasks that ask for it, in place of what was chosen before.

        Args:
            eval_dataset: Rows that the model was not trained on, by task; None: the ``eval_dataset`` of the Trainer.
                Tasks without rows keep what they have.

        Returns:
            What was chosen, by task, such as the thresholds of a task with ``thresholds: tuned``.

        Raises:
            UserError: If there are no rows of a task that asks for it.
        """
        given = self.eval_dataset if eval_dataset is None else self._encode(eval_dataset, "validation")
        splits = {
            name: split for name, split in (given or {}).items() if name in self._tuned_keys and len(split.scored)
        }
        if not splits:
            raise UserError("tuning needs evaluation rows of a task that asks for it: give an eval_dataset")
        self.forget_decisions(splits)
        keep = {
            name: KeptOutputs.outputs(self.tasks[name], split, everywhere=False) for name, split in splits.items()
        }
        found = tune_tasks(self.model, splits, self._predict(splits, keep, aside=True))
        self.scorer.take_decisions(self.model.tasks, {name: self._tuned_keys[name] for name in found})
        return found

    def forget_decisions(self, names: Iterable[str]) -> None:
        """Predict some tasks as before anything was chosen for them."""
        keys = {name: self._tuned_keys[name] for name in names if name in (self.model.config.decisions or {})}
        for name in keys:
            self.model.set_decision(name, None)
        self.scorer.take_decisions(self.model.tasks, keys)

    @property
    def _tuned_keys(self) -> dict[str, str]:
        """The key of each task that asks for something to be chosen after training."""
        keys = {name: task.tuned_by for name, task in self.model.config.task_objects.items()}
        return {name: key for name, key in keys.items() if key is not None}

    def _encode(self, datasets: Datasets, split: str) -> dict[str, EncodedSplit]:
        return self.encoder.encode(datasets, self.tasks, split)

    def _score(
        self,
        splits: Mapping[str, EncodedSplit],
        predictions: dict[str, np.ndarray] | None = None,
        listener: Listener | None = None,
    ) -> Scores:
        """Predict and score rows; ``predictions`` takes every output by task, on every process."""
        self.scorer.check(splits)
        own = self.compute_metrics
        if predictions is None:
            predicted = self._predict(splits, self.scorer.needs(splits, own))
        else:
            keep = {name: KeptOutputs.outputs(self.tasks[name], split, True) for name, split in splits.items()}
            predicted = noting(self._predict(splits, keep), predictions, copies=own is not None)
        scores = self.scorer.score(splits, predicted, metric_statistics(self.model), own, listener)
        if self.tells_notes and not self.is_in_train and self.is_world_process_zero():
            for note in scores.notes:
                logger.warning(note)
        return scores

    def _predict(
        self, splits: Mapping[str, EncodedSplit], keep: Mapping[str, KeptOutputs], aside: bool = False
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

        def on_batch() -> bool:
            if not aside:
                self.callback_handler.on_prediction_step(self.args, self.state, self.control)
            return not self._leaves_evaluation

        # FSDP's model has no autocast around it.
        trained_here = bool(self.accelerator._models) and not self.is_fsdp_enabled
        sharded = is_sharded(self.model)

        def forward(**batch: Any) -> Any:
            if trained_here:
                return model(**batch)
            # Mixed precision without preparing the model, which would then train without DDP; and not under the
            # autocast that another Trainer may have put around it.
            with self.accelerator.autocast():
                return plain_forward(model)(**batch)

        limit = self.encoder.eval_limit(self.args)
        predictor = Predictor(forward, limit, self.processes, on_batch, together=sharded)
        batches = sum(len(predictor.batches(split)[0]) for split in splits.values())
        self.callback_handler.eval_dataloader = range(batches)
        for name, split in splits.items():
            collator = self.encoder.collator({name: split.filled()}, self.args)
            with cast_for_a_while(model, None if aside else self._evaluation_dtype):
                found = predictor.predict(name, split, collator, keep[name])
            reshard(model)
            yield name, found

    @property
    def _leaves_evaluation(self) -> bool:
        """Tell whether a signal asks to stop, in a step that is not the last: a resumed run evaluates then."""
        stops = self.interruption.received is not None
        return stops and self.is_in_train and not self.control.should_training_stop

    @property
    def _evaluation_dtype(self) -> torch.dtype | None:
        """Tell what the model is cast to outside training, as ``fp16_full_eval`` and ``bf16_full_eval`` say."""
        if self.is_in_train:
            return None
        if self.args.fp16_full_eval:
            return torch.float16
        return torch.bfloat16 if self.args.bf16_full_eval else None
