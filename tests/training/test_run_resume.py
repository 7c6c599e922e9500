"""A run is resumed: what it goes on from, and what it refuses."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hf_mtl import load_recipe
from hf_mtl.errors import CheckpointError, RunError
from hf_mtl.inference.manifest import seal
from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.run.same_run import NOT_COMPARED, identity_of_recipe, refuse_another_run, refuse_other_steps
from hf_mtl.training.trainer.run_terms import ALLOWED
from tests.training import runs


def test_resuming_where_nothing_is_starts(recipe: Path, tmp_path: Path, warnings: list[str]) -> None:
    found = runs.train(recipe, tmp_path / "run", "training.max_steps=1", resume=True)
    assert found["step"] == 1
    assert warnings == [f"{tmp_path / 'run'} holds no run yet; starting it."]


def test_a_run_killed_after_its_last_checkpoint_only_needs_its_results(
    recipe: Path, unfinished: Path, world: Path
) -> None:
    before = runs.content(unfinished / "checkpoint-10")
    runs.train(recipe, unfinished, resume=True)
    runs.assert_same_bits(unfinished, world / "run")
    assert runs.content(unfinished / "checkpoint-10") == before
    assert {path.name for path in unfinished.iterdir()} == runs.FOLDER | runs.MODEL


BEST = ("training.load_best_model_at_end=true", "training.metric_for_best_model=average", "training.eval_steps=5")


@pytest.fixture
def moved(recipe: Path, tmp_path: Path) -> Path:
    """A run that was moved when all but its end was done; the model of step 5 is its best."""
    runs.train(recipe, tmp_path / "first", *BEST)
    (tmp_path / "first" / "results.json").unlink()
    for path in (tmp_path / "first").glob("checkpoint-*/trainer_state.json"):
        state = json.loads(path.read_text())
        path.write_text(json.dumps({**state, "best_global_step": 5, "best_metric": 1.0}))
        seal(path.parent)
    return (tmp_path / "first").rename(tmp_path / "moved")


def test_a_run_that_was_moved_ends_with_its_best_model(recipe: Path, moved: Path) -> None:
    found = runs.train(recipe, moved, *BEST, resume=True)
    assert found["step"] == 5
    model, best = moved / "model.safetensors", moved / "checkpoint-5" / "model.safetensors"
    assert model.read_bytes() == best.read_bytes()


def test_a_best_model_whose_checkpoint_was_removed_is_said(recipe: Path, moved: Path) -> None:
    shutil.rmtree(moved / "checkpoint-5")
    found = runs.train(recipe, moved, *BEST, resume=True)
    assert found["step"] == 10
    lost = (
        "The model of step 10 is kept; that of step 5 was the best one, average 1.0000, but its checkpoint was never"
    )
    assert any(note.startswith(lost) for note in found["notes"])


def remove_one(folder: Path) -> str:
    (folder / "optimizer.pt").unlink()
    return "optimizer.pt: missing from the checkpoint"


def flip_one(folder: Path) -> str:
    runs.damage(folder / "model.safetensors")
    return "model.safetensors: damaged, it differs from what was written"


def truncate_one(folder: Path) -> str:
    file = folder / "multi_task_state.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    return "multi_task_state.safetensors: damaged, it differs from what was written"


@pytest.mark.parametrize("harm", [remove_one, flip_one, truncate_one])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    recipe: Path, unfinished: Path, world: Path, warnings: list[str], harm: Callable[[Path], str]
) -> None:
    said = harm(unfinished / "checkpoint-10")
    runs.train(recipe, unfinished, resume=True)
    skipped = f"Skipping a checkpoint that cannot be used. {unfinished / 'checkpoint-10'}/{said}."
    assert warnings == [skipped, "Going on from step 5 of 10."]
    runs.assert_same_bits(unfinished, world / "run")
    steps = [[record["step"] for record in runs.log(folder)] for folder in (unfinished, world / "run")]
    assert steps[0] == steps[1], "the log goes on where the checkpoint was"


def test_with_every_checkpoint_damaged_the_run_starts_from_its_beginning(
    recipe: Path, unfinished: Path, world: Path, warnings: list[str]
) -> None:
    for step in (5, 10):
        flip_one(unfinished / f"checkpoint-{step}")
    runs.train(recipe, unfinished, resume=True)
    assert len(warnings) == 3
    assert warnings[-1] == f"{unfinished} has no whole checkpoint; the run starts from its beginning."
    runs.assert_same_bits(unfinished, world / "run")
    assert [record["step"] for record in runs.log(unfinished) if "loss" in record] == list(range(1, 11))


def test_a_checkpoint_of_another_program_is_passed_over(
    recipe: Path, unfinished: Path, world: Path, warnings: list[str]
) -> None:
    foreign = unfinished / "checkpoint-77"
    foreign.mkdir()
    (foreign / "pytorch_model.bin").write_bytes(b"weights")
    runs.train(recipe, unfinished, resume=True)
    assert len(warnings) == 2
    assert f"{foreign}/manifest.json: not found; the checkpoint is incomplete, or not hf_mtl's" in warnings[0]
    runs.assert_same_bits(unfinished, world / "run")
    assert runs.content(foreign) == {"pytorch_model.bin": b"weights"}


def test_resuming_without_an_optimizer_is_said(recipe: Path, tmp_path: Path, warnings: list[str]) -> None:
    options = ["training.max_steps=2", "training.save_steps=1", "training.save_only_model=true"]
    runs.train(recipe, tmp_path / "run", *options)
    (tmp_path / "run" / "results.json").unlink()
    runs.train(recipe, tmp_path / "run", *options, resume=True)
    assert warnings == [
        f"{tmp_path}/run/checkpoint-2 has no optimizer (save_only_model): the run goes on, but not in the same bits.",
        "All 2 steps are trained; scoring.",
    ]


def test_a_longer_run_goes_on_from_a_shorter_one(recipe: Path, unfinished: Path) -> None:
    runs.train(recipe, unfinished, "training.max_steps=12", resume=True)
    assert runs.results(unfinished)["step"] == 12
    assert load_recipe(unfinished / "recipe.yaml").training.options()["max_steps"] == 12


CHANGES = [
    ("training.seed=7", "training.seed: is 7, in the run it is not set"),
    ("training.learning_rate=0.1", "training.learning_rate: is 0.1, in the run it is 0.001"),
    ("training.adam_beta1=0.8", "training.adam_beta1: is 0.8, in the run it is not set"),
    ("training.warmup_steps=3", "training.warmup_steps: is 3.0, in the run it is not set"),
    ("training.optim=sgd", "training.optim: is 'sgd', in the run it is not set"),
    ("balancing.weighting=ew", "balancing.weighting: is {'name': 'ew'}, in the run it is {'name': 'uw'}"),
    ("model.head=mlp", "model.head: is 'mlp', in the run it is not set"),
    ("data.contamination=drop", "data.contamination: is 'drop', in the run it is not set"),
    ("mixture.cap=50", "mixture.cap: is 50, in the run it is not set"),
    ("schedules=[alternating]", "schedules: is [{'type': 'alternating'}], in the run it is not set"),
    ("tasks.mood.labels=[bad, good]", "tasks.mood.labels: is ['bad', 'good'], in the run it is ['good', 'bad']"),
    ("tasks.mood=", "tasks: are topic, score; the run has topic, mood, score"),
    ("tasks.topic.max_rows=100", "tasks.topic.max_rows: is 100, in the run it is not set"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES, ids=[change for change, _ in CHANGES])
def test_another_recipe_is_refused_with_what_differs(recipe: Path, unfinished: Path, change: str, said: str) -> None:
    before = runs.content(unfinished)
    with pytest.raises(RunError) as caught:
        runs.train(recipe, unfinished, change, resume=True)
    (mistake,) = caught.value.mistakes
    assert str(replace(mistake, where="")) == (
        f"{said}. Resume with {unfinished / 'recipe.yaml'}, or start anew with --overwrite. {ALLOWED}"
    )
    assert runs.content(unfinished) == before


def test_another_number_of_rows_per_step_is_refused_and_another_way_to_make_it_up_is_not(
    recipe: Path, unfinished: Path
) -> None:
    before = runs.content(unfinished)
    with pytest.raises(
        RunError, match="gives, with accumulation, 4 rows per step; the run has 8. Set it and gradient"
    ):
        runs.train(recipe, unfinished, "training.per_device_train_batch_size=4", resume=True)
    assert runs.content(unfinished) == before
    found = load_recipe(recipe, ["training.per_device_train_batch_size=2", "training.gradient_accumulation_steps=4"])
    refuse_other_steps(found, unfinished / "checkpoint-10", processes=1)
    refuse_other_steps(load_recipe(recipe), unfinished / "checkpoint-10", processes=3)  # which accumulate otherwise


def test_evaluations_that_training_follows_are_a_part_of_the_run(recipe: Path, unfinished: Path) -> None:
    changes = ["training.eval_steps=3", f"training.output_dir={unfinished}"]
    refuse_another_run(load_recipe(recipe, changes), RunFolder(unfinished))
    follows = ["schedules=[{type: mt2st_feedback, main: mood}]", f"training.output_dir={unfinished}"]
    (unfinished / "recipe.yaml").write_text(load_recipe(recipe, follows).to_yaml())
    with pytest.raises(RunError, match="training.eval_steps: is 3.0, in the run it is"):
        refuse_another_run(load_recipe(recipe, [*follows, *changes]), RunFolder(unfinished))


def test_every_key_of_a_recipe_is_compared_or_may_change(recipe: Path) -> None:
    found = load_recipe(recipe)
    compared = {key.split(".")[-1] for key in identity_of_recipe(found)}
    sections = [found.model, found.data, found.mixture, found.balancing, *found.tasks.values()]
    keys = {key for section in sections for key in type(section).model_fields}
    assert keys - compared == {key.split(".")[-1] for key in NOT_COMPARED}
    ours = {"model", "tasks", "data", "mixture", "balancing", "schedules", "training"}
    ours |= {"plugins", "callbacks"}  # code of the user's, which may be another on a resume
    ours |= {"baselines"}  # scored beside the run, and no part of it
    assert set(type(found).model_fields) == ours


def test_data_that_moved_is_no_other_recipe(world: Path, unfinished: Path, tmp_path: Path) -> None:
    moved = runs.write_recipe(tmp_path / "moved")
    runs.train(moved, unfinished, resume=True)
    runs.assert_same_bits(unfinished, world / "run")


def one_row_less(lines: list[str]) -> list[str]:
    return lines[:-1]


def another_label(lines: list[str]) -> list[str]:
    found = json.loads(lines[-1])
    return [*lines[:-1], json.dumps({**found, "label": 1 - found["label"]}) + "\n"]


def another_order(lines: list[str]) -> list[str]:
    return lines[::-1]


SAME = "61 rows then and now, with other texts or labels, or in another order"
OTHER_ROWS = [
    ("train", one_row_less, "the train rows changed since the run began (61 rows then, 60 now)"),
    ("train", another_label, f"the train rows changed since the run began ({SAME})"),
    ("train", another_order, f"the train rows changed since the run began ({SAME})"),
    ("validation", one_row_less, "the validation rows changed since the run began (31 rows then, 30 now)"),
]


@pytest.mark.parametrize(("split", "change", "said"), OTHER_ROWS)
def test_other_rows_behind_the_same_recipe_are_refused(
    unfinished: Path, tmp_path: Path, split: str, change: Callable[[list[str]], list[str]], said: str
) -> None:
    moved = runs.write_recipe(tmp_path / "moved")
    file = moved.parent / f"mood.{split}.jsonl"
    file.write_text("".join(change(file.read_text().splitlines(keepends=True))))
    before = runs.content(unfinished)
    with pytest.raises(RunError) as caught:
        runs.train(moved, unfinished, resume=True)
    (mistake,) = caught.value.mistakes
    assert (mistake.key, mistake.problem) == ("tasks.mood.dataset", said)
    assert runs.content(unfinished) == before


def test_a_run_without_a_record_of_its_rows_still_refuses_another_number_of_them(
    unfinished: Path, tmp_path: Path
) -> None:
    (unfinished / "data.json").unlink()
    moved = runs.write_recipe(tmp_path / "moved")
    file = moved.parent / "mood.train.jsonl"
    file.write_text("".join(one_row_less(file.read_text().splitlines(keepends=True))))
    with pytest.raises(CheckpointError, match="tasks is .*'mood': 60.*, the checkpoint has .*'mood': 61"):
        runs.train(moved, unfinished, resume=True)


def test_a_recipe_that_was_edited_in_its_run_is_gone_on_with_and_stays(unfinished: Path) -> None:
    kept = unfinished / "recipe.yaml"
    kept.write_text("# mine\n" + kept.read_text().replace("max_steps: 10", "max_steps: 11"))
    before = kept.read_text()
    assert runs.train(kept, unfinished, resume=True)["step"] == 11
    assert kept.read_text() == before


def test_a_recipe_that_was_edited_in_its_run_is_not_replaced_by_another(recipe: Path, unfinished: Path) -> None:
    kept = unfinished / "recipe.yaml"
    kept.write_text("# mine\n" + kept.read_text())
    before = runs.content(unfinished)
    with pytest.raises(RunError, match=f"{kept}: was edited since the run wrote it.*Resume with it, or move it away"):
        runs.train(recipe, unfinished, "training.max_steps=12", resume=True)
    assert runs.content(unfinished) == before


def test_a_checkpoint_of_another_program_where_one_will_be_saved_is_refused(recipe: Path, unfinished: Path) -> None:
    foreign = unfinished / "checkpoint-15"
    foreign.mkdir()
    (foreign / "pytorch_model.bin").write_bytes(b"weights")
    with pytest.raises(RunError, match=rf"{foreign}: a checkpoint of this run would take the place"):
        runs.train(recipe, unfinished, "training.max_steps=15", resume=True)
    assert runs.content(foreign) == {"pytorch_model.bin": b"weights"}


def test_a_limit_of_checkpoints_removes_none_of_others(recipe: Path, unfinished: Path) -> None:
    for name in ("checkpoint-2-best", "checkpoint-old", "checkpoint-77"):
        shutil.copytree(unfinished / "checkpoint-5", unfinished / name)
    runs.train(recipe, unfinished, "training.max_steps=15", "training.save_total_limit=1", resume=True)
    found = {path.name for path in unfinished.glob("checkpoint-*")}
    others = {"checkpoint-2-best", "checkpoint-old", "checkpoint-77"}
    assert others < found
    # Of its own it keeps one, the best, whichever step that is.
    (own,) = found - others
    assert own in {"checkpoint-5", "checkpoint-10", "checkpoint-15"}


def test_a_run_without_its_record_goes_on_and_has_one_again(recipe: Path, unfinished: Path, world: Path) -> None:
    (unfinished / "run.json").unlink()
    runs.train(recipe, unfinished, resume=True)
    runs.assert_same_bits(unfinished, world / "run")
    assert {path.name for path in unfinished.iterdir()} == runs.FOLDER | runs.MODEL
