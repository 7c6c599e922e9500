"""The rows that a Trainer is given, encoded and checked before anything is built for them."""

from collections.abc import Mapping
from dataclasses import dataclass

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.progress import no_bars
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
    """

    train: dict[str, EncodedSplit] | None
    evaluation: dict[str, EncodedSplit] | None

    @classmethod
    def encoded(
        cls,
        train: Datasets | None,
        evaluation: Datasets | None,
        encoder: RowEncoder,
        scorer: Scorer,
        args: MultiTaskTrainingArguments,
        own_metrics: OwnMetrics | None,
        overridden: bool,
    ) -> "Given":
        """Encode the rows, and refuse to train where the evaluations to come would fail, or say nothing.

        Args:
            train: The datasets to train on.
            evaluation: The datasets to evaluate on.
            encoder: Encodes them.
            scorer: Scores the tasks.
            args: The training arguments.
            own_metrics: The user's ``compute_metrics``.
            overridden: Whether ``evaluate`` is the user's own.

        Raises:
            UserError: If rows cannot be used, or evaluations would fail.
        """
        tasks = scorer.tasks
        with no_bars(args.disable_tqdm):
            to_train = None if train is None else encoder.encode(train, tasks, "train")
            to_evaluate = None if evaluation is None else encoder.encode(evaluation, tasks, "validation")
            found: Mapping[str, EncodedSplit] = to_evaluate or {}
            check_evaluation(args, tasks, to_train or {}, found, own_metrics, overridden)
            scorer.check(found)
        if to_train is not None and args.temperature_scaling:
            check_temperature_scaling({name: tasks[name] for name in to_train}, found)
        return cls(to_train, to_evaluate)
