import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hf_mtl.experiments.affinity.lookahead import lookahead, sampled_lookaheads
from hf_mtl.gradients import shared_parameters
from hf_mtl.inference.encode import encode_splits
from tests import tiny
from tests.experiments.affinity.subjects import tiny_subject

RATE, ROWS = 0.05, np.arange(7)


def by_hand() -> np.ndarray:
    """The same, on texts as rectangles, with torch's losses and its SGD."""
    data = tiny.datasets(dict.fromkeys(tiny.TASKS, 12))
    texts = {
        task: tiny.tokenizer()(rows["text"][:7], padding=True, return_tensors="pt") for task, rows in data.items()
    }
    model = tiny.model(dropout=0.3).eval()
    encoded = encode_splits(data, model.tasks, tiny.tokenizer(), None, "train")
    labels = {task: torch.from_numpy(np.asarray(split.labels[:7])) for task, split in encoded.items()}

    def loss(of: torch.nn.Module, task: str) -> torch.Tensor:
        logits = of(**texts[task]).logits[task]
        if task == "score":
            return F.mse_loss(logits, labels[task].float())
        return F.cross_entropy(logits, labels[task].long())

    found = np.zeros((3, 3))
    for i, first in enumerate(tiny.TASKS):
        moved = copy.deepcopy(model)
        optimizer = torch.optim.SGD(shared_parameters(moved), lr=RATE)
        loss(moved, first).backward()
        optimizer.step()
        for j, second in enumerate(tiny.TASKS):
            found[i, j] = 1 - loss(moved, second).item() / loss(model, second).item()
    return found


def test_it_is_what_a_step_by_hand_does_to_the_losses_and_parameters_are_as_before() -> None:
    subject = tiny_subject()
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    batches = {task: subject.batch(subject.train, task, ROWS) for task in subject.tasks}
    found = lookahead(subject, batches, RATE)
    assert found == pytest.approx(by_hand(), abs=2e-5)
    assert (np.abs(found) > 1e-3).all()
    assert (found.diagonal() > 0).all()
    assert all(torch.equal(before[name], value) for name, value in subject.model.state_dict().items())
    assert all(parameter.grad is None for parameter in subject.model.parameters())


def test_a_longer_step_is_another_affinity_and_no_step_is_none() -> None:
    subject = tiny_subject()
    batches = {task: subject.batch(subject.train, task, ROWS) for task in subject.tasks}
    assert not lookahead(subject, batches, 0.0).any()
    half, whole = lookahead(subject, batches, 1e-3), lookahead(subject, batches, 2e-3)
    assert whole == pytest.approx(2 * half, rel=0.1, abs=1e-5)


def test_samples_are_of_other_rows_each_and_the_same_again_and_small_tasks_repeat() -> None:
    subject = tiny_subject(rows=10)
    first = sampled_lookaheads(subject, 3, 0.01, rows=4)
    again = sampled_lookaheads(subject, 3, 0.01, rows=4)
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert not np.allclose(first[0], first[1])
    assert len(sampled_lookaheads(subject, 1, 0.01, rows=99)) == 1
