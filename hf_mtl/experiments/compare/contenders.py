"""Contenders that cost no training: encoders of single-task runs, merged. Here is what speaks against them."""

from collections.abc import Mapping

from hf_mtl.errors import Mistake
from hf_mtl.experiments.compare.arms import Arm
from hf_mtl.experiments.compare.schema import StudyFile
from hf_mtl.recipe import Recipe


def contender_mistakes(file: StudyFile, arms: Mapping[str, Arm], base: Recipe) -> list[Mistake]:
    """Find out what the single-task runs of a study could not be merged by.

    Args:
        file: What the study's file says.
        arms: Its arms.
        base: The base recipe.
    """
    if not file.merging:
        return []
    if not any(arm.is_single_task for arm in arms.values()):
        return [Mistake("merging", "there is no single-task arm to merge", "Add one: single_task: single_task")]
    from hf_mtl.experiments.merging import merging_mistakes  # takes seconds, and most studies merge nothing

    # A merged model lies, and is counted, as an arm of the method's name.
    problem, remedy = "is the name of what merging makes", "Call the arm otherwise"
    taken = [Mistake(f"arms.{method}", problem, remedy) for method in file.merging if method in file.arms]
    return [*taken, *merging_mistakes(file.merging, base)]
