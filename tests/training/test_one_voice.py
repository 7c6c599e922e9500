"""What is said of a run is said by one of its processes."""

import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl import MultiTaskTrainer
from tests import tiny
from tests.training.trainers import make

MICRO_BATCHES = {"exact_accumulation": False}

DOUBTFUL: dict[str, tuple[dict[str, Any], str]] = {
    "rate of nothing": ({"balancing_learning_rate": 0.1}, "balancing_learning_rate does nothing"),
    "size twice": ({"weighting": "tw", "mixture": {"temperature": 1.0}}, "counts size twice"),
    "nothing to balance": (
        {"balancing": {"aggregator": "cagrad"}, "mixture": {"one_task_per_step": True}},
        "nothing is left to balance",
    ),
    "micro-batches": (
        {"weighting": "gls", "balancing": MICRO_BATCHES, "gradient_accumulation_steps": 2},
        "exact_accumulation is false",
    ),
    "one task alone": (
        {"weighting": "gls", "balancing": MICRO_BATCHES, "per_device_train_batch_size": 1},
        "balances only the tasks of one step",
    ),
    "replaced score": (
        {"compute_metrics": lambda _: {"f1_macro": 0.5}, "eval_strategy": "steps", "eval_steps": 4},
        "compute_metrics returns 'f1_macro'",
    ),
    "temperature": ({"temperature_scaling": True, "learning_rate": 0.0}, "is at the end of its range"),
}


class Heard(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def heard() -> Iterator[list[str]]:
    handler = Heard()
    logging.getLogger("hf_mtl").addHandler(handler)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: handler.lines.append(str(message))
        warnings.simplefilter("always")
        yield handler.lines
    logging.getLogger("hf_mtl").removeHandler(handler)


OF_THE_FIRST = {"temperature", "replaced score"}
"""What only the first process does in a real run: fit temperatures, and score."""


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is not the first one, as far as anybody asks who may speak."""
    for name, module in list(sys.modules.items()):
        if name.startswith("hf_mtl.") and hasattr(module, "is_main_process"):
            monkeypatch.setattr(module, "is_main_process", lambda: False)
    monkeypatch.setattr(MultiTaskTrainer, "is_world_process_zero", lambda self: False)


@pytest.mark.parametrize("case", DOUBTFUL)
def test_the_first_process_says_it(tmp_path: Path, heard: list[str], case: str) -> None:
    options, sentence = DOUBTFUL[case]
    make(tmp_path, **options).train()
    assert sum(sentence in line for line in heard) >= 1


@pytest.mark.usefixtures("another_process")
@pytest.mark.parametrize("case", sorted(set(DOUBTFUL) - OF_THE_FIRST))
def test_another_process_is_silent(tmp_path: Path, heard: list[str], case: str) -> None:
    make(tmp_path, **DOUBTFUL[case][0]).train()
    assert heard == []


@pytest.mark.usefixtures("another_process")
def test_another_process_says_nothing_of_a_given_optimizer(tmp_path: Path, heard: list[str]) -> None:
    model = tiny.model()
    trainer = make(tmp_path, model=model, optimizers=(torch.optim.SGD(model.heads.parameters(), lr=1e-3), None))
    trainer.train()
    trainer.train()
    assert heard == []
