"""Trials that are not worth going on with, ended by a pruner of optuna."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_mtl.errors import Mistake, known
from hf_mtl.options import parse_options
from hf_mtl.plain import describe
from hf_mtl.signatures import Options, model_from_signature

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.trial import Trial

PRUNERS = {
    "median": "MedianPruner",
    "percentile": "PercentilePruner",
    "successive_halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "threshold": "ThresholdPruner",
}
"""Names of the file, and optuna's classes, whose arguments are their options."""


class Pruned(Exception):
    """Ends the run of a trial that the pruner gives up.

    Args:
        step: The step that was evaluated.
        value: The score there.
    """

    def __init__(self, step: int, value: float):
        super().__init__(f"step {step}")
        self.step = step
        self.value = value


class PruneCallback(TrainerCallback):
    """Tells a trial what each evaluation of its run has shown, and ends a run that is not worth going on with.

    A resumed run reports no step again that the study knows. Of the last one it asks the pruner again: the process
    before it may have been killed between the report and the answer.

    Args:
        trial: The trial.
        metric: The score, as the Trainer names it.
        prunes: Whether it may be ended; otherwise others are only compared with it.
    """

    def __init__(self, trial: "Trial", metric: str, prunes: bool = True):
        self.trial = trial
        self.metric = metric
        self.prunes = prunes
        self._reported = _last_step(trial)
        self._asked = -1

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Report, and ask the pruner.

        Raises:
            Pruned: If it gives the trial up. Not after the last step, when nothing is left to be saved.
        """
        value = (metrics or {}).get(self.metric)
        step = state.global_step
        if value is None or math.isnan(value) or step < self._reported or step <= self._asked:
            return
        if step > self._reported:
            self.trial.report(float(value), step)
        self._reported = self._asked = step
        if self.prunes and step < state.max_steps and self.trial.should_prune():
            raise Pruned(step, float(value))

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Give up no run that has ended, which may be before its last step."""
        self.prunes = False


def _last_step(trial: "Trial") -> int:
    steps = [found.last_step for found in trial.study.get_trials(deepcopy=False) if found.number == trial.number]
    return next((step for step in steps if step is not None), -1)


def parse_pruning(spec: Any, mistakes: list[Mistake]) -> dict[str, Any] | None:
    """Read which pruner is asked for: its name and options; None: none, or what was said is wrong.

    Args:
        spec: ``off``, a name, or a mapping of a name and options.
        mistakes: Receives everything that is wrong.
    """
    if spec is None or spec is False or spec == "off":
        return None
    given = {"name": spec} if isinstance(spec, str) else spec
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        remedy = f"Allowed: off, a name, or a mapping with name and its options. {known(PRUNERS, '')}"
        mistakes.append(Mistake("pruning", f"found {describe(spec)}", remedy))
        return None
    if given["name"] not in PRUNERS:
        found = Mistake("pruning", f"unknown pruner '{given['name']}'", known([*PRUNERS, "off"], given["name"]))
        mistakes.append(found)
        return None
    wrong: list[Mistake] = []
    parsed = parse_options(_options(given["name"]), given, wrong, "pruning")
    if parsed is not None:
        wrong += _refused(parsed)
    mistakes.extend(wrong)
    return None if parsed is None or wrong else parsed.written()


def make_pruner(spec: Mapping[str, Any] | None) -> "BasePruner":
    """Make the pruner; without one, one that goes on with everything.

    Args:
        spec: As `parse_pruning` gives it.
    """
    import optuna

    if spec is None:
        return optuna.pruners.NopPruner()
    options = {key: value for key, value in spec.items() if key != "name"}
    pruner: BasePruner = getattr(optuna.pruners, PRUNERS[spec["name"]])(**options)
    return pruner


def _refused(parsed: Options) -> list[Mistake]:
    """Find what the pruner itself refuses."""
    try:
        make_pruner(parsed.written())
    except (ValueError, TypeError) as error:
        return [Mistake("pruning", f"'{parsed.chosen}': {error}")]
    return []


def _options(name: str) -> type[Options]:
    import optuna

    pruner = getattr(optuna.pruners, PRUNERS[name])
    return model_from_signature(pruner, name=("name", name), lenient=True)
