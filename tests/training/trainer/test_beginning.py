"""States from before the first training come back whole, as often as they are asked for."""

from typing import Any

import torch

from hf_mtl.training.trainer.beginning import Beginning


class _Average:
    """Hands out its own tensor, and goes on with the one that it is given."""

    def __init__(self) -> None:
        self.value = torch.ones(2)

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value = state["value"]


def test_states_come_back_however_often_parts_change_them_in_place() -> None:
    average, late, beginning = _Average(), _Average(), Beginning()
    assert not beginning.noted
    beginning.note({"average": average, "gone": _Average()})
    assert beginning.noted
    for _ in range(2):
        average.value += 3
        late.value += 3
        beginning.restore({"average": average, "late": late})
        assert average.value.tolist() == [1.0, 1.0]
    assert late.value.tolist() == [7.0, 7.0]


def test_a_loss_scaler_begins_with_its_first_scale_again() -> None:
    scaler, beginning = torch.amp.GradScaler("cpu", init_scale=8.0), Beginning()
    beginning.note({"scaler": scaler})
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    scaler.scale(parameter.sum() * torch.inf).backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 4.0
    beginning.restore({"scaler": scaler})
    assert scaler.get_scale() == 8.0
