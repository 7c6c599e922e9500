"""The data of a new study, looked at before anything is written or trained."""

from hf_mtl.experiments.compare.costs import refuse_untested
from hf_mtl.experiments.compare.load import Study
from hf_mtl.experiments.compare.trials import with_trial
from hf_mtl.experiments.preflight import prepared_once
from hf_mtl.recipe.load import recipe_of
from hf_mtl.recipe.plugins import Code


def refuse_unusable(study: Study) -> None:
    """Load rows and tokenizer of the base and of every arm that has its own, as trials of the first seed will.

    Args:
        study: The study.

    Raises:
        UserError: If they cannot be used, or no task has test rows.
    """
    file = study.file
    code: Code = "allowed" if study.allow_code else "refused"
    fold = None if file.folds is None else 0
    parts = {"": study.base.whole, **{f"arms.{name}": arm.whole for name, arm in study.arms.items()}}
    recipes = (
        (key, recipe_of(with_trial(part.node, file, file.seed_list[0], fold), code)) for key, part in parts.items()
    )
    for key, prepared in prepared_once(recipes):
        if not key:
            refuse_untested(study, list(prepared.split("test")))
