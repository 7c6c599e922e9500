from pathlib import Path

from hf_mtl.experiments.results import Results


def test_a_file_that_is_not_there_holds_no_runs(tmp_path: Path) -> None:
    results = Results(tmp_path / "deep" / "results.jsonl")
    assert results.all() == []
    assert results.find(arm="ew") is None
    assert not (tmp_path / "deep").exists()


def test_a_run_is_found_by_all_of_its_key(tmp_path: Path) -> None:
    results = Results(tmp_path / "deep" / "results.jsonl")
    first = results.add({"arm": "ew", "seed": 0, "learning_rate": 5e-4, "score": {"a": [1.0, 2.0]}})
    second = results.add({"arm": "ew", "seed": 1, "learning_rate": 5e-4, "score": {"a": [1.0]}})
    assert Results(results.path).all() == [first, second]
    assert results.find(arm="ew", seed=1, learning_rate=5e-4) == second
    assert results.find(arm="ew") == first
    assert results.find(arm="ew", seed=2) is None
    assert results.find(arm="ew", seed=1, steps=5) is None


def test_a_run_whose_line_was_cut_short_is_not_finished(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    results.add({"arm": "ew", "seed": 0})
    with results.path.open("a") as file:
        file.write('{"arm": "ew", "seed": 1')
    assert results.find(seed=1) is None
    results.add({"arm": "ew", "seed": 2})
    assert [record["seed"] for record in results.all()] == [0, 2]
