"""Callbacks: what happens at an event of the Trainer's loop."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import (
    PrinterCallback,
    ProgressCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import ExportableState

from hf_mtl.arguments import LEAST_OFTEN
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.evaluation import headline_keys
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.reporting.atomic import flush
from hf_mtl.reporting.json_files import append_jsonl, rewind_jsonl
from hf_mtl.reporting.log_keys import MODEL_STEP, is_task_loss
from hf_mtl.shown import get_logger, visible
from hf_mtl.tasks import Task
from hf_mtl.training.objective import Objective
from hf_mtl.training.run_folder import RunFolder
from hf_mtl.training.signals import TaskSignals
from hf_mtl.training.together import all_or_none

logger = get_logger(__name__)


class BalancingCallback(TrainerCallback):
    """Returns learned balancing parameters to their range after each optimizer step, and holds those of absent tasks.

    An absent task's parameter has gradient zero, but an optimizer with momentum would move it all the same, and let
    the momentum fade.

    Args:
        objective: The objective, whose last step says who was absent.
        after_update: What is done after the update of the model.
    """

    def __init__(self, objective: Objective, after_update: Callable[[], None] = lambda: None):
        self.objective = objective
        self._after_update = after_update
        self._before: list[tuple[Tensor, Tensor]] = []

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember the parameters, and what the optimizer knows of them."""
        held = [value for parameter in self._parameters() for value in _with_moments(parameter, optimizer)]
        self._before = [(value, value.detach().clone()) for value in held]

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put absent tasks back where they were, then project."""
        with torch.no_grad():
            for value, before in self._before:
                value[self.objective.absent] = before[self.objective.absent]
        self._after_update()
        self.objective.weighting.after_step()

    def _parameters(self) -> list[nn.Parameter]:
        """The parameters that hold one value, or one row, per task."""
        tasks = len(self.objective.names)
        return [item for item in self.objective.weighting.parameters() if item.ndim and len(item) == tasks]


def _with_moments(parameter: nn.Parameter, optimizer: Optimizer | None) -> list[Tensor]:
    """A parameter, and what an optimizer keeps for each of its entries."""
    state = {} if optimizer is None else optimizer.state.get(parameter, {})
    return [parameter, *(item for item in state.values() if torch.is_tensor(item) and item.shape == parameter.shape)]


class HeadsCallback(TrainerCallback):
    """Lets the heads close every optimizer step, and logs their gauges.

    Args:
        model: The model.
        signals: Takes the gauges.
        reduce_sum: Adds a tensor up over the processes.
    """

    def __init__(self, model: MultiTaskModel, signals: TaskSignals, reduce_sum: Callable[[Tensor], Tensor]):
        self.model = model
        self.signals = signals
        self.reduce_sum = reduce_sum

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Clip what has a range, update what is running, read the gauges."""
        self.model.heads.end_step(self.reduce_sum)
        self.signals.observe_gauges(self.model.heads.gauges())


class LogStepsCallback(TrainerCallback):
    """Spreads records over the run where the arguments do not say how often to log: short runs have a log too."""

    RECORDS = 20

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set the steps between two records."""
        if args.logging_steps is None:
            state.logging_steps = min(LEAST_OFTEN, max(1, state.max_steps // self.RECORDS))


class JsonLogCallback(TrainerCallback):
    """Writes every log record to ``log.jsonl``; on all processes or, where the disk is full, on none.

    With its first record a resumed run drops what came after its checkpoint: until then nothing replaces it.

    Args:
        path: The log.
    """

    def __init__(self, path: Path):
        self.path = path
        self._goes_on = False

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append one record."""
        with all_or_none(self.path.parent, self.path):
            if state.is_world_process_zero and logs:
                self._rewind(state.log_history[:-1])
                append_jsonl(self.path, {"step": _place(logs, state), **_without_place(logs)})

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Let no checkpoint outlive the records before it when the machine fails."""
        with all_or_none(self.path.parent, self.path):
            if state.is_world_process_zero and self.path.exists():
                flush(self.path)

    def _rewind(self, before: Sequence[Mapping[str, Any]]) -> None:
        """Before the first record, go back to those that the checkpoint remembers."""
        if not self._goes_on and (renewed := rewind_jsonl(self.path, before)):
            logger.warning(
                f"{self.path} did not hold the records up to the checkpoint as they were written: these {renewed} "
                "were written again, from the checkpoint."
            )
        self._goes_on = True


def _place(logs: dict[str, Any], state: TrainerState) -> int:
    """The step whose model a record speaks of: after training, the one that was kept."""
    return int(logs.get(MODEL_STEP, state.global_step))


def _without_place(logs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in logs.items() if key != MODEL_STEP}


class RecipeCallback(TrainerCallback):
    """Keeps the recipe, and what its rows are, once training begins: a run that is refused leaves the folder alone.

    Args:
        folder: The run's folder.
        text: The resolved recipe.
        data: The rows, by task.
    """

    def __init__(self, folder: RunFolder, text: str, data: Mapping[str, LoadedTask]):
        self.folder = folder
        self.text = text
        self.data = data

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write ``recipe.yaml`` and ``data.json``."""
        with all_or_none(self.folder.path):
            if state.is_world_process_zero:
                self.folder.data.write(self.data)
                self.folder.write_recipe(self.text)


class CallbackStates:
    """The state of callbacks that have one, such as early stopping, and whether training was told to stop.

    The Trainer would restore them only on request, and into new objects; here the objects keep their identity.
    """

    def __init__(self, callbacks: list[TrainerCallback], control: TrainerControl):
        self.callbacks = [callback for callback in callbacks if isinstance(callback, ExportableState)]
        self.control = control

    def state_dict(self) -> dict[str, Any]:
        """Each callback's attributes, in order."""
        return {
            "stopped": self.control.should_training_stop,
            "callbacks": [[type(item).__name__, item.state()["attributes"]] for item in self.callbacks],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the callbacks that this run has too."""
        saved = list(state["callbacks"])
        for callback in self.callbacks:
            for entry in saved:
                if entry[0] == type(callback).__name__:
                    for key, value in entry[1].items():
                        setattr(callback, key, value)
                    saved.remove(entry)
                    break


class TaskProgressCallback(ProgressCallback):
    """The Trainer's progress bar, with a log line that fits on one.

    Args:
        tasks: The tasks, of each of which the line has one score.
    """

    def __init__(self, tasks: Mapping[str, Task]):
        super().__init__()
        self.tasks = tasks

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write the tasks' losses, or their scores; everything else is in ``log.jsonl``."""
        line = log_line(logs or {}, _place(logs or {}, state), state.max_steps, self.tasks)
        if state.is_world_process_zero and self.training_bar is not None and line:
            _say(self.training_bar.write, line)


class TaskPrinterCallback(PrinterCallback):
    """The same lines without a progress bar, for ``disable_tqdm``.

    Args:
        tasks: The tasks.
    """

    def __init__(self, tasks: Mapping[str, Task]):
        super().__init__()
        self.tasks = tasks

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Print the tasks' losses, or their scores."""
        line = log_line(logs or {}, _place(logs or {}, state), state.max_steps, self.tasks)
        if state.is_local_process_zero and line:
            _say(print, line)


def _say(write: Callable[[str], object], line: str) -> None:
    """Write a line to standard output; where that is closed, broken or poor in letters, training goes on."""
    if sys.stdout is not None:
        with suppress(OSError, UnicodeError):
            write(line)


def log_line(logs: dict[str, Any], step: int, total: int, tasks: Mapping[str, Task]) -> str:
    """One record of the log in a line; empty for a record of neither losses nor scores.

    Args:
        logs: The record.
        step: The step that it speaks of.
        total: Steps of the run.
        tasks: The tasks; those that were scored are named with their main metric.
    """
    place = f"step {step:>{len(str(total))}}/{total}"
    if "loss" in logs:
        losses = [f"{key.removeprefix('loss/')} {value:.3f}" for key, value in logs.items() if is_task_loss(key)]
        return visible(f"{place}  loss {float(logs['loss']):.3f}  ({', '.join(losses)})")
    if "eval_average" in logs:
        together = [f"{key} {logs[f'eval_{key}']:.4f}" for key in ("average", "macro", "worst")]
        scores = [_main_score(name, task, logs) for name, task in tasks.items()]
        return visible(f"{place}  validation: {', '.join(together)}  ({', '.join(filter(None, scores))})")
    return ""


def _main_score(name: str, task: Task, logs: Mapping[str, Any]) -> str:
    """A task's main metric, the one that counts in ``macro``; empty where it was not scored."""
    key = headline_keys(task)[0]
    value = logs.get(f"eval_{name}_{key}")
    return "" if value is None else f"{name} {key} {value:.4f}"
