import shutil
from pathlib import Path

import pytest
import yaml

from hf_mtl.errors import UserError
from hf_mtl.experiments.affinity.looked_at import look_at_given
from hf_mtl.experiments.affinity.measure import Found
from hf_mtl.recipe import load_recipe
from hf_mtl.training.run.prepare import make_arguments

World = tuple[Path, Found]


def said(path: Path, run: Path, *overrides: str) -> list[str]:
    recipe = load_recipe(path, overrides)
    try:
        look_at_given(recipe, make_arguments(recipe), str(run))
    except UserError as error:
        return [f"{item.key}: {item.problem}".replace(str(run), "RUN") for item in error.mistakes]
    return []


@pytest.mark.parametrize(
    ("override", "start"),
    [
        ("model.backbone.num_hidden_layers=1", "model.backbone: is "),
        ("model.pooling=max", "model.pooling: is 'max', and of RUN it is nothing (null)"),
        ("model.freeze=embeddings", "model.freeze: is 'embeddings', and of RUN it is nothing (null)"),
        ("model.head=mlp", "model.head: is 'mlp', and of RUN it is nothing (null)"),
        ("tasks.topic.head=mlp", "tasks.topic.head: is 'mlp', and of RUN it is nothing (null)"),
        ("tasks.topic.label_smoothing=0.1", "tasks.topic.label_smoothing: is 0.1, and of RUN it is 0.0"),
    ],
)
def test_a_run_of_another_model_is_refused(affinity_world: World, override: str, start: str) -> None:
    path, found = affinity_world
    for run in (found.folder / "joint", found.folder / "joint" / "checkpoint-2"):
        (mistake,) = said(path, run, override)
        assert mistake.startswith(start)


def test_a_run_with_another_balancing_rows_and_length_is_looked_at(affinity_world: World) -> None:
    path, found = affinity_world
    others = ("balancing.weighting=dwa", "tasks.topic.max_rows=20", "training.max_steps=5", "model.dropout=0.3")
    assert said(path, found.folder / "joint", *others) == []


def test_of_a_model_without_its_run_the_encoder_is_compared(affinity_world: World, tmp_path: Path) -> None:
    path, found = affinity_world
    alone = tmp_path / "alone"
    shutil.copytree(found.folder / "joint" / "checkpoint-2", alone)
    assert said(path, alone) == []
    layers = yaml.safe_load(path.read_text())["model"]["backbone"]["num_hidden_layers"]
    (mistake,) = said(path, alone, f"model.backbone.num_hidden_layers={layers + 1}")
    assert mistake == f"model.backbone.num_hidden_layers: is {layers + 1}, and of RUN it is {layers}"
