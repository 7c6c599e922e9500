"""The data of a new study, looked at before anything is written or trained."""

from collections.abc import Mapping

from hf_mtl.data.fingerprint import Fingerprint
from hf_mtl.errors import DataError, Mistake
from hf_mtl.experiments.compare.costs import refuse_untested
from hf_mtl.experiments.compare.load import Study
from hf_mtl.experiments.compare.trials import with_trial
from hf_mtl.experiments.preflight import prepared_once
from hf_mtl.recipe.load import recipe_of
from hf_mtl.recipe.plugins import Code
from hf_mtl.training.run.prepare import Prepared


def refuse_unusable(study: Study) -> None:
    """Load rows and tokenizer of the base and of every arm that has its own, as trials of the first seed will.

    Args:
        study: The study.

    Raises:
        UserError: If they cannot be used, no task has test rows, or an arm has others than the base.
    """
    file = study.file
    code: Code = "allowed" if study.allow_code else "refused"
    fold = None if file.folds is None else 0
    parts = {"": study.base.whole, **{f"arms.{name}": arm.whole for name, arm in study.arms.items()}}
    recipes = (
        (key, recipe_of(with_trial(part.node, file, file.seed_list[0], fold), code)) for key, part in parts.items()
    )
    rows: dict[str, Fingerprint] = {}
    for key, prepared in prepared_once(recipes):
        if not key:
            rows = _test_rows(prepared)
            refuse_untested(study, list(rows))
        _refuse_others(key, rows, _test_rows(prepared))


def _test_rows(prepared: Prepared) -> dict[str, Fingerprint]:
    return {name: item.fingerprints["test"] for name, item in prepared.data.items() if "test" in item.fingerprints}


def _refuse_others(key: str, base: Mapping[str, Fingerprint], arm: Mapping[str, Fingerprint]) -> None:
    """Refuse an arm whose scores could not be held against those of the base."""
    problem = "has other test rows than the base"
    remedy = "Arms are compared on the same rows: say under set what changes them; files of training rows may differ"
    other = [task for task in base if task in arm and arm[task] != base[task]]
    if other:
        raise DataError([Mistake(f"{key}.tasks.{task}", problem, remedy) for task in other])
