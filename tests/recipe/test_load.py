"""Mistakes in recipes, and how they are said."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.recipe import load_recipe
from tests.recipe.texts import MINIMAL

Write = Callable[..., str]


def mistakes(path: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as error:
        load_recipe(path, overrides)
    return str(error.value).splitlines()


def test_all_mistakes_of_all_sections_are_said_at_once(write: Write) -> None:
    path = write(
        """\
        modle: {}
        model:
          backbone: {hidden_size: 3}
          max_length: 0
          pooling: meen
          hed: linear
        tasks:
          emotion:
            type: sequence_classification
            dataset: {path: x, splits: {trian: y}}
            labels: [yes, no]
            max_rows: true
            class_weights: {yes: 1, off: 2}
          rating:
            type: regresion
          empty:
        mixture: {cap: x}
        balancing: {exposure: row}
        training:
          learning_rate: "5e-5"
          eval_strategy: epochs
          seed: 1
          seed: 2
        """
    )
    assert mistakes(path, "model.dropout=1.5", "nonsense") == [
        "recipe.yaml:23: training.seed: written twice, first at recipe.yaml:22. Keep one of them.",
        "command line: found 'nonsense'. Write key=value, such as training.learning_rate=1e-4.",
        "recipe.yaml:1: modle: unknown key 'modle'. "
        "Known: balancing, extends, mixture, model, schedules, tasks, training. Did you mean 'model'?",
        "recipe.yaml:4: model.max_length: found 0. Allowed: at least 1.",
        "command line: model.dropout: found 1.5. Allowed: less than 1.",
        "recipe.yaml:5: model.pooling: unknown value 'meen'. Known: cls, last, max, mean. Did you mean 'mean'?",
        "recipe.yaml:6: model.hed: unknown key 'hed'. "
        "Known: backbone, dropout, freeze, head, lora, max_length, pooling, tokenizer. Did you mean 'head'?",
        "recipe.yaml:3: model.backbone.model_type: missing. Say which architecture, such as bert.",
        "recipe.yaml:2: model.tokenizer: missing, and an inline config has no tokenizer. "
        "Give model.tokenizer: a Hub id, a folder, or {train: wordpiece}.",
        "recipe.yaml:10: tasks.emotion.dataset.splits.trian: unknown key 'trian'. "
        "Known: test, train, validation. Did you mean 'train'?",
        "recipe.yaml:12: tasks.emotion.max_rows: found true. Allowed: a whole number.",
        "recipe.yaml:15: tasks.rating.type: unknown task type 'regresion'. "
        "Known: regression, sequence_classification. Did you mean 'regression'?",
        "recipe.yaml:14: tasks.rating.dataset: missing. "
        "Give dataset: {path: ...}: a Hub id, a folder, or csv, json, parquet, arrow, text with data_files.",
        "recipe.yaml:16: tasks.empty: found nothing (null). A task is a mapping.",
        "recipe.yaml:17: mixture.cap: found 'x'. Allowed: a whole number.",
        "recipe.yaml:18: balancing.exposure: unknown value 'row'. Known: rows, tasks. Did you mean 'rows'?",
        "recipe.yaml:20: training.learning_rate: found '5e-5'. Allowed: a number.",
        "recipe.yaml:21: training.eval_strategy: unknown value 'epochs'. "
        "Known: epoch, no, steps. Did you mean 'epoch'?",
        "recipe.yaml:13: tasks.emotion.class_weights.off: unknown class 'off'. Classes: no, yes.",
        "recipe.yaml:13: tasks.emotion.class_weights: nothing for no. Give one value for every class.",
    ]


def test_sections_that_a_recipe_needs(write: Write) -> None:
    assert mistakes(write("training: {seed: 1}\n")) == [
        "recipe.yaml:1: model: missing. Give at least model: {backbone: ...}.",
        "recipe.yaml:1: tasks: missing. Give at least one task.",
    ]


def test_mistakes_in_an_inherited_file_are_placed_there(write: Write) -> None:
    write(MINIMAL + "mixture: {capp: 3}\n", "base.yaml")
    path = write("extends: base.yaml\nmodel:\n  max_length: x\n", "top.yaml")
    found = mistakes(path)
    assert found[0] == "top.yaml:3: model.max_length: found 'x'. Allowed: a whole number."
    assert found[1].startswith("base.yaml:11: mixture.capp: unknown key 'capp'. Known: anneal, cap, ")
    assert found[1].endswith(" Did you mean 'cap'?")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "tasks.emotion.type=null",
            "recipe.yaml:3: tasks.emotion.type: missing. Known: regression, sequence_classification.",
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
            "Known: data_files, encoding, filter, header, name, path, quoting, revision, sep, splits. "
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


def test_a_recipe_cannot_allow_code_itself(write: Write) -> None:
    for key in ("allow_code", "_allow_code"):
        assert "unknown key" in mistakes(write(MINIMAL), f"{key}=true")[0]


@pytest.mark.parametrize("value", ["''", "0", "false"])
@pytest.mark.parametrize("section", ["model", "tasks", "mixture", "balancing", "schedules", "training"])
def test_a_section_is_a_mapping_or_a_list(write: Write, section: str, value: str) -> None:
    found = mistakes(write(MINIMAL), f"{section}={value}")
    shown = value if value != "''" else "''"
    assert found[0].startswith(f"command line: {section}: found {shown}. Allowed: a ")


def test_schedules_are_no_mapping(write: Write) -> None:
    assert mistakes(write(MINIMAL), "schedules={}") == [
        "command line: schedules: found {}. Allowed: a list of schedules, such as [{type: alternating, period: 50}]."
    ]


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


def test_empty_sections_are_no_mistake(write: Write) -> None:
    recipe = load_recipe(write(MINIMAL + "mixture:\ntraining:\nbalancing:\n"))
    assert recipe.training.options() == recipe.mixture.options() == {}


def test_a_misspelt_task_in_a_key_to_replace_is_named_as_such(write: Write) -> None:
    text = "model: {backbone: b}\ntasks:\n  mood: {type: regression, dataset: {path: x}}\n"
    said = mistakes(write(text), "tasks.mod.max_rows=5")
    place = "command line: tasks.mod: no task 'mod' has a type and a dataset."
    assert said == [f"{place} Known: mood. Did you mean 'mood'? A new task needs a type and a dataset."]
