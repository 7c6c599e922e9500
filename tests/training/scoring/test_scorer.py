"""Predictions become one object of scores, without a Trainer."""

import numpy as np
import pytest

from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import DataError
from hf_mtl.inference.predict import KeptOutputs, SplitPredictions
from hf_mtl.tasks import MetricSpec
from hf_mtl.training.scoring.scorer import Scorer
from tests import tiny
from tests.training.masses import encoded


def splits() -> dict[str, EncodedSplit]:
    return encoded({"topic": 6, "mood": 4})


def predictions(found: dict[str, EncodedSplit]) -> list[tuple[str, SplitPredictions | None]]:
    """Of a model that is always right, and as sure as can be."""
    return [
        (name, SplitPredictions(10 * np.eye(tiny.TASKS[name].num_outputs, dtype=np.float32)[split.labels], losses))
        for name, split in found.items()
        for losses in [np.full(len(split), 0.5, dtype=np.float32)]
    ]


def test_scores_are_those_of_every_task_and_of_all_together() -> None:
    found = splits()
    scores = Scorer(tiny.TASKS).score(found, predictions(found), {}, None)
    assert list(scores.tasks) == ["topic", "mood"]
    assert scores.tasks["mood"]["loss"] == 0.5
    assert (scores.together["average"], scores.together["loss"]) == (1.0, 0.5)


def test_own_metrics_join_a_tasks_own() -> None:
    found = splits()
    scores = Scorer(tiny.TASKS).score(found, predictions(found), {}, lambda prediction: {"mine": 3})
    assert scores.tasks["topic"]["mine"] == 3


def test_a_task_without_labels_is_predicted_and_not_scored() -> None:
    found = splits()
    found["mood"] = EncodedSplit(found["mood"].tokens, found["mood"].labels, labelled=False)
    assert list(Scorer(tiny.TASKS).score(found, predictions(found), {}, None).tasks) == ["topic"]


def test_what_is_kept_is_what_the_metrics_need() -> None:
    kept = Scorer(tiny.TASKS).needs(splits(), None)
    assert kept["mood"].width == KeptOutputs.to_score(tiny.TASKS["mood"], splits()["mood"]).width == 2
    assert Scorer(tiny.TASKS).needs(splits(), lambda found: {})["topic"].width == 3


def test_a_metric_that_does_not_fit_is_refused_before_anything_is_predicted() -> None:
    mood = tiny.TASKS["mood"].model_copy(update={"metrics": [MetricSpec(name="pearson")]})
    with pytest.raises(DataError, match=r"tasks\.mood\.metrics"):
        Scorer({"mood": mood}).check({"mood": splits()["mood"]})
