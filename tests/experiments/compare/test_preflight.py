from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from hf_mtl.errors import UserError
from hf_mtl.experiments.compare import compare
from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.preflight import refuse_unusable
from tests import tiny
from tests.experiments.compare.world import write_study
from tests.training import runs

WRONG = {"tasks.topic.label": "no_such_column"}
NO_TEST = {"tasks.topic.test_fraction": None, "tasks.mood.test_fraction": None}
OTHER_ROWS = {"tasks.topic.dataset.data_files.test": "topic.train.jsonl"}
CASES: dict[str, dict[str, Any]] = {
    "^(?!.*arms).*tasks.topic.*no_such_column": {"set": WRONG},
    "arms.last.tasks.topic.*no_such_column": {"arms": {"ew": {}, "last": WRONG}},
    "arms.last.tasks.topic: has other test rows than the base": {"arms": {"ew": {}, "last": OTHER_ROWS}},
    "arms.last.tasks.mood: has other test rows": {"arms": {"ew": {}, "last": {"data.carving_seed": 3}}},
    "arms.last.tasks.topic: has other test rows": {
        "set": {"training.data_seed": 3},
        "arms": {"ew": {}, "last": {"training.data_seed": 5}},
    },
    "arms.last.tasks.mood: has other test rows than the base": {
        "arms": {"ew": {}, "last": {"data.fold": {"of": 5, "number": 1}}},
    },
    "base: no task has test rows": {"set": NO_TEST},
    "^(?!.*arms).*model.freeze: found 99": {"set": {"model.freeze": 99}},
    "arms.last.model.freeze: found 99": {"arms": {"ew": {}, "last": {"model.freeze": 99}}},
    "arms.last.model.peft.*nope": {
        "arms": {"ew": {}, "last": {"model.peft": {"type": "lora", "target_modules": ["nope"]}}}
    },
    "baselines.llm.model: .*nollm": {"set": {"baselines.llm.model": "./nollm"}, "baselines": True},
    "recipe.yaml.*baselines.llm.model: .*bert, which is no causal language model": {
        "recipe": {"baselines": {"llm": {"model": "encoder"}}},
        "baselines": True,
    },
    "folds: 60 leave fewer than 5 test rows in each: topic has .* Allowed here: at most": {"folds": 60},
}


def write_encoder(folder: Path) -> None:
    """A model with its tokenizer that is no language model."""
    AutoConfig.for_model(**tiny.BERT).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)


@pytest.mark.parametrize("said", CASES)
def test_a_mistake_that_only_the_data_show_is_found_before_anything_is_written(said: str, tmp_path: Path) -> None:
    write_encoder(tmp_path / "encoder")
    path = write_study(tmp_path, **CASES[said], output_dir=str(tmp_path / "deep" / "out"))
    for options in ({}, {"workers": 2}, {"executor": "print"}):
        with runs.own_cache(tmp_path), pytest.raises(UserError, match=said):
            compare(path, **options)
    assert not (tmp_path / "deep").exists()


def test_without_slurm_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with runs.own_cache(tmp_path), pytest.raises(UserError, match="--executor"):
        compare(write_study(tmp_path, output_dir=str(tmp_path / "out")), executor="slurm")
    assert not (tmp_path / "out").exists()


def test_the_baselines_are_those_of_the_reference(tmp_path: Path) -> None:
    """Only its runs score them; what another arm, or a study without baselines, names is not looked for."""
    arms = {"ew": {"balancing.weighting": "ew"}, "uw": {"baselines.llm.model": "./nollm"}}
    with runs.own_cache(tmp_path):
        refuse_unusable(load_study(write_study(tmp_path, arms=arms, baselines=True)))
        refuse_unusable(load_study(write_study(tmp_path, arms=arms, reference="uw")))
        with pytest.raises(UserError, match=r"study.yaml:\d+: baselines.llm.model: .*nollm"):
            refuse_unusable(load_study(write_study(tmp_path, arms=arms, reference="uw", baselines=True)))


def test_a_folder_that_runs_read_is_refused(tmp_path: Path) -> None:
    folder = {"tasks.topic.dataset": {"path": str(tmp_path)}}
    with runs.own_cache(tmp_path / "cache"):
        study = load_study(write_study(tmp_path, set={**folder, "tasks.topic.label": "label"}))
        with pytest.raises(UserError, match=r"output_dir: .*out lies in .*, which the run reads"):
            refuse_unusable(study)


def test_an_arm_that_comes_later_is_looked_at_too_and_a_missing_file_changes_nothing(tmp_path: Path) -> None:
    arms: dict[str, Any] = {"ew": {"balancing.weighting": "ew"}}
    with runs.own_cache(tmp_path):
        compare(write_study(tmp_path, arms=arms), say=lambda text: None)
        kept = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.json*")}
        with pytest.raises(UserError, match="has other test rows than the base"):
            compare(write_study(tmp_path, arms={**arms, "last": OTHER_ROWS}))
        path = write_study(tmp_path, arms=arms)
        (tmp_path / "topic.train.jsonl").rename(tmp_path / "gone")
        with pytest.raises(UserError, match="no such file or folder"):
            compare(path)
        assert {path: path.read_bytes() for path in (tmp_path / "out").glob("*.json*")} == kept


def test_folds_take_five_rows_each(tmp_path: Path) -> None:
    """All rows of a task are dealt out, also training rows that a key leaves out: mood has 92."""
    cut = {"tasks.mood.max_rows": 4, "tasks.topic.max_rows": 4}
    with runs.own_cache(tmp_path):
        refuse_unusable(load_study(write_study(tmp_path, set=cut, folds=18)))
        with pytest.raises(UserError, match=r"study.yaml:\d+: folds: 19 .*: mood has 92 rows. Allowed .* 18;"):
            refuse_unusable(load_study(write_study(tmp_path, set=cut, folds=19)))
