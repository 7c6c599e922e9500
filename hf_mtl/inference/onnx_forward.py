"""An ONNX graph in the place of a model's forward, so that whatever scores the model scores the graph."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_mtl.batch import Packed, Sites
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.output import MultiTaskOutput
from hf_mtl.modeling.sites import in_place


class GraphForward:
    """Answers the batches of a collator by a graph.

    Args:
        path: The graph, see `hf_mtl.inference.onnx_graph.write_graph`.
        model: The model that it was made of, for what its losses need.
    """

    def __init__(self, path: Path, model: MultiTaskModel):
        from onnxruntime import InferenceSession

        self.session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.inputs = [item.name for item in self.session.get_inputs()]
        self.heads = model.heads

    def __call__(
        self,
        packed: Packed,
        segments: Mapping[str, tuple[int, int]],
        order: Tensor | None = None,
        sites: Mapping[str, Sites] | None = None,
        labels: Mapping[str, Tensor] | None = None,
        row_weights: Mapping[str, Tensor] | None = None,
    ) -> MultiTaskOutput:
        """Return logits and row losses, as `MultiTaskModel.forward` does at evaluation."""
        arrays = self._rectangle(packed, order)
        outputs = dict(zip(segments, self.session.run(list(segments), arrays), strict=True))
        real = torch.from_numpy(arrays["attention_mask"]).bool()
        logits, losses = {}, {}
        for name, (start, stop) in segments.items():
            values = torch.from_numpy(outputs[name][start:stop])
            logits[name] = self._of_rows(name, values, real[start:stop], (sites or {}).get(name))
            if labels is not None and name in labels:
                losses[name] = self._losses(name, logits[name], labels[name], (row_weights or {}).get(name))
        return MultiTaskOutput(logits=logits, row_losses=losses)

    def _rectangle(self, packed: Packed, order: Tensor | None) -> dict[str, np.ndarray]:
        """Return the inputs of the graph for sequences that stand end to end, padded on the right."""
        starts, lengths = packed["offsets"][:-1].tolist(), packed["lengths"]
        which = range(len(lengths)) if order is None else order.tolist()
        shape = (len(which), max(lengths))
        given: dict[str, Any] = {
            "input_ids": np.full(shape, packed["rectangles"]["pad_id"], dtype=np.int64),
            "attention_mask": np.zeros(shape, dtype=np.int64),
            "token_type_ids": np.zeros(shape, dtype=np.int64),
        }
        for row, sequence in enumerate(which):
            tokens = slice(starts[sequence], starts[sequence] + lengths[sequence])
            given["input_ids"][row, : lengths[sequence]] = packed["input_ids"][tokens].numpy()
            given["attention_mask"][row, : lengths[sequence]] = 1
            if "token_type_ids" in packed:
                given["token_type_ids"][row, : lengths[sequence]] = packed["token_type_ids"][tokens].numpy()
        return {name: given[name] for name in self.inputs}

    def _of_rows(self, name: str, values: Tensor, real: Tensor, sites: Sites | None) -> Tensor:
        """Put outputs of sequences [S, C] or of their places [S, L, C] where the task's rows have them."""
        if sites is None:
            return values
        if sites["tokens"] is not None:
            values = values[real].index_select(0, sites["tokens"])
        return in_place(values, sites, self.heads.of(name).task.absent_output)

    def _losses(self, name: str, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        module = self.heads.of(name)
        units = module.statistics.standardize  # logits are in the units of the labels
        losses = module.task.row_losses(units(logits), units(labels), module.statistics.loss_weights)
        return losses if weights is None else losses * weights
