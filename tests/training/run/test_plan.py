"""What a plan says, against a calculation by hand and against what training then does."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hf_mtl import load_recipe
from hf_mtl.data.mixture import Mixture
from hf_mtl.data.vocabulary import train_wordpiece
from hf_mtl.errors import RunError
from hf_mtl.reporting.plan import PlanSummary, TaskPlan
from hf_mtl.reporting.plan_table import plan_table
from hf_mtl.training import plan_recipe
from hf_mtl.training.run import plan as planning
from tests import tiny
from tests.modeling.families import some_fast
from tests.training import runs

SIZES = {"topic": 203, "mood": 61, "score": 97}
TEXTS = {name: list(tiny.rows(name, size)["text"]) for name, size in SIZES.items()}
ALL_TEXTS = [text for texts in TEXTS.values() for text in texts]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("world")
    with runs.own_cache(folder):
        yield runs.write_recipe(folder)


def plan(recipe: Path, folder: Path, *overrides: str) -> PlanSummary:
    summary, _ = plan_recipe(load_recipe(recipe, [f"training.output_dir={folder / 'run'}", *overrides]))
    return summary


def by_name(summary: PlanSummary) -> dict[str, TaskPlan]:
    return {task.name: task for task in summary.tasks}


def test_rows_shares_and_passes(recipe: Path, tmp_path: Path) -> None:
    found = plan(recipe, tmp_path, "mixture={temperature: 2.0, anneal: null}", "training.max_steps=40")
    assert (found.rows_per_step, found.steps) == (8, 40)
    assert found.epochs == 40 / math.ceil(361 / 8)
    roots = {name: math.sqrt(size) for name, size in SIZES.items()}
    for name, task in by_name(found).items():
        share = roots[name] / sum(roots.values())
        assert task.rows == SIZES[name]
        assert task.share == pytest.approx(share)
        assert task.rows_per_step == pytest.approx(8 * share)
        assert task.passes == pytest.approx(40 * 8 * share / SIZES[name])


def test_epochs_and_accumulation_make_the_steps(recipe: Path, tmp_path: Path) -> None:
    options = ["training.max_steps=", "training.num_train_epochs=3", "training.gradient_accumulation_steps=2"]
    found = plan(recipe, tmp_path, "mixture={temperature: 1.0, anneal: null}", *options)
    assert (found.rows_per_step, found.steps, found.epochs) == (16, 3 * 23, 3.0)  # ceil(361 / 16) = 23
    assert [task.passes for task in found.tasks] == pytest.approx([3 * 23 * 16 / 361] * 3)


def test_one_task_per_step_has_the_same_shares(recipe: Path, tmp_path: Path) -> None:
    mixture = "mixture={temperature: uniform, anneal: null, one_task_per_step: true}"
    found = plan(recipe, tmp_path, mixture, "training.max_steps=30")
    assert [task.share for task in found.tasks] == pytest.approx([1 / 3] * 3)
    assert [task.passes for task in found.tasks] == pytest.approx([80 / size for size in SIZES.values()])


@pytest.mark.parametrize("others", ["", ", one_task_per_step: true"])
def test_proportions_are_the_shares_of_the_plan(recipe: Path, tmp_path: Path, others: str) -> None:
    mixture = f"mixture={{proportions: {{topic: 1, mood: 2, score: 5}}, anneal: null{others}}}"
    found = plan(recipe, tmp_path, mixture, "training.max_steps=30")
    assert [task.share for task in found.tasks] == pytest.approx([1 / 8, 2 / 8, 5 / 8])


def test_a_floor_takes_from_the_others(recipe: Path, tmp_path: Path) -> None:
    found = plan(recipe, tmp_path, "mixture={temperature: 1.0, anneal: null, min_per_task: 2}")
    # 8 rows by size are 4.5, 1.35 and 2.15; mood is raised to 2, and score's part of the other 6 is then 1.94.
    assert [task.rows_per_step for task in found.tasks] == pytest.approx([4.0, 2.0, 2.0])


def test_looks_at_gradients_are_said_with_what_they_cost(recipe: Path, tmp_path: Path) -> None:
    mixture = "mixture={learn: {objective: pike, every: 7}, anneal: null}"
    found = plan(recipe, tmp_path, mixture, "training.max_steps=40")
    # 5 looks at 16 rows of each of three tasks: 240 rows beside 320.
    assert found.looks == (
        "pike: 5 looks at the tasks' gradients, 240 rows forward and backward beside 320 of training (75.0% more)"
    )
    assert f"mixture {found.looks}" in " ".join(plan_table(found).split())
    assert [task.share for task in found.tasks] == pytest.approx([size / 361 for size in SIZES.values()])
    assert plan(recipe, tmp_path, "mixture={learn: temperature, anneal: null}").looks == ""


def test_parameters_are_those_of_a_bert_with_three_heads(recipe: Path, tmp_path: Path) -> None:
    found = plan(recipe, tmp_path)
    hidden, inner, norm = 16, 24, 2 * 16
    vocabulary = len(train_wordpiece(ALL_TEXTS, vocab_size=200))
    embeddings = (vocabulary + 40 + 2) * hidden + norm
    dense = hidden * hidden + hidden
    layer = 4 * dense + norm + (hidden * inner + inner) + (inner * hidden + hidden) + norm
    heads = sum(hidden * outputs + outputs for outputs in (3, 2, 2))
    assert found.total_parameters == embeddings + 2 * layer + dense + heads  # the third dense is the pooler
    assert found.trainable_parameters == found.total_parameters


def test_the_data_of_every_split_is_counted(recipe: Path, tmp_path: Path) -> None:
    found = {task.name: task for task in plan(recipe, tmp_path).data}
    sizes = {name: {split: part.rows for split, part in task.splits.items()} for name, task in found.items()}
    assert sizes == {
        "topic": {"train": 203, "validation": 50},
        "mood": {"train": 61, "validation": 31},
        "score": {"train": 97, "validation": 41},
    }
    labels = {split: tiny.rows("topic", size, seed)["label"][:] for split, size, seed in PARTS}
    for index, label in enumerate("abc"):
        assert found["topic"].classes[label] == {split: part.count(index) for split, part in labels.items()}
    assert found["score"].classes == {}


PARTS = (("train", 203, 0), ("validation", 50, 1))


def lengths(vocab_size: int = 200) -> dict[str, np.ndarray]:
    tokenizer = train_wordpiece(ALL_TEXTS, vocab_size=vocab_size)
    return {name: np.array([len(tokenizer(text)["input_ids"]) for text in texts]) for name, texts in TEXTS.items()}


def test_truncated_rows_and_tokens_per_row(recipe: Path, tmp_path: Path) -> None:
    found = by_name(plan(recipe, tmp_path, "model.max_length=9"))
    for name, whole in lengths().items():
        assert found[name].truncated_rows == (whole > 9).sum() > 0
        assert found[name].mean_tokens == pytest.approx(np.minimum(whole, 9).mean())


def test_a_tasks_own_limit_is_its_rows_and_is_shown(recipe: Path, tmp_path: Path) -> None:
    own = ["tasks.mood.max_length=14", "tasks.mood.truncation_side=left", "tasks.score.max_length=7"]
    found = by_name(plan(recipe, tmp_path, "model.max_length=9", *own))
    limits = {"topic": 9, "mood": 14, "score": 7}
    for name, whole in lengths().items():
        assert found[name].truncated_rows == (whole > limits[name]).sum() > 0
        assert found[name].mean_tokens == pytest.approx(np.minimum(whole, limits[name]).mean())
    cut = {name: found[name].cut for name in limits}
    assert cut == {"topic": "", "mood": "cut to 14 tokens at their beginning", "score": "cut to 7 tokens"}


def test_a_head_with_a_learning_rate_of_its_own_is_shown(recipe: Path, tmp_path: Path) -> None:
    found = plan(recipe, tmp_path, "tasks.mood.head_learning_rate=0.01")
    assert found.heads == ("mood: learning rate 0.01",)
    assert "head        mood: learning rate 0.01" in plan_table(found).splitlines()


def test_heads_that_tasks_share_are_shown(recipe: Path, tmp_path: Path) -> None:
    own = ["tasks.score.head={type: mlp, share: both}", "tasks.score.label=[x, y]", "tasks.topic=null"]
    assert plan(recipe, tmp_path, *own).heads == ("score: share 'both'",)


def test_the_share_of_unknown_tokens(recipe: Path, tmp_path: Path) -> None:
    tiny.tokenizer().save_pretrained(tmp_path / "words")
    rows = [f'{{"text": "w1 w2 w3 strange w4", "label": "{label}"}}' for label in ("good", "bad") * 4]
    (tmp_path / "mood.jsonl").write_text("\n".join(rows))
    options = [
        f"model.tokenizer={tmp_path / 'words'}",
        f"tasks.mood.dataset.data_files.train={tmp_path / 'mood.jsonl'}",
    ]
    found = by_name(plan(recipe, tmp_path, *options))
    assert [found[name].unknown_share for name in ("topic", "mood", "score")] == [0, 1 / 5, 0]


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_that_a_mask_names_is_not_counted(recipe: Path, tmp_path: Path, side: str) -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.save_pretrained(tmp_path / "words")
    tokenizer.padding_side = side
    rows = tiny.rows("mood", SIZES["mood"])
    padded = rows.map(
        lambda row: tokenizer(row["text"], padding="max_length", max_length=24), remove_columns=["text"]
    )
    padded.to_parquet(str(tmp_path / "mood.parquet"))
    files = {split: str(tmp_path / "mood.parquet") for split in ("train", "validation")}
    options = [
        *ONE_TASK,
        f"model.tokenizer={tmp_path / 'words'}",
        f"tasks.mood.dataset={{path: parquet, data_files: {files}}}",
    ]
    found = by_name(plan(recipe, tmp_path, *options))["mood"]
    assert found.mean_tokens == np.mean([len(text.split()) + 2 for text in rows["text"]])


ONE_TASK = ["tasks.topic=", "tasks.score=", "mixture={anneal: null}"]


@pytest.mark.parametrize(
    ("layout", "cost"), [("padded", 64), ("groups", 0), ("groups", 10**6), ("packed", 64), ("auto", 64)]
)
def test_real_and_padded_tokens(recipe: Path, tmp_path: Path, layout: str, cost: int) -> None:
    # 61 rows in a step of the one task: every step has each of its rows once.
    options = [f"training.encoder_layout={layout}", f"training.group_cost={cost}"]
    found = plan(
        recipe, tmp_path, *ONE_TASK, *options, "training.per_device_train_batch_size=61", "training.max_steps=3"
    )
    tokenizer = train_wordpiece(TEXTS["mood"], vocab_size=200)
    rows = np.minimum([len(tokenizer(text)["input_ids"]) for text in TEXTS["mood"]], 24)
    assert found.real_tokens == 3 * rows.sum()
    # Groups that cost nothing are one for each length: no padding. Packed rows have none in any case.
    assert found.padded_tokens == 3 * (rows.sum() if cost == 0 or layout in ("packed", "auto") else 61 * rows.max())


def test_micro_batches_are_padded_on_their_own(recipe: Path, tmp_path: Path) -> None:
    options = ["training.encoder_layout=groups", "training.group_cost=1000000", "training.max_steps=2"]
    whole = plan(recipe, tmp_path, *ONE_TASK, *options, "training.per_device_train_batch_size=60")
    parts = plan(
        recipe,
        tmp_path,
        *ONE_TASK,
        *options,
        "training.per_device_train_batch_size=2",
        "training.gradient_accumulation_steps=30",
    )
    assert parts.real_tokens == whole.real_tokens
    assert parts.padded_tokens < whole.padded_tokens


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_a_plan_cut_by_tokens_tells_how_many_micro_batches_its_steps_have(
    recipe: Path, tmp_path: Path, layout: str
) -> None:
    options = [f"training.encoder_layout={layout}", "training.max_steps=5", "training.per_device_train_batch_size=12"]
    whole = plan(recipe, tmp_path, *options)
    cut = plan(recipe, tmp_path, *options, "training.tokens_per_micro_batch=60")
    assert whole.micro_batches == (1, 1)
    assert whole.real_tokens == cut.real_tokens
    fewest, most = cut.micro_batches
    assert 1 < fewest <= most
    assert -(-cut.real_tokens // (60 * 5)) <= most
    assert (cut.padded_tokens < whole.padded_tokens) == (layout == "padded")
    words = f"{fewest} micro-batches" if fewest == most else f"{fewest} to {most} micro-batches"
    assert words in plan_table(cut)
    assert "micro-batch" not in plan_table(whole)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the figure is given."""
    given: dict[str, Any] = {}
    draw = planning.mixture_figure

    def noting(path: Path, steps: np.ndarray, shares: Mapping[str, Any], passes: Mapping[str, Any]) -> None:
        given.update(steps=steps, shares=shares, passes=passes)
        draw(path, steps, shares, passes)

    monkeypatch.setattr(planning, "mixture_figure", noting)
    return given


def test_an_annealed_mixture_changes_over_time(recipe: Path, tmp_path: Path, drawn: dict[str, Any]) -> None:
    options = ["mixture.anneal={start: 1.0, end: 10.0}", "training.max_steps=40", "training.window_steps=7"]
    found = by_name(plan(recipe, tmp_path, *options))
    steps = [0, 7, 14, 21, 28, 35]
    assert drawn["steps"].tolist() == [*steps, 40]
    mixture = Mixture(SIZES, anneal={"start": 1.0, "end": 10.0})
    spans = np.array([7, 7, 7, 7, 7, 5])
    for name, size in SIZES.items():
        expected = np.array([mixture.probabilities(step / 40)[name] for step in steps])
        assert drawn["shares"][name] == pytest.approx([*expected, expected[-1]])
        assert drawn["passes"][name] == pytest.approx([0.0, *np.cumsum(8 * expected * spans) / size])
        assert found[name].share == pytest.approx((expected * spans).sum() / 40)
        assert found[name].passes == pytest.approx(drawn["passes"][name][-1])
    assert drawn["shares"]["topic"][0] > drawn["shares"]["topic"][-1]
    assert drawn["shares"]["mood"][0] < drawn["shares"]["mood"][-1]


def test_training_realises_the_plan(recipe: Path, tmp_path: Path, drawn: dict[str, Any]) -> None:
    options = ["training.max_steps=20", "training.eval_strategy=no", "training.save_strategy=no"]
    found = by_name(plan(recipe, tmp_path, *options))
    runs.train(recipe, tmp_path / "run", *options)
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    trained = [record for record in records if "loss" in record]
    assert len(trained) == 20
    for name, size in SIZES.items():
        for record in trained:
            expected = 8 * drawn["shares"][name][(record["step"] - 1) // 7]
            assert abs(8 * record[f"share/{name}"] - expected) < 1, "each step is within a row of its expectation"
        rows = trained[-1][f"passes/{name}"] * size
        assert rows == pytest.approx(sum(8 * record[f"share/{name}"] for record in trained))
        # Draws are independent from step to step, and each is off by a row at most.
        assert abs(rows - found[name].passes * size) < 3 * 0.5 * math.sqrt(20)


def test_with_schedules_the_plan_is_what_training_draws(recipe: Path, tmp_path: Path) -> None:
    schedules = "schedules=[{type: mt2st_switch, main: mood, at: 0.5}, {type: alternating, period: 3}]"
    options = [schedules, "training.max_steps=20", "training.eval_strategy=no", "training.save_strategy=no"]
    found = plan(recipe, tmp_path, *options)
    runs.train(recipe, tmp_path / "run", *options)
    last = [record for record in runs.log(tmp_path / "run") if "loss" in record][-1]
    assert [task.passes for task in found.tasks] == pytest.approx(
        [last[f"passes/{task.name}"] for task in found.tasks]
    )
    assert found.rows_per_step == 8
    assert 4 < sum(task.rows_per_step for task in found.tasks) < 8, "after the switch the steps shrink"
    assert found.schedules == (
        "mt2st_switch: mood alone from step 10 on",
        "alternating: 3 steps of the heads, 3 of the encoder, in turn",
    )
    table = plan_table(found)
    assert "steps       20 of 8 rows, " in table
    assert table.endswith("schedule    alternating: 3 steps of the heads, 3 of the encoder, in turn")


def test_how_rows_reach_the_encoder_is_told_with_the_reason(recipe: Path, tmp_path: Path) -> None:
    found = plan(recipe, tmp_path)
    said = (
        r"packed: packed rows agree with rows alone to \de-\d\d, gradients to \de-\d\d; "
        "attention in padded rectangles under SDPA(; products by oneDNN)?"  # by the processor
    )
    assert re.fullmatch(said, found.encoder_layout)
    shown = " ".join(plan_table(found).partition("\nencoder ")[2].split())
    assert shown == found.encoder_layout
    asked = plan(recipe, tmp_path, "training.encoder_layout=padded")
    assert asked.encoder_layout == "padded: as asked"


@pytest.mark.parametrize("option", some_fast(("torch_compile", "gradient_checkpointing"), "gradient_checkpointing"))
def test_what_leaves_products_to_torch_leaves_out_onednn(option: str, recipe: Path, tmp_path: Path) -> None:
    assert "oneDNN" not in plan(recipe, tmp_path, f"training.{option}=true").encoder_layout


def test_groups_are_planned_as_one_rectangle_where_processes_will_share_the_model(
    recipe: Path, tmp_path: Path
) -> None:
    shared = plan(recipe, tmp_path, "training.encoder_layout=groups", "training.fsdp=true", "training.max_steps=1")
    assert shared.encoder_layout == "padded, as processes share the model, in place of groups: as asked"
    row = shared.padded_tokens / 8
    assert row == int(row), "one rectangle of the step's rows"


def test_a_plan_writes_a_figure_and_no_run(recipe: Path, tmp_path: Path) -> None:
    _, figure = plan_recipe(load_recipe(recipe, [f"training.output_dir={tmp_path / 'run'}"]))
    assert figure == tmp_path / "run" / "figures" / "mixture.png"
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert list(runs.content(tmp_path)) == ["run/figures/mixture.png"]
    planned = figure.read_bytes()
    runs.train(recipe, tmp_path / "run", "training.max_steps=1")  # not refused
    _, short = plan_recipe(load_recipe(recipe, [f"training.output_dir={tmp_path / 'o'}", "training.max_steps=1"]))
    assert short is not None
    assert figure.read_bytes() == short.read_bytes() != planned, "it is of the steps that were trained"


def test_a_plan_draws_over_a_plan_and_over_nothing_else(recipe: Path, tmp_path: Path) -> None:
    plan(recipe, tmp_path)
    figure = tmp_path / "run" / "figures" / "mixture.png"
    plan(recipe, tmp_path)
    figure.write_bytes(b"mine")
    said = rf"{figure}: the plan would be drawn here; hf_mtl did not draw it\. Move it away"
    with pytest.raises(RunError, match=said):
        plan(recipe, tmp_path)
    assert figure.read_bytes() == b"mine"


def test_a_plan_leaves_a_run_as_it_is(recipe: Path, tmp_path: Path) -> None:
    runs.train(recipe, tmp_path / "run", "training.max_steps=1")
    before = runs.content(tmp_path / "run")
    plan(recipe, tmp_path)
    after = runs.content(tmp_path / "run")
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"figures/plan.png"}
    with pytest.raises(RunError, match="holds a finished run"):
        runs.train(recipe, tmp_path / "run")


def test_a_mistake_is_found_before_anything_is_written(recipe: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    content = yaml.safe_load(recipe.read_text())
    for name, task in content["tasks"].items():
        task["dataset"]["data_files"] = {"train": str(recipe.parent / f"{name}.train.jsonl")}
    content["tasks"]["score"]["label"] = ["x", "z"]
    broken.write_text(yaml.safe_dump(content))
    with pytest.raises(Exception, match=r"tasks\.score\.label: no column 'z'"):
        plan(broken, tmp_path)
    assert not (tmp_path / "run").exists()
