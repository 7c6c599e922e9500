"""Which runs can be merged, and what is said of those that cannot."""

import shutil
from pathlib import Path

import pytest
import yaml

from hf_mtl import MultiLabelClassification
from hf_mtl.errors import ModelError, UserError
from hf_mtl.experiments.merging import merge
from hf_mtl.experiments.merging.parts import Parts
from hf_mtl.inference.runs import load_model
from hf_mtl.modeling import MultiTaskModel
from tests import tiny
from tests.experiments.merging import singles
from tests.task_types.sample import Sample, samples


def test_the_beginning_is_the_backbone(world: Path, runs: dict[str, Path]) -> None:
    parts = Parts.open(runs)
    encoder = MultiTaskModel.from_backbone(world / "bert", tiny.TASKS, head="linear").encoder
    assert parts.begin.keys() == encoder.state_dict().keys()
    assert all((parts.begin[name] == value).all() for name, value in encoder.state_dict().items())
    assert [part.task for part in parts.parts] == list(runs)


def test_a_run_with_its_own_encoder_scores_what_it_scored(runs: dict[str, Path]) -> None:
    part = Parts.open(runs).parts[0]
    part.set_encoder(dict(load_model(runs["topic"]).encoder.state_dict()))
    found = part.scores("test")
    assert found is not None
    results = yaml.safe_load((runs["topic"] / "results.json").read_text())
    assert found.tasks["topic"] == pytest.approx(results["test"]["tasks"]["topic"])


def test_a_frozen_part_shows_that_the_backbone_has_changed(
    world: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    moved = {name: Path(shutil.copytree(folder, tmp_path / name)) for name, folder in runs.items()}
    other = singles.backbone(tmp_path / "bert", seed=6)
    for folder in moved.values():
        recipe = folder / "recipe.yaml"
        recipe.write_text(recipe.read_text().replace(str(world / "bert"), str(other)))
    with pytest.raises(ModelError, match="embeddings.word_embeddings.weight was frozen, and is not that of the"):
        Parts.open(moved)


def test_runs_of_other_tasks_tokenizers_and_shapes_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found 1 run"):
        Parts.open({"topic": runs["topic"]})
    with pytest.raises(UserError, match=r"run-topic: its tasks are topic\. Give a run that trained mood alone"):
        Parts.open({"topic": runs["topic"], "mood": runs["topic"]})
    words = tiny.tokenizer()
    words.add_tokens(["more"])
    model = tiny.model(tasks={"mood": tiny.TASKS["mood"]}, config={"hidden_size": 8}, head="linear", pooling="cls")
    model.save_pretrained(tmp_path / "other")
    words.save_pretrained(tmp_path / "other")
    with pytest.raises(ModelError) as caught:
        Parts.open({"topic": runs["topic"], "mood": tmp_path / "other"})
    text = str(caught.value)
    assert "max_length is None, and 24 in" in text
    assert "hidden_size of the encoder is 8, and 16 in" in text
    assert "its tokenizer has another vocabulary" in text
    assert "pooling is cls, and mean in" in text


@pytest.fixture(scope="module")
def of_every_type(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each task type, and of one whose thresholds are tuned, from one backbone."""
    folder = tmp_path_factory.mktemp("types")
    singles.backbone(folder / "bert")
    runs = {}
    tuned = samples()["multi_label_classification"]
    assert isinstance(tuned.task, MultiLabelClassification)
    tuned = Sample(tuned.task.model_copy(update={"thresholds": "tuned"}), tuned.rows, tuned.loss)
    for name, sample in {**samples(), "tuned": tuned}.items():
        if "," not in name:
            rows = {split: sample.rows(count) for split, count in (("train", 48), ("validation", 24), ("test", 24))}
            dataset = singles.write_rows(folder / "rows", name, rows)
            options = {"head": None, "pooling": None, "max_length": 32, "training": {"temperature_scaling": True}}
            if not sample.task.can_calibrate:
                options["training"] = {}
            runs[name] = singles.train(folder, name, sample.task, dataset, **options)
    return runs


@pytest.mark.slow
@pytest.mark.parametrize("method", ["average", "ties"])
def test_runs_of_every_task_type_merge(method: str, of_every_type: dict[str, Path], tmp_path: Path) -> None:
    record = merge(of_every_type, method, tmp_path / "merged")
    model = load_model(tmp_path / "merged")
    assert list(model.tasks) == list(of_every_type)
    assert record["scores"]["test"].keys() == of_every_type.keys()
    before = load_model(of_every_type["tuned"]).config.decisions
    assert model.config.decisions["tuned"] != before["tuned"]  # chosen on what it predicts now
    temperatures = model.config.calibration_temperatures
    name = "sequence_classification"
    assert temperatures[name] != load_model(of_every_type[name]).config.calibration_temperatures[name]


@pytest.mark.slow
def test_the_pooling_of_a_head_that_reads_tokens_does_not_matter(runs: dict[str, Path], tmp_path: Path) -> None:
    singles.backbone(tmp_path / "bert")
    sample = samples()["token_classification"]
    dataset = singles.write_rows(tmp_path / "rows", "tags", {split: sample.rows(24) for split in ("train", "test")})
    tags = singles.train(tmp_path, "tags", sample.task, dataset, pooling="cls", freeze=1)
    record = merge({"tags": tags, "topic": runs["topic"]}, "task_arithmetic", tmp_path / "merged")
    assert load_model(tmp_path / "merged").config.pooling == "mean"
    assert record["scores"]["test"].keys() == {"tags", "topic"}
