"""The rows that a Trainer is given, encoded and checked before anything is built for them."""

from collections.abc import Mapping
from dataclasses import dataclass

import hf_mtl.data.section as of_data
from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.columns import raise_all
from hf_mtl.data.imbalance import Imbalance
from hf_mtl.data.overlap_counts import Overlap
from hf_mtl.data.seen_rows import SeenRows, draw_encoded, settle_encoded
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
        imbalance: The ratio in which the former were drawn; None: in none.
    """

    train: dict[str, EncodedSplit] | None
    evaluation: dict[str, EncodedSplit] | None
    overlaps: tuple[Overlap, ...] = ()
    imbalance: Imbalance | None = None

    @classmethod
    def encoded(
        cls,
        train: Datasets | None,
        evaluation: Datasets | None,
        encoder: RowEncoder,
        tasks: Mapping[str, Task],
        spec: of_data.Spec,
        seed: int,
    ) -> "Given":
        """Encode the rows, draw those to train on in a ratio, and look for rows to evaluate on among them.

        Rows of a recipe have the ratio already; then all of them are drawn.

        Args:
            train: The datasets to train on.
            evaluation: The datasets to evaluate on.
            encoder: Encodes them.
            tasks: The tasks.
            spec: What is done with the rows of all tasks.
            seed: Seed of the draw.

        Raises:
            UserError: If rows cannot be used.
        """
        if train is not None:
            raise_all(of_data.mistakes(spec, list(train if isinstance(train, Mapping) else tasks)))
        seen = None if train is None or evaluation is None or spec.contamination == "off" else SeenRows()
        to_train = None if train is None else encoder.encode(train, tasks, "train", seen)
        to_evaluate = None if evaluation is None else encoder.encode(evaluation, tasks, "validation", seen)
        if to_train is None:
            return cls(None, to_evaluate)
        overlaps: tuple[Overlap, ...] = ()
        imbalance = None
        # Rows that are taken out are no part of the ratio; rows that it leaves out are not trained on.
        if spec.contamination != "drop":
            to_train, imbalance = draw_encoded(to_train, tasks, spec.imbalance, seed, seen)
        if seen is not None and to_evaluate is not None:
            to_train, overlaps = settle_encoded(seen, tasks, to_train, to_evaluate, spec.contamination)
        if spec.contamination == "drop":
            to_train, imbalance = draw_encoded(to_train, tasks, spec.imbalance, seed)
        return cls(to_train, to_evaluate, overlaps, imbalance)

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
