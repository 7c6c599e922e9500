"""A contender's side of a bench: a training that waits before every step, and tells how long the step took."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, Trainer, TrainerCallback


def say(value: Any) -> None:
    """Write one line to the driver, past everything that prints."""
    sys.__stdout__.write(json.dumps(value) + "\n")
    sys.__stdout__.flush()


def forget_peak() -> None:
    """Let the peak memory be that of training, not of loading data and weights."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes() -> float:
    """Read the process' peak resident memory, since `forget_peak` where that was called."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


class Paced(TrainerCallback):
    """Waits for the driver after every step, so that drawing and collating the next one is part of its time.

    It has to be the last callback, so that what others do after a step counts too.

    Args:
        taken: Gives what else is to be told of a step, and begins anew.
    """

    def __init__(self, taken: Callable[[], dict[str, Any]] = dict):
        self._taken = taken

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Wait before the first step."""
        if state.global_step == 0:
            forget_peak()
            self._wait(control)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell, and wait."""
        say({"seconds": time.perf_counter() - self._started, **self._taken()})
        self._wait(control)

    def _wait(self, control: Any) -> None:
        if not sys.stdin.readline():
            control.should_training_stop = True
        self._taken()
        self._started = time.perf_counter()


def train_paced(trainer: Trainer, taken: Callable[[], dict[str, Any]] = dict) -> None:
    """Train until the driver says no more, and tell the peak memory."""
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Paced(taken))
    trainer.train()
