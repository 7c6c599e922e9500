"""The data of a new study, looked at before anything is written or trained."""

from collections.abc import Mapping
from dataclasses import replace

from hf_mtl.data.columns import name_count
from hf_mtl.data.fingerprint import Fingerprint
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.errors import DataError, Mistake, RecipeError, RunError
from hf_mtl.experiments.compare.costs import refuse_untested
from hf_mtl.experiments.compare.load import Study
from hf_mtl.experiments.compare.trials import with_trial
from hf_mtl.experiments.preflight import Looks
from hf_mtl.recipe import Recipe
from hf_mtl.recipe.load import recipe_of
from hf_mtl.recipe.plugins import Code
from hf_mtl.training.folder.output_place import written_over
from hf_mtl.training.run.baselines import check_baselines
from hf_mtl.training.run.prepare import Prepared

FEWEST_TEST_ROWS = 5
"""Test rows that each fold must leave a task, on average.

Rows are dealt out by chance: with 5 one fold in 150 has none, with 2 one in 7. A fold of fewer is scored in steps of
more than 20 points, seldom has every class, and has no correlation to speak of. Ten folds of 50 rows are allowed.
"""


def refuse_unusable(study: Study) -> None:
    """Load rows and tokenizer of the base and of every arm that has its own, as trials of the first seed will.

    Args:
        study: The study.

    Raises:
        UserError: If they cannot be used, no task has test rows, folds would leave a task too few, an arm has others
            than the base, or the baselines that are asked for cannot be scored.
    """
    file = study.file
    code: Code = "allowed" if study.allow_code else "refused"
    fold = None if file.folds is None else 0
    parts = {"": study.base.whole, **{f"arms.{name}": arm.whole for name, arm in study.arms.items()}}
    base, seed = study.base.whole.node, file.seed_list[0]
    recipes = [(key, recipe_of(with_trial(part.node, base, file, seed, fold), code)) for key, part in parts.items()]
    for _, recipe in recipes:
        _refuse_place(study, recipe)
    rows: dict[str, Fingerprint] = {}
    looks = Looks()
    for key, recipe in recipes:
        prepared = looks.at(recipe, key)
        if file.folds is not None:
            _refuse_small_folds(study, file.folds, prepared)
        if not key:
            rows = _test_rows(prepared)
            refuse_untested(study, list(rows))
        _refuse_others(key, rows, _test_rows(prepared))
        if file.baselines and key == f"arms.{study.reference}":
            check_baselines(prepared)


def _refuse_place(study: Study, recipe: Recipe) -> None:
    """Refuse a study's folder where runs would write into what they read, as a run would."""
    if mistakes := written_over(recipe, study.folder):
        raise RunError([replace(item, key="output_dir") for item in mistakes])


def _test_rows(prepared: Prepared) -> dict[str, Fingerprint]:
    return {name: item.fingerprints["test"] for name, item in prepared.data.items() if "test" in item.fingerprints}


def _refuse_others(key: str, base: Mapping[str, Fingerprint], arm: Mapping[str, Fingerprint]) -> None:
    """Refuse an arm whose scores could not be held against those of the base."""
    problem = "has other test rows than the base, or reads other texts, labels or weights of them"
    remedy = (
        "Arms are compared on the same rows: say under set what changes them. Training rows may differ; where files "
        "of them have other classes, name the labels under set"
    )
    other = [task for task in base if task in arm and arm[task] != base[task]]
    if other:
        raise DataError([Mistake(f"{key}.tasks.{task}", problem, remedy) for task in other])


def _refuse_small_folds(study: Study, folds: int, prepared: Prepared) -> None:
    """Refuse folds of tasks that have too few rows for so many."""
    rows = {name: _all_rows(loaded) for name, loaded in prepared.data.items()}
    small = {name: count for name, count in rows.items() if count < folds * FEWEST_TEST_ROWS}
    if small:
        have = ", ".join(f"{name} has {name_count(count)}" for name, count in small.items())
        problem = f"{folds} leave fewer than {FEWEST_TEST_ROWS} test rows in each: {have}"
        most = min(small.values()) // FEWEST_TEST_ROWS
        remedy = f"Allowed here: at most {most}; repeats deals the rows out anew." if most > 1 else "Leave folds out."
        raise RecipeError(Mistake("folds", problem, remedy, str(study.node.value["folds"].origin)))


def _all_rows(loaded: LoadedTask) -> int:
    """Count the rows of a task, with the training rows that a key leaves out."""
    left_out = sum(draw.found - draw.used for draw in loaded.draws)
    return left_out + sum(map(len, loaded.splits.values()))
