"""Mistakes that show when several keys of a recipe are looked at together, and empty texts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hf_mtl.recipe import load_recipe
from tests.recipe.refusals import mistakes
from tests.recipe.texts import MINIMAL

Write = Callable[..., str]


@pytest.mark.parametrize("name", ["a b", "average", "keys", "train", "loss", "forward"])
def test_task_names_that_cannot_be_used(write: Write, name: str) -> None:
    found = mistakes(write(MINIMAL.replace("emotion:", f"{name}:")))
    assert len(found) == 1
    assert found[0].startswith(f"recipe.yaml:3: tasks.{name}: the task name '{name}'")


def test_scores_of_two_tasks_cannot_share_a_name(write: Write) -> None:
    text = MINIMAL.replace("label: score", "label: [V, A]").replace("emotion:", "rating_pearson:")
    text = text.replace("labels: [anger, joy]", "metrics: [{name: V, greater_is_better: true}]")
    assert mistakes(write(text)) == [
        "recipe.yaml:7: tasks.rating: the score 'eval_rating_pearson_V' is also one of the task 'rating_pearson'. "
        "Rename one of the tasks."
    ]


CLASSES = MINIMAL.replace("type: regression", "type: sequence_classification")
SHARING = CLASSES.replace("label: score", "labels: [a, b]")


def test_tasks_that_share_a_head_are_compared_before_anything_is_loaded(write: Write) -> None:
    path = write(SHARING)
    heads = ["tasks.emotion.head={share: tone, type: mlp}", "tasks.rating.head={share: tone}"]
    assert mistakes(path, *heads) == [
        "command line: tasks.rating.head.share: 'rating' shares 'tone' with 'emotion', and their labels differ: "
        "['a', 'b'] and ['anger', 'joy']. Tasks that share a head have the same type, and the same labels in the "
        "same order."
    ]
    same = ["tasks.rating.labels=[anger, joy]", *heads]
    assert load_recipe(path, same).tasks["rating"].head == {"share": "tone"}
    assert load_recipe(path, [*same, "tasks.rating.labels="]).tasks["rating"].head == {"share": "tone"}
    assert mistakes(path, *same[:2], "tasks.rating.head={share: tone, type: mlp, hidden: 3}") == [
        "command line: tasks.rating.head.hidden: is 3, and 'emotion', which shares it as 'tone', has None. Say it in "
        "one of them, or alike; the others write {share: tone}."
    ]
    for wrong, said in (("{share: 3}", "found 3"), ("{share: tone, tipe: mlp}", "tasks.emotion.head: found")):
        assert any(said in text for text in mistakes(path, f"tasks.emotion.head={wrong}"))
    assert [text.split(". ")[0] for text in mistakes(path, "model.head={type: mlp, share: tone}")] == [
        "command line: model.head.share: unknown key 'share'"
    ]


def test_a_shared_head_on_a_frozen_encoder_is_seen_in_every_task_that_has_it(write: Write) -> None:
    heads = ["tasks.emotion.head={share: t, type: stl_cnn}", "tasks.rating.head={share: t}"]
    path = write(SHARING.replace("[a, b]", "[anger, joy]"))
    assert load_recipe(path, heads).tasks["rating"].head == {"share": "t"}
    assert any("keeps the encoder frozen" in text for text in mistakes(path, heads[0]))


def test_an_id_of_evaluate_is_allowed(write: Write) -> None:
    recipe = load_recipe(write(MINIMAL), ["tasks.emotion.metrics={name: some_metric, greater_is_better: true}"])
    assert recipe.tasks["emotion"].metrics[0].name == "some_metric"
    assert not recipe.allow_code


@pytest.mark.parametrize("name", ["user/metric", "./mine.py", "/x/mine.py", "metrics/mine", "mine.py"])
def test_code_needs_the_users_word(write: Write, name: str) -> None:
    path, override = write(MINIMAL), f"tasks.emotion.metrics={{name: {name}, greater_is_better: true}}"
    (mistake,) = mistakes(path, override)
    shown = str(Path.cwd() / name) if name.endswith(".py") else name  # on the command line relative to this folder
    assert mistake.startswith(f"command line: tasks.emotion.metrics: '{shown}' is code of your own or of others")
    assert "--allow-code on the command line, allow_code=True in Python" in mistake
    recipe = load_recipe(path, [override], allow_code=True)
    assert recipe.allow_code
    assert load_recipe(path).allowing_code().allow_code


@pytest.mark.parametrize(
    "key",
    [
        "model.backbone",
        "model.tokenizer",
        "tasks.emotion.text",
        "tasks.rating.label",
        "tasks.emotion.dataset.path",
        "tasks.emotion.dataset.name",
        "tasks.emotion.dataset.data_files",
        "training.output_dir",
        "training.run_name",
    ],
)
def test_a_text_without_anything_in_it_is_a_mistake(write: Write, key: str) -> None:
    assert mistakes(write(MINIMAL), f"{key}=''") == [
        f"command line: {key}: found ''. Leave the key out, or write null, if nothing is meant."
    ]


def test_values_that_mean_themselves_may_be_empty(write: Write) -> None:
    overrides = [
        "tasks.emotion.dataset.filter={column: x, equals: ''}",
        "training.lr_scheduler_kwargs={a: ''}",
        "model.backbone={model_type: bert, b: ''}",
        "model.tokenizer=some/tokenizer",
    ]
    assert load_recipe(write(MINIMAL), overrides).training.options()["lr_scheduler_kwargs"] == {"a": ""}


@pytest.mark.parametrize(
    "override",
    [
        "tasks.emotion.dataset=[]",
        "tasks.emotion.dataset.data_files=[]",
        "tasks.emotion.dataset.data_files={}",
        "tasks.rating.label=[]",
    ],
)
def test_a_list_of_nothing_to_read_is_a_mistake(write: Write, override: str) -> None:
    key, _, value = override.partition("=")
    [found] = mistakes(write(MINIMAL), override)
    assert found == f"command line: {key}: found {value}. Allowed: at least 1 items."


IDLE = [
    ("model.head={type: vip, variance_normalization: false, gamma: 3}", "model.head.gamma", "true"),
    ("tasks.rating.head={type: vip, variance_normalization: false, tau_objective: matched}", "", "true"),
    ("balancing.weighting={name: stch, variant: plain, warmup_epochs: 1}", "", "log_nadir"),
    ("schedules=[{type: mt2st_feedback, main: emotion, factor: 0.1}]", "schedules.0.factor", "decay"),
    ("schedules=[{type: mt2st_adaptive, main: emotion, signal: variance, every: 9}]", "", "fisher"),
]


@pytest.mark.parametrize(("override", "key", "needed"), IDLE)
def test_an_option_that_another_leaves_without_effect_is_a_mistake(
    write: Write, override: str, key: str, needed: str
) -> None:
    found = mistakes(write(MINIMAL), override)
    assert len(found) == 1
    assert f"{key}: does nothing with " in found[0] if key else "does nothing with " in found[0]
    assert found[0].endswith(f"{needed}.") or found[0].endswith(needed)


@pytest.mark.parametrize("other", ["anneal={start: 1}", "learn={}"])
def test_a_temperature_beside_what_moves_it_is_a_mistake(write: Write, other: str) -> None:
    found = mistakes(write(MINIMAL), "mixture.temperature=2", f"mixture.{other}")
    key = other.partition("=")[0]
    assert found == [f"command line: mixture.{key}: takes the place of mixture.temperature. Give one of them."]
