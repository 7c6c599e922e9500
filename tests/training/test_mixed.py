"""One task of each type in one recipe: partition, resume, reload, task gradients, probabilistic heads and scores."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor, nn

from hf_mtl import MultiTaskModel, load_recipe, run_recipe
from hf_mtl.balancing import GradientOptions
from hf_mtl.data.collate import Arrangement, Collator
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import UserError
from hf_mtl.gradients import SharedGradients, Wanted, shared_parameters
from hf_mtl.inference.encode import encode_splits
from hf_mtl.modeling.heads import HEADS
from hf_mtl.processes import Processes
from hf_mtl.training import evaluate_run, plan_recipe
from hf_mtl.training.run.prepare import Prepared, make_arguments, prepare
from tests.gradients.batches import by_autograd, difference, run
from tests.training.killing import train
from tests.training.runs import results
from tests.training.test_partition import has_no_gradient

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
RECIPE = Path(__file__).parents[2] / "recipes/mixed/support-desk.yaml"
SMALL: dict[str, Any] = {
    "model": {
        "backbone": {"hidden_size": 32, "intermediate_size": 64, "initializer_range": 0.2},
        "tokenizer": {"vocab_size": 400},
        "dropout": 0.0,  # whose noise depends on which rows are encoded together
    },
    "tasks": {
        name: {"max_rows": 60} for name in ("topic", "topics", "stars", "urgency", "entities", "replies", "answers")
    },
    "training": {
        "max_steps": 4,
        "optim": "sgd",
        "learning_rate": 0.1,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "eval_strategy": "no",
        "save_steps": 2,
        "load_best_model_at_end": False,
        "metric_for_best_model": None,
        "report_to": "none",
        "disable_tqdm": True,
    },
}


def write(folder: Path, **more: Any) -> Path:
    """The recipe with few rows, few steps and a narrow encoder, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"extends": str(RECIPE), **SMALL, **more}, sort_keys=False))
    return folder / "recipe.yaml"


def prepared(path: Path, *overrides: str) -> Prepared:
    recipe = load_recipe(path, list(overrides))
    return prepare(recipe, make_arguments(recipe), None)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepared(write(tmp_path_factory.mktemp("small")))


def encoded(found: Prepared, rows: int | None = None) -> dict[str, EncodedSplit]:
    data = found.split("train")
    if rows is not None:
        data = {name: dataset.select(range(rows)) for name, dataset in data.items()}
    tasks = {name: item.task for name, item in found.data.items()}
    return encode_splits(data, tasks, found.tokenizer, found.recipe.model.max_length, "train")


def test_a_plan_has_every_task_and_the_stream(tmp_path: Path) -> None:
    summary, _ = plan_recipe(load_recipe(write(tmp_path), [f"training.output_dir={tmp_path / 'run'}"]))
    assert [task.name for task in summary.tasks] == list(SMALL["tasks"])
    assert [stream.name for stream in summary.streams] == ["stars+urgency"]


def test_contexts_are_read_in_windows_of_their_own_length(small: Prepared) -> None:
    splits = encoded(small)
    longest = {name: int(split.tokens.lengths.max()) for name, split in splits.items()}
    assert longest.pop("answers") == 96
    assert max(longest.values()) <= 64
    answers, replies = splits["answers"], splits["replies"]
    assert len(answers.tokens) > len(answers)
    assert 2 * len(replies) < len(replies.tokens) < 4 * len(replies)


def test_a_run_resumes_to_the_same_bits_and_is_scored_again(tmp_path: Path) -> None:
    path, whole, halved = write(tmp_path), tmp_path / "whole", tmp_path / "halved"
    found = run_recipe(path, [f"training.output_dir={whole}"], test=True)
    assert list(found["tasks"]) == list(found["test"]["tasks"]) == list(SMALL["tasks"])
    assert all(math.isfinite(value) for scores in found["tasks"].values() for value in scores.values())
    again = evaluate_run(whole, split="test")
    for name, scores in found["test"]["tasks"].items():
        assert again["tasks"][name] == pytest.approx(scores), name
    run_recipe(path, [f"training.output_dir={halved}", "training.max_steps=2"])
    (halved / "results.json").unlink()
    run_recipe(path, [f"training.output_dir={halved}"], resume=True)
    mine, theirs = (load_file(folder / "model.safetensors") for folder in (whole, halved))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    kept = MultiTaskModel.from_pretrained(whole)
    assert {name: task.type for name, task in kept.tasks.items()} == {
        name: task.type for name, task in load_recipe(path).tasks.items()
    }


def never_moves(name: str) -> bool:
    """Softmax over choices, and over tokens, does not see a constant that is added to all of them."""
    return has_no_gradient(name) or name in {
        f"heads.task_{task}.head.classifier.bias" for task in ("replies", "answers")
    }


def updates(folder: Path, before: Mapping[str, Tensor]) -> dict[str, Tensor]:
    after = load_file(folder / "model.safetensors")
    assert after.keys() <= before.keys()
    return {name: (value - before[name]).double() for name, value in after.items() if value.is_floating_point()}


@pytest.mark.parametrize("aggregator", [None, "pcgrad"])
def test_processes_micro_batches_and_layouts_make_the_same_update(tmp_path: Path, aggregator: str | None) -> None:
    path = write(tmp_path, balancing={"weighting": "uw", **({"aggregator": aggregator} if aggregator else {})})
    before = prepared(path).new_model().state_dict()
    partitions = {  # processes, rows of a process at a time, micro-batches
        "whole": (1, 32, 1, "padded"),
        "packed": (1, 32, 1, "packed"),
        "accumulated": (1, 8, 4, "groups"),
        "two": (2, 16, 1, "packed"),
        "two, accumulated": (2, 8, 2, "packed"),
    }
    for name, (processes, rows, accumulation, layout) in partitions.items():
        train(
            *(path, tmp_path / name, processes),
            f"training.per_device_train_batch_size={rows}",
            f"training.gradient_accumulation_steps={accumulation}",
            f"training.encoder_layout={layout}",
        )
    expected = updates(tmp_path / "whole", before)
    moved = {name for name, update in expected.items() if update.any() and not never_moves(name)}
    assert all(any(f".task_{task}." in name for name in moved) for task in SMALL["tasks"]), "every head has moved"
    for partition in list(partitions)[1:]:
        found = updates(tmp_path / partition, before)
        assert {name for name, update in found.items() if update.any() and not never_moves(name)} == moved
        for name in moved:
            error = float((found[name] - expected[name]).norm() / expected[name].norm())
            assert error < 1e-4, f"{partition}, {name}: {error:.1e}"
        for task, scores in results(tmp_path / "whole")["tasks"].items():
            assert results(tmp_path / partition)["tasks"][task] == pytest.approx(scores, rel=1e-3, abs=1e-3)


def batch_of(splits: Mapping[str, EncodedSplit], arrangement: Arrangement, rows: int) -> Any:
    collator = Collator(splits, 0, 128, arrangement)
    tasks, places = np.repeat(np.arange(len(splits)), rows), np.tile(np.arange(rows), len(splits))
    sequences = len(collator.sequences(tasks, places)[0])
    return {**collator(tasks, places), "noise": {"rows": torch.arange(sequences), "step": 3}}


@pytest.mark.parametrize("layout", ["segments", "split"])
def test_task_gradients_of_all_types_are_those_of_autograd(small: Prepared, layout: Any) -> None:
    splits, model = encoded(small, rows=4), small.new_model().train()
    model.settle_layout("packed")
    cut, probe = batch_of(splits, layout, 4), batch_of(splits, "segments", 4)
    gradients = SharedGradients(model, len(splits), GradientOptions(layout=layout), probe, Processes(), Wanted())
    held = run(gradients, model, [cut])
    expected, parameters = by_autograd(model, cut, layout), shared_parameters(model)
    rows: list[dict[nn.Parameter, Tensor]] = []
    for weights in torch.eye(len(splits)):
        found = dict(held.combine(weights))
        rows.append({parameter: found.get(parameter, torch.zeros_like(parameter)) for parameter in parameters})
    assert difference(rows, expected) < 2e-6
    assert all(any(value.any() for value in row.values()) for row in expected)


STOCHASTIC = [name for name in HEADS.names() if HEADS[name].stochastic]


@pytest.mark.parametrize("head", [*STOCHASTIC, "stl_cnn"])
def test_a_head_learns_every_type_or_is_refused_by_name(head: str, tmp_path: Path) -> None:
    path, folder = write(tmp_path), f"training.output_dir={tmp_path / 'run'}"
    given = prepared(path)
    config = given.new_model().config.backbone
    refused = [name for name, item in given.data.items() if HEADS[head].unsuited(item.task, config)]
    assert refused == (["entities", "answers"] if head == "stl_cnn" else [])
    overrides = [f"tasks.{name}.head={head}" for name in given.data]
    if refused:
        with pytest.raises(UserError) as error:
            run_recipe(path, [*overrides, folder])
        assert all(name in str(error.value) for name in [head, *refused])
        assert not (tmp_path / "run").exists()
        return
    found = run_recipe(path, [*overrides, folder])
    assert all(math.isfinite(scores["loss"]) for scores in found["tasks"].values())
    before, after = prepared(path, *overrides).new_model(), MultiTaskModel.from_pretrained(tmp_path / "run")
    for name in given.data:
        pairs = zip(before.heads.of(name).parameters(), after.heads.of(name).parameters(), strict=True)
        assert any(not torch.equal(old, new) for old, new in pairs), name


@pytest.mark.timeout(1200)
def test_every_task_learns_what_a_majority_does_not(tmp_path: Path) -> None:
    overrides = [f"training.output_dir={tmp_path / 'run'}", "training.max_steps=1000", "training.disable_tqdm=true"]
    found = run_recipe(RECIPE, overrides, test=True, baselines=True)["test"]
    majority = found["baselines"]["majority"]["tasks"]
    for name, task in load_recipe(RECIPE).tasks.items():
        metric = task.metrics[0].name
        assert found["tasks"][name][metric] > majority[name][metric] + 0.15, name
