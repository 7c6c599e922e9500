"""Show a run as it goes: its record in log.jsonl, its progress bar, its lines."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from transformers import (
    PrinterCallback,
    ProgressCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from hf_mtl.data.loaded import LoadedTask
from hf_mtl.evaluation import headline_keys
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.reporting.atomic import flush
from hf_mtl.reporting.json_files import append_jsonl, rewind_jsonl
from hf_mtl.reporting.log_keys import MODEL_STEP, is_task_loss
from hf_mtl.shown import get_logger, visible
from hf_mtl.tasks import Task
from hf_mtl.training.folder.machine import this_machine, write_machine
from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.together import all_or_none

logger = get_logger(__name__)


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
        """Go back, before the first record, to those that the checkpoint remembers."""
        if not self._goes_on and (renewed := rewind_jsonl(self.path, before)):
            logger.warning(
                f"{self.path} did not hold the records up to the checkpoint as they were written: these {renewed} "
                "were written again, from the checkpoint."
            )
        self._goes_on = True


def _place(logs: dict[str, Any], state: TrainerState) -> int:
    """Return the step whose model a record speaks of: after training, the one that was kept."""
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
        """Write ``recipe.yaml``, ``data.json`` and ``machine.json``; a finished run that trains on has no results any
        more.
        """
        with all_or_none(self.folder.path):
            if state.is_world_process_zero:
                self.folder.unfinish()
                self.folder.data.write(self.data)
                write_machine(self.folder.path, this_machine(args.device, args.world_size))
                self.folder.write_recipe(self.text)
        self.folder.goes_on = False  # for it is no finished one any more


class LayoutCallback(TrainerCallback):
    """Says once, before the first step, how rows reach the encoder: one that does not pack takes longer.

    Args:
        model: The model, as it is without what other processes or a compiler put around it.
    """

    def __init__(self, model: MultiTaskModel):
        self.model = model

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write what the trial at set-up has shown."""
        if state.is_world_process_zero:
            _say(print, visible(f"Rows reach the encoder {self.model.layout_words}."))


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
    """Put one record of the log in a line; empty for a record of neither losses nor scores.

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
    """Return a task's main metric, the one that counts in ``macro``; empty where it was not scored."""
    key = headline_keys(task)[0]
    value = logs.get(f"eval_{name}_{key}")
    return "" if value is None else f"{name} {key} {value:.4f}"
