"""The record of the rows that a run used, kept in its folder, and its differences from the rows of today."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from hf_mtl.data.columns import name_count
from hf_mtl.data.fingerprint import Fingerprint
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.data.text_keys import Keys, among
from hf_mtl.errors import CheckpointError, Mistake
from hf_mtl.file_modes import give_usual_modes
from hf_mtl.foreign_json import read_object
from hf_mtl.reporting.json_files import write_json_atomic
from hf_mtl.training.folder.run_record import RunRecord

DATA = "data.json"
TRAINED = "trained_texts.safetensors"


class RunData:
    """The record of a run's rows: ``data.json``, and the hashes of all texts that it trains on.

    Beside the hashes are, of rows that were drawn in a ratio, their numbers among the training rows of each task.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path):
        self._record = RunRecord(folder)
        self._data = folder / DATA
        self._trained = folder / TRAINED

    @property
    def exists(self) -> bool:
        """Tell whether the run kept a record; runs of earlier versions did not."""
        return self._data.exists()

    @property
    def knows_texts(self) -> bool:
        """Tell whether there are hashes of the texts that the run trained on; they are not pushed."""
        return self._trained.exists()

    def write(self, data: Mapping[str, LoadedTask]) -> None:
        """Keep what the rows are, by task and split."""
        keys = [item.keys["train"].rows for item in data.values() if "train" in item.keys]
        hashes = {"hashes": np.unique(np.concatenate([np.empty(0, np.uint64), *keys]))}
        drawn = {f"imbalance/{name}": item.imbalance.rows[name] for name, item in data.items() if item.imbalance}
        with self._record.replacing(TRAINED) as temporary:
            save_file({**hashes, **drawn}, temporary)
            give_usual_modes([temporary])
        tasks = {
            name: {split: asdict(found) for split, found in item.fingerprints.items()} for name, item in data.items()
        }
        labels = {name: item.task.label_names for name, item in data.items()}
        with self._record.replacing(DATA) as temporary:
            write_json_atomic(temporary, {"tasks": tasks, "labels": labels})

    def labels(self, name: str) -> list[str] | None:
        """Return the class names of a task in id order; None where it has none, or an earlier version kept none.

        Raises:
            CheckpointError: If the record cannot be read; names the file.
        """
        with _as_mistake(self._data):
            found = read_object(self._data).get("labels", {}).get(name)
            if found is None:
                return None
            if not isinstance(found, list):
                raise ValueError(f"labels of '{name}' are {found!r:.40}")
            return [str(item) for item in found]

    def fingerprints(self, name: str) -> dict[str, Fingerprint]:
        """Return what the splits of a task were; empty for a task that the run has not.

        Raises:
            CheckpointError: If the record cannot be read; names the file.
        """
        with _as_mistake(self._data):
            found = read_object(self._data)["tasks"].get(name, {})
            return {split: _fingerprint(**entry) for split, entry in found.items()}

    def changes(self, data: Mapping[str, LoadedTask], splits: Iterable[str]) -> Iterator[tuple[str, str, str]]:
        """Compare the rows of today with those of the run.

        Args:
            data: The rows of today, by task.
            splits: The splits to look at.

        Yields:
            Task, split and what is different: ``600 rows then, 660 now``.
        """
        for name, item in data.items():
            then = self.fingerprints(name)
            for split in splits:
                before, now = then.get(split), item.fingerprints.get(split)
                if before != now:
                    yield name, split, _difference(before, now)

    def trained(self, keys: Keys) -> int:
        """Tell how many rows have a text that the run trained on.

        Raises:
            CheckpointError: If the record cannot be read; names the file.
        """
        with _as_mistake(self._trained):
            hashes = load_file(self._trained)["hashes"]
            if hashes.dtype != np.uint64 or hashes.ndim != 1:
                raise ValueError(f"hashes are {hashes.dtype}, with {hashes.ndim} axes")
        return int(among(keys, hashes).sum())


@contextmanager
def _as_mistake(record: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError, CheckpointError) as error:
        problem = f"{record}: damaged, the rows of the run cannot be told from it ({error})"
        raise CheckpointError(Mistake("", problem, "Remove it to go on without this record")) from error


def _fingerprint(rows: object, content: object) -> Fingerprint:
    if not isinstance(rows, int) or not isinstance(content, str) or not 0 <= rows < 2**63:
        raise ValueError(f"a split of {rows!r:.40} rows with the content {content!r:.40}")
    return Fingerprint(rows, content)


def _difference(before: Fingerprint | None, now: Fingerprint | None) -> str:
    then, today = (0 if found is None else found.rows for found in (before, now))
    if then == today:
        return f"{name_count(then)} then and now, with other texts or labels, or in another order"
    return f"{name_count(then)} then, {today:,} now"
