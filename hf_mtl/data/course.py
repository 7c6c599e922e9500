"""The length of a run in rows, steps and epochs."""

import math
from collections.abc import Mapping

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.processes import is_main_process
from hf_mtl.errors import RunError
from hf_mtl.processes import Processes
from hf_mtl.shown import get_logger

logger = get_logger(__name__)


class Course:
    """The lengths of a run, as they are now: a resume, or another training of the same Trainer, may change them.

    Whoever needs a number of steps keeps this object and asks it then. A run that goes on keeps its rows per step,
    and the micro-batches of a step follow the processes; its number of steps and epochs is what the arguments say.

    Args:
        args: The training arguments, which may change between two trainings.
        sizes: Training rows of each task, in task order.
        processes: This process among the others.
        rows: Training rows of all tasks; fewer than the sum where tasks share rows. None: the sum.

    Attributes:
        step: Optimizer steps done when the epoch began.
    """

    def __init__(
        self,
        args: MultiTaskTrainingArguments,
        sizes: Mapping[str, int],
        processes: Processes,
        rows: int | None = None,
    ):
        self.sizes = dict(sizes)
        self.rows = sum(sizes.values()) if rows is None else rows
        self.step = 0
        self._args = args
        self._processes = processes
        self._rows: int | None = None

    @property
    def rows_per_step(self) -> int:
        """Return the rows of one optimizer step, B."""
        if self._rows is None:
            self._rows = self._rows_of_micro_batches * self.micro_batches
        return self._rows

    @property
    def steps_per_epoch(self) -> int:
        """Return the optimizer steps of an epoch: ceil(rows / B)."""
        return math.ceil(self.rows / self.rows_per_step)

    @property
    def total_steps(self) -> int:
        """Return the optimizer steps of the whole run."""
        most: int = self._args.max_steps
        return most if most > 0 else math.ceil(float(self._args.num_train_epochs) * self.steps_per_epoch)

    @property
    def micro_batches(self) -> int:
        """Return the micro-batches of each process in a step; 1 where their tokens are limited, see `Deal`."""
        accumulation: int = self._args.gradient_accumulation_steps
        return accumulation

    @property
    def _rows_of_micro_batches(self) -> int:
        """Return the rows of a micro-batch, over all processes."""
        size: int = self._args.train_batch_size
        return size * self._processes.world

    def begin(self) -> None:
        """Begin a training at its first step, with the rows per step that the arguments give now."""
        self._rows = None

    def resume(self, rows: int) -> None:
        """Go on with a run: its rows per step, on however many processes there are now.

        Args:
            rows: The rows per step of the run.

        Raises:
            RunError: If they are fewer than the micro-batches that the processes would need.
        """
        if rows != self.rows_per_step:
            if self._args.tokens_per_micro_batch is None:
                self._accumulate(rows)
            self._rows = rows
        if rows < self._processes.world * self.micro_batches:
            raise RunError(f"{rows} rows per step cannot be dealt to {self._processes.world} processes; use fewer")

    def _accumulate(self, rows: int) -> None:
        """Have so many micro-batches that a step keeps its rows. (Tokens decide for themselves.)"""
        # Rounded up: the step keeps its rows exactly, and some micro-batches have fewer.
        self._args.gradient_accumulation_steps = math.ceil(rows / self._rows_of_micro_batches)
        if is_main_process():
            logger.warning(
                f"The run has {rows} rows per step; on {self._processes.world} processes that is "
                f"gradient_accumulation_steps={self.micro_batches}."
            )
