"""What a Trainer is told beside its arguments: read once, and checked against its model and its run."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl.errors import Mistake, UserError
from hf_mtl.recipe import load_recipe
from hf_mtl.training.trainer.sections import read_sections
from tests import tiny
from tests.recipe.texts import MINIMAL
from tests.training.trainers import make


def test_nothing_is_the_defaults() -> None:
    mistakes: list[Mistake] = []
    sections = read_sections(None, None, None, (), mistakes)
    assert sections.data.contamination == "warn"
    assert sections.mixture.options() == {}
    assert sections.balancing.weighting.chosen == "ew"
    assert sections.schedules == ()
    assert mistakes == []


def test_what_a_recipe_has_read_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(
        f"{MINIMAL}data: {{contamination: drop}}\nmixture: {{cap: 5}}\nbalancing: {{weighting: uw}}\n"
    )
    recipe = load_recipe(tmp_path / "recipe.yaml", ["schedules=[alternating]"])
    sections = read_sections(recipe.data, recipe.mixture, recipe.balancing, recipe.schedules, [])
    assert sections.data is recipe.data
    assert sections.data.contamination == "drop"
    assert sections.mixture is recipe.mixture
    assert sections.balancing is recipe.balancing
    assert list(sections.schedules) == recipe.schedules


def test_mistakes_of_all_sections_are_said_at_once() -> None:
    mistakes: list[Mistake] = []
    sections = read_sections(
        {"contamination": "dorp"}, {"cap": 0}, {"weighting": "uww", "exposure": "tasks"}, ["alternatin"], mistakes
    )
    assert [mistake.key for mistake in mistakes] == [
        "data.contamination",
        "mixture.cap",
        "balancing.weighting",
        "schedules.0",
    ]
    assert sections.balancing.exposure == "tasks"


def test_what_decides_which_rows_are_read_is_not_for_a_trainer(tmp_path: Path) -> None:
    mistakes: list[Mistake] = []
    read_sections({"fold": {"of": 3}, "beside": {}}, None, None, (), mistakes)
    assert [mistake.key for mistake in mistakes] == ["data.fold", "data.beside"]
    (tmp_path / "recipe.yaml").write_text(f"{MINIMAL}data: {{fold: {{of: 3}}}}\n")
    read_sections(load_recipe(tmp_path / "recipe.yaml").data, None, None, (), mistakes)
    assert len(mistakes) == 2


def test_a_run_does_not_begin_with_methods_that_its_model_cannot_serve(tmp_path: Path) -> None:
    balancing: dict[str, Any] = {
        "weighting": {"name": "gradnorm", "scope": "adapters"},
        "aggregator": "cost",
        "gradients": {"layout": "segments"},
    }
    with pytest.raises(UserError) as caught:
        make(tmp_path, model=tiny.model().to(torch.bfloat16), balancing=balancing, torch_compile=True)
    assert [mistake.key for mistake in caught.value.mistakes] == [
        "balancing.weighting.scope",
        "training.torch_compile",
        "balancing.aggregator",
        "training.torch_compile",
    ]
