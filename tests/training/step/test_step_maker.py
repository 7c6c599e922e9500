"""Every step is begun as what it needs to be."""

import pytest

from hf_mtl.processes import Processes
from hf_mtl.training.step.step import PlainStep, SplitStep, Step, TapedStep
from hf_mtl.training.step.step_maker import StepMaker
from tests.training.step.parts import micro_batches, parts
from tests.training.step.test_step import SCALER


@pytest.mark.parametrize(
    ("layout", "kind"), [(None, PlainStep), ("segments", TapedStep), ("split", SplitStep)], ids=str
)
def test_task_gradients_and_their_layout_say_what_a_step_is(layout: str | None, kind: type[Step]) -> None:
    made = parts()
    gradients = None if layout is None else made.gradients("pcgrad", layout)  # type: ignore[arg-type]
    maker = StepMaker(made.model, made.objective, made.loss_pass, gradients, SCALER, Processes())
    assert maker.current is None
    step = maker.begin(micro_batches(made.rows, [[2, 1, 1]], layout or "mixed"))
    assert type(step) is kind
    assert maker.current is step
    assert step.is_open
    maker.abandon()
    assert maker.current is None


def test_a_step_without_anything_shared_to_train_is_plain() -> None:
    made = parts()
    maker = StepMaker(made.model, made.objective, made.loss_pass, made.gradients("pcgrad"), SCALER, Processes())
    made.model.encoder.requires_grad_(False)
    assert type(maker.begin(micro_batches(made.rows, [[2, 1, 1]]))) is PlainStep
