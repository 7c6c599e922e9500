"""A record of the log says everything once, and begins anew."""

from types import SimpleNamespace
from typing import Any

from transformers import TrainerState

from hf_mtl.training.watch.records import Records


class _Once:
    """Has something to say of the steps since it was asked last."""

    def __init__(self, **found: float):
        self.found = found

    def flush(self) -> dict[str, float]:
        found, self.found = self.found, {}
        return found


def records(skipped: int | None) -> Records:
    signals: Any = _Once(**{"loss/a": 1.0})
    conflicts: Any = _Once(**{"gradient_cosine/a/b": 0.5})
    budget: Any = SimpleNamespace(record=lambda state: {"flops": state.total_flos})
    gradients: Any = None if skipped is None else SimpleNamespace(skipped_steps=skipped)
    return Records(signals, conflicts, budget, gradients)


def test_a_record_has_everything_since_the_last_in_a_fixed_order() -> None:
    made, state = records(2), TrainerState(total_flos=3.0)
    found = {"loss/a": 1.0, "gradient_cosine/a/b": 0.5, "flops": 3.0, "skipped_steps": 2}
    assert list(made.take(state).items()) == list(found.items())
    assert made.take(state) == {"flops": 3.0, "skipped_steps": 2}


def test_steps_that_were_not_skipped_are_not_counted() -> None:
    for skipped in (None, 0):
        assert "skipped_steps" not in records(skipped).take(TrainerState())


def test_a_training_forgets_what_the_one_before_has_not_logged() -> None:
    made = records(None)
    made.forget()
    assert made.take(TrainerState()) == {"flops": 0}
