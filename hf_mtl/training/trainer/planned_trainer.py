"""A Trainer whose steps are planned: which rows of which task make each of them, and who gets which."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from hf_mtl.data.collate import Collator, Layout
from hf_mtl.data.loader import PlannedSteps, train_loader
from hf_mtl.data.mixture import Mixture
from hf_mtl.data.plan import Planner
from hf_mtl.data.steps import StepSource
from hf_mtl.data.workers import Workers
from hf_mtl.errors import UserError
from hf_mtl.inference.predict import to_device
from hf_mtl.modeling.parameters import training_flops
from hf_mtl.schedules import Run, Schedules
from hf_mtl.training.schedules.scheduling import roster_of
from hf_mtl.training.trainer.scoring_trainer import ScoringTrainer


class PlannedTrainer(ScoringTrainer):
    """Hands out micro-batches of planned steps, which mixture and schedules move at the boundaries of windows."""

    mixture: Mixture
    schedules: Schedules
    steps: StepSource
    _rows_per_step: int | None
    _dealt: PlannedSteps | None = None

    @property
    def rows_per_step(self) -> int:
        """Rows of one optimizer step, B; a resumed run keeps the B that it started with."""
        if self._rows_per_step is None:
            args = self.args
            self._rows_per_step = args.train_batch_size * self.processes.world * args.gradient_accumulation_steps
        return self._rows_per_step

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch: ceil(rows / B)."""
        return math.ceil(sum(self.mixture.sizes.values()) / self.rows_per_step)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
        if self.args.max_steps > 0:
            return self.args.max_steps
        return math.ceil(self.args.num_train_epochs * self.steps_per_epoch)

    def _new_steps(self, rows_per_step: int) -> StepSource:
        planner = Planner(
            self.mixture.sizes,
            rows_per_step,
            seed=self.args.data_seed if self.args.data_seed is not None else self.args.seed,
            window_steps=self.args.window_steps,
            min_per_task=self.mixture.min_per_task,
            one_task_per_step=self.mixture.one_task_per_step,
        )
        return StepSource(
            self.mixture,
            planner,
            total_steps=lambda: self.total_steps,
            roster=lambda start: roster_of(self.schedules, start, self.args.window_steps),
            on_window=self._begin_window,
        )

    def _begin_window(self, step: int) -> None:
        self.schedules.begin_window(step)
        if self.mixture.learner is not None:
            self.mixture.learner.begin_window(step)

    def _run(self) -> Run:
        return Run(tuple(self.mixture.sizes), self.total_steps, self.steps_per_epoch)

    def _flops(self) -> float:
        """Floating point operations so far, over all processes."""
        mine = torch.tensor(float(self.current_flos), dtype=torch.float64, device=self.args.device)
        return float(self.state.total_flos) + float(self.processes.reduce_sum(mine))

    def _add_flops(self, flops: float) -> None:
        self.current_flos += flops

    def _count_forward(self, batch: Mapping[str, Any]) -> None:
        """Count a forward without backward."""
        self._add_flops(training_flops(self.model.encoder, batch, backward=False))

    def train_collator(self) -> Collator:
        """Makes the batches of the training rows."""
        if self.train_dataset is None:
            raise UserError("training needs a train_dataset")
        return self._collator(self.train_dataset)

    def probe_batch(self) -> dict[str, Any]:
        """A few training rows of two tasks, cut by task, on the model's device."""
        collator = self.train_collator()
        collator.layout = "segments"
        rows = [np.arange(min(3, size)) for size in list(self.mixture.sizes.values())[:2]]
        tasks = np.repeat(np.arange(len(rows)), [len(mine) for mine in rows])
        return to_device(collator(tasks, np.concatenate(rows)), self.args.device)

    def get_train_dataloader(self) -> DataLoader:
        """This process's micro-batches of the planned steps; not to be sharded again."""
        collator = self.train_collator()
        collator.layout = self._layout()
        self._dealt = PlannedSteps(
            self.steps,
            collator,
            self.processes.rank,
            self.processes.world,
            self.args.gradient_accumulation_steps,
            Workers(
                self.args.dataloader_num_workers,
                self.args.dataloader_prefetch_factor,
                self.args.dataloader_multiprocessing_context,
                None if self.args.dataloader_persistent_workers else self.steps_per_epoch,
            ),
            self.args.seed,
        )
        pin_memory = self.args.dataloader_pin_memory and self.args.device.type == "cuda"
        return train_loader(self._dealt, self.steps_per_epoch, lambda: self.state.global_step, pin_memory)

    def end_workers(self) -> None:
        """End the processes that collate ahead, in a training that has ended before they had."""
        if self._dealt is not None:
            self._dealt.close()

    def _layout(self) -> Layout:
        """How tasks share the length groups of a batch."""
        return "mixed"

    def num_examples(self, dataloader: DataLoader) -> int:
        """Training rows of all tasks."""
        return sum(self.mixture.sizes.values())
