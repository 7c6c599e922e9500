"""Task gradients out of one tape, or a backward for each task, are those of plain autograd."""


import pytest

from tests.gradients.batches import batch, by_autograd, difference, rows_of, run, shared
from tests.modeling.families import FAMILIES, OTHERS, make_model

# Layers that see something other than the batch's rows: relative positions, or attention without padding.
SPLIT = {"deberta", "deberta-v3", "t5"}
EXACT = 2e-6
"""Of float32's rounding, in sums of a hundred terms."""


@pytest.mark.parametrize("hold", ["float32", "recompute"])
@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_every_familys_task_gradients_are_autograds(family: str, hold: str) -> None:
    model = make_model(family, dropout=0.1).train()
    gradients = shared(model, family, hold=hold)
    assert gradients.layout == ("split" if family in SPLIT else "segments")
    cut = batch(family, gradients.layout)
    expected = by_autograd(model, cut)
    found = rows_of(run(gradients, model, [cut]), model)
    assert difference(found, expected) < EXACT if hold == "float32" or family not in SPLIT else 1e-2
    assert all(parameter.grad is None for parameter in gradients.parameters)
