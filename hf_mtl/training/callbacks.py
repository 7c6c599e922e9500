"""Callbacks: what happens at an event of the Trainer's loop."""

from collections.abc import Callable, Mapping
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
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.reporting.json_files import append_jsonl, truncate_jsonl
from hf_mtl.reporting.log_keys import MODEL_STEP, is_task_loss
from hf_mtl.shown import visible
from hf_mtl.training.objective import Objective
from hf_mtl.training.run_folder import RunFolder
from hf_mtl.training.signals import TaskSignals


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
    """Writes every log record to ``log.jsonl``; a resumed run first drops what came after its checkpoint."""

    def __init__(self, path: Path):
        self.path = path

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Keep the records up to the step that training starts from."""
        if state.is_world_process_zero:
            start = state.global_step
            truncate_jsonl(self.path, keep=lambda record: start > 0 and record.get("step", 0) <= start)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append one record."""
        if state.is_world_process_zero and logs:
            append_jsonl(self.path, {"step": _place(logs, state), **_without_place(logs)})


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
    """The Trainer's progress bar, with a log line that fits on one."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write the tasks' losses, or their scores; everything else is in ``log.jsonl``."""
        line = log_line(logs or {}, _place(logs or {}, state), state.max_steps)
        if state.is_world_process_zero and self.training_bar is not None and line:
            self.training_bar.write(line)


class TaskPrinterCallback(PrinterCallback):
    """The same lines without a progress bar, for ``disable_tqdm``."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Print the tasks' losses, or their scores."""
        line = log_line(logs or {}, _place(logs or {}, state), state.max_steps)
        if state.is_local_process_zero and line:
            print(line)


def log_line(logs: dict[str, Any], step: int, total: int) -> str:
    """One record of the log in a line; empty for a record of neither losses nor scores."""
    place = f"step {step:>{len(str(total))}}/{total}"
    if "loss" in logs:
        losses = [f"{key.removeprefix('loss/')} {value:.3f}" for key, value in logs.items() if is_task_loss(key)]
        return visible(f"{place}  loss {float(logs['loss']):.3f}  ({', '.join(losses)})")
    if "eval_average" in logs:
        together = [f"{key} {logs[f'eval_{key}']:.4f}" for key in ("average", "macro", "worst")]
        return f"{place}  validation: {', '.join(together)}"
    return ""
