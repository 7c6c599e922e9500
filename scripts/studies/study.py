"""What studies share: options, a results file of finished runs, claims on unfinished ones, the best step."""

import argparse
import copy
import fcntl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from hf_mtl.reporting.json_files import append_jsonl, read_jsonl

Record = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]


class Results:
    """The finished runs of a study, one line of JSON each, by key."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def all(self) -> list[Record]:
        """All finished runs."""
        return read_jsonl(self.path) if self.path.exists() else []

    def find(self, **key: Any) -> Record | None:
        """The finished run with this key."""
        return next((record for record in self.all() if all(record.get(k) == v for k, v in key.items())), None)

    def add(self, record: Record) -> Record:
        """Keep a finished run."""
        append_jsonl(self.path, record)
        return record


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Whether this process may do a piece of work; the claim ends with the process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def study_parser(name: str, settings: Any, rows_of: str, description: str | None) -> argparse.ArgumentParser:
    """The options of a study and of its report.

    Args:
        name: The study, as its files are named.
        settings: Its settings, of which the defaults are.
        rows_of: What has ``settings.rows`` training rows.
        description: What the study asks.
    """
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--work", type=Path, default=ROOT / "runs" / f"reproduce_{name}")
    found.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / f"{name}.jsonl")
    found.add_argument("--steps", type=int, default=settings.steps, help="fewer for a try, kept apart in the results")
    found.add_argument("--rows", type=int, default=settings.rows, help=f"rows of {rows_of}; fewer for a try")
    found.add_argument("--seeds", type=int, default=len(settings.seeds), help="the first so many; fewer for a try")
    return found


def work_through(
    arguments: argparse.ArgumentParser,
    chosen: Callable[[argparse.Namespace], Any],
    plan: Callable[[Any], Mapping[int, Iterable[str]]],
    prepare: Callable[[Any], Any],
    run: Callable[[Any, str, int, Results, Path], Record],
) -> None:
    """Do all runs of a study that are not finished and that no other process is at.

    Args:
        arguments: The study's parser.
        chosen: Settings of its options.
        plan: The arms of each seed.
        prepare: The benchmark of the settings, made when there is something to run.
        run: One run: the benchmark, the arm, the seed, where its record goes, where its files go.
    """
    arguments.add_argument("--reverse", action="store_true", help="start with the last seed: for a second process")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    settings, results = chosen(options), Results(options.results)
    arms, benchmark = plan(settings), None
    for seed in sorted(arms, reverse=options.reverse):
        for arm in arms[seed]:
            with claim(options.work / "claims" / f"{arm}-{seed}-{settings.steps}-{settings.rows}") as mine:
                key = {"arm": arm, "seed": seed, "steps": settings.steps, "rows": settings.rows}
                if mine and not results.find(**key):
                    benchmark = benchmark or prepare(settings)
                    run(benchmark, arm, seed, results, options.work)


class KeepBest(TrainerCallback):
    """Keeps the trained parameters of the best evaluation in memory, and puts them back at the end.

    Args:
        model: The model.
        metric: Key of an evaluation, of which more is better.
        rival: The curve of a better trial; a trial that is behind it at evaluation number ``trial`` is given up.
        trial: See ``rival``, from 1.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        metric: str,
        rival: Sequence[Sequence[float]] = (),
        trial: int = 3,
    ):
        self.model = model
        self.metric = metric
        self.rival = rival
        self.trial = trial
        self.curve: list[tuple[int, float]] = []
        # As training begins: schedules freeze and thaw parameters later.
        self._trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._best: dict[str, Tensor] = {}

    @property
    def best(self) -> tuple[int, float]:
        """Step and value of the best evaluation."""
        return max(self.curve, key=lambda item: item[1])

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Compare, and copy what is trained."""
        value = (metrics or {}).get(self.metric)
        if value is None:
            return
        self.curve.append((state.global_step, value))
        if self.best[0] == state.global_step:
            self._best = {name: copy.deepcopy(p.detach()) for name, p in self._trained.items()}
        number = len(self.curve)
        if number == self.trial <= len(self.rival) and value < self.rival[number - 1][1]:
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Go back to the best evaluation."""
        with torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(self._best[name])


class Progress(TrainerCallback):
    """What a run had spent at each evaluation, and how good it was then.

    Points are ``{step, score, loss, flops, seconds}``: seconds of optimizer steps alone, without evaluations.

    Args:
        metric: Key of the score.
        loss: Key of the loss.
    """

    def __init__(self, metric: str, loss: str):
        self.trainer: Any = None
        self.metric = metric
        self.loss = loss
        self.points: list[dict[str, float]] = []
        self._seconds = 0.0
        self._began = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop the clock."""
        self._seconds += time.perf_counter() - self._began

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Add a point."""
        values = metrics or {}
        if self.metric in values:
            spent = {
                "flops": self.trainer.budget.record(self.trainer.state)["flops"],
                "seconds": round(self._seconds, 3),
            }
            scores = {"score": values[self.metric], "loss": values[self.loss]}
            self.points.append({"step": state.global_step, **scores, **spent})
