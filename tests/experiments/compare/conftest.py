from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hf_mtl.experiments.compare.ledger import Ledger
from hf_mtl.experiments.compare.load import Study, load_study
from hf_mtl.experiments.compare.trials import Trial, trials_of
from hf_mtl.experiments.compare.work import Worker
from tests.experiments.compare.world import write_study
from tests.training import runs


class Done(NamedTuple):
    """A study whose runs are done."""

    path: Path
    study: Study
    trials: list[Trial]
    said: list[str]

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.study.folder)


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """Two arms of one seed: a run for each of two tasks, and one of both."""
    folder = tmp_path_factory.mktemp("study")
    arms = {"single_task": "single_task", "uw": {}}
    # Of learning rates beyond all reason, a run has diverged within a few steps.
    arms_and_broken = {**arms, "broken": {"training": {"learning_rate": 1e30, "max_grad_norm": 0}}}
    with runs.own_cache(folder):
        path = write_study(folder, arms=arms_and_broken, baselines=True)
        study, said = load_study(path), list[str]()
        worker = Worker(study, said.append)
        worker.work()
        yield Done(path, study, worker.trials, said)


@pytest.fixture
def trials(done: Done) -> list[Trial]:
    return trials_of(done.study)
