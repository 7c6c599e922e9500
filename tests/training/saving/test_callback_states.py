"""What callbacks remember goes through a checkpoint."""

from pathlib import Path

import pytest
from transformers import EarlyStoppingCallback, TrainerCallback, TrainerControl

from hf_mtl.training.checkpoint import restore, save_state
from hf_mtl.training.saving.callback_states import CallbackStates


def stopping(counter: int) -> EarlyStoppingCallback:
    callback = EarlyStoppingCallback(early_stopping_patience=3)
    callback.early_stopping_patience_counter = counter
    return callback


def test_callbacks_get_their_state_back_in_place_and_in_order(tmp_path: Path) -> None:
    saved = [stopping(2), TrainerCallback(), stopping(1)]
    save_state(tmp_path / "state", {"callbacks": CallbackStates(saved, TrainerControl())})
    first, second = stopping(0), stopping(0)
    restore(tmp_path / "state", {"callbacks": CallbackStates([first, second], TrainerControl())})
    assert (first.early_stopping_patience_counter, second.early_stopping_patience_counter) == (2, 1)


def test_a_callback_that_the_checkpoint_does_not_know_starts_anew() -> None:
    state = CallbackStates([TrainerCallback()], TrainerControl()).state_dict()
    new = stopping(0)
    CallbackStates([new], TrainerControl()).load_state_dict(state)
    assert new.early_stopping_patience_counter == 0


@pytest.mark.parametrize("stopped", [True, False])
def test_the_state_says_whether_training_was_told_to_stop(stopped: bool) -> None:
    control = TrainerControl()
    states = CallbackStates([], control)
    control.should_training_stop = stopped
    assert states.state_dict() == {"stopped": stopped, "callbacks": []}
