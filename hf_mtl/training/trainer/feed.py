"""The batches of a training, dealt from its plan to this process and collated ahead."""

from typing import Any

from torch.utils.data import DataLoader

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.collate import Collator
from hf_mtl.data.course import Course
from hf_mtl.data.dealing import Deal
from hf_mtl.data.loader import PlannedSteps, train_loader
from hf_mtl.data.steps import StepSource
from hf_mtl.data.token_budget import BatchLimit
from hf_mtl.data.workers import Workers
from hf_mtl.processes import Processes


class Feed:
    """Deals the planned steps of a training to this process, with workers that collate ahead.

    Args:
        args: The training arguments.
        course: How long the run is, and in how many micro-batches a step comes.
        processes: This process among the others.
    """

    def __init__(self, args: MultiTaskTrainingArguments, course: Course, processes: Processes):
        self._args = args
        self._course = course
        self._processes = processes
        self._dealt: PlannedSteps | None = None

    def deal(self, limit: BatchLimit | None) -> Deal:
        """Tell which rows of a step go where.

        Args:
            limit: The most that a micro-batch holds; None: as many rows as all others.
        """
        return Deal(self._processes.world, self._course.micro_batches, limit)

    def loader(self, steps: StepSource, collator: Collator, limit: BatchLimit | None = None) -> DataLoader[Any]:
        """Give this process's micro-batches of the planned steps; not to be sharded again.

        Args:
            steps: The plan of the run.
            collator: Makes batches of its rows.
            limit: The most that a micro-batch holds; None: as many rows as all others.
        """
        args, course = self._args, self._course
        workers = Workers(
            args.dataloader_num_workers,
            args.dataloader_prefetch_factor,
            args.dataloader_multiprocessing_context,
            None if args.dataloader_persistent_workers else course.steps_per_epoch,
        )
        deal = self.deal(limit)
        self._dealt = PlannedSteps(steps, collator, self._processes.rank, deal, workers, args.seed)
        pin_memory = args.dataloader_pin_memory and args.device.type == "cuda"
        return train_loader(self._dealt, course, pin_memory)

    def close(self) -> None:
        """End the processes that collate ahead, in a training that has ended before they had."""
        if self._dealt is not None:
            self._dealt.close()
