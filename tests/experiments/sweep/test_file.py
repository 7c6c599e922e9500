"""The file of a sweep: what it may say, and every mistake at once with its line."""

import math
from pathlib import Path

import jsonschema
import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.experiments.sweep.file import read_sweep, sweep_schema
from tests.experiments.sweep import worlds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def mistakes(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        read_sweep(path, overrides)
    return [str(item).replace(f"{path.parent}/", "") for item in caught.value.mistakes]


def written(folder: Path, text: str) -> Path:
    worlds.write(folder)
    (folder / "own.yaml").write_text(f"base: recipe.yaml\noutput_dir: out\ntrials: 6\n{text}")
    return folder / "own.yaml"


def test_the_schema_takes_sweeps_and_refuses_unknown_keys(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(sweep_schema())
    nested = {"mixture": {"anneal": {"end": {"low": 1.0, "high": 5.0}}}}
    validator.validate({**worlds.SWEEP, "output_dir": "out", "extends": "other.yaml", "scalarisation": {"low": 0.2}})
    validator.validate({**worlds.SWEEP, "output_dir": "out", "search": nested, "scalarisation": None})
    for wrong in ({"trails": 3}, {"scalarisation": {"lows": 1}}):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**worlds.SWEEP, "output_dir": "out", **wrong})


def test_a_sweep_has_defaults(folder: Path) -> None:
    sweep = read_sweep(worlds.write(folder, startup=None))
    assert [arm.name for arm in sweep.arms] == ["base"]
    assert (sweep.trials, sweep.startup, sweep.seed) == (6, 10, 0)
    assert (sweep.metric, sweep.maximize, sweep.pruning, sweep.storage) == ("average", True, None, "journal")
    assert sweep.folder("base", 3) == folder / "out" / "runs" / "base" / "trial-3"


def test_the_command_line_wins(folder: Path) -> None:
    words = ["trials=3", "search.training.learning_rate.low=2e-4", "set.training.max_steps=7", "metric=topic_loss"]
    sweep = read_sweep(worlds.write(folder), words)
    (arm,) = sweep.arms
    assert (sweep.trials, sweep.maximize) == (3, False)
    assert str(arm.dimensions[0]) == "0.0002 to 0.01, log"
    assert arm.recipe.training.options()["max_steps"] == 7


def test_an_arm_may_search_what_others_do_not(folder: Path) -> None:
    warm = {"low": 1.0, "high": 4.0}
    arms = {
        "uw": {},
        "dwa": {
            "balancing.weighting": "dwa",
            "search": {"balancing": {"weighting": {"temperature": warm}}},
        },
        "fixed": {"scalarisation": {}},
    }
    search = {"training.learning_rate": {"low": 1e-4, "high": 1e-2}}
    sweep = worlds.read(folder, arms=arms, search=search)
    assert [[item.key.split(".")[-1] for item in arm.space] for arm in sweep.arms] == [
        ["learning_rate"],
        ["learning_rate", "temperature"],
        ["learning_rate", "mood", "score"],
    ]


def test_all_mistakes_are_said_at_once_with_their_lines(folder: Path) -> None:
    path = written(
        folder,
        """\
metric: averge
pruning: medain
storage: sqlite
search:
  training.learning_rte: {low: 1e-5, high: 1e-3, log: true}
  model.dropout: {low: 0.0, high: 1.5}
  training.max_steps: {low: 1.0, high: 2.0}
  balancing.weighting: {choices: [uw, {name: dwa, temprature: 2}, nosuch]}
  tasks.topic.head: {choices: [linaer]}
  mixture.anneal.end: {lwo: 1, high: 2}
""",
    )
    starts = [
        "own.yaml:5: pruning: unknown pruner 'medain'. Known: hyperband, median, off, ",
        "own.yaml:6: storage: found 'sqlite'. Allowed: journal, or the URL of a database, ",
        "own.yaml:13: search.mixture.anneal.end.lwo: unknown key 'lwo'. Known: choices, ",
        "own.yaml:8: training.learning_rte: unknown key 'learning_rte'. Of ",
        "own.yaml:9: model.dropout: found 1.5. Allowed: less than 1.",
        "own.yaml:10: training.max_steps: found 1.0. Allowed: a whole number.",
        "own.yaml:10: training.max_steps: found 2.0. Allowed: a whole number.",
        "own.yaml:11: balancing.weighting.temprature: unknown key 'temprature'. Known: ",
        "own.yaml:11: balancing.weighting: unknown weighting 'nosuch'. Known: ",
        "own.yaml:12: tasks.topic.head: unknown head 'linaer'. Known: ",
        "own.yaml:4: metric: unknown score 'averge'. Known: average, ",
    ]
    found = mistakes(path)
    assert [text[: len(start)] for text, start in zip(found, starts, strict=True)] == starts
    assert found[3].endswith("Did you mean 'learning_rate'?")
    assert not (folder / "out").exists()


def test_mistakes_of_an_arm_are_said_where_it_is_written(folder: Path) -> None:
    path = written(
        folder,
        """\
search: {training.learning_rate: {low: 1e-5, high: 1e-3}}
arms:
  uw: {balancing.weighting: uw}
  "a b": {}
  other: {balancing: {weightin: uw}}
  missing: {extends: nowhere.yaml}
  hub: {training.push_to_hub: true}
  placed: {training: {output_dir: elsewhere}}
""",
    )
    starts = [
        "own.yaml:7: arms.a b: is no name of an arm. Allowed: letters, ",
        "own.yaml:8: balancing.weightin: unknown key 'weightin'. Known: ",
        "own.yaml:9: extends: no such file: 'nowhere.yaml'. It is relative to ",
        "own.yaml:10: training.push_to_hub: is on, and every trial of hub would be pushed. ",
        "own.yaml:11: training.output_dir: is decided for all runs alike. Write output_dir in the sweep.",
    ]
    found = mistakes(path)
    assert [text[: len(start)] for text, start in zip(found, starts, strict=True)] == starts


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"trials": 0}, "trials: found 0. Allowed: at least 1."),
        ({"trails": 3}, "trails: unknown key 'trails'. Known: "),
        ({"base": None}, "base: missing. The recipe that is searched in, relative to this file."),
        ({"base": "nowhere.yaml"}, "base: no such file: 'nowhere.yaml'. It is relative to "),
        ({"search": None}, "search: nothing is searched in base. Give search: "),
        ({"pruning": {"name": "median", "n_warmup": 1}}, "pruning.n_warmup: unknown key 'n_warmup'."),
        ({"pruning": {"name": "percentile", "percentile": 200.0}}, "pruning: 'percentile': Percentile"),
        ({"pruning": 3}, "pruning: found 3. Allowed: off, a name, or a mapping with name and "),
        ({"output_dir": ""}, "output_dir: found ''. Allowed: the path of a folder."),
        ({"arms": {"a" * 101: {}}}, f"arms: '{'a' * 20}...' is a name of 101 letters. Allowed: at most 100, as it"),
        ({"pruning": {"name": "threshold", "lower": math.inf}}, "pruning.lower: found inf. Allowed: a finite "),
        ({"metric": "topic_f1"}, "metric: unknown score 'topic_f1'. Known: average, "),
    ],
)
def test_one_mistake_is_said(folder: Path, keys: dict[str, object], said: str) -> None:
    found = mistakes(worlds.write(folder, **keys))
    key = next(iter(keys))
    lines = (folder / "sweep.yaml").read_text().splitlines()
    place = next((number for number, line in enumerate(lines, 1) if line.startswith(key)), 1)
    starts = [f"sweep.yaml:{line}: {said}" for line in range(place, place + 3)]  # or of what lies below
    assert len(found) == 1
    assert found[0].startswith(tuple(starts))


def test_a_sweep_may_extend_another(folder: Path) -> None:
    worlds.write(folder)
    (folder / "own.yaml").write_text(f"extends: sweep.yaml\ntrials: 9\noutput_dir: {folder}/other\n")
    sweep = read_sweep(folder / "own.yaml")
    assert (sweep.trials, sweep.startup, sweep.output_dir.name) == (9, 3, "other")


def test_keys_that_cannot_be_searched_or_not_together_are_said(folder: Path) -> None:
    weighting = {"choices": [{"name": "dwa"}]}
    search = {"balancing.weighting": weighting, "balancing.weighting.temperature": {"low": 1.0, "high": 2.0}}
    (found,) = mistakes(worlds.write(folder, search=search))
    assert "search.balancing.weighting.temperature: lies within balancing.weighting, which is searched too." in found
    (found,) = mistakes(worlds.write(folder, search={"training.output_dir": {"choices": ["a", "b"]}}))
    assert "search.training.output_dir: cannot be searched: it has one value for each trial. Leave it out." in found
    (found,) = mistakes(worlds.write(folder, search={"balancing.weighting": weighting}, scalarisation={}))
    assert "search.balancing.weighting: is searched beside scalarisation, which sets balancing.weighting." in found


def test_pruning_asks_for_evaluations(folder: Path) -> None:
    path = worlds.write(
        folder, pruning="median", set={"training.eval_strategy": "no", "training.metric_for_best_model": None}
    )
    assert any(
        ": pruning: is on, and a run of base is not evaluated while it trains. " in text for text in mistakes(path)
    )


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("trials=two", "command line: trials: found 'two'. Allowed: a whole number."),
        ("search.training.learning_rate.low=abc", "command line: search.training.learning_rate.low: found 'abc'."),
        ("search.training.learning_rate.step=-1.0", "command line: search.training.learning_rate.step: found -1.0."),
        ("search.training.weight_decay.high=-0.5", "command line: training.weight_decay: found -0.5."),
        ("search.training.weight_decay.log=true", "sweep.yaml:6: search.training.weight_decay.low: found -1 with "),
        ("set.training.max_steps=two", "command line: training.max_steps: found 'two'. Allowed: a whole number."),
    ],
)
def test_a_mistake_is_said_where_that_part_of_it_was_written(folder: Path, word: str, said: str) -> None:
    search = {
        "training.weight_decay": {"low": -1 if "decay" in word else 0, "high": 0.1},
        "training.learning_rate": {"low": 1e-4, "high": 1e-2},
    }
    assert any(text.startswith(said) for text in mistakes(worlds.write(folder, search=search), word))


def test_what_is_wrong_with_a_setting_hides_nothing_else(folder: Path) -> None:
    worlds.write(folder)
    path = folder / "many.yaml"
    path.write_text(
        """\
base: recipe.yaml
trials: many
seed: -1
arm: {}
pruning: medain
metric: averge
search: {training.learning_rte: {low: 1e-5, high: 1e-3}, mixture.temperature: {low: 4.0, high: 1.0}}
"""
    )
    assert sorted(text.split(": ")[1] for text in mistakes(path)) == [
        "arm",
        "metric",
        "output_dir",
        "pruning",
        "search.mixture.temperature",
        "seed",
        "training.learning_rte",
        "trials",
    ]
    path.write_text("base: recipe.yaml\ntrials: 3\noutput_dir: out\nsearch: 3\npruning: medain\n")
    assert [text.split(": ")[1] for text in mistakes(path)] == ["search", "pruning"]


def test_what_all_arms_share_is_said_once(folder: Path) -> None:
    arms = {"uw": {}, "ew": {"balancing.weighting": "ew"}}
    wrong = {"training.output_dir": "elsewhere", "training.sead": 1}
    assert len(mistakes(worlds.write(folder, arms=arms, set=wrong))) == 2
    (found,) = mistakes(worlds.write(folder, arms=arms, base="nowhere.yaml"))
    assert found.startswith("sweep.yaml:1: base: no such file: 'nowhere.yaml'.")
