from pathlib import Path

from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.trials import trials_of
from hf_mtl.recipe.load import recipe_of
from tests.experiments.compare.world import write_study


def test_trials_come_seed_by_seed_with_folders_of_their_own(tmp_path: Path) -> None:
    trials = trials_of(load_study(write_study(tmp_path, seeds=[4, 2])))
    assert [str(trial.place) for trial in trials[:4]] == [
        "runs/single_task/seed-4/topic",
        "runs/single_task/seed-4/mood",
        "runs/ew/seed-4",
        "runs/uw/seed-4",
    ]
    assert [trial.seed for trial in trials] == [4] * 4 + [2] * 4
    assert trials[0].key == {"arm": "single_task", "seed": 4, "task": "topic", "fold": None}
    assert trials[0].name == "single_task seed 4 topic"
    assert len({trial.claim for trial in trials}) == len({trial.identity for trial in trials}) == 8


def test_folds_are_counted_through_all_repeats_and_drawn_alike_in_every_arm(tmp_path: Path) -> None:
    trials = trials_of(load_study(write_study(tmp_path, folds=3, repeats=2)))
    assert len(trials) == 4 * 6
    last = [trial for trial in trials if trial.fold == 5]
    assert [str(trial.place) for trial in last] == [
        "runs/single_task/seed-0-fold-5/topic",
        "runs/single_task/seed-0-fold-5/mood",
        "runs/ew/seed-0-fold-5",
        "runs/uw/seed-0-fold-5",
    ]
    folds = [recipe_of(trial.node).data.fold for trial in last]
    assert all(fold is not None and (fold.of, fold.number, fold.seed) == (3, 2, 1) for fold in folds)


def test_carved_rows_are_the_same_for_all_seeds_unless_the_recipe_says_their_seed(tmp_path: Path) -> None:
    path = write_study(tmp_path, seeds=[4, 2])

    def carving(*overrides: str) -> set[int | None]:
        return {recipe_of(trial.node).data.carving_seed for trial in trials_of(load_study(path, overrides))}

    assert carving() == {0}
    assert carving("set.data.carving_seed=3") == {3}
    assert carving("set.training.data_seed=5") == {None}


def test_an_identity_is_that_of_recipe_and_budget(tmp_path: Path) -> None:
    path = write_study(tmp_path)

    def identities(*overrides: str) -> dict[str, str]:
        return {trial.claim: trial.identity for trial in trials_of(load_study(path, overrides))}

    here = identities()
    assert (
        identities("smallest=2", "arms.ew=null", "seeds=2").items()
        >= {key: value for key, value in here.items() if not key.startswith("ew")}.items()
    )
    changed = identities("arms.uw={model.dropout: 0.3}")
    assert {key for key in here if here[key] != changed[key]} == {"uw-seed-0"}
    # The budget is the base's: what it depends on makes all runs others.
    for key in ("set.training.max_steps=7", "budget.equal=flops"):
        assert not set(here.values()) & set(identities(key).values())


def test_a_run_of_another_ratio_is_another_run(tmp_path: Path) -> None:
    def identities(topic: int) -> set[str]:
        arm = {"single_task": True, "data.imbalance": {"ratio": {"topic": topic, "mood": 1}}}
        return {trial.identity for trial in trials_of(load_study(write_study(tmp_path, arms={"alone": arm})))}

    assert len(identities(2)) == 2
    assert not identities(2) & identities(3)
