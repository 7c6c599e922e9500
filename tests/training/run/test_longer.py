"""A finished run trains on where its recipe now lets it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hf_mtl import load_recipe
from hf_mtl.errors import RunError
from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.run import train as run
from hf_mtl.training.run.longer import is_to_go_on
from hf_mtl.training.run.prepare import make_arguments
from tests.training import runs


def test_a_finished_run_that_is_to_be_longer_trains_on(recipe: Path, finished: Path, warnings: list[str]) -> None:
    found = runs.train(recipe, finished, "training.max_steps=12", resume=True)
    assert (found["step"], found["trained_steps"], found["planned_steps"]) == (12, 12, 12)
    assert warnings == ["Going on from step 10 of 12."]
    assert runs.results(finished) == found
    assert load_recipe(finished / "recipe.yaml").training.options()["max_steps"] == 12
    steps = [record["step"] for record in runs.log(finished) if "loss" in record]
    assert steps == list(range(1, 13))
    runs.train(recipe, finished, "training.max_steps=12", resume=True)
    assert warnings[1] == f"{finished} is finished; nothing to resume."


def test_a_finished_run_that_trains_on_is_an_unfinished_one_until_it_has_results(
    recipe: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise KeyError("at the end")

    with monkeypatch.context() as patch:
        patch.setattr(run, "finish", broken)
        with pytest.raises(KeyError):
            runs.train(recipe, finished, "training.max_steps=12", resume=True)
    assert not (finished / "results.json").exists()
    assert runs.train(recipe, finished, "training.max_steps=12", resume=True)["trained_steps"] == 12


def test_a_run_of_more_epochs_trains_on_and_needs_a_checkpoint(recipe: Path, finished: Path) -> None:
    epochs = ["training.max_steps=", "training.num_train_epochs=0.5"]
    args = make_arguments(load_recipe(recipe, epochs))
    per_epoch = 46  # 361 rows by 8
    folder = RunFolder(finished)
    for share, goes_on in ((runs.STEPS / per_epoch, False), (0.5, True)):
        args.num_train_epochs = share
        assert is_to_go_on(load_recipe(recipe, epochs), args, folder) == goes_on
    for checkpoint in finished.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    before = runs.content(finished)
    with pytest.raises(RunError, match="is finished, and no checkpoint was kept to train on from"):
        runs.train(recipe, finished, "training.max_steps=12", resume=True)
    assert runs.content(finished) == before


@pytest.mark.parametrize(
    ("ended_by", "change", "goes_on"),
    [
        ("early_stopping", "training.early_stopping_patience=2", False),
        ("early_stopping", "training.early_stopping_patience=3", True),
        ("early_stopping", "training.early_stopping_patience=", True),
        ("max_flops", "training.max_flops=1e6", False),
        ("max_flops", "training.max_flops=1e7", True),
        ("callback", "training.logging_steps=3", True),
    ],
)
def test_a_run_that_ended_early_goes_on_once_its_reason_is_gone(
    recipe: Path, finished: Path, ended_by: str, change: str, goes_on: bool
) -> None:
    ends = ["training.early_stopping_patience=2", "training.max_flops=1e6", "training.metric_for_best_model=worst"]
    kept = load_recipe(recipe, [*ends, f"training.output_dir={finished}"])
    (finished / "recipe.yaml").write_text(kept.to_yaml())
    found = runs.results(finished)
    (finished / "results.json").write_text(json.dumps({**found, "ended_by": ended_by, "planned_steps": 40}))
    resumed = load_recipe(recipe, [*ends, change])
    assert is_to_go_on(resumed, make_arguments(resumed), RunFolder(finished)) == goes_on
    for checkpoint in finished.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    if goes_on and ended_by != "callback":  # which nobody has asked to be lifted
        with pytest.raises(RunError, match="is finished, and no checkpoint was kept to train on from"):
            is_to_go_on(resumed, make_arguments(resumed), RunFolder(finished))
    else:
        assert not is_to_go_on(resumed, make_arguments(resumed), RunFolder(finished))
