"""A worker: it does one trial after another that nobody has done and nobody is at, until none is left."""

import shutil
import time
from collections.abc import Callable
from dataclasses import replace

from hf_mtl.errors import DiskError, DivergedError, HfMtlError, Stopped, UserError, one_line
from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.compare.budget import Allowance
from hf_mtl.experiments.compare.costs import Costs, has_test_rows, untested
from hf_mtl.experiments.compare.ledger import FAILED, RUN, Ledger
from hf_mtl.experiments.compare.load import Study
from hf_mtl.experiments.compare.records import record_of
from hf_mtl.experiments.compare.trial_run import train
from hf_mtl.experiments.compare.trials import Trial, in_folder, trials_of
from hf_mtl.experiments.results import Record
from hf_mtl.recipe.load import recipe_of
from hf_mtl.shown import get_logger
from hf_mtl.training.checkpoint import checkpoints

logger = get_logger(__name__)

_MOMENT_S = 0.5

Say = Callable[[str], None]


class _MistakeError(UserError):
    """What is wrong with an arm."""


class Worker:
    """Does trials of a study.

    Args:
        study: The study.
        say: Takes what is done, a line each.
    """

    def __init__(self, study: Study, say: Say):
        self.study = study
        self.say = say
        self.trials = trials_of(study)
        self.ledger = Ledger(study.folder)
        self.costs = Costs(study, say)
        self._looked = False
        self._tried: set[str] = set()  # what has failed here and is not tried a second time

    def work(self) -> None:
        """Do trials until none is left that could be done; those that others are at are left to them."""
        while self._pass() or self._again():
            pass  # others may have been killed meanwhile, and left trials behind

    def _pass(self) -> bool:
        """Do every trial that can be done, and tell whether any was."""
        return any([self._one(trial) for trial in self.trials])

    def _again(self) -> bool:
        """Look once more before ending: a claim may have been taken for a moment by whoever lists the study."""
        if all(self._is_done(trial) for trial in self.trials):
            return False
        time.sleep(_MOMENT_S)
        return self._pass()

    def _one(self, trial: Trial) -> bool:
        """Do a trial, if it is not done and nobody is at it; tell whether it was done here."""
        if self._is_done(trial):
            return False
        with claim(self.ledger.claims / trial.claim) as mine:
            # Asked under the claim: before it another worker may have been about to finish it.
            if not mine or self._is_done(trial):
                return False
            self._do(trial)
            return True

    def _is_done(self, trial: Trial) -> bool:
        if trial.claim in self._tried:
            return True
        record = self.ledger.records([trial]).get(trial.claim)
        return record is not None and (record["kind"] == RUN or bool(record["final"]))

    def _do(self, trial: Trial) -> None:
        self._look_at_base()
        began = time.time()
        known = {**trial.key, "identity": trial.identity}
        try:
            may = self._allowance(trial)
            found = self._run(trial, may)
        except (DiskError, _MistakeError):
            raise  # every other trial would fail too, or the user is to be asked
        except Stopped:
            self.say(f"{trial.name}: stopped. The same command goes on with it.")
            raise
        except Exception as error:
            self._tried.add(trial.claim)
            said = str(error) if isinstance(error, HfMtlError) else f"{type(error).__name__}: {one_line(error)}"
            # What has diverged will do so again; a machine that was short of memory may have more.
            final = isinstance(error, DivergedError)
            self.ledger.add({"kind": FAILED, **known, "reason": said, "final": final})
            self.say(f"{trial.name}: failed. {said}")
            return
        record = {"kind": RUN, **known, **found, "wall": round(time.time() - began, 1)}
        self.ledger.add(record)
        self.say(f"{trial.name}: {_in_words(record)}")

    def _look_at_base(self) -> None:
        """Find out first what is wrong with the base: its mistakes are those of every trial."""
        without = untested(self.study, self.costs)
        if without and not self._looked:
            self.say(f"{', '.join(without)}: no test rows, so nothing is compared there; test_fraction makes some.")
        self._looked = True

    def _allowance(self, trial: Trial) -> Allowance:
        """Work out what a trial may spend; what is wrong with its arm ends the study before it has cost much."""
        try:
            return self.costs.allowance(trial)
        except UserError as error:
            key = f"arms.{trial.arm.name}"
            found = [replace(item, key=f"{key}.{item.key}".rstrip(".")) for item in error.mistakes]
            raise _MistakeError(found) from error

    def _run(self, trial: Trial, may: Allowance) -> Record:
        folder = self.study.folder / trial.place
        node = in_folder(self.costs.node(trial, may), folder)
        recipe = recipe_of(node, "allowed" if self.study.allow_code else "refused")
        baselines = self.study.file.baselines and trial.arm.name == self.study.reference
        test = has_test_rows(self.study, self.costs, trial)
        train(recipe, folder, trial.identity, test=test, baselines=baselines)
        found = record_of(folder, recipe, may)
        if trial.part.dropped:
            found["notes"].append(f"Without what is of other tasks: {'; '.join(trial.part.dropped)}.")
        if self.study.file.keep == "models":
            for checkpoint in checkpoints(folder):
                shutil.rmtree(checkpoint, ignore_errors=True)
        return found


def _in_words(record: Record) -> str:
    """Say what a trial came to."""
    split = "test" if record["scores"]["test"] else "validation"
    scores = ", ".join(f"{task} {100 * score:.1f}" for task, score in record["scores"][split].items())
    return f"{split} {scores}; {record['steps']:,} steps, {record['flops']:.3g} FLOPs, {record['seconds']:.0f} s"
