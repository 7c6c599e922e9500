"""Contenders that cost no training: encoders of single-task runs, merged. Here is what speaks against them."""

from collections.abc import Mapping

from hf_mtl.errors import Mistake
from hf_mtl.experiments.compare.arms import Arm
from hf_mtl.experiments.compare.schema import StudyFile


def merged_arm(arms: Mapping[str, Arm], reference: str) -> Arm | None:
    """Return the arm whose runs are merged: the reference, or else the only one that trains each task alone.

    Args:
        arms: The arms of a study.
        reference: The name of the one that others are compared with.

    Returns:
        The arm; None: there is none, or one of several would be as good as another.
    """
    single = [arm for arm in arms.values() if arm.is_single_task]
    return next((arm for arm in single if arm.name == reference or len(single) == 1), None)


def contender_mistakes(file: StudyFile, arms: Mapping[str, Arm], reference: str) -> list[Mistake]:
    """Find out what the single-task runs of a study could not be merged by.

    Args:
        file: What the study's file says.
        arms: Its arms.
        reference: The name of the arm that others are compared with.
    """
    if not file.merging:
        return []
    single = [name for name, arm in arms.items() if arm.is_single_task]
    if not single:
        return [Mistake("merging", "there is no single-task arm to merge", "Add one: single_task: single_task")]
    arm = merged_arm(arms, reference)
    if arm is None:
        problem = f"{' and '.join(single)} train each task alone, and none of them is the reference"
        return [Mistake("merging", problem, "Make the one whose runs are to be merged the reference")]
    from hf_mtl.experiments.merging import merging_mistakes  # takes seconds, and most studies merge nothing

    # A merged model lies, and is counted, as an arm of the method's name.
    problem, remedy = "is the name of what merging makes", "Call the arm otherwise"
    taken = [Mistake(f"arms.{method}", problem, remedy) for method in file.merging if method in file.arms]
    return [*taken, *merging_mistakes(file.merging, arm.whole.recipe)]
