"""Models of the Hub: their tasks are kept, and their heads joined."""

import csv
from pathlib import Path

import pytest
import torch

from hf_mtl import MultiTaskModel, SequenceClassification
from tests import tiny
from tests.hub import world
from tests.hub.repositories import Hub


def add(hub: Hub, name: str, task: str, folder: Path, seed: int) -> MultiTaskModel:
    """A model of one task, whose encoder is the same for all."""
    model = tiny.model(tasks={task: SequenceClassification(labels=["good", "bad"])}, freeze="encoder")
    torch.manual_seed(seed)
    for parameter in model.heads.parameters():
        torch.nn.init.normal_(parameter)
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    hub.add(f"models/org/{name}", folder)
    return model


@pytest.mark.slow
def test_tasks_of_models_of_the_hub_are_kept_and_joined(hub: Hub, machine: world.Machine, tmp_path: Path) -> None:
    before = {
        task: add(hub, name, task, tmp_path / name, seed)
        for seed, (name, task) in enumerate({"first": "mood", "second": "topic"}.items())
    }
    recipe = world.small_recipe("org/scores", "org/first")
    recipe["model"]["keep_tasks"] = True
    done = machine.train(world.write(tmp_path / "recipe", recipe), tmp_path / "run")
    assert done.returncode == 0, done.stderr
    kept = MultiTaskModel.from_pretrained(tmp_path / "run")
    assert list(kept.tasks) == ["mood", "score"]
    assert kept.config.backbone == "org/first"

    done = machine.python("-m", "hf_mtl", "join", "org/first", "org/second", "-o", str(tmp_path / "both"))
    assert done.returncode == 0, done.stderr
    joined = MultiTaskModel.from_pretrained(tmp_path / "both")
    assert list(joined.tasks) == ["mood", "topic"]
    for task, model in (("mood", kept), ("mood", joined), ("topic", joined)):
        pairs = zip(model.heads.of(task).parameters(), before[task].heads.of(task).parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.slow
def test_a_model_of_the_hub_predicts_and_answers_in_a_pipeline(
    hub: Hub, machine: world.Machine, tmp_path: Path
) -> None:
    expected = add(hub, "first", "mood", tmp_path / "first", 0).predict(
        ["w1 w2", "w3"], "mood", processing_class=tiny.tokenizer()
    )
    (tmp_path / "rows.csv").write_text("text\nw1 w2\nw3\n")
    words = ["predict", "org/first", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "out.csv")]
    done = machine.python("-m", "hf_mtl", *words)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["mood.label"] for row in rows] == [row["label"] for row in expected]
    program = "import hf_mtl; print([row['mood']['label'] for row in hf_mtl.pipeline('org/first')(['w1 w2', 'w3'])])"
    done = machine.python("-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == str([row["label"] for row in expected])
    done = machine.python("-m", "hf_mtl", "predict", "org/none", str(tmp_path / "rows.csv"))
    assert done.returncode == 2, done.stderr
    assert "org/none" in done.stderr
