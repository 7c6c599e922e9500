"""What is wrong with an option is said in the same words in YAML, on the command line and in Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments, Regression, SequenceClassification
from hf_mtl.errors import UserError
from hf_mtl.plain import dump_yaml
from hf_mtl.recipe import load_recipe
from tests import tiny
from tests.recipe.texts import MINIMAL

KEYS = {
    "weighting": "balancing.weighting",
    "aggregator": "balancing.aggregator",
    "schedule": "schedules",
    "learner": "mixture.learn",
    "mixture": "mixture",
    "rows": "data",
    "head": "model.head",
    "adapters": "model.peft",
}
"""Where a recipe has a component of each kind."""

SWITCH = {"type": "mt2st_switch", "main": "emotion"}

TABLE: dict[str, list[tuple[str, Any, dict[str, str]]]] = {
    "weighting": [
        ("shape", 3, {"": "found 3. Allowed: a name, or a mapping with name and its options. Known: dwa, "}),
        ("no name", {"clip": 3}, {"": "found {clip: 3}. Allowed: a name, or a mapping with name and its options."}),
        ("name", "uww", {"": "unknown weighting 'uww'. Known: "}),
        ("other family", "pcgrad", {"": "unknown weighting 'pcgrad'. Known: "}),
        ("key", {"name": "uw", "clp": 3}, {".clp": "unknown key 'clp'. Known: clip, "}),
        (
            "word",
            {"name": "uw", "variant": "halff"},
            {".variant": "unknown value 'halff'. Known: half, mixed, unit. "},
        ),
        ("type", {"name": "uw", "clip": "5"}, {".clip": "found '5'. Allowed: a number."}),
        ("switch", {"name": "uw", "clip": True}, {".clip": "found true. Allowed: a number."}),
        ("range", {"name": "uw", "clip": 0}, {".clip": "found 0. Allowed: more than 0."}),
        ("infinite", {"name": "uw", "clip": float("inf")}, {".clip": "found inf. Allowed: a finite number."}),
        (
            "huge",
            {"name": "dwa", "window_steps": 10**12},
            {".window_steps": "found 1000000000000. Allowed: at most "},
        ),
        ("missing", "fixed", {".weights": "missing. One positive number per task, in task order"}),
        (
            "idle",
            {"name": "stch", "variant": "plain", "warmup_epochs": 1},
            {".warmup_epochs": "does nothing with variant: plain. It is for variant: log_nadir."},
        ),
        ("together", {"name": "uw", "init": 9}, {".init": "found 9.0. Allowed: from -5 to 5, as clip says."}),
        (
            "task",
            {"name": "fixed", "weights": {"emotion": 1, "ratng": 2}},
            {
                ".weights.ratng": "unknown task 'ratng'. Known: emotion, rating. Did you mean 'rating'?",
                ".weights": "nothing for rating. Give one value for every task.",
            },
        ),
        (
            "count",
            {"name": "fixed", "weights": [1, 2, 3]},
            {".weights": "found [1.0, 2.0, 3.0]. Allowed: one number "},
        ),
        (
            "several",
            {"name": "uw", "clip": -1, "variant": "x", "weight_sm": 2},
            {
                ".variant": "unknown value 'x'. Known: half, mixed, unit.",
                ".clip": "found -1. Allowed: more than 0.",
                ".weight_sm": "unknown key 'weight_sm'. Known: ",
            },
        ),
    ],
    "aggregator": [
        ("shape", [1], {"": "found [1]. Allowed: a name, or a mapping with name and its options. Known: "}),
        ("name", "pcgard", {"": "unknown aggregator 'pcgard'. Known: "}),
        (
            "key",
            {"name": "cagrad", "rescal": 0},
            {".rescal": "unknown key 'rescal'. Known: c, name, preferences, rescale, scope. "},
        ),
        ("word", {"name": "mgda", "scope": "first"}, {".scope": "unknown value 'first'. Known: adapters, all, "}),
        ("range", {"name": "cagrad", "c": 1.5}, {".c": "found 1.5. Allowed: less than 1."}),
        ("part", {"name": "nash_mtl", "every": 0.5}, {".every": "found 0.5. Allowed: a whole number."}),
        ("missing", "ngdiff", {".signs": "missing. 1 (minimise) or -1 (maximise) for each task"}),
        ("base", {"name": "sam_mtl", "base": "mea"}, {".base": "unknown base 'mea'. Known: aligned_mtl, "}),
        (
            "together",
            {"name": "graddrop", "scope": "last_layer"},
            {".scope": "found 'last_layer', and 'graddrop' draws for each parameter. Allowed: 'all'."},
        ),
        ("item", {"name": "graddrop", "leak": [0.5, 2]}, {".leak.1": "found 2. Allowed: at most 1."}),
        (
            "task",
            {"name": "graddrop", "leak": {"emotion": 0.1}},
            {".leak": "nothing for rating. Give one value for every task."},
        ),
        (
            "main",
            {"name": "pcd", "main": "ratng"},
            {".main": "unknown task 'ratng'. Known: emotion, rating. Did "},
        ),
        ("no main", "pcd", {".main": "missing. The main task, or its place among the tasks, from 0."}),
        (
            "share of main",
            {"name": "pcd", "main": "rating", "tau": {"rating": 0.1}},
            {
                ".tau.rating": "found 0.1, and the main task is not held to any progress. Leave it out.",
                ".tau": "nothing for emotion. Give one value for every task but the main one.",
            },
        ),
        (
            "preferred task",
            {"name": "upgrad", "preferences": {"emotion": 1, "ratng": 2}},
            {
                ".preferences.ratng": "unknown task 'ratng'. Known: emotion, rating. Did you mean 'rating'?",
                ".preferences": "nothing for rating. Give one value for every task.",
            },
        ),
        (
            "no preferences",
            {"name": "pcgrad", "preferences": {"emotion": 1, "rating": 2}},
            {".preferences": "unknown key 'preferences'. Known: name, reduction, scope. 'pcgrad' has no such "},
        ),
    ],
    "schedule": [
        (
            "shape",
            3,
            {".0": "found 3. Allowed: a name, or a mapping with type and its options. Known: alternating, "},
        ),
        ("name", "alternatin", {".0": "unknown schedule 'alternatin'. Known: alternating, "}),
        ("key", {**SWITCH, "att": 0.5}, {".0.att": "unknown key 'att'. Known: at, freed_rows, "}),
        ("missing", "mt2st_switch", {".0.main": "missing. The primary task."}),
        ("task", {**SWITCH, "main": "emotoin"}, {".0.main": "unknown task 'emotoin'. Known: emotion, rating. "}),
        ("type", {**SWITCH, "at": "half"}, {".0.at": "found 'half'. Allowed: a number or a mapping."}),
        ("range", {**SWITCH, "at": 1.5}, {".0.at": "found 1.5. Allowed: at most 1."}),
        ("inner range", {**SWITCH, "at": {"step": -1}}, {".0.at.step": "found -1. Allowed: at least 0."}),
        (
            "huge",
            {"type": "alternating", "period": 10**15},
            {".0.period": "found 1000000000000000. Allowed: at most "},
        ),
        (
            "idle",
            {"type": "mt2st_feedback", "main": "emotion", "signal": "training", "factor": 0.2},
            {".0.factor": "does nothing with action: switch. It is for action: decay."},
        ),
    ],
    "learner": [
        ("shape", 3, {"": "found 3. Allowed: a name, or a mapping of options. Known: pike, temperature."}),
        (
            "name",
            "temprature",
            {"": "unknown learner 'temprature'. Known: pike, temperature. Did you "},
        ),
        ("key", {"objectiv": "dro"}, {".objectiv": "unknown key 'objectiv'. Known: every, lr, objective, penalty, "}),
        ("word", {"objective": "dor"}, {".objective": "unknown value 'dor'. Known: dro, expected_loss, "}),
        ("range", {"lr": 0}, {".lr": "found 0. Allowed: more than 0."}),
        ("type", {"every": 0.5}, {".every": "found 0.5. Allowed: a whole number."}),
        ("several", {"lr": 0, "every": 0}, {".lr": "found 0. Allowed: more than 0.", ".every": "found 0. Allowed: "}),
    ],
    "mixture": [
        ("shape", "uniform", {"": "found 'uniform'. Allowed: a mapping, such as {temperature: 2.0}."}),
        ("key", {"tempature": 2}, {".tempature": "unknown key 'tempature'. Known: anneal, cap, "}),
        ("type", {"temperature": "warm"}, {".temperature": "found 'warm'. Allowed: a number, a mapping, "}),
        ("range", {"temperature": 0}, {".temperature": "found 0. Allowed: more than 0."}),
        ("inner key", {"anneal": {"strat": 1.0}}, {".anneal.strat": "unknown key 'strat'. Known: begin, end, "}),
        (
            "inner range",
            {"anneal": {"begin": 0.6, "stop": 0.5}},
            {".anneal.stop": "found 0.5. Allowed: more than begin, which is 0.6."},
        ),
        (
            "task",
            {"temperature": {"emotion": 1.0, "ratng": 2.0}},
            {
                ".temperature.ratng": "unknown task 'ratng'. Known: emotion, rating. Did you mean 'rating'?",
                ".temperature": "nothing for rating. Give one value for every task.",
            },
        ),
        (
            "instead",
            {"temperature": 2.0, "learn": {}},
            {".learn": "takes the place of mixture.temperature. Give one of them."},
        ),
        (
            "together",
            {"min_per_task": 1, "one_task_per_step": True},
            {".min_per_task": "found 1, with one_task_per_step. Allowed: 0."},
        ),
        (
            "idle",
            {"temperature": "uniform", "cap": 5},
            {".cap": "does nothing where temperature draws all tasks alike. Leave it out."},
        ),
        ("huge", {"cap": 10**12}, {".cap": "found 1000000000000. Allowed: at most 4294967295."}),
    ],
    "rows": [
        ("shape", "drop", {"": "found 'drop'. Allowed: a mapping, such as {contamination: drop}."}),
        (
            "key",
            {"contaminaton": "drop"},
            {".contaminaton": "unknown key 'contaminaton'. Known: beside, "},
        ),
        ("word", {"contamination": "dorp"}, {".contamination": "unknown value 'dorp'. Known: drop, error, off, "}),
        ("switch", {"contamination": False}, {".contamination": "unknown value false. Known: "}),
        (
            "part",
            {"imbalance": {"ratio": {"emotion": 0}, "unit": 0.5}},
            {".imbalance.ratio.emotion": "found 0. Allowed: at least 1.", ".imbalance.unit": "found 0.5. Allowed: "},
        ),
        (
            "no ratio",
            {"imbalance": {"emotion": 8}},
            {".imbalance.ratio": "missing", ".imbalance.emotion": "unknown key"},
        ),
    ],
    "head": [
        ("shape", 3, {"": "found 3. Allowed: a name, or a mapping with type and its options. Known: hierarchical, "}),
        (
            "no name",
            {"hidden": 3},
            {"": "found {hidden: 3}. Allowed: a name, or a mapping with type and its options."},
        ),
        ("name", "linaer", {"": "unknown head 'linaer'. Known: "}),
        ("key", {"type": "mlp", "hiden": 3}, {".hiden": "unknown key 'hiden'. Known: dropout, hidden, type. "}),
        ("type", {"type": "mlp", "hidden": "3"}, {".hidden": "found '3'. Allowed: a whole number."}),
        ("switch", {"type": "mlp", "hidden": True}, {".hidden": "found true. Allowed: a whole number."}),
        ("range", {"type": "linear", "dropout": 1.5}, {".dropout": "found 1.5. Allowed: less than 1."}),
        (
            "word",
            {"type": "vip", "kl_reduction": "men"},
            {".kl_reduction": "unknown value 'men'. Known: mean, sum. "},
        ),
        ("item", {"type": "stl_cnn", "widths": [3, 0]}, {".widths.1": "found 0. Allowed: at least 1."}),
        (
            "idle",
            {"type": "vip", "variance_normalization": False, "gamma": 2.0},
            {".gamma": "does nothing with variance_normalization: false. It is for variance_normalization: true."},
        ),
        ("huge", {"type": "mlp", "hidden": 10**12}, {".hidden": "found 1000000000000. Allowed: at most "}),
    ],
    "adapters": [
        (
            "shape",
            8,
            {"": "found 8. Allowed: a type (hra, ia3, loha, lokr, lora), or a mapping, such as {type: lora, r: 8}."},
        ),
        ("no type", {"r": 4}, {".type": "missing. Known: hra, ia3, loha, lokr, lora."}),
        ("name", "loar", {".type": "unknown type 'loar'. Known: hra, ia3, loha, lokr, lora. Did you mean 'lo"}),
        ("other name", "prompt_tuning", {".type": "'prompt_tuning' puts tokens or keys of its own before a text"}),
        (
            "key",
            {"type": "lora", "lora_alhpa": 4},
            {".lora_alhpa": "unknown key 'lora_alhpa'. Known: alpha_pattern, "},
        ),
        (
            "other key",
            {"type": "lora", "bias": "all"},
            {".bias": "is an option of peft that is not taken: what is no "},
        ),
        ("range", {"type": "lora", "r": 0}, {".r": "found 0. Allowed: at least 1."}),
        ("type", {"type": "lora", "r": 2.5}, {".r": "found 2.5. Allowed: a whole number."}),
        ("switch", {"type": "lora", "use_rslora": 1}, {".use_rslora": "found 1. Allowed: true or false."}),
        (
            "empty",
            {"type": "lora", "target_modules": []},
            {".target_modules": "found []. Allowed: at least 1 items."},
        ),
        (
            "several",
            {"shared": {"type": "lora", "r": 0}, "per_task": "ia3"},
            {".shared.r": "found 0. Allowed: at least 1.", ".per_task.type": "found 'ia3'. Only lora can be added "},
        ),
    ],
}
"""By kind: what is wrong, the component, and of each mistake its key below the kind's and how it begins."""

CASES = [pytest.param(kind, spec, texts, id=f"{kind}-{what}") for kind in TABLE for what, spec, texts in TABLE[kind]]


@pytest.fixture(scope="module")
def model() -> MultiTaskModel:
    tasks = {"emotion": SequenceClassification(labels=["anger", "joy"]), "rating": Regression(label="score")}
    return tiny.model(tasks=tasks)


def nested(kind: str, spec: Any) -> dict[str, Any]:
    """The sections of a recipe that have a component of a kind."""
    value: Any = [spec] if kind == "schedule" else spec
    for part in reversed(KEYS[kind].split(".")):
        value = {part: value}
    return value


def said(function: Callable[[], object]) -> list[str]:
    with pytest.raises(UserError) as caught:
        function()
    return [str(mistake).removeprefix(f"{mistake.where}: ") for mistake in caught.value.mistakes]


def in_yaml(kind: str, spec: Any, folder: Path) -> object:
    sections = nested(kind, spec)
    text = MINIMAL.partition("\n")[2] + dump_yaml({"model": {"backbone": "some/backbone"}, **sections})
    if kind in ("head", "adapters"):
        text = MINIMAL.partition("\n")[2] + dump_yaml({"model": {"backbone": "some/backbone", **sections["model"]}})
    (folder / "recipe.yaml").write_text(text)
    return load_recipe(folder / "recipe.yaml")


def on_the_command_line(kind: str, spec: Any, folder: Path) -> object:
    (folder / "minimal.yaml").write_text(MINIMAL)
    value = dump_yaml([spec] if kind == "schedule" else spec).strip().removesuffix("\n...")
    return load_recipe(folder / "minimal.yaml", [f"{KEYS[kind]}={value}"])


def in_python(kind: str, spec: Any, folder: Path, model: MultiTaskModel) -> object:
    sections = nested(kind, spec)
    if kind in ("head", "adapters"):
        return tiny.model(tasks=model.tasks, **sections["model"])
    rows = {
        "emotion": Dataset.from_dict({"text": ["w1", "w2 w3"], "label": [0, 1]}),
        "rating": Dataset.from_dict({"text": ["w4", "w5 w6"], "score": [0.5, 1.5]}),
    }
    args = MultiTaskTrainingArguments(output_dir=str(folder / "run"), use_cpu=True, report_to="none", max_steps=2)
    return MultiTaskTrainer(model, args, rows, processing_class=tiny.tokenizer(), **sections)


@pytest.mark.parametrize(("kind", "spec", "texts"), CASES)
def test_all_doors_say_the_same(
    kind: str, spec: Any, texts: dict[str, str], tmp_path: Path, model: MultiTaskModel
) -> None:
    found = said(lambda: in_python(kind, spec, tmp_path, model))
    starts = [f"{KEYS[kind]}{key}: {text}" for key, text in texts.items()]
    assert [text[: len(start)] for text, start in zip(found, starts, strict=True)] == starts
    assert said(lambda: in_yaml(kind, spec, tmp_path)) == found
    assert said(lambda: on_the_command_line(kind, spec, tmp_path)) == found


def test_the_table_has_every_kind_of_error_for_every_kind_of_component() -> None:
    assert TABLE.keys() == KEYS.keys()
    for cases in TABLE.values():
        assert {"shape", "key"} <= {what for what, _, _ in cases}


def test_what_yaml_cannot_say_is_refused_with_its_place(tmp_path: Path, model: MultiTaskModel) -> None:
    spec = {"name": "uw", "init": [0.0, print]}
    [text] = said(lambda: in_python("weighting", spec, tmp_path, model))
    assert text.startswith("balancing.weighting.init.1: found a builtin_function_or_method. Allowed: text, numbers, ")
