"""How often the whole way from records to answer tells equal arms apart."""

import numpy as np
import pytest

from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.question import Question
from tests.experiments.answer.records import TASKS, study

STUDIES = 400


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
def test_equal_arms_are_told_apart_in_at_most_5_of_100_studies(seeds: int) -> None:
    arms = ("ew", "uw", "vip")
    equal = {arm: dict.fromkeys(TASKS, 0.0) for arm in arms}
    question = Question("study", ("single_task", *arms), "single_task", tuple(range(seeds)))
    alarms = []
    for number in range(STUDIES):
        found = answer(study(equal, seeds, noise=0.02, random=number), question)
        judged = [item.word in ("helps", "harms") for (_, task), item in found.verdicts.items() if task is not None]
        alarms.append(any(judged))
    share = float(np.mean(alarms))
    print(f"records to answer, {seeds} seeds, 3 arms, 4 tasks: false alarms {share:.3f} of {STUDIES} studies")
    assert share <= 0.05 + 0.022  # and two standard errors of 400 studies
