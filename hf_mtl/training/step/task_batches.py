"""A batch whose length groups are of one task each, as a batch for every task."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch


def by_task(inputs: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every task with rows, and its batch.

    Args:
        inputs: A batch of the layout ``split``: groups follow the order of ``segments``.
    """
    groups, first = list(inputs["groups"]), 0
    for name, (start, stop) in inputs["segments"].items():
        mine = [groups.pop(0)]
        while groups and groups[0]["cut"][0][0] == mine[0]["cut"][0][0]:
            mine.append(groups.pop(0))
        batch = {
            **inputs,
            "groups": mine,
            # The place of a row among the encodings of its task alone.
            "order": inputs["order"][start:stop] - first,
            "segments": {name: (0, stop - start)},
            "labels": {task: labels for task, labels in inputs["labels"].items() if task == name},
        }
        first += sum(len(group["input_ids"]) for group in mine)
        if (noise := inputs.get("noise")) is not None:
            batch["noise"] = {**noise, "rows": noise["rows"][start:stop]}
        if start == stop:  # nobody's rows, see `hf_mtl.data.loader`
            batch["order"] = torch.zeros(1, dtype=inputs["order"].dtype, device=inputs["order"].device)
            batch["noise"] = inputs.get("noise")
        yield name, batch
