from pathlib import Path
from typing import Any

import yaml

from hf_mtl.experiments.compare.arms import Part
from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.single_task import with_unit
from hf_mtl.recipe.load import recipe_of
from tests.experiments.compare.world import write_study


def parts(folder: Path, change: dict[str, Any], **task: dict[str, Any]) -> dict[str | None, Part]:
    path = write_study(folder, arms={"single_task": "single_task"}, recipe=change)
    base = yaml.safe_load((folder / "recipe.yaml").read_text())
    for name, keys in task.items():
        base["tasks"][name] |= keys
    base["training"] |= change.get("more", {})
    base.pop("more", None)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(base, sort_keys=False))
    return {part.task: part for part in load_study(path).arms["single_task"].parts}


def test_what_is_of_several_tasks_is_dropped_and_said(tmp_path: Path) -> None:
    found = parts(
        tmp_path,
        {
            "mixture": {"proportions": {"topic": 3, "mood": 1}},
            "balancing": {"weighting": {"name": "fixed", "weights": {"topic": 2, "mood": 1}}, "aggregator": "pcgrad"},
            "schedules": [{"type": "mt2st_switch", "main": "topic"}],
        },
    )
    assert list(found) == ["topic", "mood"]
    for name, part in found.items():
        assert list(part.recipe.tasks) == [name]
        assert part.recipe.mixture.options() == {}
        assert part.recipe.balancing.weighting is not None
        assert (part.recipe.balancing.weighting.chosen, part.recipe.balancing.aggregator) == ("ew", None)
        assert part.recipe.schedules == []
        assert part.dropped == ("mixture: proportions", "balancing: weighting, aggregator", "schedules: mt2st_switch")


def test_a_head_that_was_shared_is_the_tasks_own_as_it_is_said_anywhere(tmp_path: Path) -> None:
    shared = {"topic": {"head": {"type": "mlp", "share": "one"}}, "mood": {"head": {"share": "one"}}}
    path = write_study(tmp_path, arms={"single_task": "single_task"})
    base = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    base["tasks"] = {name: {**base["tasks"]["topic"], **keys, "stream": False} for name, keys in shared.items()}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(base, sort_keys=False))
    found = {part.task: part.recipe for part in load_study(path).arms["single_task"].parts}
    assert found["topic"].tasks["topic"].head == found["mood"].tasks["mood"].head == {"type": "mlp"}


def test_a_score_of_another_task_does_not_decide(tmp_path: Path) -> None:
    found = parts(tmp_path, {"more": {"metric_for_best_model": "eval_topic_f1_macro", "greater_is_better": True}})
    watched = {name: part.recipe.training.options() for name, part in found.items()}
    assert watched["topic"]["metric_for_best_model"] == "eval_topic_f1_macro"
    assert watched["mood"]["metric_for_best_model"] == "average"
    assert "greater_is_better" not in watched["mood"]
    assert any("of another task" in text for text in found["mood"].dropped)


def test_a_ratio_of_rows_is_put_back_with_its_unit(tmp_path: Path) -> None:
    found = parts(tmp_path, {"data": {"imbalance": {"ratio": {"topic": 2, "mood": 1}}, "contamination": "off"}})
    part = found["topic"]
    assert part.recipe.data.imbalance is None
    assert part.recipe.data.contamination == "off"
    again = recipe_of(with_unit(part.node, {"topic": 2}, 30))
    assert again.data.options() == {"contamination": "off", "imbalance": {"ratio": {"topic": 2}, "unit": 30}}
