"""Recipes with mistakes in several places, and where each is said to be."""

from collections.abc import Callable

from hf_mtl.recipe import load_recipe
from hf_mtl.tasks import task_types
from tests.recipe.refusals import mistakes
from tests.recipe.texts import MINIMAL

Write = Callable[..., str]


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
        "Known: balancing, baselines, callbacks, data, extends, mixture, model, plugins, schedules, tasks, training. "
        "Did you mean 'model'?",
        "recipe.yaml:4: model.max_length: found 0. Allowed: at least 1.",
        "command line: model.dropout: found 1.5. Allowed: less than 1.",
        "recipe.yaml:5: model.pooling: unknown value 'meen'. Known: cls, last, max, mean. Did you mean 'mean'?",
        "recipe.yaml:6: model.hed: unknown key 'hed'. "
        "Known: backbone, drop_tasks, dropout, freeze, head, keep_tasks, max_length, peft, pooling, save_heads_only, "
        "tokenizer. Did you mean 'head'?",
        "recipe.yaml:3: model.backbone.model_type: missing. Say which architecture, such as bert.",
        "recipe.yaml:2: model.tokenizer: missing, and an inline config has no tokenizer. "
        "Give model.tokenizer: a Hub id, a folder, or {train: wordpiece}.",
        "recipe.yaml:10: tasks.emotion.dataset.splits.trian: unknown key 'trian'. "
        "Known: test, train, validation. Did you mean 'train'?",
        "recipe.yaml:12: tasks.emotion.max_rows: found true. Allowed: a whole number.",
        "recipe.yaml:15: tasks.rating.type: unknown task type 'regresion'. "
        f"Known: {', '.join(sorted(task_types()))}. Did you mean 'regression'?",
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


def test_a_recipe_cannot_allow_code_itself(write: Write) -> None:
    for key in ("allow_code", "_allow_code"):
        assert "unknown key" in mistakes(write(MINIMAL), f"{key}=true")[0]


def test_empty_sections_are_no_mistake(write: Write) -> None:
    recipe = load_recipe(write(MINIMAL + "mixture:\ntraining:\nbalancing:\n"))
    assert recipe.training.options() == recipe.mixture.options() == {}


def test_a_misspelt_task_in_a_key_to_replace_is_named_as_such(write: Write) -> None:
    text = "model: {backbone: b}\ntasks:\n  mood: {type: regression, dataset: {path: x}}\n"
    said = mistakes(write(text), "tasks.mod.max_rows=5")
    place = "command line: tasks.mod: no task 'mod' has a type and a dataset."
    assert said == [f"{place} Known: mood. Did you mean 'mood'? A new task needs a type and a dataset."]
