"""Scores of candidates become outputs of heads."""

import numpy as np
import pytest

from hf_mtl import OrdinalClassification
from hf_mtl.evaluation.candidates import choice_logits, class_candidates, step_logits
from hf_mtl.evaluation.outputs import probabilities
from hf_mtl.tasks.learning import NO_SITE


def test_pairs_are_asked_in_two_lines() -> None:
    found = class_candidates([("a", "b"), "c"], ["x", "y"], np.stack)
    assert found == (["a\nb", "c"], [["x", "y"], ["x", "y"]], np.stack)


def test_steps_give_the_classes_the_probabilities_of_their_scores() -> None:
    scores = np.random.default_rng(1).normal(size=(6, 4)) * 3
    task = OrdinalClassification(labels=["1", "2", "3", "4"])
    assert task.class_probabilities(step_logits(list(scores))) == pytest.approx(probabilities(scores))


def test_rows_of_fewer_choices_have_none_in_the_other_places() -> None:
    found = choice_logits([np.array([1.0, 2.0, 3.0]), np.array([5.0])])
    assert found.shape == (2, 3, 1)
    assert found[1, :, 0].tolist() == pytest.approx([5.0, NO_SITE, NO_SITE])
