from pathlib import Path

import yaml

from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.trials import trials_of
from hf_mtl.recipe import load_recipe
from hf_mtl.recipe.load import recipe_of
from hf_mtl.training.run.prepare import load_data
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

    assert carving() == {42}  # that of a recipe without a seed
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
    assert {key for key in here if here[key] != changed[key]} == {"uw,seed-0"}
    # The budget is the base's: what it depends on makes all runs others.
    for key in ("set.training.max_steps=7", "budget.equal=flops"):
        assert not set(here.values()) & set(identities(key).values())


def test_a_run_of_another_ratio_is_another_run(tmp_path: Path) -> None:
    def identities(topic: int) -> set[str]:
        arm = {"single_task": True, "data.imbalance": {"ratio": {"topic": topic, "mood": 1}}}
        return {trial.identity for trial in trials_of(load_study(write_study(tmp_path, arms={"alone": arm})))}

    assert len(identities(2)) == 2
    assert not identities(2) & identities(3)


def test_carved_rows_are_those_of_the_base_trained_by_itself(tmp_path: Path) -> None:
    path = write_study(tmp_path, seeds=[3])
    for seed in (42, 7):
        recipe = load_recipe(tmp_path / "recipe.yaml", [f"training.seed={seed}"])
        alone = load_data(recipe, seed=seed)
        base = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
        base["training"]["seed"] = seed
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(base))
        for trial in trials_of(load_study(path)):
            found = load_data(recipe_of(trial.node), seed=3)
            for task, loaded in found.items():
                assert loaded.fingerprints["test"] == alone[task].fingerprints["test"]


def test_names_of_arms_and_tasks_never_make_two_trials_one(tmp_path: Path) -> None:
    path = write_study(tmp_path, seeds=2)
    base = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    base["tasks"] = {"seed-1": base["tasks"]["topic"], "mood": base["tasks"]["mood"]}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(base))
    study = yaml.safe_load(path.read_text()) | {"arms": {"x": "single_task", "x-seed-0": {}}}
    path.write_text(yaml.safe_dump(study))
    trials = trials_of(load_study(path))
    assert len({trial.claim for trial in trials}) == len({trial.place for trial in trials}) == len(trials) == 6


def test_a_group_of_many_tasks_has_a_folder_too(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    base = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    names = [f"{letter * 40}" for letter in "abcdefgh"]
    base["tasks"] = {name: base["tasks"]["topic"] for name in names}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(base))
    groups = {"one": {"groups": [names[:7], names[7:]]}, "other": {"groups": [[*names[:6], names[7]], names[6:7]]}}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"arms": groups}))
    trials = trials_of(load_study(path))
    assert all(len(part) <= 100 for trial in trials for part in (*trial.place.parts, trial.claim[:-20]))
    assert len({trial.place.name for trial in trials}) == 4
