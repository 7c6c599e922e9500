from pathlib import Path
from typing import Any

import pytest
import yaml

from hf_mtl.errors import RecipeError
from hf_mtl.experiments.affinity import write_proposal
from hf_mtl.experiments.compare.arms import Part
from hf_mtl.experiments.compare.load import load_study, resolved
from hf_mtl.experiments.compare.trials import trials_of
from tests.experiments.compare.world import write_study


def write(folder: Path, groups: Any, **sections: Any) -> Path:
    """Three tasks of which two read the same texts."""
    path = write_study(folder, arms={"groups": {"groups": groups}})
    base = yaml.safe_load((folder / "recipe.yaml").read_text())
    tasks = {**base["tasks"], "again": base["tasks"]["topic"]}
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**base, "tasks": tasks, **sections}, sort_keys=False))
    return path


def parts(path: Path) -> list[Part]:
    return list(load_study(path).arms["groups"].parts)


def test_a_group_is_one_run_with_what_is_said_of_its_tasks(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        [["topic", "mood"], ["again"]],
        mixture={"proportions": {"topic+again": 3, "mood": 1}, "min_per_task": 1},
        balancing={"weighting": {"name": "fixed", "weights": {"topic": 2, "mood": 1, "again": 5}}},
        schedules=[{"type": "mt2st_switch", "main": "again"}, {"type": "alternating", "period": 2}],
    )
    pair, alone = parts(path)
    assert (pair.task, alone.task) == ("topic+mood", "again")
    assert list(pair.recipe.tasks) == ["topic", "mood"]
    assert pair.recipe.mixture.options() == {"proportions": {"topic": 3, "mood": 1}, "min_per_task": 1}
    assert pair.recipe.balancing.options()["weighting"] == {"name": "fixed", "weights": {"topic": 2, "mood": 1}}
    assert [item.chosen for item in pair.recipe.schedules] == ["alternating"]
    assert pair.dropped == ("schedules.main: again",)
    assert alone.recipe.schedules == []
    study = load_study(path)
    assert not study.arms["groups"].is_single_task
    assert [str(trial.place) for trial in trials_of(study)] == [
        "runs/groups/seed-0/topic+mood",
        "runs/groups/seed-0/again",
    ]


def test_a_head_stays_shared_within_a_group(tmp_path: Path) -> None:
    path = write(tmp_path, [["again", "mood"], ["topic"]])
    base = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    topic = base["tasks"]["topic"]
    base["tasks"] = {
        "topic": {**topic, "stream": False, "head": {"type": "mlp", "share": "one"}},
        "again": {**topic, "stream": False, "head": {"share": "one"}},
        "mood": {**topic, "stream": False, "head": {"share": "one"}},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(base, sort_keys=False))
    pair, alone = parts(path)
    assert {str(task.head) for task in pair.recipe.tasks.values()} == {"{'type': 'mlp', 'share': 'one'}"}
    assert alone.recipe.tasks["topic"].head == {"type": "mlp"}


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([["topic", "moods"]], "unknown task 'moods'.*Did you mean 'mood'?"),
        ([["topic"], ["mood", "topic"]], "topic stands twice. A task is in one group."),
        (["topic"], r"found \[topic\]. Allowed: a list of lists of tasks"),
    ],
)
def test_groups_that_are_none_are_mistakes(tmp_path: Path, groups: Any, said: str) -> None:
    with pytest.raises(RecipeError, match=rf"study.yaml:\d+: arms.groups.groups: {said}"):
        load_study(write(tmp_path, groups))


def test_a_proposal_of_groups_is_an_arm(tmp_path: Path) -> None:
    (tmp_path / "found").mkdir()
    file = tmp_path / "found" / "proposal.json"
    write_proposal(file, [["topic", "mood"], ["again"]], method="linearised")
    for given in ("found/proposal.json", "found", str(file)):
        path = write(tmp_path, given)
        assert [part.group for part in parts(path)] == [("topic", "mood"), ("again",)]
    again = tmp_path / "out.yaml"
    again.write_text(yaml.safe_dump(resolved(load_study(path))))
    file.unlink()
    assert [part.group for part in parts(again)] == [("topic", "mood"), ("again",)]  # what ran stays said
    with pytest.raises(RecipeError, match=rf"study.yaml:\d+: arms.groups.groups: {file}: no such file"):
        load_study(path)
    write_proposal(file, [["topic", "moods"], ["again"]])
    with pytest.raises(
        RecipeError, match=r"study.yaml:\d+: arms.groups.groups: .*the recipe has no task 'moods'"
    ) as error:
        load_study(path)
    assert "the task 'mood' is in no group" in str(error.value)


def test_a_task_alone_in_its_group_is_the_run_of_that_task(tmp_path: Path) -> None:
    path = write(tmp_path, [["topic", "mood"], ["again"]])
    study = yaml.safe_load(path.read_text())
    path.write_text(
        yaml.safe_dump({**study, "arms": {"single_task": "single_task", **study["arms"]}}, sort_keys=False)
    )
    found = {(trial.arm.name, trial.part.task): trial.identity for trial in trials_of(load_study(path))}
    assert found["groups", "again"] == found["single_task", "again"]
