from pathlib import Path

import pytest
import yaml

from hf_mtl.errors import RecipeError
from hf_mtl.experiments.compare.load import load_study, resolved
from tests.experiments.compare.world import ARMS, write_study


def said(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as error:
        load_study(path, overrides)
    return [str(item).replace(f"{path}", "study.yaml") for item in error.value.mistakes]


def test_mistakes_of_all_arms_are_found_at_once_with_their_lines(tmp_path: Path) -> None:
    path = write_study(
        tmp_path,
        arms={
            "uw": {"balancing": {"weighting": "uww"}},
            "head": {"tasks.topic.heads": "mlp"},
            "file": {"extends": "nowhere.yaml"},
            "long": {"training": {"max_steps": 3, "seed": 1}},
            "a/b": {},
        },
        reference="fil",
    )
    found = said(path)
    lines = path.read_text().splitlines()
    line = {key: number for number, text in enumerate(lines, start=1) for key in [text.strip().split(":")[0]]}
    assert found[0].startswith(
        f"study.yaml:{line['weighting']}: arms.uw.balancing.weighting: unknown weighting 'uww'"
    )
    assert found[1].startswith(f"study.yaml:{line['tasks.topic.heads']}: arms.head.tasks.topic.heads: unknown key")
    assert "Did you mean 'head'?" in found[1]
    assert f"study.yaml:{line['extends']}: arms.file.extends: no such file: 'nowhere.yaml'" in found[2]
    assert "arms.long.training.seed: is decided for all runs alike" in found[3]
    assert "arms.a/b: is no name of an arm" in found[4]
    assert "reference: unknown arm 'fil'" in found[5]
    assert "Did you mean 'file'?" in found[5]
    assert "arms.long.training.max_steps: is what the budget decides: equal steps in all arms" in found[6]
    assert len(found) == 7
    assert not (tmp_path / "out").exists()


def test_a_mistake_of_the_base_is_said_once_beside_those_of_the_study(tmp_path: Path) -> None:
    path = write_study(tmp_path, seedz=3, recipe={"balancing": {"weighting": "uww"}})
    found = said(path)
    assert [text.split(": ")[1] for text in found] == ["seedz", "balancing.weighting"]
    assert f"{tmp_path / 'recipe.yaml'}:" in found[1]


def test_arms_are_scored_by_the_metrics_of_the_base(tmp_path: Path) -> None:
    arms = {"single_task": "single_task", "odd": {"tasks.mood.metrics": ["accuracy"]}}
    (found,) = said(write_study(tmp_path, arms=arms))
    assert "arms.odd.tasks.mood.metrics: scores of arms are compared, and are to be by the same metrics" in found
    assert "Write them under set: {tasks.mood.metrics: [...]}. The base has f1_macro" in found
    path = write_study(tmp_path, set={"tasks.mood.metrics": ["accuracy"]}, arms={"odd": {}})
    assert list(load_study(path).arms) == ["odd"]


def test_the_reference_is_the_single_task_arm_or_else_the_first(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    assert load_study(path).reference == "single_task"
    assert load_study(path, ["reference=uw"]).reference == "uw"
    assert load_study(path, ["arms.single_task=null"]).reference == "ew"
    alone = load_study(path, ["arms.single_task=null", "arms.alone={single_task: true, model.head: mlp}"])
    assert alone.reference == "alone"
    assert {part.recipe.model.head for part in alone.arms["alone"].parts} == {"mlp"}


def test_an_arm_that_extends_a_recipe_has_it_on_top_of_the_base(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms={"mlp": {"extends": "mlp.yaml", "training.weight_decay": 0.2}})
    (tmp_path / "root.yaml").write_text(yaml.safe_dump({"training": {"weight_decay": 0.1, "learning_rate": 0.5}}))
    (tmp_path / "mlp.yaml").write_text("extends: root.yaml\nmodel: {head: mlp}\ntraining: {warmup_steps: 2}\n")
    base = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"extends": "root.yaml", **base}, sort_keys=False))
    study = load_study(path, ["set.training.max_grad_norm=3"])
    found = study.arms["mlp"].whole.recipe
    options = found.training.options()
    assert found.model.head == "mlp"
    assert list(found.tasks) == ["topic", "mood"]
    assert options["learning_rate"] == 1e-3  # of the base, which extends the same root
    assert [options[key] for key in ("weight_decay", "warmup_steps", "max_grad_norm")] == [0.2, 2, 3]
    assert study.base.whole.recipe.model.head is None


def test_merging_needs_single_tasks_of_one_beginning(tmp_path: Path) -> None:
    path = write_study(tmp_path, merging=["average"])
    assert "each single-task run would train a tokenizer of its own" in said(path)[0]
    assert "there is no single-task arm to merge" in said(path, "arms.single_task=null")[0]


def test_the_resolved_study_is_the_same_study_from_any_folder(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms={**ARMS, "mlp": {"extends": "mlp.yaml"}})
    (tmp_path / "mlp.yaml").write_text("model: {head: mlp}\n")
    study = load_study(path)
    copy = tmp_path / "elsewhere" / "study.yaml"
    copy.parent.mkdir()
    copy.write_text(yaml.safe_dump(resolved(study)))
    again = load_study(copy)
    assert again.file.model_dump(exclude={"arms", "base", "reference"}) == study.file.model_dump(
        exclude={"arms", "base", "reference"}
    )
    for name, arm in study.arms.items():
        assert [part.recipe for part in again.arms[name].parts] == [part.recipe for part in arm.parts]


def test_seeds_and_names_that_no_run_could_have_are_said_with_the_studys_line(tmp_path: Path) -> None:
    path = write_study(tmp_path, seeds=[0, 2**32])
    (found,) = said(path)
    line = 1 + path.read_text().splitlines().index("- 4294967296")
    assert found.startswith(f"study.yaml:{line}: seeds.1: found 4294967296. Allowed: less than 4294967296.")
    (found,) = said(write_study(tmp_path, arms={"a" * 300: {}, "b" * 100: {"model.head": "mlp"}}))
    assert f"arms: '{'a' * 20}...' is a name of 300 letters. Allowed: at most 100" in found


def test_more_runs_than_a_study_can_have_are_refused(tmp_path: Path) -> None:
    (found,) = said(write_study(tmp_path, seeds=1000, folds=10, repeats=1000))
    assert "folds: asks for " in found
    assert "000,000 runs. Allowed: at most 1,000,000." in found


def test_a_mistake_of_the_command_line_is_said_with_its_key(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    for word, start in (
        ("seeds=two", "seeds: found 'two'. Allowed: a whole number or a list."),
        ("arms.uw.training.seed=3", "arms.uw.training.seed: is decided for all runs alike."),
        ("arms.uw.balancing.weighting=nosuch", "arms.uw.balancing.weighting: unknown weighting 'nosuch'."),
        ("set.balancing.weighting=nosuch", "balancing.weighting: unknown weighting 'nosuch'."),
    ):
        found = said(path, word)
        assert found[0].startswith(f"command line: {start}"), word
    assert len(said(path, "set.training.seed=3")) == 1


def test_what_all_arms_share_is_said_once(tmp_path: Path) -> None:
    decided = {"training.seed": 1, "training": {"output_dir": "x"}}
    found = said(write_study(tmp_path, set=decided))
    assert [text.split(": ")[1] for text in found] == ["training.seed", "training.output_dir"]
    (found_base,) = said(write_study(tmp_path, base="nowhere.yaml"))
    assert found_base.startswith("study.yaml:1: base: no such file: 'nowhere.yaml'.")


def test_an_arm_that_is_another_one_is_refused(tmp_path: Path) -> None:
    """However it is written: the base says uw."""
    arms = {
        "single_task": "single_task",
        "uw": {},
        "again": {"balancing": {"weighting": "uw"}},
        "alone": {"groups": [["mood"], ["topic"]]},
        "ew": {"balancing.weighting": "ew"},
        "default": {"balancing.weighting": None},
        "elsewhere": {"extends": "elsewhere.yaml"},
    }
    (tmp_path / "elsewhere.yaml").write_text("training: {output_dir: elsewhere, seed: 5}\n")
    found = said(write_study(tmp_path, arms=arms))
    assert [text.partition(". ")[0].partition(": ")[2] for text in found] == [
        "arms.again: is the same recipe as uw",
        "arms.alone: is the same recipe as single_task",
        "arms.default: is the same recipe as ew",
        "arms.elsewhere: is the same recipe as uw",
    ]


def test_arms_that_share_some_of_their_runs_are_allowed(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    base = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    base["tasks"]["other"] = base["tasks"]["mood"]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(base, sort_keys=False))
    groups = {"single_task": "single_task", "two": {"groups": [["topic", "mood"], ["other"]]}, "uw": {}}
    path.write_text(yaml.safe_dump({"base": "recipe.yaml", "arms": groups}))
    assert set(load_study(path).arms) == set(groups)
