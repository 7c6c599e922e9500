"""The file of what a sweep has chosen: the searched keys alone, as they go over another recipe."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hf_mtl.experiments.sweep.overlay import file_of, overlay, write_overlay
from tests.experiments.sweep import worlds


def chosen(trial: int, **values: Any) -> dict[str, Any]:
    return {"trial": trial, "metric": "average", "value": 0.5, "values": values}


def test_it_has_the_searched_keys_alone_and_says_what_it_is(tmp_path: Path) -> None:
    sweep = worlds.read(tmp_path)
    sweep.output_dir.mkdir()
    values = {"training.learning_rate": 0.004, "balancing.weighting": "ew"}
    write_overlay(sweep, sweep.arms[0], chosen(3, **values))
    text = (sweep.output_dir / file_of("base")).read_text()
    assert yaml.safe_load(text) == {"training": {"learning_rate": 0.004}, "balancing": {"weighting": {"name": "ew"}}}
    assert text.startswith("# Arm base of sweep.yaml: trial 3 of 6, by average 0.5000 of validation.")
    assert "no fair comparison" in text.replace("\n# ", " ")


def test_an_option_comes_with_what_it_is_an_option_of_and_an_item_with_its_list(tmp_path: Path) -> None:
    schedule = {"type": "mt2st_switch", "main": "topic", "at": 0.5}
    arms = {"a": {"tasks.topic.head": {"type": "vip", "beta": 0.5}, "schedules": [schedule]}}
    search = {key: {"low": 0.2, "high": 0.8} for key in ("tasks.topic.head.beta", "schedules.0.at")}
    (arm,) = worlds.read(tmp_path, arms=arms, search=search).arms
    assert overlay(arm, chosen(1, **{"tasks.topic.head.beta": 0.25, "schedules.0.at": 0.75})) == {
        "tasks": {"topic": {"head": {"type": "vip", "beta": 0.25}}},
        "schedules": [{**schedule, "at": 0.75}],
    }


def test_weights_are_a_whole_weighting_and_the_default_is_the_arm_as_it_is(tmp_path: Path) -> None:
    search = {"training.weight_decay": {"low": 0.1, "high": 0.5}}
    (arm,) = worlds.read(tmp_path, search=search, scalarisation={}).arms
    ratios = {"balancing.weighting.weights.mood": 2.0, "balancing.weighting.weights.score": 1.0}
    weighting = overlay(arm, chosen(2, **ratios))["balancing"]["weighting"]
    assert weighting == {"name": "fixed", "weights": pytest.approx({"topic": 0.25, "mood": 0.5, "score": 0.25})}
    default = overlay(arm, chosen(0, **ratios))
    assert default["balancing"]["weighting"]["weights"] == pytest.approx(dict.fromkeys(arm.recipe.tasks, 1 / 3))
    assert default["training"] == {"weight_decay": 0.0}
