from pathlib import Path

from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.matrix import unfinished
from hf_mtl.experiments.results import Results

KEYS = [{"arm": arm, "seed": seed} for seed in (0, 1) for arm in ("ew", "uw")]


def test_runs_come_in_their_order_without_the_finished_ones(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    results.add({**KEYS[1], "score": 1.0})
    assert list(unfinished(KEYS, results, tmp_path / "claims")) == [KEYS[0], KEYS[2], KEYS[3]]


def test_runs_that_another_process_is_at_or_has_just_finished_are_left_out(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    found = []
    with claim(tmp_path / "claims" / "uw-0"):
        for key in unfinished(KEYS, results, tmp_path / "claims"):
            found.append(key)
            results.add(dict(key))
            results.add(KEYS[3])  # as another process would
    assert found == [KEYS[0], KEYS[2]]


def test_a_run_is_claimed_while_the_caller_is_at_it(tmp_path: Path) -> None:
    keys = unfinished(KEYS, Results(tmp_path / "results.jsonl"), tmp_path / "claims")
    next(keys)
    with claim(tmp_path / "claims" / "ew-0") as mine:
        assert not mine
    next(keys)
    with claim(tmp_path / "claims" / "ew-0") as mine:
        assert mine
