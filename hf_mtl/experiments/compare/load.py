"""Loading of studies: every arm is resolved, so that a mistake in any of them is found before anything is run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_mtl.errors import Mistake, RecipeError, known
from hf_mtl.evaluation.keys import metric_keys
from hf_mtl.experiments.arms import name_mistakes, told_once
from hf_mtl.experiments.compare.arms import Arm, absolute, lengths_of, parse_arm, same_arm_mistakes, told_of
from hf_mtl.experiments.compare.contenders import contender_mistakes
from hf_mtl.experiments.compare.schema import GROUPS, MOST_RUNS, StudyFile
from hf_mtl.recipe import Recipe
from hf_mtl.recipe.extends import read_extended
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.recipe.overrides import apply_overrides
from hf_mtl.recipe.places import Places
from hf_mtl.recipe.plugins import Code
from hf_mtl.validation import validate


@dataclass(frozen=True)
class Study:
    """A study that can be run.

    Args:
        file: What its file says.
        base: The arm whose recipe is the base, with what is replaced in all arms: its budget is everybody's.
        arms: The arms by name.
        reference: The arm that others are compared with.
        allow_code: Whether code that recipes name may be run.
        node: The whole file with all that it extends.
    """

    file: StudyFile
    base: Arm
    arms: dict[str, Arm]
    reference: str
    allow_code: bool = False
    node: Node = field(default_factory=lambda: Node({}, Origin("", "")), repr=False)

    @property
    def folder(self) -> Path:
        """Return the folder of the study."""
        return Path(self.file.output_dir)

    @property
    def tasks(self) -> list[str]:
        """Return the tasks of the base recipe."""
        return list(self.base.whole.recipe.trained_tasks)


def load_study(path: str | Path, overrides: Iterable[str] = (), allow_code: bool = False) -> Study:
    """Load, merge and validate a study with the recipes of all arms.

    Args:
        path: A YAML file.
        overrides: ``key=value`` with dotted keys of the study: ``seeds=1``, ``set.training.max_steps=50``.
        allow_code: Whether code that recipes name may be run.

    Raises:
        RecipeError: With everything that is wrong in the study and in any of its arms.
    """
    mistakes: list[Mistake] = []
    node = apply_overrides(read_extended(path, mistakes, "study"), overrides, mistakes)
    file = validate(StudyFile, node.plain(), (), mistakes)
    code: Code = "allowed" if allow_code else "refused"
    arms, base = _arms(node, code, mistakes)
    if file is None:
        raise RecipeError(told_once(mistakes, Places.of(node)))
    mistakes += same_arm_mistakes(arms)
    reference = _reference(file, arms, mistakes)
    mistakes += [*_budget_mistakes(node, file), *_size_mistakes(file, arms)]
    if base is not None:
        mistakes += contender_mistakes(file, arms, reference)
        mistakes += _scoring_mistakes(node, arms, base.whole.recipe)
    if mistakes or base is None:
        raise RecipeError(told_once(mistakes, Places.of(node)))
    return Study(file, base, arms, reference, allow_code, node)


def read_study(path: str | Path) -> dict[str, Any]:
    """Read what a study's file says, with what it extends and with defaults, whatever its recipes are.

    Args:
        path: A YAML file.

    Raises:
        RecipeError: With everything that is wrong in it.
    """
    mistakes: list[Mistake] = []
    node = read_extended(path, mistakes, "study")
    file = validate(StudyFile, node.plain(), (), mistakes)
    if file is None or mistakes:
        raise RecipeError(told_once(mistakes, Places.of(node)))
    return file.model_dump(mode="json")


def resolved(study: Study) -> dict[str, Any]:
    """Return a study with all of its settings, and what it extends, in one file that can be run from any folder.

    Args:
        study: The study.
    """
    arms = study.node.value["arms"].value
    return {
        **study.file.model_dump(mode="json"),
        "base": absolute(study.node.value["base"]),
        "arms": {name: _with_files(arms[name], said, study.arms[name]) for name, said in study.file.arms.items()},
        "reference": study.reference,
    }


def _with_files(given: Node, said: Any, arm: Arm) -> Any:
    """Return what a study says of an arm, with the whole paths of the recipes that it extends, and with the groups of
    a proposal, whose file may come to be another.
    """
    if not isinstance(given.value, dict):
        return said
    found = dict(said)
    extends = given.value.get("extends")
    if extends is not None:
        found["extends"] = [
            absolute(item) for item in (extends.value if isinstance(extends.value, list) else [extends])
        ]
    if GROUPS in found:
        found[GROUPS] = [list(part.group) for part in arm.parts]
    return found


def _arms(node: Node, code: Code, mistakes: list[Mistake]) -> tuple[dict[str, Arm], Arm | None]:
    """Resolve the base and every arm, as far as the study says them."""
    base, arms, common, folds = (node.value.get(key) for key in ("base", "arms", "set", "folds"))
    if base is None or not isinstance(base.value, str) or arms is None or not isinstance(arms.value, dict):
        return {}, None
    file = (base.value, base.origin)
    common = common if common is not None and isinstance(common.value, dict) else None
    dealt = folds is not None and folds.value is not None
    found: dict[str, Arm] = {}
    for name, given in {"": Node({}, node.origin), **arms.value}.items():
        try:
            mistakes += name_mistakes(name, given) if name else []
            found[name] = parse_arm(name, file, common, given, code, dealt)
        except RecipeError as error:
            mistakes += told_of(error, name, str(node.origin.file)) if name else error.mistakes
    whole = found.pop("", None)
    return found, whole


def _reference(file: StudyFile, arms: dict[str, Arm], mistakes: list[Mistake]) -> str:
    if file.reference is not None and file.reference not in file.arms:
        remedy = known(file.arms, file.reference)
        mistakes.append(Mistake("reference", f"unknown arm '{file.reference}'", remedy))
    single = (name for name, arm in arms.items() if arm.is_single_task)
    return file.reference or next(single, next(iter(file.arms)))


def _scoring_mistakes(node: Node, arms: Mapping[str, Arm], base: Recipe) -> list[Mistake]:
    """Find arms with other metrics: their scores could not be held against those of others."""
    return [
        Mistake(
            f"arms.{name}.tasks.{task}.metrics",
            "scores of arms are compared, and are to be by the same metrics",
            f"Write them under set: {{tasks.{task}.metrics: [...]}}. The base has {_metrics(base, task)}",
            str(node.value["arms"].value[name].origin),
        )
        for name, arm in arms.items()
        for task in arm.whole.recipe.tasks
        if task in base.tasks and metric_keys(arm.whole.recipe.tasks[task]) != metric_keys(base.tasks[task])
    ]


def _metrics(recipe: Recipe, task: str) -> str:
    return ", ".join(metric_keys(recipe.tasks[task]))


def _size_mistakes(file: StudyFile, arms: Mapping[str, Arm]) -> list[Mistake]:
    """Find more runs than a study can have."""
    count = file.runs_of_a_part * sum(len(arm.parts) for arm in arms.values())
    key = "seeds" if file.folds is None else "folds"
    many = Mistake(key, f"asks for {count:,} runs", f"Allowed: at most {MOST_RUNS:,}.")
    return [many] if count > MOST_RUNS else []


def _budget_mistakes(node: Node, file: StudyFile) -> list[Mistake]:
    """Find arms that say how long to train: all have the same budget."""
    return [
        Mistake(
            f"arms.{name}.{key}",
            f"is what the budget decides: equal {file.budget.equal} in all arms",
            "Write it under set, which says how long the base trains",
            str(item.origin),
        )
        for name, given in node.value["arms"].value.items()
        for key, item in lengths_of(given)
    ]
