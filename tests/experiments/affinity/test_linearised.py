from itertools import product

import numpy as np
import pytest
import torch
from datasets import Dataset

from hf_mtl import SequenceClassification
from hf_mtl.errors import UserError
from hf_mtl.experiments.affinity import propose_groups
from hf_mtl.experiments.affinity.linear_model import LinearRows
from hf_mtl.experiments.affinity.linearised import affinities, linearised, sample_groups
from hf_mtl.experiments.affinity.links import LINKS
from hf_mtl.experiments.affinity.subject import Subject
from tests import tiny
from tests.experiments.affinity.subjects import subject_of, tiny_subject


def planted() -> Subject:
    """Three tasks whose heads are the same: two with the same labels for a text, and one with the opposite."""
    tasks = {name: SequenceClassification(labels=["no", "yes"]) for name in ("a", "against", "b")}
    model = tiny.model(tasks=dict(tasks))
    for name in ("against", "b"):
        model.heads.of(name).load_state_dict(model.heads.of("a").state_dict())
    rows: dict[str, dict[str, Dataset]] = {"train": {}, "validation": {}}
    for (split, count), (at, name) in product((("train", 30), ("validation", 60)), enumerate(tasks)):
        random = np.random.default_rng([count, at])
        halves = random.integers(2, size=count)
        texts = [" ".join(f"w{30 * half + word}" for word in random.integers(30, size=5)) for half in halves]
        labels = 1 - halves if name == "against" else halves
        rows[split][name] = Dataset.from_dict({"text": texts, "label": labels.tolist()})
    return subject_of(model, rows["train"], rows["validation"])


def test_planted_groups_are_found_and_parameters_are_as_before_to_the_bit() -> None:
    subject = planted()
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    found = linearised(subject, 60, seed=0)
    values = found.values
    assert min(values[0, 2], values[2, 0]) > 0
    assert max(values[0, 1], values[1, 0], values[1, 2], values[2, 1]) < -0.5
    assert propose_groups(values) == [[0, 2], [1]]
    assert all(torch.equal(before[name], value) for name, value in subject.model.state_dict().items())
    assert all(parameter.grad is None for parameter in subject.model.parameters())
    assert found.groups == 3 + 3 + 1


def test_the_error_of_a_sum_knows_which_affinities_are_read_on_the_same_rows() -> None:
    found = linearised(tiny_subject(), 6, seed=0)
    tasks = len(found.values)
    weights = np.zeros((3, tasks, tasks))
    weights[0, 1, 0] = weights[1, [1, 2], 0] = weights[2, 0, 1] = 1.0
    assert found.error_of_sum(weights[0]) == pytest.approx(found.errors[1, 0])
    rows, of_rows = found.parts[0]
    each = rows[1] + rows[2]
    same = np.linalg.norm(of_rows * (each - of_rows @ each))
    assert found.error_of_sum(weights[1]) == pytest.approx(same)
    other = found.error_of_sum(weights[1] + weights[2])
    assert other == pytest.approx(np.hypot(same, found.errors[0, 1]))


def test_it_is_the_same_again_and_counts_what_it_runs() -> None:
    first, second = tiny_subject(), tiny_subject()
    one, other = linearised(first, 6, seed=0), linearised(second, 6, seed=0)
    assert np.array_equal(one.values, other.values)
    assert first.flops == second.flops > 0
    assert not np.array_equal(one.values, linearised(tiny_subject(), 6, seed=1).values)


def test_a_task_that_has_nothing_to_do_with_another_has_no_affinity_to_it() -> None:
    random = np.random.default_rng(0)

    def rows(places: slice) -> LinearRows:
        slopes = np.zeros((30, 8))
        slopes[:, places] = random.normal(size=(30, 4))
        numbers = slopes.sum(axis=1) + random.normal(size=30)
        return LinearRows(numbers, slopes, np.full(30, 1 / 30), LINKS["regression"])

    apart = {"a": rows(slice(0, 4)), "b": rows(slice(4, 8))}
    found = affinities(apart, apart, seed=0, sampled=0)
    assert found.values == pytest.approx(np.zeros((2, 2)), abs=1e-9)


def test_the_affinity_is_the_drop_of_the_loss_over_the_loss_before() -> None:
    # One real value each and one direction: all of it can be worked out. Alone j moves by 1 / (2 + λ) of 2.
    def rows(number: float) -> LinearRows:
        return LinearRows(np.full(4, number), np.ones((4, 1)), np.full(4, 0.25), LINKS["regression"])

    fitted, read = {"i": rows(-1.0), "j": rows(1.0)}, {"i": rows(-1.0), "j": rows(1.0)}
    found = affinities(fitted, read, seed=0, sampled=0)
    alone = (1 - 2 / (2 + 2 * found.ridge)) ** 2  # a unit of the ridge is the curvature, 2
    assert found.values[0, 1] == pytest.approx(1 - 1 / alone)  # together they stay where they are
    assert found.values[0, 1] == found.values[1, 0]


def test_sampled_groups_are_different_ones_of_three_or_four() -> None:
    found = sample_groups(9, 18, seed=0)
    assert len(set(found)) == len(found) == 18
    assert {len(group) for group in found} == {3, 4}
    assert all(list(group) == sorted(set(group)) for group in found)
    assert sample_groups(9, 18, seed=0) == found
    assert sample_groups(2, 4, seed=0) == []
    assert sample_groups(3, 6, seed=0) == [(0, 1, 2)]


def test_tasks_without_validation_rows_are_named() -> None:
    rows = tiny.datasets({"topic": 6, "mood": 6})
    subject = subject_of(tiny.model(), rows, {"mood": rows["mood"]})
    with pytest.raises(UserError, match="tasks.topic: has no validation rows"):
        linearised(subject, 6, seed=0)
