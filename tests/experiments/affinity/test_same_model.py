import json
import shutil
from pathlib import Path

import pytest
import yaml

from hf_mtl.errors import UserError
from hf_mtl.experiments.affinity import Asked, find_affinity
from hf_mtl.experiments.affinity.looked_at import look_at_given
from hf_mtl.experiments.affinity.measure import Found
from hf_mtl.inference.runs import load_model
from hf_mtl.modeling.tokenizer_files import read_tokenizer
from hf_mtl.recipe import load_recipe
from hf_mtl.training.run.prepare import make_arguments
from tests.training import runs

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
        ("model.backbone.num_hidden_layers=1", "model.backbone.num_hidden_layers: is 1, and of RUN it is 2"),
        ("model.backbone.layer_norm_eps=0.1", "model.backbone.layer_norm_eps: is 0.1, and of RUN it is not given"),
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


@pytest.fixture(scope="module")
def local(affinity_world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A recipe whose backbone is a folder, that folder, and a joint run that began with it."""
    path, found = affinity_world
    folder = tmp_path_factory.mktemp("local")
    backbone = folder / "backbone"
    load_model(found.folder / "joint").encoder.save_pretrained(backbone)
    read_tokenizer(str(found.folder / "joint")).save_pretrained(backbone)
    said = yaml.safe_load(path.read_text())
    said["model"] = {"backbone": str(backbone), "max_length": said["model"].get("max_length", 16)}
    recipe = path.parent / "local.yaml"  # beside its data
    recipe.write_text(yaml.safe_dump(said))
    with runs.own_cache(folder):
        find_affinity(recipe, asked=Asked(steps=2, rows=6, output=folder / "found"))
    return recipe, backbone, folder / "found" / "joint"


def test_a_folder_is_the_same_model_wherever_it_lies(local: tuple[Path, Path, Path], tmp_path: Path) -> None:
    recipe, backbone, run = local
    assert said(recipe, run) == []
    assert said(recipe, run, f"model.tokenizer={backbone}") == []
    copied = shutil.copytree(backbone, tmp_path / "copied")
    assert said(recipe, run, f"model.backbone={copied}") == []
    assert said(recipe, run, f"model.tokenizer={copied}") == []
    (mistake,) = said(recipe, run, "model.backbone=some/model", f"model.tokenizer={copied}")
    assert mistake.startswith("model.backbone: is 'some/model', and of RUN it is ")
    moved = tmp_path / "moved"
    shutil.move(backbone, moved)
    try:
        assert said(recipe, run, f"model.backbone={moved}") == []
    finally:
        shutil.move(moved, backbone)


def test_another_model_in_a_folder_of_the_same_path_is_refused(
    local: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    recipe, backbone, run = local
    kept = shutil.copytree(backbone, tmp_path / "kept")
    try:
        config = json.loads((backbone / "config.json").read_text())
        (backbone / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}))
        (mistake,) = said(recipe, run)
        assert mistake == f"model.backbone: {backbone} has another num_hidden_layers than the encoder of RUN"
        (backbone / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.3}))
        assert said(recipe, run) == []
        words = (backbone / "tokenizer.json").read_text()
        (backbone / "tokenizer.json").write_text(words.replace('"w16"', '"other"'))
        assert words != (backbone / "tokenizer.json").read_text()
        (mistake,) = said(recipe, run)
        assert mistake == f"model.tokenizer: that of {backbone} is another one than that of RUN"
    finally:
        shutil.rmtree(backbone)
        shutil.copytree(kept, backbone)


def test_other_weights_in_another_folder_are_refused(local: tuple[Path, Path, Path], tmp_path: Path) -> None:
    recipe, backbone, run = local
    other = shutil.copytree(backbone, tmp_path / "other")
    runs.damage(other / "model.safetensors")
    (mistake,) = said(recipe, run, f"model.backbone={other}")
    assert mistake == f"model.backbone: {other} has other weights than {backbone}, from which RUN began"
