"""The file of a sweep: read once, with everything that is wrong in it, before anything is run."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.experiments.arms import told_once
from hf_mtl.experiments.file_schema import Folder, file_schema
from hf_mtl.experiments.sweep.arms import Arm
from hf_mtl.experiments.sweep.metric import directions, metric_mistakes
from hf_mtl.experiments.sweep.pruning import parse_pruning
from hf_mtl.experiments.sweep.scalarisation import Weights
from hf_mtl.experiments.sweep.sections import read_arms
from hf_mtl.experiments.sweep.space import Values
from hf_mtl.plain import describe
from hf_mtl.recipe.extends import read_extended
from hf_mtl.recipe.overrides import apply_overrides
from hf_mtl.recipe.places import Places
from hf_mtl.validation import validate

JOURNAL = "journal"
"""What ``storage`` says for a file in the sweep's folder."""

_OF_ARMS = {"base", "set", "arms", "search", "scalarisation"}
"""The keys that arms are read from."""


class SweepFile(BaseModel):
    """Keys of a sweep's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(description="The recipe that is searched in, relative to this file.")
    output_dir: Folder = Field(description="Folder of the sweep: its study, its runs, what came out.")
    trials: int = Field(
        ge=1, le=1_000_000, description="Trials of every arm, the default and failed ones among them."
    )
    search: dict[str, Any] = Field(
        default_factory=dict,
        description="Recipe keys and their values: {low, high, log, step} or {choices: [...]}.",
    )
    scalarisation: dict[str, Any] | None = Field(None, description="Search fixed loss weights: {tasks, low, high}.")
    set: dict[str, Any] = Field(default_factory=dict, description="Recipe keys that all arms replace.")
    arms: dict[str, dict[str, Any] | None] | None = Field(
        None, description="By name the recipe keys that an arm replaces, with extends, and search of its own."
    )
    startup: int = Field(10, ge=1, description="Trials before TPE begins: the default, and random ones.")
    seed: int = Field(0, ge=0, lt=2**32, description="Of the sampler. That of the runs is training.seed.")
    metric: str = Field("average", description="Validation score to select by: average, macro, worst, TASK_METRIC.")
    pruning: Any = Field(
        "off",
        description="A pruner of optuna that ends hopeless trials: off, median, percentile, successive_halving, "
        "hyperband or threshold, or {name: ..., its options}.",
    )
    storage: str = Field(JOURNAL, description="Where the study is kept: journal, or the URL of a database.")


def sweep_schema() -> dict[str, Any]:
    """Build the JSON Schema of sweep files, for completion and checks in editors."""
    found = file_schema(SweepFile, "sweep")
    for key, model in (("search", Values), ("scalarisation", Weights)):
        found["$defs"][model.__name__] = model.model_json_schema()
        # Searched keys may be nested, so that a mapping is values or holds them.
        takes = {"additionalProperties": {"type": "object"}} if key == "search" else _or_null(model)
        found["properties"][key] = {**found["properties"][key], **takes}
    return found


def _sound(plain: Mapping[str, Any], wrong: Set[str]) -> dict[str, Any]:
    """Return what a file says: defaults in the place of wrong settings, and no wrong key that arms are read from."""
    kept = {key: field for key, field in SweepFile.model_fields.items() if key not in wrong & _OF_ARMS}
    defaults = {key: field.get_default(call_default_factory=True) for key, field in kept.items()}
    return {**defaults, **{key: value for key, value in plain.items() if key not in wrong}}


def _storage_mistakes(storage: str) -> list[Mistake]:
    if storage == JOURNAL or "://" in storage:
        return []
    remedy = "Allowed: journal, or the URL of a database, such as sqlite:///sweep.db."
    return [Mistake("storage", f"found {describe(storage)}", remedy)]


def _or_null(model: type[BaseModel]) -> dict[str, Any]:
    return {"anyOf": [{"$ref": f"#/$defs/{model.__name__}"}, {"type": "null"}]}


@dataclass(frozen=True)
class Sweep:
    """A sweep that can be run.

    Args:
        path: Its file.
        arms: The arms.
        output_dir: Its folder.
        trials: Trials of each arm.
        startup: How many of them come before TPE.
        seed: Seed of the sampler.
        metric: The score that is selected by.
        maximize: Whether more of it is better.
        pruning: The pruner's name and options; None: none.
        storage: ``journal``, or the URL of a database.
        allow_code: Whether code that the recipes name may be run.
    """

    path: Path
    arms: tuple[Arm, ...]
    output_dir: Path
    trials: int
    startup: int
    seed: int
    metric: str
    maximize: bool
    pruning: dict[str, Any] | None
    storage: str
    allow_code: bool = False

    def folder(self, arm: str, number: int) -> Path:
        """Return the folder of a trial's run."""
        return self.output_dir / "runs" / arm / f"trial-{number}"


def read_sweep(path: str | Path, overrides: Sequence[str] = (), allow_code: bool = False) -> Sweep:
    """Read a sweep and check all of it: every arm's recipe, and every searched key with the ends of its values.

    Args:
        path: The file.
        overrides: ``key=value`` with dotted keys of the file, which win over it.
        allow_code: Whether code that the recipes name may be run.

    Raises:
        RecipeError: With everything that is wrong, each mistake with the file and line that says it.
    """
    mistakes: list[Mistake] = []
    node = apply_overrides(read_extended(path, mistakes, "sweep"), overrides, mistakes)
    wrong: list[Mistake] = []
    plain = node.plain()
    parsed = validate(SweepFile, plain, (), wrong)
    mistakes += wrong
    # The keys that are sound are looked at whatever is wrong with others, so that everything is said at once.
    sound = _sound(plain, {item.key.partition(".")[0] for item in wrong})
    pruning = parse_pruning(sound["pruning"], mistakes)
    mistakes += _storage_mistakes(sound["storage"])
    arms = read_arms(node, allow_code, mistakes) if sound.keys() >= _OF_ARMS else []
    for arm in arms:
        mistakes += metric_mistakes(sound["metric"], arm, pruned=pruning is not None)
    if parsed is None or mistakes:
        raise RecipeError(told_once(mistakes, Places.of(node)))
    return Sweep(
        path=Path(path),
        arms=tuple(arms),
        output_dir=Path(parsed.output_dir).expanduser(),
        trials=parsed.trials,
        startup=parsed.startup,
        seed=parsed.seed,
        metric=parsed.metric,
        maximize=all(directions(arm.recipe.tasks)[parsed.metric] for arm in arms),
        pruning=pruning,
        storage=parsed.storage,
        allow_code=allow_code,
    )
