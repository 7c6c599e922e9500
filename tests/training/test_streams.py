"""Tasks that read the same rows: drawn and encoded once, whatever the partition, and in recipes as in Python."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from datasets import Dataset

from hf_mtl import MultiTaskTrainer, Regression, SequenceClassification, load_recipe
from hf_mtl.errors import RecipeError, UserError
from hf_mtl.reporting.plan_table import plan_table
from hf_mtl.tasks import Task
from hf_mtl.training import plan_recipe, run_recipe
from hf_mtl.training.run.evaluate import evaluate_run
from tests import tiny
from tests.training.trainers import make, parameters, records, same
from tests.training.two_processes import trained_by_one_and_by_two

SGD: dict[str, Any] = {"optim": "sgd", "learning_rate": 0.05, "max_steps": 6}


def rows(count: int = 60) -> Dataset:
    """Texts of which each has a target, two of three another one, and every second one a class."""
    found = tiny.rows("score", count)
    x = np.array(found["x"])
    high = x > np.median(x)
    return Dataset.from_dict(
        {
            "text": found["text"],
            "a": x.tolist(),
            "b": [None if place % 3 == 0 else float(value) for place, value in enumerate(found["y"])],
            "c": [int(value) if place % 2 else None for place, value in enumerate(high)],
        }
    )


def tasks(stream: bool = True) -> dict[str, Task]:
    return {
        "a": Regression(label="a", stream=stream),
        "b": Regression(label="b", stream=stream),
        "c": SequenceClassification(label="c", labels=2, stream=stream),
    }


def trainer(folder: Path, stream: bool = True, **options: Any) -> MultiTaskTrainer:
    model, given = tiny.model(tasks=tasks(stream), head="linear"), dict.fromkeys("abc", rows())
    return make(folder, model=model, train=given, evaluation={"a": rows(12)}, **{**SGD, **options})


def test_one_dataset_object_is_one_stream_and_an_epoch_is_a_pass_over_its_texts(tmp_path: Path) -> None:
    found = trainer(tmp_path)
    assert found.streams.names == {"a+b+c": ["a", "b", "c"]}
    assert found.mixture.sizes == {"a+b+c": 60}
    assert found.course.steps_per_epoch == 8
    apart = trainer(tmp_path, stream=False)
    assert apart.streams.names == {"a": ["a"], "b": ["b"], "c": ["c"]}
    assert apart.course.steps_per_epoch == (60 + 40 + 30 + 7) // 8


@pytest.mark.parametrize("balancing", [{"weighting": "uw"}, {"aggregator": "pcgrad"}], ids=["uw", "pcgrad"])
@pytest.mark.parametrize(
    "split",
    [
        {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
        {"encoder_layout": "padded"},
        {"encoder_layout": "groups", "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
        {"tokens_per_micro_batch": 40},
    ],
    ids=["accumulated", "padded", "groups", "tokens"],
)
def test_the_update_does_not_depend_on_the_partition(
    tmp_path: Path, split: dict[str, Any], balancing: dict[str, str]
) -> None:
    whole, parts = trainer(tmp_path, balancing=balancing), trainer(tmp_path, balancing=balancing, **split)
    whole.train()
    parts.train()
    expected, found = parameters(whole), parameters(parts)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-5, msg=name)


def test_equal_weighting_is_the_mean_over_the_labels_of_the_step(tmp_path: Path) -> None:
    found = trainer(tmp_path, max_steps=3)
    found.train()
    for record in found.state.log_history:
        if "loss/a" in record:
            parts = [record[f"share/{name}"] * record[f"loss/{name}"] for name in "abc" if f"loss/{name}" in record]
            assert record["loss"] == pytest.approx(sum(parts), rel=1e-5)
    assert len(records(found, "share/a")) == 3


def test_each_text_of_a_step_is_encoded_once(tmp_path: Path) -> None:
    loader = iter(trainer(tmp_path, max_steps=2).get_train_dataloader())
    for batch in (next(loader), next(loader)):
        assert len(batch["packed"]["lengths"]) == 8
        assert len(batch["order"]) == sum(stop - start for start, stop in batch["segments"].values()) > 8


def test_a_run_that_is_resumed_ends_in_the_same_bits(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    whole.train()
    first = trainer(tmp_path / "parts", max_steps=6, save_strategy="steps", save_steps=3)
    first.train()
    second = trainer(tmp_path / "parts", max_steps=6)
    second.train(resume_from_checkpoint=str(tmp_path / "parts" / "checkpoint-3"))
    assert same(parameters(second), parameters(whole))


def test_a_learned_mixture_refuses_streams_of_several_tasks(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"mixture\.learn: learns a share of each task, and the tasks of a\+b\+c share"
    ):
        trainer(tmp_path, mixture={"learn": "pike"})
    assert trainer(tmp_path, stream=False, mixture={"learn": "pike"}).mixture.learner is not None


def recipe(folder: Path) -> Path:
    """The three tasks on one file, and one of their own on another."""
    rows(120).to_json(str(folder / "rows.jsonl"))
    tiny.rows("mood", 40).to_json(str(folder / "mood.jsonl"))
    shared = {"path": "json", "data_files": "rows.jsonl"}
    found: dict[str, Any] = {
        "model": {
            "backbone": {key: value for key, value in tiny.BERT.items() if key != "vocab_size"},
            "tokenizer": {"train": "wordpiece", "vocab_size": 120},
            "dropout": 0.0,
        },
        "tasks": {
            "a": {"type": "regression", "label": "a", "dataset": shared},
            "b": {"type": "regression", "label": "b", "dataset": {**shared, "filter": {"column": "c", "equals": 1}}},
            "c": {"type": "sequence_classification", "label": "c", "dataset": shared, "max_rows": 20},
            "mood": {"type": "sequence_classification", "dataset": {"path": "json", "data_files": "mood.jsonl"}},
        },
        "mixture": {"proportions": {"a+b+c": 2, "mood": 1}},
        "training": {
            "output_dir": str(folder / "run"),
            "max_steps": 6,
            "optim": "sgd",
            "learning_rate": 0.1,
            "use_cpu": True,
            "report_to": "none",
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(found, sort_keys=False))
    return folder / "recipe.yaml"


def test_plan_says_which_tasks_share_rows_and_what_single_gradients_cost(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    summary, _ = plan_recipe(load_recipe(path))
    [stream] = summary.streams
    assert (stream.name, stream.tasks) == ("a+b+c", ("a", "b", "c"))
    by_name = {task.name: task for task in summary.tasks}
    assert by_name["a"].rows == stream.rows > by_name["b"].rows > 0
    assert by_name["c"].rows == 20
    assert by_name["a"].rows_per_step == pytest.approx(stream.rows_per_step) == pytest.approx(8 * 2 / 3)
    even = ["mixture.proportions=null", "mixture.temperature=uniform"]
    several, alone = (plan_recipe(load_recipe(path, [*even, *keys]))[0] for keys in ([], ["tasks.b=", "tasks.c="]))
    assert several.real_tokens == pytest.approx(alone.real_tokens, rel=0.05)  # each text is encoded once
    table = " ".join(plan_table(summary).split())
    assert f"a, b and c share {stream.rows:,} rows, drawn 5.33 a step as 'a+b+c' and encoded once" in table
    summary, _ = plan_recipe(load_recipe(path, ["balancing.aggregator=pcgrad"]))
    said = "gradients of single tasks encode each row once for every task"
    assert said in " ".join(plan_table(summary).split())


def test_a_recipe_names_streams_and_carves_them_alike(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, ["mixture.proportions={a: 1, mood: 2}", "tasks.b.validation_fraction=0.3"])
    said = "\n".join(map(str, caught.value.mistakes))
    assert "tasks.c.validation_fraction: a has 0.1, b has 0.3, c has 0.1, and they read the same texts" in said
    assert "a+b+c" in said.split("validation_fraction")[0] + said.split("carved once")[1]


def test_a_run_is_scored_with_keys_that_would_part_its_streams(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    before = run_recipe(load_recipe(path))["tasks"]
    rows(40).to_json(str(tmp_path / "others.jsonl"))
    for override in ("max_length=5", f"dataset.data_files={tmp_path / 'others.jsonl'}"):
        scores = evaluate_run(tmp_path / "run", [f"tasks.a.{override}"])["tasks"]
        assert scores.keys() == before.keys()
        assert scores["a"] != before["a"]
        assert scores["b"] == before["b"]
    with pytest.raises(UserError, match="mixture.proportions: .* changes nothing about a model that is trained"):
        evaluate_run(tmp_path / "run", ["mixture.proportions={a: 1}"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    trained_by_one_and_by_two(recipe(tmp_path), tmp_path)
