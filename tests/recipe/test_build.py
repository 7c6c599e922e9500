"""Mistakes in single values of a recipe, and how they are said."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hf_mtl.recipe import load_recipe
from hf_mtl.tasks import task_types
from tests.recipe.refusals import mistakes
from tests.recipe.texts import MINIMAL

Write = Callable[..., str]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "tasks.emotion.type=null",
            f"recipe.yaml:3: tasks.emotion.type: missing. Known: {', '.join(sorted(task_types()))}.",
        ),
        (
            "tasks.emotion.dataset=null",
            "recipe.yaml:3: tasks.emotion.dataset: missing. "
            "Give dataset: {path: ...}: a Hub id, a folder, or csv, json, parquet, arrow, text with data_files.",
        ),
        (
            "tasks.emotion.dataset={path: x, data_files: 3}",
            "command line: tasks.emotion.dataset.data_files: found 3. Allowed: text, a list or a mapping.",
        ),
        (
            "tasks.emotion.dataset={pathh: x}",
            "command line: tasks.emotion.dataset.pathh: unknown key 'pathh'. "
            "Known: concat, data_files, dtype, encoding, filter, function, header, map, missing, name, path, "
            "quoting, rename, revision, sep, splits. "
            "Did you mean 'path'?",
        ),
        (
            "tasks.emotion.splits={test: null}",
            "command line: tasks.emotion.splits: unknown key 'splits'. "
            "It belongs to dataset: write tasks.emotion.dataset.splits.",
        ),
        (
            "learning_rate=1e-4",
            "command line: learning_rate: unknown key 'learning_rate'. "
            "It belongs to training: write training.learning_rate.",
        ),
        (
            "max_length=64",
            "command line: max_length: unknown key 'max_length'. It belongs to model: write model.max_length.",
        ),
        (
            "tasks.emotion.label=[mood, topic]",
            "command line: tasks.emotion.label: found [mood, topic]. "
            "Allowed: one column; every label column is a task of its own, with the same dataset.",
        ),
        (
            "tasks.emotion.dataset=[{name: x}]",
            "command line: tasks.emotion.dataset.0.path: missing. "
            "Hub id, local folder (also one written by save_to_disk), or a format with data_files: csv, json, "
            "parquet, arrow, text.",
        ),
        (
            "tasks.emotion.labels=[1, b]",
            "command line: tasks.emotion.labels.0: found 1. Allowed: text. Put it in quotes.",
        ),
        ("tasks.emotion.labels=1", "command line: tasks.emotion.labels: found 1. Allowed: at least 2."),
        (
            "tasks.emotion.labels=[a]",
            "command line: tasks.emotion.labels: found [a]. "
            "Allowed: two or more different names, none of them blank.",
        ),
        (
            "tasks.emotion.label=text",
            "command line: tasks.emotion.label: the column 'text' is both text and label. "
            "The model would read the answer.",
        ),
        (
            "tasks.emotion.text=[a, a]",
            "command line: tasks.emotion.text: found ['a', 'a'], the same column twice. Name each column once.",
        ),
        (
            "tasks.emotion.text=[a, b, c]",
            "command line: tasks.emotion.text: found [a, b, c]. Allowed: one text column or two for a pair, found 3.",
        ),
        (
            "tasks.emotion.class_weights=[1, 2, 3]",
            "command line: tasks.emotion.class_weights: found 3 weights for 2 classes. Give one for each class.",
        ),
        (
            "tasks.emotion.loss=focl",
            "command line: tasks.emotion.loss: unknown value 'focl'. "
            "Known: cross_entropy, focal. Did you mean 'focal'?",
        ),
        ("tasks.emotion=3", "command line: tasks.emotion: found 3. A task is a mapping."),
        ("tasks=3", "command line: tasks: found 3. Allowed: a mapping from names to tasks."),
        ("model=3", "command line: model: found 3. Allowed: a mapping."),
        ("mixture=[1]", "command line: mixture: found [1]. Allowed: a mapping, such as {temperature: 2.0}."),
        ("balancing=x", "command line: balancing: found 'x'. Allowed: a mapping, such as {weighting: uw}."),
        ("extends=x.yaml", "command line: extends: is given on the command line. Write it in the recipe."),
        (
            "model.tokenizer={train: wordpiece, vocab_size: 1.5}",
            "command line: model.tokenizer.vocab_size: found 1.5. Allowed: a whole number.",
        ),
        (
            "mixture.temperature=proportionl",
            "command line: mixture.temperature: found 'proportionl'. "
            "Allowed: a number, a mapping, 'proportional' or 'uniform'. Did you mean 'proportional'?",
        ),
        (
            "mixture.temperature={emotion: 1, rate: 2}",
            "command line: mixture.temperature.rate: unknown task 'rate'. "
            "Known: emotion, rating. Did you mean 'rating'?",
        ),
        (
            "mixture.temperature={emotion: 1}",
            "command line: mixture.temperature: nothing for rating. Give one value for every task.",
        ),
        (
            "mixture.proportions={emotion: 0.3}",
            "command line: mixture.proportions: nothing for rating. Give one value for every task.",
        ),
        ("mixture.cap=0", "command line: mixture.cap: found 0. Allowed: at least 1."),
        (
            "mixture.anneal={strat: 1}",
            "command line: mixture.anneal.strat: unknown key 'strat'. "
            "Known: begin, end, shape, start, stop. Did you mean 'start'?",
        ),
        (
            "balancing.weighting={name: uw, variant: haf}",
            "command line: balancing.weighting.variant: unknown value 'haf'. "
            "Known: half, mixed, unit. Did you mean 'half'?",
        ),
        (
            "balancing.weighting={name: uw, clip: -1}",
            "command line: balancing.weighting.clip: found -1. Allowed: more than 0.",
        ),
        (
            "balancing.weighting={name: fixed, weights: {emotion: 1, ratng: 2}}",
            "command line: balancing.weighting.weights.ratng: unknown task 'ratng'. "
            "Known: emotion, rating. Did you mean 'rating'?",
        ),
        ("training.max_steps=1.5", "command line: training.max_steps: found 1.5. Allowed: a whole number."),
        (
            "training.learning_rate=.nan",
            "command line: training.learning_rate: found nan. Allowed: a finite number.",
        ),
        (
            "training.learning_rate=null",
            "command line: training.learning_rate: found nothing (null). Allowed: a number.",
        ),
    ],
)
def test_one_mistake(write: Write, override: str, expected: str) -> None:
    assert mistakes(write(MINIMAL), override)[0].startswith(expected)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("model.head=linaer", ["model.head: unknown head 'linaer'. Known: ", "Did you mean 'linear'?"]),
        ("tasks.emotion.head=linaer", ["tasks.emotion.head: unknown head 'linaer'. ", "Did you mean 'linear'?"]),
        (
            "tasks.emotion.head={dropout: 0.1}",
            ["tasks.emotion.head: found {dropout: 0.1}. Allowed: a name, or a mapping"],
        ),
        ("model.head={type: mlp, hiden: 3}", ["model.head.hiden: unknown key 'hiden'. ", "Did you mean 'hidden'?"]),
        ("model.head={type: mlp, dropout: 2}", ["model.head.dropout: found 2. Allowed: less than 1"]),
        ("balancing.weighting=uv", ["balancing.weighting: unknown weighting 'uv'. Known: "]),
        (
            "tasks.emotion.metrics=f1_marco",
            ["tasks.emotion.metrics: unknown metric 'f1_marco'", "Did you mean 'f1_macro'?"],
        ),
        ("tasks.emotion.metrics=pearson", ["tasks.emotion.metrics: ", "'pearson' cannot score"]),
        ("tasks.emotion.metrics={name: f1, labels: [angr]}", ["tasks.emotion.metrics: ", "'angr'", "'anger'"]),
        ("tasks.emotion.metrics=some_metric", ["tasks.emotion.metrics: ", "greater_is_better"]),
        ("training.optim=adamx", ["training.optim: unknown value 'adamx'. Of ", "Did you mean 'adamax'?"]),
        ("training.learning_rat=1", ["training.learning_rat: unknown key ", "Did you mean 'learning_rate'?"]),
        (
            "training.metric_for_best_model=emotion_f1",
            ["training.metric_for_best_model: unknown score 'emotion_f1'. ", "emotion_f1_macro", "average"],
        ),
    ],
)
def test_one_mistake_about_what_is_registered(write: Write, override: str, parts: list[str]) -> None:
    found = mistakes(write(MINIMAL), override)
    assert len(found) == 1
    assert found[0].startswith("command line: " + parts[0])
    assert all(part in found[0] for part in parts)


@pytest.mark.parametrize("value", ["''", "0", "false"])
@pytest.mark.parametrize("section", ["model", "tasks", "data", "mixture", "balancing", "schedules", "training"])
def test_a_section_is_a_mapping_or_a_list(write: Write, section: str, value: str) -> None:
    found = mistakes(write(MINIMAL), f"{section}={value}")
    shown = value if value != "''" else "''"
    assert found[0].startswith(f"command line: {section}: found {shown}. Allowed: a ")


def test_tasks_beside_are_read_as_tasks_are(write: Write, tmp_path: Path) -> None:
    task = "{type: regression, label: x, dataset: {path: csv, data_files: x.csv}}"
    recipe = load_recipe(write(f"{MINIMAL}data: {{contamination: drop, beside: {{other: {task}}}}}\n"))
    assert recipe.data.beside["other"].type == "regression"
    assert "other" not in recipe.tasks
    again = tmp_path / "again" / "recipe.yaml"
    again.parent.mkdir()
    again.write_text(recipe.to_yaml())
    assert load_recipe(again) == recipe
    told = mistakes(write(f"{MINIMAL}data: {{beside: {{other: {{type: regresion}}}}}}\n"))
    assert [text.split(": ")[1] for text in told] == ["data.beside.other.type", "data.beside.other.dataset"]


def test_schedules_are_no_mapping(write: Write) -> None:
    assert mistakes(write(MINIMAL), "schedules={}") == [
        "command line: schedules: found {}. Allowed: a list of schedules, such as [{type: alternating, period: 50}]."
    ]
