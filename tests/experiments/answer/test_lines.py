"""Results that someone has edited: a message that names the line, in place of a traceback."""

import json
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import CheckpointError
from hf_mtl.experiments.answer.lines import read_records
from hf_mtl.experiments.answer.report import read_answer
from tests.experiments.answer.records import LIFT, evidence, run, study, write

RECORDED = Path(__file__).parents[3] / "recipes" / "studies"
ROWS = {"kind": "rows", "arm": "ew", "seed": 0, "task": None}
RUN = run("ew", 0, {"irony": 0.5})
BAD: list[tuple[dict[str, Any], str]] = [
    ({"kind": "run"}, "arm: is missing"),
    ({**RUN, "seed": "x"}, "seed: found 'x'"),
    ({**RUN, "seed": None}, "seed: found nothing"),
    ({**RUN, "fold": "x"}, "fold: found 'x'"),
    ({**RUN, "scores": {"test": {"irony": "x"}}}, r"scores\.test\.irony: found 'x'"),
    ({**RUN, "rows": 3}, "rows: found 3"),
    ({**RUN, "curve": [{"scores": {}}]}, r"curve\.0\.step: is missing"),
    ({**ROWS, "evidence": 5}, "evidence: found 5"),
]


@pytest.mark.parametrize(("line", "said"), BAD)
def test_a_line_that_is_no_record_is_named(tmp_path: Path, line: dict[str, Any], said: str) -> None:
    folder = write(tmp_path / "a", [*study({"ew": LIFT}, seeds=1), line], ["single_task", "ew"])
    with pytest.raises(CheckpointError, match=rf"results\.jsonl, line 6: {said}.*Mend or delete the line"):
        read_answer(folder)


def test_records_as_they_are_written_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert read_records(path) == []
    records = [RUN, {**ROWS, "evidence": evidence(0.5)}, {"kind": "trial", "seed": "of a sweep"}]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert read_records(path) == records
    for file in sorted(RECORDED.rglob("results.jsonl")):
        assert read_records(file)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("reference", "nope", r"reference: unknown arm 'nope'\. Known: ew, single_task"),
        ("seeds", "many", "seeds: 'many'"),
        ("folds", "some", "folds: 'some'"),
        ("budget", 3, r"budget: found 3\. Allowed: \{equal: steps"),
        ("budget", {"equal": "stepps"}, "budget: found {equal: stepps}"),
    ],
)
def test_a_key_of_the_study_that_cannot_be_is_named(tmp_path: Path, key: str, value: Any, said: str) -> None:
    folder = write(tmp_path / "a", study({"ew": LIFT}, seeds=1), ["single_task", "ew"], **{key: value})
    with pytest.raises(CheckpointError, match=rf"study\.yaml: .*{said}"):
        read_answer(folder)
