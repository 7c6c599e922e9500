"""A study as a program: each cell is done once, and a try is kept apart."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import pytest

from hf_mtl.experiments.places import Places
from hf_mtl.experiments.results import Record, Results
from hf_mtl.experiments.study import Study, StudySettings


@dataclass(frozen=True)
class Settings(StudySettings):
    steps: int = 20
    rows: int = 10
    seeds: tuple[int, ...] = (0, 1)
    test_rows: int = 8

    def fitted(self) -> Self:
        return replace(self, test_rows=min(self.test_rows, self.rows))


class Benches:
    """Settings of the benches that were prepared, and the runs that were done."""

    def __init__(self, fails: str = "") -> None:
        self.prepared: list[Settings] = []
        self.done: list[tuple[str, int]] = []
        self.fails = fails

    def __call__(self, settings: Settings) -> "Benches":
        self.prepared.append(settings)
        return self

    def measure(self, bench: "Benches", arm: str, seed: int, folder: Path) -> Record:
        folder.mkdir(parents=True)
        if arm == self.fails:
            raise KeyError(arm)
        bench.done.append((arm, seed))
        return {"score": len(arm) + seed}


def study(folder: Path, benches: Benches) -> Study[Settings, Benches]:
    places = Places(folder / "work", folder / "results.jsonl", folder / "README.md")
    return Study(
        places,
        Settings(),
        "a task",
        lambda settings: {seed: ["ew", "uw"] for seed in settings.seeds},
        benches,
        benches.measure,
        lambda record: f"score {record['score']}",
    )


def test_every_cell_is_done_once_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benches = Benches()
    study(tmp_path, benches).work("What it asks", [])
    assert benches.done == [("ew", 0), ("uw", 0), ("ew", 1), ("uw", 1)]
    assert benches.prepared == [Settings()]
    first = Results(tmp_path / "results.jsonl").all()[0]
    assert first.pop("seconds") >= 0
    assert first == {"arm": "ew", "seed": 0, "steps": 20, "rows": 10, "score": 2}
    assert capsys.readouterr().out.splitlines()[0].endswith("'rows': 10}: score 2")
    assert list((tmp_path / "work" / "trainer").iterdir()) == []


def test_finished_runs_never_repeat_and_nothing_is_prepared_for_them(tmp_path: Path) -> None:
    for _ in range(2):
        benches = Benches()
        study(tmp_path, benches).work(None, [])
    assert (benches.prepared, benches.done) == ([], [])


def test_a_study_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        study(tmp_path, Benches(fails="uw")).work(None, [])
    benches = Benches()
    study(tmp_path, benches).work(None, [])
    assert benches.done == [("uw", 0), ("ew", 1), ("uw", 1)]


def test_a_second_process_starts_with_the_last_seed(tmp_path: Path) -> None:
    benches = Benches()
    study(tmp_path, benches).work(None, ["--reverse"])
    assert benches.done == [("ew", 1), ("uw", 1), ("ew", 0), ("uw", 0)]


def test_a_try_is_kept_apart_and_has_settings_that_fit_it(tmp_path: Path) -> None:
    small = ["--steps", "4", "--rows", "3", "--seeds", "1"]
    benches = Benches()
    made = study(tmp_path, benches)
    made.work(None, small)
    assert benches.prepared == [Settings(steps=4, rows=3, seeds=(0,), test_rows=3)]
    made.work(None, [])
    assert benches.prepared[1:] == [Settings()]
    sizes = {
        tuple(arguments): {arm: len(runs) for arm, runs in made.runs(options, ["uw", "ew", "mgda"]).items()}
        for arguments in (small, [])
        for options in [made.parser(None).parse_args(arguments)]
    }
    assert sizes == {tuple(small): {"uw": 1, "ew": 1}, (): {"uw": 2, "ew": 2}}
