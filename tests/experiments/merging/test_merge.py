"""Runs become one model: its encoder is the merged one, its heads are theirs, and its record is what it scores."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModel

from hf_mtl import MultiTaskTrainer, MultiTaskTrainingArguments
from hf_mtl.errors import UserError
from hf_mtl.experiments.merging import METHODS, SCALES, merge
from hf_mtl.experiments.merging.arithmetic import moved, ties
from hf_mtl.experiments.results import Record
from hf_mtl.inference.manifest import MODEL_CONFIG, verify
from hf_mtl.inference.runs import load_model
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.training.scoring.kept_rows import read_rows
from tests import tiny
from tests.experiments.merging.singles import rows_of, singles

Merged = Callable[[str], tuple[Path, Record]]
LORA = {"type": "lora", "r": 2}


def encoder(folder: Path) -> dict[str, Tensor]:
    return dict(load_model(folder).encoder.state_dict())


def scored(folder: Path, split: str) -> dict[str, dict[str, float]]:
    """Scores of a model as a Trainer has them who knows nothing of merging."""
    rows = {name: rows_of(name)[split] for name in tiny.TASKS}
    args = MultiTaskTrainingArguments(output_dir=str(folder.parent / "scored"), use_cpu=True, report_to="none")
    trainer = MultiTaskTrainer(load_model(folder), args, processing_class=tiny.tokenizer())
    return trainer.score(rows, split).tasks


def close(found: Any, wanted: Any) -> None:
    assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_record_is_what_the_merged_model_scores(method: str, merged: Merged) -> None:
    folder, record = merged(method)
    for split in ("validation", "test"):
        for task, values in scored(folder, split).items():
            close(record[split][task], values)
            close(record["scores"][split][task], values["f1_macro" if task != "score" else "pearson"])
    assert json.loads((folder / "merging.json").read_text()) == record
    for task, rows in read_rows(folder).items():
        assert len(rows) == 30
        assert rows.scores(task) == {key: record["test"][task][key] for key in rows.scores(task)}
    assert (record["kind"], record["arm"]) == ("merged", method)
    assert record["notes"] == record["test_notes"]  # all that is said of a model that was moved
    assert record["lower_is_better"]["mood"] == {"f1_macro": False}


def test_an_average_is_the_mean_of_the_encoders_and_every_task_has_its_head(
    merged: Merged, runs: dict[str, Path]
) -> None:
    folder, record = merged("average")
    model, each = load_model(folder), [load_model(run) for run in runs.values()]
    for name, value in model.encoder.state_dict().items():
        if value.is_floating_point():
            mean = torch.stack([one.encoder.state_dict()[name].double() for one in each]).mean(dim=0)
            assert torch.equal(value, mean.float())
    for one in each:
        (task,) = one.tasks
        ours = model.heads.of(task).state_dict()
        assert all(torch.equal(ours[name], value) for name, value in one.heads.of(task).state_dict().items())
    assert list(model.tasks) == list(runs)
    assert record["searched"].keys() == {"1"}
    verify(folder, needs=MODEL_CONFIG)


def test_the_scale_has_the_best_average_on_validation(merged: Merged, runs: dict[str, Path], world: Path) -> None:
    folder, record = merged("ties")
    assert [float(scale) for scale in record["searched"]] == list(SCALES)
    best = max(record["searched"].values())
    assert record["searched"][f"{record['scale']:g}"] == best
    assert best == pytest.approx(sum(record["scores"]["validation"].values()) / 3)
    begin = dict(MultiTaskModel.from_backbone(world / "bert", tiny.TASKS, head="linear").encoder.state_dict())
    direction = ties(begin, [encoder(run) for run in runs.values()])
    found = encoder(folder)
    assert all(torch.equal(found[name], value) for name, value in moved(begin, direction, record["scale"]).items())


def test_what_was_frozen_is_what_it_was(merged: Merged, runs: dict[str, Path]) -> None:
    one, found = encoder(runs["topic"]), encoder(merged("task_arithmetic")[0])
    same = {name for name in one if torch.equal(one[name], found[name])}
    assert {name for name in one if name.startswith(("embeddings.", "encoder.layer.0."))} == same


@pytest.mark.parametrize(
    "peft",
    [
        pytest.param(LORA, marks=pytest.mark.slow),
        {"per_task": LORA},
        pytest.param(
            {"shared": {"type": "lora", "r": 2}, "per_task": {"type": "lora", "r": 2}}, marks=pytest.mark.slow
        ),
        pytest.param({"type": "ia3"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_adapters_are_merged_into_their_encoders_first(peft: dict[str, object], tmp_path: Path) -> None:
    runs = singles(tmp_path, ("topic", "mood"), peft=peft, head="native", pooling=None)
    merge(runs, "average", tmp_path / "merged")
    found = load_model(tmp_path / "merged")
    assert (found.config.peft, found.private_adapters) == (None, None)
    plain = []
    for task, folder in runs.items():
        load_model(folder).export_task(task, tmp_path / task, tiny.tokenizer())  # with adapters merged
        plain.append(AutoModel.from_pretrained(tmp_path / task).state_dict())
    for name, value in found.encoder.state_dict().items():
        assert torch.allclose(value, (plain[0][name] + plain[1][name]) / 2, atol=1e-6)


def test_runs_from_equal_random_weights_merge(tmp_path: Path) -> None:
    tiny.tokenizer().save_pretrained(tmp_path / "tokenizer")
    config = {key: value for key, value in tiny.BERT.items() if key != "vocab_size"}
    runs = singles(tmp_path, ("topic", "mood"), backbone=config, tokenizer=str(tmp_path / "tokenizer"))
    merge(runs, "average", tmp_path / "merged")
    recipe = runs["mood"] / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("seed: 1", "seed: 2"))
    with pytest.raises(UserError, match="run-mood: .* did not begin as that of .*run-topic.*with the same seed"):
        merge(runs, "average", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_folder_must_be_free_and_the_method_known(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown method 'averages'.*Did you mean 'average'"):
        merge(runs, "averages", tmp_path / "merged")
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged" / "other.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        merge(runs, "average", tmp_path / "merged")
