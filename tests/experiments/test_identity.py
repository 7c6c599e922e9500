from pathlib import Path

import pytest

from hf_mtl.errors import DataError
from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.single_task import as_node
from hf_mtl.experiments.compare.trials import in_folder, trials_of
from hf_mtl.experiments.identity import digest, same_anywhere
from hf_mtl.recipe.load import recipe_of
from hf_mtl.recipe.nodes import Origin
from tests.experiments.compare.world import write_study


def test_an_identity_stays_where_a_study_and_its_files_move_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        write_study(tmp_path / name, output_dir="out")
    (tmp_path / "other.jsonl").write_text('{"text": "other", "label": 0}\n')
    arm = f"arms.uw={{tasks.topic.dataset.data_files.train: {tmp_path}/other.jsonl}}"

    def identities(name: str, *overrides: str) -> list[str]:
        monkeypatch.chdir(tmp_path / name)
        return [trial.identity for trial in trials_of(load_study("study.yaml", overrides))]

    assert identities("here") == identities("there")
    assert identities("here", arm) == identities("there", arm) != identities("here")
    # Through a link, or with the files of another folder, it is what is in them that counts.
    (tmp_path / "link").symlink_to(tmp_path / "here")
    assert identities("link") == identities("here") == identities("here", "base=../there/recipe.yaml")
    with (tmp_path / "there" / "mood.train.jsonl").open("a") as file:
        file.write((tmp_path / "here" / "mood.train.jsonl").read_text())
    assert identities("here", "base=../there/recipe.yaml") != identities("here")


def test_other_rows_in_the_same_files_make_other_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_study(tmp_path, output_dir="out")

    def identities() -> dict[str, str]:
        return {trial.claim: trial.identity for trial in trials_of(load_study("study.yaml"))}

    before, file = identities(), tmp_path / "topic.train.jsonl"
    file.touch()
    assert identities() == before
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[1:]))
    after = identities()
    assert {claim for claim in before if before[claim] == after[claim]} == set()
    file.write_text("".join(lines))
    assert identities() == before


def test_other_content_of_any_file_that_a_recipe_names_makes_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = [
        *("model/config.json", "model/model.safetensors", "tokenizer/tokenizer.json", "llm/model.safetensors"),
        *("score.py", "fsdp.json", "identity_plugin.py", "identity_rows.py", "rows/train.csv", "rows/deep/test.csv"),
    ]
    for name in (*files, "model/checkpoint-5/optimizer.pt"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("before")
    dataset = {"path": "./rows", "function": "identity_rows.make"}
    recipe = {
        "plugins": ["identity_plugin"],
        "model": {"backbone": "./model", "tokenizer": "./tokenizer"},
        "baselines": {"llm": {"model": "./llm"}},
        "tasks": {"one": {"dataset": dataset, "metrics": ["./score.py"]}},
        "training": {"fsdp_config": "fsdp.json", "output_dir": str(tmp_path)},
    }
    node = as_node(recipe, Origin("recipe.yaml", str(tmp_path)))
    found = [digest(same_anywhere(node, tmp_path))]
    (tmp_path / "model" / "checkpoint-5" / "optimizer.pt").write_text("afterwards")
    assert digest(same_anywhere(node, tmp_path)) == found[0]
    for name in files:
        (tmp_path / name).write_text("afterwards")
        found.append(digest(same_anywhere(node, tmp_path)))
    assert len(set(found)) == len(files) + 1


def test_files_in_folders_and_of_patterns_are_read_and_names_of_the_hub_are_not(tmp_path: Path) -> None:
    origin = Origin("recipe.yaml", str(tmp_path))
    tasks = {
        "one": {"dataset": {"path": "csv", "data_files": {"train": ["parts/**/*.csv", "https://somewhere/c.csv"]}}},
        "two": {"dataset": [{"path": "./parts"}, {"path": "owner/name"}]},
    }

    def found() -> list[str]:
        whole = same_anywhere(as_node({"tasks": tasks}, origin), tmp_path)["tasks"]
        (pattern, url), sources = whole["one"]["dataset"]["data_files"]["train"], whole["two"]["dataset"]
        return [pattern, url, *(source["path"] for source in sources)]

    seen = []
    for name, text in {"a.csv": "1", "deep/a.csv": "1", "b.csv": "1", "a.csv ": "1", "note.txt": "1"}.items():
        path = tmp_path / "parts" / name.strip()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if name == name.strip() else "2")
        seen.append(found())
    patterns, urls, folders, ids = zip(*seen, strict=True)
    assert (len(set(patterns)), len(set(folders))) == (4, 5)  # the note is not of the pattern
    assert (set(urls), set(ids)) == ({"https://somewhere/c.csv"}, {"owner/name"})


def test_a_missing_file_is_no_changed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_study(tmp_path, arms={"ew": {}, "uw": {"tasks.topic.dataset.data_files.train": "more.jsonl"}})
    (trial, other) = trials_of(load_study(path))
    assert trial.identity
    with pytest.raises(DataError, match=r"study.yaml:\d+: no such file or folder: '.*more.jsonl'. Put it back"):
        _ = other.identity


def test_of_a_package_all_modules_count_and_of_a_run_that_is_a_model_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    node = as_node({"plugins": ["identity_package"], "model": {"backbone": "./run"}}, Origin("x.yaml", str(tmp_path)))
    seen = []
    for name in (
        *(
            "identity_package/__init__.py",
            "run/model.safetensors",
            "identity_package/deep/heads.py",
            "run/config.json",
        ),
        *("run/log.jsonl", "run/training_args.bin", "run/machine.json", "run/checkpoint-1/model.safetensors"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
        if len(list(tmp_path.glob("run/*"))):
            seen.append(digest(same_anywhere(node, tmp_path)))
    assert len(set(seen[:3])) == 3
    assert set(seen[3:]) == {seen[2]}


def test_the_folder_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    (trial, *_) = trials_of(load_study(write_study(tmp_path)))
    moved = in_folder(trial.node, tmp_path / "there")
    assert recipe_of(moved).training.options()["output_dir"] == str(tmp_path / "there")
    assert same_anywhere(moved, tmp_path) == same_anywhere(trial.node, tmp_path)


def test_a_digest_is_that_of_the_values_in_any_order() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
