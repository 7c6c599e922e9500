"""From states at sites to outputs of rows, whatever else is in a batch."""

from typing import Any

import numpy as np
import pytest
import torch

from hf_mtl.data.collate import Collator
from hf_mtl.inference.encode import encode_splits
from hf_mtl.modeling.encoded import Encoded
from hf_mtl.modeling.sites import at_sites, in_place, numbers, sites_everywhere
from hf_mtl.tasks import TASK_TYPES, register, task_types
from tests import tiny
from tests.task_types import test_span_extraction as span_extraction
from tests.task_types.sample import Sample
from tests.task_types.word_classes import SAMPLE, WordClasses

ROWS = 6


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The type of `word_classes.py`, as a plugin makes it known."""
    monkeypatch.setattr(TASK_TYPES, "_components", task_types())
    register(WordClasses)


def batch(rows: np.ndarray) -> Any:
    splits = encode_splits({"t": SAMPLE.rows(ROWS)}, {"t": SAMPLE.task}, tiny.tokenizer(), None, "train")
    keys = torch.from_numpy(rows.astype(np.int64)) * 1_000_003
    return {
        **Collator(splits, 0, None)(np.zeros(len(rows), dtype=np.int64), rows),
        "noise": {"rows": keys, "step": 3},
    }


def test_what_is_at_the_sites_goes_to_its_rows_and_nothing_elsewhere() -> None:
    sites: Any = {"sequences": torch.tensor([0, 1, 1]), "places": torch.tensor([1, 2, 3]), "shape": [2, 2]}
    states = Encoded(torch.arange(8.0).view(4, 2), torch.tensor([0, 1, 4]))
    seen = at_sites(states, {**sites, "tokens": torch.tensor([0, 2, 3])})
    assert seen.tolist() == [[0, 1], [4, 5], [6, 7]]
    placed = in_place(seen.bfloat16(), sites, -7.0)
    assert placed.dtype == torch.float32
    assert placed.tolist() == [[[-7, -7], [0, 1]], [[4, 5], [6, 7]]]


def test_rows_without_sites_are_looked_at_everywhere() -> None:
    states = Encoded(torch.zeros(5, 2), torch.tensor([0, 2, 5]))
    tokens, windows = (sites_everywhere(states, per) for per in ("token", "window"))  # type: ignore[arg-type]
    assert (tokens["shape"], windows["shape"]) == ([2, 3], [2, 1, 3])
    assert tokens["places"].tolist() == windows["places"].tolist() == [0, 1, 3, 4, 5]
    assert sites_everywhere(torch.zeros(4, 2), "sequence")["shape"] == [4, 1]
    assert numbers(sites_everywhere(torch.zeros(4, 2), "sequence")) is None
    found = numbers(tokens)
    assert found is not None
    assert found.tolist() == [0, 1, 0, 1, 2]


@pytest.mark.parametrize("sample", [SAMPLE, span_extraction.SAMPLE], ids=["words", "spans"])
@pytest.mark.parametrize("before", [True, False])
def test_outputs_of_a_rectangle_are_in_the_columns_of_its_tokens(sample: Sample, before: bool) -> None:
    model = tiny.model(tasks={"t": sample.task}).eval()
    ids = torch.tensor([[1, 2, 3, 4]])
    alone = model(ids).logits["t"].squeeze()
    padding, width = torch.zeros(1, 3, dtype=torch.int64), ids.shape[1]
    parts = [padding, ids] if before else [ids, padding]
    mask = torch.cat([torch.zeros_like(part) if part is padding else torch.ones_like(part) for part in parts], dim=1)
    found = model(torch.cat(parts, dim=1), mask).logits["t"].squeeze()
    here, there = (slice(3, 7), slice(0, 3)) if before else (slice(0, width), slice(width, 7))
    torch.testing.assert_close(found[here], alone, rtol=1e-5, atol=1e-6)
    assert (found[there] == sample.task.absent_output).all()


@pytest.mark.parametrize("head", ["linear", "vip", "mt_vib", "vmtl", "hierarchical"])
def test_a_row_has_the_same_loss_and_penalty_alone_and_among_others(head: str) -> None:
    model = tiny.model(tasks={"t": SAMPLE.task}, head=head).train()
    with torch.no_grad():
        together = model(**batch(np.arange(ROWS)))
        for row in range(ROWS):
            alone = model(**batch(np.array([row])))
            torch.testing.assert_close(alone.row_losses["t"][0], together.row_losses["t"][row], rtol=1e-4, atol=1e-5)
            if together.row_penalties:
                expected = together.row_penalties["t"][row]
                torch.testing.assert_close(alone.row_penalties["t"][0], expected, rtol=1e-4, atol=1e-5)


def test_each_word_has_noise_of_its_own_and_a_row_pays_for_each() -> None:
    model = tiny.model(tasks={"t": SAMPLE.task}, head="vip").train()
    given = batch(np.arange(ROWS))
    first, again = model(**given), model(**given)
    other = model(**{**given, "noise": {**given["noise"], "rows": given["noise"]["rows"] + 1}})
    assert torch.equal(first.logits["t"], again.logits["t"])
    there = given["labels"]["t"] != -100
    assert ((first.logits["t"] - other.logits["t"])[there] != 0).all()
    words = SAMPLE.task.masses(given["labels"]["t"])
    mean = first.penalty_values["t"]["log_tau"] / words
    torch.testing.assert_close(mean, mean[:1].expand(ROWS))
