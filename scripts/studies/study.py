"""What studies share: a results file of finished runs, claims on unfinished ones, the best step in memory."""

import copy
import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from hf_mtl.reporting.json_files import append_jsonl, read_jsonl

Record = dict[str, Any]


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
            self._best = {name: copy.deepcopy(p.detach()) for name, p in self._trained()}
        number = len(self.curve)
        if number == self.trial <= len(self.rival) and value < self.rival[number - 1][1]:
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Go back to the best evaluation."""
        with torch.no_grad():
            for name, parameter in self._trained():
                parameter.copy_(self._best[name])

    def _trained(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        return ((name, p) for name, p in self.model.named_parameters() if p.requires_grad)
