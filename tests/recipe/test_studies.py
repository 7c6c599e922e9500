"""Studies in the repository: each arm is a recipe that loads, and the committed results are of these arms."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hf_mtl.evaluation.aggregates import lower_is_better, task_score
from hf_mtl.experiments.affinity import pair_gains, rank_agreement
from hf_mtl.experiments.answer.report import read_answer
from hf_mtl.experiments.answer.words import build
from hf_mtl.experiments.compare import load_study
from hf_mtl.experiments.compare.trials import trials_of
from hf_mtl.experiments.sweep.file import read_sweep
from hf_mtl.recipe import load_recipe
from hf_mtl.reporting.json_files import read_jsonl
from tests.pages import parts_of

FOLDER = Path(__file__).parents[2] / "recipes" / "studies"
STUDIES = sorted(FOLDER.rglob("study.yaml"))
SWEEPS = sorted(FOLDER.rglob("sweep.yaml"))
NAMES = [path.parent.relative_to(FOLDER).as_posix() for path in STUDIES]
WITH_RESULTS = [path for path in STUDIES if (path.parent / "results.jsonl").exists()]
KEYS = {
    *("kind", "arm", "seed", "task", "fold", "identity", "validation", "test", "scores", "lower_is_better", "steps"),
    *("step", "ended_by", "flops", "backward_passes", "seconds", "wall", "rows", "passes", "curve", "train_losses"),
    *("cosines", "conflict_rate", "contamination", "baselines", "notes"),
}


pytestmark = pytest.mark.usefixtures("no_plugin_stays")


def study_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def records_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path.parent / "results.jsonl").read_text().splitlines()]


def test_the_studies_of_the_library_are_there() -> None:
    folders = {name.partition("/")[0] for name in NAMES}
    wanted = {"vip", "mt2st", "few_task", "balancing", "data_fraction", "scale_invariance", "imbalance"}
    assert wanted <= folders


def test_no_study_lies_in_the_folder_of_another() -> None:
    folders = [Path(study_of(path)["output_dir"]) for path in (*STUDIES, *SWEEPS)]
    assert len(set(folders)) == len(folders)
    assert not [folder for folder in folders if set(folder.parents) & set(folders)]


MANY_ARMS = "balancing"
OF_COMPARE = {"quickstart", "affecteval", "tweeteval", "affinity", "data_fraction", "scale_invariance", "imbalance"}
OF_PAIRS = [FOLDER / "affinity" / "all_data" / "study.yaml"]  # of 17 tasks, whose tables nobody would read
BY_COMPARE = [path for path in WITH_RESULTS if path.relative_to(FOLDER).parts[0] in OF_COMPARE]
OLDER = [path for path in WITH_RESULTS if path not in BY_COMPARE]  # records that were made of another program's


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] if path.parent.name == MANY_ARMS else []) for path in STUDIES],
    ids=NAMES,
)
def test_every_arm_is_a_recipe_that_loads(path: Path) -> None:
    study = load_study(path, allow_code=True)
    assert list(study.arms) == list(study_of(path)["arms"])
    assert study.reference in study.arms


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.parent.name)
def test_every_sweep_loads(path: Path) -> None:
    assert read_sweep(path).trials >= 1


@pytest.mark.parametrize("path", OLDER, ids=lambda path: path.parent.relative_to(FOLDER).as_posix())
def test_results_are_records_of_its_arms(path: Path) -> None:
    study = study_of(path)
    tasks = load_recipe(path.parent / study["base"]).tasks
    keys = []
    for record in records_of(path):
        assert record.keys() == KEYS | {"more"}
        assert record["arm"] in study["arms"]
        arm = study["arms"][record["arm"]]
        is_single = arm == "single_task" or arm.get("single_task", False)
        assert (record["task"] is not None) == is_single
        scored = {name: tasks[name] for name in record["test"] or record["validation"]}
        assert record["lower_is_better"] == lower_is_better(scored)
        for split in ("validation", "test"):
            values = record[split] or {}
            scores = {name: task_score(value, tasks[name]) for name, value in values.items()}
            assert (record["scores"][split] or {}) == pytest.approx(scores)
        keys.append((record["kind"], record["arm"], record["seed"], record["task"]))
    runs = [key for key in keys if key[0] == "run"]
    assert len(set(runs)) == len(runs)
    missing = set(study["arms"]) - {arm for _, arm, _, _ in runs}
    assert missing == ({"db_mtl-beta-0"} if path.parent.name == "balancing" else set())  # came after these runs
    seeds = study["seeds"] if isinstance(study["seeds"], list) else list(range(study["seeds"]))
    for name in set(study["arms"]) - missing:
        assert {seed for _, arm, seed, _ in runs if arm == name} >= set(seeds)


@pytest.mark.parametrize("path", BY_COMPARE, ids=lambda path: path.parent.name)
def test_results_of_compare_are_of_the_recipes_as_they_are(path: Path) -> None:
    if path.parent.name != "quickstart" and not (FOLDER.parents[2] / "shared" / "data").exists():
        pytest.skip("what is in the data's files is part of a run, and they are not here")
    trials = trials_of(load_study(path, allow_code=True))
    runs = [record for record in records_of(path) if record["kind"] == "run"]
    found = sorted((record["arm"], record["seed"], str(record["task"]), record["identity"]) for record in runs)
    assert found == sorted((t.arm.name, t.seed, str(t.part.task), t.identity) for t in trials)


@pytest.mark.parametrize(
    "path",
    [path for path in WITH_RESULTS if path not in OF_PAIRS],
    ids=lambda path: path.parent.relative_to(FOLDER).as_posix(),
)
def test_its_page_shows_what_a_report_writes(path: Path) -> None:
    shown = parts_of((path.parent / "README.md").read_text())["measured"]
    assert shown.strip() == build(read_answer(path.parent)).markdown().strip()


@pytest.mark.parametrize("place", ["affinity", "affinity/all_data"])
def test_pages_say_how_affinities_agree_with_gains(place: str) -> None:
    folder = FOLDER / place
    found = json.loads((folder / "linearised.json").read_text())
    tasks, values = found["tasks"], found["affinity"]
    affinity = {(i, j): values[a][b] for a, i in enumerate(tasks) for b, j in enumerate(tasks) if i != j}
    gains = pair_gains(read_jsonl(folder / "results.jsonl"))
    agreement = rank_agreement(affinity, gains)
    said = (folder / "README.md").read_text()
    assert len(gains) == len(tasks) * (len(tasks) - 1)
    assert f"Spearman {agreement.spearman:.2f}" in said
    assert f"p {agreement.p:.2f}" in said
