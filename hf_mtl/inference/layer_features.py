"""Features of a split's rows after every layer of an encoder, in batches of bounded size."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hf_mtl.batch import Batch, to_device
from hf_mtl.data.collate import Collator
from hf_mtl.data.token_budget import BatchLimit, cut_by_size
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.inference.predict import KeptOutputs
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.encoded import Encoded, Pooling
from hf_mtl.modeling.in_passing import in_passing
from hf_mtl.modeling.layer_states import layer_states, states_alone
from hf_mtl.tasks.layout import spans

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LayerFeatures:
    """What an encoder makes of n rows, after its embeddings and after each of its layers.

    Args:
        rows: One vector of each row: the mean of its sequences', pooled; [L + 1, n, H].
        sites: The vectors at the sites where the task's head looks, row by row; [L + 1, U, H]. None: a row is one
            site, or nobody asked.
        outputs: What the task's head makes of the rows, [n, ..., C]; None: the model has no such task.
    """

    rows: Floats
    sites: Floats | None = None
    outputs: Floats | None = None


@dataclass(frozen=True)
class LayerReader:
    """Runs splits through an encoder, and keeps its layers.

    Args:
        model: The model.
        limit: The most that a batch holds.
        pooling: How one vector is made of a sequence.
    """

    model: MultiTaskModel
    limit: BatchLimit
    pooling: Pooling

    def read(self, split: EncodedSplit, collator: Collator, name: str, sites: bool = False) -> LayerFeatures:
        """Read the rows of a task.

        Args:
            split: The rows.
            collator: A collator of this split alone.
            name: The task; the model need not have it.
            sites: Whether to keep the vectors at the sites of the rows too.

        Raises:
            ModelError: If the encoder gives no states of its layers.
        """
        own = name in self.model.tasks
        keep = KeptOutputs.outputs(self.model.tasks[name], split, everywhere=True) if own else None
        kept = _Kept(len(split), keep)
        offsets = site_offsets(split) if sites else None
        with in_passing(self.model):
            for rows in cut_by_size(split.lengths, self.limit):
                batch = _batch(collator, rows, self.model.device)
                if own:
                    states, output = layer_states(self.model, batch)
                    assert output.logits is not None
                    kept.take_outputs(rows, output.logits[name])
                else:
                    states = states_alone(self.model, batch)
                kept.take_rows(rows, [self._vectors(layer, split, rows) for layer in states])
                if offsets is not None:
                    looked = [self._at_sites(layer, batch, name) for layer in states]
                    kept.take_sites(spans(offsets, rows), looked, int(offsets[-1]))
        return kept.features

    def _vectors(self, states: Encoded, split: EncodedSplit, rows: NDArray[np.int64]) -> Tensor:
        """Return one vector of each row, [b, H]."""
        pooled = states.pooled(self.pooling)
        if split.sites is None:
            return pooled
        counts = np.diff(split.sites.starts)[rows]
        ends = np.concatenate([[0], np.cumsum(counts)])
        return Encoded(pooled, torch.from_numpy(ends).to(pooled.device)).mean()

    def _at_sites(self, states: Encoded, batch: Batch, name: str) -> Tensor:
        sites = batch["sites"][name]
        if sites["tokens"] is None:
            return states.pooled(self.pooling)
        return states.states.index_select(0, sites["tokens"])


@dataclass
class _Kept:
    """Arrays that batches fill, made when the first batch shows how wide they are."""

    count: int
    keep: KeptOutputs | None
    rows: Floats | None = None
    sites: Floats | None = None
    outputs: Floats | None = None

    def take_rows(self, rows: NDArray[np.int64], layers: list[Tensor]) -> None:
        values = _numpy(layers)
        if self.rows is None:
            self.rows = np.empty((len(values), self.count, values.shape[2]), dtype=np.float32)
        self.rows[:, rows] = values

    def take_sites(self, places: NDArray[np.int64], layers: list[Tensor], count: int) -> None:
        values = _numpy(layers)
        if self.sites is None:
            self.sites = np.empty((len(values), count, values.shape[2]), dtype=np.float32)
        self.sites[:, places] = values

    def take_outputs(self, rows: NDArray[np.int64], logits: Tensor) -> None:
        assert self.keep is not None
        if self.outputs is None:
            self.outputs = np.empty((self.count, self.keep.width), dtype=np.float32)
        self.outputs[rows] = self.keep.of(logits.float()).cpu().numpy()

    @property
    def features(self) -> LayerFeatures:
        """What has been kept of all rows."""
        assert self.rows is not None  # no split is without rows
        outputs = self.outputs
        if outputs is not None and self.keep is not None:
            outputs = outputs.reshape(self.count, *self.keep.shape)
        return LayerFeatures(self.rows, self.sites, outputs)


@dataclass(frozen=True, eq=False)
class HeadFeatures:
    """What a head makes of rows that all heads see.

    Args:
        outputs: Its outputs [n, C].
        own: What its last linear layer reads, [n, K]; None: another head reads the same, as linear heads do, or there
            is no such layer.
    """

    outputs: Floats
    own: Floats | None

    def chosen(self, own: bool) -> Floats:
        """Return what the last layer reads, or the outputs."""
        return self.own if own and self.own is not None else self.outputs


@torch.no_grad()
def head_features(
    model: MultiTaskModel, split: EncodedSplit, collator: Collator, limit: BatchLimit, tasks: Sequence[str]
) -> dict[str, HeadFeatures]:
    """Run several heads on the same rows, and keep what is each task's own.

    Args:
        model: The model.
        split: Rows of one sequence each.
        collator: A collator of this split alone.
        limit: The most that a batch holds.
        tasks: The tasks, each with one output for a row.
    """
    read: dict[str, list[Tensor]] = {task: [] for task in tasks}
    outputs: dict[str, list[Tensor]] = {task: [] for task in tasks}
    batches = cut_by_size(split.lengths, limit)
    with in_passing(model), _heads_watched(model, tasks) as seen:
        for rows in batches:
            batch = _batch(collator, rows, model.device)
            logits = model(packed=batch["packed"], segments=dict.fromkeys(tasks, (0, len(rows)))).logits
            for task in tasks:
                outputs[task].append(logits[task].float().cpu())
                if task in seen:
                    read[task].append(seen.pop(task).float().cpu())
    back = np.argsort(np.concatenate(batches))
    own = {task: torch.cat(parts).numpy()[back] for task, parts in read.items() if len(parts) == len(batches)}
    alone = [task for task in own if not any(np.array_equal(own[task], own[other]) for other in own if other != task)]
    return {
        task: HeadFeatures(torch.cat(outputs[task]).numpy()[back], own[task] if task in alone else None)
        for task in tasks
    }


@contextmanager
def _heads_watched(model: MultiTaskModel, tasks: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Keep what the last linear layer of each task's head is given."""
    seen: dict[str, Tensor] = {}

    def watch(task: str) -> Callable[[nn.Module, Any], None]:
        def keep(module: nn.Module, args: Any) -> None:
            seen[task] = args[0]

        return keep

    hooks = []
    for task in tasks:
        head = model.heads.of(task).head
        last = [
            layer for layer in head.modules() if isinstance(layer, nn.Linear) and layer.out_features == head.outputs
        ]
        hooks += [layer.register_forward_pre_hook(watch(task)) for layer in last]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _batch(collator: Collator, rows: NDArray[np.int64], device: torch.device) -> Batch:
    return to_device(collator(np.zeros(len(rows), dtype=np.int64), rows), device)


def _numpy(layers: list[Tensor]) -> Floats:
    return cast(Floats, torch.stack([layer.float() for layer in layers]).cpu().numpy())


def site_offsets(split: EncodedSplit) -> NDArray[np.int64] | None:
    """Return the first site of each row and the end, int64 [n + 1]; None where a row is one site."""
    sites = split.sites
    if sites is None:
        return None
    return sites.starts if sites.offsets is None else sites.offsets[sites.starts]
