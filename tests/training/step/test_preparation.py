"""A model that was used before it is trained is trained like any other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hf_mtl.errors import RunError
from hf_mtl.processes import Processes
from hf_mtl.training.step.preparation import check_wrapped, unprepare
from tests import tiny
from tests.training.preparation_worker import USES
from tests.training.trainers import make, parameters, same

ROOT = Path(__file__).parents[3]


def test_evaluation_prediction_and_temperatures_leave_the_model_as_it_is(tmp_path: Path) -> None:
    trainer = make(tmp_path, bf16=True)
    before = set(vars(trainer.model))
    trainer.evaluate()
    trainer.predict(tiny.datasets({"topic": 9}))
    trainer.calibrate()
    assert set(vars(trainer.model)) == before
    assert not trainer.accelerator._models


def test_what_an_accelerator_did_to_a_model_is_taken_back(tmp_path: Path) -> None:
    model = tiny.model()
    trainer = make(tmp_path, model=model, bf16=True)
    before = dict(vars(model))
    trainer.accelerator.prepare_model(model, evaluation_mode=True)
    changed = vars(model).keys() - before.keys() - {"_is_accelerate_prepared"}  # which accelerate 1.10 does not say
    assert changed == {"_original_forward", "forward"}
    unprepare(model)
    assert vars(model) == before


def test_mixed_precision_of_another_trainer_does_not_stay_in_the_model(tmp_path: Path) -> None:
    def scores_and_weights(used: bool) -> tuple[float, dict[str, torch.Tensor]]:
        model = tiny.model()
        if used:
            make(tmp_path, model=model, bf16=True).accelerator.prepare_model(model)
        trainer = make(tmp_path, model=model)
        loss = trainer.evaluate()["eval_loss"]
        trainer.train()
        return loss, parameters(trainer)

    (loss, weights), (after_use, weights_after_use) = scores_and_weights(False), scores_and_weights(True)
    assert loss == after_use
    assert same(weights, weights_after_use)


def test_a_bare_model_is_not_trained_on_several_processes() -> None:
    model = torch.nn.Linear(2, 2)
    check_wrapped(model, model, Processes())
    check_wrapped(model, torch.nn.Sequential(model), Processes(world=2))
    for bare in (model, torch.compile(model)):
        with pytest.raises(RunError, match="not wrapped for the 2 processes"):
            check_wrapped(model, bare, Processes(world=2))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float | str]:
    """What two processes came to, in one launch."""
    output = tmp_path_factory.mktemp("preparation") / "found.json"
    worker = ROOT / "tests/training/preparation_worker.py"
    subprocess.run(
        [*(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"), worker, output],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=output.parent,
    )
    result: dict[str, float | str] = json.loads(output.read_text())
    return result


@pytest.mark.slow
@pytest.mark.parametrize("name", USES)
def test_two_processes_end_with_the_same_weights_whatever_was_before(
    found: dict[str, float | str], name: str
) -> None:
    assert found[name] == 0.0


@pytest.mark.slow
def test_two_processes_refuse_a_model_that_stays_bare(found: dict[str, float | str]) -> None:
    assert "not wrapped for the 2 processes" in str(found["refused"])
