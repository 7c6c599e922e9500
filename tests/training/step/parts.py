"""What a step is made of, without a Trainer."""

from dataclasses import dataclass

import numpy as np
import torch

from hf_mtl import MultiTaskModel
from hf_mtl.balancing import GradientAggregator, GradientOptions, build_aggregator, build_weighting
from hf_mtl.balancing.gradient_options import LayoutChoice
from hf_mtl.batch import Batch, StepFacts
from hf_mtl.data.collate import Collator
from hf_mtl.data.train_rows import TrainRows
from hf_mtl.processes import Processes
from hf_mtl.training.step.flops import Flops
from hf_mtl.training.step.loss_pass import LossPass
from hf_mtl.training.step.objective import Objective
from hf_mtl.training.step.task_gradients import TaskGradients
from tests import tiny
from tests.training.masses import encoded

NAMES = list(tiny.TASKS)
CPU = torch.device("cpu")


def train_rows(sizes: dict[str, int] | None = None) -> TrainRows:
    return TrainRows(Collator(encoded(sizes or {"topic": 9, "mood": 5, "score": 6}), 0, 16), 0, CPU)


def micro_batches(rows: TrainRows, counts: list[list[int]], layout: str = "mixed") -> list[Batch]:
    """The micro-batches of one step on one process, each of so many rows of each task, the first ones first."""
    total = np.sum(counts, axis=0).tolist()
    starts, found = np.zeros(len(NAMES), dtype=np.int64), []
    for own in counts:
        mine = {
            name: np.arange(start, start + count)
            for name, start, count in zip(NAMES, starts, own, strict=True)
            if count
        }
        starts += own
        facts: StepFacts = {
            "step": 0,
            "counts": total,
            "nominal": total,
            "coefficients": [1.0] * len(NAMES),
            "masses": [float(count) for count in total],
            "own_masses": [float(count) for count in own],
        }
        found.append(Batch(**rows.batch(rows.together(mine), layout), plan=facts))  # type: ignore[arg-type, typeddict-item]
    return found


@dataclass
class Parts:
    model: MultiTaskModel
    rows: TrainRows
    objective: Objective
    loss_pass: LossPass
    flops: Flops

    def gradients(self, aggregator: str | None, layout: LayoutChoice = "auto") -> TaskGradients:
        """Task gradients for an aggregator, or to be added up, prepared for steps of one micro-batch."""
        built: GradientAggregator | None = None
        if aggregator is not None:
            built = build_aggregator(aggregator, num_tasks=len(NAMES))
        options = GradientOptions(layout=layout, hold="float32")
        weighting = self.objective.weighting
        found = TaskGradients(self.model, weighting, built, options, self.rows, Processes(), self.flops)
        found.prepare(False)
        return found


def parts(weighting: str = "ew", dropout: float = 0.0) -> Parts:
    """A tiny model with all that a step of it needs."""
    model, processes = tiny.model(dropout), Processes()
    for name, split in encoded({"topic": 9, "mood": 5, "score": 6}).items():
        if name == "score":
            mean, std = split.labels.mean(axis=0).tolist(), split.labels.std(axis=0).tolist()
            model.set_statistics(name, mean=mean, std=std)
    flops, method = Flops(model), build_weighting(weighting, num_tasks=len(NAMES))
    method.observe(sizes=[9, 5, 6], seed=0)
    objective = Objective(NAMES, method, processes)
    return Parts(model, train_rows(), objective, LossPass(model, NAMES, processes, flops), flops)
