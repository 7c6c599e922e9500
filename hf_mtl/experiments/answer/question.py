"""What a study asked, as its folder tells: arms, reference, seeds, budget, and what difference matters."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hf_mtl.errors import CheckpointError, Mistake, known
from hf_mtl.experiments.answer.aggregators import aggregators_in
from hf_mtl.experiments.answer.said_of_arms import arms_in, base_in
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.verdict import SMALLEST
from hf_mtl.plain import describe

STUDY = "study.yaml"
RESULTS = "results.jsonl"
SINGLE_TASK = "single_task"


@dataclass(frozen=True)
class Question:
    """What a study asks.

    Args:
        name: Its name.
        arms: Its arms, in their order.
        reference: The arm that others are compared with.
        seeds: The seeds that each arm is to have.
        folds: Folds of each seed; None: none.
        smallest: The smallest difference of interest, in points.
        budget: What is equal in all arms; empty: not known.
        notes: What the folder does not tell, a sentence each.
        aggregators: The gradient aggregators of arms, as far as the study's file names them.
        base: The base recipe and what is replaced in it in all arms, as far as the file says.
        sets: What each arm replaces in it, as far as the file says.
        parts: How many runs each seed and fold of an arm is to have, as far as the folder tells.
    """

    name: str
    arms: tuple[str, ...]
    reference: str
    seeds: tuple[int, ...]
    folds: int | None = None
    smallest: float = SMALLEST
    budget: str = ""
    notes: tuple[str, ...] = field(default=())
    aggregators: Mapping[str, str] = field(default_factory=dict)
    base: tuple[str, ...] = ()
    sets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def units(self) -> int:
        """Return the number of runs that each arm is to have."""
        return len(self.seeds) * (self.folds or 1)


def read_question(folder: Path, records: Sequence[Record], said: Mapping[str, Any] | None = None) -> Question:
    """Read what a study asked; what its file does not tell is taken from its records, and said.

    Args:
        folder: The study's folder.
        records: Its finished runs.
        said: What the study's file says; None: that of ``study.yaml`` in the folder.

    Raises:
        CheckpointError: If its file cannot be read; names it.
    """
    said = read_yaml(folder / STUDY) if said is None else said
    named = list(said["arms"]) if isinstance(said.get("arms"), Mapping) else []
    # Contenders that were made of others' runs are no arms of the file; other arms that it does not name are old.
    kinds = ("merged",) if named else ("run", "merged", "failed")
    seen = dict.fromkeys(str(record["arm"]) for record in records if record.get("kind") in kinds)
    arms = [*named, *(arm for arm in seen if arm not in named)]
    notes = [] if named else [f"{folder / STUDY} is not there or names no arms: they are those of {RESULTS}."]
    reference = said.get("reference") or _first_single(said) or _single(records, arms)
    if named and reference not in (None, *arms):
        problem = f"{folder / STUDY}: reference: unknown arm {describe(reference)}"
        raise CheckpointError(Mistake("", problem, known(arms, str(reference))))
    return Question(
        _name(folder),
        tuple(arms),
        str(reference or next(iter(arms), "")),
        *_numbers(said, records, folder / STUDY),
        _budget(said.get("budget"), folder / STUDY),
        tuple(notes),
        aggregators_in(said),
        tuple(base_in(said)),
        arms_in(said),
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a study's file as it is; empty where there is none.

    Args:
        path: The file.

    Raises:
        CheckpointError: If it is no mapping in YAML.
    """
    if not path.exists():
        return {}
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CheckpointError(Mistake("", f"{path}: cannot be read ({error})", "Mend it, or move it away")) from error
    if not isinstance(found, dict):
        raise CheckpointError(Mistake("", f"{path}: is no study, which is a mapping", "Mend it, or move it away"))
    return found


def merging_in(said: Mapping[str, Any], path: Path) -> list[str] | None:
    """Return the methods by which a study merges; None: its file does not tell.

    Args:
        said: What its file says; empty: there is none.
        path: The file, to name it.

    Raises:
        CheckpointError: If they are no list.
    """
    if not said:
        return None
    found = said.get("merging") or []
    if not isinstance(found, list):
        problem = f"{path}: merging: found {describe(found)}"
        raise CheckpointError(Mistake("", problem, "Allowed: a list of methods, such as [average]"))
    return list(map(str, found))


def _name(folder: Path) -> str:
    return folder.resolve().name


def _first_single(said: Mapping[str, Any]) -> str | None:
    """Return the first arm that a study's file says to train each task alone, which is compared with by default."""
    arms = said.get("arms")
    for name, arm in arms.items() if isinstance(arms, Mapping) else ():
        if arm == SINGLE_TASK or (isinstance(arm, Mapping) and arm.get(SINGLE_TASK) is True):
            return str(name)
    return None


def _single(records: Sequence[Record], arms: Sequence[str]) -> str | None:
    """Return the arm of that name whose runs are of one task each, or else the first such arm."""
    runs = [record for record in records if record["kind"] == "run" and record["arm"] in arms]
    of_several = {str(record["arm"]) for record in runs if not record.get("task") or "+" in record["task"]}
    single = dict.fromkeys(arm for record in runs if (arm := str(record["arm"])) not in of_several)
    return SINGLE_TASK if SINGLE_TASK in single else next(iter(single), None)


def _numbers(
    said: Mapping[str, Any], records: Sequence[Record], path: Path
) -> tuple[tuple[int, ...], int | None, float]:
    """Return seeds, folds and the smallest difference of interest, of a file that someone may have edited."""
    try:
        smallest = float(said.get("smallest") or SMALLEST)
        if not 0 < smallest < math.inf:
            raise ValueError(f"smallest: {smallest}")
        return _seeds(said, records), _folds(said, records), smallest
    except (TypeError, ValueError) as error:
        problem = f"{path}: seeds, folds, repeats and smallest must be numbers, smallest above 0 ({error})"
        raise CheckpointError(Mistake("", problem, "Mend it; compare shows where")) from error


def _seeds(said: Mapping[str, Any], records: Sequence[Record]) -> tuple[int, ...]:
    seeds = said.get("seeds")
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        return tuple(range(seeds))
    if isinstance(seeds, list):
        return tuple(map(int, seeds))
    if seeds is not None:
        raise ValueError(f"seeds: {describe(seeds)}")
    return tuple(sorted({int(record["seed"]) for record in records if "seed" in record}))


def _folds(said: Mapping[str, Any], records: Sequence[Record]) -> int | None:
    folds = said.get("folds")
    if isinstance(folds, int) and not isinstance(folds, bool):
        return folds * int(said.get("repeats") or 1)
    if folds is not None:
        raise ValueError(f"folds: {describe(folds)}")
    seen = [int(record["fold"]) for record in records if record.get("fold") is not None]
    return max(seen) + 1 if seen else None


def _budget(said: Any, path: Path) -> str:
    """Return what a study keeps equal, in words; empty: its file does not say."""
    words = {
        "steps": "optimizer steps",
        "backward_passes": "backward passes",
        "flops": "floating-point operations",
        "seconds": "seconds of the optimizer's time",
    }
    equal = said.get("equal") if isinstance(said, Mapping) else said
    if equal is not None and equal not in words:
        problem = f"{path}: budget: found {describe(said)}"
        raise CheckpointError(Mistake("", problem, f"Allowed: {{equal: {' | '.join(words)}}}"))
    return "" if equal is None else words[equal]
