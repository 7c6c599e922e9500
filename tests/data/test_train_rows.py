"""Training rows as batches, drawn without a generator."""

import numpy as np
import torch

from hf_mtl.data.permutation import derive_key, permute
from tests.training.step.parts import NAMES, train_rows


def test_a_draw_is_a_function_of_its_key_and_repeats_no_row() -> None:
    rows, random = train_rows(), torch.get_rng_state()
    found = rows.draw("topic", 4, "probe", "topic", 7)
    assert found.tolist() == permute(np.arange(4), 9, derive_key(0, "probe", "topic", 7)).tolist()
    assert sorted(rows.draw("mood", 99, "probe", "mood", 7)) == list(range(5))
    assert torch.equal(random, torch.get_rng_state())


def test_every_row_comes_once_in_pieces_ordered_by_task() -> None:
    pieces = list(train_rows().each_once(8, "order"))
    assert [len(rows) for _, rows in pieces] == [8, 8, 4]
    assert all((np.diff(tasks) >= 0).all() for tasks, _ in pieces)
    seen = sorted((int(task), int(row)) for tasks, rows in pieces for task, row in zip(tasks, rows, strict=True))
    assert seen == [(task, row) for task, size in enumerate((9, 5, 6)) for row in range(size)]


def test_a_batch_has_the_layout_that_is_asked_for() -> None:
    rows = train_rows()
    chosen = rows.together({"topic": np.arange(2), "score": np.arange(3)})
    mixed, split = rows.batch(chosen), rows.batch(chosen, "split")
    assert mixed["segments"] == split["segments"] == {"topic": (0, 2), "score": (2, 5)}
    assert "cut" not in mixed["packed"]
    assert split["packed"]["cut"] == [(0, 0, 2), (2, 2, 5)]
    assert all(len(cut) == 1 for cut in split["packed"]["rectangles"]["cuts"])
    assert rows.masses(chosen) == {"topic": 2.0, "mood": 0.0, "score": 3.0}


def test_a_probe_is_a_few_rows_of_two_tasks_cut_by_task() -> None:
    probe = train_rows().probe()
    assert probe["segments"] == {NAMES[0]: (0, 3), NAMES[1]: (3, 6)}
    assert probe["packed"]["cut"] == [(0, 0, 3), (1, 3, 6)]
