"""Search for hyperparameters: every trial is a Trainer of its own, with a model of its own."""

import copy
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from transformers import TrainerCallback, set_seed
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import BestRun, default_hp_space_optuna

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.errors import Mistake, UserError, known
from hf_mtl.plain import made_plain
from hf_mtl.signatures import Options

ModelInit = Callable[..., Any]
_NO_TRIAL = ("No trials are completed yet", "Record does not exist")  # as optuna and its storages say it
_SECTIONS = ("mixture", "balancing")


def first_model(model: Any, model_init: ModelInit | None, args: MultiTaskTrainingArguments) -> Any:
    """Return the model that was given, or the first that ``model_init`` makes, under the run's seed.

    Raises:
        UserError: If both are given, or ``model_init`` takes more than the trial.
    """
    if model_init is None:
        return model
    if model is not None:
        raise UserError(Mistake("model_init", "is given, and a model too", "Give one of them"))
    return call_model_init(model_init, None, getattr(args, "seed", 42))


def call_model_init(model_init: ModelInit, trial: Any, seed: int) -> Any:
    """Make a model as transformers does: under the seed, and with the trial where the function takes one."""
    set_seed(seed)
    parameters = inspect.signature(model_init).parameters.values()
    needed = [item for item in parameters if item.default is item.empty and item.kind is item.POSITIONAL_OR_KEYWORD]
    if len(needed) > 1:
        raise UserError(Mistake("model_init", f"takes {len(needed)} arguments", "It takes none, or the trial"))
    return model_init(trial) if needed or len(parameters) == 1 else model_init()


@dataclass(frozen=True)
class Made:
    """What a Trainer was made with, from which those of trials are made.

    Args:
        model_init: Makes a model; None: nothing does, and there can be no search.
        args: The training arguments as they were given.
        given: The other arguments of the Trainer.
        make: What makes a Trainer of an object, with a model and arguments.
    """

    model_init: ModelInit | None
    args: MultiTaskTrainingArguments
    given: Mapping[str, Any]
    make: Callable[..., None]

    @classmethod
    def of(
        cls,
        model_init: ModelInit | None,
        args: MultiTaskTrainingArguments,
        given: Mapping[str, Any],
        make: Callable[..., None],
    ) -> "Made":
        """Keep what was given; the arguments as they are now, since making a Trainer settles some of them."""
        # Without a model_init there is no search, and the rows need not be kept.
        return cls(model_init, copy.copy(args), dict(given) if model_init is not None else {}, make)


class _Pruning(TrainerCallback):
    """Tells the trial what each evaluation has shown, and ends trainings that are not worth going on with."""

    def __init__(self, search: "Search", trial: Any):
        self.search = search
        self.trial = trial

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        """Report the objective."""
        self.search.objective = self.search.compute_objective(dict(metrics))
        study = getattr(self.trial, "study", None)
        # Of several processes one has the trial, and would leave the others waiting.
        if study is None or study._is_multi_objective() or args.world_size > 1:
            return
        self.trial.report(self.search.objective, state.global_step)
        if self.trial.should_prune():
            import optuna

            raise optuna.TrialPruned()


class Search:
    """Stands for the Trainer in transformers' own loop over trials, with what that asks of one.

    Args:
        trainer: The Trainer that was asked, which stays as it is.
        made: What it was made with.
        hp_space: Draws the hyperparameters of a trial: training arguments, ``mixture.KEY`` and ``balancing.KEY``.
        compute_objective: Makes the number that is looked at of the scores; None: the average.
        hp_name: Names a trial's folder in ``output_dir``; None: ``run-N``.
    """

    def __init__(
        self,
        trainer: Any,
        made: Made,
        hp_space: Callable[[Any], Mapping[str, Any]] | None,
        compute_objective: Callable[[dict[str, float]], float] | None,
        hp_name: Callable[[Any], str] | None,
    ):
        self.trainer = trainer
        self.made = made
        self.args = made.args
        self.hp_space = hp_space or default_hp_space_optuna
        self.compute_objective = compute_objective or (lambda scores: scores["eval_average"])
        self.hp_name = hp_name
        self.objective: Any = None
        self.model = self.model_wrapped = None  # nothing of the last trial is to be freed
        self.accelerator = trainer.accelerator
        self._current: Any = None

    def train(self, resume_from_checkpoint: str | None = None, trial: Any = None) -> None:
        """Train a model with the hyperparameters of a trial."""
        args, sections = self._arguments(trial)
        assert self.made.model_init is not None
        model = call_model_init(self.made.model_init, trial, args.seed)
        found = copy.copy(self.trainer)  # with whatever a subclass has set
        callbacks = [_own(item) for item in self.made.given.get("callbacks") or ()]
        given = {**self.made.given, **sections, "callbacks": [*callbacks, _Pruning(self, trial)]}
        self.made.make(found, model=model, args=args, **given)
        self._current = found
        found.train()

    def evaluate(self) -> dict[str, float]:
        """Score the model of the last trial, which no evaluation has seen in training."""
        scores: dict[str, float] = self._current.evaluate()
        return scores

    def _arguments(self, trial: Any) -> tuple[MultiTaskTrainingArguments, dict[str, Any]]:
        """Return the training arguments of a trial, and the sections that it changes.

        Raises:
            UserError: If there are no hyperparameters of these names.
        """
        args, mistakes = copy.copy(self.made.args), []
        sections: dict[str, Any] = {}
        names = [item.name for item in fields(args) if item.init]
        for key, value in self.hp_space(trial).items():
            section, _, option = key.partition(".")
            if section in _SECTIONS and option:
                given = sections.get(section, self.made.given.get(section))
                sections[section] = {**_as_mapping(given), option: value}
            elif key in names:
                old = getattr(args, key)
                whole = isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool)
                setattr(args, key, float(value) if whole else value)
            else:
                remedy = f"{known(names, key, 'Training arguments')} Or mixture.KEY, balancing.KEY."
                mistakes.append(Mistake(f"hp_space.{key}", "is no hyperparameter", remedy))
        if mistakes:
            raise UserError(mistakes)
        folder = self.hp_name(trial) if self.hp_name is not None else f"run-{trial.number}"
        args.output_dir = os.path.join(str(args.output_dir), folder)
        return args, sections


def search(
    trainer: Any,
    made: Made,
    hp_space: Callable[[Any], Mapping[str, Any]] | None,
    compute_objective: Callable[[dict[str, float]], float] | None,
    n_trials: int,
    direction: str | list[str] | None,
    backend: Any,
    hp_name: Callable[[Any], str] | None,
    **options: Any,
) -> BestRun | list[BestRun]:
    """Try hyperparameters with optuna, as `transformers.Trainer.hyperparameter_search` does.

    Raises:
        UserError: If it cannot be done here; what and what to do instead.
    """
    mistakes = list(_mistakes(made, compute_objective, direction, backend, options))
    if mistakes:
        raise UserError(mistakes)
    from transformers.integrations.integration_utils import run_hp_search_optuna

    if direction is None:
        direction = "maximize" if compute_objective is None else "minimize"
    trials = Search(trainer, made, hp_space, compute_objective, hp_name)
    try:
        return run_hp_search_optuna(trials, n_trials, direction, **options)
    except ValueError as error:
        if not any(sign in str(error) for sign in _NO_TRIAL):
            raise
        remedy = "Let the pruner wait longer, or look at what they ended with in a study with storage="
        raise UserError(
            Mistake("hyperparameter_search", "no trial was completed: all were pruned", remedy)
        ) from error


def _mistakes(
    made: Made, compute_objective: object, direction: object, backend: Any, options: Mapping[str, Any]
) -> list[Mistake]:
    key = "hyperparameter_search"
    found = []
    if made.model_init is None:
        remedy = "Give MultiTaskTrainer a model_init in place of a model: it makes the model of each trial"
        found.append(Mistake(key, "there is no model_init", remedy))
    if backend is not None and getattr(backend, "value", backend) != "optuna":
        found.append(Mistake(f"{key}.backend", f"'{backend}' is not supported", "Use optuna"))
    elif not _has_optuna():
        found.append(Mistake(key, "optuna is not installed", "Install it: pip install hf_mtl[search]"))
    if compute_objective is None and direction not in (None, "maximize"):
        remedy = "Give compute_objective, such as lambda scores: scores['eval_loss'], or direction='maximize'"
        found.append(Mistake(f"{key}.direction", f"{direction!r} of the average of all scores", remedy))
    if made.given.get("optimizers", (None, None)) != (None, None):
        remedy = "Override create_optimizer, or give optimizer_cls_and_kwargs"
        found.append(Mistake("optimizers", "belong to one model, and each trial has another", remedy))
    if options.get("n_jobs", 1) != 1:
        remedy = "Start several programs on one storage= of optuna instead"
        found.append(Mistake(f"{key}.n_jobs", "trials in threads would share random state and device", remedy))
    return found


def _has_optuna() -> bool:
    from importlib.util import find_spec

    return find_spec("optuna") is not None


def _own(callback: Any) -> Any:
    """Return a callback as it was given for a trial; one with a state, such as early stopping, begins anew."""
    return copy.deepcopy(callback) if isinstance(callback, ExportableState) else callback


def _as_mapping(section: Any) -> dict[str, Any]:
    if section is None:
        return {}
    if isinstance(section, Options) or hasattr(section, "model_dump"):
        plain: dict[str, Any] = section.model_dump(mode="json", exclude_unset=True)
        return plain
    return dict(made_plain(section))
