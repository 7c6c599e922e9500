"""The rows that a Trainer is given, encoded and checked before anything is built for them."""

from collections.abc import Mapping
from dataclasses import dataclass

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.overlap_counts import Overlap
from hf_mtl.data.section import Contamination
from hf_mtl.data.seen_rows import SeenRows, settle_encoded
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.tasks import Task
from hf_mtl.training.scoring.own_metrics import OwnMetrics
from hf_mtl.training.scoring.scorer import Scorer
from hf_mtl.training.trainer.argument_checks import check_temperature_scaling
from hf_mtl.training.trainer.row_encoder import Datasets, RowEncoder
from hf_mtl.training.trainer.task_checks import check_evaluation


@dataclass(frozen=True)
class Given:
    """The rows of a Trainer, by task.

    Args:
        train: The rows to train on; None: none were given.
        evaluation: The rows to evaluate on; None: none were given.
        overlaps: Which of the latter stand in the former.
    """

    train: dict[str, EncodedSplit] | None
    evaluation: dict[str, EncodedSplit] | None
    overlaps: tuple[Overlap, ...] = ()

    @classmethod
    def encoded(
        cls,
        train: Datasets | None,
        evaluation: Datasets | None,
        encoder: RowEncoder,
        tasks: Mapping[str, Task],
        contamination: Contamination,
    ) -> "Given":
        """Encode the rows, and look for rows to evaluate on among those to train on.

        Args:
            train: The datasets to train on.
            evaluation: The datasets to evaluate on.
            encoder: Encodes them.
            tasks: The tasks.
            contamination: What is done about rows that are both.

        Raises:
            UserError: If rows cannot be used.
        """
        seen = None if train is None or evaluation is None or contamination == "off" else SeenRows()
        to_train = None if train is None else encoder.encode(train, tasks, "train", seen)
        to_evaluate = None if evaluation is None else encoder.encode(evaluation, tasks, "validation", seen)
        if seen is None or to_train is None or to_evaluate is None:
            return cls(to_train, to_evaluate)
        to_train, overlaps = settle_encoded(seen, tasks, to_train, to_evaluate, contamination)
        return cls(to_train, to_evaluate, overlaps)

    def check(
        self,
        scorer: Scorer,
        args: MultiTaskTrainingArguments,
        own_metrics: OwnMetrics | None,
        overridden: bool,
    ) -> None:
        """Refuse to train where the evaluations to come would fail, or say nothing.

        Args:
            scorer: Scores the tasks.
            args: The training arguments.
            own_metrics: The user's ``compute_metrics``.
            overridden: Whether ``evaluate`` is the user's own.

        Raises:
            UserError: If evaluations would fail.
        """
        tasks = scorer.tasks
        found: Mapping[str, EncodedSplit] = self.evaluation or {}
        check_evaluation(args, tasks, self.train or {}, found, own_metrics, overridden)
        scorer.check(found)
        if self.train is not None and args.temperature_scaling:
            check_temperature_scaling({name: tasks[name] for name in self.train}, found)
