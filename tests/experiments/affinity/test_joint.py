from pathlib import Path

import pytest

from hf_mtl.errors import UserError
from hf_mtl.experiments.affinity import Asked, find_affinity
from hf_mtl.experiments.affinity.joint import CHECKPOINTS, _spread, given_run
from hf_mtl.experiments.affinity.measure import Found
from tests.training import runs

World = tuple[Path, Found]


def test_a_run_has_its_checkpoints_and_a_checkpoint_only_itself(affinity_world: World) -> None:
    folder = affinity_world[1].folder / "joint"
    run, checkpoint = given_run(str(folder)), given_run(str(folder / "checkpoint-3"))
    assert run.model == folder
    assert len(run.stages) == CHECKPOINTS
    assert checkpoint.model == checkpoint.stages[0] == folder / "checkpoint-3"
    assert run.steps == checkpoint.steps == 4
    assert run.flops_of(8) == pytest.approx(2 * float(run.flops or 0))


def test_the_short_run_is_an_ordinary_one_that_scores_nothing_on_its_way(affinity_world: World) -> None:
    folder = affinity_world[1].folder / "joint"
    assert runs.results(folder)["trained_steps"] == 4
    assert len([record for record in runs.log(folder) if "eval_loss" in record]) <= 1


def test_without_a_log_the_cost_is_unknown_and_without_a_model_it_is_refused(
    affinity_world: World, tmp_path: Path
) -> None:
    source = affinity_world[1].folder / "joint" / "checkpoint-2"
    copied = tmp_path / "alone" / "model"
    copied.mkdir(parents=True)
    for file in source.iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    assert given_run(str(copied)).flops is None
    assert given_run(str(copied)).flops_of(3) is None
    (copied / "model.safetensors").unlink()
    with pytest.raises(UserError, match="holds no trained model"):
        given_run(str(tmp_path / "alone"))


def test_of_many_checkpoints_some_are_looked_at_evenly_with_the_last() -> None:
    places = [Path(str(number)) for number in range(10)]
    assert _spread(places) == [places[number] for number in (0, 3, 6, 9)]
    assert _spread(places[:2]) == places[:2]
    assert _spread([]) == []


def test_the_short_run_has_a_fifth_of_whatever_ends_the_recipe(affinity_world: World, tmp_path: Path) -> None:
    recipe, first = affinity_world
    each = float(first.joint.flops or 0) / 4
    for limit, steps, most in (
        (["training.max_steps=1000", f"training.max_flops={10 * each:.0f}"], 2, 10 * each),
        (["training.max_steps=-1", "training.max_backward_passes=10"], 2, None),
    ):
        folder = tmp_path / f"{most is None}"
        found = find_affinity(recipe, limit, Asked(rows=6, method="lookahead", output=folder))
        assert found.joint.steps == pytest.approx(steps, abs=1)
        assert found.recipe_flops == pytest.approx(most or 10 * each, rel=0.3)


def test_what_follows_evaluations_in_a_recipe_is_no_hindrance(affinity_world: World, tmp_path: Path) -> None:
    recipe, first = affinity_world
    stopping = [
        "training.early_stopping_patience=2",
        "training.early_stopping_threshold=0.01",
        "training.load_best_model_at_end=true",
        "training.metric_for_best_model=average",
        "training.lr_scheduler_type=reduce_lr_on_plateau",
    ]
    given = Asked(rows=6, checkpoint=str(first.folder / "joint"), output=tmp_path / "given")
    assert find_affinity(recipe, stopping, given).affinity.tasks == first.affinity.tasks
    short = find_affinity(recipe, stopping, Asked(rows=6, steps=2, method="lookahead", output=tmp_path / "short"))
    rates = {record["learning_rate"] for record in runs.log(short.joint.model) if "learning_rate" in record}
    assert rates == {1e-3}
