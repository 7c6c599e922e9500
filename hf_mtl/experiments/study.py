"""A study as a program: arms by seeds at one budget, on any number of processes, and its report."""

import shutil
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Self, TypeVar

import torch

from hf_mtl.experiments.comparisons import Runs, runs_by_arm
from hf_mtl.experiments.matrix import Key, unfinished
from hf_mtl.experiments.places import Places
from hf_mtl.experiments.results import Record, Results


@dataclass(frozen=True)
class StudySettings:
    """Settings that are the same in every arm of a study.

    A study adds settings of its own, and gives all of them defaults.

    Args:
        steps: Optimizer steps of a run.
        rows: Training rows.
        seeds: Seeds of every arm.
    """

    steps: int
    rows: int
    seeds: tuple[int, ...]

    def fitted(self) -> Self:
        """Fit the other settings to steps, rows and seeds, which are fewer for a try."""
        return self


S = TypeVar("S", bound=StudySettings)
B = TypeVar("B")


@dataclass(frozen=True)
class Study(Generic[S, B]):
    """A study: its arms, and what one run of an arm does.

    Args:
        places: Where its files lie.
        settings: Its settings at full size.
        rows_of: What has ``settings.rows`` training rows, in words.
        arms: The arms of each seed.
        bench: Prepares what all runs share: data and encoder. Called where there is something to run.
        measure: Does one run of an arm with a seed, in a folder for its files: what its record holds beside its key
            and its seconds.
        say: Puts a finished run in words.
    """

    places: Places
    settings: S
    rows_of: str
    arms: Callable[[S], Mapping[int, Iterable[str]]]
    bench: Callable[[S], B]
    measure: Callable[[B, str, int, Path], Record]
    say: Callable[[Record], str]

    def parser(self, description: str | None) -> ArgumentParser:
        """Make the options, the same for the study and for its report.

        Args:
            description: What the program does.
        """
        parser, full = ArgumentParser(description=description), self.settings
        self.places.add_options(parser)
        parser.add_argument(
            "--steps", type=int, default=full.steps, help="fewer for a try, kept apart in the results"
        )
        parser.add_argument("--rows", type=int, default=full.rows, help=f"rows of {self.rows_of}; fewer for a try")
        parser.add_argument("--seeds", type=int, default=len(full.seeds), help="the first so many; fewer for a try")
        return parser

    def chosen(self, options: Namespace) -> S:
        """Read settings from options."""
        seeds = self.settings.seeds[: options.seeds]
        return replace(self.settings, steps=options.steps, rows=options.rows, seeds=seeds).fitted()

    def runs(self, options: Namespace, arms: Sequence[str]) -> Runs:
        """Read the finished runs of the budget that options name, by arm."""
        return runs_by_arm(Results(options.results).all(), arms, steps=options.steps, rows=options.rows)

    def work(self, description: str | None, arguments: Sequence[str] | None = None) -> None:
        """Do all runs that are not finished and that no other process is at.

        Args:
            description: What the study asks.
            arguments: Of the command line; None: the program's.
        """
        parser = self.parser(description)
        parser.add_argument("--reverse", action="store_true", help="start with the last seed: for a second process")
        options = parser.parse_args(arguments)
        torch.set_num_threads(1)  # processes share the cores
        settings, results = self.chosen(options), Results(options.results)
        arms = self.arms(settings)
        keys: list[Key] = [
            {"arm": arm, "seed": seed, "steps": settings.steps, "rows": settings.rows}
            for seed in sorted(arms, reverse=options.reverse)
            for arm in arms[seed]
        ]
        bench: B | None = None
        for key in unfinished(keys, results, options.work / "claims"):
            bench = self.bench(settings) if bench is None else bench
            results.add(self._run(bench, key, options.work / "trainer"))

    def _run(self, bench: B, key: Key, work: Path) -> Record:
        started = time.time()
        arm, seed = str(key["arm"]), int(key["seed"])
        folder = work / f"{arm}-{seed}"
        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed; the run begins anew
        measured = self.measure(bench, arm, seed, folder)
        shutil.rmtree(folder, ignore_errors=True)
        record = {**key, **measured, "seconds": round(time.time() - started, 1)}
        print(f"{dict(key)}: {self.say(record)}", flush=True)
        return record
