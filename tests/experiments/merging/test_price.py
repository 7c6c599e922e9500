"""An ensemble costs an encoder for each task, in memory and for every row."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hf_mtl.experiments.results import Record
from hf_mtl.inference.runs import load_model


def test_an_ensemble_costs_an_encoder_for_each_task(
    merged: Callable[[str], tuple[Path, Record]], runs: dict[str, Path]
) -> None:
    price = merged("average")[1]["price"]
    assert price["ensemble"]["flops_per_row"] == pytest.approx(3 * price["merged"]["flops_per_row"])
    counts = [sum(p.numel() for p in load_model(folder).parameters()) for folder in runs.values()]
    assert price["ensemble"]["parameters"] == sum(counts)
    in_encoder = sum(p.numel() for p in load_model(runs["topic"]).encoder.parameters())
    assert price["merged"]["parameters"] == sum(counts) - 2 * in_encoder
