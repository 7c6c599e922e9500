"""The lines of a study's results, which someone may have edited: each as it has to be, or one message."""

from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from hf_mtl.errors import CheckpointError, Mistake
from hf_mtl.experiments.results import Record, Results
from hf_mtl.plain import describe

Number: TypeAlias = float | None
ByTask: TypeAlias = dict[str, Number] | None
ByTaskAndName: TypeAlias = dict[str, dict[str, Number] | None] | None


class _Point(BaseModel):
    """An evaluation while training."""

    model_config = ConfigDict(strict=True, extra="allow")

    step: float
    flops: Number = None
    seconds: Number = None
    scores: ByTask = None


class _Line(BaseModel):
    """What is read of a run, of merged models, of a run that failed, or of a comparison by rows."""

    model_config = ConfigDict(strict=True, extra="allow")

    kind: Literal["run", "failed", "merged", "rows"]
    arm: str
    seed: int
    task: str | None = None
    fold: int | None = None
    scores: ByTaskAndName = None
    validation: ByTaskAndName = None
    test: ByTaskAndName = None
    lower_is_better: dict[str, dict[str, bool] | None] | None = None
    steps: Number = None
    flops: Number = None
    backward_passes: Number = None
    seconds: Number = None
    rows: ByTaskAndName = None
    passes: ByTask = None
    train_losses: ByTask = None
    cosines: ByTask = None
    conflict_rate: Number = None
    contamination: ByTask = None
    curve: list[_Point] | None = None
    aggregator: str | None = None
    baselines: dict[str, dict[str, Any] | None] | None = None
    price: ByTaskAndName = None
    evidence: dict[str, float | str | None] | None = None


KINDS = ("run", "failed", "merged", "rows")
"""What the lines of a study are; those of a sweep, or rows with predictions, are something else."""


def read_records(path: Path) -> list[Record]:
    """Read the records of a study; those of other kinds are not looked at.

    Args:
        path: Its ``results.jsonl``; need not exist.

    Raises:
        CheckpointError: If a line is no record, or has something else where it is read; names the line.
    """
    records = Results(path).all()
    for number, record in enumerate(records, start=1):
        if record.get("kind") in KINDS:
            _check(record, f"{path}, line {number}")
    return records


def _check(record: Record, where: str) -> None:
    try:
        _Line.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("dict[", "nullable")))
        wrong = f"found {describe(first['input'])} ({first['msg']})"
        problem = f"{where}: {key}: {'is missing' if first['type'] == 'missing' else wrong}"
        raise CheckpointError(Mistake("", problem, "Mend or delete the line")) from error
