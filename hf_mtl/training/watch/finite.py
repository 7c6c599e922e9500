"""Watches whether losses and weights are finite; weights are read where the Trainer logs or saves."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers.trainer_callback import TrainerState

from hf_mtl.errors import DivergedError
from hf_mtl.modeling.sharded import local
from hf_mtl.processes import Processes
from hf_mtl.training.checkpoint import checkpoints
from hf_mtl.training.step.result import StepResult

PATIENCE = 10
"""Steps in a row with a task whose loss is not finite, or that were skipped, after which the run is given up."""

PATIENCE_WITH_SCALER = 30
"""The same for skipped steps under a loss scaler, which halves its factor 2^16 until gradients fit."""

_REMEDY = (
    "Lower training.learning_rate or training.max_grad_norm, use bf16 in place of fp16, "
    "or look at the task's rows and targets"
)


class FiniteWatch:
    """Notes the steps whose losses are not finite, and stops a run of which nothing can come any more.

    A step whose task gradients are not finite, or that a loss scaler skips, leaves the weights as they are: one is
    no reason to stop, many in a row are. Weights that are not finite are one at once, and so is a task whose loss is
    not finite for `PATIENCE` of its steps in a row, or in all of them.

    Args:
        names: The tasks, in task order.
        modules: What is trained, by what its weights are called before their own names.
        processes: This process among the others.
        output_dir: Where the checkpoints are, to name the last good one.
    """

    def __init__(
        self,
        names: Sequence[str],
        modules: Mapping[str, nn.Module],
        processes: Processes,
        output_dir: str | Path,
    ):
        self.names = list(names)
        self.output_dir = Path(output_dir)
        self._modules = dict(modules)
        self._processes = processes
        self.begin()

    def begin(self) -> None:
        """Forget what an earlier run has seen."""
        self._checked = -1
        self._skipped: list[int] = []  # the steps skipped in a row until now
        self._may_skip = PATIENCE
        self._in_a_row = torch.zeros(len(self.names), dtype=torch.int64)
        self._since, self._finite = self._in_a_row.clone(), self._in_a_row.clone()

    def observe(self, step: int, result: StepResult) -> None:
        """Take one step.

        Args:
            step: The step, from 1.
            result: What it saw, the same on all processes.
        """
        result = result.on_host
        present, sums = result.present, result.losses.detach().clone()
        for (task, _), value in result.penalties.items():
            sums[self.names.index(task)] += value
        finite = torch.isfinite(sums)
        bad = present & ~finite
        self._since = torch.where(bad & (self._in_a_row == 0), step, self._since)
        self._in_a_row = torch.where(bad, self._in_a_row + 1, torch.where(present, 0, self._in_a_row))
        self._finite += present & finite

    def observe_update(self, step: int, skipped: bool, scaled: bool) -> None:
        """Note whether the optimizer's step was taken.

        Args:
            step: The step, from 1; told again, it counts once.
            skipped: Whether it left the weights as they were because of gradients that are not finite.
            scaled: Whether there is a loss scaler, which tries what is too much by design.
        """
        self._may_skip = PATIENCE_WITH_SCALER if scaled else PATIENCE
        if not skipped:
            self._skipped = []
        elif step not in self._skipped[-1:]:
            self._skipped.append(step)

    def check(self, step: int, last: bool = False) -> None:
        """Read what was noted and look at the weights; all processes come here together.

        Args:
            step: The step that has ended.
            last: Whether it is the run's last: a task whose loss was never finite is then given up too.

        Raises:
            DivergedError: If the run cannot go on; says since when, in which tasks, and what is left of it.
        """
        if self._checked == step and not last:
            return
        self._checked = step
        in_a_row, since, finite = torch.stack([self._in_a_row, self._since, self._finite]).tolist()
        broken = self._broken()
        lost = [
            task
            for task, count in enumerate(in_a_row)
            if count >= PATIENCE or (count and (broken or (last and not finite[task])))
        ]
        if not broken and not lost and len(self._skipped) < self._may_skip:
            return
        raise DivergedError(self._message(step, {self.names[task]: since[task] for task in lost}, broken))

    def _broken(self) -> list[str]:
        """Name the weights that are not finite on any process."""
        # By the size of the whole: every process sends a flag of each, also where it holds no part of it.
        named = [(name, _here(value)) for name, value in self._parameters() if value.numel()]
        if not named:
            return []
        # The largest magnitude, since a sum can overflow where every term is finite. One launch for all of them.
        largest = torch._foreach_norm([value for _, value in named], float("inf"))
        device = largest[0].device
        flags = torch.stack([~torch.isfinite(value.to(device)) for value in largest]).to(torch.float32)
        found = self._processes.reduce_sum(flags).tolist()
        return [name for (name, _), flag in zip(named, found, strict=True) if flag]

    def _parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Yield everything that is trained, by name."""
        parts = self._modules.items()
        return [(f"{prefix}{name}", value) for prefix, part in parts for name, value in part.named_parameters()]

    def _message(self, step: int, since: dict[str, int], broken: list[str]) -> str:
        parts = [f"the loss of '{task}' is not finite since step {first}" for task, first in since.items()]
        if broken:
            of_all = f"{len(broken)} of {len(self._parameters())} weights"
            parts.append(f"{of_all} are not finite after step {step}, such as {broken[0]}")
        if len(self._skipped) >= self._may_skip:
            parts.append(f"gradients are not finite, and every step was skipped, since step {self._skipped[0]}")
        # A checkpoint may have been written while losses were bad and weights not yet.
        first = min([*since.values(), *self._skipped[:1], step + 1])
        return f"training has diverged: {'; '.join(parts)}. {_kept(self.output_dir, first)}. {_REMEDY}."


def refuse_broken_scores(
    scores: Mapping[str, Mapping[str, float]], state: TrainerState, output_dir: str | Path
) -> None:
    """Give up a trained model whose outputs on validation are not finite, though its weights and losses were.

    The update of the last step is seen by no loss.

    Args:
        scores: Of the model that was kept, by task.
        state: The Trainer's, whose log has the evaluations before.
        output_dir: Where the checkpoints are, to name the last good one.

    Raises:
        DivergedError: If a task's loss is not finite.
    """
    lost = [f"'{task}'" for task, values in scores.items() if not math.isfinite(values["loss"])]
    if not lost:
        return
    good = [record["step"] for record in state.log_history if math.isfinite(record.get("eval_loss", math.nan))]
    found = f"the validation losses of {', '.join(lost)} are not finite in the end"
    raise DivergedError(
        f"training has diverged: {found}. {_kept(Path(output_dir), max(good, default=0) + 1)}. {_REMEDY}."
    )


def _kept(output_dir: Path, first: int) -> str:
    """Name the last checkpoint before the first step that is bad."""
    good = [path for path in checkpoints(output_dir) if int(path.name.split("-")[1]) < first]
    return f"The last checkpoint before that is kept: {good[0]}" if good else "There is no checkpoint from before"


def _here(parameter: Tensor) -> Tensor:
    """Return this process's part of a parameter; a zero where it has none."""
    value = local(parameter)
    return value if value.numel() else value.new_zeros(1)
