"""Predictions of the tasks become one object of scores."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from hf_mtl.data.processes import from_first
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import DataError
from hf_mtl.evaluation import Trust, check_metrics, foreign_mistakes, try_metrics
from hf_mtl.inference.predict import KeptOutputs, SplitPredictions
from hf_mtl.tasks import Task
from hf_mtl.training.scoring.kept_rows import Listener, Scored
from hf_mtl.training.scoring.own_metrics import OwnMetrics
from hf_mtl.training.scoring.scoring import Scores, TaskScores, needed, score_split, together


class Scorer:
    """Scores tasks with their own metrics, and all of them together.

    Args:
        tasks: The tasks by name.
        trust: Whose code their metrics may run.
        from_file: Tasks whose metrics nobody has named but the file of a model. They may run less.
    """

    def __init__(
        self, tasks: Mapping[str, Task], trust: Trust = Trust.CANONICAL, from_file: Collection[str] = frozenset()
    ):
        self.tasks = dict(tasks)
        self.trust = trust
        self._from_file = frozenset(from_file)
        # Tasks and their metrics, not ours, that were loaded and computed once.
        self._tried: set[tuple[str, str]] = set()

    def take_decisions(self, tasks: Mapping[str, Task], keys: Mapping[str, str]) -> None:
        """Predict from now on as a model's tasks do.

        Args:
            tasks: The model's tasks.
            keys: The key of what was chosen, or forgotten, by task.
        """
        for name, key in keys.items():
            self.tasks[name] = self.tasks[name].model_copy(update={key: getattr(tasks[name], key)})

    def check(self, splits: Mapping[str, EncodedSplit]) -> None:
        """Refuse to score rows with metrics that cannot be used, before anything is predicted.

        Args:
            splits: The rows to score, by task; those of which none has a label are not scored.

        Raises:
            DataError: With everything that is wrong.
        """
        labelled = {name: split for name, split in splits.items() if split.labelled}
        scored = {name: self.tasks[name] for name in labelled}
        strange = {name: task for name, task in scored.items() if name in self._from_file}
        mistakes = [*check_metrics(scored), *foreign_mistakes(scored, self.trust)]
        if self.trust < Trust.ANY:
            mistakes += [item for item in foreign_mistakes(strange, Trust.OURS) if item not in mistakes]
        if not mistakes:
            for name, split in labelled.items():
                mistakes += try_metrics(
                    scored[name], name, split.scored_against[split.scored], self.trust, self._tried
                )
        if mistakes:
            raise DataError(mistakes)

    def needs(self, splits: Mapping[str, EncodedSplit], own: OwnMetrics | None) -> dict[str, KeptOutputs]:
        """Say what must be kept of the tasks' outputs to score them.

        Args:
            splits: The rows by task.
            own: The user's own metrics.
        """
        return {name: needed(self.tasks[name], split, own) for name, split in splits.items()}

    def score(
        self,
        splits: Mapping[str, EncodedSplit],
        predicted: Iterable[tuple[str, SplitPredictions | None]],
        statistics: Mapping[str, Mapping[str, Any]],
        own: OwnMetrics | None,
        listener: Listener | None = None,
    ) -> Scores:
        """Score one task after another, on the first process, while the others wait for as long as that takes.

        Args:
            splits: The rows that are predicted, by task.
            predicted: What is predicted, one task after another; None on a process that does not get it.
            statistics: Training statistics of the tasks that have any, for metrics that need them.
            own: The user's own metrics.
            listener: Takes what is scored, on the first process; None: nobody wants it.
        """
        found: dict[str, TaskScores] = {}
        for name, prediction in predicted:
            if listener is not None and prediction is not None and splits[name].labelled:
                listener(name, Scored(self.tasks[name], splits[name], prediction, statistics.get(name)))
            if splits[name].labelled:
                score = partial(self._score_task, name, splits[name], prediction, statistics.get(name), own)
                found[name] = from_first(score)
        return together(self.tasks, found)

    def _score_task(
        self,
        name: str,
        split: EncodedSplit,
        prediction: SplitPredictions | None,
        statistics: Mapping[str, Any] | None,
        own: OwnMetrics | None,
    ) -> TaskScores:
        assert prediction is not None  # the first process has it
        return score_split(self.tasks[name], name, split, prediction, statistics, own, self.trust)


def noting(
    predicted: Iterable[tuple[str, SplitPredictions | None]], into: dict[str, np.ndarray], copies: bool
) -> Iterator[tuple[str, SplitPredictions | None]]:
    """Note all outputs on their way to the scores.

    Args:
        predicted: What is predicted, one task after another.
        into: Takes the outputs by task.
        copies: Whether to note a copy: a function of the user's may work in the memory of what it is given.
    """
    for name, prediction in predicted:
        if prediction is not None:
            into[name] = prediction.outputs.copy() if copies else prediction.outputs
        yield name, prediction
